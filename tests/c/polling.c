/* Reading without blocking: try_next, the waker, the descriptor and deadlines, all against a peer that decides what comes when. */
#include "peer.h"

#include <poll.h>
#include <stdatomic.h>

static void begin(peer *service, stack *use, enum peer_rule data) {
  *service = (peer){.create = PEER_ANSWER, .data = data};
  peer_start(service);
  *use = (stack){.options = peer_options(service)};
  const char *const pairs[] = {MS_OPT_READ_IDLE_TIMEOUT_MS, "600000", NULL};
  CHECK_INT(set_all(use->options, pairs), MS_OK);
}

static void end(peer *service, stack *use) {
  stack_free(use);
  peer_stop(service);
}

static bool is_readable(int fd, int timeout_ms) {
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  return poll(&wait, 1, timeout_ms) == 1;
}

/* Tries until something else than MS_PENDING comes; every try must agree with the descriptor. */
static ms_status next_by_descriptor(ms_split *split, struct ArrowArray *batch) {
  const int fd = ms_split_ready_fd(split);
  for (;;) {
    drop_error();
    CHECK(is_readable(fd, limit_ms(10000)));
    const ms_status status = ms_split_try_next_batch(split, batch, &err);
    if (status != MS_PENDING) return status;
    check_fail(__FILE__, __LINE__, "the descriptor was readable and the split pending");
  }
}

static void a_descriptor_leads_through_a_whole_split(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_ANSWER);
  CHECK_INT(stack_open(&use), MS_OK);
  CHECK(ms_split_ready_fd(use.split) >= 0);
  CHECK_INT(ms_split_ready_fd(use.split), ms_split_ready_fd(use.split));
  struct ArrowArray batch;
  CHECK_INT(next_by_descriptor(use.split, &batch), MS_OK);
  CHECK(batch.release != NULL && batch.length == 3);
  if (batch.release != NULL) batch.release(&batch);
  for (int i = 0; i < 3; i++) { /* the end stays, and stays readable */
    CHECK_INT(next_by_descriptor(use.split, &batch), MS_OK);
    CHECK(batch.release == NULL);
  }
  CHECK_INT(ms_split_rows_delivered(use.split), 3);
  end(&service, &use);
}

static void a_stalled_split_is_pending_and_not_readable(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_STALL);
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch;
  const int fd = ms_split_ready_fd(use.split);
  CHECK(!is_readable(fd, 100));
  CHECK_INT(ms_split_try_next_batch(use.split, &batch, &err), MS_PENDING);
  CHECK(err == NULL && batch.release == NULL);
  ms_split_cancel(use.split); /* a cancel is an answer, too */
  CHECK(is_readable(fd, 0));
  CHECK_FAILS(ms_split_try_next_batch(use.split, &batch, &err), MS_CANCELLED);
  CHECK(batch.release == NULL && is_readable(fd, 0));
  end(&service, &use);
}

static void a_failure_is_readable_and_stays(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_GARBAGE);
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch;
  for (int i = 0; i < 2; i++) CHECK_INT(next_by_descriptor(use.split, &batch), MS_CORRUPT_DATA);
  end(&service, &use);
}

/* ------------------------------------------------------------------------------------------------------------------- waker */

typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t woken;
  int wakes;
  ms_split *cancels; /* cancelled from inside the callback */
  ms_status inside;  /* what another call from inside the callback got */
} sleeper;

static void wake(void *context) {
  sleeper *self = context;
  pthread_mutex_lock(&self->lock);
  self->wakes++;
  if (self->cancels != NULL) {
    ms_split_cancel(self->cancels);
    self->inside = ms_split_set_waker(self->cancels, NULL, NULL, NULL);
  }
  pthread_cond_signal(&self->woken);
  pthread_mutex_unlock(&self->lock);
}

static bool sleep_until(sleeper *self, int wakes) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += limit_ms(10000) / 1000;
  pthread_mutex_lock(&self->lock);
  int waited = 0;
  while (self->wakes < wakes && waited == 0) waited = pthread_cond_timedwait(&self->woken, &self->lock, &until);
  const bool enough = self->wakes >= wakes;
  pthread_mutex_unlock(&self->lock);
  return enough;
}

#define SLEEPER {.lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER}

static void a_waker_leads_through_a_whole_split(void) {
  peer service;
  stack use;
  sleeper self = SLEEPER;
  begin(&service, &use, PEER_ANSWER);
  CHECK_INT(stack_open(&use), MS_OK);
  CHECK_INT(ms_split_set_waker(use.split, wake, &self, &err), MS_OK);
  int64_t rows = 0;
  for (int wakes = 1;;) {
    struct ArrowArray batch;
    drop_error();
    const ms_status status = ms_split_try_next_batch(use.split, &batch, &err);
    if (status == MS_PENDING) {
      if (!sleep_until(&self, wakes)) {
        check_fail(__FILE__, __LINE__, "pending, and nobody wakes");
        break;
      }
      pthread_mutex_lock(&self.lock);
      wakes = self.wakes + 1;
      pthread_mutex_unlock(&self.lock);
      continue;
    }
    CHECK_INT(status, MS_OK);
    if (status != MS_OK || batch.release == NULL) break;
    rows += batch.length;
    batch.release(&batch);
  }
  CHECK_INT(rows, 3);
  end(&service, &use);
}

static void a_waker_may_cancel_and_nothing_else(void) {
  peer service;
  stack use;
  sleeper self = SLEEPER;
  begin(&service, &use, PEER_STALL_IN_BODY);
  self.inside = MS_OK;
  CHECK_INT(stack_open_session(&use), MS_OK);
  CHECK_INT(ms_split_open(use.session, 0, use.options, &use.split, &err), MS_OK);
  self.cancels = use.split;
  CHECK_INT(ms_split_set_waker(use.split, wake, &self, &err), MS_OK);
  struct ArrowArray batch; /* if the batch came before the waker, the next thing to come is only the cancel below */
  if (ms_split_try_next_batch(use.split, &batch, NULL) == MS_OK && batch.release != NULL) {
    batch.release(&batch);
    ms_split_cancel(use.split);
  }
  CHECK(sleep_until(&self, 1));
  pthread_mutex_lock(&self.lock);
  CHECK_INT(self.inside, MS_WRONG_STATE);
  pthread_mutex_unlock(&self.lock);
  CHECK_FAILS(ms_split_try_next_batch(use.split, &batch, &err), MS_CANCELLED);
  end(&service, &use);
}

static void after_free_and_replacement_nobody_is_woken(void) {
  for (int round = 0; round < 50; round++) {
    peer service;
    stack use;
    sleeper *self = malloc(sizeof *self);
    if (self == NULL) abort();
    *self = (sleeper)SLEEPER;
    begin(&service, &use, PEER_ANSWER);
    CHECK_INT(stack_open(&use), MS_OK);
    CHECK_INT(ms_split_set_waker(use.split, wake, self, &err), MS_OK);
    if (round % 2 == 0) CHECK_INT(ms_split_set_waker(use.split, NULL, NULL, &err), MS_OK);
    if (round % 4 == 1) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (round % 2 == 1) stack_free(&use);
    memset(self, 0xee, sizeof *self); /* a late call would be caught by the sanitizer, or deadlock here */
    free(self);
    end(&service, &use);
  }
}

/* --------------------------------------------------------------------------------------------------------------- deadlines */

static void a_deadline_ends_the_wait_and_not_the_read(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_STALL_IN_BODY);
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch;
  CHECK_INT(ms_split_next_batch(use.split, &batch, &err), MS_OK);
  CHECK(batch.release != NULL);
  if (batch.release != NULL) batch.release(&batch);
  for (int i = 0; i < 2; i++) {
    const int64_t start = now_ms();
    CHECK_INT(ms_split_set_deadline_ms(use.split, start + 200, NULL), MS_OK);
    CHECK_FAILS(ms_split_next_batch(use.split, &batch, &err), MS_DEADLINE_EXCEEDED);
    CHECK(batch.release == NULL);
    CHECK(now_ms() - start >= 199 && now_ms() - start < limit_ms(2000));
  }
  CHECK_INT(ms_split_set_deadline_ms(use.split, 1, NULL), MS_OK); /* long past */
  CHECK_FAILS(ms_split_next_batch(use.split, &batch, &err), MS_DEADLINE_EXCEEDED);
  CHECK_INT(ms_split_try_next_batch(use.split, &batch, NULL), MS_PENDING);
  end(&service, &use);
}

static void what_is_there_is_given_whatever_the_deadline(void) {
  peer service;
  stack use;
  begin(&service, &use, PEER_ANSWER);
  CHECK_INT(stack_open(&use), MS_OK);
  CHECK(is_readable(ms_split_ready_fd(use.split), limit_ms(10000)));
  CHECK_INT(ms_split_set_deadline_ms(use.split, 1, NULL), MS_OK);
  struct ArrowArray batch;
  CHECK_INT(ms_split_next_batch(use.split, &batch, &err), MS_OK);
  CHECK(batch.release != NULL);
  if (batch.release != NULL) batch.release(&batch);
  CHECK_INT(ms_split_set_deadline_ms(use.split, 0, NULL), MS_OK); /* none again */
  CHECK_INT(ms_split_next_batch(use.split, &batch, &err), MS_OK);
  CHECK(batch.release == NULL);
  end(&service, &use);
}

int main(void) {
  RUN(a_descriptor_leads_through_a_whole_split);
  RUN(a_stalled_split_is_pending_and_not_readable);
  RUN(a_failure_is_readable_and_stays);
  RUN(a_waker_leads_through_a_whole_split);
  RUN(a_waker_may_cancel_and_nothing_else);
  RUN(after_free_and_replacement_nobody_is_woken);
  RUN(a_deadline_ends_the_wait_and_not_the_read);
  RUN(what_is_there_is_given_whatever_the_deadline);
  return check_end();
}
