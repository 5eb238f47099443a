/* Sessions of plan.wait=first against a service that is slow with one part of the plan, or refuses it: one rule of a fault plan each. */
#include "service.h"

enum { YEARS = 7, SLOW_MS = 1500 };

/* A server whose second or third read session is struck; they are planned one after the other. */
static bool start(own_server *server, int nth, const char *effect) {
  char file[64];
  snprintf(file, sizeof file, "/tmp/maxstorage-planning-%d.json", (int)getpid());
  FILE *plan = fopen(file, "wx");
  bool done = plan != NULL;
  if (done) {
    fprintf(plan, "[{\"match\":{\"action\":\"TableCreateReadSession\",\"nth\":%d},\"effect\":%s}]", nth, effect);
    done = fclose(plan) == 0;
  }
  done = done && own_server_start(server, "--fault-plan", file);
  unlink(file);
  return done;
}

static ms_status plan(const own_server *server, stack *use) {
  *use = (stack){.options = service_options_at(server->endpoint, "local.default.orders_by_year")};
  const char *const pairs[] = {MS_OPT_PLAN_WAIT, "first", MS_OPT_PLAN_PARTITIONS_PER_SESSION, "2", MS_OPT_PLAN_CONCURRENCY, "1",
                               MS_OPT_SPLIT_MODE, "row_offset", MS_OPT_SPLIT_ROWS, "20000", MS_OPT_RETRY_MAX_ATTEMPTS, "1", NULL};
  ms_status status = set_all(use->options, pairs);
  char year[32];
  for (int i = 0; i < YEARS && status == MS_OK; i++) {
    snprintf(year, sizeof year, "o_orderyear=%d", 1992 + i);
    status = ms_options_add(use->options, MS_OPT_PARTITIONS, year, NULL);
  }
  return status == MS_OK ? stack_open_session(use) : status;
}

/* Rows of the table, as a plan that is waited for counts them. */
static int64_t all_rows(const own_server *server) {
  stack use = {.options = service_options_at(server->endpoint, "local.default.orders_by_year")};
  const char *const pairs[] = {MS_OPT_SPLIT_MODE, "row_offset", NULL};
  int64_t rows = -1;
  if (set_all(use.options, pairs) == MS_OK && stack_open_session(&use) == MS_OK) {
    rows = ms_session_estimated_rows(use.session);
    int64_t count = 0;
    bool complete = false;
    CHECK_INT(ms_session_more_splits(use.session, 0, 0, NULL, &count, &complete, &err), MS_OK);
    CHECK(complete && count == ms_session_split_count(use.session)); /* any other session is complete */
  }
  stack_free(&use);
  return rows;
}

static void *cancel_soon(void *cancel) {
  nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  ms_cancel_now(cancel);
  return NULL;
}

static void splits_are_handed_out_while_others_are_planned(void) {
  own_server server;
  char effect[64];
  snprintf(effect, sizeof effect, "{\"kind\":\"delay\",\"ms\":%d}", SLOW_MS);
  REQUIRE(start(&server, 2, effect));
  stack use;
  const int64_t began = now_ms();
  CHECK_INT(plan(&server, &use), MS_OK);
  CHECK(now_ms() - began < SLOW_MS); /* a plan that is waited for takes longer */
  int64_t count = -7, first = ms_session_split_count(use.session);
  bool complete = true;
  CHECK(first > 0);
  CHECK_INT(ms_session_try_more_splits(use.session, -1, &count, &complete, &err), MS_OK);
  CHECK(count == first && !complete);
  CHECK_INT(ms_session_try_more_splits(use.session, first, &count, &complete, &err), MS_PENDING);
  CHECK(count == -1 && !complete);

  /* What needs the whole plan says so. */
  ms_bytes *token = NULL;
  CHECK_FAILS(ms_session_serialize(use.session, &token, &err), MS_WRONG_STATE);
  CHECK_CONTAINS(ms_error_message(err), "ms_session_more_splits");
  CHECK_FAILS(ms_session_serialize_json(use.session, &token, &err), MS_WRONG_STATE);
  CHECK_FAILS(ms_split_open(use.session, first, NULL, &use.split, &err), MS_INVALID_ARGUMENT);
  CHECK_CONTAINS(ms_error_message(err), "still being planned");
  CHECK_INT(ms_session_estimated_rows(use.session), -1);

  /* Who waits wakes: at the deadline, and when somebody cancels. */
  int64_t start_ms = now_ms();
  CHECK_FAILS(ms_session_more_splits(use.session, first, start_ms + 100, NULL, &count, &complete, &err), MS_DEADLINE_EXCEEDED);
  int64_t took = now_ms() - start_ms;
  CHECK(took >= 99 && took < 100 + limit_ms(50));
  ms_cancel *cancel = ms_cancel_new();
  pthread_t canceller;
  REQUIRE(pthread_create(&canceller, NULL, cancel_soon, cancel) == 0);
  start_ms = now_ms();
  CHECK_FAILS(ms_session_more_splits(use.session, first, 0, cancel, &count, &complete, &err), MS_CANCELLED);
  took = now_ms() - start_ms;
  CHECK(took < 100 + limit_ms(50));
  CHECK(count == -1 && !complete);
  pthread_join(canceller, NULL);
  ms_cancel_free(cancel);

  /* The loop of whoever hands splits out. */
  int64_t known = 0, rows = 0, rounds = 0;
  complete = false;
  while (!complete) {
    REQUIRE_OK(ms_session_more_splits(use.session, known, 0, NULL, &count, &complete, &err));
    CHECK(count > known || complete);
    for (; known < count; known++) {
      REQUIRE_OK(ms_split_open(use.session, known, NULL, &use.split, &err));
      CHECK_INT(drain(use.split, &rows), MS_OK);
      ms_split_free(use.split);
      use.split = NULL;
    }
    rounds++;
  }
  CHECK(rounds >= 2);
  CHECK(now_ms() - began >= SLOW_MS);
  const int64_t expected = all_rows(&server);
  CHECK(expected > 0);
  CHECK_INT(rows, expected);
  CHECK_INT(ms_session_estimated_rows(use.session), expected);
  CHECK_INT(ms_session_split_count(use.session), known);

  /* Whole, it travels. */
  REQUIRE_OK(ms_session_serialize(use.session, &token, &err));
  ms_session *attached = NULL;
  REQUIRE_OK(ms_session_attach(use.client, ms_bytes_data(token), ms_bytes_len(token), &attached, &err));
  CHECK_INT(ms_session_split_count(attached), known);
  ms_session_free(attached);
  ms_bytes_free(token);
  stack_free(&use);
  own_server_end(&server, SIGTERM);
}

/* Whoever hands splits out sends each to a worker as soon as it is known. */
static void splits_travel_while_others_are_planned(void) {
  own_server server;
  REQUIRE(start(&server, 2, "{\"kind\":\"delay\",\"ms\":700}"));
  stack use;
  CHECK_INT(plan(&server, &use), MS_OK);
  int64_t known = 0, count = 0, rows = 0;
  bool complete = false;
  while (!complete) {
    REQUIRE_OK(ms_session_more_splits(use.session, known, 0, NULL, &count, &complete, &err));
    for (; known < count; known++) {
      ms_bytes *token = NULL;
      REQUIRE_OK(ms_session_serialize_split(use.session, known, known % 2 == 1, &token, &err));
      stack worker = {.options = service_options_at(server.endpoint, "local.default.nation")};
      REQUIRE_OK(ms_client_open(worker.options, &worker.client, &err));
      REQUIRE_OK(ms_session_attach(worker.client, ms_bytes_data(token), ms_bytes_len(token), &worker.session, &err));
      ms_bytes_free(token);
      REQUIRE_OK(ms_split_open(worker.session, known, NULL, &worker.split, &err));
      CHECK_INT(drain(worker.split, &rows), MS_OK);
      ms_scan *scan = NULL;
      CHECK_FAILS(ms_scan_open(worker.session, NULL, &scan, &err), MS_WRONG_STATE);
      stack_free(&worker);
    }
  }
  CHECK_INT(rows, all_rows(&server));
  stack_free(&use);
  own_server_end(&server, SIGTERM);
}

/* Takes all batches of a scan, in the order of the splits if it is ordered. A failure stays in `err`. */
static ms_status drain_scan(const ms_scan *scan, bool is_ordered, int64_t *rows) {
  for (int64_t last = -1;;) {
    struct ArrowArray batch;
    int64_t split = -1;
    drop_error();
    const ms_status status = ms_scan_next_batch(scan, &batch, &split, &err);
    if (status != MS_OK || batch.release == NULL) return status;
    CHECK(!is_ordered || split >= last);
    last = split;
    *rows += batch.length;
    batch.release(&batch);
  }
}

static void a_scan_takes_up_what_becomes_known(void) {
  own_server server;
  REQUIRE(start(&server, 2, "{\"kind\":\"delay\",\"ms\":700}"));
  stack use;
  CHECK_INT(plan(&server, &use), MS_OK);
  REQUIRE_OK(ms_options_set(use.options, MS_OPT_SCAN_ORDERED, "true", &err));
  ms_scan *scan = NULL;
  REQUIRE_OK(ms_scan_open(use.session, use.options, &scan, &err));
  CHECK(!ms_scan_all_requested(scan));
  ms_session_free(use.session); /* the scan keeps the planning going */
  use.session = NULL;
  int64_t rows = 0;
  CHECK_INT(drain_scan(scan, true, &rows), MS_OK);
  CHECK_INT(rows, all_rows(&server));
  CHECK(ms_scan_all_requested(scan) && ms_scan_progress(scan) == 1.0);
  ms_scan_free(scan);
  stack_free(&use);
  own_server_end(&server, SIGTERM);
}

static void a_part_that_fails_is_told_after_what_is_known(void) {
  own_server server;
  REQUIRE(start(&server, 3, "{\"kind\":\"error\",\"status\":403,\"code\":\"NoPermission\",\"message\":\"not this part\"}"));
  stack use;
  CHECK_INT(plan(&server, &use), MS_OK);
  int64_t known = 0, count = 0;
  bool complete = false;
  ms_status status = MS_OK;
  while (status == MS_OK) {
    known = count;
    drop_error();
    status = ms_session_more_splits(use.session, known, 0, NULL, &count, &complete, &err);
    CHECK(!complete);
  }
  CHECK_INT(status, MS_PERMISSION_DENIED);
  CHECK_CONTAINS(ms_error_message(err), "not this part");
  CHECK(ms_error_request_id(err)[0] != '\0');
  CHECK_INT(ms_session_split_count(use.session), known);
  CHECK_FAILS(ms_session_try_more_splits(use.session, known, &count, &complete, &err), MS_PERMISSION_DENIED);
  ms_bytes *token = NULL;
  CHECK_FAILS(ms_session_serialize(use.session, &token, &err), MS_PERMISSION_DENIED);
  /* The splits that are known can be read. */
  int64_t rows = 0;
  for (int64_t index = 0; index < known; index++) {
    REQUIRE_OK(ms_split_open(use.session, index, NULL, &use.split, &err));
    CHECK_INT(drain(use.split, &rows), MS_OK);
    ms_split_free(use.split);
    use.split = NULL;
  }
  CHECK(rows > 1000);
  /* A scan tells the failure behind their rows, and not at all if no more than those are wanted. */
  for (int i = 0; i < 4; i++) {
    const bool is_ordered = i % 2 == 0, is_limited = i / 2 == 0;
    ms_options *read = ms_options_new();
    const char *const pairs[] = {MS_OPT_SCAN_ORDERED, is_ordered ? "true" : "false", MS_OPT_SCAN_ROW_LIMIT, is_limited ? "1000" : "0", NULL};
    CHECK_INT(set_all(read, pairs), MS_OK);
    ms_scan *scan = NULL;
    REQUIRE_OK(ms_scan_open(use.session, read, &scan, &err));
    ms_options_free(read);
    int64_t scanned = 0;
    CHECK_INT(drain_scan(scan, is_ordered, &scanned), is_limited ? MS_OK : MS_PERMISSION_DENIED);
    CHECK_INT(scanned, is_limited ? 1000 : rows);
    ms_scan_free(scan);
  }
  stack_free(&use);
  own_server_end(&server, SIGTERM);
}

/* A part whose plan never comes: freeing the session ends that, and nothing of it is left. */
static void freeing_the_session_ends_the_planning(void) {
  own_server server;
  REQUIRE(start(&server, 2, "{\"kind\":\"stall\"}"));
  stack use;
  CHECK_INT(plan(&server, &use), MS_OK);
  int64_t count = 0;
  bool complete = false;
  CHECK_INT(ms_session_try_more_splits(use.session, ms_session_split_count(use.session), &count, &complete, &err), MS_PENDING);
  const int64_t began = now_ms();
  stack_free(&use);
  CHECK_INT(ms_shutdown(2000), MS_OK);
  CHECK(now_ms() - began < limit_ms(500));
  own_server_end(&server, SIGTERM);
}

int main(void) {
  RUN(splits_are_handed_out_while_others_are_planned);
  RUN(splits_travel_while_others_are_planned);
  RUN(a_scan_takes_up_what_becomes_known);
  RUN(a_part_that_fails_is_told_after_what_is_known);
  RUN(freeing_the_session_ends_the_planning);
  return check_end();
}
