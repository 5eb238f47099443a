/* Where an AccessKey secret is not: in what the library says while it works, and in the memory of the process when it is done.
 *
 * The secret is made at run time and every copy of the test is wiped, so that what is found in memory is a copy of the library. */
#include <fcntl.h>

#include "peer.h"

enum { SECRET_BYTES = 40, MASK = 0xa5 };

/* The secret under a mask, as it is never stored anywhere. */
static unsigned char masked[SECRET_BYTES];

static void make_secret(void) {
  uint64_t state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
  for (int i = 0; i < SECRET_BYTES; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    masked[i] = (unsigned char)("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"[state >> 58]) ^ MASK;
  }
}

static void reveal(char *secret) {
  for (int i = 0; i < SECRET_BYTES; i++) secret[i] = (char)(masked[i] ^ MASK);
  secret[SECRET_BYTES] = '\0';
}

/* ------------------------------------------------------------------------------------------------------------------- in memory */

enum { PART = 16, PAGE = 4096, PAGES = 16 };

static unsigned char window[PAGES * PAGE];

/* What HMAC puts over its key; the last one is nothing. */
static const unsigned char pads[] = {0x36, 0x5c, 0x00};

/* The bytes that a part of the secret may begin with, so that most places need one look. */
static bool begins[256];

static void note_beginnings(void) {
  for (int from = 0; from + PART <= SECRET_BYTES; from += 8)
    for (size_t pad = 0; pad < sizeof pads; pad++) begins[(unsigned char)(masked[from] ^ MASK ^ pads[pad])] = true;
}

/* Whether `bytes` begin with 16 bytes of the secret, under `pad`. */
static bool is_part(const unsigned char *bytes, unsigned char pad) {
  for (int from = 0; from + PART <= SECRET_BYTES; from += 8) {
    int same = 0;
    while (same < PART && (bytes[same] ^ MASK ^ pad) == masked[from + same]) same++;
    if (same == PART) return true;
  }
  return false;
}

/* Where 16 bytes of the secret begin, under the pad with number `pad` of those there are; NULL for nowhere. */
static const unsigned char *find_part(const unsigned char *bytes, size_t length, size_t *pad) {
  for (size_t i = 0; i + PART <= length; i++) {
    if (!begins[bytes[i]]) continue;
    for (*pad = 0; *pad < sizeof pads; ++*pad)
      if (is_part(bytes + i, pads[*pad])) return bytes + i;
  }
  return NULL;
}

/* Whether any page of a window is there: what checkers reserve is terabytes of nothing. */
static bool is_there(int pagemap, uintptr_t from) {
  const uint64_t present_or_swapped = UINT64_C(3) << 62;
  uint64_t pages[PAGES + 1] = {0}; /* a window may begin within a page */
  const ssize_t got = pread(pagemap, pages, sizeof pages, (off_t)(from / PAGE * sizeof pages[0]));
  for (size_t i = 0; got > 0 && i < (size_t)got / sizeof pages[0]; i++)
    if ((pages[i] & present_or_swapped) != 0) return true;
  return false;
}

/* A mapping of this size is the shadow of a checker: it has facts about memory, and nothing of what is in it. */
static const uint64_t SHADOW_BYTES = UINT64_C(1) << 40;

/* Looks through all memory that this process can write, its stacks among them, and counts the places with the secret: as it is, and under
 * the pads of HMAC. */
static int copies_in_memory(void) {
  static char line[512];
  int found = 0;
  const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  FILE *maps = fopen("/proc/self/maps", "r");
  if (memory < 0 || pagemap < 0 || maps == NULL) return -1;
  const uintptr_t own = (uintptr_t)window;
  while (fgets(line, sizeof line, maps) != NULL) {
    uintptr_t from, to;
    char rights[5];
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, rights) != 3 || rights[0] != 'r' || rights[1] != 'w') continue;
    if (to - from > SHADOW_BYTES) continue;
    while (from < to) {
      size_t want = to - from < sizeof window ? to - from : sizeof window;
      if (from < own + sizeof window && own < from + want) { /* the window itself */
        if (from < own) want = own - from;
        else {
          from = own + sizeof window;
          continue;
        }
      }
      if (!is_there(pagemap, from)) {
        from += want;
        continue;
      }
      const ssize_t got = pread(memory, window, want, (off_t)from);
      if (got <= 0) break; /* reserved and never used */
      size_t pad = 0;
      const unsigned char *part = find_part(window, (size_t)got, &pad);
      if (part != NULL) {
        found++;
        fprintf(stderr, "  a copy%s at %" PRIxPTR " in %s", pads[pad] != 0 ? " under a pad" : "", from + (uintptr_t)(part - window), line);
      }
      from += (size_t)got == want && from + (size_t)got < to && (size_t)got > PAGE ? (size_t)got - PART : (size_t)got; /* the parts overlap */
    }
  }
  fclose(maps);
  close(pagemap);
  close(memory);
  memset(window, 0, sizeof window);
  return found;
}

static void a_copy_is_found_where_there_is_one(void) {
  char *planted = malloc(SECRET_BYTES + 1);
  REQUIRE(planted != NULL);
  reveal(planted);
  CHECK(copies_in_memory() > 0);
  memset(planted, 0, SECRET_BYTES + 1);
  __asm__ volatile("" : : "r"(planted) : "memory");
  CHECK_INT(copies_in_memory(), 0);
  free(planted);
}

static ms_status supply(void *context, ms_credentials *credentials) {
  char secret[SECRET_BYTES + 1];
  (void)context;
  reveal(secret);
  const ms_status status = ms_credentials_set_access_key(credentials, "id", secret, NULL, NULL);
  memset(secret, 0, sizeof secret);
  __asm__ volatile("" : : "r"(secret) : "memory");
  return status;
}

/* Options whose secret comes as an option or from a provider. */
static ms_options *options_of(const peer *service, bool by_provider, const char *signature) {
  ms_options *options = peer_options(service);
  const char *const pairs[] = {MS_OPT_REGION, "cn-hangzhou", MS_OPT_SIGNATURE, signature, NULL};
  if (set_all(options, pairs) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  if (by_provider) {
    const char *const none[] = {MS_OPT_ACCESS_KEY_ID, "", MS_OPT_ACCESS_KEY_SECRET, "", NULL};
    if (set_all(options, none) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
    drop_error();
    if (ms_options_set_credentials_provider(options, supply, NULL, NULL, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  } else {
    char secret[SECRET_BYTES + 1];
    reveal(secret);
    const char *const own[] = {MS_OPT_ACCESS_KEY_SECRET, secret, MS_OPT_APP_ID, "app", MS_OPT_APP_SECRET, secret, NULL};
    if (set_all(options, own) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
    memset(secret, 0, sizeof secret);
    __asm__ volatile("" : : "r"(secret) : "memory");
  }
  return options;
}

static void no_copy_is_left_when_everything_is_freed(void) {
  for (int round = 0; round < 4; round++) {
    peer service = {0};
    peer_start(&service);
    ms_options *options = options_of(&service, round % 2 == 1, round < 2 ? "v2" : "v4");
    stack use = {.options = ms_options_clone(options)};
    ms_options_free(options);
    CHECK_INT(stack_open(&use), MS_OK);
    int64_t rows = 0;
    CHECK_INT(drain(use.split, &rows), MS_OK);
    CHECK_INT(rows, 3);
    stack_free(&use);
    CHECK_INT(ms_shutdown(5000), MS_OK);
    peer_stop(&service);
    const int copies = copies_in_memory();
    if (copies != 0) check_fail(__FILE__, __LINE__, "round %d: %d copies", round, copies);
  }
}

/* ----------------------------------------------------------------------------------------------------------- in what it says */

static bool is_said(const char *text, size_t length) {
  size_t pad;
  return find_part((const unsigned char *)text, length, &pad) != NULL;
}

static atomic_int records, leaks;

static void on_log(void *context, int32_t level, const char *target, const char *message) {
  (void)context, (void)level;
  atomic_fetch_add(&records, 1);
  if (is_said(message, strlen(message)) || is_said(target, strlen(target))) atomic_fetch_add(&leaks, 1);
}

#define NOT_SAID(text) (is_said((text), strlen(text)) ? check_fail(__FILE__, __LINE__, "the secret is in %s", #text) : (void)0)

/* Every text column of the description. */
static void is_not_described(const ms_options *options) {
  struct ArrowArrayStream stream;
  struct ArrowArray batch;
  REQUIRE_OK(ms_options_describe(options, &stream, &err));
  CHECK_INT(stream.get_next(&stream, &batch), 0);
  REQUIRE(batch.release != NULL);
  int columns = 0;
  for (int64_t i = 0; i < batch.n_children; i++) {
    const struct ArrowArray *column = batch.children[i];
    if (column->n_buffers != 3) continue;
    const int32_t *offsets = column->buffers[1];
    CHECK(!is_said(column->buffers[2], (size_t)offsets[column->offset + column->length]));
    columns++;
  }
  CHECK(columns > 5);
  batch.release(&batch);
  stream.release(&stream);
}

static void nothing_that_the_library_says_holds_the_secret(void) {
  CHECK_INT(ms_set_log_callback(on_log, NULL, 5), MS_OK);
  for (int round = 0; round < 2; round++) {
    peer service = {0};
    peer_start(&service);
    stack use = {.options = options_of(&service, round == 1, "v4")};
    is_not_described(use.options);
    CHECK_INT(stack_open(&use), MS_OK);
    ms_bytes *token = NULL;
    REQUIRE_OK(ms_session_serialize(use.session, &token, &err));
    CHECK(!is_said(ms_bytes_data(token), ms_bytes_len(token)));
    ms_bytes_free(token);
    REQUIRE_OK(ms_session_serialize_json(use.session, &token, &err));
    CHECK(ms_bytes_len(token) > 0 && !is_said(ms_bytes_data(token), ms_bytes_len(token)));
    ms_bytes_free(token);
    ms_bytes *plan = NULL;
    REQUIRE_OK(ms_session_explain(use.session, &plan, &err));
    CHECK(ms_bytes_len(plan) > 0 && !is_said(ms_bytes_data(plan), ms_bytes_len(plan)));
    ms_bytes_free(plan);
    ms_metrics *metrics = NULL;
    REQUIRE_OK(ms_split_metrics(use.split, &metrics, &err));
    for (int64_t i = 0; i < (int64_t)ms_metrics_count(metrics); i++) NOT_SAID(ms_metrics_name(metrics, i));
    ms_metrics_free(metrics);
    service.data = PEER_DENY;
    for (int kind = 0; kind < 2; kind++, service.data = PEER_GARBAGE) {
      ms_split *split = NULL;
      int64_t rows = 0;
      REQUIRE_OK(ms_split_open(use.session, 0, NULL, &split, &err));
      CHECK(drain(split, &rows) != MS_OK);
      NOT_SAID(ms_error_message(err));
      NOT_SAID(ms_error_json(err));
      ms_split_free(split);
    }
    stack_free(&use);
    peer_stop(&service);
  }
  CHECK_INT(ms_set_log_callback(NULL, NULL, 0), MS_OK);
  CHECK(atomic_load(&records) > 0);
  CHECK_INT(atomic_load(&leaks), 0);
}

int main(void) {
  make_secret();
  note_beginnings();
  RUN(a_copy_is_found_where_there_is_one);
  RUN(no_copy_is_left_when_everything_is_freed);
  RUN(nothing_that_the_library_says_holds_the_secret);
  return check_end();
}
