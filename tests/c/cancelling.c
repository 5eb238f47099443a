/* One object ends all that a query does: its plans, its reads, from another thread or from inside a signal handler. */
#include <errno.h>
#include <fcntl.h>
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
      end_child(atomic_load(&handled) == 1 ? 0 : 1);
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

/* Objects and reads of before the fork are the parent's: whatever the child does with them, nothing happens to it. */
static void a_child_ends_nothing_of_its_parent(void) {
  ms_cancel *cancel = ms_cancel_new();
  if (begin(PEER_STALL)) {
    CHECK_INT(ms_cancel_add_split(cancel, quiet_use.split, &err), MS_OK);
    CHECK_INT(ms_cancel_arm(cancel, quiet_use.client, &err), MS_OK);
    struct pollfd ready = {.fd = ms_split_ready_fd(quiet_use.split), .events = POLLIN};
    CHECK(ready.fd >= 0);
    const pid_t child = fork_when_quiet();
    if (child == 0) {
      alarm(20);
      ms_cancel_now(cancel);
      int result = ms_cancel_set_deadline_ms(cancel, 1, NULL) == MS_FORKED ? 0 : 1;
      stack own = {.options = peer_options(&quiet_service)};
      if (ms_client_open(own.options, &own.client, NULL) != MS_OK) result = 2;
      if (ms_cancel_arm(cancel, own.client, NULL) != MS_FORKED) result = 3;
      ms_client *bounded = NULL;
      if (ms_client_with_cancel(own.client, cancel, &bounded, NULL) != MS_FORKED) result = 4;
      ms_cancel *fresh = ms_cancel_new(); /* one of its own is as good as any */
      if (ms_cancel_arm(fresh, own.client, NULL) != MS_OK) result = 5;
      ms_cancel_free(fresh);
      ms_cancel_free(cancel);
      end_child(result);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    CHECK_INT(poll(&ready, 1, 0), 0);
    struct ArrowArray batch;
    CHECK_INT(ms_split_try_next_batch(quiet_use.split, &batch, &err), MS_PENDING);
    ms_cancel_now(cancel);
    CHECK_INT(poll(&ready, 1, (int)limit_ms(1000)), 1);
    CHECK_INT(ms_split_try_next_batch(quiet_use.split, &batch, &err), MS_CANCELLED);
  }
  end(cancel);
}

static int open_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* A child that lives has a copy of every descriptor; that keeps no listener alive. */
static void a_freed_object_takes_its_descriptors_along(void) {
  enum { OBJECTS = 8 };
  ms_cancel *cancels[OBJECTS];
  if (begin(PEER_ANSWER)) {
    int64_t rows = 0;
    CHECK_INT(drain(quiet_use.split, &rows), MS_OK); /* from here on nothing is opened but by this test */
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    const int before = open_descriptors();
    for (int i = 0; i < OBJECTS; i++) {
      cancels[i] = ms_cancel_new();
      CHECK_INT(ms_cancel_arm(cancels[i], quiet_use.client, &err), MS_OK);
    }
    CHECK_INT(open_descriptors(), before + 2 * OBJECTS);
    int stop[2];
    if (pipe(stop) != 0) abort();
    const pid_t child = fork_when_quiet();
    if (child == 0) {
      char byte;
      close(stop[1]);
      end_child(read(stop[0], &byte, 1) == 0 ? 0 : 1); /* lives until its parent says so */
    }
    for (int i = 0; i < OBJECTS; i++) ms_cancel_free(cancels[i]);
    const int64_t patience = now_ms() + limit_ms(5000);
    while (open_descriptors() > before + 2 && now_ms() < patience) usleep(1000);
    CHECK_INT(open_descriptors(), before + 2);
    close(stop[0]);
    close(stop[1]);
    waitpid(child, NULL, 0);
  }
  end(NULL);
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
    /* Nor is it told that somebody would. */
    quiet_use = (stack){.options = peer_options(&quiet_service)};
    CHECK_INT(stack_open(&quiet_use), MS_OK);
    CHECK_FAILS(ms_cancel_arm(cancel, quiet_use.client, &err), MS_WRONG_STATE);
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
  RUN(a_child_ends_nothing_of_its_parent);
  RUN(a_freed_object_takes_its_descriptors_along);
  RUN(nobody_listens_any_more_and_no_sigpipe_is_raised);
  return check_end();
}
