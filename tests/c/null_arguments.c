/* Every exported function with every pointer NULL in turn. functions.inc is generated from the header: a function of the header
 * without a case here, and a case without a function, both fail. */
#include "peer.h"

/* A client, a session and a split that work, at a peer. */
static peer service;
static stack good;

/* What a caller wrote into an output before the call; the library must empty it. */
static char garbage;
#define GARBAGE ((void *)&garbage)

/* A NULL argument: MS_INVALID_ARGUMENT, and the sentence names the parameter. */
#define REFUSES(parameter, call)              \
  do {                                        \
    CHECK_FAILS(call, MS_INVALID_ARGUMENT);   \
    CHECK_CONTAINS(ms_error_message(err), parameter); \
  } while (0)

static void case_ms_version(void) { CHECK(ms_version() != NULL); }
static void case_ms_abi_version(void) { CHECK(ms_abi_version() >= 0); }
static void case_ms_build_info(void) { CHECK(ms_build_info() != NULL); }
static void case_ms_status_name(void) { CHECK(ms_status_name(MS_OK) != NULL); }
static void case_ms_live_handles(void) { CHECK(ms_live_handles() > 0); }

static void case_ms_shutdown(void) {
  CHECK_INT(ms_shutdown(0), MS_WRONG_STATE); /* handles are open */
  CHECK_INT(ms_shutdown(-1), MS_INVALID_ARGUMENT);
}

static void ignore_log(void *context, int32_t level, const char *target, const char *message) {
  (void)context, (void)level, (void)target, (void)message;
}
static void case_ms_set_log_callback(void) {
  CHECK_INT(ms_set_log_callback(NULL, NULL, 0), MS_OK); /* nothing to unregister is no mistake */
  CHECK_INT(ms_set_log_callback(ignore_log, NULL, 2), MS_OK);
  CHECK_INT(ms_set_log_callback(NULL, NULL, 2), MS_OK);
  CHECK_INT(ms_set_log_callback(ignore_log, NULL, 6), MS_INVALID_ARGUMENT);
  CHECK_INT(ms_set_log_callback(ignore_log, NULL, -1), MS_INVALID_ARGUMENT);
}

static void case_ms_error_code(void) { CHECK_INT(ms_error_code(NULL), MS_OK); }
static void case_ms_error_message(void) { CHECK_TEXT(ms_error_message(NULL), ""); }
static void case_ms_error_is_retryable(void) { CHECK(!ms_error_is_retryable(NULL)); }
static void case_ms_error_server_code(void) { CHECK_TEXT(ms_error_server_code(NULL), ""); }
static void case_ms_error_request_id(void) { CHECK_TEXT(ms_error_request_id(NULL), ""); }
static void case_ms_error_http_status(void) { CHECK_INT(ms_error_http_status(NULL), 0); }
static void case_ms_error_attempts(void) { CHECK_INT(ms_error_attempts(NULL), 0); }
static void case_ms_error_json(void) { CHECK_TEXT(ms_error_json(NULL), ""); }
static void case_ms_error_free(void) { ms_error_free(NULL); }

static void case_ms_options_new(void) {
  ms_options *options = ms_options_new();
  CHECK(options != NULL);
  ms_options_free(options);
}
static void case_ms_options_set(void) {
  REFUSES("options", ms_options_set(NULL, MS_OPT_TABLE, "t", &err));
  REFUSES("key", ms_options_set(good.options, NULL, "t", &err));
  REFUSES("value", ms_options_set(good.options, MS_OPT_TABLE, NULL, &err));
  CHECK_INT(ms_options_set(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_options_add(void) {
  REFUSES("options", ms_options_add(NULL, MS_OPT_COLUMNS, "id", &err));
  REFUSES("key", ms_options_add(good.options, NULL, "id", &err));
  REFUSES("value", ms_options_add(good.options, MS_OPT_COLUMNS, NULL, &err));
  CHECK_INT(ms_options_add(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static ms_status supply_nothing(void *context, ms_credentials *credentials) {
  (void)context, (void)credentials;
  return MS_UNAVAILABLE;
}
static void count_release(void *context) { ++*(int *)context; }
static void case_ms_options_set_credentials_provider(void) {
  int released = 0;
  REFUSES("options", ms_options_set_credentials_provider(NULL, supply_nothing, &released, count_release, &err));
  CHECK_INT(released, 1); /* consumed on failure too */
  ms_options *options = ms_options_new();
  REQUIRE_OK(ms_options_set_credentials_provider(options, supply_nothing, &released, count_release, &err));
  CHECK_INT(released, 1);
  REQUIRE_OK(ms_options_set_credentials_provider(options, NULL, NULL, NULL, &err)); /* back to the options */
  CHECK_INT(released, 2);
  REQUIRE_OK(ms_options_set_credentials_provider(options, supply_nothing, NULL, NULL, &err));
  ms_options_free(options);
  CHECK_INT(ms_options_set_credentials_provider(NULL, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}

/* The setters live inside a provider only: what they refuse is noted there. */
static ms_status supply_with_nulls(void *context, ms_credentials *credentials) {
  int *refused = context;
  *refused += ms_credentials_set_access_key(NULL, "id", "secret", NULL, NULL) == MS_INVALID_ARGUMENT;
  *refused += ms_credentials_set_access_key(credentials, NULL, "secret", NULL, NULL) == MS_INVALID_ARGUMENT;
  *refused += ms_credentials_set_access_key(credentials, "id", NULL, NULL, NULL) == MS_INVALID_ARGUMENT;
  *refused += ms_credentials_set_access_key(credentials, "\xff", "secret", NULL, NULL) == MS_INVALID_ARGUMENT;
  *refused += ms_credentials_set_bearer_token(NULL, "token", NULL) == MS_INVALID_ARGUMENT;
  *refused += ms_credentials_set_bearer_token(credentials, NULL, NULL) == MS_INVALID_ARGUMENT;
  *refused += ms_credentials_set_expiry_ms(NULL, 1, NULL) == MS_INVALID_ARGUMENT;
  *refused += ms_credentials_set_error(NULL, "why", NULL) == MS_INVALID_ARGUMENT;
  *refused += ms_credentials_set_error(credentials, NULL, NULL) == MS_INVALID_ARGUMENT;
  return ms_credentials_set_access_key(credentials, "id", "secret", NULL, NULL);
}
static void case_setters_of_credentials(void) {
  int refused = 0;
  stack use = {.options = peer_options(&service)};
  REQUIRE_OK(ms_options_set(use.options, MS_OPT_ACCESS_KEY_ID, "", &err));
  REQUIRE_OK(ms_options_set(use.options, MS_OPT_ACCESS_KEY_SECRET, "", &err));
  REQUIRE_OK(ms_options_set_credentials_provider(use.options, supply_with_nulls, &refused, NULL, &err));
  CHECK_INT(stack_open_session(&use), MS_OK);
  CHECK_INT(refused, 9);
  stack_free(&use);
  CHECK_INT(ms_credentials_set_access_key(NULL, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_credentials_set_access_key(void) { case_setters_of_credentials(); }
static void case_ms_credentials_set_bearer_token(void) { REFUSES("credentials", ms_credentials_set_bearer_token(NULL, "t", &err)); }
static void case_ms_credentials_set_expiry_ms(void) { REFUSES("credentials", ms_credentials_set_expiry_ms(NULL, 1, &err)); }
static void case_ms_credentials_set_error(void) { REFUSES("credentials", ms_credentials_set_error(NULL, "t", &err)); }
static void case_ms_options_load_environment(void) {
  REFUSES("options", ms_options_load_environment(NULL, &err));
  CHECK_INT(ms_options_load_environment(NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_options_clone(void) {
  ms_options *defaults = ms_options_clone(NULL); /* NULL stands for all defaults */
  CHECK(defaults != NULL);
  ms_options_free(defaults);
}
static void case_ms_options_describe(void) {
  struct ArrowArrayStream stream;
  REQUIRE_OK(ms_options_describe(NULL, &stream, &err)); /* NULL stands for all defaults */
  stream.release(&stream);
  REFUSES("out_stream", ms_options_describe(good.options, NULL, &err));
  CHECK_INT(ms_options_describe(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static bool grant_all(void *context, size_t bytes) { return (void)context, (void)bytes, true; }
static void forget(void *context, size_t bytes) { (void)context, (void)bytes; }
static void case_ms_options_set_memory_hooks(void) {
  ms_options *options = ms_options_new();
  REFUSES("options", ms_options_set_memory_hooks(NULL, grant_all, forget, NULL, &err));
  REFUSES("reserve", ms_options_set_memory_hooks(options, NULL, forget, NULL, &err));
  REFUSES("release", ms_options_set_memory_hooks(options, grant_all, NULL, NULL, &err));
  CHECK_INT(ms_options_set_memory_hooks(options, NULL, NULL, NULL, NULL), MS_OK); /* nothing to unregister is no mistake */
  CHECK_INT(ms_options_set_memory_hooks(options, grant_all, forget, NULL, NULL), MS_OK);
  ms_options_free(options);
}
static void *no_memory(void *context, size_t bytes, size_t alignment) { return (void)context, (void)bytes, (void)alignment, NULL; }
static void no_return(void *context, void *memory, size_t bytes, size_t alignment) { (void)context, (void)memory, (void)bytes, (void)alignment; }
static void case_ms_options_set_allocator(void) {
  ms_options *options = ms_options_new();
  REFUSES("options", ms_options_set_allocator(NULL, no_memory, no_return, NULL, &err));
  REFUSES("allocate", ms_options_set_allocator(options, NULL, no_return, NULL, &err));
  REFUSES("deallocate", ms_options_set_allocator(options, no_memory, NULL, NULL, &err));
  CHECK_INT(ms_options_set_allocator(options, NULL, NULL, NULL, NULL), MS_OK); /* nothing to unregister is no mistake */
  CHECK_INT(ms_options_set_allocator(options, no_memory, no_return, NULL, NULL), MS_OK);
  ms_options_free(options);
}
static int64_t as_planned(void *context, const ms_error *error, int64_t elapsed_ms, int64_t planned_delay_ms) {
  (void)context, (void)error, (void)elapsed_ms;
  return planned_delay_ms;
}
static void case_ms_options_set_retry_hook(void) {
  ms_options *options = ms_options_new();
  REFUSES("options", ms_options_set_retry_hook(NULL, as_planned, NULL, &err));
  CHECK_INT(ms_options_set_retry_hook(options, as_planned, NULL, NULL), MS_OK);
  CHECK_INT(ms_options_set_retry_hook(options, NULL, NULL, NULL), MS_OK);
  ms_options_free(options);
}
static void no_end(void *context, int64_t split, ms_status outcome, const ms_metrics *metrics) {
  (void)context, (void)split, (void)outcome, (void)metrics;
}
static void case_ms_options_set_read_end_callback(void) {
  ms_options *options = ms_options_new();
  REFUSES("options", ms_options_set_read_end_callback(NULL, no_end, NULL, &err));
  CHECK_INT(ms_options_set_read_end_callback(options, no_end, NULL, NULL), MS_OK);
  CHECK_INT(ms_options_set_read_end_callback(options, NULL, NULL, NULL), MS_OK);
  ms_options_free(options);
}
static void case_ms_features(void) { CHECK((ms_features() & MS_FEATURE_PREDICATES) != 0); }
static void no_span(void *context, const ms_span *span) { (void)context, (void)span; }
static void case_ms_options_set_span_callback(void) {
  ms_options *options = ms_options_new();
  REFUSES("options", ms_options_set_span_callback(NULL, no_span, NULL, &err));
  CHECK_INT(ms_options_set_span_callback(options, no_span, NULL, NULL), MS_OK);
  CHECK_INT(ms_options_set_span_callback(options, NULL, NULL, NULL), MS_OK);
  ms_options_free(options);
}
static void case_ms_span_text(void) {
  CHECK_TEXT(ms_span_text(NULL, "name"), "");
  CHECK_TEXT(ms_span_text(NULL, NULL), "");
}
static void case_ms_span_number(void) {
  CHECK_INT(ms_span_number(NULL, "status"), -1);
  CHECK_INT(ms_span_number(NULL, NULL), -1);
}
static void case_ms_span_json(void) { CHECK_TEXT(ms_span_json(NULL), ""); }
static void no_hook(void *context) { (void)context; }
static void case_ms_options_set_thread_hooks(void) {
  ms_options *options = ms_options_new();
  REFUSES("options", ms_options_set_thread_hooks(NULL, no_hook, no_hook, NULL, &err));
  CHECK_INT(ms_options_set_thread_hooks(options, NULL, NULL, NULL, NULL), MS_OK);
  CHECK_INT(ms_options_set_thread_hooks(options, no_hook, NULL, NULL, NULL), MS_OK);
  ms_options_free(options);
}
static void case_ms_options_free(void) { ms_options_free(NULL); }

static void case_ms_client_open(void) {
  ms_client *client = GARBAGE;
  REFUSES("options", ms_client_open(NULL, &client, &err));
  CHECK(client == NULL);
  REFUSES("out_client", ms_client_open(good.options, NULL, &err));
  CHECK_INT(ms_client_open(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_client_metrics(void) {
  ms_metrics *metrics = GARBAGE;
  REFUSES("client", ms_client_metrics(NULL, &metrics, &err));
  CHECK(metrics == NULL);
  REFUSES("out_metrics", ms_client_metrics(good.client, NULL, &err));
  CHECK_INT(ms_client_metrics(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_client_free(void) { ms_client_free(NULL); }

/* An array of one 64-bit number, made by hand as an engine does; its release says that it was taken over. */
static int64_t literal_number;
static const void *literal_buffers[2];
static void release_literal(struct ArrowArray *array) { array->release = NULL; }
static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }
static struct ArrowSchema number_schema(void) {
  return (struct ArrowSchema){.format = "l", .name = "", .flags = ARROW_FLAG_NULLABLE, .release = release_schema};
}
static struct ArrowArray number_array(int64_t length) {
  literal_buffers[1] = &literal_number;
  return (struct ArrowArray){.length = length, .n_buffers = 2, .buffers = literal_buffers, .release = release_literal};
}
static ms_predicate *good_predicate(void) {
  ms_predicate *predicate = NULL;
  CHECK_INT(ms_predicate_parse("id = 1", &predicate, NULL), MS_OK);
  return predicate;
}
static void case_ms_predicate_compare(void) {
  ms_predicate *predicate = GARBAGE;
  struct ArrowSchema schema = number_schema();
  struct ArrowArray array = number_array(1);
  REFUSES("column", ms_predicate_compare(NULL, MS_COMPARE_EQ, &schema, &array, &predicate, &err));
  CHECK(predicate == NULL && array.release == NULL); /* consumed on failure as well */
  array = number_array(1);
  REFUSES("schema", ms_predicate_compare("id", MS_COMPARE_EQ, NULL, &array, &predicate, &err));
  CHECK(array.release == NULL);
  REFUSES("array", ms_predicate_compare("id", MS_COMPARE_EQ, &schema, NULL, &predicate, &err));
  REFUSES("array", ms_predicate_compare("id", MS_COMPARE_EQ, &schema, &array, &predicate, &err)); /* released already */
  array = number_array(0);
  REFUSES("array has 0 values", ms_predicate_compare("id", MS_COMPARE_EQ, &schema, &array, &predicate, &err));
  array = number_array(1);
  REFUSES("out_predicate", ms_predicate_compare("id", MS_COMPARE_EQ, &schema, &array, NULL, &err));
  CHECK(array.release == NULL);
  const int32_t outside[] = {-1, 6, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    array = number_array(1);
    REFUSES("op", ms_predicate_compare("id", outside[i], &schema, &array, &predicate, &err));
    CHECK(array.release == NULL);
  }
  CHECK_INT(ms_predicate_compare(NULL, 0, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  array = number_array(1);
  REQUIRE_OK(ms_predicate_compare("id", MS_COMPARE_LE, &schema, &array, &predicate, &err));
  CHECK(array.release == NULL && schema.release != NULL);
  CHECK_TEXT(ms_predicate_text(predicate), "`id` <= 0");
  ms_predicate_free(predicate);
}
static void case_ms_predicate_in(void) {
  ms_predicate *predicate = GARBAGE;
  struct ArrowSchema schema = number_schema();
  struct ArrowArray array = number_array(1);
  REFUSES("column", ms_predicate_in(NULL, false, &schema, &array, &predicate, &err));
  CHECK(predicate == NULL && array.release == NULL);
  array = number_array(1);
  REFUSES("schema", ms_predicate_in("id", false, NULL, &array, &predicate, &err));
  REFUSES("array", ms_predicate_in("id", false, &schema, NULL, &predicate, &err));
  array = number_array(1);
  REFUSES("out_predicate", ms_predicate_in("id", false, &schema, &array, NULL, &err));
  CHECK(array.release == NULL);
  CHECK_INT(ms_predicate_in(NULL, true, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  array = number_array(0);
  REQUIRE_OK(ms_predicate_in("id", true, &schema, &array, &predicate, &err));
  CHECK_TEXT(ms_predicate_text(predicate), "`id` NOT IN ()");
  ms_predicate_free(predicate);
}
static void case_ms_predicate_is_null(void) {
  ms_predicate *predicate = GARBAGE;
  REFUSES("column", ms_predicate_is_null(NULL, false, &predicate, &err));
  CHECK(predicate == NULL);
  REFUSES("name of a column", ms_predicate_is_null("", false, &predicate, &err));
  REFUSES("out_predicate", ms_predicate_is_null("id", false, NULL, &err));
  CHECK_INT(ms_predicate_is_null(NULL, true, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void joins(ms_status (*join)(const ms_predicate *const *, size_t, ms_predicate **, ms_error **), const char *text) {
  ms_predicate *joined = GARBAGE, *one = good_predicate();
  const ms_predicate *const both[] = {one, one}, *const holes[] = {one, NULL};
  REFUSES("operands", join(NULL, 2, &joined, &err));
  CHECK(joined == NULL);
  REFUSES("operands[1]", join(holes, 2, &joined, &err));
  REFUSES("operands", join(both, SIZE_MAX, &joined, &err));
  CHECK_FAILS(join(both, 0, &joined, &err), MS_INVALID_ARGUMENT); /* nothing to join */
  REFUSES("out_predicate", join(both, 2, NULL, &err));
  CHECK_INT(join(NULL, 1, NULL, NULL), MS_INVALID_ARGUMENT);
  REQUIRE_OK(join(both, 2, &joined, &err));
  ms_predicate_free(one); /* shared, so the joined one does not need it */
  CHECK_TEXT(ms_predicate_text(joined), text);
  ms_predicate_free(joined);
}
static void case_ms_predicate_and(void) { joins(ms_predicate_and, "`id` = 1 AND `id` = 1"); }
static void case_ms_predicate_or(void) { joins(ms_predicate_or, "`id` = 1 OR `id` = 1"); }
static void case_ms_predicate_not(void) {
  ms_predicate *predicate = GARBAGE, *one = good_predicate();
  REFUSES("operand", ms_predicate_not(NULL, &predicate, &err));
  CHECK(predicate == NULL);
  REFUSES("out_predicate", ms_predicate_not(one, NULL, &err));
  CHECK_INT(ms_predicate_not(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  ms_predicate_free(one);
}
static void case_ms_predicate_parse(void) {
  ms_predicate *predicate = GARBAGE;
  REFUSES("predicate_text", ms_predicate_parse(NULL, &predicate, &err));
  CHECK(predicate == NULL);
  REFUSES("predicate_text", ms_predicate_parse("id = '\xff'", &predicate, &err)); /* not UTF-8 */
  REFUSES("out_predicate", ms_predicate_parse("id = 1", NULL, &err));
  CHECK_FAILS(ms_predicate_parse("id = ", &predicate, &err), MS_INVALID_ARGUMENT);
  CHECK_FAILS(ms_predicate_parse("length(id) = 1", &predicate, &err), MS_UNSUPPORTED);
  CHECK_INT(ms_predicate_parse(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_predicate_from_substrait(void) {
  ms_predicate *predicate = GARBAGE;
  REFUSES("message", ms_predicate_from_substrait(NULL, 3, &predicate, &err));
  CHECK(predicate == NULL);
  REFUSES("out_predicate", ms_predicate_from_substrait("", 0, NULL, &err));
  CHECK_FAILS(ms_predicate_from_substrait(NULL, 0, &predicate, &err), MS_INVALID_ARGUMENT); /* no schema in it */
  CHECK_FAILS(ms_predicate_from_substrait("\x0b", 1, &predicate, &err), MS_INVALID_ARGUMENT);
  CHECK_INT(ms_predicate_from_substrait(NULL, 3, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_predicate_text(void) { CHECK_TEXT(ms_predicate_text(NULL), ""); }
static void case_ms_predicate_clone(void) {
  CHECK(ms_predicate_clone(NULL) == NULL);
  ms_predicate *one = good_predicate(), *other = ms_predicate_clone(one);
  ms_predicate_free(one);
  CHECK_TEXT(ms_predicate_text(other), "`id` = 1");
  ms_predicate_free(other);
}
static void case_ms_predicate_free(void) { ms_predicate_free(NULL); }
/* The stream of a catalogue function without an argument that it needs. */
#define REFUSES_STREAM(parameter, call)                     \
  do {                                                      \
    stream.release = (void (*)(struct ArrowArrayStream *))0xdead; \
    REFUSES(parameter, call);                               \
    CHECK(stream.release == NULL);                          \
  } while (0)

static void case_ms_projects_schemas(void) {
  struct ArrowArrayStream stream;
  REFUSES_STREAM("client", ms_projects_schemas(NULL, "p", &stream, &err));
  REFUSES("out_stream", ms_projects_schemas(good.client, NULL, NULL, &err));
  REFUSES_STREAM("project", ms_projects_schemas(good.client, "\xff", &stream, &err));
  CHECK_INT(ms_projects_schemas(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_tables(void) {
  struct ArrowArrayStream stream;
  REFUSES_STREAM("client", ms_tables(NULL, NULL, NULL, NULL, &stream, &err));
  REFUSES("out_stream", ms_tables(good.client, NULL, NULL, NULL, NULL, &err));
  REFUSES_STREAM("pattern", ms_tables(good.client, NULL, NULL, "\xff", &stream, &err));
  CHECK_INT(ms_tables(NULL, NULL, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_table_schema(void) {
  struct ArrowSchema schema = {.release = (void (*)(struct ArrowSchema *))0xdead};
  REFUSES("client", ms_table_schema(NULL, "t", &schema, &err));
  CHECK(schema.release == NULL);
  REFUSES("table", ms_table_schema(good.client, NULL, &schema, &err));
  REFUSES("out_schema", ms_table_schema(good.client, "t", NULL, &err));
  CHECK_INT(ms_table_schema(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_table_details(void) {
  struct ArrowArrayStream stream;
  REFUSES_STREAM("client", ms_table_details(NULL, "t", &stream, &err));
  REFUSES_STREAM("table", ms_table_details(good.client, NULL, &stream, &err));
  REFUSES("out_stream", ms_table_details(good.client, "t", NULL, &err));
  CHECK_INT(ms_table_details(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_partitions(void) {
  struct ArrowArrayStream stream;
  REFUSES_STREAM("client", ms_partitions(NULL, "t", NULL, &stream, &err));
  REFUSES_STREAM("table", ms_partitions(good.client, NULL, NULL, &stream, &err));
  REFUSES("out_stream", ms_partitions(good.client, "t", NULL, NULL, &err));
  CHECK_INT(ms_partitions(NULL, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_table_preview(void) {
  struct ArrowArrayStream stream;
  REFUSES_STREAM("client", ms_table_preview(NULL, "t", NULL, 1, &stream, &err));
  REFUSES_STREAM("table", ms_table_preview(good.client, NULL, NULL, 1, &stream, &err));
  REFUSES("out_stream", ms_table_preview(good.client, "t", NULL, 1, NULL, &err));
  CHECK_INT(ms_table_preview(NULL, NULL, NULL, 0, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_client_diagnose(void) {
  struct ArrowArrayStream stream;
  REFUSES_STREAM("client", ms_client_diagnose(NULL, "t", &stream, &err));
  REFUSES("out_report", ms_client_diagnose(good.client, NULL, NULL, &err));
  CHECK_INT(ms_client_diagnose(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}

static void case_ms_session_open(void) {
  ms_session *session = GARBAGE;
  REFUSES("client", ms_session_open(NULL, good.options, NULL, &session, &err));
  CHECK(session == NULL);
  session = GARBAGE;
  REFUSES("scan", ms_session_open(good.client, NULL, NULL, &session, &err));
  CHECK(session == NULL);
  REFUSES("out_session", ms_session_open(good.client, good.options, NULL, NULL, &err));
  CHECK_INT(ms_session_open(NULL, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_open_cancellable(void) {
  ms_session *session = GARBAGE;
  REFUSES("client", ms_session_open_cancellable(NULL, good.options, NULL, NULL, &session, &err));
  CHECK(session == NULL);
  REFUSES("scan", ms_session_open_cancellable(good.client, NULL, NULL, NULL, &session, &err));
  REFUSES("out_session", ms_session_open_cancellable(good.client, good.options, NULL, NULL, NULL, &err));
  CHECK_INT(ms_session_open_cancellable(NULL, NULL, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_cancel_new(void) {
  ms_cancel *cancel = ms_cancel_new();
  CHECK(cancel != NULL);
  ms_cancel_now(cancel);
  ms_cancel_free(cancel);
}
static void case_ms_cancel_now(void) { ms_cancel_now(NULL); }
static void case_ms_cancel_free(void) { ms_cancel_free(NULL); }
static void case_ms_session_attach(void) {
  ms_session *session = GARBAGE;
  REFUSES("client", ms_session_attach(NULL, "token", 5, &session, &err));
  CHECK(session == NULL);
  session = GARBAGE;
  REFUSES("token", ms_session_attach(good.client, NULL, 5, &session, &err));
  CHECK(session == NULL);
  REFUSES("token", ms_session_attach(good.client, NULL, 0, &session, &err)); /* nothing is not a token either */
  REFUSES("out_session", ms_session_attach(good.client, "token", 5, NULL, &err));
  CHECK_INT(ms_session_attach(NULL, NULL, 0, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_serialize(void) {
  ms_bytes *token = GARBAGE;
  REFUSES("session", ms_session_serialize(NULL, &token, &err));
  CHECK(token == NULL);
  REFUSES("out_token", ms_session_serialize(good.session, NULL, &err));
  CHECK_INT(ms_session_serialize(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_serialize_json(void) {
  ms_bytes *json = GARBAGE;
  REFUSES("session", ms_session_serialize_json(NULL, &json, &err));
  CHECK(json == NULL);
  REFUSES("out_json", ms_session_serialize_json(good.session, NULL, &err));
  CHECK_INT(ms_session_serialize_json(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_serialize_split(void) {
  ms_bytes *token = GARBAGE;
  REFUSES("session", ms_session_serialize_split(NULL, 0, false, &token, &err));
  CHECK(token == NULL);
  REFUSES("out_token", ms_session_serialize_split(good.session, 0, true, NULL, &err));
  REFUSES("no split 1", ms_session_serialize_split(good.session, 1, false, &token, &err));
  REFUSES("no split -1", ms_session_serialize_split(good.session, -1, true, &token, &err));
  CHECK_INT(ms_session_serialize_split(NULL, 0, false, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_more_splits(void) {
  int64_t count = 7;
  bool complete = true;
  REFUSES("session", ms_session_more_splits(NULL, 0, 0, NULL, &count, &complete, &err));
  CHECK(count == -1 && !complete);
  REFUSES("out_count", ms_session_more_splits(good.session, 0, 0, NULL, NULL, &complete, &err));
  REFUSES("out_complete", ms_session_more_splits(good.session, 0, 0, NULL, &count, NULL, &err));
  CHECK_INT(ms_session_more_splits(NULL, 0, 0, NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_try_more_splits(void) {
  int64_t count = 7;
  bool complete = true;
  REFUSES("session", ms_session_try_more_splits(NULL, 0, &count, &complete, &err));
  CHECK(count == -1 && !complete);
  REFUSES("out_count", ms_session_try_more_splits(good.session, 0, NULL, &complete, &err));
  REFUSES("out_complete", ms_session_try_more_splits(good.session, 0, &count, NULL, &err));
  CHECK_INT(ms_session_try_more_splits(NULL, 0, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_schema(void) {
  struct ArrowSchema schema;
  REFUSES("session", ms_session_schema(NULL, &schema, &err));
  CHECK(schema.release == NULL);
  REFUSES("out_schema", ms_session_schema(good.session, NULL, &err));
  CHECK_INT(ms_session_schema(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_split_count(void) { CHECK_INT(ms_session_split_count(NULL), -1); }
static void case_ms_session_estimated_rows(void) { CHECK_INT(ms_session_estimated_rows(NULL), -1); }
static void case_ms_session_estimated_bytes(void) { CHECK_INT(ms_session_estimated_bytes(NULL), -1); }
static void case_ms_session_expires_at_ms(void) { CHECK_INT(ms_session_expires_at_ms(NULL), -1); }
static void case_ms_session_refresh(void) { REFUSES("session", ms_session_refresh(NULL, &err)); }
static void case_ms_session_refresh_cancellable(void) { REFUSES("session", ms_session_refresh_cancellable(NULL, NULL, &err)); }
static void case_ms_cancel_set_deadline_ms(void) { REFUSES("cancel", ms_cancel_set_deadline_ms(NULL, 1, &err)); }
static void case_ms_cancel_add_split(void) {
  ms_cancel *cancel = ms_cancel_new();
  REFUSES("cancel", ms_cancel_add_split(NULL, good.split, &err));
  REFUSES("split", ms_cancel_add_split(cancel, NULL, &err));
  CHECK_INT(ms_cancel_add_split(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  ms_cancel_free(cancel);
}
static void case_ms_cancel_add_scan(void) {
  ms_cancel *cancel = ms_cancel_new();
  REFUSES("scan", ms_cancel_add_scan(cancel, NULL, &err));
  CHECK_INT(ms_cancel_add_scan(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  ms_cancel_free(cancel);
}
static void case_ms_cancel_arm(void) {
  ms_cancel *cancel = ms_cancel_new();
  REFUSES("cancel", ms_cancel_arm(NULL, good.client, &err));
  REFUSES("client", ms_cancel_arm(cancel, NULL, &err));
  CHECK_INT(ms_cancel_arm(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  ms_cancel_free(cancel);
}
static void case_ms_cancel_from_signal(void) { ms_cancel_from_signal(NULL); }
static void case_ms_client_with_cancel(void) {
  ms_cancel *cancel = ms_cancel_new();
  ms_client *client = GARBAGE;
  REFUSES("client", ms_client_with_cancel(NULL, cancel, &client, &err));
  CHECK(client == NULL);
  REFUSES("cancel", ms_client_with_cancel(good.client, NULL, &client, &err));
  REFUSES("out_client", ms_client_with_cancel(good.client, cancel, NULL, &err));
  CHECK_INT(ms_client_with_cancel(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  ms_cancel_free(cancel);
}
static void case_ms_session_metrics(void) {
  ms_metrics *metrics = GARBAGE;
  REFUSES("session", ms_session_metrics(NULL, &metrics, &err));
  CHECK(metrics == NULL);
  REFUSES("out_metrics", ms_session_metrics(good.session, NULL, &err));
  CHECK_INT(ms_session_metrics(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}

static void case_ms_session_explain(void) {
  ms_bytes *json = GARBAGE;
  REFUSES("session", ms_session_explain(NULL, &json, &err));
  CHECK(json == NULL);
  REFUSES("out_json", ms_session_explain(good.session, NULL, &err));
  CHECK_INT(ms_session_explain(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_session_split_info(void) {
  ms_split_info *info = GARBAGE;
  REFUSES("session", ms_session_split_info(NULL, 0, &info, &err));
  CHECK(info == NULL);
  REFUSES("out_info", ms_session_split_info(good.session, 0, NULL, &err));
  REFUSES("no split 1", ms_session_split_info(good.session, 1, &info, &err));
  REFUSES("no split -1", ms_session_split_info(good.session, -1, &info, &err));
  CHECK_INT(ms_session_split_info(NULL, 0, NULL, NULL), MS_INVALID_ARGUMENT);
  REQUIRE_OK(ms_session_split_info(good.session, 0, &info, &err));
  CHECK_INT(ms_split_info_rows(info), -1);
  CHECK(ms_split_info_weight(info) == 1.0);
  ms_split_info_free(info);
}
static void case_ms_split_info_rows(void) { CHECK_INT(ms_split_info_rows(NULL), -1); }
static void case_ms_split_info_start_row(void) { CHECK_INT(ms_split_info_start_row(NULL), -1); }
static void case_ms_split_info_estimated_bytes(void) { CHECK_INT(ms_split_info_estimated_bytes(NULL), -1); }
static void case_ms_split_info_partition(void) { CHECK_TEXT(ms_split_info_partition(NULL), ""); }
static void case_ms_split_info_bucket(void) { CHECK_INT(ms_split_info_bucket(NULL), -1); }
static void case_ms_split_info_weight(void) { CHECK(ms_split_info_weight(NULL) == -1.0); }
static void case_ms_split_info_free(void) { ms_split_info_free(NULL); }
static void case_ms_session_free(void) { ms_session_free(NULL); }

static void case_ms_bytes_data(void) { CHECK(ms_bytes_data(NULL) == NULL); }
static void case_ms_bytes_len(void) { CHECK_INT(ms_bytes_len(NULL), 0); }
static void case_ms_bytes_free(void) { ms_bytes_free(NULL); }

static void case_ms_split_open(void) {
  ms_split *split = GARBAGE;
  REFUSES("session", ms_split_open(NULL, 0, NULL, &split, &err));
  CHECK(split == NULL);
  REFUSES("out_split", ms_split_open(good.session, 0, NULL, NULL, &err));
  CHECK_INT(ms_split_open(NULL, 0, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  const int64_t outside[] = {-1, 1, INT64_MIN, INT64_MAX};
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    split = GARBAGE;
    REFUSES("split", ms_split_open(good.session, outside[i], NULL, &split, &err));
    CHECK(split == NULL);
  }
  REQUIRE_OK(ms_split_open(good.session, 0, NULL, &split, &err)); /* read options may be NULL */
  ms_split_free(split);
}
static void case_ms_split_next_batch(void) {
  struct ArrowArray batch;
  REFUSES("split", ms_split_next_batch(NULL, &batch, &err));
  CHECK(batch.release == NULL);
  REFUSES("out_array", ms_split_next_batch(good.split, NULL, &err));
  CHECK_INT(ms_split_next_batch(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_split_try_next_batch(void) {
  struct ArrowArray batch;
  REFUSES("split", ms_split_try_next_batch(NULL, &batch, &err));
  CHECK(batch.release == NULL);
  REFUSES("out_array", ms_split_try_next_batch(good.split, NULL, &err));
  CHECK_INT(ms_split_try_next_batch(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_split_set_waker(void) {
  REFUSES("split", ms_split_set_waker(NULL, NULL, NULL, &err));
  CHECK_INT(ms_split_set_waker(good.split, NULL, NULL, NULL), MS_OK); /* nothing to unregister is no mistake */
}
static void case_ms_split_ready_fd(void) { CHECK_INT(ms_split_ready_fd(NULL), -1); }
static void case_ms_split_set_deadline_ms(void) {
  REFUSES("split", ms_split_set_deadline_ms(NULL, 0, &err));
  CHECK_INT(ms_split_set_deadline_ms(good.split, 0, NULL), MS_OK);
}
static void case_ms_split_schema(void) {
  struct ArrowSchema schema;
  REFUSES("split", ms_split_schema(NULL, &schema, &err));
  CHECK(schema.release == NULL);
  REFUSES("out_schema", ms_split_schema(good.split, NULL, &err));
  CHECK_INT(ms_split_schema(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_split_export_stream(void) {
  struct ArrowArrayStream stream;
  REFUSES("split", ms_split_export_stream(NULL, &stream, &err));
  CHECK(stream.release == NULL);
  ms_split *split = NULL; /* consumed on failure as well: nothing is left to free, as the live handles show */
  REQUIRE_OK(ms_split_open(good.session, 0, NULL, &split, &err));
  const int64_t before = ms_live_handles();
  REFUSES("out_stream", ms_split_export_stream(split, NULL, &err));
  drop_error();
  CHECK_INT(ms_live_handles(), before - 1);
  CHECK_INT(ms_split_export_stream(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_split_add_filter(void) {
  ms_predicate *filter = good_predicate();
  REFUSES("split", ms_split_add_filter(NULL, filter, &err));
  REFUSES("filter", ms_split_add_filter(good.split, NULL, &err));
  CHECK_INT(ms_split_add_filter(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  ms_predicate_free(filter);
}
static void case_ms_split_rows_delivered(void) { CHECK_INT(ms_split_rows_delivered(NULL), -1); }
static void case_ms_split_progress(void) { CHECK(ms_split_progress(NULL) == -1.0); }

static void case_ms_split_set_batch_limits(void) {
  REFUSES("split", ms_split_set_batch_limits(NULL, 10, 0, &err));
  REFUSES("max_rows", ms_split_set_batch_limits(good.split, -1, 0, &err));
  REFUSES("max_bytes", ms_split_set_batch_limits(good.split, 0, -1, &err));
  CHECK_INT(ms_split_set_batch_limits(good.split, 0, 0, NULL), MS_OK);
}

static void case_ms_split_all_requested(void) { CHECK(!ms_split_all_requested(NULL)); }
static void case_ms_split_metrics(void) {
  ms_metrics *metrics = GARBAGE;
  REFUSES("split", ms_split_metrics(NULL, &metrics, &err));
  CHECK(metrics == NULL);
  REFUSES("out_metrics", ms_split_metrics(good.split, NULL, &err));
  CHECK_INT(ms_split_metrics(NULL, NULL, NULL), MS_INVALID_ARGUMENT);
}
static void case_ms_split_cancel(void) { ms_split_cancel(NULL); }
static void case_ms_split_free(void) { ms_split_free(NULL); }

static void case_ms_scan_open(void) {
  ms_scan *scan = GARBAGE;
  REFUSES("session", ms_scan_open(NULL, NULL, &scan, &err));
  CHECK(scan == NULL);
  REFUSES("out_scan", ms_scan_open(good.session, NULL, NULL, &err));
}
static ms_scan *good_scan(void) {
  ms_scan *scan = NULL;
  CHECK_INT(ms_scan_open(good.session, NULL, &scan, NULL), MS_OK);
  return scan;
}
static void case_ms_scan_next_batch_until(void) {
  ms_scan *scan = good_scan();
  struct ArrowArray batch;
  int64_t split = 7;
  REFUSES("scan", ms_scan_next_batch_until(NULL, 0, &batch, &split, &err));
  CHECK(batch.release == NULL && split == -1);
  REFUSES("out_array", ms_scan_next_batch_until(scan, 0, NULL, &split, &err));
  CHECK_INT(ms_scan_next_batch_until(scan, 0, &batch, NULL, NULL), MS_OK); /* 0 is no deadline */
  CHECK(batch.release != NULL);
  if (batch.release != NULL) batch.release(&batch);
  ms_scan_free(scan);
}
static void case_ms_scan_next_batch(void) {
  ms_scan *scan = good_scan();
  struct ArrowArray batch;
  int64_t split = 7;
  REFUSES("scan", ms_scan_next_batch(NULL, &batch, &split, &err));
  CHECK(batch.release == NULL && split == -1);
  REFUSES("out_array", ms_scan_next_batch(scan, NULL, &split, &err));
  CHECK_INT(ms_scan_next_batch(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  CHECK_INT(ms_scan_next_batch(scan, &batch, NULL, NULL), MS_OK); /* the number of the split is optional */
  CHECK(batch.release != NULL);
  if (batch.release != NULL) batch.release(&batch);
  ms_scan_free(scan);
}
static void case_ms_scan_try_next_batch(void) {
  ms_scan *scan = good_scan();
  struct ArrowArray batch;
  int64_t split = 7;
  REFUSES("scan", ms_scan_try_next_batch(NULL, &batch, &split, &err));
  CHECK(batch.release == NULL && split == -1);
  REFUSES("out_array", ms_scan_try_next_batch(scan, NULL, &split, &err));
  CHECK_INT(ms_scan_try_next_batch(NULL, NULL, NULL, NULL), MS_INVALID_ARGUMENT);
  ms_scan_free(scan);
}
static void case_ms_scan_set_waker(void) {
  ms_scan *scan = good_scan();
  REFUSES("scan", ms_scan_set_waker(NULL, NULL, NULL, &err));
  CHECK_INT(ms_scan_set_waker(scan, NULL, NULL, NULL), MS_OK); /* nothing to unregister is no mistake */
  ms_scan_free(scan);
}
static void case_ms_scan_ready_fd(void) { CHECK_INT(ms_scan_ready_fd(NULL), -1); }
static void case_ms_scan_schema(void) {
  ms_scan *scan = good_scan();
  struct ArrowSchema schema;
  REFUSES("scan", ms_scan_schema(NULL, &schema, &err));
  CHECK(schema.release == NULL);
  REFUSES("out_schema", ms_scan_schema(scan, NULL, &err));
  ms_scan_free(scan);
}
static void case_ms_scan_set_batch_limits(void) {
  ms_scan *scan = good_scan();
  REFUSES("scan", ms_scan_set_batch_limits(NULL, 10, 0, &err));
  REFUSES("max_rows", ms_scan_set_batch_limits(scan, -1, 0, &err));
  REFUSES("max_bytes", ms_scan_set_batch_limits(scan, 0, -1, &err));
  ms_scan_free(scan);
}

static void case_ms_scan_add_filter(void) {
  ms_scan *scan = good_scan();
  ms_predicate *filter = good_predicate();
  REFUSES("scan", ms_scan_add_filter(NULL, filter, &err));
  REFUSES("filter", ms_scan_add_filter(scan, NULL, &err));
  ms_predicate_free(filter);
  ms_scan_free(scan);
}
static void case_ms_scan_export_stream(void) {
  struct ArrowArrayStream stream;
  REFUSES("scan", ms_scan_export_stream(NULL, &stream, &err));
  CHECK(stream.release == NULL);
  REFUSES("out_stream", ms_scan_export_stream(good_scan(), NULL, &err)); /* consumes the scan */
}
static void case_ms_scan_export_async(void) {
  struct ArrowAsyncDeviceStreamHandler handler = {0};
  REFUSES("scan", ms_scan_export_async(NULL, &handler, &err));
  REFUSES("handler", ms_scan_export_async(good_scan(), NULL, &err)); /* consumes the scan */
  REFUSES("handler->on_schema", ms_scan_export_async(good_scan(), &handler, &err));
}
static void case_ms_scan_progress(void) { CHECK(ms_scan_progress(NULL) == -1.0); }

static void case_ms_scan_all_requested(void) { CHECK(!ms_scan_all_requested(NULL)); }
static void case_ms_scan_metrics(void) {
  ms_scan *scan = good_scan();
  ms_metrics *metrics = GARBAGE;
  REFUSES("scan", ms_scan_metrics(NULL, &metrics, &err));
  CHECK(metrics == NULL);
  REFUSES("out_metrics", ms_scan_metrics(scan, NULL, &err));
  ms_scan_free(scan);
}
static void case_ms_scan_cancel(void) { ms_scan_cancel(NULL); }
static void case_ms_scan_free(void) { ms_scan_free(NULL); }
static void case_ms_metrics_count(void) { CHECK_INT(ms_metrics_count(NULL), 0); }

/* Outside of the list: empty text and zero, for NULL and for an index too far. */
static void metrics_accessors(void) {
  ms_metrics *metrics = NULL;
  REQUIRE_OK(ms_split_metrics(good.split, &metrics, &err));
  const size_t outside[] = {ms_metrics_count(metrics), SIZE_MAX};
  for (size_t i = 0; i < 2; i++) {
    CHECK_TEXT(ms_metrics_name(metrics, outside[i]), "");
    CHECK_TEXT(ms_metrics_unit(metrics, outside[i]), "");
    CHECK_INT(ms_metrics_value(metrics, outside[i]), 0);
  }
  ms_metrics_free(metrics);
}
static void case_ms_metrics_name(void) {
  CHECK_TEXT(ms_metrics_name(NULL, 0), "");
  metrics_accessors();
}
static void case_ms_metrics_value(void) { CHECK_INT(ms_metrics_value(NULL, 0), 0); }
static void case_ms_metrics_unit(void) { CHECK_TEXT(ms_metrics_unit(NULL, 0), ""); }
/* A batch of the peer with its schema, and columns of a caller. */
static struct ArrowSchema of_batch;
static struct ArrowArray batch_of_peer;
static bool take_batch(void) {
  const bool is_there = ms_split_schema(good.split, &of_batch, NULL) == MS_OK && ms_split_next_batch(good.split, &batch_of_peer, NULL) == MS_OK;
  CHECK(is_there && batch_of_peer.release != NULL);
  return is_there && batch_of_peer.release != NULL;
}
static void drop_batch(void) {
  batch_of_peer.release(&batch_of_peer);
  of_batch.release(&of_batch);
}
static void case_ms_column_copy_values(void) {
  int64_t values[3];
  if (!take_batch()) return;
  REFUSES("schema", ms_column_copy_values(NULL, &batch_of_peer, 0, 0, 3, values, sizeof values, &err));
  REFUSES("array", ms_column_copy_values(&of_batch, NULL, 0, 0, 3, values, sizeof values, &err));
  REFUSES("out_values", ms_column_copy_values(&of_batch, &batch_of_peer, 0, 0, 3, NULL, sizeof values, &err));
  REFUSES("out_values", ms_column_copy_values(&of_batch, &batch_of_peer, 0, 0, 3, NULL, 0, &err));
  CHECK_INT(ms_column_copy_values(&of_batch, &batch_of_peer, 0, 0, 0, NULL, 0, NULL), MS_OK); /* nothing needs no room */
  CHECK_INT(ms_column_copy_values(NULL, NULL, 0, 0, 0, NULL, 0, NULL), MS_INVALID_ARGUMENT);
  drop_batch();
}
static void case_ms_column_copy_nulls(void) {
  uint8_t nulls[3];
  int64_t count = 7;
  if (!take_batch()) return;
  REFUSES("schema", ms_column_copy_nulls(NULL, &batch_of_peer, 0, 0, 3, nulls, sizeof nulls, &count, &err));
  CHECK_INT(count, 0);
  REFUSES("array", ms_column_copy_nulls(&of_batch, NULL, 0, 0, 3, nulls, sizeof nulls, &count, &err));
  REFUSES("out_nulls", ms_column_copy_nulls(&of_batch, &batch_of_peer, 0, 0, 3, NULL, sizeof nulls, &count, &err));
  CHECK_INT(ms_column_copy_nulls(&of_batch, &batch_of_peer, 0, 0, 3, nulls, sizeof nulls, NULL, NULL), MS_OK); /* the count is optional */
  drop_batch();
}
static void case_ms_column_copy_validity(void) {
  uint8_t bits[1];
  int64_t count = 7;
  if (!take_batch()) return;
  REFUSES("schema", ms_column_copy_validity(NULL, &batch_of_peer, 0, 0, 3, bits, sizeof bits, &count, &err));
  CHECK_INT(count, 0);
  REFUSES("array", ms_column_copy_validity(&of_batch, NULL, 0, 0, 3, bits, sizeof bits, &count, &err));
  REFUSES("out_validity", ms_column_copy_validity(&of_batch, &batch_of_peer, 0, 0, 3, NULL, sizeof bits, &count, &err));
  CHECK_INT(ms_column_copy_validity(&of_batch, &batch_of_peer, 0, 0, 3, bits, sizeof bits, NULL, NULL), MS_OK); /* the count is optional */
  drop_batch();
}
static void case_ms_column_strings_size(void) {
  size_t size = 7;
  if (!take_batch()) return;
  REFUSES("schema", ms_column_strings_size(NULL, &batch_of_peer, 0, 0, 3, &size, &err));
  CHECK_INT(size, 0);
  REFUSES("array", ms_column_strings_size(&of_batch, NULL, 0, 0, 3, &size, &err));
  REFUSES("out_bytes", ms_column_strings_size(&of_batch, &batch_of_peer, 0, 0, 3, NULL, &err));
  CHECK_INT(ms_column_strings_size(NULL, NULL, 0, 0, 0, NULL, NULL), MS_INVALID_ARGUMENT);
  drop_batch();
}
static void case_ms_column_copy_strings(void) {
  char bytes[1];
  uint32_t ends[3];
  if (!take_batch()) return;
  REFUSES("schema", ms_column_copy_strings(NULL, &batch_of_peer, 0, 0, 3, 0, bytes, sizeof bytes, ends, 3, &err));
  REFUSES("array", ms_column_copy_strings(&of_batch, NULL, 0, 0, 3, 0, bytes, sizeof bytes, ends, 3, &err));
  REFUSES("out_bytes", ms_column_copy_strings(&of_batch, &batch_of_peer, 0, 0, 3, 0, NULL, sizeof bytes, ends, 3, &err));
  REFUSES("out_ends", ms_column_copy_strings(&of_batch, &batch_of_peer, 0, 0, 3, 0, bytes, sizeof bytes, NULL, 3, &err));
  CHECK_INT(ms_column_copy_strings(NULL, NULL, 0, 0, 0, 0, NULL, 0, NULL, 0, NULL), MS_INVALID_ARGUMENT);
  drop_batch();
}
static void case_ms_metrics_free(void) { ms_metrics_free(NULL); }
static void case_ms_end_callbacks(void) { CHECK_INT(ms_end_callbacks(), MS_OK); } /* the last: it is for the whole process */

/* ------------------------------------------------------------------------------------------------- the list drives the cases */

#define CASE(function) {#function, case_##function}
static const struct {
  const char *name;
  void (*test)(void);
} cases[] = {
    CASE(ms_version), CASE(ms_abi_version), CASE(ms_build_info), CASE(ms_status_name), CASE(ms_live_handles), CASE(ms_shutdown),
    CASE(ms_set_log_callback), CASE(ms_error_code), CASE(ms_error_message), CASE(ms_error_is_retryable), CASE(ms_error_server_code),
    CASE(ms_error_request_id), CASE(ms_error_http_status), CASE(ms_error_attempts), CASE(ms_error_json), CASE(ms_error_free),
    CASE(ms_options_new), CASE(ms_options_set), CASE(ms_options_add), CASE(ms_options_set_credentials_provider), CASE(ms_credentials_set_access_key),
    CASE(ms_credentials_set_bearer_token), CASE(ms_credentials_set_expiry_ms), CASE(ms_credentials_set_error), CASE(ms_options_load_environment), CASE(ms_options_clone),
    CASE(ms_options_describe), CASE(ms_options_free), CASE(ms_client_open), CASE(ms_client_free),
    CASE(ms_predicate_compare), CASE(ms_predicate_in), CASE(ms_predicate_is_null), CASE(ms_predicate_and), CASE(ms_predicate_or),
    CASE(ms_predicate_not), CASE(ms_predicate_parse), CASE(ms_predicate_from_substrait), CASE(ms_predicate_text), CASE(ms_predicate_clone), CASE(ms_predicate_free),
    CASE(ms_projects_schemas), CASE(ms_tables), CASE(ms_table_schema), CASE(ms_table_details), CASE(ms_partitions), CASE(ms_table_preview), CASE(ms_client_diagnose),
    CASE(ms_session_explain), CASE(ms_session_metrics), CASE(ms_session_split_info), CASE(ms_split_info_rows), CASE(ms_split_info_start_row),
    CASE(ms_split_info_estimated_bytes), CASE(ms_split_info_partition), CASE(ms_split_info_bucket), CASE(ms_split_info_weight),
    CASE(ms_split_info_free),
    CASE(ms_session_open), CASE(ms_session_open_cancellable), CASE(ms_cancel_new), CASE(ms_cancel_now), CASE(ms_cancel_free),
    CASE(ms_options_set_memory_hooks), CASE(ms_options_set_allocator), CASE(ms_options_set_thread_hooks), CASE(ms_options_set_retry_hook), CASE(ms_client_metrics), CASE(ms_split_progress), CASE(ms_split_all_requested), CASE(ms_scan_all_requested), CASE(ms_scan_try_next_batch), CASE(ms_scan_set_waker), CASE(ms_scan_ready_fd),
    CASE(ms_session_attach), CASE(ms_session_serialize), CASE(ms_session_serialize_json), CASE(ms_session_serialize_split), CASE(ms_session_more_splits), CASE(ms_session_try_more_splits), CASE(ms_session_schema), CASE(ms_session_split_count),
    CASE(ms_session_estimated_rows), CASE(ms_session_estimated_bytes), CASE(ms_session_expires_at_ms), CASE(ms_session_refresh), CASE(ms_session_refresh_cancellable), CASE(ms_cancel_set_deadline_ms), CASE(ms_cancel_add_split), CASE(ms_cancel_add_scan), CASE(ms_cancel_arm), CASE(ms_cancel_from_signal),
    CASE(ms_client_with_cancel), CASE(ms_session_free),
    CASE(ms_bytes_data), CASE(ms_bytes_len), CASE(ms_bytes_free), CASE(ms_split_open), CASE(ms_split_next_batch),
    CASE(ms_split_try_next_batch), CASE(ms_split_set_waker), CASE(ms_split_ready_fd), CASE(ms_split_set_deadline_ms),
    CASE(ms_split_set_batch_limits), CASE(ms_scan_set_batch_limits), CASE(ms_options_set_read_end_callback), CASE(ms_features),
    CASE(ms_options_set_span_callback), CASE(ms_span_text), CASE(ms_span_number), CASE(ms_span_json),
    CASE(ms_split_schema), CASE(ms_split_export_stream), CASE(ms_split_add_filter), CASE(ms_scan_add_filter),
    CASE(ms_split_rows_delivered), CASE(ms_split_metrics),
    CASE(ms_scan_open), CASE(ms_scan_next_batch), CASE(ms_scan_next_batch_until), CASE(ms_scan_schema), CASE(ms_scan_export_stream), CASE(ms_scan_export_async), CASE(ms_scan_progress),
    CASE(ms_scan_metrics), CASE(ms_scan_cancel), CASE(ms_scan_free), CASE(ms_split_cancel), CASE(ms_split_free), CASE(ms_metrics_count), CASE(ms_metrics_name), CASE(ms_metrics_value),
    CASE(ms_metrics_unit), CASE(ms_metrics_free), CASE(ms_column_copy_values), CASE(ms_column_copy_nulls), CASE(ms_column_copy_validity),
    CASE(ms_column_strings_size), CASE(ms_column_copy_strings), CASE(ms_end_callbacks),
};
enum { CASES = sizeof cases / sizeof cases[0] };

static const char *const declared[] = {
#define FUNCTION(name) #name,
#include "functions.inc"
};
enum { DECLARED = sizeof declared / sizeof declared[0] };

static size_t current;

static void one_function(void) {
  service = (peer){0};
  peer_start(&service);
  good = (stack){.options = peer_options(&service)};
  if (stack_open(&good) == MS_OK) {
    cases[current].test();
  } else {
    check_fail(__FILE__, __LINE__, "no session at the peer: %s", ms_error_message(err));
  }
  stack_free(&good);
  peer_stop(&service);
}

static void header_and_cases_list_the_same_functions(void) {
  for (size_t i = 0; i < DECLARED; i++) {
    size_t found = 0;
    for (size_t j = 0; j < CASES; j++) found += strcmp(declared[i], cases[j].name) == 0;
    if (found != 1) check_fail(__FILE__, __LINE__, "%s is in the header and has %zu cases", declared[i], found);
  }
  CHECK_INT(CASES, DECLARED);
}

int main(void) {
  RUN(header_and_cases_list_the_same_functions);
  for (current = 0; current < CASES; current++) check_run(cases[current].name, one_function);
  return check_end();
}
