/* Reads a table by one scan that several threads share.
 *
 *     scan_threads ENDPOINT PROJECT.SCHEMA.TABLE [THREADS]
 *
 * Each of THREADS (4) takes the next batch, whichever split it belongs to, until the data ends. The first one that fails cancels the scan,
 * which wakes all others. Prints rows by thread and in all. Credentials come from the environment. */
#include <inttypes.h>
#include <maxstorage.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { max_threads = 64 };

typedef struct {
  const ms_scan *scan; /* shared by all */
  pthread_t thread;
  int64_t rows, batches;
  ms_status status;
  ms_error *err;
} consumer;

static void *consume(void *argument) {
  consumer *self = argument;
  for (;;) {
    struct ArrowArray batch;
    self->status = ms_scan_next_batch(self->scan, &batch, NULL, &self->err);
    if (self->status != MS_OK) {
      ms_scan_cancel(self->scan);
      return NULL;
    }
    if (batch.release == NULL) return NULL; /* the end, for every thread */
    self->rows += batch.length;             /* here an operator of the engine would work on the batch */
    self->batches++;
    batch.release(&batch);
  }
}

/* The scan needs neither session nor client nor options any more once it is open. */
static ms_status open_scan(const char *endpoint, const char *table, ms_scan **scan, ms_error **err) {
  ms_options *options = ms_options_new();
  ms_client *client = NULL;
  ms_session *session = NULL;
  ms_status status = ms_options_load_environment(options, err);
  if (status == MS_OK) status = ms_options_set(options, MS_OPT_ENDPOINT, endpoint, err);
  if (status == MS_OK) status = ms_options_set(options, MS_OPT_TABLE, table, err);
  if (status == MS_OK) status = ms_options_set(options, MS_OPT_SPLIT_MODE, "row_offset", err);
  if (status == MS_OK) status = ms_client_open(options, &client, err);
  if (status == MS_OK) status = ms_session_open(client, options, NULL, &session, err);
  if (status == MS_OK) status = ms_scan_open(session, options, scan, err);
  ms_session_free(session);
  ms_client_free(client);
  ms_options_free(options);
  return status;
}

static int report(ms_status status, ms_error *err) {
  fprintf(stderr, "scan_threads: %s: %s (request id %s)\n", ms_status_name(status), ms_error_message(err), ms_error_request_id(err));
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  char *rest = "";
  const long threads = argc == 4 ? strtol(argv[3], &rest, 10) : 4;
  if (argc < 3 || argc > 4 || *rest != '\0' || threads < 1 || threads > max_threads) {
    fputs("usage: scan_threads ENDPOINT PROJECT.SCHEMA.TABLE [THREADS]\n", stderr);
    return 2;
  }
  ms_scan *scan = NULL;
  ms_error *err = NULL;
  const ms_status opened = open_scan(argv[1], argv[2], &scan, &err);
  if (opened != MS_OK) {
    const int code = report(opened, err);
    ms_error_free(err);
    return code;
  }
  consumer consumers[max_threads];
  long started = 0;
  for (; started < threads; started++) {
    consumers[started] = (consumer){.scan = scan, .status = MS_OK};
    if (pthread_create(&consumers[started].thread, NULL, consume, &consumers[started]) != 0) break;
  }
  int64_t rows = 0;
  const consumer *failed = NULL; /* the first cause: the others are told MS_CANCELLED */
  for (long i = 0; i < started; i++) {
    consumer *one = &consumers[i];
    pthread_join(one->thread, NULL);
    rows += one->rows;
    if (one->status != MS_OK && (failed == NULL || failed->status == MS_CANCELLED)) failed = one;
  }
  int code = EXIT_SUCCESS;
  if (started == 0) {
    fputs("scan_threads: no thread can be started\n", stderr);
    code = EXIT_FAILURE;
  } else if (failed != NULL) {
    code = report(failed->status, failed->err);
  } else {
    for (long i = 0; i < started; i++)
      printf("thread %ld: %" PRId64 " rows in %" PRId64 " batches\n", i, consumers[i].rows, consumers[i].batches);
    printf("%" PRId64 " rows by %ld threads\n", rows, started);
  }
  for (long i = 0; i < started; i++) ms_error_free(consumers[i].err);
  ms_scan_free(scan);
  return code == EXIT_SUCCESS && fflush(stdout) != 0 ? EXIT_FAILURE : code;
}
