/* A host ends the calls of its functions, for good. */
#include <pthread.h>
#include <sys/wait.h>

#include "peer.h"

static atomic_int log_calls, reserve_calls, release_calls, wakes, provided, forgotten;
static atomic_int hold, held; /* what `reserve` waits for, and that it waits */
static _Atomic ms_status inside;
static atomic_bool ended;

static void on_log(void *context, int32_t level, const char *target, const char *message) {
  (void)context, (void)level, (void)target, (void)message;
  atomic_fetch_add(&log_calls, 1);
  atomic_store(&inside, ms_end_callbacks());
}

static bool reserve(void *context, size_t bytes) {
  (void)context, (void)bytes;
  atomic_fetch_add(&reserve_calls, 1);
  while (atomic_load(&hold)) {
    atomic_store(&held, 1);
    usleep(1000);
  }
  return true;
}

static void release(void *context, size_t bytes) {
  (void)context, (void)bytes;
  atomic_fetch_add(&release_calls, 1);
}

static void wake(void *context) {
  (void)context;
  atomic_fetch_add(&wakes, 1);
}

static ms_status provide(void *context, ms_credentials *out) {
  (void)context;
  atomic_fetch_add(&provided, 1);
  return ms_credentials_set_access_key(out, "id", "secret", NULL, NULL);
}

static void forget(void *context) {
  (void)context;
  atomic_fetch_add(&forgotten, 1);
}

static int calls(void) {
  return atomic_load(&log_calls) + atomic_load(&reserve_calls) + atomic_load(&release_calls) + atomic_load(&wakes) + atomic_load(&provided) +
         atomic_load(&forgotten);
}

static void *end(void *status) {
  *(ms_status *)status = ms_end_callbacks();
  atomic_store(&ended, true);
  return NULL;
}

static void they_end_for_good(void) {
  peer service = {.create = PEER_ANSWER, .data = PEER_ANSWER};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  CHECK_INT(ms_options_set_memory_hooks(use.options, reserve, release, NULL, &err), MS_OK);
  CHECK_INT(ms_options_set_credentials_provider(use.options, provide, NULL, forget, &err), MS_OK);
  const char *const no_key[] = {MS_OPT_ACCESS_KEY_ID, "", MS_OPT_ACCESS_KEY_SECRET, "", NULL};
  CHECK_INT(set_all(use.options, no_key), MS_OK);
  CHECK_INT(ms_set_log_callback(on_log, NULL, 5), MS_OK);
  atomic_store(&hold, 1);
  CHECK_INT(stack_open(&use), MS_OK);
  CHECK_INT(ms_split_set_waker(use.split, wake, NULL, &err), MS_OK);
  for (int64_t start = now_ms(); !atomic_load(&held) && now_ms() - start < limit_ms(10000);) usleep(1000);
  CHECK(atomic_load(&held) && atomic_load(&provided) > 0 && atomic_load(&log_calls) > 0);
  CHECK_INT(atomic_load(&inside), MS_WRONG_STATE); /* from inside a callback */

  /* A call that runs is waited for. */
  ms_status status = MS_INTERNAL;
  pthread_t ender;
  pthread_create(&ender, NULL, end, &status);
  usleep(100000);
  CHECK(!atomic_load(&ended));
  atomic_store(&hold, 0);
  pthread_join(ender, NULL);
  CHECK_INT(status, MS_OK);

  const int before = calls();
  int64_t rows = 0;
  const ms_status read = drain(use.split, &rows); /* the memory for a batch was granted before, or is refused now */
  CHECK(read == MS_OK || read == MS_RESOURCE_EXHAUSTED);
  ms_split_free(use.split);
  use.split = NULL;
  drop_error();
  CHECK_INT(ms_split_open(use.session, 0, use.options, &use.split, &err), MS_OK);
  CHECK_INT(drain(use.split, &rows), MS_RESOURCE_EXHAUSTED);
  ms_session *session = NULL;
  ms_client *client = NULL;
  drop_error();
  CHECK_INT(ms_client_open(use.options, &client, &err), MS_OK);
  CHECK_FAILS(ms_session_open(client, use.options, NULL, &session, &err), MS_UNAVAILABLE);
  CHECK(strstr(ms_error_message(err), "ended its callbacks") != NULL);
  ms_client_free(client);
  stack_free(&use);
  peer_stop(&service);
  CHECK_INT(ms_end_callbacks(), MS_OK);
  CHECK_INT(ms_shutdown(10000), MS_OK);
  CHECK_INT(calls(), before);
}

/* A lock that another thread holds at a fork stays locked in the child. */
static void a_child_does_not_wait(void) {
  peer service = {.create = PEER_ANSWER, .data = PEER_ANSWER};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  CHECK_INT(ms_options_set_memory_hooks(use.options, reserve, release, NULL, &err), MS_OK);
  atomic_store(&hold, 1);
  CHECK_INT(stack_open(&use), MS_OK);
  for (int64_t start = now_ms(); !atomic_load(&held) && now_ms() - start < limit_ms(10000);) usleep(1000);
  const pid_t child = fork();
  if (child == 0) {
    alarm((unsigned)(limit_ms(10000) / 1000));
    end_child(ms_end_callbacks() == MS_OK ? 0 : 1);
  }
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  atomic_store(&hold, 0);
  stack_free(&use);
  peer_stop(&service);
  CHECK_INT(ms_shutdown(10000), MS_OK);
  atomic_store(&held, 0);
}

int main(void) {
  RUN(a_child_does_not_wait);
  RUN(they_end_for_good); /* the last: it is for the whole process */
  return check_end();
}
