/* A guest that leaves its host's house as it was: nothing happens before the first call, no signal handler is touched, SIGPIPE kills
 * nobody, and a child made by fork is told so by every kind of handle. */
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>

#include "peer.h"

static int count_entries(const char *path) {
  int count = 0;
  DIR *directory = opendir(path);
  if (directory == NULL) return -1;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

/* Descriptors that this process opened itself: those it inherited survived an exec. Tools such as valgrind keep theirs above 900. */
static int own_descriptors(void) {
  int count = 0;
  for (int fd = 3; fd < 900; fd++) {
    const int flags = fcntl(fd, F_GETFD);
    count += flags >= 0 && (flags & FD_CLOEXEC) != 0;
  }
  return count;
}

/* The first test: until now the library was loaded and nothing else. */
static void loaded_and_unused_it_has_no_thread_no_descriptor_and_no_memory(void) {
  CHECK_INT(count_entries("/proc/self/task"), 1);
  CHECK_INT(own_descriptors(), 0);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  const size_t held = mallinfo2().uordblks; /* 0 where a tool replaces malloc */
  if (held > 128 << 10) check_fail(__FILE__, __LINE__, "%zu bytes are allocated", held);
#endif
  ms_options *options = ms_options_new();
  REQUIRE_OK(ms_options_set(options, MS_OPT_TABLE, "t", &err));
  ms_options_free(options);
  CHECK_INT(count_entries("/proc/self/task"), 1); /* nor do options need any */
  CHECK_INT(own_descriptors(), 0);
}

static void use_everything(const peer *service) {
  stack use = {.options = peer_options(service)};
  int64_t rows = 0;
  CHECK_INT(stack_open(&use), MS_OK);
  (void)drain(use.split, &rows);
  stack_free(&use);
}

static void no_signal_handler_is_touched(void) {
  struct sigaction before[65], after;
  for (int number = 1; number < 65; number++)
    if (sigaction(number, NULL, &before[number]) != 0) before[number].sa_handler = SIG_IGN;
  sigset_t mask_before, mask_after;
  pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
  peer service = {0};
  peer_start(&service);
  use_everything(&service);
  peer_stop(&service);
  for (int number = 1; number < 65; number++)
    if (sigaction(number, NULL, &after) == 0 && after.sa_handler != before[number].sa_handler) check_fail(__FILE__, __LINE__, "signal %d has another handler", number);
  pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
  for (int number = 1; number < 65; number++) CHECK_INT(sigismember(&mask_before, number), sigismember(&mask_after, number));
}

/* A service that closes what it accepts, as soon as it accepts it: whoever writes then gets EPIPE. */
typedef struct {
  int listener;
  atomic_bool stop;
} slammer;

static void *slam(void *argument) {
  slammer *self = argument;
  for (int socket; !atomic_load(&self->stop) && (socket = accept(self->listener, NULL, NULL)) >= 0;) {
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)); /* a reset */
    close(socket);
  }
  return NULL;
}

static void a_peer_that_slams_the_door_raises_no_sigpipe(void) {
  signal(SIGPIPE, SIG_DFL); /* it would end this process */
  peer service = {.data = PEER_CUT_BODY};
  peer_start(&service);
  use_everything(&service);
  slammer door = {0};
  int port = 0;
  door.listener = peer_listen(16, &port);
  pthread_t thread;
  if (pthread_create(&thread, NULL, slam, &door) != 0) abort();
  char endpoint[64], names[40000];
  snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", port);
  memset(names, 'x', sizeof names - 1); /* a long body, so that writing goes on after the reset */
  names[sizeof names - 1] = '\0';
  for (int i = 0; i < 3; i++) {
    stack use = {.options = peer_options(&service)};
    REQUIRE_OK(ms_options_set(use.options, MS_OPT_DATA_ENDPOINT, endpoint, &err));
    for (int column = 0; column < 20; column++) {
      names[0] = (char)('a' + column);
      REQUIRE_OK(ms_options_add(use.options, MS_OPT_COLUMNS, names, &err));
    }
    CHECK_INT(stack_open_session(&use), MS_CONNECTION);
    stack_free(&use);
  }
  atomic_store(&door.stop, true);
  shutdown(door.listener, SHUT_RDWR);
  pthread_join(thread, NULL);
  close(door.listener);
  peer_stop(&service);
}

/* In the child: 0 if every kind of handle says MS_FORKED. */
static int child_of_fork(const stack *use, ms_scan *scan) {
  struct ArrowArray batch;
  struct ArrowArrayStream stream;
  ms_session *session = NULL;
  ms_split *split = NULL;
  ms_scan *other = NULL;
  if (ms_split_next_batch(use->split, &batch, NULL) != MS_FORKED) return 1;
  if (ms_split_try_next_batch(use->split, &batch, NULL) != MS_FORKED) return 2;
  if (ms_split_set_waker(use->split, NULL, NULL, NULL) != MS_FORKED) return 3;
  if (ms_split_ready_fd(use->split) != -1) return 4;
  if (ms_scan_next_batch(scan, &batch, NULL, NULL) != MS_FORKED) return 5;
  if (ms_session_open(use->client, use->options, NULL, &session, NULL) != MS_FORKED) return 6;
  if (ms_session_refresh(use->session, NULL) != MS_FORKED) return 7;
  if (ms_split_open(use->session, 0, NULL, &split, NULL) != MS_FORKED) return 8;
  if (ms_scan_open(use->session, NULL, &other, NULL) != MS_FORKED) return 9;
  if (ms_tables(use->client, "local", NULL, NULL, &stream, NULL) != MS_FORKED) return 10;
  if (ms_session_split_count(use->session) != 1) return 11; /* what a handle knows it still tells */
  ms_bytes *token = NULL;
  ms_client *own = NULL;
  if (ms_session_serialize(use->session, &token, NULL) != MS_OK) return 12;
  if (ms_client_open(use->options, &own, NULL) != MS_OK) return 13; /* and the way on: a client of its own */
  if (ms_session_attach(own, ms_bytes_data(token), ms_bytes_len(token), &session, NULL) != MS_OK) return 14;
  if (ms_split_open(session, 0, NULL, &split, NULL) != MS_OK) return 15;
  int64_t rows = 0;
  if (drain(split, &rows) != MS_OK || rows != 3) return 16;
  ms_split_free(split), ms_session_free(session), ms_client_free(own), ms_bytes_free(token);
  return 0;
}

static void in_a_child_every_kind_of_handle_says_so(void) {
  peer service = {0};
  peer_start(&service);
  stack use = {.options = peer_options(&service)};
  CHECK_INT(stack_open(&use), MS_OK);
  ms_scan *scan = NULL;
  REQUIRE_OK(ms_scan_open(use.session, NULL, &scan, &err));
  const pid_t child = fork_when_quiet();
  if (child == 0) {
    alarm((unsigned)limit_ms(20000) / 1000);
    end_child(child_of_fork(&use, scan));
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  ms_scan_free(scan);
  stack_free(&use);
  peer_stop(&service);
}

int main(void) {
  RUN(loaded_and_unused_it_has_no_thread_no_descriptor_and_no_memory);
  RUN(no_signal_handler_is_touched);
  RUN(a_peer_that_slams_the_door_raises_no_sigpipe);
  RUN(in_a_child_every_kind_of_handle_says_so);
  return check_end();
}
