/* Filters against the running service, whose skipping of blocks is real: what arrives with filter.exact is what a plain loop over all
 * rows of lineitem finds, and without it nothing that matches is missing. */
#include "service.h"

typedef struct {
  int64_t key;    /* l_orderkey */
  int32_t date;   /* l_shipdate, days */
  char flag;      /* l_returnflag */
} line;

static line lines[LINEITEM_ROWS];
static size_t lines_read;

static ms_client *client;

static ms_options *lineitem(const char *exact, const char *text) {
  ms_options *options = service_options("local.default.lineitem");
  const char *const pairs[] = {MS_OPT_FILTER_EXACT, exact, MS_OPT_FILTER_TEXT, text, NULL};
  CHECK_INT(set_all(options, pairs), MS_OK);
  CHECK_INT(ms_options_add(options, MS_OPT_COLUMNS, "l_orderkey", NULL), MS_OK);
  return options;
}

/* Rows of a session, and the sum of their keys. */
typedef struct {
  int64_t rows;
  int64_t keys;
} found;

static found count(const ms_options *options, const ms_predicate *filter) {
  found result = {0, 0};
  ms_session *session = NULL;
  ms_scan *scan = NULL;
  if (ms_session_open(client, options, filter, &session, &err) == MS_OK && ms_scan_open(session, NULL, &scan, &err) == MS_OK) {
    for (struct ArrowArray batch; ms_scan_next_batch(scan, &batch, NULL, &err) == MS_OK && batch.release != NULL; batch.release(&batch)) {
      CHECK(batch.length > 0 && batch.n_children == 1);
      const struct ArrowArray *keys = batch.children[0];
      const int64_t *values = (const int64_t *)keys->buffers[1] + keys->offset + batch.offset;
      for (int64_t i = 0; i < batch.length; i++) result.keys += values[i];
      result.rows += batch.length;
    }
  }
  if (err != NULL) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  ms_scan_free(scan);
  ms_session_free(session);
  return result;
}

static uint64_t state = 42;
static int64_t chosen(int64_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (int64_t)((state >> 33) % (uint64_t)below);
}

static void read_everything(void) {
  ms_options *options = service_options("local.default.lineitem");
  const char *const names[] = {"l_orderkey", "l_shipdate", "l_returnflag"};
  for (size_t i = 0; i < 3; i++) CHECK_INT(ms_options_add(options, MS_OPT_COLUMNS, names[i], NULL), MS_OK);
  ms_session *session = NULL;
  ms_scan *scan = NULL;
  REQUIRE_OK(ms_session_open(client, options, NULL, &session, &err));
  REQUIRE_OK(ms_scan_open(session, NULL, &scan, &err));
  struct ArrowArray batch;
  while (ms_scan_next_batch(scan, &batch, NULL, &err) == MS_OK && batch.release != NULL) {
    const struct ArrowArray *const *columns = (const struct ArrowArray *const *)batch.children;
    for (int64_t i = 0; i < batch.length && lines_read < LINEITEM_ROWS; i++) {
      const int32_t *offsets = columns[2]->buffers[1];
      lines[lines_read++] = (line){
          .key = ((const int64_t *)columns[0]->buffers[1])[columns[0]->offset + i],
          .date = ((const int32_t *)columns[1]->buffers[1])[columns[1]->offset + i],
          .flag = ((const char *)columns[2]->buffers[2])[offsets[columns[2]->offset + i]],
      };
    }
    batch.release(&batch);
  }
  CHECK_INT(lines_read, LINEITEM_ROWS);
  ms_scan_free(scan);
  ms_session_free(session);
  ms_options_free(options);
}

static void random_filters(void) {
  for (int round = 0; round < 25; round++) {
    const int64_t low = chosen(60000), high = low + chosen(20000);
    const int32_t day = 8036 + (int32_t)chosen(2500); /* from 1992-01-02 on */
    const char flag = "ANRX"[chosen(4)];
    const bool negated = chosen(2) == 1, either = chosen(2) == 1;
    char text[200], date[16];
    const time_t seconds = (time_t)day * 86400;
    struct tm civil;
    gmtime_r(&seconds, &civil);
    strftime(date, sizeof date, "%Y-%m-%d", &civil);
    snprintf(text, sizeof text, "%s(l_orderkey >= %lld and l_orderkey < %lld.5) %s (l_shipdate > DATE'%s' and l_returnflag in ('%c', NULL))",
             negated ? "not " : "", (long long)low, (long long)high, either ? "or" : "and", date, flag);
    found expected = {0, 0};
    for (size_t i = 0; i < lines_read; i++) {
      const bool in_range = lines[i].key >= low && lines[i].key <= high, late = lines[i].date > day && lines[i].flag == flag;
      const bool first = in_range != negated;
      if (either ? first || late : first && late) expected = (found){expected.rows + 1, expected.keys + lines[i].key};
    }
    ms_predicate *built = NULL;
    REQUIRE_OK(ms_predicate_parse(text, &built, &err));
    ms_options *by_text = lineitem("true", text), *by_tree = lineitem("true", ""), *pruned = lineitem("false", "");
    const found one = count(by_text, NULL), other = count(by_tree, built), more = count(pruned, built);
    if (one.rows != expected.rows || one.keys != expected.keys || other.rows != expected.rows || other.keys != expected.keys ||
        more.rows < expected.rows) {
      check_fail(__FILE__, __LINE__, "%s: %lld rows expected, %lld by text, %lld by tree, %lld pruned", text, (long long)expected.rows,
                 (long long)one.rows, (long long)other.rows, (long long)more.rows);
    }
    ms_predicate_free(built);
    ms_options_free(by_text);
    ms_options_free(by_tree);
    ms_options_free(pruned);
  }
}

static void the_service_skips_blocks(void) {
  ms_predicate *beyond = NULL, *none = NULL;
  REQUIRE_OK(ms_predicate_parse("l_orderkey > 60000.5", &beyond, &err)); /* no block has such keys */
  REQUIRE_OK(ms_predicate_parse("l_orderkey = 3.5", &none, &err));
  ms_options *pruned = lineitem("false", "");
  CHECK_INT(count(pruned, beyond).rows, 0);
  CHECK_INT(count(pruned, none).rows, 0);
  ms_predicate_free(beyond);
  ms_predicate_free(none);
  ms_options_free(pruned);
}

static void literals_of_odd_texts_reach_the_service(void) {
  const char *const texts[] = {"it's", "back\\slash", "new\nline", "\xf0\x9f\x98\x80", "\"", "`", "%", ""};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    char text[64] = "l_comment = '", *end = text + strlen(text);
    for (const char *c = texts[i]; *c != '\0'; c++) {
      if (*c == '\'' || *c == '\\') *end++ = '\\';
      *end++ = *c;
    }
    strcpy(end, "'");
    ms_predicate *filter = NULL;
    REQUIRE_OK(ms_predicate_parse(text, &filter, &err));
    ms_options *exact = lineitem("true", "");
    CHECK_INT(count(exact, filter).rows, 0); /* the service took it, and no comment is so odd */
    ms_predicate_free(filter);
    ms_options_free(exact);
  }
}

/* Adds what a stream of keys has, and releases it. */
static void add_stream(struct ArrowArrayStream *stream, found *sum) {
  for (;;) {
    struct ArrowArray batch;
    if (stream->get_next(stream, &batch) != 0) {
      check_fail(__FILE__, __LINE__, "%s", or_empty(stream->get_last_error(stream)));
      break;
    }
    if (batch.release == NULL) break;
    CHECK(batch.length > 0 && batch.n_children == 1); /* columns that only the filter needs are not there */
    const struct ArrowArray *keys = batch.children[0];
    const int64_t *values = (const int64_t *)keys->buffers[1] + keys->offset + batch.offset;
    for (int64_t i = 0; i < batch.length; i++) sum->keys += values[i];
    sum->rows += batch.length;
    batch.release(&batch);
  }
  stream->release(stream);
}

/* The last filter of a read is added while it is open. */
static void streams_of_filtered_rows(void) {
  const int64_t limit = 30000;
  found expected = {0, 0};
  for (size_t i = 0; i < lines_read; i++)
    if (lines[i].flag == 'R' && lines[i].key < limit) expected = (found){expected.rows + 1, expected.keys + lines[i].key};
  CHECK(expected.rows > 1000);
  ms_options *options = lineitem("true", "l_returnflag = 'R'");
  const char *const splits[] = {MS_OPT_SPLIT_MODE, "parallelism", MS_OPT_SPLIT_PARALLELISM, "3", NULL};
  CHECK_INT(set_all(options, splits), MS_OK);
  ms_predicate *added = NULL;
  ms_session *session = NULL;
  REQUIRE_OK(ms_predicate_parse("l_orderkey < 30000", &added, &err));
  REQUIRE_OK(ms_session_open(client, options, NULL, &session, &err));
  found by_split = {0, 0}, by_scan = {0, 0};
  struct ArrowArrayStream stream;
  for (int64_t index = 0; index < ms_session_split_count(session); index++) {
    ms_split *split = NULL;
    REQUIRE_OK(ms_split_open(session, index, options, &split, &err));
    REQUIRE_OK(ms_split_add_filter(split, added, &err));
    REQUIRE_OK(ms_split_export_stream(split, &stream, &err));
    add_stream(&stream, &by_split);
  }
  ms_scan *scan = NULL;
  REQUIRE_OK(ms_scan_open(session, options, &scan, &err));
  REQUIRE_OK(ms_scan_add_filter(scan, added, &err));
  REQUIRE_OK(ms_scan_export_stream(scan, &stream, &err));
  ms_session_free(session); /* the stream keeps what it needs */
  add_stream(&stream, &by_scan);
  CHECK_INT(by_split.rows, expected.rows);
  CHECK_INT(by_split.keys, expected.keys);
  CHECK_INT(by_scan.rows, expected.rows);
  CHECK_INT(by_scan.keys, expected.keys);
  ms_predicate_free(added);
  ms_options_free(options);
}

static void with_client(void (*test)(void)) {
  ms_options *options = service_options("local.default.lineitem");
  if (ms_client_open(options, &client, &err) == MS_OK) {
    test();
  } else {
    check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  }
  ms_client_free(client);
  ms_options_free(options);
}

static void every_row_is_read_once(void) { with_client(read_everything); }
static void exact_filters_find_what_a_loop_finds(void) { with_client(random_filters); }
static void streams_have_filtered_rows(void) { with_client(streams_of_filtered_rows); }
static void blocks_are_skipped(void) { with_client(the_service_skips_blocks); }
static void odd_texts_reach_the_service(void) { with_client(literals_of_odd_texts_reach_the_service); }

int main(void) {
  RUN(every_row_is_read_once);
  RUN(exact_filters_find_what_a_loop_finds);
  RUN(streams_have_filtered_rows);
  RUN(blocks_are_skipped);
  RUN(odd_texts_reach_the_service);
  return check_end();
}
