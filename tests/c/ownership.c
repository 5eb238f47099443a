/* Handles may be freed in every order, and a batch outlives all of them, on another thread. */
#include "peer.h"

enum { OPTIONS, CLIENT, SESSION, SPLIT, TOKEN, METRICS, BATCH, SCHEMA, FAILURE, KINDS };

typedef struct {
  ms_options *options;
  ms_client *client;
  ms_session *session;
  ms_split *split;
  ms_bytes *token;
  ms_metrics *metrics;
  struct ArrowArray batch;
  struct ArrowSchema schema;
  ms_error *failure;
} everything;

static peer service;

static bool open_everything(everything *all) {
  ms_split *none = NULL;
  *all = (everything){.options = peer_options(&service)};
  drop_error();
  if (ms_client_open(all->options, &all->client, &err) != MS_OK) return false;
  if (ms_session_open(all->client, all->options, NULL, &all->session, &err) != MS_OK) return false;
  if (ms_split_open(all->session, 0, NULL, &all->split, &err) != MS_OK) return false;
  if (ms_session_serialize(all->session, &all->token, &err) != MS_OK) return false;
  if (ms_split_next_batch(all->split, &all->batch, &err) != MS_OK || all->batch.release == NULL) return false;
  if (ms_split_schema(all->split, &all->schema, &err) != MS_OK) return false;
  if (ms_split_metrics(all->split, &all->metrics, &err) != MS_OK) return false;
  return ms_split_open(all->session, -1, NULL, &none, &all->failure) != MS_OK && none == NULL;
}

static void free_one(everything *all, int kind) {
  switch (kind) {
    case OPTIONS: ms_options_free(all->options); break;
    case CLIENT: ms_client_free(all->client); break;
    case SESSION: ms_session_free(all->session); break;
    case SPLIT: ms_split_free(all->split); break;
    case TOKEN: ms_bytes_free(all->token); break;
    case METRICS: ms_metrics_free(all->metrics); break;
    case BATCH:
      CHECK_INT(((const int64_t *)all->batch.children[0]->buffers[1])[2], 3); /* still the data */
      all->batch.release(&all->batch);
      CHECK(all->batch.release == NULL);
      break;
    case SCHEMA:
      CHECK_TEXT(all->schema.children[0]->name, "id");
      all->schema.release(&all->schema);
      CHECK(all->schema.release == NULL);
      break;
    default:
      CHECK_CONTAINS(ms_error_message(all->failure), "split");
      ms_error_free(all->failure);
      break;
  }
}

/* All orders of the four handles that depend on each other, with the other kinds rotating around them. */
static void in_every_order(void) {
  peer_start(&service);
  int order[4] = {OPTIONS, CLIENT, SESSION, SPLIT};
  int tried = 0;
  for (int a = 0; a < 4; a++)
    for (int b = 0; b < 4; b++)
      for (int c = 0; c < 4; c++) {
        const int d = 6 - a - b - c;
        if (a == b || a == c || b == c) continue;
        const int permuted[4] = {order[a], order[b], order[c], order[d]};
        int sequence[KINDS], length = 0;
        const int others[5] = {TOKEN, METRICS, BATCH, SCHEMA, FAILURE};
        for (int i = 0; i < 5; i++) { /* the tried-th rotation: before, between and after */
          if (i < 4) sequence[length++] = permuted[i];
          sequence[length++] = others[(i + tried) % 5];
        }
        everything all;
        if (!open_everything(&all)) {
          check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
          peer_stop(&service);
          return;
        }
        for (int i = 0; i < KINDS; i++) free_one(&all, sequence[i]);
        CHECK_INT(ms_live_handles(), 0);
        tried++;
      }
  CHECK_INT(tried, 24);
  peer_stop(&service);
  service = (peer){0};
}

static void *release_batch(void *argument) {
  struct ArrowArray *batch = argument;
  CHECK_INT(batch->length, 3);
  CHECK_INT(((const int64_t *)batch->children[0]->buffers[1])[0], 1);
  batch->release(batch);
  return NULL;
}

static void a_batch_outlives_everything_on_another_thread(void) {
  peer_start(&service);
  everything all;
  const bool opened = open_everything(&all);
  CHECK(opened);
  if (opened) {
    for (int kind = OPTIONS; kind < KINDS; kind++)
      if (kind != BATCH) free_one(&all, kind);
    CHECK_INT(ms_live_handles(), 0);
    CHECK_INT(ms_shutdown(5000), MS_OK); /* not even our threads are needed */
    pthread_t thread;
    if (pthread_create(&thread, NULL, release_batch, &all.batch) != 0) abort();
    pthread_join(thread, NULL);
    CHECK(all.batch.release == NULL);
  }
  peer_stop(&service);
  service = (peer){0};
}

/* A consumer may move a column out of a batch and release it later, as the Arrow interface says. */
static void a_moved_column_outlives_its_batch(void) {
  peer_start(&service);
  everything all;
  const bool opened = open_everything(&all);
  CHECK(opened);
  if (opened) {
    struct ArrowArray column = *all.batch.children[0];
    all.batch.children[0]->release = NULL;
    all.batch.release(&all.batch);
    for (int kind = OPTIONS; kind < KINDS; kind++)
      if (kind != BATCH) free_one(&all, kind);
    CHECK_INT(((const int64_t *)column.buffers[1])[1], 2);
    column.release(&column);
  }
  peer_stop(&service);
  service = (peer){0};
}

int main(void) {
  RUN(in_every_order);
  RUN(a_batch_outlives_everything_on_another_thread);
  RUN(a_moved_column_outlives_its_batch);
  return check_end();
}
