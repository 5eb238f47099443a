/* One object ends all that a query does: its plans, its reads, from another thread or from inside a signal handler. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "peer.h"

static const ms_cancel *interrupted; /* what the handler cancels */
static atomic_int handled;

static void on_signal(int number) {
  (void)number;
  errno = 12345;
  ms_cancel_from_signal(interrupted);
  if (errno == 12345) atomic_fetch_add(&handled, 1);
}

static void install(const ms_cancel *cancel) {
  interrupted = cancel;
  atomic_store(&handled, 0);
  struct sigaction action = {.sa_handler = on_signal};
  if (sigaction(SIGUSR1, &action, NULL) != 0) abort();
}

/* What may end a call. */
enum way { BY_THREAD, BY_SIGNAL };

static void cancel_by(enum way way, const ms_cancel *cancel, pthread_t blocked) {
  if (way == BY_THREAD) {
    ms_cancel_now(cancel);
  } else if (pthread_kill(blocked, SIGUSR1) != 0) { /* the handler runs on the thread that waits in the library */
    abort();
  }
}

typedef struct {
  const stack *use;
  const ms_cancel *cancel;
  ms_scan *scan;
  ms_status status;
  int64_t woke_ms;
} waiter;

static void *read_split(void *argument) {
  waiter *self = argument;
  struct ArrowArray batch;
  self->status = ms_split_next_batch(self->use->split, &batch, NULL);
  self->woke_ms = now_ms();
  return NULL;
}

static void *read_scan(void *argument) {
  waiter *self = argument;
  struct ArrowArray batch;
  int64_t split = 0;
  self->status = ms_scan_next_batch(self->scan, &batch, &split, NULL);
  self->woke_ms = now_ms();
  return NULL;
}

static void *plan(void *argument) {
  waiter *self = argument;
  ms_session *session = NULL;
  self->status = ms_session_open_cancellable(self->use->client, self->use->options, NULL, self->cancel, &session, NULL);
  self->woke_ms = now_ms();
  ms_session_free(session);
  return NULL;
}

static int by_size(const void *one, const void *other) {
  const int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

/* Milliseconds from the cancel to the return of `wait`, which the peer would keep for ever; INT64_MAX on failure. */
static int64_t time_to_wake(void *(*wait)(void *), enum way way) {
  peer service = {.create = wait == plan ? PEER_STALL : PEER_ANSWER, .data = PEER_STALL};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  int64_t took = INT64_MAX;
  ms_cancel *cancel = ms_cancel_new();
  waiter blocked = {.use = &use, .cancel = cancel};
  ms_status status = ms_options_set(use.options, MS_OPT_READ_IDLE_TIMEOUT_MS, "600000", &err);
  if (status == MS_OK) status = wait == plan ? ms_client_open(use.options, &use.client, &err) : stack_open(&use);
  if (status == MS_OK && wait == read_split) status = ms_cancel_add_split(cancel, use.split, &err);
  if (status == MS_OK && wait == read_scan) status = ms_scan_open(use.session, NULL, &blocked.scan, &err);
  if (status == MS_OK && wait == read_scan) status = ms_cancel_add_scan(cancel, blocked.scan, &err);
  for (int twice = 0; twice < 2; twice++)
    if (status == MS_OK && way == BY_SIGNAL) status = ms_cancel_arm(cancel, use.client, &err);
  if (status == MS_OK) {
    install(cancel);
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait, &blocked) != 0) abort();
    nanosleep(&(struct timespec){.tv_nsec = 150000000}, NULL);
    const int64_t start = now_ms();
    cancel_by(way, cancel, thread);
    pthread_join(thread, NULL);
    took = blocked.woke_ms - start;
    CHECK_INT(blocked.status, MS_CANCELLED);
    CHECK_INT(atomic_load(&handled), way == BY_SIGNAL); /* errno is what it was */
  } else {
    check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  }
  ms_scan_free(blocked.scan);
  stack_free(&use);
  ms_cancel_free(cancel);
  peer_stop(&service);
  return took;
}

/* The median of three tries: a busy machine may run the thread that woke late, but not every time. */
static void wakes(void *(*wait)(void *), enum way way) {
  int64_t times[3];
  for (int i = 0; i < 3; i++) times[i] = time_to_wake(wait, way);
  qsort(times, 3, sizeof *times, by_size);
  if (times[1] > limit_ms(50)) check_fail(__FILE__, __LINE__, "it took %" PRId64 " ms as a rule", times[1]);
}

static void a_thread_ends_a_split(void) { wakes(read_split, BY_THREAD); }
static void a_thread_ends_a_scan(void) { wakes(read_scan, BY_THREAD); }
static void a_signal_ends_a_split(void) { wakes(read_split, BY_SIGNAL); }
static void a_signal_ends_a_scan(void) { wakes(read_scan, BY_SIGNAL); }
static void a_signal_ends_a_plan(void) { wakes(plan, BY_SIGNAL); }

/* --------------------------------------------------------------------------------------------------------- around the edges */

static peer quiet_service;
static stack quiet_use;

static bool begin(enum peer_rule data) {
  quiet_service = (peer){.create = PEER_ANSWER, .data = data};
  peer_start(&quiet_service);
  quiet_use = (stack){.options = peer_options(&quiet_service)};
  const ms_status status = stack_open(&quiet_use);
  if (status != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  return status == MS_OK;
}

static void end(ms_cancel *cancel) {
  stack_free(&quiet_use);
  ms_cancel_free(cancel);
  peer_stop(&quiet_service);
}

static void what_is_added_late_ends_at_once_and_a_freed_object_ends_nothing(void) {
  ms_cancel *cancel = ms_cancel_new(), *other = ms_cancel_new();
  if (begin(PEER_ANSWER)) {
    CHECK_INT(ms_cancel_add_split(other, quiet_use.split, &err), MS_OK);
    ms_cancel_free(other);
    other = NULL;
    int64_t rows = 0;
    CHECK_INT(drain(quiet_use.split, &rows), MS_OK);
    CHECK_INT(rows, 3);
    ms_cancel_now(cancel);
    CHECK_INT(ms_cancel_add_split(cancel, quiet_use.split, &err), MS_OK);
    CHECK_INT(drain(quiet_use.split, &rows), MS_CANCELLED);
  }
  ms_cancel_free(other);
  end(cancel);
}

static void an_object_that_was_not_readied_hears_no_signal(void) {
  ms_cancel *cancel = ms_cancel_new();
  if (begin(PEER_ANSWER)) {
    CHECK_INT(ms_cancel_add_split(cancel, quiet_use.split, &err), MS_OK);
    ms_cancel_from_signal(cancel);
    ms_cancel_from_signal(NULL);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    int64_t rows = 0;
    CHECK_INT(drain(quiet_use.split, &rows), MS_OK);
    CHECK_INT(rows, 3);
  }
  end(cancel);
}

/* A worker of the host's that was forked has the handler and the handles of its parent. */
static void a_signal_in_a_child_ends_nothing_of_its_parent(void) {
  ms_cancel *cancel = ms_cancel_new();
  if (begin(PEER_ANSWER)) {
    CHECK_INT(ms_cancel_add_split(cancel, quiet_use.split, &err), MS_OK);
    CHECK_INT(ms_cancel_arm(cancel, quiet_use.client, &err), MS_OK);
    install(cancel);
    const pid_t child = fork_when_quiet();
    if (child == 0) {
      alarm(20);
      raise(SIGUSR1);
      _exit(atomic_load(&handled) == 1 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    int64_t rows = 0;
    CHECK_INT(drain(quiet_use.split, &rows), MS_OK);
    CHECK_INT(rows, 3);
    raise(SIGUSR1);
    const int64_t patience = now_ms() + limit_ms(5000);
    ms_status end_status = MS_OK;
    while (end_status == MS_OK && now_ms() < patience) end_status = drain(quiet_use.split, &rows);
    CHECK_INT(end_status, MS_CANCELLED);
  }
  end(cancel);
}

static void nobody_listens_any_more_and_no_sigpipe_is_raised(void) {
  ms_cancel *cancel = ms_cancel_new();
  signal(SIGPIPE, SIG_DFL);
  if (begin(PEER_ANSWER)) {
    CHECK_INT(ms_cancel_arm(cancel, quiet_use.client, &err), MS_OK);
    stack_free(&quiet_use);
    quiet_use = (stack){0};
    CHECK_INT(ms_shutdown(5000), MS_OK);
    install(cancel);
    raise(SIGUSR1); /* would end this program if SIGPIPE came of it */
    CHECK_INT(atomic_load(&handled), 1);
  }
  end(cancel);
}

int main(void) {
  RUN(a_thread_ends_a_split);
  RUN(a_thread_ends_a_scan);
  RUN(a_signal_ends_a_split);
  RUN(a_signal_ends_a_scan);
  RUN(a_signal_ends_a_plan);
  RUN(what_is_added_late_ends_at_once_and_a_freed_object_ends_nothing);
  RUN(an_object_that_was_not_readied_hears_no_signal);
  RUN(a_signal_in_a_child_ends_nothing_of_its_parent);
  RUN(nobody_listens_any_more_and_no_sigpipe_is_raised);
  return check_end();
}
