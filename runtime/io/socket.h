/* SPDX-License-Identifier: MIT */
/* socket.h - what connecting and accepting share: sockets as streams, and their names. */
#ifndef HK_IO_SOCKET_H
#define HK_IO_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/stream.h"
#include "io/where.h"

/* Put `fd` into a fresh stream of kind hk_stream_socket and set what hank sets on every connection.
 * The stream then owns it. */
void hk_socket_adopt(hank_stream *s, int fd, int family);

/* As hank_stream_set_options(), for a socket of that family. */
HK_MUST_CHECK int hk_socket_set_options(int fd, int family, const hank_socket_options *options);

/* For a socket that somebody else made: its family if it is of that type, else -EPROTOTYPE or what
 * the system says; and what hank wants of every descriptor, non-blocking and closed on exec. */
int hk_socket_family(int fd, int type);
HK_MUST_CHECK int hk_socket_take(int fd);

/* Turn an option on; what the system says. */
int hk_socket_enable(int fd, int level, int option);

/* Wait for something that nothing tells of: each time twice as long, up to a limit. `pause_ns` is 0
 * before the first. 0; -ECANCELED; -ETIMEDOUT. */
HK_MUST_CHECK int hk_pause(int64_t *pause_ns);

#endif
