/* The host's memory for rows: every buffer of a batch lies in it, it comes back piece by piece, and it may run out. */
#include <pthread.h>
#include <stdatomic.h>

#include "service.h"

enum { MOST_PIECES = 4096 };

typedef struct {
  pthread_mutex_t lock;
  struct {
    unsigned char *memory;
    size_t bytes;
  } pieces[MOST_PIECES]; /* NULL where one was given back */
  int count, live;
  atomic_int left, shift, wrong; /* how many are still given; how far from where they should be; mistakes of the library */
  _Atomic(const ms_client *) client; /* called from inside, which must be refused */
  atomic_int_fast64_t held, granted;
} host;

static void *allocate(void *context, size_t bytes, size_t alignment) {
  host *self = context;
  void *memory = NULL;
  ms_metrics *metrics = NULL;
  const ms_client *client = atomic_load(&self->client);
  if (bytes == 0 || alignment < 64) atomic_fetch_add(&self->wrong, 1);
  if (client != NULL && ms_client_metrics(client, &metrics, NULL) != MS_WRONG_STATE) atomic_fetch_add(&self->wrong, 1);
  if (atomic_fetch_sub(&self->left, 1) <= 0) return NULL;
  if (posix_memalign(&memory, alignment, bytes + alignment) != 0) abort();
  memset(memory, 0xa5, bytes + alignment);
  pthread_mutex_lock(&self->lock);
  if (self->count == MOST_PIECES) abort();
  self->pieces[self->count].memory = memory;
  self->pieces[self->count++].bytes = bytes;
  self->live++;
  pthread_mutex_unlock(&self->lock);
  if (atomic_fetch_add(&self->held, (int64_t)bytes) + (int64_t)bytes > atomic_load(&self->granted)) atomic_fetch_add(&self->wrong, 1);
  return (unsigned char *)memory + atomic_load(&self->shift);
}

static void deallocate(void *context, void *memory, size_t bytes, size_t alignment) {
  host *self = context;
  unsigned char *start = (unsigned char *)memory - atomic_load(&self->shift);
  bool found = false;
  atomic_fetch_sub(&self->held, (int64_t)bytes); /* before the hook hears of it */
  pthread_mutex_lock(&self->lock);
  for (int i = 0; i < self->count && !found; i++) {
    found = self->pieces[i].memory == start && self->pieces[i].bytes == bytes && alignment >= 64;
    if (found) self->pieces[i].memory = NULL;
  }
  self->live -= found;
  pthread_mutex_unlock(&self->lock);
  if (!found) abort(); /* what was never given, or was given back before */
  free(start);
}

/* The memory hooks count the same bytes: what is allocated was granted. */
static bool reserve(void *context, size_t bytes) {
  atomic_fetch_add(&((host *)context)->granted, (int64_t)bytes);
  return true;
}
static void release(void *context, size_t bytes) { atomic_fetch_sub(&((host *)context)->granted, (int64_t)bytes); }

static bool holds(host *self, const void *buffer) {
  const unsigned char *place = buffer;
  bool found = false;
  pthread_mutex_lock(&self->lock);
  for (int i = 0; i < self->count && !found; i++)
    found = self->pieces[i].memory != NULL && place >= self->pieces[i].memory && place < self->pieces[i].memory + self->pieces[i].bytes;
  pthread_mutex_unlock(&self->lock);
  return found;
}

static void open_with(host *self, stack *use, const char *compression) {
  memset(self, 0, sizeof *self);
  pthread_mutex_init(&self->lock, NULL);
  atomic_store(&self->left, INT32_MAX);
  *use = (stack){.options = service_options("local.default.lineitem")};
  const char *const pairs[] = {MS_OPT_READ_COMPRESSION, compression, MS_OPT_READ_BATCH_ROWS, "1000", NULL};
  CHECK_INT(set_all(use->options, pairs), MS_OK);
  CHECK_INT(ms_options_set_allocator(use->options, allocate, deallocate, self, &err), MS_OK);
  CHECK_INT(ms_options_set_memory_hooks(use->options, reserve, release, self, &err), MS_OK);
}

static void all_comes_back(host *self) {
  const int64_t patience = now_ms() + limit_ms(5000); /* the reader's task may be about to end */
  while ((atomic_load(&self->held) > 0 || atomic_load(&self->granted) > 0) && now_ms() < patience) usleep(1000);
  CHECK_INT(atomic_load(&self->held), 0);
  CHECK_INT(atomic_load(&self->granted), 0);
  CHECK_INT(self->live, 0);
  CHECK_INT(atomic_load(&self->wrong), 0);
  pthread_mutex_destroy(&self->lock);
}

static void every_buffer_lies_in_it(const char *compression) {
  host self;
  stack use;
  open_with(&self, &use, compression);
  CHECK_INT(stack_open_session(&use), MS_OK);
  atomic_store(&self.client, use.client);
  CHECK_INT(ms_split_open(use.session, 0, use.options, &use.split, &err), MS_OK);
  int64_t rows = 0, batches = 0, elsewhere = 0;
  struct ArrowArray kept = {.release = NULL};
  while (use.split != NULL) {
    struct ArrowArray batch;
    CHECK_INT(ms_split_next_batch(use.split, &batch, &err), MS_OK);
    if (batch.release == NULL) break;
    rows += batch.length;
    batches++;
    for (int64_t column = 0; column < batch.n_children; column++)
      for (int64_t i = 0; i < batch.children[column]->n_buffers; i++) { /* without NULLs there is no bitmap */
        const void *buffer = batch.children[column]->buffers[i];
        elsewhere += (buffer != NULL || i > 0) && !holds(&self, buffer);
      }
    if (kept.release == NULL) {
      kept = batch; /* outlives everything */
    } else {
      batch.release(&batch);
    }
  }
  CHECK_INT(rows, LINEITEM_ROWS);
  CHECK_INT(elsewhere, 0);
  if (batches < 40 || self.count == 0 || self.count > batches / 2) /* they are used again and again */
    check_fail(__FILE__, __LINE__, "%d pieces for %" PRId64 " batches", self.count, batches);
  atomic_store(&self.client, NULL);
  stack_free(&use);
  REQUIRE(kept.release != NULL);
  CHECK(holds(&self, kept.children[0]->buffers[1]));
  kept.release(&kept);
  all_comes_back(&self);
}

static void what_is_received_lies_there(void) { every_buffer_lies_in_it("none"); }
static void what_is_decompressed_lies_there(void) { every_buffer_lies_in_it("lz4"); }

static void a_host_without_memory_ends_the_read(void) {
  host self;
  stack use;
  open_with(&self, &use, "none");
  atomic_store(&self.left, 1);
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray kept = {.release = NULL};
  ms_status status = ms_split_next_batch(use.split, &kept, &err); /* the only piece is taken */
  CHECK_INT(status, MS_OK);
  struct ArrowArray batch;
  CHECK_FAILS(ms_split_next_batch(use.split, &batch, &err), MS_RESOURCE_EXHAUSTED);
  CHECK_CONTAINS(ms_error_message(err), "the host's allocator has none");
  if (kept.release != NULL) kept.release(&kept);
  stack_free(&use);
  all_comes_back(&self);
}

/* The child has a batch of its parent's, and releases it. */
static void a_child_gives_nothing_back(void) {
  host self;
  stack use;
  open_with(&self, &use, "none");
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch = {.release = NULL};
  CHECK_INT(ms_split_next_batch(use.split, &batch, &err), MS_OK);
  REQUIRE(batch.release != NULL);
  const pid_t child = fork_when_quiet();
  if (child == 0) {
    alarm(20);
    atomic_int_fast64_t before = atomic_load(&self.held);
    batch.release(&batch);
    end_child(atomic_load(&self.held) == before ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  batch.release(&batch);
  stack_free(&use);
  all_comes_back(&self);
}

static void memory_at_a_wrong_place_goes_back(void) {
  host self;
  stack use;
  open_with(&self, &use, "none");
  atomic_store(&self.shift, 8);
  CHECK_INT(stack_open(&use), MS_OK);
  struct ArrowArray batch;
  CHECK_FAILS(ms_split_next_batch(use.split, &batch, &err), MS_INVALID_ARGUMENT);
  CHECK_CONTAINS(ms_error_message(err), "not aligned");
  stack_free(&use);
  all_comes_back(&self);
}

int main(void) {
  RUN(what_is_received_lies_there);
  RUN(what_is_decompressed_lies_there);
  RUN(a_host_without_memory_ends_the_read);
  RUN(a_child_gives_nothing_back);
  RUN(memory_at_a_wrong_place_goes_back);
  return check_end();
}
