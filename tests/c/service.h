/* The real service, as the driver script provides it:
 *   MS_TEST_ENDPOINT  a running maxstorage-server with TPC-H scale 0.01 in project `local`
 *   MS_TEST_SERVER    the binary, MS_TEST_ROOT a root with TPC-H scale 0.1 in project `local`, for tests that start and kill their own */
#ifndef SERVICE_H
#define SERVICE_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "peer.h"

enum { LINEITEM_ROWS = 60175, ORDERS_ROWS = 15000, NATION_ROWS = 25, REGION_ROWS = 5 };

static inline const char *required(const char *variable) {
  const char *value = getenv(variable);
  if (value != NULL) return value;
  fprintf(stderr, "%s is not set: run this test through tests/native/run\n", variable);
  exit(EXIT_FAILURE);
}

static inline ms_options *service_options_at(const char *endpoint, const char *table) {
  ms_options *options = ms_options_new();
  const char *const pairs[] = {MS_OPT_ENDPOINT, endpoint, MS_OPT_TABLE, table, MS_OPT_ACCESS_KEY_ID, "local",
                               MS_OPT_ACCESS_KEY_SECRET, "local", MS_OPT_RETRY_MAX_ATTEMPTS, "2", MS_OPT_RETRY_INITIAL_BACKOFF_MS, "20",
                               NULL};
  if (set_all(options, pairs) != MS_OK) check_fail(__FILE__, __LINE__, "options: %s", ms_error_message(err));
  return options;
}

static inline ms_options *service_options(const char *table) { return service_options_at(required("MS_TEST_ENDPOINT"), table); }

/* A server of the test's own, to be stopped or killed, with one more flag if it is not NULL. */
typedef struct {
  pid_t pid;
  char endpoint[160];
} own_server;

static inline bool own_server_start(own_server *self, const char *flag, const char *value) {
  int out[2];
  const char *binary = required("MS_TEST_SERVER"), *root = required("MS_TEST_ROOT");
  if (pipe(out) != 0) return false;
  self->pid = fork();
  if (self->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no server behind */
    dup2(out[1], STDOUT_FILENO);
    close(out[0]);
    close(out[1]);
    setenv("RUST_LOG", "error", 1);
    execl(binary, binary, "serve", "--root", root, flag, value, (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  char line[128] = "";
  size_t length = 0;
  while (length < sizeof line - 1 && strchr(line, '\n') == NULL && read(out[0], line + length, 1) == 1) length++;
  close(out[0]);
  line[strcspn(line, "\n")] = '\0';
  if (strncmp(line, "ready ", 6) != 0) {
    fprintf(stderr, "  the server said \"%s\" instead of ready\n", line);
    kill(self->pid, SIGKILL);
    waitpid(self->pid, NULL, 0);
    return false;
  }
  snprintf(self->endpoint, sizeof self->endpoint, "%s/api", line + 6);
  return true;
}

static inline void own_server_end(own_server *self, int signal) {
  kill(self->pid, signal);
  waitpid(self->pid, NULL, 0);
}

#endif
