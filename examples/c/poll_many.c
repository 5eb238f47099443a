/* Reads many splits at once from one thread: the library wakes an epoll loop, and nothing ever blocks but epoll_wait.
 *
 *     poll_many ENDPOINT PROJECT.SCHEMA.TABLE [SPLITS]
 *
 * The table is cut into row ranges, SPLITS (200) of which are open at any time; prints rows, splits, threads and peak memory.
 * Credentials come from the environment. */
#include <inttypes.h>
#include <maxstorage.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Rows of one split: small, so that any table has many. */
static const char split_rows[] = "250";

typedef struct {
  ms_options *options;
  ms_client *client;
  ms_session *session;
  ms_split **open; /* `limit` places */
  int64_t limit, next, done, rows;
  int epoll;
} reading;

static void close_all(reading *state) {
  for (int64_t i = 0; state->open != NULL && i < state->limit; i++) ms_split_free(state->open[i]);
  free(state->open);
  ms_session_free(state->session);
  ms_client_free(state->client);
  ms_options_free(state->options);
  if (state->epoll >= 0) close(state->epoll);
}

/* Stops at the first call that fails and leaves its error in *err. */
#define TRY(call)                                \
  do {                                           \
    const ms_status try_status = (call);         \
    if (try_status != MS_OK) return try_status;  \
  } while (0)

static void die(const char *what) {
  perror(what);
  exit(EXIT_FAILURE);
}

/* Opens the next split of the session in a free place. */
static ms_status open_next(reading *state, int64_t place, ms_error **err) {
  TRY(ms_split_open(state->session, state->next++, state->options, &state->open[place], err));
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)place};
  const int fd = ms_split_ready_fd(state->open[place]);
  if (fd < 0 || epoll_ctl(state->epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("poll_many: epoll");
  return MS_OK;
}

/* Takes everything a split has now; at its end another one takes its place. */
static ms_status take_what_is_there(reading *state, int64_t place, int64_t splits, ms_error **err) {
  for (;;) {
    struct ArrowArray batch;
    const ms_status status = ms_split_try_next_batch(state->open[place], &batch, err);
    if (status == MS_PENDING) return MS_OK;
    TRY(status);
    if (batch.release == NULL) break;
    state->rows += batch.length;
    batch.release(&batch);
  }
  ms_split_free(state->open[place]); /* closes its descriptor, which takes it out of the epoll set */
  state->open[place] = NULL;
  state->done++;
  return state->next < splits ? open_next(state, place, err) : MS_OK;
}

static ms_status read_all(reading *state, const char *endpoint, const char *table, ms_error **err) {
  state->options = ms_options_new();
  TRY(ms_options_load_environment(state->options, err));
  TRY(ms_options_set(state->options, MS_OPT_ENDPOINT, endpoint, err));
  TRY(ms_options_set(state->options, MS_OPT_TABLE, table, err));
  TRY(ms_options_set(state->options, MS_OPT_SPLIT_MODE, "row_offset", err));
  TRY(ms_options_set(state->options, MS_OPT_SPLIT_ROWS, split_rows, err));
  TRY(ms_client_open(state->options, &state->client, err));
  TRY(ms_session_open(state->client, state->options, NULL, &state->session, err));
  const int64_t splits = ms_session_split_count(state->session);
  if (state->limit > splits) state->limit = splits;
  for (int64_t place = 0; place < state->limit; place++) TRY(open_next(state, place, err));
  while (state->done < splits) {
    struct epoll_event events[64];
    const int count = epoll_wait(state->epoll, events, 64, -1);
    for (int i = 0; i < count; i++) TRY(take_what_is_there(state, (int64_t)events[i].data.u64, splits, err));
  }
  return MS_OK;
}

/* A line of /proc/self/status. */
static long own_status(const char *name) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  long value = -1;
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) value = strtol(line + strlen(name) + 1, NULL, 10);
  if (file != NULL) fclose(file);
  return value;
}

int main(int argc, char **argv) {
  char *rest = "";
  const long limit = argc == 4 ? strtol(argv[3], &rest, 10) : 200;
  if (argc < 3 || argc > 4 || *rest != '\0' || limit < 1 || limit > 100000) {
    fputs("usage: poll_many ENDPOINT PROJECT.SCHEMA.TABLE [SPLITS]\n", stderr);
    return 2;
  }
  reading state = {.limit = limit, .epoll = epoll_create1(EPOLL_CLOEXEC)};
  state.open = calloc((size_t)limit, sizeof(ms_split *));
  if (state.open == NULL || state.epoll < 0) die("poll_many");
  ms_error *err = NULL;
  const ms_status status = read_all(&state, argv[1], argv[2], &err);
  if (status == MS_OK) {
    printf("%" PRId64 " rows from %" PRId64 " splits, %" PRId64 " at once, by %ld threads, %.1f MB at most\n", state.rows, state.done,
           state.limit, own_status("Threads:"), (double)own_status("VmHWM:") / 1024);
  } else {
    fprintf(stderr, "poll_many: %s: %s (request id %s)\n", ms_status_name(status), ms_error_message(err), ms_error_request_id(err));
  }
  ms_error_free(err);
  close_all(&state);
  return status == MS_OK && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
