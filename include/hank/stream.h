/* SPDX-License-Identifier: MIT */
/* stream.h - TCP and Unix sockets: connect, listen, accept, read, write, serve.
 *
 * Where to is a string:
 *
 *     "tcp://host:port"    a name or an IPv4 address; port 0 listens on a free one
 *     "tcp://[::1]:port"   an IPv6 address
 *     "unix:///path"       a Unix socket, by absolute path
 *
 * One that is malformed is -EINVAL: an empty host, one over 253 bytes, a port that is missing, not
 * a number or over 65535. A name that cannot be looked up gives a number below -4095, for which
 * hank_strerror() has words. An unknown scheme is -EPROTONOSUPPORT.
 *
 * A stream owns its descriptor. One task may read while another writes; a second reader or a
 * second writer gets -EBUSY. Writing to a stream whose other end is gone is -EPIPE, never SIGPIPE.
 * Beside the codes named below, a call returns what the system said: -ECONNREFUSED, -ECONNRESET. */
#ifndef HANK_STREAM_H
#define HANK_STREAM_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_stream hank_stream;
typedef struct hank_listener hank_listener;

/* The longest line hank_read_line() reads, its '\n' included, however large the buffer. */
enum { HANK_LINE_MAX = 65536 };

/* For hank_listen_opt(). Zero is the default of each. */
typedef struct hank_listen_options {
    unsigned backlog; /* connections the kernel holds for accept; 0: its own limit */
    bool reuse_port;  /* let several listeners share the port; the kernel deals out connections */
    uint64_t reserved_[2]; /* zero */
} hank_listen_options;

/* Look up a name, and connect to the first of its addresses that answers.
 *
 *   ret         the stream, the caller's to close
 *   result      0; -EINVAL; -EPROTONOSUPPORT; -EMFILE; -ENOMEM; a failed lookup; the failure of
 *               the last address; -ECANCELED; -ETIMEDOUT, which may also
 *               be the network's
 *   waits       for the name and for the connection
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_connect(const char *where, hank_stream **ret);

/* Listen for connections.
 *
 *   ret         the listener, the caller's to close
 *   result      0; -EINVAL; -EPROTONOSUPPORT; -EADDRINUSE; -EACCES; -EMFILE; -ENOMEM; a failed
 *               lookup; -ECANCELED; -ETIMEDOUT
 *   waits       for the name, if it is not an address
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_listen(const char *where, hank_listener **ret);

/* The same with options.
 *
 *   options     NULL: all defaults
 *   ret         the listener, the caller's to close
 *   result      as hank_listen()
 *   waits       for the name, if it is not an address
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_listen_opt(const char *where, const hank_listen_options *options,
                             hank_listener **ret);

/* Where `l` listens, as a string to connect to: "tcp://127.0.0.1:40123".
 *
 *   ret_name    written and ended by a NUL if the result is 0
 *   n           its size in bytes
 *   result      0; -ENOSPC it does not fit
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_listener_name(hank_listener *l, char *ret_name, size_t n);

/* Stop listening and free `l`; a task that waits to accept from it gets -EBADF.
 *
 *   l           taken: no call may begin after this one; NULL is fine
 *   result      none
 *   waits       never
 *   threads     any task, once
 *   since       0.1 */
HANK_API void hank_listener_close(hank_listener *l);

/* Take the next connection.
 *
 *   ret         the stream, the caller's to close
 *   result      0; -EBUSY another task is accepting from `l`; -EBADF it was closed meanwhile;
 *               -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: the connection stays in line; -ECANCELED;
 *               -ETIMEDOUT
 *   waits       for a connection
 *   if stopped  none was taken
 *   threads     any task or thread, one at a time
 *   since       0.1 */
HANK_API int hank_accept(hank_listener *l, hank_stream **ret);

/* Accept connections until stopped, each with a task that runs handler(stream, arg).
 *
 * A stream is closed when its handler returns; a negative result goes to the on_error hook and the
 * others go on. When descriptors or memory run out, it pauses and tries again.
 *
 *   handler     called by several tasks at the same time
 *   arg         kept until hank_serve() returns
 *   result      -ECANCELED; -ETIMEDOUT; what the listener failed with; -EINVAL handler is NULL;
 *               -EBUSY another task is accepting from `l`; -EPERM outside a task. Never >= 0
 *   waits       until stopped, or until the listener is closed or fails
 *   if stopped  accepts no more, cancels the handlers, and returns when every one has ended
 *   threads     any task, one for each listener
 *   since       0.1
 *   cost        a task and a stream for each connection */
HANK_API int hank_serve(hank_listener *l, int (*handler)(hank_stream *s, void *arg), void *arg);

/* The address of the other end, in the form of hank_connect().
 *
 *   ret_name    written and ended by a NUL if the result is 0; "unix://" for a nameless end
 *   n           its size in bytes
 *   result      0; -ENOSPC it does not fit; -ENOTCONN
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_stream_peer(hank_stream *s, char *ret_name, size_t n);

/* The address of this end, in the form of hank_connect().
 *
 *   ret_name    written and ended by a NUL if the result is 0; "unix://" for a nameless end
 *   n           its size in bytes
 *   result      0; -ENOSPC it does not fit
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_stream_local(hank_stream *s, char *ret_name, size_t n);

/* Read what there is, at most n bytes.
 *
 *   ret_buf     n bytes; only as many as the result says are written
 *   result      1 to n bytes; 0 at the end of the stream, or n == 0; -EBUSY another task reads;
 *               -EBADF it was closed meanwhile; -ECANCELED; -ETIMEDOUT
 *   waits       while there is nothing
 *   if stopped  nothing was read
 *   threads     any task, one reader at a time
 *   since       0.1 */
HANK_API ssize_t hank_read(hank_stream *s, void *ret_buf, size_t n);

/* Read exactly n bytes.
 *
 *   ret_buf     n bytes; what it holds after a failure is not said
 *   result      0; -EPIPE the stream ended before; else as hank_read()
 *   waits       until all have come
 *   if stopped  a part may have been read and is lost: the stream is good only for closing
 *   threads     any task, one reader at a time
 *   since       0.1 */
HANK_API int hank_read_exact(hank_stream *s, void *ret_buf, size_t n);

/* Read a line, up to and including its '\n', and end it by a NUL.
 *
 * The last line of a stream may lack the '\n'. Bytes of value 0 are not special.
 *
 *   ret_buf     n bytes; untouched unless the result is > 0
 *   n           at least 2: room for the line and the NUL
 *   result      bytes without the NUL; 0 at the end of the stream; -EMSGSIZE the line has more
 *               than n - 1 bytes or HANK_LINE_MAX: nothing was taken, read it another way; -EINVAL
 *               n < 2; -ENOMEM; else as hank_read()
 *   waits       until the line is complete
 *   if stopped  nothing was taken: what has come can still be read
 *   threads     any task, one reader at a time
 *   since       0.1
 *   cost        the stream's first call allocates a buffer */
HANK_API ssize_t hank_read_line(hank_stream *s, char *ret_buf, size_t n);

/* Write all n bytes.
 *
 *   result      0; -EPIPE or -ECONNRESET the other end is gone; -EBUSY another task writes; -EBADF
 *               it was closed meanwhile; -ECANCELED; -ETIMEDOUT. After a
 *               failure, except for -EBUSY, a part may have been sent: the stream is good only for
 *               reading and closing
 *   waits       while the kernel has no room for the rest
 *   if stopped  a part may have been sent
 *   threads     any task, one writer at a time
 *   since       0.1
 *   cost        a system call, shared with the writes of other tasks under HANK_URING; when it
 *               returns, nothing is held back to be sent later */
HANK_API int hank_write(hank_stream *s, const void *buf, size_t n);

/* Say that no more will be written: the other end reads 0 after what was sent.
 *
 *   result      0; -EBUSY another task writes; -ENOTCONN the other end is gone
 *   waits       never
 *   threads     any task, one writer at a time
 *   since       0.1 */
HANK_API int hank_write_end(hank_stream *s);

/* Close `s` and free it; tasks that wait in it get -EBADF. What was written is still sent.
 *
 *   s           taken: no call may begin after this one; NULL is fine
 *   result      none
 *   waits       never
 *   threads     any task, once
 *   since       0.1 */
HANK_API void hank_close(hank_stream *s);

#ifdef __cplusplus
}
#endif
#endif
