/* The host's memory hooks, and scans without blocking, against a peer with two splits of one small batch. */
#include "peer.h"

#include <poll.h>
#include <stdatomic.h>

typedef struct {
  atomic_int_fast64_t held, calls;
  int64_t limit;
  _Atomic(const ms_client *) client; /* called from inside the hooks, which must be refused */
  atomic_int reentry, reentry_of_release;
} host;

static bool reserve(void *context, size_t bytes) {
  host *self = context;
  atomic_fetch_add(&self->calls, 1);
  const ms_client *client = atomic_load(&self->client);
  if (client != NULL) {
    ms_metrics *metrics = NULL;
    atomic_store(&self->reentry, ms_client_metrics(client, &metrics, NULL));
    ms_metrics_free(metrics);
  }
  if (atomic_fetch_add(&self->held, (int64_t)bytes) + (int64_t)bytes <= self->limit) return true;
  atomic_fetch_sub(&self->held, (int64_t)bytes);
  return false;
}

static void release(void *context, size_t bytes) {
  host *self = context;
  const ms_client *client = atomic_load(&self->client);
  if (client != NULL) {
    ms_metrics *metrics = NULL;
    atomic_store(&self->reentry_of_release, ms_client_metrics(client, &metrics, NULL));
    ms_metrics_free(metrics);
  }
  if (atomic_fetch_sub(&self->held, (int64_t)bytes) < (int64_t)bytes) abort(); /* more than was reserved */
}

static void begin(peer *service, stack *use, host *self, int64_t limit) {
  *service = (peer){.create = PEER_ANSWER, .data = PEER_ANSWER};
  peer_start(service);
  *use = (stack){.options = peer_options(service)};
  memset(self, 0, sizeof *self);
  self->limit = limit;
  CHECK_INT(ms_options_set_memory_hooks(use->options, reserve, release, self, &err), MS_OK);
}

static void a_batch_that_outlives_everything_is_given_back_last(void) {
  peer service;
  stack use;
  host self;
  begin(&service, &use, &self, INT64_MAX);
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch;
  CHECK_INT(ms_split_next_batch(use.split, &batch, &err), MS_OK);
  CHECK(batch.release != NULL && atomic_load(&self.held) > 0 && atomic_load(&self.calls) > 0);
  stack_free(&use);
  peer_stop(&service);
  const int64_t start = now_ms();
  CHECK(atomic_load(&self.held) > 0);
  if (batch.release != NULL) batch.release(&batch);
  while (atomic_load(&self.held) > 0 && now_ms() - start < limit_ms(5000)) usleep(1000); /* the reader's task may be about to end */
  CHECK_INT(atomic_load(&self.held), 0);
}

static void a_hook_cannot_call_the_library(void) {
  peer service;
  stack use;
  host self;
  begin(&service, &use, &self, INT64_MAX);
  CHECK_INT(stack_open_session(&use), MS_OK);
  atomic_store(&self.client, use.client);
  int64_t rows = 0;
  CHECK_INT(ms_split_open(use.session, 0, NULL, &use.split, &err), MS_OK);
  CHECK_INT(drain(use.split, &rows), MS_OK);
  CHECK_INT(atomic_load(&self.reentry), MS_WRONG_STATE);
  ms_split_free(use.split); /* what is kept for later goes back, on whatever thread */
  use.split = NULL;
  const int64_t start = now_ms();
  while (atomic_load(&self.held) > 0 && now_ms() - start < limit_ms(5000)) usleep(1000);
  CHECK_INT(atomic_load(&self.reentry_of_release), MS_WRONG_STATE);
  atomic_store(&self.client, NULL);
  stack_free(&use);
  peer_stop(&service);
}

static void a_host_that_refuses_everything_ends_the_read(void) {
  peer service;
  stack use;
  host self;
  begin(&service, &use, &self, 0);
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch;
  CHECK_FAILS(ms_split_next_batch(use.split, &batch, &err), MS_RESOURCE_EXHAUSTED);
  CHECK(batch.release == NULL && strcmp(ms_error_request_id(err), peer_request_id) == 0);
  CHECK_INT(atomic_load(&self.held), 0);
  stack_free(&use);
  peer_stop(&service);
}

static int64_t figure(ms_metrics *metrics, const char *name) {
  for (size_t i = 0; i < ms_metrics_count(metrics); i++)
    if (strcmp(ms_metrics_name(metrics, i), name) == 0) return ms_metrics_value(metrics, i);
  check_fail(__FILE__, __LINE__, "there is no metric %s", name);
  return -1;
}

static void count_wakes(void *context) { atomic_fetch_add((atomic_int *)context, 1); }

static void a_scan_is_read_without_blocking(void) {
  peer service;
  stack use;
  host self;
  begin(&service, &use, &self, INT64_MAX);
  CHECK_INT(stack_open_session(&use), MS_OK);
  ms_scan *scan = NULL;
  atomic_int wakes = 0;
  CHECK_INT(ms_scan_open(use.session, NULL, &scan, &err), MS_OK);
  CHECK_INT(ms_scan_set_waker(scan, count_wakes, &wakes, &err), MS_OK);
  struct pollfd wait = {.fd = ms_scan_ready_fd(scan), .events = POLLIN};
  CHECK(wait.fd >= 0);
  int64_t rows = 0, split = 7;
  for (;;) {
    struct ArrowArray batch;
    CHECK_INT(poll(&wait, 1, (int)limit_ms(10000)), 1);
    const ms_status status = ms_scan_try_next_batch(scan, &batch, &split, &err);
    if (status == MS_PENDING) continue; /* another answer was taken in between; the descriptor follows */
    CHECK_INT(status, MS_OK);
    if (status != MS_OK || batch.release == NULL) break;
    CHECK(split >= 0);
    rows += batch.length;
    batch.release(&batch);
  }
  CHECK_INT(split, -1);
  CHECK_INT(rows, 3 * ms_session_split_count(use.session));
  CHECK(ms_scan_progress(scan) == 1.0);
  ms_metrics *metrics = NULL;
  CHECK_INT(ms_client_metrics(use.client, &metrics, &err), MS_OK);
  CHECK(figure(metrics, "memory_peak") > 0 && figure(metrics, "slots_waiting") == 0);
  ms_metrics_free(metrics);
  ms_scan_cancel(scan);
  struct ArrowArray batch;
  CHECK_FAILS(ms_scan_try_next_batch(scan, &batch, NULL, &err), MS_CANCELLED);
  CHECK(batch.release == NULL);
  ms_scan_free(scan);
  stack_free(&use);
  peer_stop(&service);
}

int main(void) {
  RUN(a_batch_that_outlives_everything_is_given_back_last);
  RUN(a_hook_cannot_call_the_library);
  RUN(a_host_that_refuses_everything_ends_the_read);
  RUN(a_scan_is_read_without_blocking);
  return check_end();
}
