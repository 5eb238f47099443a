/* How a session comes about and ends: planning that takes time, both signatures, temporary credentials, expiry. */
#include "service.h"

static ms_status open_nation(const own_server *server, const char *const *pairs, int64_t *elapsed_ms) {
  stack use = {.options = server != NULL ? service_options_at(server->endpoint, "local.default.nation") : service_options("local.default.nation")};
  ms_status status = set_all(use.options, pairs);
  const int64_t start = now_ms();
  int64_t rows = 0;
  if (status == MS_OK) status = stack_open(&use);
  if (elapsed_ms != NULL) *elapsed_ms = now_ms() - start;
  if (status == MS_OK) status = drain(use.split, &rows);
  if (status == MS_OK) CHECK_INT(rows, NATION_ROWS);
  stack_free(&use);
  return status;
}

static const char *const nothing[] = {NULL};

/* The service says "not yet" for 300 ms: the session is there soon after, not at the next full second. */
static void a_plan_that_takes_time_is_polled_closely(void) {
  own_server server;
  int64_t elapsed = 0;
  REQUIRE(own_server_start(&server, "--planning-delay-ms", "300"));
  CHECK_INT(open_nation(&server, nothing, &elapsed), MS_OK);
  CHECK(elapsed >= 290);
  CHECK(elapsed < limit_ms(950)); /* a client that polls once a second needs a full one */
  own_server_end(&server, SIGTERM);
}

static void a_plan_that_takes_too_long_times_out(void) {
  own_server server;
  int64_t elapsed = 0;
  const char *const pairs[] = {MS_OPT_PLAN_TIMEOUT_MS, "300", NULL};
  REQUIRE(own_server_start(&server, "--planning-delay-ms", "600000"));
  CHECK_INT(open_nation(&server, pairs, &elapsed), MS_TIMEOUT);
  CHECK(elapsed >= 290);
  CHECK(elapsed < limit_ms(2000));
  own_server_end(&server, SIGTERM);
}

static void both_signatures_are_accepted_and_checked(void) {
  const char *const v2[] = {MS_OPT_SIGNATURE, "v2", NULL};
  const char *const v4[] = {MS_OPT_SIGNATURE, "v4", MS_OPT_REGION, "cn-hangzhou", NULL};
  const char *const v4_wrong[] = {MS_OPT_SIGNATURE, "v4", MS_OPT_REGION, "cn-hangzhou", MS_OPT_ACCESS_KEY_SECRET, "wrong", NULL};
  CHECK_INT(open_nation(NULL, v2, NULL), MS_OK);
  CHECK_INT(open_nation(NULL, v4, NULL), MS_OK);
  CHECK_INT(open_nation(NULL, v4_wrong, NULL), MS_UNAUTHENTICATED);
  CHECK(ms_error_request_id(err)[0] != '\0');
}

static void a_temporary_key_needs_its_token(void) {
  own_server server;
  const char *const without[] = {MS_OPT_ACCESS_KEY_ID, "STS.1", MS_OPT_ACCESS_KEY_SECRET, "secret", NULL};
  const char *const with[] = {MS_OPT_ACCESS_KEY_ID, "STS.1", MS_OPT_ACCESS_KEY_SECRET, "secret", MS_OPT_SECURITY_TOKEN, "token", NULL};
  REQUIRE(own_server_start(&server, "--account", "STS.1:secret:token"));
  CHECK_INT(open_nation(&server, with, NULL), MS_OK);
  CHECK_INT(open_nation(&server, without, NULL), MS_UNAUTHENTICATED);
  own_server_end(&server, SIGTERM);
}

static void an_expired_session_says_so(void) {
  own_server server;
  REQUIRE(own_server_start(&server, "--session-lifetime-s", "1"));
  stack use = {.options = service_options_at(server.endpoint, "local.default.nation")};
  CHECK_INT(stack_open_session(&use), MS_OK);
  nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 500000000}, NULL);
  int64_t rows = 0;
  drop_error();
  ms_status status = ms_split_open(use.session, 0, NULL, &use.split, &err);
  if (status == MS_OK) status = drain(use.split, &rows);
  CHECK_INT(status, MS_SESSION_EXPIRED);
  CHECK(ms_error_request_id(err)[0] != '\0');
  CHECK_INT(rows, 0);
  stack_free(&use);
  own_server_end(&server, SIGTERM);
}

int main(void) {
  RUN(a_plan_that_takes_time_is_polled_closely);
  RUN(a_plan_that_takes_too_long_times_out);
  RUN(both_signatures_are_accepted_and_checked);
  RUN(a_temporary_key_needs_its_token);
  RUN(an_expired_session_says_so);
  return check_end();
}
