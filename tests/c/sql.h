/* Statements for a service that asks nobody who he is (--no-auth): tables that TPC-H has not. */
#ifndef SQL_H
#define SQL_H

#include "service.h"

/* Sends a request and reads the answer to its end, at most `room` - 1 bytes of it; false if there is none. */
static inline bool sql_exchange(const char *endpoint, const char *request, char *answer, size_t room) {
  int port = 0;
  if (sscanf(endpoint, "http://127.0.0.1:%d/", &port) != 1) return false;
  const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  size_t length = 0;
  if (connect(connection, (const struct sockaddr *)&at, sizeof at) == 0) {
    peer_send(connection, request, strlen(request));
    ssize_t taken;
    while (length < room - 1 && (taken = read(connection, answer + length, room - 1 - length)) > 0) length += (size_t)taken;
  }
  close(connection);
  answer[length] = '\0';
  return length > 0;
}

/* Runs a statement of project `local` to its end; it must have nothing that XML would change. */
static inline bool sql_run(const own_server *server, const char *statement) {
  char *request = malloc(strlen(statement) + 1024), answer[8192];
  char *body = malloc(strlen(statement) + 512);
  sprintf(body, "<Instance><Job><Priority>9</Priority><Tasks><SQL><Name>T</Name><Query>%s</Query></SQL></Tasks></Job></Instance>", statement);
  sprintf(request, "POST /api/projects/local/instances HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/xml\r\nContent-Length: %zu\r\n\r\n%s",
          strlen(body), body);
  bool done = sql_exchange(server->endpoint, request, answer, sizeof answer);
  const char *id = done ? strstr(answer, "/instances/") : NULL;
  char place[128] = "";
  if (id != NULL) snprintf(place, sizeof place, "%.*s", (int)strcspn(id, "\r\n"), id);
  done = id != NULL;
  for (const int64_t end = now_ms() + limit_ms(20000); done;) { /* the service holds the question back until there is news */
    snprintf(answer, 512, "GET /api/projects/local%s?taskstatus&instancestatus HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", place);
    strcpy(request, answer);
    done = sql_exchange(server->endpoint, request, answer, sizeof answer);
    if (strstr(answer, "Success") != NULL) break;
    if (strstr(answer, "Failed") != NULL || now_ms() > end) done = false;
  }
  if (!done) check_fail(__FILE__, __LINE__, "%s: %s", statement, answer);
  free(body);
  free(request);
  return done;
}

#endif
