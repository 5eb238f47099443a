/* Reads a table through the C ABI and throws the batches away: what the library costs, and nothing else.
 *
 *     read_split plan ENDPOINT TABLE SPLITS TOKEN-FILE               plans a read, as a coordinator does
 *     read_split read ENDPOINT TOKEN-FILE COMPRESSION THREADS        reads the planned splits, as a worker does
 *
 * Reading prints one line of JSON: splits, rows, batches, bytes on the wire and decoded, as the library counts them. Time and CPU are
 * measured from outside, by the driver. */
#include <inttypes.h>
#include <maxstorage.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const ms_session *session;
  const ms_options *options;
  atomic_int_fast64_t *next_split;
  int64_t rows, batches, received, decoded;
} reader;

static void fail(const char *what, ms_status status, ms_error *err) {
  fprintf(stderr, "read_split: %s: %s: %s\n", what, ms_status_name(status), ms_error_message(err));
  exit(EXIT_FAILURE);
}

#define TRY(call)                                            \
  do {                                                       \
    ms_error *err = NULL;                                    \
    const ms_status status = (call);                         \
    if (status != MS_OK) fail(#call, status, err);           \
  } while (0)

static int64_t metric(const ms_metrics *metrics, const char *name) {
  for (size_t i = 0; i < ms_metrics_count(metrics); i++)
    if (strcmp(ms_metrics_name(metrics, i), name) == 0) return ms_metrics_value(metrics, i);
  fprintf(stderr, "read_split: the library has no metric %s\n", name);
  exit(EXIT_FAILURE);
}

static void *read_splits(void *argument) {
  reader *self = argument;
  for (;;) {
    const int64_t index = atomic_fetch_add(self->next_split, 1);
    if (index >= ms_session_split_count(self->session)) return NULL;
    ms_split *split = NULL;
    ms_metrics *metrics = NULL;
    TRY(ms_split_open(self->session, index, self->options, &split, &err));
    for (struct ArrowArray batch;; batch.release(&batch)) {
      TRY(ms_split_next_batch(split, &batch, &err));
      if (batch.release == NULL) break;
      self->rows += batch.length;
      self->batches++;
    }
    TRY(ms_split_metrics(split, &metrics, &err));
    self->received += metric(metrics, "bytes_wire");
    self->decoded += metric(metrics, "bytes_decoded");
    ms_metrics_free(metrics);
    ms_split_free(split);
  }
}

/* The service runs with --no-auth; the signature is computed all the same, as it would be. */
static ms_client *open_client(ms_options *options, const char *endpoint) {
  const char *const settings[][2] = {{MS_OPT_ENDPOINT, endpoint}, {MS_OPT_ACCESS_KEY_ID, "local"}, {MS_OPT_ACCESS_KEY_SECRET, "local"}};
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) TRY(ms_options_set(options, settings[i][0], settings[i][1], &err));
  ms_client *client = NULL;
  TRY(ms_client_open(options, &client, &err));
  return client;
}

static FILE *open_file(const char *path, const char *mode) {
  FILE *file = fopen(path, mode);
  if (file != NULL) return file;
  perror(path);
  exit(EXIT_FAILURE);
}

static int plan(const char *endpoint, const char *table, const char *splits, const char *token_file) {
  ms_options *options = ms_options_new();
  ms_client *client = open_client(options, endpoint);
  ms_session *session = NULL;
  ms_bytes *token = NULL;
  TRY(ms_options_set(options, MS_OPT_TABLE, table, &err));
  TRY(ms_options_set(options, MS_OPT_SPLIT_MODE, "parallelism", &err));
  TRY(ms_options_set(options, MS_OPT_SPLIT_PARALLELISM, splits, &err));
  TRY(ms_session_open(client, options, NULL, &session, &err));
  TRY(ms_session_serialize(session, &token, &err));
  FILE *file = open_file(token_file, "wb");
  const bool written = fwrite(ms_bytes_data(token), 1, ms_bytes_len(token), file) == ms_bytes_len(token);
  const bool closed = fclose(file) == 0;
  ms_bytes_free(token);
  ms_session_free(session);
  ms_client_free(client);
  ms_options_free(options);
  return written && closed ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int read_planned(const char *endpoint, const char *token_file, const char *compression, long threads) {
  enum { MOST_THREADS = 64 };
  if (threads < 1 || threads > MOST_THREADS) return 2;
  static char token[1 << 20];
  FILE *file = open_file(token_file, "rb");
  const size_t token_length = fread(token, 1, sizeof token, file);
  fclose(file);

  ms_options *options = ms_options_new();
  ms_client *client = open_client(options, endpoint);
  ms_session *session = NULL;
  TRY(ms_options_set(options, MS_OPT_READ_COMPRESSION, compression, &err));
  TRY(ms_options_set(options, MS_OPT_READ_BATCH_ROWS, "4096", &err));
  TRY(ms_session_attach(client, token, token_length, &session, &err));

  atomic_int_fast64_t next_split = 0;
  pthread_t handles[MOST_THREADS];
  reader readers[MOST_THREADS], total = {0};
  for (long i = 0; i < threads; i++) {
    readers[i] = (reader){.session = session, .options = options, .next_split = &next_split};
    if (pthread_create(&handles[i], NULL, read_splits, &readers[i]) != 0) return EXIT_FAILURE;
  }
  for (long i = 0; i < threads; i++) {
    pthread_join(handles[i], NULL);
    total.rows += readers[i].rows;
    total.batches += readers[i].batches;
    total.received += readers[i].received;
    total.decoded += readers[i].decoded;
  }
  printf("{\"splits\": %" PRId64 ", \"rows\": %" PRId64 ", \"batches\": %" PRId64 ", \"received\": %" PRId64 ", \"decoded\": %" PRId64 "}\n",
         ms_session_split_count(session), total.rows, total.batches, total.received, total.decoded);
  ms_session_free(session);
  ms_client_free(client);
  ms_options_free(options);
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  if (argc == 6 && strcmp(argv[1], "plan") == 0) return plan(argv[2], argv[3], argv[4], argv[5]);
  if (argc == 6 && strcmp(argv[1], "read") == 0) return read_planned(argv[2], argv[3], argv[4], strtol(argv[5], NULL, 10));
  fputs("usage: read_split plan ENDPOINT TABLE SPLITS TOKEN-FILE\n"
        "       read_split read ENDPOINT TOKEN-FILE COMPRESSION THREADS\n",
        stderr);
  return 2;
}
