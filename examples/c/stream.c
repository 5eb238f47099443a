/* Hands a whole table to code that knows Arrow and nothing of this library.
 *
 *     stream ENDPOINT PROJECT.SCHEMA.TABLE
 *
 * `summarize` stands for that code: it gets an ArrowArrayStream and reads it to its end. Everything of the library is freed before, because
 * the stream keeps what it needs. Prints each column with its Arrow format and its nulls, then the rows. Credentials come from the
 * environment. */
#include <errno.h>
#include <inttypes.h>
#include <maxstorage.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any consumer of the Arrow C stream interface. Returns 0 or what the stream returned; does not release it. */
static int summarize(struct ArrowArrayStream *stream) {
  struct ArrowSchema schema;
  int failed = stream->get_schema(stream, &schema);
  if (failed != 0) return failed;
  int64_t rows = 0;
  int64_t *nulls = calloc((size_t)schema.n_children + 1, sizeof *nulls);
  if (nulls == NULL) failed = ENOMEM;
  while (failed == 0) {
    struct ArrowArray batch;
    failed = stream->get_next(stream, &batch);
    if (failed != 0 || batch.release == NULL) break;
    rows += batch.length;
    for (int64_t i = 0; i < batch.n_children; i++) nulls[i] += batch.children[i]->null_count;
    batch.release(&batch);
  }
  if (failed == 0) {
    for (int64_t i = 0; i < schema.n_children; i++)
      printf("%s: format %s, %" PRId64 " nulls\n", schema.children[i]->name, schema.children[i]->format, nulls[i]);
    printf("%" PRId64 " rows\n", rows);
  }
  free(nulls);
  schema.release(&schema);
  return failed;
}

/* Stops at the first call that fails; the caller frees what there is. */
#define TRY(call)                               \
  do {                                          \
    const ms_status try_status = (call);        \
    if (try_status != MS_OK) return try_status; \
  } while (0)

typedef struct {
  ms_options *options;
  ms_client *client;
  ms_session *session;
  ms_scan *scan;
} handles;

/* Plans the table and makes one stream of all its splits. */
static ms_status open_stream(handles *open, const char *endpoint, const char *table, struct ArrowArrayStream *stream, ms_error **err) {
  open->options = ms_options_new();
  TRY(ms_options_load_environment(open->options, err));
  TRY(ms_options_set(open->options, MS_OPT_ENDPOINT, endpoint, err));
  TRY(ms_options_set(open->options, MS_OPT_TABLE, table, err));
  TRY(ms_options_set(open->options, MS_OPT_SCAN_ORDERED, "true", err));
  TRY(ms_client_open(open->options, &open->client, err));
  TRY(ms_session_open(open->client, open->options, NULL, &open->session, err));
  TRY(ms_scan_open(open->session, open->options, &open->scan, err));
  ms_scan *scan = open->scan;
  open->scan = NULL; /* consumed by the next call, also if it fails */
  return ms_scan_export_stream(scan, stream, err);
}

int main(int argc, char **argv) {
  if (argc != 3) return fputs("usage: stream ENDPOINT PROJECT.SCHEMA.TABLE\n", stderr), 2;
  handles open = {NULL, NULL, NULL, NULL};
  struct ArrowArrayStream stream = {.release = NULL};
  ms_error *err = NULL;
  const ms_status status = open_stream(&open, argv[1], argv[2], &stream, &err);
  ms_scan_free(open.scan);
  ms_session_free(open.session);
  ms_client_free(open.client);
  ms_options_free(open.options);
  if (status != MS_OK) {
    fprintf(stderr, "stream: %s: %s (request id %s)\n", ms_status_name(status), ms_error_message(err), ms_error_request_id(err));
    ms_error_free(err);
    return EXIT_FAILURE;
  }
  const int failed = summarize(&stream);
  if (failed != 0) {
    const char *message = stream.get_last_error(&stream);
    fprintf(stderr, "stream: %s\n", message != NULL ? message : strerror(failed));
  }
  stream.release(&stream);
  return failed == 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
