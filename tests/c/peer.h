/* A service of a few lines for what a real one does not do on request: stall for ever, cut a body, answer nonsense.
 *
 * peer_start() listens on a loopback port; every connection has a thread; each kind of request follows its rule in `peer_rules`.
 * The table it pretends to have is one nullable bigint column `id` in one split of three rows. peer_stop() wakes and joins all. */
#ifndef PEER_H
#define PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arrow_stream.h"
#include "check.h"

enum peer_rule {
  PEER_ANSWER,         /* as a service would */
  PEER_STALL,          /* read the request and never answer */
  PEER_REFUSE,         /* 503 with an error document */
  PEER_DENY,           /* 403 with an error document */
  PEER_GARBAGE,        /* 200 and a body that is not what was asked for */
  PEER_STALL_IN_BODY,  /* data: headers, schema and a batch, then silence */
  PEER_CUT_BODY,       /* data: schema and a batch, then the connection closes without the last chunk */
  PEER_CUT_IN_MESSAGE, /* data: the HTTP message ends properly in the middle of a batch */
  PEER_NO_END_MARKER   /* data: the HTTP message ends properly after a batch, without the Arrow end marker */
};

enum { PEER_MAX_CONNECTIONS = 256 };
static const char peer_request_id[] = "peer-request-7";

typedef struct {
  enum peer_rule create, data; /* POST sessions; GET data. Set before the client is opened. */
  int listener, stop[2];       /* the pipe becomes readable when the peer stops */
  char endpoint[64];           /* the service endpoint; the data endpoint is peer_data_endpoint */
  char data_endpoint[64];
  atomic_int creates, reads;   /* requests seen */
  atomic_int grants;           /* how often GET /credentials was asked, which answers an AccessKey for an hour */
  pthread_t acceptor, threads[PEER_MAX_CONNECTIONS];
  int count;
} peer;

typedef struct {
  peer *owner;
  int socket;
} peer_connection;

/* Waits until the socket has something to read; false when the peer stops. */
static inline bool peer_wait(const peer *owner, int socket) {
  struct pollfd waits[2] = {{.fd = owner->stop[0], .events = POLLIN}, {.fd = socket, .events = POLLIN}};
  while (poll(waits, 2, -1) < 0) continue;
  return waits[0].revents == 0;
}

static inline void peer_send(int socket, const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    const ssize_t sent = send(socket, at, length, MSG_NOSIGNAL);
    if (sent <= 0) return; /* the client went away, as it may */
    at += sent;
    length -= (size_t)sent;
  }
}

static inline void peer_send_document(int socket, const char *status, const char *document) {
  char answer[2048];
  const int length = snprintf(answer, sizeof answer,
                              "HTTP/1.1 %s\r\nContent-Type: application/json\r\nx-odps-request-id: %s\r\nContent-Length: %zu\r\n\r\n%s",
                              status, peer_request_id, strlen(document), document);
  peer_send(socket, answer, (size_t)length);
}

static inline void peer_send_chunk(int socket, const void *bytes, size_t length) {
  char size[32];
  peer_send(socket, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", length));
  peer_send(socket, bytes, length);
  peer_send(socket, "\r\n", 2);
}

/* Answers a read of rows. Returns false if the connection must close. */
static inline bool peer_send_rows(const peer *owner, int socket, enum peer_rule rule) {
  char head[256];
  peer_send(socket, head,
            (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-odps-request-id: %s\r\n\r\n", peer_request_id));
  if (rule == PEER_GARBAGE) {
    peer_send_chunk(socket, "this is not an Arrow stream, and long enough to look at", 55);
    peer_send(socket, "0\r\n\r\n", 5);
    return true;
  }
  peer_send_chunk(socket, stream_schema, sizeof stream_schema);
  peer_send_chunk(socket, stream_batch, rule == PEER_CUT_IN_MESSAGE ? sizeof stream_batch - 8 : sizeof stream_batch);
  if (rule == PEER_STALL_IN_BODY) {
    while (peer_wait(owner, socket)) { /* wakes when the client closes; then nothing is left to do */
      char byte;
      if (recv(socket, &byte, 1, 0) <= 0) break;
    }
    return false;
  }
  if (rule == PEER_CUT_BODY) return false;
  if (rule == PEER_ANSWER) peer_send_chunk(socket, stream_end, sizeof stream_end);
  peer_send(socket, "0\r\n\r\n", 5);
  return true;
}

/* Answers who asks for credentials as a credentials service does. */
static inline void peer_grant(peer *owner, int socket) {
  char document[256], end[32];
  const time_t later = time(NULL) + 3600;
  struct tm parts;
  strftime(end, sizeof end, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&later, &parts));
  snprintf(document, sizeof document,
           "{\"Code\":\"Success\",\"AccessKeyId\":\"STS.uri\",\"AccessKeySecret\":\"secret\",\"SecurityToken\":\"token\",\"Expiration\":\"%s\"}", end);
  atomic_fetch_add(&owner->grants, 1);
  peer_send_document(socket, "200 OK", document);
}

static inline bool peer_answer(peer *owner, int socket, const char *request) {
  static const char ready[] =
      "{\"SessionId\":\"peer-session\",\"SessionType\":\"batch_read\",\"SessionStatus\":\"NORMAL\",\"ExpirationTime\":4102444800000,"
      "\"SplitMode\":\"Size\",\"SplitsCount\":1,\"RecordCount\":-1,\"DataSchema\":{\"DataColumns\":[{\"Name\":\"id\",\"Type\":\"bigint\","
      "\"Nullable\":true}],\"PartitionColumns\":[]},\"SupportedDataFormat\":[{\"Type\":\"ARROW\",\"Version\":\"V5\"}]}";
  if (strncmp(request, "GET /credentials ", 17) == 0) {
    peer_grant(owner, socket);
    return true;
  }
  const bool create = strncmp(request, "POST ", 5) == 0;
  const bool data = strstr(request, "/data?") != NULL;
  atomic_fetch_add(create ? &owner->creates : &owner->reads, create || data ? 1 : 0);
  const enum peer_rule rule = create ? owner->create : data ? owner->data : PEER_ANSWER;
  switch (rule) {
    case PEER_STALL: peer_wait(owner, owner->stop[0]); return false;
    case PEER_REFUSE: peer_send_document(socket, "503 Service Unavailable", "{\"Code\":\"ServiceUnavailable\",\"Message\":\"come back later\"}"); return true;
    case PEER_DENY: peer_send_document(socket, "403 Forbidden", "{\"Code\":\"NoPermission\",\"Message\":\"you may not read this\"}"); return true;
    default: break;
  }
  if (data) return peer_send_rows(owner, socket, rule);
  peer_send_document(socket, create ? "201 Created" : "200 OK", rule == PEER_GARBAGE ? "<html>not here</html>" : ready);
  return true;
}

static inline void *peer_serve(void *argument) {
  const peer_connection connection = *(peer_connection *)argument;
  free(argument);
  char request[8192];
  size_t have = 0;
  while (peer_wait(connection.owner, connection.socket)) {
    const ssize_t got = recv(connection.socket, request + have, sizeof request - 1 - have, 0);
    if (got <= 0) break;
    have += (size_t)got;
    request[have] = '\0';
    const char *end = strstr(request, "\r\n\r\n");
    if (end == NULL) continue;
    const char *field = strstr(request, "ontent-length:");
    if (field == NULL) field = strstr(request, "ontent-Length:");
    const size_t body = field != NULL && field < end ? strtoul(field + 14, NULL, 10) : 0;
    if (have < (size_t)(end + 4 - request) + body) continue;
    have = 0;
    if (!peer_answer(connection.owner, connection.socket, request)) break;
  }
  close(connection.socket);
  return NULL;
}

static inline void *peer_accept(void *argument) {
  peer *const owner = argument;
  while (peer_wait(owner, owner->listener) && owner->count < PEER_MAX_CONNECTIONS) {
    const int socket = accept(owner->listener, NULL, NULL);
    if (socket < 0) continue;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* small chunks leave at once */
    peer_connection *connection = malloc(sizeof *connection);
    if (connection == NULL) abort();
    *connection = (peer_connection){owner, socket};
    if (pthread_create(&owner->threads[owner->count], NULL, peer_serve, connection) != 0) abort();
    owner->count++;
  }
  return NULL;
}

/* Listens on a free loopback port with the given number of waiting connections; returns the socket, -1 on failure. */
static inline int peer_listen(int backlog, int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, backlog) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    return -1;
  *port = ntohs(address.sin_port);
  return listener;
}

static inline void peer_start(peer *self) {
  int port = 0;
  self->listener = peer_listen(64, &port);
  if (self->listener < 0 || pipe(self->stop) != 0) abort();
  snprintf(self->endpoint, sizeof self->endpoint, "http://127.0.0.1:%d/api", port);
  snprintf(self->data_endpoint, sizeof self->data_endpoint, "http://127.0.0.1:%d", port);
  if (pthread_create(&self->acceptor, NULL, peer_accept, self) != 0) abort();
}

static inline void peer_stop(peer *self) {
  close(self->stop[1]); /* every thread waits on the other end */
  pthread_join(self->acceptor, NULL);
  for (int i = 0; i < self->count; i++) pthread_join(self->threads[i], NULL);
  close(self->stop[0]);
  close(self->listener);
}

/* Sets several options; stops at the first that fails. The list ends with NULL. */
static inline ms_status set_all(ms_options *options, const char *const *pairs) {
  ms_status status = MS_OK;
  for (; status == MS_OK && pairs[0] != NULL; pairs += 2) {
    drop_error();
    status = ms_options_set(options, pairs[0], pairs[1], &err);
  }
  return status;
}

/* Options for this peer: no discovery, one attempt, a table, short timeouts. */
static inline ms_options *peer_options(const peer *self) {
  ms_options *options = ms_options_new();
  const char *const pairs[] = {MS_OPT_ENDPOINT, self->endpoint, MS_OPT_DATA_ENDPOINT, self->data_endpoint,
                               MS_OPT_ACCESS_KEY_ID, "local", MS_OPT_ACCESS_KEY_SECRET, "local",
                               MS_OPT_TABLE, "local.default.rows", MS_OPT_RETRY_MAX_ATTEMPTS, "1",
                               MS_OPT_CONNECT_TIMEOUT_MS, "2000", NULL};
  if (set_all(options, pairs) != MS_OK) check_fail(__FILE__, __LINE__, "options: %s", ms_error_message(err));
  return options;
}

/* Everything between options and an open split at the peer; freed by stack_free in any state. */
typedef struct {
  ms_options *options;
  ms_client *client;
  ms_session *session;
  ms_split *split;
} stack;

static inline ms_status stack_open_session(stack *self) {
  drop_error();
  ms_status status = ms_client_open(self->options, &self->client, &err);
  if (status == MS_OK) status = ms_session_open(self->client, self->options, NULL, &self->session, &err);
  return status;
}

static inline ms_status stack_open(stack *self) {
  ms_status status = stack_open_session(self);
  if (status == MS_OK) status = ms_split_open(self->session, 0, self->options, &self->split, &err);
  return status;
}

static inline void stack_free(stack *self) {
  ms_split_free(self->split);
  ms_session_free(self->session);
  ms_client_free(self->client);
  ms_options_free(self->options);
  *self = (stack){0};
}

/* Reads a split to its end or first failure; counts rows. Keeps the failure in `err`. */
static inline ms_status drain(ms_split *split, int64_t *rows) {
  for (;;) {
    struct ArrowArray batch;
    drop_error();
    const ms_status status = ms_split_next_batch(split, &batch, &err);
    if (status != MS_OK || batch.release == NULL) return status;
    *rows += batch.length;
    batch.release(&batch);
  }
}

#endif
