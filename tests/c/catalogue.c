/* The catalogue and the diagnosis against the running service. */
#include "service.h"

/* A stream with its schema and the batch that was taken last. */
typedef struct {
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  struct ArrowArray batch;
  int64_t row; /* of the batch */
} cursor;

/* The first batch; a failure fails the test. */
static bool cursor_start(cursor *self) {
  self->row = 0;
  if (self->stream.get_schema(&self->stream, &self->schema) == 0 && self->stream.get_next(&self->stream, &self->batch) == 0) return true;
  check_fail(__FILE__, __LINE__, "%s", or_empty(self->stream.get_last_error(&self->stream)));
  return false;
}

static bool cursor_next_batch(cursor *self) {
  if (self->batch.release != NULL) self->batch.release(&self->batch);
  self->row = 0;
  if (self->stream.get_next(&self->stream, &self->batch) != 0) {
    check_fail(__FILE__, __LINE__, "%s", or_empty(self->stream.get_last_error(&self->stream)));
    self->batch.release = NULL;
  }
  return self->batch.release != NULL;
}

static void cursor_end(cursor *self) {
  if (self->batch.release != NULL) self->batch.release(&self->batch);
  if (self->schema.release != NULL) self->schema.release(&self->schema);
  if (self->stream.release != NULL) self->stream.release(&self->stream);
  *self = (cursor){0};
}

static int64_t place_of(const struct ArrowSchema *schema, const char *name) {
  for (int64_t i = 0; i < schema->n_children; i++)
    if (strcmp(schema->children[i]->name, name) == 0) return i;
  check_fail(__FILE__, __LINE__, "there is no column %s", name);
  return 0;
}

static bool is_null(const struct ArrowArray *array, int64_t row) {
  const unsigned char *valid = array->buffers[0];
  return valid != NULL && (valid[(row + array->offset) / 8] >> (row + array->offset) % 8 & 1) == 0;
}

static const struct ArrowArray *column(const cursor *self, const char *name) {
  return self->batch.children[place_of(&self->schema, name)];
}

static int64_t number(const cursor *self, const char *name) {
  const struct ArrowArray *array = column(self, name);
  return is_null(array, self->row) ? -1 : ((const int64_t *)array->buffers[1])[array->offset + self->row];
}

/* A text of the present row; valid until the next call. */
static const char *word_of(const struct ArrowArray *array, int64_t row) {
  static char text[512];
  if (is_null(array, row)) return "NULL";
  const int32_t *offsets = (const int32_t *)array->buffers[1] + array->offset + row;
  snprintf(text, sizeof text, "%.*s", (int)(offsets[1] - offsets[0]), (const char *)array->buffers[2] + offsets[0]);
  return text;
}
static const char *word(const cursor *self, const char *name) { return word_of(column(self, name), self->row); }

/* The value of a key in the metadata of a field, "" if there is none; valid until the next call. */
static const char *metadata(const struct ArrowSchema *field, const char *key) {
  static char value[256];
  const char *at = field->metadata;
  if (at == NULL) return "";
  int32_t pairs, length;
  memcpy(&pairs, at, sizeof pairs);
  at += sizeof pairs;
  for (int32_t i = 0; i < pairs; i++) {
    memcpy(&length, at, sizeof length);
    const char *name = at + sizeof length;
    const bool found = (size_t)length == strlen(key) && memcmp(name, key, (size_t)length) == 0;
    at = name + length;
    memcpy(&length, at, sizeof length);
    if (found) {
      snprintf(value, sizeof value, "%.*s", length, at + sizeof length);
      return value;
    }
    at += sizeof length + (size_t)length;
  }
  return "";
}

static ms_client *client_with(const char *endpoint, const char *const *pairs) {
  ms_options *options = service_options_at(endpoint, "local.default.nation");
  ms_client *client = NULL;
  ms_status status = ms_options_set(options, MS_OPT_PROJECT, "local", &err);
  if (status == MS_OK) status = set_all(options, pairs);
  if (status == MS_OK) status = ms_client_open(options, &client, &err);
  if (status != MS_OK) check_fail(__FILE__, __LINE__, "no client: %s", ms_error_message(err));
  ms_options_free(options);
  return client;
}

static const char *const nothing[] = {NULL};

static void schemas_of_a_project_and_of_all(void) {
  ms_client *client = client_with(required("MS_TEST_ENDPOINT"), nothing);
  const char *const projects[] = {"local", NULL};
  for (size_t i = 0; i < 2; i++) {
    cursor list = {0};
    drop_error();
    CHECK_INT(ms_projects_schemas(client, projects[i], &list.stream, &err), MS_OK);
    if (cursor_start(&list)) {
      CHECK_TEXT(word(&list, "project"), "local");
      CHECK_TEXT(word(&list, "schema"), "default");
      CHECK(!cursor_next_batch(&list));
    }
    cursor_end(&list);
  }
  struct ArrowArrayStream stream;
  CHECK_FAILS(ms_projects_schemas(client, "nowhere", &stream, &err), MS_NOT_FOUND);
  CHECK(stream.release == NULL && ms_error_request_id(err)[0] != '\0');
  ms_client_free(client);
}

static void tables_by_pattern(void) {
  ms_client *client = client_with(required("MS_TEST_ENDPOINT"), nothing);
  static const struct {
    const char *pattern;
    int64_t count;
  } cases[] = {{NULL, 9}, {"*", 9}, {"Part*", 2}, {"*ion", 2}, {"?????", 0}, {"orders?by*", 1}, {"none", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cursor list = {0};
    int64_t count = 0;
    drop_error();
    CHECK_INT(ms_tables(client, NULL, NULL, cases[i].pattern, &list.stream, &err), MS_OK);
    if (cursor_start(&list) && list.batch.release != NULL) {
      do {
        for (list.row = 0; list.row < list.batch.length; list.row++) CHECK_TEXT(word(&list, "kind"), "table");
        count += list.batch.length;
      } while (cursor_next_batch(&list));
    }
    if (count != cases[i].count) check_fail(__FILE__, __LINE__, "%s: %" PRId64 " tables", or_empty(cases[i].pattern), count);
    cursor_end(&list);
  }
  /* The stream needs nothing but itself. */
  cursor list = {0};
  REQUIRE_OK(ms_tables(client, "local", "default", "nation", &list.stream, &err));
  ms_client_free(client);
  if (cursor_start(&list)) CHECK_TEXT(word(&list, "table"), "nation");
  cursor_end(&list);
}

static void columns_of_a_table(void) {
  ms_client *client = client_with(required("MS_TEST_ENDPOINT"), nothing);
  struct ArrowSchema schema;
  REQUIRE_OK(ms_table_schema(client, "orders_by_year", &schema, &err));
  CHECK_INT(schema.n_children, 10);
  const struct ArrowSchema *key = schema.children[9];
  CHECK_TEXT(key->name, "o_orderyear");
  CHECK_TEXT(key->format, "i");
  CHECK_TEXT(metadata(key, "maxcompute.partition_key"), "true");
  CHECK_TEXT(metadata(key, "maxcompute.type"), "int");
  CHECK_TEXT(metadata(schema.children[0], "maxcompute.partition_key"), "");
  schema.release(&schema);
  CHECK_FAILS(ms_table_schema(client, "nowhere", &schema, &err), MS_NOT_FOUND);
  CHECK(schema.release == NULL);
  ms_client_free(client);
}

static void details_of_a_table(void) {
  ms_client *client = client_with(required("MS_TEST_ENDPOINT"), nothing);
  cursor row = {0};
  REQUIRE_OK(ms_table_details(client, "local.default.orders_by_year", &row.stream, &err));
  if (cursor_start(&row)) {
    CHECK_INT(row.batch.length, 1);
    CHECK_TEXT(word(&row, "kind"), "table");
    CHECK_INT(number(&row, "rows"), ORDERS_ROWS);
    CHECK_INT(number(&row, "files"), 7);
    CHECK(number(&row, "size_bytes") > 0 && number(&row, "modified_at") > 1700000000);
    CHECK_INT(number(&row, "buckets"), -1);
    const struct ArrowArray *keys = column(&row, "partition_keys");
    CHECK_TEXT(word_of(keys->children[0], 0), "o_orderyear");
    CHECK(!cursor_next_batch(&row));
  }
  cursor_end(&row);
  ms_client_free(client);
}

static void partitions_of_a_table(void) {
  ms_client *client = client_with(required("MS_TEST_ENDPOINT"), nothing);
  cursor list = {0};
  REQUIRE_OK(ms_partitions(client, "orders_by_year", NULL, &list.stream, &err));
  int64_t rows = 0, years = 0;
  if (cursor_start(&list)) {
    do {
      const struct ArrowArray *values = column(&list, "values")->children[0];
      for (list.row = 0; list.row < list.batch.length; list.row++) {
        char spec[64];
        const int32_t year = ((const int32_t *)values->buffers[1])[values->offset + list.row];
        snprintf(spec, sizeof spec, "o_orderyear=%" PRId32, year);
        CHECK_TEXT(word(&list, "partition"), spec);
        CHECK(year >= 1992 && year <= 1998);
        rows += number(&list, "rows");
        years++;
      }
    } while (cursor_next_batch(&list));
  }
  CHECK_INT(rows, ORDERS_ROWS);
  CHECK_INT(years, 7);
  cursor_end(&list);
  CHECK_FAILS(ms_partitions(client, "nation", NULL, &list.stream, &err), MS_INVALID_ARGUMENT);

  ms_predicate *filter = NULL;
  years = 0;
  REQUIRE_OK(ms_predicate_parse("o_orderyear in (1993, 1995, 2030) and o_orderyear <> 1993", &filter, &err));
  REQUIRE_OK(ms_partitions(client, "orders_by_year", filter, &list.stream, &err));
  if (cursor_start(&list) && list.batch.release != NULL) {
    CHECK_TEXT(word(&list, "partition"), "o_orderyear=1995");
    do years += list.batch.length;
    while (cursor_next_batch(&list));
  }
  CHECK_INT(years, 1);
  cursor_end(&list);
  ms_predicate_free(filter);
  REQUIRE_OK(ms_predicate_parse("o_orderkey = 1", &filter, &err));
  CHECK_FAILS(ms_partitions(client, "orders_by_year", filter, &list.stream, &err), MS_NOT_FOUND);
  ms_predicate_free(filter);
  ms_client_free(client);
}

static void first_rows_of_a_table(void) {
  ms_client *client = client_with(required("MS_TEST_ENDPOINT"), nothing);
  cursor rows = {0};
  REQUIRE_OK(ms_table_preview(client, "nation", NULL, 10, &rows.stream, &err));
  if (cursor_start(&rows)) {
    CHECK_INT(rows.batch.length, 10);
    CHECK_INT(rows.schema.n_children, 4);
    CHECK(!cursor_next_batch(&rows));
  }
  cursor_end(&rows);

  ms_options *scan = ms_options_new();
  CHECK_INT(ms_options_add(scan, MS_OPT_COLUMNS, "o_orderkey", NULL), MS_OK);
  CHECK_INT(ms_options_add(scan, MS_OPT_PARTITION_COLUMNS, "o_orderyear", NULL), MS_OK);
  CHECK_INT(ms_options_add(scan, MS_OPT_PARTITIONS, "o_orderyear=1995", NULL), MS_OK);
  REQUIRE_OK(ms_table_preview(client, "orders_by_year", scan, 10000, &rows.stream, &err));
  if (cursor_start(&rows)) {
    CHECK_INT(rows.schema.n_children, 2);
    CHECK(rows.batch.length > 1000);
    const struct ArrowArray *years = column(&rows, "o_orderyear");
    CHECK_INT(((const int32_t *)years->buffers[1])[years->offset], 1995);
  }
  cursor_end(&rows);
  struct ArrowArrayStream stream;
  CHECK_FAILS(ms_table_preview(client, "nation", NULL, 0, &stream, &err), MS_INVALID_ARGUMENT);
  CHECK_FAILS(ms_table_preview(client, "nation", NULL, 10001, &stream, &err), MS_INVALID_ARGUMENT);
  CHECK_FAILS(ms_table_preview(client, "nowhere", NULL, 1, &stream, &err), MS_NOT_FOUND);
  ms_options_free(scan);
  ms_client_free(client);
}

/* Diagnoses and compares: every step before `failed` is fine, it fails and says `part`, nothing behind it was tried. NULL for none. */
static void diagnosed(const char *endpoint, const char *const *pairs, const char *table, const char *failed, const char *part) {
  ms_client *client = client_with(endpoint, pairs);
  cursor report = {0};
  drop_error();
  CHECK_INT(ms_client_diagnose(client, table, &report.stream, &err), MS_OK);
  if (cursor_start(&report)) {
    CHECK_INT(report.batch.length, 10);
    bool behind = false;
    for (report.row = 0; report.row < report.batch.length; report.row++) {
      char step[64];
      snprintf(step, sizeof step, "%s", word(&report, "step"));
      const char *status = word(&report, "status");
      if (failed != NULL && strcmp(step, failed) == 0) {
        behind = true;
        CHECK_TEXT(status, "failed");
        CHECK_CONTAINS(word(&report, "sentence"), part);
      } else if (behind) {
        CHECK_TEXT(status, "not tried");
      } else if (strcmp(status, "ok") != 0 && strcmp(status, "skipped") != 0) {
        check_fail(__FILE__, __LINE__, "%s is %s", step, status);
        check_fail(__FILE__, __LINE__, "%s", word(&report, "sentence"));
      }
    }
    CHECK(behind == (failed != NULL));
  }
  cursor_end(&report);
  ms_client_free(client);
}

/* Runs a command of the service's own program; `arguments` are ours, so no quoting is needed beyond what they have. */
static bool command(const char *name, const char *arguments, const own_server *server) {
  char line[1024], url[160];
  snprintf(url, sizeof url, "%.*s", (int)(strlen(server->endpoint) - strlen("/api")), server->endpoint);
  snprintf(line, sizeof line, "'%s' %s %s --server %s >/dev/null", required("MS_TEST_SERVER"), name, arguments, url);
  return system(line) == 0;
}

static void a_diagnosis_finds_nothing_wrong(void) {
  const char *endpoint = required("MS_TEST_ENDPOINT");
  const char *const quota[] = {MS_OPT_QUOTA, "any", NULL};
  diagnosed(endpoint, nothing, "nation", NULL, NULL);
  diagnosed(endpoint, quota, "local.default.nation", NULL, NULL);
  diagnosed(endpoint, nothing, NULL, NULL, NULL);
}

static void a_diagnosis_finds_the_step_that_fails(void) {
  const char *endpoint = required("MS_TEST_ENDPOINT");
  const char *const secret[] = {MS_OPT_ACCESS_KEY_SECRET, "wrong", NULL};
  const char *const data[] = {MS_OPT_DATA_ENDPOINT, "http://127.0.0.1:9", NULL};
  diagnosed("http://127.0.0.1:9/api", nothing, "nation", "connect", "Check the port");
  diagnosed(endpoint, secret, "nation", "signature", "access_key_secret");
  diagnosed(endpoint, data, "nation", "endpoint_routing", "data_endpoint");
  diagnosed(endpoint, nothing, "nowhere.default.nation", "project", "name of the project");
  diagnosed(endpoint, nothing, "nations", "table", "names of table and schema");
}

static void a_diagnosis_finds_clocks_that_differ(void) {
  own_server server;
  REQUIRE(own_server_start(&server, "--planning-delay-ms", "0"));
  CHECK(command("clock", "advance 2h", &server));
  diagnosed(server.endpoint, nothing, "nation", "clock_skew", "Set the clock");
  CHECK(command("clock", "reset", &server));
  diagnosed(server.endpoint, nothing, "nation", NULL, NULL);
  own_server_end(&server, SIGTERM);
}

static void a_diagnosis_finds_missing_rights_and_quotas(void) {
  own_server server;
  const char *const unknown[] = {MS_OPT_QUOTA, "no_such_quota", NULL};
  const char *const alice[] = {MS_OPT_ACCESS_KEY_ID, "catalogue_alice", MS_OPT_ACCESS_KEY_SECRET, "s3", NULL};
  const char *const alice_pays[] = {MS_OPT_ACCESS_KEY_ID, "catalogue_alice", MS_OPT_ACCESS_KEY_SECRET, "s3", MS_OPT_QUOTA, "pay-as-you-go", NULL};
  REQUIRE(own_server_start(&server, "--profile", "strict"));
  CHECK(command("grant", "\"set tenant property storage_api_switch=true;\"", &server));
  CHECK(command("grant", "\"create access key 'catalogue_alice' secret 's3' for user RAM\\$catalogue;\"", &server));
  diagnosed(server.endpoint, unknown, "nation", "quota", "option quota");
  diagnosed(server.endpoint, alice, "nation", "project", "member");
  CHECK(command("grant", "\"add user RAM\\$catalogue;\"", &server));
  diagnosed(server.endpoint, alice, "nation", "table", "Describe");
  CHECK(command("grant", "\"grant Describe on table nation to user RAM\\$catalogue;\"", &server));
  diagnosed(server.endpoint, alice, "nation", "read_right", "Select");
  CHECK(command("grant", "\"grant Select on table nation to user RAM\\$catalogue;\"", &server));
  diagnosed(server.endpoint, alice, "nation", NULL, NULL);
  diagnosed(server.endpoint, alice_pays, "nation", "quota", "odps:Usage");
  CHECK(command("grant", "\"remove user RAM\\$catalogue;\"", &server));
  CHECK(command("grant", "\"drop access key 'catalogue_alice';\"", &server));
  own_server_end(&server, SIGTERM);
}

/* Seven partitions in four sessions at the service, each row once, the splits in the order of the partitions. */
static void many_partitions_are_one_session(void) {
  stack use = {.options = service_options("local.default.orders_by_year")};
  const char *const pairs[] = {MS_OPT_PLAN_PARTITIONS_PER_SESSION, "2", MS_OPT_SPLIT_MODE, "row_offset", MS_OPT_SPLIT_ROWS, "1000", NULL};
  char year[32], partition[32] = "";
  CHECK_INT(set_all(use.options, pairs), MS_OK);
  for (int i = 1998; i >= 1992; i--) {
    snprintf(year, sizeof year, "o_orderyear=%d", i);
    CHECK_INT(ms_options_add(use.options, MS_OPT_PARTITIONS, year, NULL), MS_OK);
  }
  if (stack_open_session(&use) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  CHECK_INT(ms_session_estimated_rows(use.session), ORDERS_ROWS);
  int64_t planned = 0, rows = 0;
  double weight = 0;
  for (int64_t i = 0; i < ms_session_split_count(use.session); i++) {
    ms_split_info *info = NULL;
    REQUIRE_OK(ms_session_split_info(use.session, i, &info, &err));
    planned += ms_split_info_rows(info);
    weight += ms_split_info_weight(info);
    snprintf(partition, sizeof partition, "%s", ms_split_info_partition(info));
    ms_split_info_free(info);
    REQUIRE_OK(ms_split_open(use.session, i, NULL, &use.split, &err));
    CHECK_INT(drain(use.split, &rows), MS_OK);
    ms_split_free(use.split);
    use.split = NULL;
  }
  CHECK_INT(planned, ORDERS_ROWS);
  CHECK_INT(rows, ORDERS_ROWS);
  CHECK(weight > 0.999 && weight < 1.001);
  CHECK_TEXT(partition, "o_orderyear=1992"); /* the last session has one partition */
  ms_bytes *json = NULL;
  REQUIRE_OK(ms_session_explain(use.session, &json, &err));
  CHECK(ms_bytes_len(json) > 100 && ((const char *)ms_bytes_data(json))[0] == '{');
  ms_bytes_free(json);
  stack_free(&use);
}

/* Lists of a client that is gone, on an endpoint that stalls and is released: nothing is left behind. */
static void a_list_is_released_before_its_end(void) {
  ms_client *client = client_with(required("MS_TEST_ENDPOINT"), nothing);
  for (int i = 0; i < 20; i++) {
    cursor list = {0};
    REQUIRE_OK(ms_partitions(client, "orders_by_year", NULL, &list.stream, &err));
    if (i % 2 == 0) cursor_start(&list);
    cursor_end(&list);
  }
  ms_client_free(client);
}

int main(void) {
  RUN(schemas_of_a_project_and_of_all);
  RUN(tables_by_pattern);
  RUN(columns_of_a_table);
  RUN(details_of_a_table);
  RUN(partitions_of_a_table);
  RUN(first_rows_of_a_table);
  RUN(a_diagnosis_finds_nothing_wrong);
  RUN(a_diagnosis_finds_the_step_that_fails);
  RUN(a_diagnosis_finds_clocks_that_differ);
  RUN(a_diagnosis_finds_missing_rights_and_quotas);
  RUN(many_partitions_are_one_session);
  RUN(a_list_is_released_before_its_end);
  return check_end();
}
