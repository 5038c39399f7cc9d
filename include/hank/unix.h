/* SPDX-License-Identifier: MIT */
/* unix.h - what only Unix sockets can do: hand over descriptors, and say who is at the other end.
 */
#ifndef HANK_UNIX_H
#define HANK_UNIX_H

#include <hank/base.h>
#include <hank/datagram.h>
#include <hank/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most descriptors one call passes on: the kernel's limit. */
enum { HANK_FDS_MAX = 253 };

/* Who was at the other end when it connected. */
typedef struct hank_credentials {
    int64_t process; /* its id; it may have ended since */
    uint32_t user;
    uint32_t group;
} hank_credentials;

/* Make two connected Unix sockets.
 *
 *   ret_a       a stream, the caller's to close, as *ret_b is
 *   result      0; -EMFILE; -ENFILE; -ENOMEM
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_stream_pair(hank_stream **ret_a, hank_stream **ret_b);

/* Write all n bytes, and have descriptors come with the first of them.
 *
 *   n           at least 1
 *   fds         stay the caller's: the other end gets copies; 1 to HANK_FDS_MAX
 *   result      0; -EINVAL n or count is out of its limits; -EBADF one is not open, or `s` was
 *               closed meanwhile; -ENOTSUP not a Unix socket; -EPIPE also if it is corked and holds
 *               bytes that cannot be sent; -ETOOMANYREFS; else as hank_write()
 *   waits       while the kernel has no room for the rest
 *   if stopped  a part may have been sent
 *   threads     any task, one writer at a time
 *   since       0.1 */
HANK_API int hank_send_fds(hank_stream *s, const void *buf, size_t n, const int *fds, size_t count);

/* Read what there is, at most n bytes, and the descriptors that came with the first of them.
 *
 * A plain hank_read() closes what comes with the bytes it reads.
 *
 *   ret_buf     n bytes, at least 1; only as many as the result says are written
 *   ret_fds     *count descriptors, closed on exec, the caller's to close
 *   count       room in ret_fds; set to how many were put there. What has no room is closed
 *   result      as hank_read(); -EINVAL n == 0; -ENOTSUP not a Unix socket; -EMFILE there were no
 *               numbers for the descriptors: they and the bytes are lost
 *   waits       while there is nothing
 *   if stopped  nothing was read
 *   threads     any task, one reader at a time
 *   since       0.1 */
HANK_API ssize_t hank_recv_fds(hank_stream *s, void *ret_buf, size_t n, int *ret_fds,
                               size_t *count);

/* Send a datagram, and descriptors with it.
 *
 *   d           data, size, which may be 0, and address; segment is 0
 *   fds         stay the caller's: the other end gets copies; 1 to HANK_FDS_MAX
 *   result      0; -EINVAL count is out of its limits, or `d` has a segment or an empty address;
 *               -EBADF one is not open, or `e` was closed meanwhile; -ENOTSUP not a Unix socket;
 *               -ETOOMANYREFS too many are on their way; else as hank_endpoint_send_to()
 *   waits       while the receiver or the kernel has no room for it
 *   if stopped  nothing was sent
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_endpoint_send_fds(hank_endpoint *e, const hank_datagram *d, const int *fds,
                                    size_t count);

/* Receive a datagram, and the descriptors that came with it.
 *
 * Other ways to receive close what comes with a datagram. One that is cut to its room keeps its
 * descriptors.
 *
 *   d           as for hank_endpoint_recv_batch(): data, size and address are set before; if the
 *               result is 0, size is the bytes the datagram had, which may be more than the room
 *   ret_fds     *count descriptors, closed on exec, the caller's to close
 *   count       room in ret_fds; set to how many were put there. What has no room is closed
 *   result      0; -ENOTSUP not a Unix socket; -EMFILE there were no numbers for the descriptors:
 *               they and the datagram are lost; else as hank_endpoint_recv()
 *   waits       for a datagram
 *   if stopped  none was taken
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_endpoint_recv_fds(hank_endpoint *e, hank_datagram *d, int *ret_fds,
                                    size_t *count);

/* Who connected, or who listened: the process, user and group of the other end.
 *
 *   result      0; -ENOTSUP not a Unix socket, or a system that does not tell; -EBADF it was closed
 *               meanwhile
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_peer_credentials(hank_stream *s, hank_credentials *ret);

#ifdef __cplusplus
}
#endif
#endif
