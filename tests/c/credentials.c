/* Credentials from the host: a provider with a life of its own, its context, its failures, and what it may not do. */
#include <sys/wait.h>

#include "peer.h"

typedef struct {
  atomic_int calls, released, inside;
  int64_t life_ms;          /* 0: never expires */
  ms_status answer;         /* MS_OK, or what the provider returns instead */
  bool silent, bearer;      /* fill nothing in; a bearer token instead of a key */
  const ms_options *options; /* to call the library with, from inside */
  ms_status open_inside, shutdown_inside;
} vault;

static int64_t unix_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static ms_status supply(void *context, ms_credentials *credentials) {
  vault *self = context;
  if (atomic_fetch_add(&self->inside, 1) != 0) abort(); /* one at a time */
  atomic_fetch_add(&self->calls, 1);
  if (self->options != NULL) {
    ms_client *client = NULL;
    self->open_inside = ms_client_open(self->options, &client, NULL);
    self->shutdown_inside = ms_shutdown(0);
  }
  ms_status status = MS_OK;
  if (self->answer != MS_OK) {
    status = ms_credentials_set_error(credentials, "the vault\nis sealed", NULL);
    if (status == MS_OK) status = self->answer;
  } else if (self->bearer) {
    status = ms_credentials_set_bearer_token(credentials, "token-7", NULL);
  } else if (!self->silent) {
    char id[32];
    snprintf(id, sizeof id, "key%d", atomic_load(&self->calls));
    status = ms_credentials_set_access_key(credentials, id, "secret", "sts-token", NULL);
  }
  if (status == MS_OK && self->life_ms > 0) status = ms_credentials_set_expiry_ms(credentials, unix_ms() + self->life_ms, NULL);
  atomic_fetch_sub(&self->inside, 1);
  return status;
}

static void released(void *context) { atomic_fetch_add(&((vault *)context)->released, 1); }

static ms_options *options_with(vault *self, const peer *service) {
  ms_options *options = peer_options(service);
  const char *const pairs[] = {MS_OPT_ACCESS_KEY_ID, "", MS_OPT_ACCESS_KEY_SECRET, "", NULL};
  if (set_all(options, pairs) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  drop_error();
  if (ms_options_set_credentials_provider(options, supply, self, released, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  return options;
}

static void a_provider_is_asked_when_needed_and_released_once(void) {
  peer service = {0};
  peer_start(&service);
  vault self = {0};
  ms_options *options = options_with(&self, &service);
  stack use = {.options = ms_options_clone(options)};
  ms_options_free(options);
  CHECK_INT(stack_open(&use), MS_OK);
  int64_t rows = 0;
  CHECK_INT(drain(use.split, &rows), MS_OK);
  CHECK_INT(rows, 3);
  CHECK_INT(atomic_load(&self.calls), 1); /* kept for the client: planning and reading asked once */
  ms_client *other = NULL;
  REQUIRE_OK(ms_client_open(use.options, &other, &err));
  CHECK_INT(atomic_load(&self.calls), 1); /* open asks nobody */
  ms_client_free(other);
  CHECK_INT(atomic_load(&self.released), 0);
  stack_free(&use);
  CHECK_INT(ms_shutdown(5000), MS_OK); /* the last task of a split may outlive its handle for a moment, the threads do not */
  CHECK_INT(atomic_load(&self.released), 1);
  peer_stop(&service);
}

static void short_lived_credentials_are_renewed_ahead_of_their_end(void) {
  peer service = {0};
  peer_start(&service);
  vault self = {.life_ms = limit_ms(800)};
  stack use = {.options = options_with(&self, &service)};
  CHECK_INT(stack_open_session(&use), MS_OK);
  for (const int64_t end = now_ms() + limit_ms(2000); now_ms() < end;) {
    ms_session *session = NULL;
    REQUIRE_OK(ms_session_open(use.client, use.options, NULL, &session, &err));
    ms_session_free(session);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  const int calls = atomic_load(&self.calls);
  if (calls < 3 || calls > 7) check_fail(__FILE__, __LINE__, "%d calls in 2.5 lives", calls);
  self.answer = MS_UNAVAILABLE; /* the old ones serve on: the next session opens all the same */
  ms_session *session = NULL;
  REQUIRE_OK(ms_session_open(use.client, use.options, NULL, &session, &err));
  ms_session_free(session);
  nanosleep(&(struct timespec){.tv_sec = limit_ms(900) / 1000, .tv_nsec = limit_ms(900) % 1000 * 1000000}, NULL);
  CHECK_FAILS(ms_session_open(use.client, use.options, NULL, &session, &err), MS_UNAVAILABLE); /* until they have expired */
  CHECK_CONTAINS(ms_error_message(err), "the vault is sealed");
  self.answer = MS_OK;
  REQUIRE_OK(ms_session_open(use.client, use.options, NULL, &session, &err));
  ms_session_free(session);
  stack_free(&use);
  peer_stop(&service);
}

static void what_a_provider_returns_is_what_the_call_returns(void) {
  const struct {
    vault self;
    ms_status expected;
  } cases[] = {{{.answer = MS_PERMISSION_DENIED}, MS_PERMISSION_DENIED}, {{.answer = MS_UNAVAILABLE}, MS_UNAVAILABLE},
               {{.answer = 77}, MS_UNAUTHENTICATED},  {{.answer = -1}, MS_UNAUTHENTICATED},
               {{.silent = true}, MS_UNAUTHENTICATED}, {{.bearer = true}, MS_OK}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    peer service = {0};
    peer_start(&service);
    vault self = cases[i].self;
    stack use = {.options = options_with(&self, &service)};
    CHECK_INT(stack_open_session(&use), cases[i].expected);
    stack_free(&use);
    peer_stop(&service);
  }
}

static void the_credentials_uri_of_the_sdks_is_a_source(void) {
  peer service = {0};
  peer_start(&service);
  char uri[128];
  snprintf(uri, sizeof uri, "%s/credentials", service.data_endpoint);
  setenv("ALIBABA_CLOUD_CREDENTIALS_URI", uri, 1);
  stack use = {.options = peer_options(&service)};
  const char *const pairs[] = {MS_OPT_ACCESS_KEY_ID, "", MS_OPT_ACCESS_KEY_SECRET, "", MS_OPT_CREDENTIALS, "uri", NULL};
  REQUIRE_OK(set_all(use.options, pairs));
  CHECK_FAILS(ms_client_open(use.options, &use.client, &err), MS_INVALID_OPTION); /* the environment is read when asked for */
  CHECK_CONTAINS(ms_error_message(err), MS_OPT_CREDENTIALS_URI);
  REQUIRE_OK(ms_options_load_environment(use.options, &err));
  CHECK_INT(stack_open(&use), MS_OK);
  int64_t rows = 0;
  CHECK_INT(drain(use.split, &rows), MS_OK);
  CHECK_INT(rows, 3);
  CHECK_INT(atomic_load(&service.grants), 1); /* kept for the client */
  stack_free(&use);
  unsetenv("ALIBABA_CLOUD_CREDENTIALS_URI");
  peer_stop(&service);
}

static void calls_from_inside_a_provider_are_refused(void) {
  peer service = {0};
  peer_start(&service);
  ms_options *inner = peer_options(&service);
  vault self = {.options = inner};
  stack use = {.options = options_with(&self, &service)};
  CHECK_INT(stack_open_session(&use), MS_OK);
  CHECK_INT(self.open_inside, MS_WRONG_STATE);
  CHECK_INT(self.shutdown_inside, MS_WRONG_STATE);
  stack_free(&use);
  ms_options_free(inner);
  peer_stop(&service);
}

static void a_provider_and_an_access_key_contradict_each_other(void) {
  peer service = {0};
  peer_start(&service);
  vault self = {0};
  ms_options *options = options_with(&self, &service);
  REQUIRE_OK(ms_options_set(options, MS_OPT_ACCESS_KEY_ID, "id", &err));
  ms_client *client = NULL;
  CHECK_FAILS(ms_client_open(options, &client, &err), MS_INVALID_OPTION);
  CHECK_CONTAINS(ms_error_message(err), "provider");
  ms_options_free(options);
  CHECK_INT(atomic_load(&self.released), 1);
  peer_stop(&service);
}

static void a_child_does_not_release_what_its_parent_uses(void) {
  peer service = {0};
  peer_start(&service);
  vault self = {0};
  ms_options *options = options_with(&self, &service);
  const pid_t child = fork_when_quiet();
  if (child == 0) {
    ms_options_free(options);
    end_child(atomic_load(&self.released));
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  ms_options_free(options);
  CHECK_INT(atomic_load(&self.released), 1);
  peer_stop(&service);
}

int main(void) {
  RUN(a_provider_is_asked_when_needed_and_released_once);
  RUN(short_lived_credentials_are_renewed_ahead_of_their_end);
  RUN(what_a_provider_returns_is_what_the_call_returns);
  RUN(the_credentials_uri_of_the_sdks_is_a_source);
  RUN(calls_from_inside_a_provider_are_refused);
  RUN(a_provider_and_an_access_key_contradict_each_other);
  RUN(a_child_does_not_release_what_its_parent_uses);
  return check_end();
}
