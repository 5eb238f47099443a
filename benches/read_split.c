/* Reads a table through the C ABI and throws the batches away: what the library costs, and nothing else.
 *
 *     read_split plan ENDPOINT TABLE SPLITS TOKEN-FILE [PROTOCOL]                 plans a read, as a coordinator does
 *     read_split read ENDPOINT TOKEN-FILE COMPRESSION ROWS WAY THREADS TIMES      reads the planned splits, as a worker does
 *
 * ROWS is the number of rows of a batch. WAY is how an engine takes batches: `split` (each thread reads whole splits), `scan` (all
 * threads take from one scan) or `stream` (the Arrow C stream of a scan, one thread). Everything is read TIMES times.
 * Reading prints one line of JSON: what the library counts, and the threads and the peak memory of the process. Time and CPU are
 * measured from outside, by the driver. */
#include <inttypes.h>
#include <maxstorage.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 64 };

/* What is counted over all reads, by the names of the library's metrics. */
enum { ROWS, BATCHES, COUNTS = 6 };
static const char *const COUNTED[COUNTS] = {"rows", "batches", "bytes_wire", "bytes_decoded", "bytes_copied", "requests"};
static atomic_int_fast64_t counts[COUNTS];

typedef struct {
  const ms_session *session;
  const ms_options *options;
  atomic_int_fast64_t next_split;
  ms_scan *scan;
} work;

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

static void count(ms_metrics *metrics) {
  for (size_t counted = 0; counted < COUNTS; counted++) {
    size_t i = 0;
    while (i < ms_metrics_count(metrics) && strcmp(ms_metrics_name(metrics, i), COUNTED[counted]) != 0) i++;
    if (i == ms_metrics_count(metrics)) {
      fprintf(stderr, "read_split: the library has no metric %s\n", COUNTED[counted]);
      exit(EXIT_FAILURE);
    }
    atomic_fetch_add(&counts[counted], ms_metrics_value(metrics, i));
  }
  ms_metrics_free(metrics);
}

static void *read_splits(void *argument) {
  work *self = argument;
  for (;;) {
    const int64_t index = atomic_fetch_add(&self->next_split, 1);
    if (index >= ms_session_split_count(self->session)) return NULL;
    ms_split *split = NULL;
    ms_metrics *metrics = NULL;
    TRY(ms_split_open(self->session, index, self->options, &split, &err));
    for (struct ArrowArray batch;; batch.release(&batch)) {
      TRY(ms_split_next_batch(split, &batch, &err));
      if (batch.release == NULL) break;
    }
    TRY(ms_split_metrics(split, &metrics, &err));
    count(metrics);
    ms_split_free(split);
  }
}

static void *take_from_scan(void *argument) {
  const work *self = argument;
  for (struct ArrowArray batch;; batch.release(&batch)) {
    int64_t split;
    TRY(ms_scan_next_batch(self->scan, &batch, &split, &err));
    if (batch.release == NULL) return NULL;
  }
}

/* The stream takes the scan and its figures with it: rows and batches are counted here. */
static void read_stream(ms_scan *scan) {
  struct ArrowArrayStream stream;
  TRY(ms_scan_export_stream(scan, &stream, &err));
  for (struct ArrowArray batch;; batch.release(&batch)) {
    if (stream.get_next(&stream, &batch) != 0) {
      fprintf(stderr, "read_split: get_next: %s\n", stream.get_last_error(&stream));
      exit(EXIT_FAILURE);
    }
    if (batch.release == NULL) break;
    atomic_fetch_add(&counts[ROWS], batch.length);
    atomic_fetch_add(&counts[BATCHES], 1);
  }
  stream.release(&stream);
}

/* One thread is the main thread, as in the program that reads without the C boundary. */
static void on_threads(long threads, void *(*run)(void *), work *shared) {
  if (threads == 1) {
    run(shared);
    return;
  }
  pthread_t handles[MOST_THREADS];
  for (long i = 0; i < threads; i++)
    if (pthread_create(&handles[i], NULL, run, shared) != 0) exit(EXIT_FAILURE);
  for (long i = 0; i < threads; i++) pthread_join(handles[i], NULL);
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

static int plan(const char *endpoint, const char *table, const char *splits, const char *token_file, const char *protocol) {
  ms_options *options = ms_options_new();
  TRY(ms_options_set(options, MS_OPT_PROTOCOL, protocol, &err));
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

/* A line of what Linux says about this process: "Threads:", or "VmHWM:" in KiB, its peak memory. */
static long process_fact(const char *name) {
  char line[256];
  long fact = -1;
  FILE *file = open_file("/proc/self/status", "r");
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) fact = strtol(line + strlen(name), NULL, 10);
  fclose(file);
  return fact;
}

static int read_planned(char **arguments) {
  const char *const endpoint = arguments[0], *const token_file = arguments[1], *const way = arguments[4];
  const long threads = strtol(arguments[5], NULL, 10), times = strtol(arguments[6], NULL, 10);
  const bool by_split = strcmp(way, "split") == 0, by_stream = strcmp(way, "stream") == 0;
  if (threads < 1 || threads > MOST_THREADS || times < 1 || !(by_split || by_stream || strcmp(way, "scan") == 0)) return 2;
  static char token[1 << 20];
  FILE *file = open_file(token_file, "rb");
  const size_t token_length = fread(token, 1, sizeof token, file);
  fclose(file);

  ms_options *options = ms_options_new();
  ms_client *client = open_client(options, endpoint);
  ms_session *session = NULL;
  TRY(ms_options_set(options, MS_OPT_READ_COMPRESSION, arguments[2], &err));
  TRY(ms_options_set(options, MS_OPT_READ_BATCH_ROWS, arguments[3], &err));
  TRY(ms_session_attach(client, token, token_length, &session, &err));

  for (long i = 0; i < times; i++) {
    work shared = {.session = session, .options = options};
    if (by_split) {
      on_threads(threads, read_splits, &shared);
      continue;
    }
    ms_metrics *metrics = NULL;
    TRY(ms_scan_open(session, options, &shared.scan, &err));
    if (by_stream) {
      read_stream(shared.scan);
      continue;
    }
    on_threads(threads, take_from_scan, &shared);
    TRY(ms_scan_metrics(shared.scan, &metrics, &err));
    count(metrics);
    ms_scan_free(shared.scan);
  }
  printf("{\"splits\": %" PRId64 ", \"threads\": %ld, \"peak_kib\": %ld", ms_session_split_count(session), process_fact("Threads:"),
         process_fact("VmHWM:"));
  for (size_t i = 0; i < COUNTS; i++) printf(", \"%s\": %" PRId64, COUNTED[i], (int64_t)atomic_load(&counts[i]));
  printf("}\n");
  ms_session_free(session);
  ms_client_free(client);
  ms_options_free(options);
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  if ((argc == 6 || argc == 7) && strcmp(argv[1], "plan") == 0) return plan(argv[2], argv[3], argv[4], argv[5], argc == 7 ? argv[6] : "auto");
  if (argc == 9 && strcmp(argv[1], "read") == 0) return read_planned(argv + 2);
  fputs("usage: read_split plan ENDPOINT TABLE SPLITS TOKEN-FILE [PROTOCOL]\n"
        "       read_split read ENDPOINT TOKEN-FILE COMPRESSION ROWS split|scan|stream THREADS TIMES\n",
        stderr);
  return 2;
}
