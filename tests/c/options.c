/* Options: what is accepted, what is refused and how the refusal helps, copies, the run-time list, the environment. */
#include "check.h"

static const char not_utf8[] = "\xc3\x28\xff";

static void bad_utf8_is_refused_everywhere(void) {
  ms_options *options = ms_options_new();
  CHECK_FAILS(ms_options_set(options, not_utf8, "x", &err), MS_INVALID_ARGUMENT);
  CHECK_CONTAINS(ms_error_message(err), "key");
  CHECK_FAILS(ms_options_set(options, MS_OPT_TABLE, not_utf8, &err), MS_INVALID_ARGUMENT);
  CHECK_CONTAINS(ms_error_message(err), "value");
  CHECK_FAILS(ms_options_add(options, not_utf8, "x", &err), MS_INVALID_ARGUMENT);
  CHECK_FAILS(ms_options_add(options, MS_OPT_COLUMNS, not_utf8, &err), MS_INVALID_ARGUMENT);
  ms_options_free(options);
}

static void an_unknown_key_names_the_nearest(void) {
  const struct {
    const char *typed, *meant;
  } pairs[] = {{"tabel", MS_OPT_TABLE},
               {"endpont", MS_OPT_ENDPOINT},
               {"split_mode", MS_OPT_SPLIT_MODE},
               {"access_key", MS_OPT_ACCESS_KEY_ID},
               {"retry.max_attempt", MS_OPT_RETRY_MAX_ATTEMPTS}};
  ms_options *options = ms_options_new();
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    CHECK_FAILS(ms_options_set(options, pairs[i].typed, "1", &err), MS_INVALID_OPTION);
    CHECK_CONTAINS(ms_error_message(err), pairs[i].typed);
    CHECK_CONTAINS(ms_error_message(err), pairs[i].meant);
  }
  CHECK_FAILS(ms_options_set(options, "", "1", &err), MS_INVALID_OPTION);
  ms_options_free(options);
}

static void bad_values_are_refused_where_they_are_set(void) {
  const struct {
    const char *key, *value;
  } pairs[] = {{MS_OPT_CONNECT_TIMEOUT_MS, "soon"},  {MS_OPT_CONNECT_TIMEOUT_MS, "-1"},  {MS_OPT_CONNECT_TIMEOUT_MS, "99999999999999999999"},
               {MS_OPT_SPLIT_MODE, "sideways"},      {MS_OPT_SPLIT_SIZE_BYTES, "1 MB"},  {MS_OPT_READ_COMPRESSION, "gzip"},
               {MS_OPT_TLS_VERIFY, "perhaps"},       {MS_OPT_READ_BATCH_ROWS, "0"},      {MS_OPT_TYPES_TIMESTAMP_UNIT, "hour"},
               {MS_OPT_RETRY_MAX_ATTEMPTS, "many"},  {MS_OPT_SIGNATURE, "v3"},           {MS_OPT_DEBUG_PANIC, "everywhere"}};
  ms_options *options = ms_options_new();
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    CHECK_FAILS(ms_options_set(options, pairs[i].key, pairs[i].value, &err), MS_INVALID_OPTION);
    CHECK_CONTAINS(ms_error_message(err), pairs[i].key);
  }
  ms_options_free(options);
}

static void a_list_key_takes_items_and_a_single_key_does_not(void) {
  ms_options *options = ms_options_new();
  REQUIRE_OK(ms_options_add(options, MS_OPT_COLUMNS, "a", &err));
  REQUIRE_OK(ms_options_add(options, MS_OPT_COLUMNS, "b", &err));
  REQUIRE_OK(ms_options_set(options, MS_OPT_COLUMNS, "", &err)); /* clears the list */
  REQUIRE_OK(ms_options_set(options, MS_OPT_COLUMNS, "c", &err));
  CHECK_FAILS(ms_options_add(options, MS_OPT_TABLE, "t", &err), MS_INVALID_OPTION);
  ms_options_free(options);
}

static void secrets_do_not_appear_in_errors(void) {
  ms_options *options = ms_options_new();
  const char canary[] = "canary-7c1f-secret";
  REQUIRE_OK(ms_options_set(options, MS_OPT_ACCESS_KEY_SECRET, canary, &err));
  ms_client *client = NULL;
  CHECK(ms_client_open(options, &client, &err) != MS_OK); /* neither endpoint nor key id */
  CHECK(client == NULL);
  CHECK(strstr(ms_error_message(err), canary) == NULL);
  CHECK(strstr(ms_error_json(err), canary) == NULL);
  char two_lines[64];
  snprintf(two_lines, sizeof two_lines, "%s\r\nx: y", canary);
  drop_error();
  if (ms_options_set(options, MS_OPT_ACCESS_KEY_SECRET, two_lines, &err) != MS_OK) CHECK(strstr(ms_error_message(err), canary) == NULL);
  ms_options_free(options);
}

static void clones_are_independent(void) {
  ms_options *options = ms_options_new();
  REQUIRE_OK(ms_options_set(options, MS_OPT_ENDPOINT, "http://127.0.0.1:1/api", &err));
  REQUIRE_OK(ms_options_set(options, MS_OPT_ACCESS_KEY_ID, "id", &err));
  ms_options *clone = ms_options_clone(options);
  REQUIRE(clone != NULL);
  ms_client *client = NULL;
  CHECK(ms_client_open(clone, &client, &err) != MS_OK); /* the secret is missing in the copy too */
  REQUIRE_OK(ms_options_set(clone, MS_OPT_ACCESS_KEY_SECRET, "secret", &err));
  ms_options_free(options); /* the copy does not need the original */
  REQUIRE_OK(ms_client_open(clone, &client, &err)); /* opening makes no request, so nobody has to listen */
  ms_client_free(client);
  ms_options_free(clone);
}

static void opening_without_the_necessary_names_what_is_missing(void) {
  ms_options *options = ms_options_new();
  ms_client *client = NULL;
  CHECK_FAILS(ms_client_open(options, &client, &err), MS_INVALID_OPTION);
  CHECK_CONTAINS(ms_error_message(err), MS_OPT_ENDPOINT);
  REQUIRE_OK(ms_options_set(options, MS_OPT_ENDPOINT, "http://127.0.0.1:1/api", &err));
  CHECK_FAILS(ms_client_open(options, &client, &err), MS_INVALID_OPTION);
  CHECK_CONTAINS(ms_error_message(err), MS_OPT_ACCESS_KEY_ID);
  ms_options_free(options);
}

/* Every key of the run-time list is known by its name: a value that suits nothing is refused as a value, never as an unknown key. */
static void the_list_describes_every_key(void) {
  ms_options *options = ms_options_new();
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  REQUIRE_OK(ms_options_describe(options, &stream, &err));
  REQUIRE(stream.get_schema(&stream, &schema) == 0);
  REQUIRE(strcmp(schema.format, "+s") == 0 && schema.n_children > 0);
  CHECK_TEXT(schema.children[0]->name, "key");
  CHECK_TEXT(schema.children[0]->format, "u");
  int64_t rows = 0;
  bool has_table = false;
  for (;;) {
    struct ArrowArray batch;
    REQUIRE(stream.get_next(&stream, &batch) == 0);
    if (batch.release == NULL) break;
    const struct ArrowArray *keys = batch.children[0];
    const int32_t *offsets = (const int32_t *)keys->buffers[1] + keys->offset;
    for (int64_t i = 0; i < batch.length; i++) {
      char key[128];
      const int length = offsets[i + 1] - offsets[i];
      snprintf(key, sizeof key, "%.*s", length, (const char *)keys->buffers[2] + offsets[i]);
      has_table = has_table || strcmp(key, MS_OPT_TABLE) == 0;
      drop_error();
      const ms_status status = ms_options_set(options, key, "\x01 suits nothing", &err);
      if (status == MS_INVALID_OPTION) CHECK(strstr(ms_error_message(err), "there is no option") == NULL);
    }
    rows += batch.length;
    batch.release(&batch);
  }
  CHECK(rows >= 40);
  CHECK(has_table);
  schema.release(&schema);
  stream.release(&stream);
  ms_options_free(options);
}

static void the_environment_is_read_when_asked_for(void) {
  unsetenv("ALIBABA_CLOUD_ACCESS_KEY_ID");
  unsetenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
  ms_options *options = ms_options_new();
  ms_client *client = NULL;
  REQUIRE_OK(ms_options_set(options, MS_OPT_ENDPOINT, "http://127.0.0.1:1/api", &err));
  REQUIRE_OK(ms_options_load_environment(options, &err)); /* nothing there is no mistake */
  CHECK(ms_client_open(options, &client, &err) != MS_OK);
  setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "local", 1);
  setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "local", 1);
  drop_error();
  CHECK(ms_client_open(options, &client, &err) != MS_OK); /* and never without being asked */
  REQUIRE_OK(ms_options_load_environment(options, &err));
  REQUIRE_OK(ms_client_open(options, &client, &err));
  ms_client_free(client);
  ms_options_free(options);
}

int main(void) {
  RUN(bad_utf8_is_refused_everywhere);
  RUN(an_unknown_key_names_the_nearest);
  RUN(bad_values_are_refused_where_they_are_set);
  RUN(a_list_key_takes_items_and_a_single_key_does_not);
  RUN(secrets_do_not_appear_in_errors);
  RUN(clones_are_independent);
  RUN(opening_without_the_necessary_names_what_is_missing);
  RUN(the_list_describes_every_key);
  RUN(the_environment_is_read_when_asked_for);
  return check_end();
}
