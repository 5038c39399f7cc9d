/* SPDX-License-Identifier: MIT */
/* datagram.h - UDP and Unix datagrams: endpoints that send and receive whole messages.
 *
 *     "udp://host:port"    a name or an IPv4 address; port 0 is any free one
 *     "udp://[::1]:port"   an IPv6 address
 *     "unix:///path"       a Unix datagram socket, by absolute path; "unix://@name" an abstract one
 *
 * An endpoint has a local address, and a remote one if it is connected: then it receives from there
 * only, and hears of errors of the way there, such as -ECONNREFUSED, which end nothing. Any number
 * of tasks may send and receive at the same time. A datagram may be empty, be lost, come twice or
 * in another order: that is UDP's nature. */
#ifndef HANK_DATAGRAM_H
#define HANK_DATAGRAM_H

#include <hank/address.h>
#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_endpoint hank_endpoint;

/* For hank_endpoint_open(). Zero is the default of each. */
typedef struct hank_endpoint_options {
    bool reuse_port;         /* let several endpoints share the port; the kernel deals out */
    bool broadcast;          /* allow sending to broadcast addresses */
    bool coalesce;           /* let the kernel join datagrams of one sender (GRO), if it can */
    unsigned send_buffer;    /* bytes; 0: the system's */
    unsigned receive_buffer; /* bytes; 0: the system's */
    uint64_t reserved_[4];   /* zero */
} hank_endpoint_options;

/* One of a batch. For receiving, data, size and address are set before, size and segment after. */
typedef struct hank_datagram {
    void *data;
    size_t size;           /* bytes to send; or room, and then the bytes that came, which are cut if
                              they are more than there was room for */
    hank_address *address; /* to; or memory for from; NULL: the connected one, or not wanted */
    unsigned segment; /* cut `data` into datagrams of so many bytes, the last may be shorter; or
                         joined by the kernel from such; 0: it is one datagram */
} hank_datagram;

/* Open an endpoint.
 *
 *   local       where to receive; NULL: any free port, or a nameless Unix socket
 *   remote      where to send to and to receive from; NULL: not connected
 *   options     NULL: all defaults
 *   ret         the endpoint, the caller's to close
 *   result      0; -EINVAL both are NULL, malformed, of two families, or an option is out of its
 *               limits; -EPROTONOSUPPORT; -EADDRINUSE; -EADDRNOTAVAIL; -EACCES; -ENOENT,
 *               -ECONNREFUSED no such Unix socket; -EMFILE; -ENOMEM; a failed lookup; -ECANCELED;
 *               -ETIMEDOUT
 *   waits       for names, if they are not addresses
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_endpoint_open(const char *local, const char *remote,
                                const hank_endpoint_options *options, hank_endpoint **ret);

/* Make an endpoint of a datagram socket: of IPv4, IPv6 or Unix, bound or connected by whoever made
 * it.
 *
 * It is made non-blocking, which concerns everybody who shares it, and closed on exec.
 *
 *   fd          taken if the result is 0
 *   ret         the endpoint, the caller's to close; a file that the socket has stays then
 *   result      0; -EBADF; -EPROTOTYPE it is no such socket; -ENOMEM
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_endpoint_from_fd(int fd, hank_endpoint **ret);

/* The address of this end, as a string for hank_endpoint_open().
 *
 *   ret_name    written and ended by a NUL if the result is 0; "unix://" for a nameless end
 *   n           its size in bytes
 *   result      0; -ENOSPC it does not fit; -EBADF it was closed meanwhile
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_endpoint_name(hank_endpoint *e, char *ret_name, size_t n);

/* The descriptor of an endpoint: for what hank has no call for, as joining a group of multicast.
 *
 * It stays the endpoint's, and nobody may close that while it is used.
 *
 *   result      >= 0; -EBADF it was closed meanwhile
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_endpoint_fd(hank_endpoint *e);

/* Close `e` and free it; tasks that wait in it get -EBADF.
 *
 *   e           taken: no call may begin after this one; NULL is fine
 *   result      none
 *   waits       never
 *   threads     any task, once
 *   since       0.1 */
HANK_API void hank_endpoint_close(hank_endpoint *e);

/* Send a datagram to where `e` is connected to.
 *
 *   n           0 sends an empty one
 *   result      0; -EDESTADDRREQ, -ENOTCONN not connected; -EMSGSIZE too large for a datagram;
 *               -ECONNREFUSED an earlier one found nobody; -ENOBUFS; -EBADF it was closed
 *               meanwhile; -ECANCELED; -ETIMEDOUT; else what the system said, as -ENETUNREACH
 *   waits       while the kernel has no room for it
 *   if stopped  nothing was sent
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_endpoint_send(hank_endpoint *e, const void *buf, size_t n);

/* Send a datagram to an address.
 *
 *   n           0 sends an empty one
 *   to          of the family of `e`
 *   result      as hank_endpoint_send(); -EINVAL, -EAFNOSUPPORT no address, or of another family
 *   waits       while the kernel has no room for it
 *   if stopped  nothing was sent
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_endpoint_send_to(hank_endpoint *e, const void *buf, size_t n,
                                   const hank_address *to);

/* Receive a datagram.
 *
 *   ret_buf     n bytes; a longer datagram is cut to them
 *   ret_from    who sent it, or NULL
 *   result      bytes the datagram had, 0 for an empty one; more than n: the rest is lost;
 *               -ECONNREFUSED nobody received one that was sent; -EBADF it was closed meanwhile;
 *               -ECANCELED; -ETIMEDOUT
 *   waits       for a datagram
 *   if stopped  none was taken
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API ssize_t hank_endpoint_recv(hank_endpoint *e, void *ret_buf, size_t n,
                                    hank_address *ret_from);

/* Send many datagrams with few calls of the system.
 *
 * With `segment` one entry is many datagrams, which the kernel cuts (GSO) if it can and hank if
 * not.
 *
 *   list        n entries; only read
 *   result      how many entries were sent, at least 1 unless n is 0: if it is less than n, the
 *               next call says why; else as hank_endpoint_send_to(), -EINVAL also for a segment of
 *               more than 65535 bytes
 *   waits       while the kernel has no room for the first
 *   if stopped  those that the result counts were sent, and maybe the first segments of the next
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API ssize_t hank_endpoint_send_batch(hank_endpoint *e, const hank_datagram *list, size_t n);

/* Receive what has come, at most n datagrams, with few calls of the system.
 *
 *   list        n entries; of as many as the result says, size, *address and segment are written
 *   result      how many were received, at least 1 unless n is 0; else as hank_endpoint_recv()
 *   waits       for the first
 *   if stopped  none was taken
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API ssize_t hank_endpoint_recv_batch(hank_endpoint *e, hank_datagram *list, size_t n);

#ifdef __cplusplus
}
#endif
#endif
