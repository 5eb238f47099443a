/* Scans that call: the asynchronous stream of the Arrow C device interface, with a consumer that watches every rule of it. */
#include "service.h"

#include <errno.h>

enum { MOST_TASKS = 4096 };
static const int64_t all_rows = 60175, sum_of_keys = 1802759573; /* lineitem of scale 0.01 */

/* What a consumer does when its functions are called. */
typedef struct {
  int64_t at_schema, at_task; /* how many more it asks for; 0 for none */
  bool keeps;                 /* tasks are extracted later */
  int cancels_at;             /* the task in which it cancels; 0 for none */
  int refuses_at;             /* the task that it answers with ENOTSUP; 0 for none; -1 for the schema */
} plan;

typedef struct {
  struct ArrowAsyncDeviceStreamHandler handler;
  plan does;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  atomic_int inside; /* calls of the library that are running */
  atomic_llong requested;
  int schemas, tasks, ends, errors, releases;
  int64_t rows, sum;
  int error_code;
  char message[512];
  struct ArrowAsyncTask kept[MOST_TASKS];
  const ms_options *options;
  ms_status called_back; /* what a function of the library has answered inside of on_next_task */
} consumer;

static void enter(consumer *self) { CHECK_INT(atomic_fetch_add(&self->inside, 1), 0); }

/* The last that a call does: behind it the consumer may be gone. */
static void leave(consumer *self) {
  atomic_fetch_sub(&self->inside, 1);
  pthread_cond_broadcast(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

static void ask(consumer *self, int64_t count) {
  if (count == 0) return;
  atomic_fetch_add(&self->requested, count < MOST_TASKS ? count : MOST_TASKS);
  self->handler.producer->request(self->handler.producer, count);
}

static consumer *of(struct ArrowAsyncDeviceStreamHandler *handler) { return handler->private_data; }

static int on_schema(struct ArrowAsyncDeviceStreamHandler *handler, struct ArrowSchema *schema) {
  consumer *self = of(handler);
  enter(self);
  pthread_mutex_lock(&self->lock);
  self->schemas++;
  CHECK_INT(self->schemas + self->tasks + self->ends + self->errors + self->releases, 1); /* the first call */
  CHECK_INT(handler->producer->device_type, ARROW_DEVICE_CPU);
  CHECK_TEXT(schema->format, "+s");
  CHECK_INT(schema->n_children, 1);
  struct ArrowSchema mine = *schema; /* moved */
  schema->release = NULL;
  mine.release(&mine);
  ask(self, self->does.at_schema);
  leave(self);
  return self->does.refuses_at < 0 ? ENOTSUP : 0;
}

static void extract(consumer *self, struct ArrowAsyncTask *task) {
  struct ArrowDeviceArray taken;
  CHECK_INT(task->extract_data(task, &taken), 0);
  CHECK_INT(taken.device_type, ARROW_DEVICE_CPU);
  CHECK_INT(taken.device_id, -1);
  CHECK(taken.sync_event == NULL);
  const struct ArrowArray *column = taken.array.children[0];
  const int64_t *values = column->buffers[1];
  for (int64_t i = 0; i < taken.array.length; i++) self->sum += values[taken.array.offset + column->offset + i];
  self->rows += taken.array.length;
  taken.array.release(&taken.array);
}

static int on_next_task(struct ArrowAsyncDeviceStreamHandler *handler, struct ArrowAsyncTask *task, const char *metadata) {
  consumer *self = of(handler);
  enter(self);
  pthread_mutex_lock(&self->lock);
  CHECK(metadata == NULL && self->schemas == 1 && self->ends == 0 && self->errors == 0 && self->releases == 0);
  if (task == NULL) self->ends++;
  else {
    self->tasks++;
    CHECK(self->tasks <= MOST_TASKS);
    CHECK(self->tasks <= atomic_load(&self->requested));
    if (self->does.keeps) self->kept[self->tasks - 1] = *task;
    else extract(self, task);
    if (self->tasks == 1) {
      ms_client *none = NULL;
      self->called_back = ms_client_open(self->options, &none, NULL);
    }
    ask(self, self->does.at_task);
    if (self->tasks == self->does.cancels_at) {
      for (int i = 0; i < 2; i++) handler->producer->cancel(handler->producer);
      for (int64_t i = -1; i < 2; i++) handler->producer->request(handler->producer, i); /* does nothing any more */
    }
  }
  const bool refuses = task != NULL && self->tasks == self->does.refuses_at;
  leave(self);
  return refuses ? ENOTSUP : 0;
}

static void on_error(struct ArrowAsyncDeviceStreamHandler *handler, int code, const char *message, const char *metadata) {
  consumer *self = of(handler);
  enter(self);
  pthread_mutex_lock(&self->lock);
  CHECK(metadata == NULL && self->ends == 0 && self->errors == 0 && self->releases == 0);
  self->errors++;
  self->error_code = code;
  snprintf(self->message, sizeof self->message, "%s", message);
  leave(self);
}

static void on_release(struct ArrowAsyncDeviceStreamHandler *handler) {
  consumer *self = of(handler);
  enter(self);
  pthread_mutex_lock(&self->lock);
  CHECK_INT(self->releases, 0);
  self->releases++;
  handler->release = NULL;
  leave(self);
}

static void consumer_init(consumer *self, plan does) {
  *self = (consumer){.does = does};
  self->handler = (struct ArrowAsyncDeviceStreamHandler){
      .on_schema = on_schema, .on_next_task = on_next_task, .on_error = on_error, .release = on_release, .private_data = self};
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->changed, NULL);
}

/* Waits until a number has come; false if it takes too long. */
static bool wait_for(consumer *self, const int *number, int wanted) {
  const int64_t until = now_ms() + limit_ms(20000);
  pthread_mutex_lock(&self->lock);
  while (*number < wanted && now_ms() < until) {
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_sec++;
    pthread_cond_timedwait(&self->changed, &self->lock, &soon);
  }
  const bool has_come = *number >= wanted;
  pthread_mutex_unlock(&self->lock);
  return has_come;
}

static int tasks_of(consumer *self) {
  pthread_mutex_lock(&self->lock);
  const int tasks = self->tasks;
  pthread_mutex_unlock(&self->lock);
  return tasks;
}

static void pause_ms(int64_t time) { nanosleep(&(struct timespec){.tv_nsec = time * 1000000}, NULL); }

/* Hands a scan of a session over. */
static void begin(stack *use, consumer *self) {
  ms_scan *scan = NULL;
  self->options = use->options;
  CHECK_INT(ms_scan_open(use->session, use->options, &scan, &err), MS_OK);
  CHECK_INT(ms_scan_export_async(scan, &self->handler, &err), MS_OK);
}

static void open_lineitem(stack *use) {
  *use = (stack){.options = service_options("local.default.lineitem")};
  const char *const pairs[] = {MS_OPT_COLUMNS, "l_orderkey", MS_OPT_SPLIT_MODE, "row_offset", MS_OPT_SPLIT_ROWS, "2500",
                               MS_OPT_READ_BATCH_ROWS, "1000", NULL};
  CHECK_INT(set_all(use->options, pairs), MS_OK);
  CHECK_INT(stack_open_session(use), MS_OK);
}

/* A whole stream of lineitem until its release. The session goes while the stream runs. */
static void run(consumer *self, plan does) {
  stack use;
  open_lineitem(&use);
  consumer_init(self, does);
  begin(&use, self);
  ms_session_free(use.session);
  use.session = NULL;
  CHECK(wait_for(self, &self->releases, 1));
  CHECK_INT(self->schemas, 1);
  stack_free(&use);
}

static void one_batch_at_a_time(void) {
  static consumer self;
  run(&self, (plan){.at_schema = 1, .at_task = 1});
  CHECK_INT(self.rows, all_rows);
  CHECK_INT(self.sum, sum_of_keys);
  CHECK(self.ends == 1 && self.errors == 0 && self.tasks >= 60);
  CHECK_INT(self.called_back, MS_WRONG_STATE);
}

static void all_at_once_and_extracted_after_the_end(void) {
  static consumer self;
  run(&self, (plan){.at_schema = INT64_MAX, .at_task = INT64_MAX, .keeps = true});
  CHECK(self.ends == 1 && self.errors == 0);
  /* The first is not wanted; a task that was extracted is not extracted again. */
  CHECK_INT(self.kept[0].extract_data(&self.kept[0], NULL), 0);
  CHECK_INT(self.kept[0].extract_data(&self.kept[0], NULL), EINVAL);
  for (int i = 1; i < self.tasks; i++) extract(&self, &self.kept[i]);
  CHECK(self.rows < all_rows && self.rows >= all_rows - 1000);
}

/* Seven ways to ship in each batch at most, and a key for each row. */
static void dictionaries_come_with_their_batches(void) {
  static consumer self;
  static const char *const pairs[] = {MS_OPT_COLUMNS, "l_shipmode", MS_OPT_TYPES_DICTIONARY, "l_shipmode", MS_OPT_READ_BATCH_ROWS, "1000", NULL};
  stack use = {.options = service_options("local.default.lineitem")};
  CHECK_INT(set_all(use.options, pairs), MS_OK);
  CHECK_INT(stack_open_session(&use), MS_OK);
  consumer_init(&self, (plan){.at_schema = INT64_MAX, .at_task = INT64_MAX, .keeps = true});
  begin(&use, &self);
  CHECK(wait_for(&self, &self.releases, 1));
  CHECK(self.ends == 1 && self.errors == 0);
  for (int i = 0; i < self.tasks; i++) {
    struct ArrowDeviceArray taken;
    CHECK_INT(self.kept[i].extract_data(&self.kept[i], &taken), 0);
    const struct ArrowArray *column = taken.array.children[0];
    REQUIRE(column->dictionary != NULL);
    CHECK(column->dictionary->length > 0 && column->dictionary->length <= 7);
    const int32_t *keys = (const int32_t *)column->buffers[1] + column->offset;
    for (int64_t row = 0; row < taken.array.length; row++) CHECK(keys[row] >= 0 && keys[row] < column->dictionary->length);
    self.rows += taken.array.length;
    taken.array.release(&taken.array);
  }
  CHECK_INT(self.rows, all_rows);
  stack_free(&use);
}

static void nothing_comes_that_was_not_asked_for(void) {
  static consumer self;
  stack use;
  open_lineitem(&use);
  consumer_init(&self, (plan){0});
  begin(&use, &self);
  CHECK(wait_for(&self, &self.schemas, 1));
  pause_ms(100);
  CHECK_INT(tasks_of(&self), 0);
  for (int wanted = 3; wanted <= 6; wanted += 3) { /* from a thread of the consumer's */
    ask(&self, 1);
    ask(&self, 2);
    CHECK(wait_for(&self, &self.tasks, wanted));
    pause_ms(100);
    CHECK_INT(tasks_of(&self), wanted);
  }
  CHECK_INT(self.releases, 0);
  self.handler.producer->cancel(self.handler.producer);
  CHECK(wait_for(&self, &self.releases, 1));
  CHECK(self.tasks == 6 && self.ends == 0 && self.errors == 0);
  stack_free(&use);
}

static void cancelled_from_inside(void) {
  static consumer self;
  run(&self, (plan){.at_schema = INT64_MAX, .cancels_at = 5});
  CHECK(self.tasks == 5 && self.ends == 0 && self.errors == 0);
}

static void refused_by_the_consumer(void) {
  static consumer self;
  run(&self, (plan){.at_schema = 100, .refuses_at = -1});
  CHECK(self.tasks == 0 && self.ends == 0 && self.errors == 0);
  run(&self, (plan){.at_schema = 100, .refuses_at = 2});
  CHECK(self.tasks == 2 && self.ends == 0 && self.errors == 0);
}

static void a_wrong_request_is_an_error(void) {
  static consumer self;
  run(&self, (plan){.at_schema = -1});
  CHECK(self.tasks == 0 && self.ends == 0 && self.errors == 1);
  CHECK_INT(self.error_code, EINVAL);
  CHECK_CONTAINS(self.message, "-1 batches were requested");
}

/* A peer whose table is one split of three rows. */
static void at_peer(enum peer_rule data, consumer *self) {
  peer service = {.create = PEER_ANSWER, .data = data};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  CHECK_INT(stack_open_session(&use), MS_OK);
  consumer_init(self, (plan){.at_schema = 1, .at_task = 1});
  begin(&use, self);
  CHECK(wait_for(self, &self->releases, 1));
  stack_free(&use);
  peer_stop(&service);
}

static void failures_come_behind_the_batches(void) {
  static consumer self;
  at_peer(PEER_ANSWER, &self);
  CHECK(self.rows == 3 && self.ends == 1 && self.errors == 0);
  at_peer(PEER_DENY, &self);
  CHECK(self.tasks == 0 && self.ends == 0 && self.errors == 1);
  CHECK_INT(self.error_code, EIO);
  CHECK_CONTAINS(self.message, "you may not read this");
  CHECK_CONTAINS(self.message, peer_request_id);
  at_peer(PEER_NO_END_MARKER, &self);
  CHECK(self.tasks == 1 && self.rows == 3 && self.ends == 0 && self.errors == 1);
}

/* A stream that waits for data, and one that waits for requests, end at once. */
static void cancelled_while_nothing_happens(void) {
  static consumer self;
  for (int64_t asks = 0; asks < 2; asks++) {
    peer service = {.create = PEER_ANSWER, .data = PEER_STALL};
    peer_start(&service);
    stack use = {.options = peer_options(&service)};
    CHECK_INT(stack_open_session(&use), MS_OK);
    consumer_init(&self, (plan){.at_schema = asks});
    begin(&use, &self);
    CHECK(wait_for(&self, &self.schemas, 1));
    pause_ms(50);
    const int64_t start = now_ms();
    self.handler.producer->cancel(self.handler.producer);
    CHECK(wait_for(&self, &self.releases, 1));
    CHECK(now_ms() - start < limit_ms(500));
    CHECK(self.tasks == 0 && self.ends == 0 && self.errors == 0);
    stack_free(&use);
    peer_stop(&service);
  }
}

static void a_call_that_fails_leaves_the_handler_alone(void) {
  static consumer self;
  stack use;
  open_lineitem(&use);
  for (int missing = 0; missing < 5; missing++) {
    consumer_init(&self, (plan){.at_schema = 1});
    if (missing == 1) self.handler.on_schema = NULL;
    if (missing == 2) self.handler.on_next_task = NULL;
    if (missing == 3) self.handler.on_error = NULL;
    if (missing == 4) self.handler.release = NULL;
    ms_scan *scan = NULL;
    drop_error();
    CHECK_INT(ms_scan_open(use.session, use.options, &scan, &err), MS_OK);
    CHECK_FAILS(ms_scan_export_async(scan, missing == 0 ? NULL : &self.handler, &err), MS_INVALID_ARGUMENT);
    CHECK_CONTAINS(ms_error_message(err), "handler");
    CHECK(self.schemas + self.errors + self.releases == 0 && self.handler.producer == NULL);
  }
  stack_free(&use);
}

int main(void) {
  RUN(one_batch_at_a_time);
  RUN(all_at_once_and_extracted_after_the_end);
  RUN(dictionaries_come_with_their_batches);
  RUN(nothing_comes_that_was_not_asked_for);
  RUN(cancelled_from_inside);
  RUN(refused_by_the_consumer);
  RUN(a_wrong_request_is_an_error);
  RUN(failures_come_behind_the_batches);
  RUN(cancelled_while_nothing_happens);
  RUN(a_call_that_fails_leaves_the_handler_alone);
  return check_end();
}
