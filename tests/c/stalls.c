/* A peer that stalls, cuts or lies: every wait ends in time, by time-out or by cancel, with the right status and request id, and
 * no row is lost or invented on the way. */
#include "peer.h"

static void begin(peer *service, stack *use, enum peer_rule create, enum peer_rule data) {
  *service = (peer){.create = create, .data = data};
  peer_start(service);
  *use = (stack){.options = peer_options(service)};
}

static void set(stack *use, const char *key, const char *value) {
  drop_error();
  if (ms_options_set(use->options, key, value, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s: %s", key, ms_error_message(err));
}

static void end(peer *service, stack *use) {
  stack_free(use);
  peer_stop(service);
}

static void a_healthy_peer_gives_its_three_rows(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_ANSWER, PEER_ANSWER);
  CHECK_INT(stack_open(&use), MS_OK);
  int64_t rows = 0;
  if (use.split != NULL) {
    CHECK_INT(drain(use.split, &rows), MS_OK);
    CHECK_INT(drain(use.split, &rows), MS_OK); /* the end stays the end */
    CHECK_INT(ms_split_rows_delivered(use.split), 3);
  }
  CHECK_INT(rows, 3);
  end(&service, &use);
}

/* ------------------------------------------------------------------------------------------------------------------ cancel */

typedef struct {
  ms_split *split;
  int64_t rows;
  ms_status status;
} reader;

static void *read_in_thread(void *argument) {
  reader *self = argument;
  ms_error *error = NULL;
  for (;;) {
    struct ArrowArray batch;
    self->status = ms_split_next_batch(self->split, &batch, &error);
    if (self->status != MS_OK || batch.release == NULL) break;
    self->rows += batch.length;
    batch.release(&batch);
  }
  ms_error_free(error);
  return NULL;
}

/* What is promised, for the median of three tries: a busy machine may run the thread that woke late, but not every time. */
enum { WAKES_WITHIN_MS = 50 };

static int by_size(const void *one, const void *other) {
  const int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

static void check_promise(int64_t times[3]) {
  qsort(times, 3, sizeof *times, by_size);
  if (times[1] > limit_ms(WAKES_WITHIN_MS)) check_fail(__FILE__, __LINE__, "it took %" PRId64 " ms at best, %" PRId64 " as a rule", times[0], times[1]);
}

/* Milliseconds from the cancel to the return of a reader of a peer that sends `rows_before` rows and then nothing. */
static int64_t time_to_wake(enum peer_rule how, int64_t rows_before) {
  peer service;
  stack use;
  begin(&service, &use, PEER_ANSWER, how);
  set(&use, MS_OPT_READ_IDLE_TIMEOUT_MS, "600000");
  reader blocked = {0};
  int64_t took = INT64_MAX;
  if (stack_open(&use) == MS_OK) {
    pthread_t thread;
    blocked.split = use.split;
    if (pthread_create(&thread, NULL, read_in_thread, &blocked) != 0) abort();
    const int64_t patience = now_ms() + limit_ms(10000); /* the rows before the stall arrive, then it waits */
    while (ms_split_rows_delivered(use.split) < rows_before && now_ms() < patience) sched_yield();
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    const int64_t start = now_ms();
    ms_split_cancel(use.split);
    pthread_join(thread, NULL);
    took = now_ms() - start;
    CHECK_INT(blocked.status, MS_CANCELLED);
    CHECK_INT(blocked.rows, rows_before);
    for (int i = 0; i < 3; i++) { /* sticky: as often as it is asked */
      struct ArrowArray batch;
      CHECK_FAILS(ms_split_next_batch(use.split, &batch, &err), MS_CANCELLED);
      CHECK(batch.release == NULL);
      ms_split_cancel(use.split);
    }
  } else {
    check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  }
  end(&service, &use);
  return took;
}

static void cancel_wakes_a_reader_blocked(enum peer_rule how, int64_t rows_before) {
  int64_t times[3];
  for (int i = 0; i < 3; i++) times[i] = time_to_wake(how, rows_before);
  check_promise(times);
}

static void cancel_wakes_a_reader_that_waits_for_an_answer(void) { cancel_wakes_a_reader_blocked(PEER_STALL, 0); }
static void cancel_wakes_a_reader_in_the_middle_of_a_body(void) { cancel_wakes_a_reader_blocked(PEER_STALL_IN_BODY, 3); }

static void freeing_a_split_waits_for_nobody(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_ANSWER, PEER_STALL);
  CHECK_INT(stack_open(&use), MS_OK);
  const int64_t start = now_ms();
  stack_free(&use);
  CHECK(now_ms() - start < limit_ms(1000));
  peer_stop(&service);
}

/* --------------------------------------------------------------------------------------------------------------- time-outs */

static void a_silent_peer_is_given_up(enum peer_rule how, int64_t rows_before) {
  peer service;
  stack use;
  begin(&service, &use, PEER_ANSWER, how);
  set(&use, MS_OPT_READ_IDLE_TIMEOUT_MS, "500");
  int64_t rows = 0;
  const int64_t start = now_ms();
  ms_status status = stack_open(&use);
  if (status == MS_OK) status = drain(use.split, &rows);
  CHECK_INT(status, MS_TIMEOUT);
  CHECK(ms_error_is_retryable(err));
  CHECK(now_ms() - start < limit_ms(5000));
  CHECK_INT(rows, rows_before);
  end(&service, &use);
}

static void silence_before_the_answer_times_out(void) { a_silent_peer_is_given_up(PEER_STALL, 0); }
static void silence_in_a_body_times_out(void) { a_silent_peer_is_given_up(PEER_STALL_IN_BODY, 3); }

static void silence_while_planning_times_out(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_STALL, PEER_ANSWER);
  set(&use, MS_OPT_READ_IDLE_TIMEOUT_MS, "500");
  const int64_t start = now_ms();
  CHECK_INT(stack_open_session(&use), MS_TIMEOUT);
  CHECK(now_ms() - start < limit_ms(5000));
  CHECK(use.session == NULL);
  end(&service, &use);
}

/* A listener whose queue is full does not complete a connection: the connect time-out is what ends it. */
static void a_connection_that_never_completes_times_out(void) {
  enum { FILLERS = 8 };
  int port = 0, fillers[FILLERS];
  const int listener = peer_listen(0, &port);
  REQUIRE(listener >= 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int i = 0; i < FILLERS; i++) {
    fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fillers[i], (struct sockaddr *)&address, sizeof address) == 0) continue;
  }
  peer service = {0};
  snprintf(service.endpoint, sizeof service.endpoint, "http://127.0.0.1:%d/api", port);
  snprintf(service.data_endpoint, sizeof service.data_endpoint, "http://127.0.0.1:%d", port);
  stack use = {.options = peer_options(&service)};
  set(&use, MS_OPT_CONNECT_TIMEOUT_MS, "500");
  const int64_t start = now_ms();
  const ms_status status = stack_open_session(&use);
  CHECK(status == MS_TIMEOUT || status == MS_CONNECTION);
  CHECK(now_ms() - start < limit_ms(5000));
  stack_free(&use);
  for (int i = 0; i < FILLERS; i++) close(fillers[i]);
  close(listener);
}

static void nobody_listening_is_a_connection_failure(void) {
  int port = 0;
  const int listener = peer_listen(1, &port);
  REQUIRE(listener >= 0);
  close(listener); /* the port was free a moment ago and refuses now */
  peer service = {0};
  snprintf(service.endpoint, sizeof service.endpoint, "http://127.0.0.1:%d/api", port);
  snprintf(service.data_endpoint, sizeof service.data_endpoint, "http://127.0.0.1:%d", port);
  stack use = {.options = peer_options(&service)};
  const int64_t start = now_ms();
  CHECK_INT(stack_open_session(&use), MS_CONNECTION);
  CHECK(ms_error_is_retryable(err));
  CHECK_INT(ms_error_attempts(err), 1);
  CHECK(now_ms() - start < limit_ms(5000));
  stack_free(&use);
}

/* ------------------------------------------------------------------------------------------------------------ broken bodies */

static void a_broken_body_fails(enum peer_rule how, ms_status expected, int64_t rows_at_most) {
  peer service;
  stack use;
  begin(&service, &use, PEER_ANSWER, how);
  int64_t rows = 0;
  ms_status status = stack_open(&use);
  if (status == MS_OK) status = drain(use.split, &rows);
  CHECK_INT(status, expected); /* never a quiet end */
  CHECK_TEXT(ms_error_request_id(err), peer_request_id);
  CHECK(rows <= rows_at_most);
  if (use.split != NULL) { /* and no quiet end when asked again */
    struct ArrowArray batch;
    drop_error();
    CHECK(ms_split_next_batch(use.split, &batch, &err) != MS_OK);
    CHECK(batch.release == NULL);
  }
  end(&service, &use);
}

static void a_body_without_end_marker_is_an_error(void) { a_broken_body_fails(PEER_NO_END_MARKER, MS_CONNECTION, 3); }
static void a_body_cut_in_a_message_is_an_error(void) { a_broken_body_fails(PEER_CUT_IN_MESSAGE, MS_CONNECTION, 0); }
static void a_connection_cut_in_a_body_is_an_error(void) { a_broken_body_fails(PEER_CUT_BODY, MS_CONNECTION, 3); }
static void a_body_that_is_not_arrow_is_corrupt(void) { a_broken_body_fails(PEER_GARBAGE, MS_CORRUPT_DATA, 0); }

/* ----------------------------------------------------------------------------------------------------------------- refusals */

static void refusals_carry_everything_the_service_said(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_DENY, PEER_ANSWER);
  set(&use, MS_OPT_TRACE_PARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  CHECK_INT(stack_open_session(&use), MS_PERMISSION_DENIED);
  CHECK_CONTAINS(ms_error_message(err), "you may not read this");
  CHECK_TEXT(ms_error_server_code(err), "NoPermission");
  CHECK_TEXT(ms_error_request_id(err), peer_request_id);
  CHECK_INT(ms_error_http_status(err), 403);
  CHECK_INT(ms_error_attempts(err), 1);
  CHECK(!ms_error_is_retryable(err));
  CHECK_CONTAINS(ms_error_json(err), peer_request_id);
  CHECK_CONTAINS(ms_error_json(err), "\"trace_parent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"");
  CHECK_INT(atomic_load(&service.creates), 1);
  end(&service, &use);
}

static void a_busy_service_is_tried_again_as_often_as_allowed(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_REFUSE, PEER_ANSWER);
  set(&use, MS_OPT_RETRY_MAX_ATTEMPTS, "3");
  set(&use, MS_OPT_RETRY_INITIAL_BACKOFF_MS, "10");
  set(&use, MS_OPT_RETRY_MAX_BACKOFF_MS, "20");
  CHECK_INT(stack_open_session(&use), MS_UNAVAILABLE);
  CHECK(ms_error_is_retryable(err));
  CHECK_INT(ms_error_attempts(err), 3);
  CHECK_CONTAINS(ms_error_json(err), "\"earlier_attempts\":[{\"after_ms\":");
  CHECK_CONTAINS(ms_error_json(err), "\"attempt\":2,");
  CHECK(strstr(ms_error_json(err), "\"attempt\":3,") == NULL);
  CHECK_INT(ms_error_http_status(err), 503);
  CHECK_INT(atomic_load(&service.creates), 3);
  end(&service, &use);
}

/* Goes on at once, stops after the third attempt, and looks at everything it is told. */
static int64_t give_up_after_three(void *context, const ms_error *error, int64_t elapsed_ms, int64_t planned_delay_ms) {
  int *asked = context;
  (*asked)++;
  CHECK_INT(ms_error_attempts(error), *asked);
  CHECK_INT(ms_error_code(error), MS_UNAVAILABLE);
  CHECK_INT(ms_error_http_status(error), 503);
  CHECK_CONTAINS(ms_error_json(error), "MS_UNAVAILABLE");
  CHECK(elapsed_ms >= 0 && elapsed_ms < limit_ms(30000));
  CHECK(planned_delay_ms >= 0 && planned_delay_ms <= 60000);
  CHECK_INT(ms_end_callbacks(), MS_WRONG_STATE);
  return *asked < 3 ? 0 : -1;
}

static void the_host_decides_about_each_further_attempt(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_REFUSE, PEER_ANSWER);
  set(&use, MS_OPT_RETRY_MAX_ATTEMPTS, "10");
  set(&use, MS_OPT_RETRY_INITIAL_BACKOFF_MS, "60000"); /* left to itself it would take minutes */
  set(&use, MS_OPT_RETRY_MAX_BACKOFF_MS, "60000");
  set(&use, MS_OPT_RETRY_BUDGET_MS, "3600000");
  int asked = 0;
  CHECK_INT(ms_options_set_retry_hook(use.options, give_up_after_three, &asked, NULL), MS_OK);
  const int64_t start = now_ms();
  CHECK_INT(stack_open_session(&use), MS_UNAVAILABLE);
  CHECK(now_ms() - start < limit_ms(5000));
  CHECK_INT(asked, 3);
  CHECK_INT(ms_error_attempts(err), 3);
  CHECK_INT(atomic_load(&service.creates), 3);
  end(&service, &use);
}

static void a_session_answer_that_is_not_json_is_corrupt(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_GARBAGE, PEER_ANSWER);
  CHECK_INT(stack_open_session(&use), MS_CORRUPT_DATA);
  CHECK_TEXT(ms_error_request_id(err), peer_request_id);
  end(&service, &use);
}

typedef struct {
  const stack *use;
  ms_cancel *cancel;
  ms_status status;
  int64_t woke_ms;
} planner;

static void *plan(void *argument) {
  planner *self = argument;
  ms_session *session = NULL;
  self->status = ms_session_open_cancellable(self->use->client, self->use->options, NULL, self->cancel, &session, NULL);
  self->woke_ms = now_ms();
  ms_session_free(session);
  return NULL;
}

static void cancel_wakes_who_waits_for_a_plan(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_STALL, PEER_ANSWER);
  REQUIRE_OK(ms_client_open(use.options, &use.client, &err));
  planner waiting = {.use = &use};
  int64_t times[3];
  for (int i = 0; i < 3; i++) {
    ms_cancel_free(waiting.cancel);
    waiting.cancel = ms_cancel_new();
    pthread_t thread;
    if (pthread_create(&thread, NULL, plan, &waiting) != 0) abort();
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    const int64_t begin_ms = now_ms();
    ms_cancel_now(waiting.cancel);
    pthread_join(thread, NULL);
    CHECK_INT(waiting.status, MS_CANCELLED);
    times[i] = waiting.woke_ms - begin_ms;
  }
  check_promise(times);
  /* It stays: a call that comes later does not begin. */
  CHECK_FAILS(ms_session_open_cancellable(use.client, use.options, NULL, waiting.cancel, &use.session, &err), MS_CANCELLED);
  ms_cancel_free(waiting.cancel);
  end(&service, &use);
}

int main(void) {
  RUN(a_healthy_peer_gives_its_three_rows);
  RUN(cancel_wakes_a_reader_that_waits_for_an_answer);
  RUN(cancel_wakes_a_reader_in_the_middle_of_a_body);
  RUN(freeing_a_split_waits_for_nobody);
  RUN(silence_before_the_answer_times_out);
  RUN(silence_in_a_body_times_out);
  RUN(silence_while_planning_times_out);
  RUN(cancel_wakes_who_waits_for_a_plan);
  RUN(a_connection_that_never_completes_times_out);
  RUN(nobody_listening_is_a_connection_failure);
  RUN(a_body_without_end_marker_is_an_error);
  RUN(a_body_cut_in_a_message_is_an_error);
  RUN(a_connection_cut_in_a_body_is_an_error);
  RUN(a_body_that_is_not_arrow_is_corrupt);
  RUN(refusals_carry_everything_the_service_said);
  RUN(a_busy_service_is_tried_again_as_often_as_allowed);
  RUN(the_host_decides_about_each_further_attempt);
  RUN(a_session_answer_that_is_not_json_is_corrupt);
  return check_end();
}
