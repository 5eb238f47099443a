/* Tables of a real service through every split mode, projection, partition, filter, compression and token. */
#include "service.h"

/* What was read: rows and the sum of the first column, which is a bigint in all tables used here. */
typedef struct {
  int64_t rows, sum, batches, splits;
} totals;

static void add_batch(totals *sum, const struct ArrowArray *batch) {
  const struct ArrowArray *keys = batch->children[0];
  const int64_t *values = (const int64_t *)keys->buffers[1] + keys->offset + batch->offset;
  for (int64_t i = 0; i < batch->length; i++) sum->sum += values[i];
  sum->rows += batch->length;
  sum->batches++;
}

static ms_status read_split(const ms_session *session, int64_t index, const ms_options *read, totals *sum) {
  ms_split *split = NULL;
  drop_error();
  ms_status status = ms_split_open(session, index, read, &split, &err);
  int64_t delivered = 0;
  while (status == MS_OK) {
    struct ArrowArray batch;
    status = ms_split_next_batch(split, &batch, &err);
    if (status != MS_OK || batch.release == NULL) break;
    if (batch.length == 0) check_fail(__FILE__, __LINE__, "an empty batch");
    add_batch(sum, &batch);
    delivered += batch.length;
    batch.release(&batch);
  }
  if (status == MS_OK) CHECK_INT(ms_split_rows_delivered(split), delivered);
  ms_split_free(split);
  sum->splits++;
  return status;
}

static ms_status read_session(const ms_session *session, const ms_options *read, totals *sum) {
  ms_status status = MS_OK;
  for (int64_t i = 0; status == MS_OK && i < ms_session_split_count(session); i++) status = read_split(session, i, read, sum);
  return status;
}

/* Opens client and session from options, reads all, frees all. */
static totals read_all(ms_options *options) {
  totals sum = {0};
  stack use = {.options = options};
  ms_status status = stack_open_session(&use);
  if (status == MS_OK) status = read_session(use.session, options, &sum);
  if (status != MS_OK) check_fail(__FILE__, __LINE__, "%s: %s", ms_status_name(status), ms_error_message(err));
  stack_free(&use);
  return sum;
}

static void set(ms_options *options, const char *key, const char *value) {
  const char *const pair[] = {key, value, NULL};
  if (set_all(options, pair) != MS_OK) check_fail(__FILE__, __LINE__, "%s=%s: %s", key, value, ms_error_message(err));
}

static void add_item(ms_options *options, const char *key, const char *value) {
  drop_error();
  if (ms_options_add(options, key, value, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s+=%s: %s", key, value, ms_error_message(err));
}

static ms_options *line_item(void) {
  ms_options *options = service_options("local.default.lineitem");
  add_item(options, MS_OPT_COLUMNS, "l_orderkey");
  return options;
}

static totals reference(void) { return read_all(line_item()); }

static void expect_reference(totals actual) {
  const totals expected = reference();
  CHECK_INT(expected.rows, LINEITEM_ROWS);
  CHECK_INT(actual.rows, expected.rows);
  CHECK_INT(actual.sum, expected.sum);
}

static void mode_size(void) {
  ms_options *options = line_item();
  set(options, MS_OPT_SPLIT_MODE, "size");
  set(options, MS_OPT_SPLIT_SIZE_BYTES, "10485760");
  expect_reference(read_all(options));
}

static void mode_parallelism(void) {
  ms_options *options = line_item();
  set(options, MS_OPT_SPLIT_MODE, "parallelism");
  set(options, MS_OPT_SPLIT_PARALLELISM, "3");
  const totals sum = read_all(options);
  CHECK(sum.splits >= 1 && sum.splits <= 3);
  expect_reference(sum);
}

static void mode_row_offset(void) {
  ms_options *options = line_item();
  set(options, MS_OPT_SPLIT_MODE, "row_offset");
  set(options, MS_OPT_SPLIT_ROWS, "7000");
  const totals sum = read_all(options);
  CHECK_INT(sum.splits, (LINEITEM_ROWS + 6999) / 7000);
  expect_reference(sum);
}

/* No table of the service is clustered yet: the mode reaches the service, which refuses it with a request id. */
static void mode_bucket_is_refused_for_a_table_that_is_not_clustered(void) {
  stack use = {.options = line_item()};
  set(use.options, MS_OPT_SPLIT_MODE, "bucket");
  const ms_status status = stack_open_session(&use);
  CHECK(status != MS_OK && status < 200); /* a mistake of the caller */
  CHECK(ms_error_request_id(err)[0] != '\0');
  CHECK_INT(ms_error_http_status(err), 400);
  stack_free(&use);
}

static void compressions_change_nothing(void) {
  const char *const codecs[] = {"none", "lz4", "zstd"};
  for (size_t i = 0; i < 3; i++) {
    ms_options *options = line_item();
    set(options, MS_OPT_READ_COMPRESSION, codecs[i]);
    expect_reference(read_all(options));
  }
}

static void batch_rows_is_an_upper_limit(void) {
  ms_options *options = line_item();
  set(options, MS_OPT_READ_BATCH_ROWS, "1000");
  const totals sum = read_all(options);
  CHECK(sum.batches >= LINEITEM_ROWS / 1000);
  expect_reference(sum);
}

static void projection_keeps_the_order_asked_for(void) {
  const char *const names[] = {"l_shipdate", "l_orderkey", "l_comment", "l_quantity"};
  const char *const formats[] = {"tdD", "l", "u", "d:15,2"};
  stack use = {.options = service_options("local.default.lineitem")};
  for (size_t i = 0; i < 4; i++) add_item(use.options, MS_OPT_COLUMNS, names[i]);
  CHECK_INT(stack_open(&use), MS_OK);
  for (int of_split = 0; of_split < 2; of_split++) { /* session and split agree */
    struct ArrowSchema schema = {0};
    drop_error();
    const ms_status status = of_split ? ms_split_schema(use.split, &schema, &err) : ms_session_schema(use.session, &schema, &err);
    CHECK_INT(status, MS_OK);
    CHECK_INT(schema.n_children, 4);
    for (int64_t i = 0; i < schema.n_children && i < 4; i++) {
      CHECK_TEXT(schema.children[i]->name, names[i]);
      CHECK_TEXT(schema.children[i]->format, formats[i]);
    }
    if (schema.release != NULL) schema.release(&schema);
  }
  stack_free(&use);
}

static void all_tables_have_their_rows(void) {
  const struct {
    const char *table;
    int64_t rows;
  } tables[] = {{"local.default.region", REGION_ROWS}, {"local.default.nation", NATION_ROWS}, {"local.default.supplier", 100},
                {"local.default.customer", 1500},      {"local.default.part", 2000},          {"local.default.partsupp", 8000},
                {"local.default.orders", ORDERS_ROWS}, {"local.default.lineitem", LINEITEM_ROWS}, {"local.orders_by_year", ORDERS_ROWS}};
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
    const totals sum = read_all(service_options(tables[i].table));
    if (sum.rows != tables[i].rows) check_fail(__FILE__, __LINE__, "%s has %" PRId64 " rows", tables[i].table, sum.rows);
  }
}

/* orders_by_year has one partition for each year from 1992 to 1998. */
static void partitions_add_up(void) {
  const totals whole = read_all(service_options("local.default.orders"));
  totals sum = {0};
  for (int year = 1992; year <= 1998; year++) {
    char spec[32];
    snprintf(spec, sizeof spec, "o_orderyear=%d", year);
    ms_options *options = service_options("local.default.orders_by_year");
    add_item(options, MS_OPT_PARTITIONS, spec);
    const totals part = read_all(options);
    CHECK(part.rows > 0);
    sum.rows += part.rows;
    sum.sum += part.sum;
  }
  CHECK_INT(sum.rows, whole.rows);
  CHECK_INT(sum.sum, whole.sum);
}

static void an_unknown_partition_is_not_found(void) {
  stack use = {.options = service_options("local.default.orders_by_year")};
  add_item(use.options, MS_OPT_PARTITIONS, "o_orderyear=1066");
  CHECK_INT(stack_open_session(&use), MS_NOT_FOUND);
  CHECK(ms_error_request_id(err)[0] != '\0');
  stack_free(&use);
}

/* A filter may only skip what does not match. The service prunes by blocks; nothing at all matches here. */
static void a_filter_that_nothing_satisfies_prunes_everything(void) {
  ms_options *options = line_item();
  set(options, MS_OPT_FILTER_TEXT, "`l_orderkey` < 0");
  CHECK_INT(read_all(options).rows, 0);
}

static void a_filter_keeps_what_matches(void) {
  ms_options *options = line_item();
  set(options, MS_OPT_FILTER_TEXT, "`l_orderkey` >= 0");
  expect_reference(read_all(options));
}

static void estimates_come_when_asked_for(void) {
  stack use = {.options = line_item()};
  set(use.options, MS_OPT_ESTIMATE_STATISTICS, "true");
  CHECK_INT(stack_open_session(&use), MS_OK);
  CHECK_INT(ms_session_estimated_rows(use.session), LINEITEM_ROWS);
  CHECK(ms_session_estimated_bytes(use.session) > 0);
  CHECK(ms_session_expires_at_ms(use.session) > (int64_t)time(NULL) * 1000);
  stack_free(&use);
}

/* Another worker attaches with the token and the connection's options alone; the token says nothing secret. */
static void carries_a_session_to_a_worker(ms_status (*serialize)(const ms_session *, ms_bytes **, ms_error **)) {
  stack planner = {.options = line_item()};
  CHECK_INT(stack_open_session(&planner), MS_OK);
  ms_bytes *token = NULL;
  drop_error();
  CHECK_INT(serialize(planner.session, &token, &err), MS_OK);
  const size_t length = ms_bytes_len(token);
  char *copy = malloc(length);
  REQUIRE(copy != NULL);
  memcpy(copy, ms_bytes_data(token), length);
  ms_bytes_free(token);
  stack_free(&planner); /* the planner is gone */

  stack worker = {.options = service_options("local.default.nation")}; /* the table comes from the token */
  drop_error();
  CHECK_INT(ms_client_open(worker.options, &worker.client, &err), MS_OK);
  CHECK_INT(ms_session_attach(worker.client, copy, length, &worker.session, &err), MS_OK);
  totals sum = {0};
  CHECK_INT(read_session(worker.session, NULL, &sum), MS_OK);
  expect_reference(sum);

  for (size_t at = 0; at < length; at += 7) { /* a damaged token is refused, never misread */
    ms_session *session = NULL;
    copy[at] = (char)(copy[at] ^ 0x20);
    drop_error();
    CHECK(ms_session_attach(worker.client, copy, length, &session, &err) != MS_OK);
    CHECK(session == NULL);
    copy[at] = (char)(copy[at] ^ 0x20);
    drop_error();
    CHECK(ms_session_attach(worker.client, copy, at, &session, &err) != MS_OK); /* nor a short one */
  }
  free(copy);
  stack_free(&worker);
}

static void a_token_carries_a_session_to_a_worker(void) { carries_a_session_to_a_worker(ms_session_serialize); }
static void a_json_token_carries_a_session_to_a_worker(void) { carries_a_session_to_a_worker(ms_session_serialize_json); }

/* The Arrow stream outlives everything it came from. */
static void an_exported_stream_delivers_the_same(void) {
  const totals expected = reference();
  stack use = {.options = line_item()};
  set(use.options, MS_OPT_SPLIT_MODE, "parallelism");
  set(use.options, MS_OPT_SPLIT_PARALLELISM, "1");
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArrayStream stream = {0};
  drop_error();
  CHECK_INT(ms_split_export_stream(use.split, &stream, &err), MS_OK);
  use.split = NULL; /* consumed */
  stack_free(&use);
  REQUIRE(stream.release != NULL);
  struct ArrowSchema schema;
  CHECK_INT(stream.get_schema(&stream, &schema), 0);
  CHECK_INT(schema.n_children, 1);
  schema.release(&schema);
  totals sum = {0};
  for (;;) {
    struct ArrowArray batch;
    CHECK_INT(stream.get_next(&stream, &batch), 0);
    if (batch.release == NULL) break;
    add_batch(&sum, &batch);
    batch.release(&batch);
  }
  CHECK(stream.get_last_error(&stream) == NULL);
  stream.release(&stream);
  CHECK_INT(sum.rows, expected.rows);
  CHECK_INT(sum.sum, expected.sum);
}

static void metrics_count_what_happened(void) {
  stack use = {.options = line_item()};
  CHECK_INT(stack_open(&use), MS_OK);
  int64_t rows = 0;
  CHECK_INT(drain(use.split, &rows), MS_OK);
  ms_metrics *metrics = NULL;
  drop_error();
  CHECK_INT(ms_split_metrics(use.split, &metrics, &err), MS_OK);
  bool has_rows = false, has_bytes = false;
  for (size_t i = 0; i < ms_metrics_count(metrics); i++) {
    CHECK(ms_metrics_name(metrics, i)[0] != '\0');
    CHECK(ms_metrics_unit(metrics, i)[0] != '\0');
    if (strcmp(ms_metrics_name(metrics, i), "rows") == 0) {
      has_rows = true;
      CHECK_INT(ms_metrics_value(metrics, i), rows);
    }
    if (strcmp(ms_metrics_name(metrics, i), "bytes_wire") == 0) {
      has_bytes = true;
      CHECK(ms_metrics_value(metrics, i) >= rows * 8);
    }
  }
  CHECK(has_rows);
  CHECK(has_bytes);
  ms_metrics_free(metrics);
  stack_free(&use);
}

int main(void) {
  RUN(mode_size);
  RUN(mode_parallelism);
  RUN(mode_row_offset);
  RUN(mode_bucket_is_refused_for_a_table_that_is_not_clustered);
  RUN(compressions_change_nothing);
  RUN(batch_rows_is_an_upper_limit);
  RUN(projection_keeps_the_order_asked_for);
  RUN(all_tables_have_their_rows);
  RUN(partitions_add_up);
  RUN(an_unknown_partition_is_not_found);
  RUN(a_filter_that_nothing_satisfies_prunes_everything);
  RUN(a_filter_keeps_what_matches);
  RUN(estimates_come_when_asked_for);
  RUN(a_token_carries_a_session_to_a_worker);
  RUN(a_json_token_carries_a_session_to_a_worker);
  RUN(an_exported_stream_delivers_the_same);
  RUN(metrics_count_what_happened);
  return check_end();
}
