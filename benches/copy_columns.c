/* What copying a batch into columns of an engine costs: one batch of `lineitem`, the same rows again and again, CPU time of the thread.
 *
 *     copy_columns ENDPOINT
 *
 * A line for each kind of copy: nanoseconds for a row, GB/s (10^9) of what is written. */
#include <inttypes.h>
#include <maxstorage.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRY(call)                                                                                          \
  do {                                                                                                     \
    ms_error *err = NULL;                                                                                  \
    const ms_status status = (call);                                                                       \
    if (status != MS_OK) {                                                                                 \
      fprintf(stderr, "copy_columns: %s: %s: %s\n", #call, ms_status_name(status), ms_error_message(err)); \
      exit(EXIT_FAILURE);                                                                                  \
    }                                                                                                      \
  } while (0)

enum { TURNS = 2000, MOST_ROWS = 1 << 17, MOST_BYTES = 1 << 24 };
static unsigned char bytes[MOST_BYTES];
static uint32_t ends[MOST_ROWS];

typedef struct {
  ms_client *client;
  ms_session *session;
  ms_split *split;
  struct ArrowSchema schema;
  struct ArrowArray batch;
} table;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static table take(const char *endpoint, const char *key, const char *value) {
  table all = {0};
  ms_options *options = ms_options_new();
  TRY(ms_options_set(options, MS_OPT_ENDPOINT, endpoint, &err));
  TRY(ms_options_set(options, MS_OPT_ACCESS_KEY_ID, "local", &err));
  TRY(ms_options_set(options, MS_OPT_ACCESS_KEY_SECRET, "local", &err));
  TRY(ms_options_set(options, MS_OPT_TABLE, "local.default.lineitem", &err));
  TRY(ms_options_set(options, MS_OPT_READ_BATCH_ROWS, "20000", &err));
  if (key != NULL) TRY(ms_options_set(options, key, value, &err));
  TRY(ms_client_open(options, &all.client, &err));
  TRY(ms_session_open(all.client, options, NULL, &all.session, &err));
  TRY(ms_split_open(all.session, 0, options, &all.split, &err));
  TRY(ms_split_schema(all.split, &all.schema, &err));
  TRY(ms_split_next_batch(all.split, &all.batch, &err));
  ms_options_free(options);
  return all;
}

static void drop(table *all) {
  all->batch.release(&all->batch);
  all->schema.release(&all->schema);
  ms_split_free(all->split);
  ms_session_free(all->session);
  ms_client_free(all->client);
}

static int64_t find(const table *all, const char *name) {
  for (int64_t i = 0; i < all->schema.n_children; i++)
    if (strcmp(all->schema.children[i]->name, name) == 0) return i;
  fprintf(stderr, "copy_columns: no column %s\n", name);
  exit(EXIT_FAILURE);
}

static void print(const char *what, int64_t rows, size_t written, double seconds) {
  printf("%-44s %6.2f %6.1f\n", what, seconds / TURNS / (double)rows * 1e9, (double)written * TURNS / seconds / 1e9);
}

static void values(const table *all, const char *what, const char *column, size_t width) {
  const int64_t number = find(all, column), rows = all->batch.length;
  const double start = now();
  for (int i = 0; i < TURNS; i++) TRY(ms_column_copy_values(&all->schema, &all->batch, number, 0, rows, bytes, sizeof bytes, &err));
  print(what, rows, (size_t)rows * width, now() - start);
}

/* `every`th row is NULL; 0 for no bitmap at all, as the library delivers a column without NULL. */
static void nulls(table *all, const char *what, int every, int as_bits) {
  static uint8_t bitmap[MOST_ROWS / 8];
  memset(bitmap, 0xff, sizeof bitmap);
  for (int row = 0; every > 0 && row < MOST_ROWS; row += every) bitmap[row / 8] &= (uint8_t)~(1u << row % 8);
  struct ArrowArray *column = all->batch.children[0];
  const struct ArrowArray kept = *column;
  const void *buffers[2] = {bitmap, kept.buffers[1]};
  if (every > 0) column->buffers = buffers, column->null_count = -1;
  const int64_t rows = all->batch.length;
  const double start = now();
  for (int i = 0; i < TURNS; i++) {
    if (as_bits) TRY(ms_column_copy_validity(&all->schema, &all->batch, 0, 0, rows, bytes, sizeof bytes, NULL, &err));
    else TRY(ms_column_copy_nulls(&all->schema, &all->batch, 0, 0, rows, bytes, sizeof bytes, NULL, &err));
  }
  print(what, rows, as_bits ? (size_t)rows / 8 : (size_t)rows, now() - start);
  *column = kept;
}

static void strings(const table *all, const char *layout, const char *column) {
  const int64_t number = find(all, column), rows = all->batch.length;
  char what[64];
  size_t size = 0;
  const double start = now();
  for (int i = 0; i < TURNS; i++) {
    TRY(ms_column_strings_size(&all->schema, &all->batch, number, 0, rows, &size, &err));
    TRY(ms_column_copy_strings(&all->schema, &all->batch, number, 0, rows, 0, bytes, sizeof bytes, ends, MOST_ROWS, &err));
  }
  snprintf(what, sizeof what, "%s, %s (%.0f bytes each)", column, layout, (double)size / (double)rows);
  print(what, rows, size + (size_t)rows * sizeof *ends, now() - start);
}

int main(int argc, char **argv) {
  static const char *const layouts[][3] = {{"utf8", NULL, NULL},
                                           {"large_utf8", MS_OPT_TYPES_LARGE_OFFSETS, "true"},
                                           {"utf8_view", MS_OPT_TYPES_STRING_VIEW, "true"},
                                           {"dictionary", MS_OPT_TYPES_DICTIONARY, "*"}};
  if (argc != 2) return fputs("usage: copy_columns ENDPOINT\n", stderr), 2;
  printf("%-44s %6s %6s\n", "copy", "ns/row", "GB/s");
  for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
    table all = take(argv[1], layouts[i][1], layouts[i][2]);
    if (i == 0) {
      values(&all, "values, bigint", "l_orderkey", 8);
      values(&all, "values, decimal", "l_quantity", 16);
      nulls(&all, "NULL bytes, no bitmap", 0, 0);
      nulls(&all, "NULL bytes, every 1000th row", 1000, 0);
      nulls(&all, "NULL bytes, every 3rd row", 3, 0);
      nulls(&all, "validity bits, every 3rd row", 3, 1);
    }
    strings(&all, layouts[i][0], "l_shipmode");
    strings(&all, layouts[i][0], "l_comment");
    drop(&all);
  }
  return EXIT_SUCCESS;
}
