/* What users meet: wrong secret, unknown names, a bad filter, a service that is gone or dies. Each is one sentence with the right
 * code and, where the service answered, its request id; none takes five seconds. */
#include "service.h"

static int64_t started;

static void expect(ms_status status, ms_status expected, const char *word) {
  CHECK_INT(status, expected);
  CHECK_CONTAINS(ms_error_message(err), word);
  CHECK(strchr(ms_error_message(err), '\n') == NULL);
  CHECK(now_ms() - started < limit_ms(5000));
}

/* Opens a session with one option changed; leaves the error in `err`. */
static ms_status open_with(const char *table, const char *key, const char *value) {
  stack use = {.options = service_options(table)};
  const char *const pair[] = {key, value, NULL};
  ms_status status = key != NULL ? set_all(use.options, pair) : MS_OK;
  started = now_ms();
  if (status == MS_OK) status = stack_open_session(&use);
  stack_free(&use);
  return status;
}

static void the_service_said_so(void) {
  CHECK(ms_error_request_id(err)[0] != '\0');
  CHECK(ms_error_server_code(err)[0] != '\0');
  CHECK(ms_error_http_status(err) >= 400);
  CHECK(!ms_error_is_retryable(err));
}

static void a_wrong_secret(void) {
  expect(open_with("local.default.nation", MS_OPT_ACCESS_KEY_SECRET, "wrong"), MS_UNAUTHENTICATED, "");
  the_service_said_so();
  CHECK(strstr(ms_error_message(err), "wrong") == NULL); /* the secret itself */
}

static void an_unknown_access_key(void) {
  expect(open_with("local.default.nation", MS_OPT_ACCESS_KEY_ID, "nobody"), MS_UNAUTHENTICATED, "");
  the_service_said_so();
}

static void an_unknown_project(void) {
  expect(open_with("nowhere.default.nation", NULL, NULL), MS_NOT_FOUND, "nowhere");
  the_service_said_so();
}

static void an_unknown_schema(void) {
  expect(open_with("local.elsewhere.nation", NULL, NULL), MS_NOT_FOUND, "elsewhere");
  the_service_said_so();
}

static void an_unknown_table(void) {
  expect(open_with("local.default.nations", NULL, NULL), MS_NOT_FOUND, "nations");
  the_service_said_so();
}

static void an_unknown_column(void) {
  stack use = {.options = service_options("local.default.nation")};
  drop_error();
  CHECK_INT(ms_options_add(use.options, MS_OPT_COLUMNS, "n_nmae", &err), MS_OK);
  started = now_ms();
  const ms_status status = stack_open_session(&use);
  CHECK(status == MS_INVALID_ARGUMENT || status == MS_NOT_FOUND);
  expect(status, status, "n_nmae");
  the_service_said_so();
  stack_free(&use);
}

static void a_bad_filter(void) {
  expect(open_with("local.default.nation", MS_OPT_FILTER_TEXT, "`n_nationkey` >>> ("), MS_INVALID_ARGUMENT, "");
  the_service_said_so();
}

static void a_filter_on_an_unknown_column(void) {
  const ms_status status = open_with("local.default.nation", MS_OPT_FILTER_TEXT, "`n_nmae` = 1");
  CHECK(status == MS_INVALID_ARGUMENT || status == MS_NOT_FOUND);
  expect(status, status, "n_nmae");
  the_service_said_so();
}

static void malformed_table_names(void) {
  const char *const names[] = {"", "a.b.c.d", "local..nation", ".nation", "local.default."};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const ms_status status = open_with("local.default.nation", MS_OPT_TABLE, names[i]);
    CHECK(status == MS_INVALID_OPTION || status == MS_INVALID_ARGUMENT);
    CHECK(ms_error_message(err)[0] != '\0');
  }
}

static void a_stopped_service(void) {
  own_server server;
  REQUIRE(own_server_start(&server, NULL, NULL));
  stack use = {.options = service_options_at(server.endpoint, "local.default.lineitem")};
  CHECK_INT(stack_open_session(&use), MS_OK);
  own_server_end(&server, SIGTERM);
  started = now_ms();
  ms_session *session = NULL;
  drop_error();
  expect(ms_session_open(use.client, use.options, NULL, &session, &err), MS_CONNECTION, "127.0.0.1");
  CHECK(ms_error_is_retryable(err));
  CHECK_INT(ms_error_attempts(err), 2);
  started = now_ms(); /* nor does an open session read on */
  int64_t rows = 0;
  drop_error();
  ms_status status = ms_split_open(use.session, 0, NULL, &use.split, &err);
  if (status == MS_OK) status = drain(use.split, &rows);
  expect(status, MS_CONNECTION, "");
  CHECK_INT(rows, 0);
  stack_free(&use);
}

/* Killed while a body is on its way: the rows that came are whole, and the end is an error, not an end. */
static void a_service_killed_in_mid_stream(void) {
  own_server server;
  REQUIRE(own_server_start(&server, NULL, NULL));
  stack use = {.options = service_options_at(server.endpoint, "local.default.lineitem")};
  const char *const pairs[] = {MS_OPT_SPLIT_MODE, "parallelism", MS_OPT_SPLIT_PARALLELISM, "1", NULL};
  CHECK_INT(set_all(use.options, pairs), MS_OK);
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch;
  CHECK_INT(ms_split_next_batch(use.split, &batch, &err), MS_OK);
  int64_t rows = 0;
  if (batch.release != NULL) {
    rows = batch.length;
    batch.release(&batch);
  }
  CHECK(rows > 0);
  own_server_end(&server, SIGKILL);
  started = now_ms();
  const ms_status status = drain(use.split, &rows);
  CHECK(status == MS_CONNECTION || status == MS_CORRUPT_DATA || status == MS_UNAVAILABLE);
  expect(status, status, "");
  CHECK(ms_error_request_id(err)[0] != '\0');
  CHECK(rows < 600572); /* scale 0.1: what did not come was not invented */
  CHECK_INT(ms_split_rows_delivered(use.split), rows);
  stack_free(&use);
}

int main(void) {
  RUN(a_wrong_secret);
  RUN(an_unknown_access_key);
  RUN(an_unknown_project);
  RUN(an_unknown_schema);
  RUN(an_unknown_table);
  RUN(an_unknown_column);
  RUN(a_bad_filter);
  RUN(a_filter_on_an_unknown_column);
  RUN(malformed_table_names);
  RUN(a_stopped_service);
  RUN(a_service_killed_in_mid_stream);
  return check_end();
}
