/* The library as a guest in its host's process: callbacks, forks at a bad moment, missing threads, missing certificates. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

/* -------------------------------------------------------------------------------------------------- threads that do not start */

/* Calls of pthread_create that still succeed; negative for all of them. This definition stands before the C library's. */
static atomic_int threads_left = -1;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
  typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  create *real;
  void *const symbol = dlsym(RTLD_NEXT, "pthread_create");
  memcpy(&real, &symbol, sizeof real);
  if (atomic_load(&threads_left) == 0) return EAGAIN;
  if (atomic_load(&threads_left) > 0) atomic_fetch_sub(&threads_left, 1);
  return real(thread, attributes, start, argument);
}

static void threads_that_cannot_start_are_a_status(void) {
  peer service = {0};
  peer_start(&service);
  CHECK_INT(ms_shutdown(5000), MS_OK);
  ms_options *options = peer_options(&service);
  for (int left = 0; left < 2; left++) {
    ms_client *client = NULL;
    atomic_store(&threads_left, left);
    CHECK_FAILS(ms_client_open(options, &client, &err), MS_RESOURCE_EXHAUSTED);
    atomic_store(&threads_left, -1);
    CHECK(client == NULL);
    drop_error();
  }
  stack use = {.options = options};
  CHECK_INT(stack_open(&use), MS_OK); /* with threads everything is well again */
  stack_free(&use);
  peer_stop(&service);
}

/* ------------------------------------------------------------------------------------------------------------------ callbacks */

typedef struct {
  const ms_options *options;
  atomic_int calls;
  ms_status open_inside, change_inside;
} nosy;

static void calls_the_library(void *context, int32_t level, const char *target, const char *message) {
  nosy *self = context;
  (void)level, (void)target, (void)message;
  ms_client *client = NULL;
  self->open_inside = ms_client_open(self->options, &client, NULL);
  ms_client_free(client);
  self->change_inside = ms_set_log_callback(NULL, NULL, 0);
  atomic_fetch_add(&self->calls, 1);
}

static void calls_from_inside_a_callback_are_refused(void) {
  peer service = {0};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  nosy self = {.options = use.options};
  CHECK_INT(ms_set_log_callback(calls_the_library, &self, 5), MS_OK);
  CHECK_INT(stack_open_session(&use), MS_OK);
  CHECK_INT(ms_set_log_callback(NULL, NULL, 0), MS_OK);
  CHECK(atomic_load(&self.calls) > 0);
  CHECK_INT(self.open_inside, MS_WRONG_STATE);
  CHECK_INT(self.change_inside, MS_WRONG_STATE);
  stack_free(&use);
  peer_stop(&service);
}

static atomic_bool inside, go_on;

static void waits(void *context, int32_t level, const char *target, const char *message) {
  (void)context, (void)level, (void)target, (void)message;
  atomic_store(&inside, true);
  while (!atomic_load(&go_on)) sched_yield();
}

typedef struct {
  stack use;
  ms_status status;
} opener;

static void *open_session(void *argument) {
  opener *self = argument;
  self->status = stack_open_session(&self->use);
  return NULL;
}

static void a_fork_during_a_callback_leaves_the_child_free(void) {
  peer service = {0};
  peer_start(&service);
  opener self = {.use = {.options = peer_options(&service)}};
  CHECK_INT(ms_set_log_callback(waits, NULL, 5), MS_OK);
  pthread_t thread;
  if (pthread_create(&thread, NULL, open_session, &self) != 0) abort();
  while (!atomic_load(&inside)) sched_yield();
  const pid_t child = fork(); /* while a worker is inside the callback and holds the registration */
  if (child == 0) {
    alarm(20);
    ms_client *client = NULL;
    int result = ms_set_log_callback(NULL, NULL, 0) == MS_OK ? 0 : 1;
    if (ms_client_open(self.use.options, &client, NULL) != MS_OK) result = 2;
    ms_client_free(client);
    end_child(result);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  atomic_store(&go_on, true);
  pthread_join(thread, NULL);
  CHECK_INT(self.status, MS_OK);
  CHECK_INT(ms_set_log_callback(NULL, NULL, 0), MS_OK);
  stack_free(&self.use);
  peer_stop(&service);
}

/* ------------------------------------------------------------------------------------------------------- certificates, signals */

static void plain_http_needs_no_certificate_authorities(void) {
  setenv("SSL_CERT_FILE", "/nonexistent", 1);
  setenv("SSL_CERT_DIR", "/nonexistent", 1);
  peer service = {0};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  CHECK_INT(stack_open(&use), MS_OK);
  int64_t rows = 0;
  CHECK_INT(drain(use.split, &rows), MS_OK);
  CHECK_INT(rows, 3);
  drop_error();
  CHECK_INT(ms_options_set(use.options, MS_OPT_DATA_ENDPOINT, "https://127.0.0.1:1", &err), MS_OK);
  ms_client *client = NULL;
  CHECK_FAILS(ms_client_open(use.options, &client, &err), MS_INVALID_OPTION);
  CHECK_CONTAINS(ms_error_message(err), "tls.ca_file");
  stack_free(&use);
  peer_stop(&service);
  unsetenv("SSL_CERT_FILE");
  unsetenv("SSL_CERT_DIR");
}

/* The blocked signals of each of our threads, from the kernel: SIGPIPE (13), SIGINT (2) and SIGTERM (15) are among them. */
static void our_threads_leave_the_hosts_signals_alone(void) {
  peer service = {0};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  CHECK_INT(stack_open(&use), MS_OK);
  int64_t rows = 0;
  CHECK_INT(drain(use.split, &rows), MS_OK);
  int seen = 0;
  DIR *tasks = opendir("/proc/self/task");
  REQUIRE(tasks != NULL);
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    char path[300], line[200];
    bool ours = false;
    unsigned long long blocked = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    while (fgets(line, sizeof line, file) != NULL) {
      if (strncmp(line, "Name:\tmaxstorage", 16) == 0) ours = true;
      if (strncmp(line, "SigBlk:", 7) == 0) blocked = strtoull(line + 7, NULL, 16);
    }
    fclose(file);
    if (!ours) continue;
    seen++;
    for (const int *signal = (const int[]){2, 13, 15, 0}; *signal != 0; signal++) CHECK(blocked >> (*signal - 1) & 1);
  }
  closedir(tasks);
  CHECK(seen > 0);
  stack_free(&use);
  peer_stop(&service);
}

int main(void) {
  RUN(threads_that_cannot_start_are_a_status);
  RUN(calls_from_inside_a_callback_are_refused);
  RUN(a_fork_during_a_callback_leaves_the_child_free);
  RUN(plain_http_needs_no_certificate_authorities);
  RUN(our_threads_leave_the_hosts_signals_alone);
  return check_end();
}
