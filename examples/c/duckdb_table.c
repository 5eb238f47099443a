/* DuckDB reads tables of MaxCompute: `duckdb_table ENDPOINT SQL`, where SQL says `from maxcompute('project.schema.table')`.
 *
 * A table function over the C interfaces of both sides. DuckDB tells which columns a query needs, the session reads those alone, and
 * each of DuckDB's threads takes batches from one scan. Prints the rows of the answer, and on stderr how each read was planned.
 * Columns may be BIGINT, INT, DOUBLE, DECIMAL, DATE and STRING; another one is refused when the query is bound. */
#include <duckdb.h>
#include <inttypes.h>
#include <maxstorage.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a failed call of the library says, for the setters of errors that DuckDB has. Frees the error. */
#define FAIL(set_error, info, status, err)                                                                  \
  do {                                                                                                      \
    char sentence[1024];                                                                                    \
    snprintf(sentence, sizeof sentence, "%s: %s", ms_status_name(status), ms_error_message(err));           \
    ms_error_free(err);                                                                                     \
    set_error(info, sentence);                                                                              \
  } while (0)

/* ------------------------------------------------------------------------------------------------------------------ columns */

typedef enum { AS_IS, DECIMAL, TEXT } form;

typedef struct {
  form form;
  duckdb_type type; /* of the values in a vector of DuckDB */
  size_t width;     /* their bytes there */
  unsigned digits, scale;
} column_type;

/* The type of a column by its Arrow format; false if this program does not know it. */
static bool understand(const char *format, column_type *out) {
  static const struct {
    const char *format;
    column_type type;
  } simple[] = {
      {"l", {AS_IS, DUCKDB_TYPE_BIGINT, sizeof(int64_t), 0, 0}}, {"i", {AS_IS, DUCKDB_TYPE_INTEGER, sizeof(int32_t), 0, 0}},
      {"g", {AS_IS, DUCKDB_TYPE_DOUBLE, sizeof(double), 0, 0}},  {"tdD", {AS_IS, DUCKDB_TYPE_DATE, sizeof(int32_t), 0, 0}},
      {"u", {TEXT, DUCKDB_TYPE_VARCHAR, 0, 0, 0}},
  };
  for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
    if (strcmp(format, simple[i].format) != 0) continue;
    *out = simple[i].type;
    return true;
  }
  char end;
  unsigned digits, scale;
  if (sscanf(format, "d:%u,%u%c", &digits, &scale, &end) != 2 || digits > 38) return false;
  *out = (column_type){DECIMAL, DUCKDB_TYPE_DECIMAL, digits <= 4 ? 2 : digits <= 9 ? 4 : digits <= 18 ? 8 : 16, digits, scale};
  return true;
}

/* Fills a vector with `count` values of a column from row `first` of its array on. */
static void fill(duckdb_vector vector, const column_type *type, const struct ArrowArray *array, int64_t first, idx_t count) {
  char *const values = duckdb_vector_get_data(vector);
  const int64_t start = array->offset + first;
  if (type->form == AS_IS) {
    memcpy(values, (const char *)array->buffers[1] + (size_t)start * type->width, count * type->width);
  } else if (type->form == DECIMAL) {
    /* Both sides keep the unscaled number; DuckDB in as few bytes as its digits need. The low bytes come first on this machine. */
    const char *const wide = (const char *)array->buffers[1] + start * 16;
    for (idx_t i = 0; i < count; i++) memcpy(values + i * type->width, wide + i * 16, type->width);
  } else {
    const int32_t *const ends = (const int32_t *)array->buffers[1] + start;
    for (idx_t i = 0; i < count; i++)
      duckdb_vector_assign_string_element_len(vector, i, (const char *)array->buffers[2] + ends[i], (idx_t)(ends[i + 1] - ends[i]));
  }
  const uint8_t *const valid = array->buffers[0];
  if (array->null_count == 0 || valid == NULL) return;
  duckdb_vector_ensure_validity_writable(vector);
  uint64_t *const validity = duckdb_vector_get_validity(vector);
  for (idx_t i = 0; i < count; i++) {
    const int64_t bit = start + (int64_t)i;
    if ((valid[bit / 8] >> (bit % 8) & 1) == 0) duckdb_validity_set_row_invalid(validity, i);
  }
}

/* --------------------------------------------------------------------------------------------------- bind: what the table has */

typedef struct {
  ms_options *options; /* endpoint, credentials, table */
  ms_client *client;
  struct ArrowSchema schema;
} table;

static void free_table(void *held) {
  table *self = held;
  if (self->schema.release != NULL) self->schema.release(&self->schema);
  ms_client_free(self->client);
  ms_options_free(self->options);
  free(self);
}

static void bind(duckdb_bind_info info) {
  table *self = calloc(1, sizeof *self);
  if (self == NULL) {
    duckdb_bind_set_error(info, "out of memory");
    return;
  }
  duckdb_bind_set_bind_data(info, self, free_table);
  duckdb_value parameter = duckdb_bind_get_parameter(info, 0);
  char *name = duckdb_get_varchar(parameter);
  ms_error *err = NULL;
  ms_status status;
  self->options = ms_options_new();
  if ((status = ms_options_load_environment(self->options, &err)) != MS_OK ||
      (status = ms_options_set(self->options, MS_OPT_ENDPOINT, duckdb_bind_get_extra_info(info), &err)) != MS_OK ||
      (status = ms_options_set(self->options, MS_OPT_TABLE, name, &err)) != MS_OK ||
      (status = ms_client_open(self->options, &self->client, &err)) != MS_OK ||
      (status = ms_table_schema(self->client, name, &self->schema, &err)) != MS_OK)
    FAIL(duckdb_bind_set_error, info, status, err);
  duckdb_free(name);
  duckdb_destroy_value(&parameter);
  if (status != MS_OK) return;
  for (int64_t i = 0; i < self->schema.n_children; i++) {
    const struct ArrowSchema *const column = self->schema.children[i];
    column_type type;
    if (!understand(column->format, &type)) {
      char sentence[256];
      snprintf(sentence, sizeof sentence, "column %s has the Arrow type %s, which duckdb_table does not read", column->name, column->format);
      duckdb_bind_set_error(info, sentence);
      return;
    }
    duckdb_logical_type logical =
        type.form == DECIMAL ? duckdb_create_decimal_type((uint8_t)type.digits, (uint8_t)type.scale) : duckdb_create_logical_type(type.type);
    duckdb_bind_add_result_column(info, column->name, logical);
    duckdb_destroy_logical_type(&logical);
  }
}

/* ------------------------------------------------------------------------------------- init: one scan of the columns in question */

typedef struct {
  ms_scan *scan;
  idx_t columns;
  column_type types[]; /* of the vectors in a chunk; a query that only counts rows has one vector too many, which stays empty */
} read_state;

static void free_read(void *held) {
  ms_scan_free(((read_state *)held)->scan);
  free(held);
}

static void tell_plan(const ms_session *session) {
  ms_bytes *plan = NULL;
  if (ms_session_explain(session, &plan, NULL) != MS_OK) return;
  fprintf(stderr, "%.*s\n", (int)ms_bytes_len(plan), (const char *)ms_bytes_data(plan));
  ms_bytes_free(plan);
}

static void init(duckdb_init_info info) {
  const table *const source = duckdb_init_get_bind_data(info);
  const idx_t wanted = duckdb_init_get_column_count(info);
  read_state *self = calloc(1, sizeof *self + wanted * sizeof self->types[0]);
  ms_options *options = ms_options_clone(source->options);
  if (self == NULL || options == NULL) {
    free(self);
    ms_options_free(options);
    duckdb_init_set_error(info, "out of memory");
    return;
  }
  duckdb_init_set_init_data(info, self, free_read);

  ms_session *session = NULL;
  ms_error *err = NULL;
  ms_status status = MS_OK;
  for (idx_t i = 0; i < wanted && status == MS_OK; i++) {
    const idx_t index = duckdb_init_get_column_index(info, i);
    if (index >= (idx_t)source->schema.n_children) continue; /* the number of a row: a query that counts rows asks for it */
    const struct ArrowSchema *const column = source->schema.children[index];
    understand(column->format, &self->types[self->columns++]);
    status = ms_options_add(options, MS_OPT_COLUMNS, column->name, &err);
  }
  /* A query that only counts rows needs no column; the first one tells how many there are. */
  if (status == MS_OK && self->columns == 0) status = ms_options_add(options, MS_OPT_COLUMNS, source->schema.children[0]->name, &err);
  if (status == MS_OK) status = ms_session_open(source->client, options, NULL, &session, &err);
  if (status == MS_OK) {
    tell_plan(session);
    status = ms_scan_open(session, options, &self->scan, &err);
  }
  if (status != MS_OK) FAIL(duckdb_init_set_error, info, status, err);
  duckdb_init_set_max_threads(info, 16);
  ms_session_free(session);
  ms_options_free(options);
}

/* ---------------------------------------------------------------------------------------------------- next chunk, on any thread */

/* The batch that a thread is at, and how much of it was handed out. */
typedef struct {
  struct ArrowArray batch;
  int64_t done;
} thread_state;

static void free_thread(void *held) {
  thread_state *self = held;
  if (self->batch.release != NULL) self->batch.release(&self->batch);
  free(self);
}

static void init_thread(duckdb_init_info info) {
  thread_state *self = calloc(1, sizeof *self);
  if (self == NULL) {
    duckdb_init_set_error(info, "out of memory");
    return;
  }
  duckdb_init_set_init_data(info, self, free_thread);
}

static void next_chunk(duckdb_function_info info, duckdb_data_chunk chunk) {
  const read_state *const read = duckdb_function_get_init_data(info);
  thread_state *const self = duckdb_function_get_local_init_data(info);
  if (self->batch.release == NULL) {
    int64_t split;
    ms_error *err = NULL;
    const ms_status status = ms_scan_next_batch(read->scan, &self->batch, &split, &err);
    if (status != MS_OK) {
      FAIL(duckdb_function_set_error, info, status, err);
      return;
    }
    if (self->batch.release == NULL) { /* the end */
      duckdb_data_chunk_set_size(chunk, 0);
      return;
    }
    self->done = 0;
  }
  const idx_t left = (idx_t)(self->batch.length - self->done), most = duckdb_vector_size(), count = left < most ? left : most;
  for (idx_t i = 0; i < read->columns; i++)
    fill(duckdb_data_chunk_get_vector(chunk, i), &read->types[i], self->batch.children[i], self->batch.offset + self->done, count);
  duckdb_data_chunk_set_size(chunk, count);
  self->done += (int64_t)count;
  if (self->done == self->batch.length) self->batch.release(&self->batch);
}

/* --------------------------------------------------------------------------------------------------------------------- main */

static bool register_function(duckdb_connection connection, char *endpoint) {
  duckdb_table_function function = duckdb_create_table_function();
  duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
  duckdb_table_function_set_name(function, "maxcompute");
  duckdb_table_function_add_parameter(function, text);
  duckdb_table_function_set_extra_info(function, endpoint, NULL);
  duckdb_table_function_set_bind(function, bind);
  duckdb_table_function_set_init(function, init);
  duckdb_table_function_set_local_init(function, init_thread);
  duckdb_table_function_set_function(function, next_chunk);
  duckdb_table_function_supports_projection_pushdown(function, true);
  const bool registered = duckdb_register_table_function(connection, function) == DuckDBSuccess;
  duckdb_destroy_logical_type(&text);
  duckdb_destroy_table_function(&function);
  return registered;
}

static void print(duckdb_result *answer) {
  for (idx_t row = 0; row < duckdb_row_count(answer); row++) {
    for (idx_t column = 0; column < duckdb_column_count(answer); column++) {
      char *value = duckdb_value_varchar(answer, column, row);
      printf("%s%s", column > 0 ? "|" : "", value != NULL ? value : "NULL");
      duckdb_free(value);
    }
    printf("\n");
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return fputs("usage: duckdb_table ENDPOINT SQL\n", stderr), 2;
  duckdb_database database = NULL;
  duckdb_connection connection = NULL;
  if (duckdb_open(NULL, &database) != DuckDBSuccess || duckdb_connect(database, &connection) != DuckDBSuccess ||
      !register_function(connection, argv[1]))
    return fputs("duckdb_table: DuckDB cannot be started\n", stderr), EXIT_FAILURE;
  duckdb_result answer;
  const bool answered = duckdb_query(connection, argv[2], &answer) == DuckDBSuccess;
  if (answered) print(&answer);
  else fprintf(stderr, "duckdb_table: %s\n", duckdb_result_error(&answer));
  duckdb_destroy_result(&answer);
  duckdb_disconnect(&connection);
  duckdb_close(&database);
  return answered ? EXIT_SUCCESS : EXIT_FAILURE;
}
