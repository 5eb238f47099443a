/* The scenarios of ../scenarios.txt in C, against the service that ../run provides. */
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"

enum { LINEITEM_ROWS = 60175, RAMP_ROWS = 4000 };
static const int64_t orderkeys = 1802759573; /* sum of l_orderkey, as a split by split read and pyarrow find it */

static const char *endpoint(void) {
  const char *value = getenv("MS_TEST_ENDPOINT");
  if (value != NULL) return value;
  fprintf(stderr, "MS_TEST_ENDPOINT is not set: run this program through tests/conformance/run\n");
  exit(EXIT_FAILURE);
}

/* ---------------------------------------------------------------------------------------------------------------- one read at a time */

typedef struct {
  ms_options *options;
  ms_client *client;
  ms_session *session;
} plan;

static void set(ms_options *options, const char *key, const char *value) {
  drop_error();
  if (ms_options_set(options, key, value, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s: %s", key, ms_error_message(err));
}

/* Options for a table and further pairs of keys and values, ended by NULL. A key that holds a list may come several times. */
static ms_options *options_for(const char *table, const char *const *pairs) {
  ms_options *options = ms_options_new();
  set(options, MS_OPT_ENDPOINT, endpoint());
  set(options, MS_OPT_ACCESS_KEY_ID, "local");
  set(options, MS_OPT_ACCESS_KEY_SECRET, "local");
  set(options, MS_OPT_PROJECT, "local");
  set(options, MS_OPT_RETRY_INITIAL_BACKOFF_MS, "20");
  if (table != NULL) set(options, MS_OPT_TABLE, table);
  for (; pairs != NULL && pairs[0] != NULL; pairs += 2) {
    const bool list = strcmp(pairs[0], MS_OPT_COLUMNS) == 0 || strcmp(pairs[0], MS_OPT_PARTITIONS) == 0;
    drop_error();
    const ms_status status = (list ? ms_options_add : ms_options_set)(options, pairs[0], pairs[1], &err);
    if (status != MS_OK) check_fail(__FILE__, __LINE__, "%s: %s", pairs[0], ms_error_message(err));
  }
  return options;
}

static ms_status open_plan(plan *self, const char *table, const char *const *pairs) {
  *self = (plan){.options = options_for(table, pairs)};
  drop_error();
  ms_status status = ms_client_open(self->options, &self->client, &err);
  if (status == MS_OK) {
    drop_error();
    status = ms_session_open(self->client, self->options, NULL, &self->session, &err);
  }
  return status;
}

static void close_plan(plan *self) {
  ms_session_free(self->session);
  ms_client_free(self->client);
  ms_options_free(self->options);
}

/* What was read: rows, and the sum of the first column where that is of 64-bit integers. */
typedef struct {
  int64_t rows, sum, longest_batch, batches;
} tally;

static void count(tally *self, const struct ArrowArray *batch) {
  self->rows += batch->length;
  self->batches++;
  if (batch->length > self->longest_batch) self->longest_batch = batch->length;
  if (batch->n_children > 0 && batch->children[0]->n_buffers == 2) {
    const struct ArrowArray *column = batch->children[0];
    const int64_t *values = column->buffers[1];
    for (int64_t i = 0; i < batch->length; i++) self->sum += values[batch->offset + column->offset + i];
  }
}

static ms_status drain(ms_split *split, tally *into) {
  for (;;) {
    struct ArrowArray batch;
    drop_error();
    const ms_status status = ms_split_next_batch(split, &batch, &err);
    if (status != MS_OK || batch.release == NULL) return status;
    count(into, &batch);
    batch.release(&batch);
  }
}

static ms_status read_split(const plan *self, int64_t index, tally *into) {
  ms_split *split = NULL;
  drop_error();
  ms_status status = ms_split_open(self->session, index, self->options, &split, &err);
  if (status == MS_OK) status = drain(split, into);
  ms_split_free(split);
  return status;
}

static ms_status read_all(const plan *self, tally *into) {
  ms_status status = MS_OK;
  for (int64_t i = 0; status == MS_OK && i < ms_session_split_count(self->session); i++) status = read_split(self, i, into);
  return status;
}

/* Plans and reads a table; the error of a failure stays in `err`. */
static ms_status read_table(const char *table, const char *const *pairs, tally *into) {
  plan use;
  *into = (tally){0};
  ms_status status = open_plan(&use, table, pairs);
  if (status == MS_OK) status = read_all(&use, into);
  close_plan(&use);
  return status;
}

static void check_lineitem(const char *const *pairs) {
  tally all;
  CHECK_INT(read_table("lineitem", pairs, &all), MS_OK);
  CHECK_INT(all.rows, LINEITEM_ROWS);
  CHECK_INT(all.sum, orderkeys);
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ORDERKEY MS_OPT_COLUMNS, "l_orderkey"

/* ------------------------------------------------------------------------------------------------------------------------- reading */

static void versions(void) {
  CHECK_INT(ms_abi_version(), MS_ABI_VERSION);
  CHECK_TEXT(ms_version(), MS_VERSION);
  CHECK(strstr(ms_build_info(), MS_VERSION) != NULL);
  CHECK((ms_features() & (MS_FEATURE_SCANS | MS_FEATURE_PROTOCOL_2)) == (MS_FEATURE_SCANS | MS_FEATURE_PROTOCOL_2));
}

static void read_all_rows(void) { check_lineitem(PAIRS(ORDERKEY)); }

static void split_by_count(void) { check_lineitem(PAIRS(ORDERKEY, MS_OPT_SPLIT_MODE, "parallelism", MS_OPT_SPLIT_PARALLELISM, "8")); }

static void split_by_rows(void) {
  plan use;
  tally all = {0};
  CHECK_INT(open_plan(&use, "lineitem", PAIRS(ORDERKEY, MS_OPT_SPLIT_MODE, "row_offset", MS_OPT_SPLIT_ROWS, "2500")), MS_OK);
  CHECK_INT(ms_session_split_count(use.session), 25);
  for (int64_t i = 0; i < ms_session_split_count(use.session); i++) {
    tally one = {0};
    CHECK_INT(read_split(&use, i, &one), MS_OK);
    CHECK(one.rows <= 2500);
    all.rows += one.rows;
    all.sum += one.sum;
  }
  CHECK_INT(all.rows, LINEITEM_ROWS);
  CHECK_INT(all.sum, orderkeys);
  close_plan(&use);
}

static void split_by_bucket(void) {
  plan use;
  tally all = {0};
  CHECK_INT(open_plan(&use, "clustered", PAIRS(MS_OPT_SPLIT_MODE, "bucket")), MS_OK);
  CHECK_INT(ms_session_split_count(use.session), 8);
  CHECK_INT(read_all(&use, &all), MS_OK);
  CHECK_INT(all.rows, 100);
  CHECK_INT(all.sum, 4950);
  close_plan(&use);
}

static void projection(void) {
  plan use;
  struct ArrowSchema schema = {0};
  CHECK_INT(open_plan(&use, "nation", PAIRS(MS_OPT_COLUMNS, "n_name", MS_OPT_COLUMNS, "n_nationkey")), MS_OK);
  CHECK_INT(ms_session_schema(use.session, &schema, &err), MS_OK);
  CHECK_INT(schema.n_children, 2);
  if (schema.n_children == 2) {
    CHECK_TEXT(schema.children[0]->name, "n_name");
    CHECK_TEXT(schema.children[1]->name, "n_nationkey");
  }
  if (schema.release != NULL) schema.release(&schema);
  close_plan(&use);
}

static void splits_while_planning(void) {
  plan use = {.options = options_for("parted", PAIRS(MS_OPT_PLAN_WAIT, "first", MS_OPT_PLAN_PARTITIONS_PER_SESSION, "1"))};
  tally all = {0};
  REQUIRE_OK(ms_options_add(use.options, MS_OPT_PARTITIONS, "ds=20260101", &err));
  REQUIRE_OK(ms_options_add(use.options, MS_OPT_PARTITIONS, "ds=20260102", &err));
  REQUIRE_OK(ms_client_open(use.options, &use.client, &err));
  REQUIRE_OK(ms_session_open(use.client, use.options, NULL, &use.session, &err));
  int64_t known = 0, count = 0;
  bool complete = false;
  while (!complete) {
    REQUIRE_OK(ms_session_more_splits(use.session, known, 0, NULL, &count, &complete, &err));
    for (; known < count; known++) {
      ms_bytes *token = NULL;
      ms_session *attached = NULL;
      ms_split *split = NULL;
      REQUIRE_OK(ms_session_serialize_split(use.session, known, known % 2 == 1, &token, &err));
      REQUIRE_OK(ms_session_attach(use.client, ms_bytes_data(token), ms_bytes_len(token), &attached, &err));
      REQUIRE_OK(ms_split_open(attached, known, NULL, &split, &err));
      CHECK_INT(drain(split, &all), MS_OK);
      ms_split_free(split);
      ms_session_free(attached);
      ms_bytes_free(token);
    }
  }
  CHECK_INT(all.rows, 4000);
  CHECK_INT(all.sum, 2 * 499500 + 1999000);
  CHECK_INT(ms_session_try_more_splits(use.session, known, &count, &complete, &err), MS_OK);
  CHECK(complete && count == known && count == ms_session_split_count(use.session));
  close_plan(&use);
}

static void partitions(void) {
  plan use;
  tally all = {0};
  struct ArrowSchema schema = {0};
  CHECK_INT(open_plan(&use, "parted", PAIRS(MS_OPT_PARTITIONS, "ds=20260101")), MS_OK);
  CHECK_INT(ms_session_schema(use.session, &schema, &err), MS_OK);
  CHECK_INT(schema.n_children, 4);
  if (schema.n_children == 4) {
    CHECK_TEXT(schema.children[2]->name, "ds");
    CHECK_TEXT(schema.children[3]->name, "region");
  }
  if (schema.release != NULL) schema.release(&schema);
  CHECK_INT(read_all(&use, &all), MS_OK);
  CHECK_INT(all.rows, 2000);
  CHECK_INT(all.sum, 2 * 499500);
  close_plan(&use);
}

static void every_type(void) {
  static const char *const formats[] = {"c", "s", "i", "l", "f", "g", "b", "u", "u", "u", "z", "d:15,2", "d:38,0", "d:38,18", "tdD",
                                        "tsm:UTC", "tsn:UTC", "tsn:", "tiM", "tiD", "+l", "+m", "+s", "+l"};
  enum { COLUMNS = sizeof formats / sizeof *formats };
  plan use;
  struct ArrowSchema schema = {0};
  struct ArrowArray batch = {0};
  ms_split *split = NULL;
  CHECK_INT(open_plan(&use, "all_types", NULL), MS_OK);
  CHECK_INT(ms_session_schema(use.session, &schema, &err), MS_OK);
  CHECK_INT(schema.n_children, COLUMNS);
  for (int64_t i = 0; i < schema.n_children && i < COLUMNS; i++) CHECK_TEXT(schema.children[i]->format, formats[i]);
  if (schema.release != NULL) schema.release(&schema);
  CHECK_INT(ms_split_open(use.session, 0, NULL, &split, &err), MS_OK);
  CHECK_INT(ms_split_next_batch(split, &batch, &err), MS_OK);
  CHECK_INT(batch.length, 4);
  for (int64_t i = 0; i < batch.n_children; i++) { /* the third row is NULL, the others are not */
    CHECK_INT(batch.children[i]->null_count, 1);
    const unsigned char *validity = batch.children[i]->buffers[0];
    if (validity != NULL) CHECK_INT(validity[0] & 15, 11);
  }
  if (batch.release != NULL) batch.release(&batch);
  ms_split_free(split);
  close_plan(&use);
}

static void large_offsets(void) {
  static const char *const formats[] = {"U", "Z", "+L", "+m", "+s"};
  static const char last[] = "Gr\xc3\xb6\xc3\x9f" "e \xe6\x95\xb0\xe6\x8d\xae \xf0\x9f\xa6\x80";
  plan use;
  struct ArrowSchema schema = {0};
  struct ArrowArray batch = {0};
  ms_split *split = NULL;
  CHECK_INT(open_plan(&use, "all_types",
                      PAIRS(MS_OPT_TYPES_LARGE_OFFSETS, "true", MS_OPT_COLUMNS, "c_string", MS_OPT_COLUMNS, "c_binary", MS_OPT_COLUMNS,
                            "c_array", MS_OPT_COLUMNS, "c_map", MS_OPT_COLUMNS, "c_struct")),
            MS_OK);
  CHECK_INT(ms_session_schema(use.session, &schema, &err), MS_OK);
  CHECK_INT(schema.n_children, 5);
  for (int64_t i = 0; i < schema.n_children && i < 5; i++) CHECK_TEXT(schema.children[i]->format, formats[i]);
  if (schema.release != NULL) schema.release(&schema);
  CHECK_INT(ms_split_open(use.session, 0, NULL, &split, &err), MS_OK);
  CHECK_INT(ms_split_next_batch(split, &batch, &err), MS_OK);
  CHECK_INT(batch.length, 4);
  if (batch.n_children == 5) {
    const int64_t *texts = batch.children[0]->buffers[1], *bytes = batch.children[1]->buffers[1], *lists = batch.children[2]->buffers[1];
    const int64_t length = texts[4] - texts[3]; /* of the last text */
    CHECK_INT(length, (int64_t)sizeof last - 1);
    CHECK(memcmp((const char *)batch.children[0]->buffers[2] + texts[3], last, sizeof last - 1) == 0);
    CHECK_INT(bytes[4] - bytes[0], 2 + 256);
    CHECK_INT(lists[4] - lists[0], 3 + 1);
  }
  if (batch.release != NULL) batch.release(&batch);
  ms_split_free(split);
  close_plan(&use);
}

/* How many rows of orders have the priority 1-URGENT, of an Arrow stream, and the most texts that a batch has. */
static int64_t urgent(const char *const *pairs, const char *format, int64_t *texts) {
  static const char wanted[] = "1-URGENT";
  plan use;
  ms_scan *scan = NULL;
  struct ArrowArrayStream batches = {0};
  struct ArrowSchema schema = {0};
  int64_t found = 0, rows = 0;
  drop_error();
  if (open_plan(&use, "orders", pairs) != MS_OK || ms_scan_open(use.session, NULL, &scan, &err) != MS_OK ||
      ms_scan_export_stream(scan, &batches, &err) != MS_OK || batches.get_schema(&batches, &schema) != 0) {
    check_fail(__FILE__, __LINE__, "no stream: %s", ms_error_message(err));
    close_plan(&use);
    return -1;
  }
  CHECK_TEXT(schema.children[1]->format, format);
  CHECK_INT(schema.children[1]->dictionary != NULL, *format == 'i');
  if (schema.children[1]->dictionary != NULL) CHECK_TEXT(schema.children[1]->dictionary->format, "u");
  for (struct ArrowArray batch; batches.get_next(&batches, &batch) == 0 && batch.release != NULL; batch.release(&batch)) {
    const struct ArrowArray *dictionary = batch.children[1]->dictionary;
    if (dictionary != NULL && dictionary->length > *texts) *texts = dictionary->length;
    size_t size = 0;
    CHECK_INT(ms_column_strings_size(&schema, &batch, 1, 0, batch.length, &size, NULL), MS_OK);
    char *bytes = malloc(size + 1);
    uint32_t *ends = malloc((size_t)batch.length * sizeof *ends), start = 0;
    CHECK_INT(ms_column_copy_strings(&schema, &batch, 1, 0, batch.length, 0, bytes, size, ends, (size_t)batch.length, NULL), MS_OK);
    for (int64_t i = 0; i < batch.length; start = ends[i++])
      found += ends[i] - start == sizeof wanted - 1 && memcmp(bytes + start, wanted, sizeof wanted - 1) == 0;
    rows += batch.length;
    free(ends);
    free(bytes);
  }
  CHECK_INT(rows, 15000);
  schema.release(&schema);
  batches.release(&batches);
  close_plan(&use);
  return found;
}

static void dictionaries(void) {
  int64_t texts = 0, none = 0;
  const int64_t plain = urgent(PAIRS(MS_OPT_COLUMNS, "o_orderkey", MS_OPT_COLUMNS, "o_orderpriority"), "u", &none);
  const int64_t keyed = urgent(PAIRS(MS_OPT_COLUMNS, "o_orderkey", MS_OPT_COLUMNS, "o_orderpriority", MS_OPT_TYPES_DICTIONARY, "o_orderpriority"), "i", &texts);
  CHECK(plain > 2000 && none == 0);
  CHECK_INT(keyed, plain);
  CHECK_INT(texts, 5);
}

static void time_zone(void) {
  static const char *const formats[] = {"tsm:Asia/Shanghai", "tsn:Asia/Shanghai", "tsn:"};
  int64_t values[2][3][4] = {{{0}}};
  for (int zoned = 0; zoned < 2; zoned++) {
    plan use;
    struct ArrowSchema schema = {0};
    struct ArrowArray batch = {0};
    ms_split *split = NULL;
    CHECK_INT(open_plan(&use, "all_types",
                        PAIRS(MS_OPT_COLUMNS, "c_datetime", MS_OPT_COLUMNS, "c_timestamp", MS_OPT_COLUMNS, "c_timestamp_ntz",
                              MS_OPT_TYPES_TIME_ZONE, zoned ? "Asia/Shanghai" : "UTC")),
              MS_OK);
    REQUIRE_OK(ms_session_schema(use.session, &schema, &err));
    REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
    REQUIRE_OK(ms_split_next_batch(split, &batch, &err));
    REQUIRE(batch.length == 4 && batch.n_children == 3);
    for (int64_t i = 0; i < 3; i++) {
      if (zoned) CHECK_TEXT(schema.children[i]->format, formats[i]);
      CHECK_INT(ms_column_copy_values(&schema, &batch, i, 0, 4, values[zoned][i], sizeof values[zoned][i], NULL), MS_OK);
    }
    batch.release(&batch);
    schema.release(&schema);
    ms_split_free(split);
    close_plan(&use);
  }
  CHECK(memcmp(values[0], values[1], sizeof values[0]) == 0);
}

static void lz4(void) { check_lineitem(PAIRS(ORDERKEY, MS_OPT_READ_COMPRESSION, "lz4")); }
static void zstd(void) { check_lineitem(PAIRS(ORDERKEY, MS_OPT_READ_COMPRESSION, "zstd")); }

static void batch_rows(void) {
  tally all;
  CHECK_INT(read_table("orders", PAIRS(MS_OPT_COLUMNS, "o_orderkey", MS_OPT_READ_BATCH_ROWS, "100"), &all), MS_OK);
  CHECK_INT(all.rows, 15000);
  CHECK(all.longest_batch <= 100);
  plan use;
  ms_split *split = NULL;
  ms_scan *scan = NULL;
  struct ArrowArray batch;
  CHECK_INT(open_plan(&use, "orders", PAIRS(MS_OPT_COLUMNS, "o_orderkey", MS_OPT_SPLIT_MODE, "parallelism", MS_OPT_SPLIT_PARALLELISM, "1")), MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, use.options, &split, &err));
  REQUIRE_OK(ms_scan_open(use.session, use.options, &scan, &err));
  static const int64_t limits[][4] = {{5, 0, 5, 5}, {2, 0, 2, 2}, {0, 80, 1, 10}, {0, 0, 100, 1 << 20}}; /* rows, bytes, at least, at most */
  for (int i = 0; i < 4; i++) {
    REQUIRE_OK(ms_split_set_batch_limits(split, limits[i][0], limits[i][1], &err));
    REQUIRE_OK(ms_split_next_batch(split, &batch, &err));
    CHECK(batch.length >= limits[i][2] && batch.length <= limits[i][3]);
    batch.release(&batch);
    REQUIRE_OK(ms_scan_set_batch_limits(scan, limits[i][0], limits[i][1], &err));
    REQUIRE_OK(ms_scan_next_batch(scan, &batch, NULL, &err));
    CHECK(batch.length >= limits[i][2] && batch.length <= limits[i][3]);
    batch.release(&batch);
  }
  CHECK_INT(ms_split_set_batch_limits(split, -1, 0, NULL), MS_INVALID_ARGUMENT);
  CHECK_INT(ms_scan_set_batch_limits(scan, 0, -1, NULL), MS_INVALID_ARGUMENT);
  ms_split_free(split);
  ms_scan_free(scan);
  close_plan(&use);
}

static void row_range(void) {
  plan use;
  ms_split *split = NULL;
  tally some = {0};
  CHECK_INT(open_plan(&use, "ramp", PAIRS(MS_OPT_SPLIT_MODE, "parallelism", MS_OPT_SPLIT_PARALLELISM, "1", MS_OPT_READ_START_ROW, "1000",
                                          MS_OPT_READ_ROW_COUNT, "500")),
            MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, use.options, &split, &err));
  CHECK_INT(drain(split, &some), MS_OK);
  CHECK_INT(some.rows, 500);
  CHECK_INT(some.sum, 500 * (1000 + 1499) / 2);
  CHECK_INT(ms_split_rows_delivered(split), 500);
  ms_split_free(split);
  close_plan(&use);
}

static void protocol_2(void) { check_lineitem(PAIRS(ORDERKEY, MS_OPT_PROTOCOL, "2")); }

static void empty_table(void) {
  tally all;
  CHECK_INT(read_table("empty", NULL, &all), MS_OK);
  CHECK_INT(all.rows, 0);
  CHECK_INT(all.batches, 0);
}

static void token(void) {
  plan use, other;
  tally all = {0};
  ms_bytes *bytes = NULL;
  CHECK_INT(open_plan(&use, "lineitem", PAIRS(ORDERKEY)), MS_OK);
  CHECK_INT(ms_session_serialize(use.session, &bytes, &err), MS_OK);
  close_plan(&use);
  other = (plan){.options = options_for(NULL, NULL)};
  CHECK_INT(ms_client_open(other.options, &other.client, &err), MS_OK);
  CHECK_INT(ms_session_attach(other.client, ms_bytes_data(bytes), ms_bytes_len(bytes), &other.session, &err), MS_OK);
  CHECK_INT(read_all(&other, &all), MS_OK);
  CHECK_INT(all.rows, LINEITEM_ROWS);
  CHECK_INT(all.sum, orderkeys);
  ms_bytes_free(bytes);
  close_plan(&other);
}

static void json_token(void) {
  plan use;
  tally all = {0};
  ms_bytes *bytes = NULL;
  CHECK_INT(open_plan(&use, "lineitem", PAIRS(ORDERKEY)), MS_OK);
  REQUIRE_OK(ms_session_serialize_json(use.session, &bytes, &err));
  close_plan(&use);
  static const char before[] = "{\n \"@type\" : \"split\" , ";
  const size_t length = sizeof before - 2 + ms_bytes_len(bytes);
  char *anew = malloc(length + 1);
  REQUIRE(anew != NULL);
  snprintf(anew, length + 1, "%s%.*s", before, (int)ms_bytes_len(bytes) - 1, (const char *)ms_bytes_data(bytes) + 1);
  ms_bytes_free(bytes);
  plan other = {.options = options_for(NULL, NULL)};
  CHECK_INT(ms_client_open(other.options, &other.client, &err), MS_OK);
  CHECK_INT(ms_session_attach(other.client, anew, length, &other.session, &err), MS_OK);
  CHECK_INT(read_all(&other, &all), MS_OK);
  CHECK_INT(all.rows, LINEITEM_ROWS);
  CHECK_INT(all.sum, orderkeys);
  char *table = strstr(anew, "lineitem");
  REQUIRE(table != NULL);
  table[7] = 'x';
  ms_session *session = NULL;
  CHECK_FAILS(ms_session_attach(other.client, anew, length, &session, &err), MS_INVALID_ARGUMENT);
  free(anew);
  close_plan(&other);
}

static void damaged_token(void) {
  plan use;
  ms_bytes *bytes = NULL;
  ms_session *session = NULL;
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  REQUIRE_OK(ms_session_serialize(use.session, &bytes, &err));
  const size_t length = ms_bytes_len(bytes);
  char *copy = malloc(length);
  REQUIRE(copy != NULL);
  memcpy(copy, ms_bytes_data(bytes), length);
  copy[length / 2] ^= 1;
  CHECK_FAILS(ms_session_attach(use.client, copy, length, &session, &err), MS_INVALID_ARGUMENT);
  free(copy);
  ms_bytes_free(bytes);
  close_plan(&use);
}

typedef struct {
  const ms_scan *scan;
  tally all;
  int64_t last_split;
  bool in_order;
  ms_status status;
} taker;

static void *take_all(void *argument) {
  taker *self = argument;
  for (;;) {
    struct ArrowArray batch;
    int64_t split = -1;
    self->status = ms_scan_next_batch(self->scan, &batch, &split, NULL);
    if (self->status != MS_OK || batch.release == NULL) return NULL;
    self->in_order = self->in_order && split >= self->last_split;
    self->last_split = split;
    count(&self->all, &batch);
    batch.release(&batch);
  }
}

/* Reads lineitem by a scan with some threads. */
static taker scan_with(int threads, const char *ordered) {
  enum { MOST = 4 };
  plan use;
  ms_scan *scan = NULL;
  taker takers[MOST], sum = {.in_order = true};
  pthread_t ids[MOST];
  CHECK_INT(open_plan(&use, "lineitem", PAIRS(ORDERKEY, MS_OPT_SPLIT_MODE, "row_offset", MS_OPT_SPLIT_ROWS, "5000", MS_OPT_SCAN_ORDERED, ordered)),
            MS_OK);
  CHECK_INT(ms_scan_open(use.session, use.options, &scan, &err), MS_OK);
  for (int i = 0; i < threads; i++) {
    takers[i] = (taker){.scan = scan, .in_order = true};
    if (pthread_create(&ids[i], NULL, take_all, &takers[i]) != 0) abort();
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    CHECK_INT(takers[i].status, MS_OK);
    sum.all.rows += takers[i].all.rows;
    sum.all.sum += takers[i].all.sum;
    sum.in_order = sum.in_order && takers[i].in_order;
  }
  CHECK_INT(sum.all.rows, LINEITEM_ROWS);
  CHECK_INT(sum.all.sum, orderkeys);
  ms_scan_free(scan);
  close_plan(&use);
  return sum;
}

static void scan_unordered(void) { scan_with(1, "false"); }
static void scan_ordered(void) { CHECK(scan_with(1, "true").in_order); }
static void scan_threads(void) { scan_with(4, "false"); }

static void stream(void) {
  plan use;
  ms_scan *scan = NULL;
  struct ArrowArrayStream batches;
  tally all = {0};
  CHECK_INT(open_plan(&use, "lineitem", PAIRS(ORDERKEY)), MS_OK);
  REQUIRE_OK(ms_scan_open(use.session, NULL, &scan, &err));
  REQUIRE_OK(ms_scan_export_stream(scan, &batches, &err));
  for (;;) {
    struct ArrowArray batch;
    REQUIRE(batches.get_next(&batches, &batch) == 0);
    if (batch.release == NULL) break;
    count(&all, &batch);
    batch.release(&batch);
  }
  batches.release(&batches);
  CHECK_INT(all.rows, LINEITEM_ROWS);
  CHECK_INT(all.sum, orderkeys);
  close_plan(&use);
}

static void batches_outlive_owners(void) {
  plan use;
  ms_split *split = NULL;
  struct ArrowArray batch;
  tally all = {0};
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  REQUIRE_OK(ms_split_next_batch(split, &batch, &err));
  ms_split_free(split);
  close_plan(&use);
  REQUIRE(batch.release != NULL);
  count(&all, &batch);
  batch.release(&batch);
  CHECK_INT(all.rows, 25);
  CHECK_INT(all.sum, 300); /* n_nationkey is 0 to 24 */
}

/* In C the language sees what the library put there; what can be shown is that a scan of one split does not move the values either. */
static void no_copy(void) {
  plan use;
  ms_split *split = NULL;
  struct ArrowArrayStream batches;
  struct ArrowArray batch;
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  ms_metrics *metrics = NULL;
  REQUIRE_OK(ms_split_export_stream(split, &batches, &err));
  CHECK_INT(batches.get_next(&batches, &batch), 0);
  REQUIRE(batch.release != NULL);
  CHECK_INT((uintptr_t)batch.children[0]->buffers[1] % 8, 0);
  batch.release(&batch);
  batches.release(&batches);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  tally all = {0};
  CHECK_INT(drain(split, &all), MS_OK);
  REQUIRE_OK(ms_split_metrics(split, &metrics, &err));
  for (size_t i = 0; i < ms_metrics_count(metrics); i++)
    if (strcmp(ms_metrics_name(metrics, i), "bytes_copied") == 0) CHECK_INT(ms_metrics_value(metrics, i), 0);
  ms_metrics_free(metrics);
  ms_split_free(split);
  close_plan(&use);
}

/* -------------------------------------------------------------------------------------------------- without blocking, and cancelling */

static void polling(void) {
  plan use;
  tally all = {0};
  CHECK_INT(open_plan(&use, "lineitem", PAIRS(ORDERKEY)), MS_OK);
  for (int64_t i = 0; i < ms_session_split_count(use.session); i++) {
    ms_split *split = NULL;
    REQUIRE_OK(ms_split_open(use.session, i, NULL, &split, &err));
    struct pollfd ready = {.fd = ms_split_ready_fd(split), .events = POLLIN};
    for (;;) {
      struct ArrowArray batch;
      const ms_status status = ms_split_try_next_batch(split, &batch, NULL);
      if (status == MS_PENDING) {
        CHECK_INT(poll(&ready, 1, 10000), 1);
        continue;
      }
      CHECK_INT(status, MS_OK);
      if (batch.release == NULL) break;
      count(&all, &batch);
      batch.release(&batch);
    }
    ms_split_free(split);
  }
  CHECK_INT(all.rows, LINEITEM_ROWS);
  CHECK_INT(all.sum, orderkeys);
  close_plan(&use);
}

static void count_wakes(void *wakes) { atomic_fetch_add((atomic_int *)wakes, 1); }

static void scan_polling(void) {
  plan use;
  tally all = {0};
  atomic_int wakes = 0;
  ms_scan *scan = NULL;
  CHECK_INT(open_plan(&use, "lineitem", PAIRS(ORDERKEY)), MS_OK);
  REQUIRE_OK(ms_scan_open(use.session, NULL, &scan, &err));
  REQUIRE_OK(ms_scan_set_waker(scan, count_wakes, &wakes, &err));
  struct pollfd ready = {.fd = ms_scan_ready_fd(scan), .events = POLLIN};
  int pending = 0;
  for (;;) {
    struct ArrowArray batch;
    int64_t split = 7;
    const ms_status status = ms_scan_try_next_batch(scan, &batch, &split, NULL);
    if (status == MS_PENDING) {
      pending++;
      CHECK_INT(poll(&ready, 1, 10000), 1);
      continue;
    }
    CHECK_INT(status, MS_OK);
    CHECK_INT(split >= 0, batch.release != NULL);
    if (batch.release == NULL) break;
    count(&all, &batch);
    batch.release(&batch);
  }
  CHECK(pending == 0 || atomic_load(&wakes) > 0);
  CHECK_INT(all.rows, LINEITEM_ROWS);
  CHECK_INT(all.sum, orderkeys);
  ms_scan_free(scan);
  close_plan(&use);
}

typedef struct {
  ms_split *split;
  ms_scan *scan;
  ms_status status;
  int64_t woke_ms;
} sleeper;

static void *sleep_in_read(void *argument) {
  sleeper *self = argument;
  struct ArrowArray batch;
  self->status = self->split != NULL ? ms_split_next_batch(self->split, &batch, NULL) : ms_scan_next_batch(self->scan, &batch, NULL, NULL);
  self->woke_ms = now_ms();
  return NULL;
}

static void cancel_a_stalled(bool scan) {
  plan use;
  sleeper reader = {0};
  pthread_t id;
  CHECK_INT(open_plan(&use, "fault_stall", NULL), MS_OK);
  if (scan) {
    REQUIRE_OK(ms_scan_open(use.session, NULL, &reader.scan, &err));
  } else {
    REQUIRE_OK(ms_split_open(use.session, 0, NULL, &reader.split, &err));
  }
  if (pthread_create(&id, NULL, sleep_in_read, &reader) != 0) abort();
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  const int64_t begin = now_ms();
  ms_split_cancel(reader.split);
  ms_scan_cancel(reader.scan);
  pthread_join(id, NULL);
  CHECK_INT(reader.status, MS_CANCELLED);
  CHECK(reader.woke_ms - begin < limit_ms(1000));
  ms_split_free(reader.split);
  ms_scan_free(reader.scan);
  close_plan(&use);
}

static void cancel_wakes(void) { cancel_a_stalled(false); }
static void cancel_scan(void) { cancel_a_stalled(true); }

static void cancel_stays(void) {
  plan use;
  ms_split *split = NULL;
  struct ArrowArray batch;
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  ms_split_cancel(split);
  for (int i = 0; i < 3; i++) CHECK_FAILS(ms_split_next_batch(split, &batch, &err), MS_CANCELLED);
  ms_split_free(split);
  close_plan(&use);
}

static void cancel_reads(void) {
  plan use;
  ms_split *split = NULL, *late = NULL;
  ms_scan *scan = NULL;
  ms_cancel *cancel = ms_cancel_new();
  struct ArrowArray batch;
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &late, &err));
  REQUIRE_OK(ms_scan_open(use.session, NULL, &scan, &err));
  REQUIRE_OK(ms_cancel_arm(cancel, use.client, &err));
  REQUIRE_OK(ms_cancel_add_split(cancel, split, &err));
  REQUIRE_OK(ms_cancel_add_scan(cancel, scan, &err));
  ms_cancel_from_signal(NULL);
  ms_cancel_now(cancel);
  REQUIRE_OK(ms_cancel_add_split(cancel, late, &err));
  CHECK_FAILS(ms_split_next_batch(split, &batch, &err), MS_CANCELLED);
  CHECK_FAILS(ms_split_next_batch(late, &batch, &err), MS_CANCELLED);
  CHECK_FAILS(ms_scan_next_batch(scan, &batch, NULL, &err), MS_CANCELLED);
  ms_split_free(split);
  ms_split_free(late);
  ms_scan_free(scan);
  ms_cancel_free(cancel);
  close_plan(&use);
}

typedef struct {
  plan *use;
  ms_cancel *cancel;
  ms_status status;
  int64_t woke_ms;
} planner;

static void *plan_slowly(void *argument) {
  planner *self = argument;
  self->status = ms_session_open_cancellable(self->use->client, self->use->options, NULL, self->cancel, &self->use->session, NULL);
  self->woke_ms = now_ms();
  return NULL;
}

static void cancel_planning(void) {
  plan use = {.options = options_for("fault_plan", NULL)};
  planner waiting = {.use = &use, .cancel = ms_cancel_new()};
  pthread_t id;
  REQUIRE_OK(ms_client_open(use.options, &use.client, &err));
  if (pthread_create(&id, NULL, plan_slowly, &waiting) != 0) abort();
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  const int64_t begin = now_ms();
  ms_cancel_now(waiting.cancel);
  pthread_join(id, NULL);
  CHECK_INT(waiting.status, MS_CANCELLED);
  CHECK(waiting.woke_ms - begin < limit_ms(1000));
  ms_cancel_free(waiting.cancel);
  close_plan(&use);
}

static void calls_end(void) {
  plan use;
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  ms_options *slow = options_for("fault_plan", NULL);
  ms_cancel *cancel = ms_cancel_new();
  ms_client *bounded = NULL;
  ms_session *session = NULL;
  REQUIRE_OK(ms_client_with_cancel(use.client, cancel, &bounded, &err));
  REQUIRE_OK(ms_cancel_set_deadline_ms(cancel, now_ms() + 200, &err));
  CHECK_FAILS(ms_session_open(bounded, slow, NULL, &session, &err), MS_DEADLINE_EXCEEDED);
  CHECK_FAILS(ms_tables(bounded, NULL, NULL, NULL, &stream, &err), MS_DEADLINE_EXCEEDED);
  CHECK_FAILS(ms_session_refresh_cancellable(use.session, cancel, &err), MS_DEADLINE_EXCEEDED);
  REQUIRE_OK(ms_cancel_set_deadline_ms(cancel, 0, &err));
  REQUIRE_OK(ms_table_schema(bounded, "nation", &schema, &err));
  schema.release(&schema);
  ms_cancel_now(cancel);
  CHECK_FAILS(ms_tables(bounded, NULL, NULL, NULL, &stream, &err), MS_CANCELLED);
  CHECK_FAILS(ms_session_refresh_cancellable(use.session, cancel, &err), MS_CANCELLED);
  REQUIRE_OK(ms_tables(use.client, NULL, NULL, NULL, &stream, &err));
  stream.release(&stream);
  REQUIRE_OK(ms_session_refresh_cancellable(use.session, NULL, &err));
  ms_client_free(bounded);
  ms_cancel_free(cancel);
  ms_options_free(slow);
  close_plan(&use);
}

static void deadline(void) {
  plan use;
  ms_split *split = NULL;
  struct ArrowArray batch;
  CHECK_INT(open_plan(&use, "fault_stall", NULL), MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  REQUIRE_OK(ms_split_set_deadline_ms(split, now_ms() + 200, &err));
  CHECK_FAILS(ms_split_next_batch(split, &batch, &err), MS_DEADLINE_EXCEEDED);
  ms_split_cancel(split);
  CHECK_FAILS(ms_split_next_batch(split, &batch, &err), MS_CANCELLED);
  ms_split_free(split);
  ms_scan *scan = NULL;
  REQUIRE_OK(ms_scan_open(use.session, NULL, &scan, &err));
  for (int i = 0; i < 2; i++) CHECK_FAILS(ms_scan_next_batch_until(scan, now_ms() + 100, &batch, NULL, &err), MS_DEADLINE_EXCEEDED);
  ms_scan_cancel(scan);
  CHECK_FAILS(ms_scan_next_batch_until(scan, 0, &batch, NULL, &err), MS_CANCELLED);
  ms_scan_free(scan);
  close_plan(&use);
}

/* -------------------------------------------------------------------------------------------------------------------------- faults */

static int64_t metric(const ms_metrics *metrics, const char *name) {
  for (size_t i = 0; i < ms_metrics_count(metrics); i++)
    if (strcmp(ms_metrics_name(metrics, i), name) == 0) return ms_metrics_value(metrics, i);
  return -1;
}

/* Reads a table of RAMP_ROWS rows through one split, and tells a metric of that read. */
static int64_t read_ramp(const char *table, const char *name) {
  plan use;
  ms_split *split = NULL;
  ms_metrics *metrics = NULL;
  tally all = {0};
  CHECK_INT(open_plan(&use, table, PAIRS(MS_OPT_SPLIT_MODE, "parallelism", MS_OPT_SPLIT_PARALLELISM, "1")), MS_OK);
  CHECK_INT(ms_split_open(use.session, 0, NULL, &split, &err), MS_OK);
  CHECK_INT(drain(split, &all), MS_OK);
  CHECK_INT(all.rows, RAMP_ROWS);
  CHECK_INT(all.sum, 7998000);
  CHECK_INT(ms_split_metrics(split, &metrics, &err), MS_OK);
  const int64_t value = metric(metrics, name);
  ms_metrics_free(metrics);
  ms_split_free(split);
  close_plan(&use);
  return value;
}

static void resume(void) { CHECK_INT(read_ramp("fault_cut", "resumes"), 1); }
static void throttled(void) { CHECK_INT(read_ramp("fault_throttle", "requests"), 2); }

static void timeout(void) {
  tally all;
  CHECK_INT(read_table("fault_stall", PAIRS(MS_OPT_READ_IDLE_TIMEOUT_MS, "300", MS_OPT_RETRY_MAX_ATTEMPTS, "1"), &all), MS_TIMEOUT);
  CHECK(ms_error_is_retryable(err));
}

static void corrupt(void) {
  tally all;
  CHECK_INT(read_table("fault_corrupt", NULL, &all), MS_CORRUPT_DATA);
  CHECK(!ms_error_is_retryable(err));
  CHECK(ms_error_request_id(err)[0] != '\0');
}

static void schema_mismatch(void) {
  tally all;
  CHECK_INT(read_table("fault_schema", NULL, &all), MS_SCHEMA_MISMATCH);
}

static void expired(void) {
  tally all;
  CHECK_INT(read_table("fault_expired", NULL, &all), MS_SESSION_EXPIRED);
  CHECK(ms_error_request_id(err)[0] != '\0');
}

static void refresh(void) {
  plan use;
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  const int64_t before = ms_session_expires_at_ms(use.session);
  REQUIRE_OK(ms_session_refresh(use.session, &err));
  CHECK(ms_session_expires_at_ms(use.session) >= before);
  close_plan(&use);
}

/* ----------------------------------------------------------------------------------------------------------- failures of the caller */

static void unknown_option(void) {
  ms_options *options = ms_options_new();
  CHECK_FAILS(ms_options_set(options, "tabel", "x", &err), MS_INVALID_OPTION);
  CHECK_CONTAINS(ms_error_message(err), "table");
  ms_options_free(options);
}

static void missing_table(void) {
  tally all;
  CHECK_INT(read_table("no_such_table", NULL, &all), MS_NOT_FOUND);
  CHECK_INT(ms_error_http_status(err), 404);
  CHECK(ms_error_request_id(err)[0] != '\0');
  CHECK(ms_error_server_code(err)[0] != '\0');
  CHECK(strstr(ms_error_json(err), ms_error_request_id(err)) != NULL && strstr(ms_error_json(err), "MS_NOT_FOUND") != NULL);
}

static void wrong_secret(void) {
  tally all;
  CHECK_INT(read_table("nation", PAIRS(MS_OPT_ACCESS_KEY_SECRET, "wrong"), &all), MS_UNAUTHENTICATED);
}

static void quota_denied(void) {
  tally all;
  CHECK_INT(read_table("nation", PAIRS(MS_OPT_QUOTA, "pay-as-you-go"), &all), MS_QUOTA_DENIED);
}

static void view(void) {
  tally all;
  CHECK_INT(read_table("view_of_nation", NULL, &all), MS_TABLE_KIND_UNSUPPORTED);
}

static void nobody_listens(void) {
  tally all;
  CHECK_INT(read_table("nation", PAIRS(MS_OPT_ENDPOINT, "http://127.0.0.1:1/api", MS_OPT_RETRY_MAX_ATTEMPTS, "2"), &all), MS_CONNECTION);
  CHECK(ms_error_is_retryable(err));
  CHECK_INT(ms_error_attempts(err), 2);
}

static void bad_filter(void) {
  tally all;
  CHECK_INT(read_table("nation", PAIRS(MS_OPT_FILTER_TEXT, "n_name >>> ("), &all), MS_INVALID_ARGUMENT);
}

/* --------------------------------------------------------------------------------------------------------------------- predicates */

/* An array of 64-bit integers, NULL where a value is INT64_MIN, in memory that its release frees. */
typedef struct {
  const void *buffers[2];
  uint8_t validity[1];
  int64_t values[8];
} integers;

static void release_integers(struct ArrowArray *array) {
  free(array->private_data);
  array->release = NULL;
}

static struct ArrowArray array_of(const int64_t *values, int64_t count) {
  integers *content = calloc(1, sizeof *content);
  if (content == NULL) abort();
  struct ArrowArray array = {.length = count, .n_buffers = 2, .buffers = content->buffers, .release = release_integers, .private_data = content};
  for (int64_t i = 0; i < count; i++) {
    content->values[i] = values[i];
    if (values[i] == INT64_MIN) array.null_count++;
    else content->validity[0] |= (uint8_t)(1 << i);
  }
  content->buffers[0] = content->validity;
  content->buffers[1] = content->values;
  return array;
}

static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }
static const struct ArrowSchema int64_type = {.format = "l", .name = "", .flags = ARROW_FLAG_NULLABLE, .release = release_schema};

static ms_predicate *compare_id(ms_compare_op op, int64_t value) {
  ms_predicate *predicate = NULL;
  struct ArrowArray literal = array_of(&value, 1);
  drop_error();
  CHECK_INT(ms_predicate_compare("id", op, &int64_type, &literal, &predicate, &err), MS_OK);
  return predicate;
}

/* Rows of ramp that a filter lets through, exactly; frees the filter. */
static tally read_where(ms_predicate *filter, const char *text) {
  plan use = {.options = options_for("ramp", PAIRS(MS_OPT_FILTER_EXACT, "true"))};
  tally all = {0};
  if (text != NULL) set(use.options, MS_OPT_FILTER_TEXT, text);
  CHECK_INT(ms_client_open(use.options, &use.client, &err), MS_OK);
  CHECK_INT(ms_session_open(use.client, use.options, filter, &use.session, &err), MS_OK);
  ms_predicate_free(filter);
  CHECK_INT(read_all(&use, &all), MS_OK);
  close_plan(&use);
  return all;
}

static void filter_text(void) { CHECK_INT(read_where(NULL, "id >= 1000 and id < 1010").rows, 10); }

static void compare(void) {
  const tally all = read_where(compare_id(MS_COMPARE_GE, 3990), NULL);
  CHECK_INT(all.rows, 10);
  CHECK_INT(all.sum, 39945);
}

static void in_list(void) {
  ms_predicate *predicate = NULL;
  struct ArrowArray values = array_of((const int64_t[]){1, 2, INT64_MIN, 5000}, 4);
  REQUIRE_OK(ms_predicate_in("id", false, &int64_type, &values, &predicate, &err));
  CHECK_INT(read_where(predicate, NULL).rows, 2);
}

static void combined(void) {
  ms_predicate *ends[2] = {compare_id(MS_COMPARE_LT, 10), compare_id(MS_COMPARE_GE, 3990)};
  ms_predicate *both[2] = {NULL, NULL}, *null = NULL, *all = NULL;
  REQUIRE_OK(ms_predicate_or((const ms_predicate *const *)ends, 2, &both[0], &err));
  REQUIRE_OK(ms_predicate_is_null("c_int", false, &null, &err));
  REQUIRE_OK(ms_predicate_not(null, &both[1], &err));
  REQUIRE_OK(ms_predicate_and((const ms_predicate *const *)both, 2, &all, &err));
  for (int i = 0; i < 2; i++) {
    ms_predicate_free(ends[i]);
    ms_predicate_free(both[i]);
  }
  ms_predicate_free(null);
  CHECK_INT(read_where(all, NULL).rows, 18); /* of these twenty, rows 3 and 3993 have no c_int */
}

/* id >= 3990, as pyarrow.compute.Expression.to_substrait writes it. */
#define SUBSTRAIT \
  "0a5a125868747470733a2f2f6769746875622e636f6d2f7375627374726169742d696f2f7375627374726169742f626c6f622f6d61696e2f65787465" \
  "6e73696f6e732f66756e6374696f6e735f636f6d70617269736f6e2e79616d6c12071a051a036774651a2b0a1d1a1b1a040a021001220a1a0812060a" \
  "021200220022071a050a0338961f1a0a65787072657373696f6e220c0a02696412060a043a0210013a10102c2a0c416365726f2032362e302e31"

static void substrait(void) {
  uint8_t message[1024];
  const size_t length = strlen(SUBSTRAIT) / 2;
  for (size_t i = 0; i < length; i++) {
    const char digits[3] = {SUBSTRAIT[2 * i], SUBSTRAIT[2 * i + 1], 0};
    message[i] = (uint8_t)strtol(digits, NULL, 16);
  }
  ms_predicate *predicate = NULL;
  REQUIRE_OK(ms_predicate_from_substrait(message, length, &predicate, &err));
  const tally all = read_where(predicate, NULL);
  CHECK_INT(all.rows, 10);
  CHECK_INT(all.sum, 39945);
  CHECK_INT(ms_predicate_from_substrait(message + 1, length - 1, &predicate, &err), MS_INVALID_ARGUMENT);
  CHECK(predicate == NULL);
}

static void runtime_filter(void) {
  plan use;
  ms_split *split = NULL;
  tally all = {0};
  CHECK_INT(open_plan(&use, "ramp", PAIRS(MS_OPT_SPLIT_MODE, "parallelism", MS_OPT_SPLIT_PARALLELISM, "1")), MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  ms_predicate *filter = compare_id(MS_COMPARE_GE, 3990);
  REQUIRE_OK(ms_split_add_filter(split, filter, &err));
  ms_predicate_free(filter);
  CHECK_INT(drain(split, &all), MS_OK);
  CHECK_INT(all.rows, 10);
  CHECK_INT(all.sum, 39945);
  ms_split_free(split);
  close_plan(&use);
}

/* ------------------------------------------------------------------------------------------------------------ catalogue and diagnosis */

static ms_client *open_client(const char *const *pairs) {
  ms_options *options = options_for(NULL, pairs);
  ms_client *client = NULL;
  drop_error();
  CHECK_INT(ms_client_open(options, &client, &err), MS_OK);
  ms_options_free(options);
  return client;
}

/* Text number `row` of a column of utf8. */
static void text_at(const struct ArrowArray *column, int64_t row, char *text, size_t size) {
  const int32_t *offsets = (const int32_t *)column->buffers[1] + column->offset;
  snprintf(text, size, "%.*s", (int)(offsets[row + 1] - offsets[row]), (const char *)column->buffers[2] + offsets[row]);
}

/* In how many rows of a stream a column of utf8 is a word; -1 of a stream that fails. Adds up the rows. */
static int64_t rows_with(struct ArrowArrayStream *stream, int64_t column, const char *word, int64_t *rows) {
  int64_t found = 0;
  for (;;) {
    struct ArrowArray batch;
    if (stream->get_next(stream, &batch) != 0) return -1;
    if (batch.release == NULL) break;
    for (int64_t row = 0; row < batch.length; row++) {
      char text[256];
      text_at(batch.children[column], row, text, sizeof text);
      if (word != NULL && strcmp(text, word) == 0) found++;
    }
    *rows += batch.length;
    batch.release(&batch);
  }
  stream->release(stream);
  return found;
}

static void tables(void) {
  ms_client *client = open_client(NULL);
  const char *const names[] = {"lineitem", "parted"};
  for (int i = 0; i < 2; i++) {
    struct ArrowArrayStream stream;
    int64_t rows = 0;
    REQUIRE_OK(ms_tables(client, NULL, "default", NULL, &stream, &err));
    CHECK_INT(rows_with(&stream, 2, names[i], &rows), 1);
    CHECK(rows > 10);
  }
  ms_client_free(client);
}

static void table_schema(void) {
  ms_client *client = open_client(NULL);
  struct ArrowSchema schema = {0};
  REQUIRE_OK(ms_table_schema(client, "parted", &schema, &err));
  CHECK_INT(schema.n_children, 4);
  CHECK_TEXT(schema.children[2]->name, "ds");
  /* Metadata: the number of pairs, then lengths and bytes. */
  int32_t pairs = 0;
  memcpy(&pairs, schema.children[2]->metadata, sizeof pairs);
  CHECK(pairs >= 2);
  schema.release(&schema);
  ms_client_free(client);
}

static void table_details(void) {
  ms_client *client = open_client(NULL);
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  struct ArrowArray batch;
  REQUIRE_OK(ms_table_details(client, "clustered", &stream, &err));
  CHECK_INT(stream.get_schema(&stream, &schema), 0);
  CHECK_INT(stream.get_next(&stream, &batch), 0);
  CHECK_INT(batch.length, 1);
  int found = 0;
  for (int64_t i = 0; i < schema.n_children; i++) {
    char text[64];
    if (strcmp(schema.children[i]->name, "kind") == 0 || strcmp(schema.children[i]->name, "cluster_kind") == 0) {
      text_at(batch.children[i], 0, text, sizeof text);
      CHECK_TEXT(text, schema.children[i]->name[0] == 'k' ? "table" : "hash");
      found++;
    } else if (strcmp(schema.children[i]->name, "buckets") == 0) {
      CHECK_INT(((const int64_t *)batch.children[i]->buffers[1])[batch.children[i]->offset], 8);
      found++;
    }
  }
  CHECK_INT(found, 3);
  batch.release(&batch);
  schema.release(&schema);
  stream.release(&stream);
  ms_client_free(client);
}

static void partitions_listed(void) {
  ms_client *client = open_client(NULL);
  struct ArrowArrayStream stream;
  int64_t rows = 0;
  REQUIRE_OK(ms_partitions(client, "parted", NULL, &stream, &err));
  CHECK_INT(rows_with(&stream, 0, "ds=20260102/region=eu", &rows), 1);
  CHECK_INT(rows, 3);
  ms_client_free(client);
}

static void preview(void) {
  ms_client *client = open_client(NULL);
  struct ArrowArrayStream stream;
  struct ArrowArray batch;
  int64_t rows = 0;
  REQUIRE_OK(ms_table_preview(client, "nation", NULL, 5, &stream, &err));
  while (stream.get_next(&stream, &batch) == 0 && batch.release != NULL) {
    rows += batch.length;
    batch.release(&batch);
  }
  CHECK_INT(rows, 5);
  stream.release(&stream);
  ms_client_free(client);
}

static void diagnose(void) {
  ms_client *client = open_client(NULL);
  struct ArrowArrayStream stream;
  int64_t rows = 0;
  REQUIRE_OK(ms_client_diagnose(client, "nation", &stream, &err));
  CHECK_INT(rows_with(&stream, 1, "failed", &rows), 0);
  CHECK_INT(rows, 10);
  ms_client_free(client);
  client = open_client(PAIRS(MS_OPT_ACCESS_KEY_SECRET, "wrong"));
  struct ArrowArray report;
  REQUIRE_OK(ms_client_diagnose(client, "nation", &stream, &err));
  CHECK_INT(stream.get_next(&stream, &report), 0);
  for (int64_t row = 0; row < report.length; row++) {
    char step[64], status[64];
    text_at(report.children[0], row, step, sizeof step);
    text_at(report.children[1], row, status, sizeof status);
    CHECK_INT(strcmp(status, "failed") == 0, strcmp(step, "signature") == 0);
  }
  report.release(&report);
  stream.release(&stream);
  ms_client_free(client);
}

static void explain(void) {
  plan use;
  ms_bytes *json = NULL;
  ms_split_info *info = NULL;
  CHECK_INT(open_plan(&use, "ramp", PAIRS(MS_OPT_FILTER_TEXT, "id >= 1000", MS_OPT_SPLIT_MODE, "row_offset", MS_OPT_SPLIT_ROWS, "1500")), MS_OK);
  REQUIRE_OK(ms_session_explain(use.session, &json, &err));
  char text[8192];
  snprintf(text, sizeof text, "%.*s", (int)ms_bytes_len(json), (const char *)ms_bytes_data(json));
  CHECK_CONTAINS(text, "\"split_count\":3");
  CHECK_CONTAINS(text, "1000");
  CHECK_CONTAINS(text, "EXACT");
  ms_bytes_free(json);
  REQUIRE_OK(ms_session_split_info(use.session, 2, &info, &err));
  CHECK_INT(ms_split_info_start_row(info), 3000);
  CHECK_INT(ms_split_info_rows(info), 1000);
  ms_split_info_free(info);
  close_plan(&use);
}

/* ------------------------------------------------------------------------------------------------------------------------- around */

static void memory_budget(void) {
  enum { BUDGET = 8 << 20, FRAME = 4 << 20 };
  plan use;
  ms_scan *scan = NULL;
  ms_metrics *figures = NULL;
  tally all = {0};
  CHECK_INT(open_plan(&use, "lineitem", PAIRS(ORDERKEY, MS_OPT_LIMITS_MEMORY_BYTES, "8388608")), MS_OK);
  REQUIRE_OK(ms_scan_open(use.session, NULL, &scan, &err));
  for (;;) {
    struct ArrowArray batch;
    REQUIRE_OK(ms_scan_next_batch(scan, &batch, NULL, &err));
    if (batch.release == NULL) break;
    count(&all, &batch);
    batch.release(&batch);
  }
  CHECK_INT(all.sum, orderkeys);
  REQUIRE_OK(ms_client_metrics(use.client, &figures, &err));
  CHECK(metric(figures, "memory_peak") > 0);
  CHECK(metric(figures, "memory_peak") <= BUDGET + FRAME);
  ms_metrics_free(figures);
  ms_scan_free(scan);
  close_plan(&use);
}

static _Atomic int provided, provider_released;
static ms_status provide(void *context, ms_credentials *out) {
  (void)context;
  provided++;
  return ms_credentials_set_access_key(out, "local", "local", NULL, NULL);
}
static void release_provider(void *context) {
  (void)context;
  provider_released++;
}

static void credentials_provider(void) {
  ms_options *options = options_for("nation", PAIRS(MS_OPT_ACCESS_KEY_ID, "", MS_OPT_ACCESS_KEY_SECRET, ""));
  plan use = {.options = options};
  tally all = {0};
  REQUIRE_OK(ms_options_set_credentials_provider(options, provide, NULL, release_provider, &err));
  REQUIRE_OK(ms_client_open(options, &use.client, &err));
  REQUIRE_OK(ms_session_open(use.client, options, NULL, &use.session, &err));
  CHECK_INT(read_all(&use, &all), MS_OK);
  CHECK_INT(all.rows, 25);
  CHECK_INT(provided, 1);
  close_plan(&use);
}

static ms_status provide_bearer_token(void *context, ms_credentials *out) {
  (void)context;
  const ms_status status = ms_credentials_set_bearer_token(out, "conformance", NULL);
  return status == MS_OK ? ms_credentials_set_expiry_ms(out, ((int64_t)time(NULL) + 3600) * 1000, NULL) : status;
}

static void bearer_token(void) {
  ms_options *options = options_for("nation", PAIRS(MS_OPT_ACCESS_KEY_ID, "", MS_OPT_ACCESS_KEY_SECRET, ""));
  plan use = {.options = options};
  tally all = {0};
  REQUIRE_OK(ms_options_set_credentials_provider(options, provide_bearer_token, NULL, NULL, &err));
  REQUIRE_OK(ms_client_open(options, &use.client, &err));
  REQUIRE_OK(ms_session_open(use.client, options, NULL, &use.session, &err));
  CHECK_INT(read_all(&use, &all), MS_OK);
  CHECK_INT(all.rows, 25);
  close_plan(&use);
}

static bool null_at(const struct ArrowArray *column, int64_t row) {
  const uint8_t *valid = column->buffers[0];
  return valid != NULL && (valid[(row + column->offset) / 8] >> ((row + column->offset) % 8) & 1) == 0;
}

static void options_described(void) {
  enum { KEY = 0, VALUE = 5 };
  ms_options *options = options_for(NULL, NULL);
  struct ArrowArrayStream stream;
  struct ArrowArray rows;
  int found = 0;
  REQUIRE_OK(ms_options_describe(options, &stream, &err));
  CHECK_INT(stream.get_next(&stream, &rows), 0);
  for (int64_t row = 0; rows.release != NULL && row < rows.length; row++) {
    char key[64], value[64];
    text_at(rows.children[KEY], row, key, sizeof key);
    text_at(rows.children[VALUE], row, value, sizeof value);
    const char *expected = strcmp(key, MS_OPT_PROJECT) == 0 ? "local" : strcmp(key, MS_OPT_ACCESS_KEY_SECRET) == 0 ? "***" : NULL;
    found += expected != NULL;
    if (expected != NULL) CHECK_TEXT(value, expected);
    if (strcmp(key, MS_OPT_TABLE) == 0) CHECK(null_at(rows.children[VALUE], row));
  }
  CHECK_INT(found, 2);
  if (rows.release != NULL) rows.release(&rows);
  stream.release(&stream);
  ms_options_free(options);
}

typedef struct {
  atomic_int_fast64_t held, asked;
  bool grants;
} host;

static bool reserve(void *context, size_t bytes) {
  host *self = context;
  atomic_fetch_add(&self->asked, 1);
  if (self->grants) atomic_fetch_add(&self->held, (int64_t)bytes);
  return self->grants;
}
static void release(void *context, size_t bytes) { atomic_fetch_sub(&((host *)context)->held, (int64_t)bytes); }

static ms_status read_with_hooks(host *self, const char *table, const char *const *pairs, tally *all) {
  plan use = {.options = options_for(table, pairs)};
  ms_status status = ms_options_set_memory_hooks(use.options, reserve, release, self, &err);
  if (status == MS_OK) status = ms_client_open(use.options, &use.client, &err);
  if (status == MS_OK) status = ms_session_open(use.client, use.options, NULL, &use.session, &err);
  if (status == MS_OK) status = read_all(&use, all);
  close_plan(&use);
  return status;
}

static void memory_hooks(void) {
  host self = {.grants = true};
  tally all = {0};
  CHECK_INT(read_with_hooks(&self, "lineitem", PAIRS(ORDERKEY), &all), MS_OK);
  CHECK_INT(all.sum, orderkeys);
  CHECK(atomic_load(&self.asked) > 0);
  for (int i = 0; i < 5000 && atomic_load(&self.held) != 0; i++) usleep(1000); /* a reader may be about to end */
  CHECK_INT(atomic_load(&self.held), 0);
}

static void memory_refused(void) {
  host self = {.grants = false};
  tally all = {0};
  CHECK_INT(read_with_hooks(&self, "nation", NULL, &all), MS_RESOURCE_EXHAUSTED);
  CHECK(atomic_load(&self.asked) > 0 && atomic_load(&self.held) == 0);
}

static void shutdown_and_go_on(void) {
  plan use;
  tally all = {0};
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  CHECK_INT(ms_shutdown(0), MS_WRONG_STATE);
  close_plan(&use);
  CHECK_INT(ms_shutdown(10000), MS_OK);
  CHECK_INT(read_table("nation", NULL, &all), MS_OK);
  CHECK_INT(all.rows, 25);
}

static void metrics(void) {
  plan use;
  ms_split *split = NULL;
  ms_metrics *figures = NULL;
  tally all = {0};
  CHECK_INT(open_plan(&use, "nation", NULL), MS_OK);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  CHECK_INT(drain(split, &all), MS_OK);
  CHECK(ms_split_all_requested(split));
  REQUIRE_OK(ms_split_metrics(split, &figures, &err));
  CHECK_INT(metric(figures, "rows"), 25);
  CHECK(metric(figures, "bytes_wire") > 0);
  ms_metrics_free(figures);
  ms_split_free(split);
  REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
  CHECK_INT(drain(split, &all), MS_OK);
  REQUIRE_OK(ms_session_metrics(use.session, &figures, &err));
  CHECK_INT(metric(figures, "rows"), 50);
  CHECK_INT(metric(figures, "reads"), 2);
  CHECK(metric(figures, "bytes_wire") > 0);
  ms_metrics_free(figures);
  ms_split_free(split);
  close_plan(&use);
}

static _Atomic int records;
static void count_records(void *context, int32_t level, const char *target, const char *message) {
  (void)context, (void)level, (void)target, (void)message;
  records++;
}

static void log_records(void) {
  tally all;
  REQUIRE_OK(ms_set_log_callback(count_records, NULL, 4));
  CHECK_INT(read_table("nation", NULL, &all), MS_OK);
  REQUIRE_OK(ms_set_log_callback(NULL, NULL, 0));
  const int seen = records;
  CHECK(seen > 0);
  CHECK_INT(read_table("nation", NULL, &all), MS_OK);
  CHECK_INT(records, seen);
}

static void nothing_left(void) { CHECK_INT(ms_live_handles(), 0); }

int main(void) {
  RUN(versions);
  RUN(read_all_rows);
  RUN(split_by_count);
  RUN(split_by_rows);
  RUN(split_by_bucket);
  RUN(projection);
  RUN(partitions);
  RUN(splits_while_planning);
  RUN(every_type);
  RUN(large_offsets);
  RUN(dictionaries);
  RUN(time_zone);
  RUN(lz4);
  RUN(zstd);
  RUN(batch_rows);
  RUN(row_range);
  RUN(empty_table);
  RUN(protocol_2);
  RUN(token);
  RUN(json_token);
  RUN(damaged_token);
  RUN(scan_unordered);
  RUN(scan_ordered);
  RUN(scan_threads);
  RUN(stream);
  RUN(batches_outlive_owners);
  RUN(no_copy);
  RUN(polling);
  RUN(scan_polling);
  RUN(cancel_wakes);
  RUN(cancel_stays);
  RUN(cancel_scan);
  RUN(cancel_planning);
  RUN(cancel_reads);
  RUN(calls_end);
  RUN(deadline);
  RUN(resume);
  RUN(throttled);
  RUN(timeout);
  RUN(corrupt);
  RUN(schema_mismatch);
  RUN(expired);
  RUN(refresh);
  RUN(unknown_option);
  RUN(missing_table);
  RUN(wrong_secret);
  RUN(quota_denied);
  RUN(view);
  RUN(nobody_listens);
  RUN(bad_filter);
  RUN(filter_text);
  RUN(compare);
  RUN(in_list);
  RUN(combined);
  RUN(substrait);
  RUN(runtime_filter);
  RUN(tables);
  RUN(table_schema);
  RUN(table_details);
  RUN(partitions_listed);
  RUN(preview);
  RUN(diagnose);
  RUN(explain);
  RUN(metrics);
  check_run("log", log_records);
  RUN(memory_budget);
  RUN(credentials_provider);
  RUN(bearer_token);
  RUN(options_described);
  RUN(memory_hooks);
  RUN(memory_refused);
  check_run("shutdown", shutdown_and_go_on);
  RUN(nothing_left);
  return check_end();
}
