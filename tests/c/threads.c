/* Who may call from which thread: one reader at a time, anybody may look and cancel, logs come from any thread, after fork nothing
 * works, and ms_shutdown leaves no thread behind. */
#include <dirent.h>

#include "service.h"

/* ---------------------------------------------------------------------------------------------------------- one at a time */

typedef struct {
  ms_split *split;
  atomic_int *entered;
  ms_status status;
} caller;

static void *next_batch(void *argument) {
  caller *self = argument;
  struct ArrowArray batch;
  atomic_fetch_add(self->entered, 1);
  self->status = ms_split_next_batch(self->split, &batch, NULL);
  if (batch.release != NULL) batch.release(&batch);
  return NULL;
}

static void a_second_reader_is_told_busy(void) {
  peer service = {.data = PEER_STALL};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  CHECK_INT(stack_open(&use), MS_OK);
  atomic_int entered = 0;
  caller first = {use.split, &entered, MS_OK};
  pthread_t thread;
  if (pthread_create(&thread, NULL, next_batch, &first) != 0) abort();
  while (atomic_load(&entered) == 0) sched_yield();
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL); /* inside the call by now */
  struct ArrowArray batch;
  CHECK_FAILS(ms_split_next_batch(use.split, &batch, &err), MS_BUSY);
  CHECK(batch.release == NULL);
  /* Functions that take a const handle answer meanwhile. */
  CHECK_INT(ms_split_rows_delivered(use.split), 0);
  ms_metrics *metrics = NULL;
  drop_error();
  CHECK_INT(ms_split_metrics(use.split, &metrics, &err), MS_OK);
  ms_metrics_free(metrics);
  /* A stream of a busy split is refused, and the split stays with its owner. */
  struct ArrowArrayStream stream;
  CHECK_FAILS(ms_split_export_stream(use.split, &stream, &err), MS_BUSY);
  CHECK(stream.release == NULL);
  ms_split_cancel(use.split);
  pthread_join(thread, NULL);
  CHECK_INT(first.status, MS_CANCELLED);
  stack_free(&use);
  peer_stop(&service);
}

/* ---------------------------------------------------------------------------------------------------------- many at a time */

typedef struct {
  const ms_session *session;
  atomic_int_fast64_t *next;
  int64_t rows;
  ms_status status;
} worker;

static void *read_splits(void *argument) {
  worker *self = argument;
  for (;;) {
    const int64_t index = atomic_fetch_add(self->next, 1);
    if (index >= ms_session_split_count(self->session)) return NULL;
    ms_split *split = NULL;
    self->status = ms_split_open(self->session, index, NULL, &split, NULL);
    while (self->status == MS_OK) {
      struct ArrowArray batch;
      self->status = ms_split_next_batch(split, &batch, NULL);
      if (self->status != MS_OK || batch.release == NULL) break;
      self->rows += batch.length;
      batch.release(&batch);
    }
    ms_split_free(split);
    if (self->status != MS_OK) return NULL;
  }
}

static void one_session_serves_eight_threads(void) {
  enum { THREADS = 8 };
  stack use = {.options = service_options("local.default.lineitem")};
  drop_error();
  CHECK_INT(ms_options_set(use.options, MS_OPT_SPLIT_MODE, "row_offset", &err), MS_OK);
  CHECK_INT(ms_options_set(use.options, MS_OPT_SPLIT_ROWS, "3000", &err), MS_OK);
  CHECK_INT(ms_options_add(use.options, MS_OPT_COLUMNS, "l_orderkey", &err), MS_OK);
  CHECK_INT(stack_open_session(&use), MS_OK);
  atomic_int_fast64_t next = 0;
  worker workers[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (worker){use.session, &next, 0, MS_OK};
    if (pthread_create(&threads[i], NULL, read_splits, &workers[i]) != 0) abort();
  }
  int64_t rows = 0;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    CHECK_INT(workers[i].status, MS_OK);
    rows += workers[i].rows;
  }
  CHECK_INT(rows, LINEITEM_ROWS);
  stack_free(&use);
}

/* Readers that are cancelled and freed at random moments: no crash, no hang, no handle left. */
static void readers_cancel_and_late_free_under_stress(void) {
  for (int round = 0; round < 20; round++) {
    stack use = {.options = service_options("local.default.lineitem")};
    CHECK_INT(stack_open(&use), MS_OK);
    atomic_int entered = 0;
    caller reader = {use.split, &entered, MS_OK};
    pthread_t thread;
    if (pthread_create(&thread, NULL, next_batch, &reader) != 0) abort();
    nanosleep(&(struct timespec){.tv_nsec = (round * 7919 % 5000) * 1000L}, NULL);
    ms_split_cancel(use.split);
    ms_session_free(use.session); /* the split keeps what it needs */
    use.session = NULL;
    pthread_join(thread, NULL);
    CHECK(reader.status == MS_OK || reader.status == MS_CANCELLED);
    stack_free(&use);
  }
}

/* -------------------------------------------------------------------------------------------------------------------- logs */

typedef struct {
  atomic_int records, malformed, traced;
  atomic_bool secret_seen;
} log_seen;

static const char trace_parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static void on_log(void *context, int32_t level, const char *target, const char *message) {
  log_seen *seen = context;
  atomic_fetch_add(&seen->records, 1);
  if (level < 1 || level > 5 || target == NULL || message == NULL) atomic_fetch_add(&seen->malformed, 1);
  if (message != NULL && strstr(message, "canary-secret-93") != NULL) atomic_store(&seen->secret_seen, true);
  if (message != NULL && strstr(message, trace_parent) != NULL) atomic_fetch_add(&seen->traced, 1);
}

static void logs_reach_the_callback_and_hold_no_secret(void) {
  log_seen seen = {0};
  CHECK_INT(ms_set_log_callback(on_log, &seen, 5), MS_OK);
  stack use = {.options = service_options("local.default.nation")};
  drop_error();
  CHECK_INT(ms_options_set(use.options, MS_OPT_ACCESS_KEY_SECRET, "canary-secret-93", &err), MS_OK);
  CHECK_INT(stack_open_session(&use), MS_UNAUTHENTICATED);
  CHECK(strstr(ms_error_message(err), "canary-secret-93") == NULL);
  CHECK(strstr(ms_error_json(err), "canary-secret-93") == NULL);
  stack_free(&use);
  CHECK(atomic_load(&seen.records) > 0);
  CHECK_INT(atomic_load(&seen.malformed), 0);
  CHECK(!atomic_load(&seen.secret_seen));
  /* A read tells its trace with each request: planning and one split. */
  use = (stack){.options = service_options("local.default.nation")};
  CHECK_INT(ms_options_set(use.options, MS_OPT_TRACE_PARENT, trace_parent, NULL), MS_OK);
  CHECK_INT(stack_open(&use), MS_OK);
  int64_t rows = 0;
  CHECK_INT(drain(use.split, &rows), MS_OK);
  stack_free(&use);
  CHECK_INT(rows, NATION_ROWS);
  CHECK(atomic_load(&seen.traced) >= 2);

  CHECK_INT(ms_set_log_callback(NULL, NULL, 0), MS_OK); /* waits for calls in progress; afterwards there are none */
  const int records = atomic_load(&seen.records);
  use = (stack){.options = service_options("local.default.nation")};
  CHECK_INT(stack_open_session(&use), MS_OK);
  stack_free(&use);
  CHECK_INT(atomic_load(&seen.records), records);
}

/* -------------------------------------------------------------------------------------------------------- fork and shutdown */

/* In the child: 0 if every call but the frees says MS_FORKED. */
static int child_of_fork(stack *use) {
  struct ArrowArray batch;
  ms_session *session = NULL;
  ms_error *error = NULL;
  if (ms_split_next_batch(use->split, &batch, &error) != MS_FORKED) return 1;
  if (batch.release != NULL || strstr(ms_error_message(error), "fork") == NULL) return 2;
  ms_error_free(error);
  if (ms_session_open(use->client, use->options, NULL, &session, NULL) != MS_FORKED || session != NULL) return 3;
  stack_free(use); /* harmless */
  const char *endpoint = required("MS_TEST_ENDPOINT"); /* a client of its own works */
  int64_t rows = 0;
  stack own = {.options = service_options_at(endpoint, "local.default.nation")};
  if (stack_open(&own) != MS_OK || drain(own.split, &rows) != MS_OK || rows != NATION_ROWS) return 4;
  stack_free(&own);
  return 0;
}

static void after_fork_the_childs_calls_are_refused(void) {
  stack use = {.options = service_options("local.default.lineitem")};
  CHECK_INT(stack_open(&use), MS_OK);
  drop_error();
  const pid_t child = fork_when_quiet();
  if (child == 0) {
    end_child(child_of_fork(&use));
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  int64_t rows = 0;
  CHECK_INT(drain(use.split, &rows), MS_OK); /* the parent did not notice */
  CHECK(rows > 0);
  stack_free(&use);
}

/* Threads of this process whose name begins so. */
static int threads_named(const char *prefix) {
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
    char path[300], name[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    if (fgets(name, sizeof name, file) != NULL) count += strncmp(name, prefix, strlen(prefix)) == 0;
    fclose(file);
  }
  if (tasks != NULL) closedir(tasks);
  return count;
}

static void shutdown_leaves_no_thread_and_the_library_starts_again(void) {
  for (int round = 0; round < 2; round++) {
    stack use = {.options = service_options("local.default.nation")};
    CHECK_INT(stack_open(&use), MS_OK);
    int64_t rows = 0;
    CHECK_INT(drain(use.split, &rows), MS_OK);
    CHECK_INT(rows, NATION_ROWS);
    CHECK(threads_named("maxstorage") > 0);
    stack_free(&use);
    CHECK_INT(ms_shutdown(5000), MS_OK);
    CHECK_INT(threads_named("maxstorage"), 0);
  }
}

static void threads_are_as_the_first_client_wants_them(void) {
  stack use = {.options = service_options("local.default.nation")};
  CHECK_INT(ms_options_set(use.options, MS_OPT_RUNTIME_THREAD_NAME, "scan-io", NULL), MS_OK);
  CHECK_INT(ms_options_set(use.options, MS_OPT_RUNTIME_WORKER_THREADS, "3", NULL), MS_OK);
  CHECK_INT(ms_options_set(use.options, MS_OPT_RUNTIME_STACK_BYTES, "1048576", NULL), MS_OK);
  CHECK_INT(stack_open(&use), MS_OK);
  int64_t rows = 0;
  CHECK_INT(drain(use.split, &rows), MS_OK);
  CHECK_INT(rows, NATION_ROWS);
  CHECK(threads_named("scan-io-") >= 3);
  CHECK_INT(threads_named("maxstorage"), 0);
  stack_free(&use);
  CHECK_INT(ms_shutdown(5000), MS_OK);
  CHECK_INT(threads_named("scan-io"), 0);
}

typedef struct {
  atomic_int started, stopped, strangers, refused;
} thread_log;

static _Thread_local const thread_log *hooked;

static void on_start(void *context) {
  thread_log *log = context;
  hooked = log;
  prctl(PR_SET_NAME, "engine-io");
  ms_options *options = service_options("local.default.nation");
  ms_client *client = NULL;
  atomic_fetch_add(&log->refused, ms_client_open(options, &client, NULL) == MS_WRONG_STATE);
  ms_options_free(options);
  atomic_fetch_add(&log->started, 1);
}

static void on_stop(void *context) {
  thread_log *log = context;
  atomic_fetch_add(hooked == log ? &log->stopped : &log->strangers, 1);
}

static void every_thread_calls_the_hosts_hooks_at_both_ends(void) {
  thread_log first = {0}, later = {0};
  for (int round = 0; round < 2; round++) {
    thread_log *decides = round == 0 ? &first : &later;
    /* A name is resolved on a thread besides the workers. */
    char endpoint[160];
    snprintf(endpoint, sizeof endpoint, "http://localhost%s", strrchr(required("MS_TEST_ENDPOINT"), ':'));
    stack use = {.options = service_options_at(endpoint, "local.default.nation")};
    CHECK_INT(ms_options_set_thread_hooks(use.options, on_start, on_stop, decides, NULL), MS_OK);
    CHECK_INT(stack_open(&use), MS_OK);
    int64_t rows = 0;
    CHECK_INT(drain(use.split, &rows), MS_OK);
    CHECK_INT(rows, NATION_ROWS);
    CHECK(threads_named("engine-io") >= 3);
    /* Whoever comes later decides nothing. */
    stack second = {.options = service_options("local.default.nation")};
    CHECK_INT(ms_options_set_thread_hooks(second.options, on_start, on_stop, &later, NULL), MS_OK);
    if (round == 0) CHECK_INT(stack_open(&second), MS_OK);
    stack_free(&second);
    stack_free(&use);
    CHECK_INT(ms_shutdown(5000), MS_OK);
    CHECK_INT(threads_named("engine-io"), 0);
    if (round == 0) CHECK_INT(atomic_load(&later.started), 0);
    CHECK(atomic_load(&decides->started) >= 4); /* two workers, one that resolved, one that waited for the others */
    CHECK_INT(atomic_load(&decides->stopped), atomic_load(&decides->started));
    CHECK_INT(atomic_load(&decides->refused), atomic_load(&decides->started));
    CHECK_INT(atomic_load(&decides->strangers), 0);
  }
  /* Either may be left out. */
  stack use = {.options = service_options("local.default.nation")};
  CHECK_INT(ms_options_set_thread_hooks(use.options, NULL, on_stop, &first, NULL), MS_OK);
  CHECK_INT(ms_options_set_thread_hooks(use.options, on_start, NULL, &first, NULL), MS_OK);
  CHECK_INT(ms_options_set_thread_hooks(use.options, NULL, NULL, NULL, NULL), MS_OK);
  const int before = atomic_load(&first.started);
  CHECK_INT(stack_open(&use), MS_OK);
  stack_free(&use);
  CHECK_INT(ms_shutdown(5000), MS_OK);
  CHECK_INT(atomic_load(&first.started), before);
}

int main(void) {
  RUN(a_second_reader_is_told_busy);
  RUN(one_session_serves_eight_threads);
  RUN(readers_cancel_and_late_free_under_stress);
  RUN(logs_reach_the_callback_and_hold_no_secret);
  RUN(after_fork_the_childs_calls_are_refused);
  RUN(shutdown_leaves_no_thread_and_the_library_starts_again);
  RUN(threads_are_as_the_first_client_wants_them);
  RUN(every_thread_calls_the_hosts_hooks_at_both_ends);
  return check_end();
}
