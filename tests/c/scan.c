/* Scans over a real table: every row once for any number of threads, in both orders, as rows and as an Arrow stream. */
#include "service.h"

enum { SPLITS = 24, THREADS = 4 };
static const int64_t all_rows = 60175; /* lineitem of scale 0.01 */

static ms_session *open_session(stack *use) {
  use->options = service_options("local.default.lineitem");
  const char *const pairs[] = {MS_OPT_COLUMNS, "l_orderkey", MS_OPT_SPLIT_MODE, "row_offset", MS_OPT_SPLIT_ROWS, "2500", NULL};
  CHECK_INT(set_all(use->options, pairs), MS_OK);
  CHECK_INT(stack_open_session(use), MS_OK);
  return use->session;
}

typedef struct {
  const ms_scan *scan;
  int64_t rows, sum;
  ms_status status;
} taker;

static void add(taker *self, const struct ArrowArray *batch) {
  const struct ArrowArray *column = batch->children[0];
  const int64_t *values = column->buffers[1];
  for (int64_t i = 0; i < batch->length; i++) self->sum += values[batch->offset + column->offset + i];
  self->rows += batch->length;
}

static void *take_all(void *argument) {
  taker *self = argument;
  for (;;) {
    struct ArrowArray batch;
    int64_t split = 0;
    self->status = ms_scan_next_batch(self->scan, &batch, &split, NULL);
    if (self->status != MS_OK || batch.release == NULL) return NULL;
    add(self, &batch);
    batch.release(&batch);
  }
}

/* The checksum of the column, read split by split. */
static taker reference(const ms_session *session) {
  taker whole = {0};
  CHECK_INT(ms_session_split_count(session), SPLITS + 1);
  for (int64_t index = 0; index < ms_session_split_count(session); index++) {
    ms_split *split = NULL;
    struct ArrowArray batch;
    CHECK_INT(ms_split_open(session, index, NULL, &split, NULL), MS_OK);
    while (ms_split_next_batch(split, &batch, NULL) == MS_OK && batch.release != NULL) {
      add(&whole, &batch);
      batch.release(&batch);
    }
    ms_split_free(split);
  }
  CHECK_INT(whole.rows, all_rows);
  return whole;
}

static void threads_share_a_scan(const char *ordered) {
  stack use = {0};
  const ms_session *session = open_session(&use);
  const taker whole = reference(session);
  ms_options *read = ms_options_new();
  const char *const pairs[] = {MS_OPT_SCAN_ORDERED, ordered, MS_OPT_SCAN_CONCURRENCY, "6", MS_OPT_READ_COMPRESSION, "lz4", NULL};
  CHECK_INT(set_all(read, pairs), MS_OK);
  ms_scan *scan = NULL;
  CHECK_INT(ms_scan_open(session, read, &scan, &err), MS_OK);
  ms_options_free(read);
  pthread_t threads[THREADS];
  taker takers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    takers[i] = (taker){.scan = scan};
    if (pthread_create(&threads[i], NULL, take_all, &takers[i]) != 0) abort();
  }
  taker sum = {0};
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    CHECK_INT(takers[i].status, MS_OK);
    sum.rows += takers[i].rows;
    sum.sum += takers[i].sum;
  }
  CHECK_INT(sum.rows, whole.rows);
  CHECK_INT(sum.sum, whole.sum);
  CHECK(ms_scan_progress(scan) == 1.0);
  CHECK(ms_scan_all_requested(scan));
  ms_metrics *metrics = NULL;
  CHECK_INT(ms_scan_metrics(scan, &metrics, &err), MS_OK);
  CHECK(ms_metrics_count(metrics) > 0);
  ms_metrics_free(metrics);
  ms_scan_free(scan);
  stack_free(&use);
}

static void threads_share_an_unordered_scan(void) { threads_share_a_scan("false"); }
static void threads_share_an_ordered_scan(void) { threads_share_a_scan("true"); }

typedef struct {
  int calls;
  int64_t split, rows;
  ms_status outcome, called_back;
} ending;

static void note_end(void *context, int64_t split, ms_status outcome, const ms_metrics *metrics) {
  ending *self = context;
  self->calls++;
  self->split = split;
  self->outcome = outcome;
  self->rows = -1;
  for (size_t i = 0; i < ms_metrics_count(metrics); i++)
    if (strcmp(ms_metrics_name(metrics, i), "rows") == 0) self->rows = ms_metrics_value(metrics, i);
  self->called_back = ms_end_callbacks(); /* as every call of the library from inside a callback */
}

static void the_end_of_each_read_is_told_before_its_free_returns(void) {
  stack use = {0};
  const ms_session *session = open_session(&use);
  ms_options *read = ms_options_new();
  ending end = {0};
  CHECK_INT(ms_options_set_read_end_callback(read, note_end, &end, &err), MS_OK);
  ms_scan *scan = NULL;
  CHECK_INT(ms_scan_open(session, read, &scan, &err), MS_OK);
  taker all = {.scan = scan};
  take_all(&all);
  CHECK_INT(all.rows, all_rows);
  CHECK_INT(end.calls, 0);
  ms_scan_free(scan);
  CHECK_INT(end.calls, 1);
  CHECK_INT(end.split, -1);
  CHECK_INT(end.rows, all_rows);
  CHECK_INT(end.outcome, MS_OK);
  CHECK_INT(end.called_back, MS_WRONG_STATE);
  ms_split *split = NULL;
  CHECK_INT(ms_split_open(session, 3, read, &split, &err), MS_OK);
  ms_options_free(read);
  struct ArrowArrayStream stream;
  CHECK_INT(ms_split_export_stream(split, &stream, &err), MS_OK);
  CHECK_INT(end.calls, 1);
  stream.release(&stream);
  CHECK_INT(end.calls, 2);
  CHECK_INT(end.split, 3);
  CHECK_INT(end.rows, 0);
  CHECK_INT(end.outcome, MS_CANCELLED);
  stack_free(&use);
}

typedef struct {
  pthread_mutex_t lock;
  int plans, reads, wrong;
} span_counts;

static void count_span(void *context, const ms_span *span) {
  span_counts *self = context;
  const char *name = ms_span_text(span, "name");
  const bool is_read = strcmp(name, "maxstorage.read") == 0;
  char id[64];
  snprintf(id, sizeof id, "\"span_id\":\"%s\"", ms_span_text(span, "span_id"));
  const bool is_right = strcmp(ms_span_text(span, "trace_id"), "4bf92f3577b34da6a3ce929d0e0e4736") == 0 &&
                        strcmp(ms_span_text(span, "parent_span_id"), "00f067aa0ba902b7") == 0 && strstr(ms_span_json(span), id) != NULL &&
                        ms_span_number(span, "end_unix_ns") > ms_span_number(span, "start_unix_ns") && ms_span_number(span, "status") == MS_OK &&
                        ms_span_number(span, "bytes") > 0 && (ms_span_number(span, "split") >= 0) == is_read &&
                        strlen(ms_span_text(span, "request_id")) > 0 && ms_span_number(span, "no such field") == -1 &&
                        strcmp(ms_span_text(span, "bytes"), "") == 0 && strcmp(ms_span_text(span, NULL), "") == 0;
  pthread_mutex_lock(&self->lock);
  self->plans += strcmp(name, "maxstorage.plan") == 0;
  self->reads += is_read;
  self->wrong += !is_right;
  pthread_mutex_unlock(&self->lock);
}

static void each_request_is_told_as_a_span(void) {
  static span_counts counts = {.lock = PTHREAD_MUTEX_INITIALIZER}; /* a request may outlast the test */
  stack use = {.options = service_options("local.default.lineitem")};
  const char *const pairs[] = {MS_OPT_COLUMNS, "l_orderkey", MS_OPT_SPLIT_MODE, "row_offset", MS_OPT_SPLIT_ROWS, "2500",
                               MS_OPT_TRACE_PARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL};
  CHECK_INT(set_all(use.options, pairs), MS_OK);
  CHECK_INT(ms_options_set_span_callback(use.options, count_span, &counts, &err), MS_OK);
  CHECK_INT(stack_open_session(&use), MS_OK);
  ms_scan *scan = NULL;
  CHECK_INT(ms_scan_open(use.session, NULL, &scan, &err), MS_OK);
  taker all = {.scan = scan};
  take_all(&all);
  CHECK_INT(all.rows, all_rows);
  ms_scan_free(scan);
  pthread_mutex_lock(&counts.lock);
  CHECK(counts.plans >= 1);
  CHECK_INT(counts.reads, SPLITS + 1);
  CHECK_INT(counts.wrong, 0);
  pthread_mutex_unlock(&counts.lock);
  stack_free(&use);
}

static void an_ordered_scan_is_the_table_in_order(void) {
  stack use = {0};
  const ms_session *session = open_session(&use);
  ms_options *read = ms_options_new();
  const char *const pairs[] = {MS_OPT_SCAN_ORDERED, "true", NULL};
  CHECK_INT(set_all(read, pairs), MS_OK);
  ms_scan *scan = NULL;
  CHECK_INT(ms_scan_open(session, read, &scan, &err), MS_OK);
  ms_options_free(read);
  int64_t last = -1, rows = 0;
  for (;;) {
    struct ArrowArray batch;
    int64_t split = 0;
    CHECK_INT(ms_scan_next_batch(scan, &batch, &split, &err), MS_OK);
    if (batch.release == NULL) break;
    CHECK(split >= last);
    last = split;
    rows += batch.length;
    batch.release(&batch);
  }
  CHECK_INT(rows, all_rows);
  ms_scan_free(scan);
  stack_free(&use);
}

static void a_scan_as_an_arrow_stream(void) {
  stack use = {0};
  const ms_session *session = open_session(&use);
  ms_scan *scan = NULL;
  struct ArrowArrayStream stream;
  CHECK_INT(ms_scan_open(session, NULL, &scan, &err), MS_OK);
  stack_free(&use); /* the scan keeps what it needs */
  CHECK_INT(ms_scan_export_stream(scan, &stream, &err), MS_OK);
  struct ArrowSchema schema;
  CHECK_INT(stream.get_schema(&stream, &schema), 0);
  CHECK_INT(schema.n_children, 1);
  schema.release(&schema);
  int64_t rows = 0;
  for (;;) {
    struct ArrowArray batch;
    CHECK_INT(stream.get_next(&stream, &batch), 0);
    if (batch.release == NULL) break;
    rows += batch.length;
    batch.release(&batch);
  }
  CHECK_INT(rows, all_rows);
  stream.release(&stream);
}

/* What a scan still does when it is freed keeps nothing open, so the threads can be ended at once. */
static void nothing_is_left_of_a_scan_that_is_freed_in_mid_read(void) {
  for (int i = 0; i < 40; i++) {
    stack use = {0};
    const ms_session *session = open_session(&use);
    ms_options *read = ms_options_new();
    const char *const pairs[] = {MS_OPT_SCAN_ORDERED, i % 2 == 0 ? "true" : "false", NULL};
    CHECK_INT(set_all(read, pairs), MS_OK);
    ms_scan *scan = NULL;
    REQUIRE_OK(ms_scan_open(session, read, &scan, &err));
    ms_options_free(read);
    struct ArrowArray batch;
    REQUIRE_OK(ms_scan_next_batch(scan, &batch, NULL, &err));
    CHECK(batch.release != NULL);
    batch.release(&batch);
    ms_scan_free(scan);
    stack_free(&use);
    REQUIRE_OK(ms_shutdown(2000));
  }
}

int main(void) {
  RUN(threads_share_an_unordered_scan);
  RUN(threads_share_an_ordered_scan);
  RUN(an_ordered_scan_is_the_table_in_order);
  RUN(the_end_of_each_read_is_told_before_its_free_returns);
  RUN(each_request_is_told_as_a_span);
  RUN(a_scan_as_an_arrow_stream);
  RUN(nothing_is_left_of_a_scan_that_is_freed_in_mid_read);
  return check_end();
}
