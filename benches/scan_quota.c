/* Reads a table over and over by one scan at a time, with one thread, and prints what arrives each second.
 *
 *     scan_quota ENDPOINT TABLE QUOTA REQUESTS SPLIT-ROWS REQUEST-ROWS SECONDS
 *
 * A first scan, whose bytes do not count, has the service encode the table. After it comes the line `ready`, then one line per second:
 * the second, megabytes (10^6) of wire that arrived in it, slots held, slots allowed (0 for no limit), refusals so far. */
#include <inttypes.h>
#include <maxstorage.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRY(call)                                                                                        \
  do {                                                                                                   \
    ms_error *err = NULL;                                                                                \
    const ms_status status = (call);                                                                     \
    if (status != MS_OK) {                                                                               \
      fprintf(stderr, "scan_quota: %s: %s: %s\n", #call, ms_status_name(status), ms_error_message(err)); \
      exit(EXIT_FAILURE);                                                                                \
    }                                                                                                    \
  } while (0)

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int64_t figure(ms_metrics *metrics, const char *name) {
  for (size_t i = 0; i < ms_metrics_count(metrics); i++)
    if (strcmp(ms_metrics_name(metrics, i), name) == 0) return ms_metrics_value(metrics, i);
  fprintf(stderr, "scan_quota: the library has no metric %s\n", name);
  exit(EXIT_FAILURE);
}

static int64_t wire_bytes(const ms_scan *scan) {
  ms_metrics *metrics = NULL;
  TRY(ms_scan_metrics(scan, &metrics, &err));
  const int64_t bytes = figure(metrics, "bytes_wire");
  ms_metrics_free(metrics);
  return bytes;
}

static void print_second(const ms_client *client, int second, int64_t bytes) {
  ms_metrics *metrics = NULL;
  TRY(ms_client_metrics(client, &metrics, &err));
  printf("%d %.1f %" PRId64 " %" PRId64 " %" PRId64 "\n", second, (double)bytes / 1e6, figure(metrics, "slots_held"),
         figure(metrics, "slots_limit"), figure(metrics, "refusals"));
  fflush(stdout);
  ms_metrics_free(metrics);
}

int main(int argc, char **argv) {
  if (argc != 8) return fputs("usage: scan_quota ENDPOINT TABLE QUOTA REQUESTS SPLIT-ROWS REQUEST-ROWS SECONDS\n", stderr), 2;
  const int seconds = atoi(argv[7]);
  ms_options *options = ms_options_new();
  const char *const settings[][2] = {{MS_OPT_ENDPOINT, argv[1]},         {MS_OPT_TABLE, argv[2]},
                                     {MS_OPT_QUOTA, argv[3]},            {MS_OPT_SCAN_CONCURRENCY, argv[4]},
                                     {MS_OPT_SPLIT_MODE, "row_offset"},  {MS_OPT_SPLIT_ROWS, argv[5]},
                                     {MS_OPT_READ_REQUEST_ROWS, argv[6]}, {MS_OPT_ACCESS_KEY_ID, "local"},
                                     {MS_OPT_ACCESS_KEY_SECRET, "local"}};
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) TRY(ms_options_set(options, settings[i][0], settings[i][1], &err));
  ms_client *client = NULL;
  ms_session *session = NULL;
  TRY(ms_client_open(options, &client, &err));
  TRY(ms_session_open(client, options, NULL, &session, &err));
  double start = 0;   /* when the second scan began; 0 during the first */
  int second = 0;
  int64_t before = 0; /* what was counted up to the last full second */
  int64_t ended = 0;  /* what the scans that are over have read */
  while (second < seconds) {
    ms_scan *scan = NULL;
    TRY(ms_scan_open(session, options, &scan, &err));
    for (struct ArrowArray batch; second < seconds; batch.release(&batch)) {
      TRY(ms_scan_next_batch(scan, &batch, NULL, &err));
      if (batch.release == NULL) break;
      while (start > 0 && now() - start >= second + 1 && second < seconds) {
        const int64_t bytes = ended + wire_bytes(scan);
        print_second(client, ++second, bytes - before);
        before = bytes;
      }
    }
    if (start > 0) {
      ended += wire_bytes(scan);
    } else {
      printf("ready, %.1f MB a scan\n", (double)wire_bytes(scan) / 1e6);
      fflush(stdout);
      start = now();
    }
    ms_scan_free(scan);
  }
  ms_session_free(session);
  ms_client_free(client);
  ms_options_free(options);
  return EXIT_SUCCESS;
}
