/* Rows of batches, copied into columns of an engine: every type, every layout of strings, parts of batches, columns below columns. The memory
 * that is copied to is never larger than it must be, so that memcheck and AddressSanitizer see every byte too many. */
#include "sql.h"

enum { ROWS = 37 }; /* row i is NULL but for its id if i % 3 is 2 */
static own_server server;

static bool is_null(int64_t row) { return row % 3 == 2; }

/* The text of a row: the longer the higher its number, some shorter than a view and some longer. */
static void text_of(int64_t row, char *text) {
  *text = '\0';
  for (int64_t i = 0; i < row % 9; i++) strcat(text, "gr\xc3\xbcn");
}

static void make_table(void) {
  static char statement[ROWS * 1024];
  REQUIRE(sql_run(&server, "drop table if exists of_columns"));
  REQUIRE(sql_run(&server,
                  "create table of_columns (id bigint, c_tinyint tinyint, c_smallint smallint, c_int int, c_bigint bigint, c_float float,"
                  " c_double double, c_boolean boolean, c_decimal decimal(15,2), c_date date, c_datetime datetime, c_timestamp timestamp,"
                  " c_timestamp_ntz timestamp_ntz, c_year_month interval_year_month, c_day_time interval_day_time, c_string string,"
                  " c_varchar varchar(60), c_char char(60), c_binary binary, c_array array&lt;bigint&gt;, c_map map&lt;string,bigint&gt;,"
                  " c_struct struct&lt;n:bigint,s:string&gt;)"));
  char *at = statement + sprintf(statement, "insert into of_columns values ");
  for (int row = 0; row < ROWS; row++) {
    char text[64];
    text_of(row, text);
    at += sprintf(at, "%s(%d", row > 0 ? "," : "", row);
    if (is_null(row)) {
      for (int i = 0; i < 21; i++) at += sprintf(at, ",null");
    } else {
      at += sprintf(at, ",%dY,%dS,%d,%dL,%d.5F,%d.25D,%s,%d.75BD,date '2024-01-%02d',datetime '2024-01-01 00:00:%02d',", row, row * 100, row * 100000,
                    row * 1000000, row, row, row % 2 ? "true" : "false", row, row % 28 + 1, row);
      at += sprintf(at, "timestamp '2024-01-01 00:00:%02d.5',timestamp_ntz '2024-01-01 00:00:%02d.25',interval '%d-1' year to month,", row, row, row);
      at += sprintf(at, "interval '%d 01:02:03' day to second,'%s','%s','%s',binary '%s',array(%dL,null),map('k',%dL),named_struct('n',%dL,'s','%s')",
                    row, text, text, text, text, row, row, row, text);
    }
    at += sprintf(at, ")");
  }
  REQUIRE(sql_run(&server, statement));
}

/* A batch of all rows with its schema. */
typedef struct {
  stack use;
  struct ArrowSchema schema;
  struct ArrowArray batch;
} table;

static bool take(table *self, const char *const *pairs) {
  *self = (table){.use = {.options = service_options_at(server.endpoint, "local.default.of_columns")}};
  drop_error();
  ms_split *split = NULL;
  const bool is_there = set_all(self->use.options, pairs) == MS_OK && stack_open_session(&self->use) == MS_OK &&
                        ms_session_schema(self->use.session, &self->schema, &err) == MS_OK &&
                        ms_split_open(self->use.session, 0, NULL, &split, &err) == MS_OK &&
                        ms_split_next_batch(split, &self->batch, &err) == MS_OK && self->batch.release != NULL;
  ms_split_free(split);
  if (!is_there) check_fail(__FILE__, __LINE__, "no batch: %s", ms_error_message(err));
  if (is_there && self->batch.length != ROWS) check_fail(__FILE__, __LINE__, "%" PRId64 " rows", self->batch.length);
  return is_there;
}

static void drop(table *self) {
  if (self->batch.release != NULL) self->batch.release(&self->batch);
  if (self->schema.release != NULL) self->schema.release(&self->schema);
  stack_free(&self->use);
}

static int64_t find(const table *self, const char *name) {
  for (int64_t i = 0; i < self->schema.n_children; i++)
    if (strcmp(self->schema.children[i]->name, name) == 0) return i;
  check_fail(__FILE__, __LINE__, "no column %s", name);
  return -1;
}

/* Memory of exactly so many bytes; one at least, which nobody may touch if it is none. */
static void *exactly(size_t bytes) { return malloc(bytes > 0 ? bytes : 1); }

/* NULLs of rows of a column, as bytes and as bits: `first` is the number of the row in the table. */
static void check_nulls(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t column, int64_t start, int64_t rows, int64_t first) {
  const size_t bytes = (size_t)rows, packed = (size_t)(rows + 7) / 8;
  uint8_t *nulls = exactly(bytes), *validity = exactly(packed);
  int64_t expected = 0, count = -1;
  for (int64_t i = 0; i < rows; i++) expected += is_null(first + i);
  CHECK_INT(ms_column_copy_nulls(schema, array, column, start, rows, nulls, bytes, &count, NULL), MS_OK);
  CHECK_INT(count, expected);
  for (int64_t i = 0; i < rows; i++) CHECK_INT(nulls[i], is_null(first + i));
  CHECK_INT(ms_column_copy_validity(schema, array, column, start, rows, validity, packed, &count, NULL), MS_OK);
  CHECK_INT(count, expected);
  for (int64_t i = 0; i < (int64_t)packed * 8; i++) CHECK_INT(validity[i / 8] >> (i % 8) & 1, i < rows && !is_null(first + i));
  CHECK_INT(ms_column_copy_nulls(schema, array, column, start, rows, nulls, bytes, NULL, NULL), MS_OK); /* the count is optional */
  free(validity);
  free(nulls);
}

/* Strings of rows of a column: what text_of says, behind `before` bytes that the engine has already. */
static void check_strings(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t column, int64_t start, int64_t rows, int64_t first, uint32_t before) {
  size_t size = 1;
  REQUIRE_OK(ms_column_strings_size(schema, array, column, start, rows, &size, &err));
  char *bytes = exactly(size), text[64];
  uint32_t *ends = exactly((size_t)rows * sizeof *ends), begins = before;
  CHECK_INT(ms_column_copy_strings(schema, array, column, start, rows, before, bytes, size, ends, (size_t)rows, NULL), MS_OK);
  for (int64_t i = 0; i < rows; i++) {
    text_of(is_null(first + i) ? 0 : first + i, text);
    CHECK_INT(ends[i] - begins, strlen(text));
    if (ends[i] - begins == strlen(text)) CHECK(memcmp(bytes + (begins - before), text, strlen(text)) == 0);
    begins = ends[i];
  }
  CHECK_INT(begins - before, size);
  if (size > 0) { /* a byte or an end less is refused */
    CHECK_FAILS(ms_column_copy_strings(schema, array, column, start, rows, before, bytes, size - 1, ends, (size_t)rows, &err), MS_INVALID_ARGUMENT);
    CHECK_CONTAINS(ms_error_message(err), "out_bytes has");
    CHECK_FAILS(ms_column_copy_strings(schema, array, column, start, rows, before, bytes, size, ends, (size_t)rows - 1, &err), MS_INVALID_ARGUMENT);
    CHECK_CONTAINS(ms_error_message(err), "out_ends has");
    CHECK_FAILS(ms_column_copy_strings(schema, array, column, start, rows, UINT32_MAX, bytes, size, ends, (size_t)rows, &err), MS_VALUE_OUT_OF_RANGE);
  }
  free(ends);
  free(bytes);
}

static const struct {
  int64_t start, rows;
} parts[] = {{0, ROWS}, {0, 0}, {ROWS, 0}, {1, 8}, {3, 9}, {5, ROWS - 5}, {8, 16}, {ROWS - 1, 1}};
enum { PARTS = sizeof parts / sizeof *parts };

/* What a row of a column of numbers is made of. */
static void check_value(const char *name, const unsigned char *at, int64_t row, int64_t width) {
  int64_t number = 0;
  float narrow;
  double wide;
  if (width <= 8) memcpy(&number, at, (size_t)width);
  if (strcmp(name, "c_tinyint") == 0) CHECK_INT(number, row);
  if (strcmp(name, "c_smallint") == 0) CHECK_INT(number, row * 100);
  if (strcmp(name, "c_int") == 0) CHECK_INT(number, row * 100000);
  if (strcmp(name, "c_bigint") == 0) CHECK_INT(number, row * 1000000);
  if (strcmp(name, "c_boolean") == 0) CHECK_INT(number, row % 2);
  if (strcmp(name, "c_date") == 0) CHECK_INT(number, 19723 + row % 28);
  if (strcmp(name, "c_timestamp_ntz") == 0) CHECK_INT(number, (1704067200 + row) * 1000000000 + 250000000);
  if (strcmp(name, "c_year_month") == 0) CHECK_INT(number, row * 12 + 1);
  if (strcmp(name, "c_day_time") == 0) CHECK_INT(number, (int64_t)3723000 << 32 | row);
  if (strcmp(name, "c_float") == 0) CHECK((memcpy(&narrow, at, sizeof narrow), narrow == (float)row + 0.5F));
  if (strcmp(name, "c_double") == 0) CHECK((memcpy(&wide, at, sizeof wide), wide == (double)row + 0.25));
  if (strcmp(name, "c_decimal") == 0) CHECK((memcpy(&number, at, sizeof number), number == row * 100 + 75));
}

static void numbers_of_every_type(void) {
  static const struct {
    const char *name;
    size_t width;
  } columns[] = {{"c_tinyint", 1}, {"c_smallint", 2}, {"c_int", 4}, {"c_bigint", 8}, {"c_float", 4}, {"c_double", 8}, {"c_boolean", 1},
                 {"c_decimal", 16}, {"c_date", 4}, {"c_datetime", 8}, {"c_timestamp", 8}, {"c_timestamp_ntz", 8}, {"c_year_month", 4}, {"c_day_time", 8}};
  table all;
  if (take(&all, (const char *const[]){NULL})) {
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
      const int64_t column = find(&all, columns[i].name);
      const size_t width = columns[i].width;
      const unsigned char *buffer = all.batch.children[column]->buffers[1];
      const int64_t offset = all.batch.children[column]->offset;
      for (size_t part = 0; part < PARTS; part++) {
        const int64_t start = parts[part].start, rows = parts[part].rows;
        const size_t bytes = (size_t)rows * width;
        unsigned char *values = exactly(bytes);
        CHECK_INT(ms_column_copy_values(&all.schema, &all.batch, column, start, rows, values, bytes, NULL), MS_OK);
        for (int64_t row = 0; row < rows; row++) {
          if (is_null(start + row)) continue;
          check_value(columns[i].name, values + (size_t)row * width, start + row, (int64_t)width);
          if (width > 1) CHECK(memcmp(values + (size_t)row * width, buffer + (size_t)(offset + start + row) * width, width) == 0);
        }
        if (rows > 0) {
          CHECK_FAILS(ms_column_copy_values(&all.schema, &all.batch, column, start, rows, values, bytes - 1, &err), MS_INVALID_ARGUMENT);
          CHECK_CONTAINS(ms_error_message(err), "out_values has");
        }
        free(values);
      }
    }
  }
  drop(&all);
}

static void nulls_of_every_type(void) {
  table all;
  if (take(&all, (const char *const[]){NULL})) {
    CHECK_INT(all.schema.n_children, 22);
    for (int64_t column = 1; column < all.schema.n_children; column++)
      for (size_t part = 0; part < PARTS; part++)
        check_nulls(&all.schema, &all.batch, column, parts[part].start, parts[part].rows, parts[part].start);
    uint8_t nulls[ROWS];
    int64_t count = -1;
    CHECK_INT(ms_column_copy_nulls(&all.schema, &all.batch, 0, 0, ROWS, nulls, sizeof nulls, &count, NULL), MS_OK);
    CHECK_INT(count, 0); /* the id is there in every row */
    CHECK_FAILS(ms_column_copy_nulls(&all.schema, &all.batch, 1, 0, ROWS, nulls, ROWS - 1, &count, &err), MS_INVALID_ARGUMENT);
    CHECK_CONTAINS(ms_error_message(err), "out_nulls has 36 bytes, but these rows need 37");
    CHECK_FAILS(ms_column_copy_validity(&all.schema, &all.batch, 1, 0, ROWS, nulls, 4, &count, &err), MS_INVALID_ARGUMENT);
    CHECK_CONTAINS(ms_error_message(err), "out_validity has");
  }
  drop(&all);
}

static const char *const layouts[][3] = {{NULL}, {MS_OPT_TYPES_STRING_VIEW, "true", NULL}, {MS_OPT_TYPES_LARGE_OFFSETS, "true", NULL}, {MS_OPT_TYPES_DICTIONARY, "*", NULL}};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static void strings_of_every_layout(void) {
  static const char *const columns[] = {"c_string", "c_varchar", "c_binary"};
  for (size_t layout = 0; layout < LAYOUTS; layout++) {
    table all;
    if (take(&all, layouts[layout])) {
      for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        const int64_t column = find(&all, columns[i]);
        for (size_t part = 0; part < PARTS; part++) {
          check_strings(&all.schema, &all.batch, column, parts[part].start, parts[part].rows, parts[part].start, 0);
          check_strings(&all.schema, &all.batch, column, parts[part].start, parts[part].rows, parts[part].start, 1000);
        }
      }
      /* CHAR as the service pads it: as long in every row that has a value. */
      size_t size = 0, one = 0;
      REQUIRE_OK(ms_column_strings_size(&all.schema, &all.batch, find(&all, "c_char"), 0, ROWS, &size, &err));
      REQUIRE_OK(ms_column_strings_size(&all.schema, &all.batch, find(&all, "c_char"), 0, 2, &one, &err));
      CHECK(size >= one && one > 0);
    }
    drop(&all);
  }
}

/* What a host has cut itself, as Arrow libraries do: the offset of the struct is that of all its columns. */
static void a_batch_that_the_host_has_cut(void) {
  for (size_t layout = 0; layout < LAYOUTS; layout++) {
    table all;
    if (take(&all, layouts[layout])) {
      for (int64_t offset = 0; offset < 12; offset++) {
        struct ArrowArray cut = all.batch; /* borrowed */
        cut.offset = offset;
        cut.length = 20;
        check_nulls(&all.schema, &cut, find(&all, "c_bigint"), 2, 17, offset + 2);
        check_nulls(&all.schema, &cut, find(&all, "c_struct"), 0, 20, offset);
        check_strings(&all.schema, &cut, find(&all, "c_string"), 1, 19, offset + 1, 5);
        int64_t ids[3] = {0};
        CHECK_INT(ms_column_copy_values(&all.schema, &cut, 0, 17, 3, ids, sizeof ids, NULL), MS_OK);
        for (int64_t i = 0; i < 3; i++) CHECK_INT(ids[i], offset + 17 + i);
        CHECK_FAILS(ms_column_copy_values(&all.schema, &cut, 0, 18, 3, ids, sizeof ids, &err), MS_INVALID_ARGUMENT);
        CHECK_CONTAINS(ms_error_message(err), "there are no 3 rows from row 18 on; the column has 20");
      }
    }
    drop(&all);
  }
}

static void columns_below_columns(void) {
  for (size_t layout = 0; layout < LAYOUTS; layout++) {
    table all;
    if (take(&all, layouts[layout])) {
      const int64_t nested = find(&all, "c_struct"), lists = find(&all, "c_array"), maps = find(&all, "c_map");
      const struct ArrowSchema *schema = all.schema.children[nested];
      const struct ArrowArray *array = all.batch.children[nested];
      check_nulls(schema, array, 0, 0, ROWS, 0);
      check_strings(schema, array, 1, 4, 20, 4, 0);
      int64_t numbers[ROWS] = {0};
      CHECK_INT(ms_column_copy_values(schema, array, 0, 0, ROWS, numbers, sizeof numbers, NULL), MS_OK);
      for (int64_t row = 0; row < ROWS; row++)
        if (!is_null(row)) CHECK_INT(numbers[row], row);
      CHECK_FAILS(ms_column_copy_values(&all.schema, &all.batch, nested, 0, ROWS, numbers, sizeof numbers, &err), MS_UNSUPPORTED);
      CHECK_CONTAINS(ms_error_message(err), "c_struct");
      /* The elements of all lists: the number of the row, and NULL. */
      const int64_t elements = 2 * (ROWS - ROWS / 3);
      uint8_t nulls[2 * ROWS];
      int64_t values[2 * ROWS] = {0}, count = 0;
      REQUIRE_OK(ms_column_copy_values(all.schema.children[lists], all.batch.children[lists], 0, 0, elements, values, sizeof values, &err));
      REQUIRE_OK(ms_column_copy_nulls(all.schema.children[lists], all.batch.children[lists], 0, 0, elements, nulls, sizeof nulls, &count, &err));
      CHECK_INT(count, elements / 2);
      for (int64_t row = 0, at = 0; row < ROWS; row++) {
        if (is_null(row)) continue;
        CHECK(nulls[at] == 0 && nulls[at + 1] == 1);
        CHECK_INT(values[at], row);
        at += 2;
      }
      /* The keys of all maps lie in the struct below the map. */
      const struct ArrowSchema *pairs = all.schema.children[maps]->children[0];
      const struct ArrowArray *entries = all.batch.children[maps]->children[0];
      size_t size = 0;
      REQUIRE_OK(ms_column_strings_size(pairs, entries, 0, 0, entries->length, &size, &err));
      CHECK_INT(size, elements / 2);
    }
    drop(&all);
  }
}

/* Numbers that are no rows and no columns, and columns that have none of what is asked for. */
static void what_is_not_there(void) {
  table all;
  if (take(&all, (const char *const[]){NULL})) {
    int64_t ids[ROWS];
    size_t size = 1;
    const int64_t outside[] = {-1, all.schema.n_children, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
      CHECK_FAILS(ms_column_copy_values(&all.schema, &all.batch, outside[i], 0, 1, ids, sizeof ids, &err), MS_INVALID_ARGUMENT);
      CHECK_FAILS(ms_column_copy_values(&all.schema, &all.batch, 0, outside[i], 40, ids, sizeof ids, &err), MS_INVALID_ARGUMENT);
      if (outside[i] != all.schema.n_children)
        CHECK_FAILS(ms_column_copy_values(&all.schema, &all.batch, 0, 1, outside[i], ids, sizeof ids, &err), MS_INVALID_ARGUMENT);
    }
    CHECK_FAILS(ms_column_strings_size(&all.schema, &all.batch, 0, 0, ROWS, &size, &err), MS_UNSUPPORTED);
    CHECK_INT(size, 0);
    CHECK_FAILS(ms_column_copy_values(&all.schema, &all.batch, find(&all, "c_string"), 0, ROWS, ids, sizeof ids, &err), MS_UNSUPPORTED);
    CHECK_FAILS(ms_column_copy_values(all.schema.children[0], all.batch.children[0], 0, 0, 1, ids, sizeof ids, &err), MS_INVALID_ARGUMENT);
    CHECK_CONTAINS(ms_error_message(err), "has no columns");
    all.batch.release(&all.batch);
    CHECK_FAILS(ms_column_copy_values(&all.schema, &all.batch, 0, 0, 1, ids, sizeof ids, &err), MS_INVALID_ARGUMENT);
    CHECK_CONTAINS(ms_error_message(err), "released");
  }
  drop(&all);
}

int main(void) {
  if (!own_server_start(&server, "--no-auth", NULL)) return EXIT_FAILURE;
  RUN(make_table);
  RUN(numbers_of_every_type);
  RUN(nulls_of_every_type);
  RUN(strings_of_every_layout);
  RUN(a_batch_that_the_host_has_cut);
  RUN(columns_below_columns);
  RUN(what_is_not_there);
  own_server_end(&server, SIGTERM);
  return check_end();
}
