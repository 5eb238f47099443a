/* A program against the frozen header of ABI 0; it is not changed when the interface grows. It uses handles of each kind that needs no
   service, and every way in which a call tells that it failed. */
#include <maxstorage.h>
#include <stdio.h>
#include <string.h>

static int failures;

static void expect(int ok, const char *what) {
  if (ok) return;
  printf("not so: %s\n", what);
  failures++;
}

static void expect_error(ms_status status, ms_status wanted, ms_error **out, const char *word) {
  ms_error *err = *out;
  expect(status == wanted, ms_status_name(wanted));
  expect(ms_error_code(err) == wanted && strstr(ms_error_message(err), word) != NULL, word);
  expect(!ms_error_is_retryable(err) && ms_error_http_status(err) == 0 && strlen(ms_error_request_id(err)) == 0, "a mistake of the caller");
  ms_error_free(err);
  *out = NULL;
}

int main(void) {
  ms_error *err = NULL;
  ms_client *client = NULL;
  ms_session *session = NULL;
  struct ArrowArray batch;

  expect(ms_abi_version() == MS_ABI_VERSION, "the ABI number of the header");
  ms_options *options = ms_options_new();
  expect(ms_options_set(options, MS_OPT_ENDPOINT, "http://127.0.0.1:1/api", NULL) == MS_OK, "endpoint");
  expect(ms_options_set(options, MS_OPT_ACCESS_KEY_ID, "id", NULL) == MS_OK, "access_key_id");
  expect(ms_options_set(options, MS_OPT_ACCESS_KEY_SECRET, "secret", NULL) == MS_OK, "access_key_secret");
  expect(ms_options_set(options, MS_OPT_TABLE, "project.schema.name", NULL) == MS_OK, "table");
  expect(ms_options_add(options, MS_OPT_COLUMNS, "a", NULL) == MS_OK, "columns");
  expect_error(ms_options_set(options, "no.such.key", "1", &err), MS_INVALID_OPTION, &err, "no.such.key");

  ms_options *copy = ms_options_clone(options);
  ms_options_free(options);
  expect(ms_client_open(copy, &client, &err) == MS_OK && err == NULL, "a client");
  expect_error(ms_session_attach(client, "x", 1, &session, &err), MS_INVALID_ARGUMENT, &err, "token");
  expect(session == NULL, "no session after a failure");
  expect(ms_split_next_batch(NULL, &batch, NULL) == MS_INVALID_ARGUMENT, "a NULL is told");
  expect(ms_session_split_count(NULL) == -1, "the number of nothing");

  ms_client_free(client);
  ms_options_free(copy);
  ms_session_free(NULL);
  expect(ms_live_handles() == 0, "no live handle");
  return failures != 0;
}
