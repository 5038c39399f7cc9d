/* SPDX-License-Identifier: MIT */
/* server.h - what the bare servers share: their command line, their sockets, their answer.
 *
 *   SERVER echo|http PORT THREADS     port 0: any; the first line printed is where it listens
 *
 * Each thread has its own listening socket on the same port (SO_REUSEPORT) and its own loop: the
 * fastest arrangement we know of, and the one without any sharing between threads. */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>

enum { SERVER_BACKLOG = 4096 };

#define SERVER_ANSWER                                                                              \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, World!\n"

#ifdef __cplusplus
extern "C" {
#endif

/* A listening socket on 127.0.0.1:`*port`, which is filled in if it was 0; or a negative errno. */
int server_listen(unsigned short *port, bool nonblocking);

/* 50 ms of computing if an echo message asks for it; see load.c. */
void server_hog(const char *message);

/* Parse the command line, announce the address and run `loop(fd, http)` in every thread; the
 * exit status of the program. */
int server_main(int argc, char **argv, bool nonblocking, void (*loop)(int listener, bool http));

#ifdef __cplusplus
}
#endif
#endif
