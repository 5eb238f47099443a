/* A panic inside the shipped library is a status: the process lives, the handle it happened on says so, all others work. */
#include "peer.h"

static peer service;

static ms_options *options_that_panic(const char *place) {
  ms_options *options = peer_options(&service);
  drop_error();
  if (ms_options_set(options, MS_OPT_DEBUG_PANIC, place, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  return options;
}

/* Another stack opened before the panic reads its rows after it. */
static void others_still_work(stack *other) {
  int64_t rows = 0;
  CHECK_INT(drain(other->split, &rows), MS_OK);
  CHECK_INT(rows, 3);
}

static void while_opening_a_session(void) {
  peer_start(&service);
  stack other = {.options = peer_options(&service)};
  CHECK_INT(stack_open(&other), MS_OK);
  stack use = {.options = options_that_panic("session_open")};
  CHECK_INT(stack_open_session(&use), MS_INTERNAL);
  CHECK_CONTAINS(ms_error_message(err), "panic");
  CHECK(use.session == NULL);
  /* The client was not the one that failed: without the option it opens a session. */
  drop_error();
  if (ms_session_open(use.client, other.options, NULL, &use.session, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  others_still_work(&other);
  stack_free(&use);
  stack_free(&other);
  peer_stop(&service);
  service = (peer){0};
}

static void while_reading(const char *place) {
  peer_start(&service);
  stack other = {.options = peer_options(&service)};
  CHECK_INT(stack_open(&other), MS_OK);
  stack use = {.options = options_that_panic(place)};
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch;
  for (int i = 0; i < 3; i++) { /* poisoned: the handle keeps saying so, and still answers */
    CHECK_FAILS(ms_split_next_batch(use.split, &batch, &err), MS_INTERNAL);
    CHECK(batch.release == NULL);
    if (i == 0) CHECK_CONTAINS(ms_error_message(err), "panic");
  }
  ms_split_cancel(use.split);
  CHECK(ms_split_rows_delivered(use.split) <= 0);
  others_still_work(&other);
  ms_split *again = NULL; /* nor is the session harmed */
  drop_error();
  if (ms_split_open(use.session, 0, other.options, &again, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  int64_t rows = 0;
  CHECK_INT(drain(again, &rows), MS_OK);
  CHECK_INT(rows, 3);
  ms_split_free(again);
  stack_free(&use);
  stack_free(&other);
  peer_stop(&service);
  service = (peer){0};
}

static void in_the_callers_thread(void) { while_reading("next_batch"); }
static void in_the_background_reader(void) { while_reading("reader"); }

/* The Arrow callbacks we hand out pass the same gate: a panic below get_next is an errno value and a text. */
static void below_an_exported_stream(void) {
  peer_start(&service);
  stack use = {.options = options_that_panic("next_batch")};
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArrayStream stream;
  drop_error();
  CHECK_INT(ms_split_export_stream(use.split, &stream, &err), MS_OK);
  use.split = NULL;
  if (stream.release != NULL) {
    struct ArrowArray batch;
    CHECK(stream.get_next(&stream, &batch) != 0);
    CHECK_CONTAINS(stream.get_last_error(&stream), "panic");
    stream.release(&stream);
  }
  stack_free(&use);
  peer_stop(&service);
  service = (peer){0};
}

int main(void) {
  RUN(while_opening_a_session);
  RUN(in_the_callers_thread);
  RUN(in_the_background_reader);
  RUN(below_an_exported_stream);
  return check_end();
}
