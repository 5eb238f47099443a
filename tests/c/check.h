/* A test harness in one header: tests are functions, a failed check names its place and fails its test, nothing is silent.
 *
 *     static void adds(void) { CHECK_INT(1 + 1, 2); }
 *     int main(void) { RUN(adds); return check_end(); }
 *
 * After each test the library must hold no live handle. The last line is `N passed, N failed, N skipped`. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <maxstorage.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
#define CHECK_PER_THREAD thread_local
#else
#define CHECK_PER_THREAD _Thread_local
#endif

static int check_passed, check_failed, check_failures_here;
static CHECK_PER_THREAD ms_error *err; /* what the last call of this thread reported; each checked call replaces it */

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static inline void check_fail(const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "  %s:%d: ", file, line);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  check_failures_here++;
}

static inline void drop_error(void) {
  ms_error_free(err);
  err = NULL;
}

/* Milliseconds of a clock that only goes forward. */
static inline int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A fork that AddressSanitizer can bear as well: its allocator (of GCC 12) does nothing about forks, so a lock that a worker of the library
 * holds just then stays locked in the child. There the workers get the time to park. */
static inline pid_t fork_when_quiet(void) {
#ifdef __SANITIZE_ADDRESS__
  const struct timespec while_they_park = {0, 300000000};
  nanosleep(&while_they_park, NULL);
#endif
  return fork();
}

/* Ends a forked child. What it inherited is left alone on purpose, and a leak checker would report it: the shell exits in its place. */
static inline void end_child(int result) {
  char command[32];
  snprintf(command, sizeof command, "exit %d", result);
  execl("/bin/sh", "sh", "-c", command, (char *)NULL);
  _exit(127);
}

/* A time limit, widened by MS_TEST_SLOWDOWN where the tests run under valgrind or a sanitizer. */
static inline int64_t limit_ms(int64_t limit) {
  const char *slowdown = getenv("MS_TEST_SLOWDOWN");
  return limit * (slowdown != NULL ? strtol(slowdown, NULL, 10) : 1);
}

static inline const char *or_empty(const char *word) { return word != NULL ? word : ""; }

#define CHECK(condition) ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, "not true: %s", #condition))

#define REQUIRE(condition)                                            \
  do {                                                                \
    if (!(condition)) {                                               \
      check_fail(__FILE__, __LINE__, "not true: %s", #condition);     \
      return;                                                         \
    }                                                                 \
  } while (0)

#define CHECK_INT(actual, expected)                                                                                        \
  do {                                                                                                                     \
    const int64_t check_actual = (int64_t)(actual), check_expected = (int64_t)(expected);                                  \
    if (check_actual != check_expected)                                                                                    \
      check_fail(__FILE__, __LINE__, "%s is %" PRId64 ", expected %" PRId64, #actual, check_actual, check_expected);       \
  } while (0)

#define CHECK_TEXT(actual, expected)                                                                       \
  do {                                                                                                     \
    const char *check_text = (actual);                                                                     \
    if (check_text == NULL || strcmp(check_text, (expected)) != 0)                                         \
      check_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #actual, or_empty(check_text), (expected)); \
  } while (0)

#define CHECK_CONTAINS(actual, part)                                                                           \
  do {                                                                                                         \
    const char *check_text = (actual);                                                                         \
    if (check_text == NULL || strstr(check_text, (part)) == NULL)                                              \
      check_fail(__FILE__, __LINE__, "%s is \"%s\", which lacks \"%s\"", #actual, or_empty(check_text), (part)); \
  } while (0)

/* A call that passes `&err` and must succeed; otherwise the test ends. */
#define REQUIRE_OK(call)                                                                                          \
  do {                                                                                                            \
    drop_error();                                                                                                 \
    const ms_status check_status = (call);                                                                        \
    if (check_status != MS_OK) {                                                                                  \
      check_fail(__FILE__, __LINE__, "%s: %s: %s", #call, ms_status_name(check_status), ms_error_message(err));   \
      return;                                                                                                     \
    }                                                                                                             \
  } while (0)

/* A call that passes `&err` and must fail with a status; leaves the error in `err` for further checks. */
#define CHECK_FAILS(call, expected)                                                                                       \
  do {                                                                                                                    \
    drop_error();                                                                                                         \
    const ms_status check_status = (call);                                                                                \
    if (check_status != (expected))                                                                                       \
      check_fail(__FILE__, __LINE__, "%s gave %s (%s), expected %s", #call, ms_status_name(check_status),                 \
                 ms_error_message(err), #expected);                                                                       \
    if (check_status != MS_OK && (ms_error_code(err) != check_status || ms_error_message(err)[0] == '\0'))                \
      check_fail(__FILE__, __LINE__, "%s: the error object does not carry the status and a sentence", #call);             \
    if (strchr(ms_error_message(err), '\n') != NULL)                                                                      \
      check_fail(__FILE__, __LINE__, "%s: the sentence has several lines", #call);                                        \
  } while (0)

static inline void check_run(const char *name, void (*test)(void)) {
  check_failures_here = 0;
  const int64_t start = now_ms();
  test();
  drop_error();
  const int64_t live = ms_live_handles();
  if (live != 0) check_fail(name, 0, "%" PRId64 " handles are still alive", live);
  if (check_failures_here == 0) {
    check_passed++;
  } else {
    check_failed++;
  }
  printf("%s %s (%" PRId64 " ms)\n", check_failures_here == 0 ? "ok    " : "FAILED", name, now_ms() - start);
  fflush(stdout);
}
#define RUN(test) check_run(#test, test)

static inline int check_end(void) {
  printf("%d passed, %d failed, 0 skipped\n", check_passed, check_failed);
  return check_failed == 0 && check_passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
