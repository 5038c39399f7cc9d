/* SPDX-License-Identifier: MIT */
/* stream.h - TCP, Unix sockets, pipes and terminals: connect, listen, accept, read, write, serve.
 *
 * Where to is a string:
 *
 *     "tcp://host:port"    a name or an IPv4 address; port 0 listens on a free one
 *     "tcp://[::1]:port"   an IPv6 address
 *     "unix:///path"       a Unix socket, by absolute path
 *     "unix://@name"       an abstract one: a name without a file (Linux)
 *
 * One that is malformed is -EINVAL: an empty host, one over 253 bytes, a port that is missing, not
 * a number or over 65535. A name that cannot be looked up gives a number below -4095, for which
 * hank_strerror() has words. An unknown scheme is -EPROTONOSUPPORT.
 *
 * A stream owns its descriptor. One task may read while another writes; a second reader or a
 * second writer gets -EBUSY. Writing to a stream whose other end is gone is -EPIPE, never SIGPIPE.
 * Beside the codes named below, a call returns what the system said: -ECONNREFUSED, -ECONNRESET.
 *
 * A connection that broke stays broken. Whoever of the two meets it first, the reader gets what had
 * come before, then -ECONNRESET (or how else it was lost: -ETIMEDOUT, -EHOSTUNREACH) each time, and
 * never an end; the writer gets -EPIPE or -ECONNRESET. */
#ifndef HANK_STREAM_H
#define HANK_STREAM_H

#include <hank/address.h>
#include <hank/base.h>

#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_stream hank_stream;
typedef struct hank_listener hank_listener;

/* How a socket is to behave. Zero is the default of each; what the system refuses is an error. */
typedef struct hank_socket_options {
    bool delay;               /* TCP may hold back small writes; else each goes at once */
    bool keep_alive;          /* ask a silent other end now and then whether it is there */
    unsigned keep_alive_idle; /* seconds of silence before the first question; 0: the system's */
    unsigned keep_alive_interval; /* seconds between questions; 0: the system's */
    unsigned keep_alive_count;    /* questions without an answer; 0: the system's */
    unsigned send_buffer;         /* bytes; 0: the system's, which grows by itself */
    unsigned receive_buffer;      /* bytes; 0: the system's, which grows by itself */
    unsigned give_up_ms;   /* fail when sent bytes go unacknowledged so long; 0: the system's */
    uint64_t reserved_[2]; /* zero */
} hank_socket_options;

/* What became of one of the addresses that were tried. */
typedef struct hank_connect_attempt {
    hank_address address;
    int result; /* 0 it is the connection; its failure; -ECANCELED: given up, for another was faster
                   or the caller was stopped */
} hank_connect_attempt;

/* All of them, in the order in which they were begun. */
typedef struct hank_connect_attempts {
    unsigned n;
    hank_connect_attempt list[HANK_RESOLVE_MAX];
} hank_connect_attempts;

/* For hank_connect_opt(). Zero is the default of each. */
typedef struct hank_connect_options {
    hank_socket_options socket;
    const char *local; /* the address to connect from, port 0: any; NULL: the system's choice */
    hank_connect_attempts *attempts; /* written, whatever the result; NULL: not wanted */
    uint64_t reserved_[3];           /* zero */
} hank_connect_options;

/* hank_stream_from_fd() */
enum { HANK_KEEP_FD = 1 }; /* the descriptor stays the caller's, the stream uses a copy */

/* For hank_listen_opt(). Zero is the default of each. */
typedef struct hank_listen_options {
    unsigned backlog; /* connections the kernel holds for accept; 0: its own limit */
    bool reuse_port;  /* let several listeners share the port; the kernel deals out connections */
    uint64_t reserved_[2]; /* zero */
} hank_listen_options;

/* Look up a name, and connect to the first of its addresses that answers.
 *
 *   ret         the stream, the caller's to close
 *   result      0; -EINVAL; -EPROTONOSUPPORT; -EMFILE; -ENOMEM; a failed lookup; the failure of the
 *               last address; -ECANCELED; -ETIMEDOUT, which may also be the network's
 *   waits       for the name and for the connection
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_connect(const char *where, hank_stream **ret);

/* The same with options.
 *
 *   options     NULL: all defaults
 *   ret         the stream, the caller's to close
 *   result      as hank_connect(); -EADDRINUSE, -EADDRNOTAVAIL the local address; -EINVAL also if
 *               it is a name, or an option is out of its limits. That of a single address says
 *               options->attempts
 *   waits       for the name and for the connection
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_connect_opt(const char *where, const hank_connect_options *options,
                              hank_stream **ret);

/* Listen for connections.
 *
 * "tcp://[::]:port" takes those of IPv4 too. Of the addresses of a name it is the first that can be
 * had: hank_server_open() listens at all of them.
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

/* Make a listener of a socket that listens already.
 *
 * It is made non-blocking, which concerns everybody who shares it, and closed on exec.
 *
 *   fd          taken if the result is 0
 *   ret         the listener, the caller's to close; a file that the socket has stays then
 *   result      0; -EBADF; -EPROTOTYPE it is no listening stream socket; -ENOMEM
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_listener_from_fd(int fd, hank_listener **ret);

/* Take a listening socket that the service manager opened (LISTEN_PID, LISTEN_FDS).
 *
 *   i           which of them, from 0
 *   ret         the listener, the caller's to close
 *   result      0; -ENOENT there are not so many, or they are for another process; -EBUSY taken
 *               before; -EPROTOTYPE it is no listening stream socket; -EMFILE; -ENOMEM
 *   waits       never
 *   threads     any task or thread, at the same time; the environment must not change meanwhile
 *   since       0.1 */
HANK_API int hank_listen_activated(unsigned i, hank_listener **ret);

/* Where `l` listens, as a string to connect to: "tcp://127.0.0.1:40123".
 *
 *   ret_name    written and ended by a NUL if the result is 0
 *   n           its size in bytes
 *   result      0; -ENOSPC it does not fit
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_listener_name(hank_listener *l, char *ret_name, size_t n);

/* The descriptor of a listener: for what hank has no call for, as options of sockets.
 *
 * It stays the listener's. To close it, to accept from it or to poll it is to be in hank's way:
 * connections may have been taken out of it already. Nobody may close the listener while it is
 * used.
 *
 *   result      >= 0; -EBADF it was closed meanwhile
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_listener_fd(hank_listener *l);

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

/* Write all n bytes.
 *
 *   result      0; -EPIPE or -ECONNRESET the other end is gone; -EBUSY another task writes; -EBADF
 *               it was closed meanwhile; -ECANCELED; -ETIMEDOUT. After a failure, except for
 *               -EBUSY, a part may have been sent: the stream is good only for reading and closing
 *   waits       while the kernel has no room for the rest
 *   if stopped  a part may have been sent
 *   threads     any task, one writer at a time
 *   since       0.1
 *   cost        a system call, shared with the writes of other tasks under HANK_URING; when it
 *               returns, nothing is held back to be sent later */
HANK_API int hank_write(hank_stream *s, const void *buf, size_t n);

/* Write what there is room for, at most n bytes. Whoever is stopped knows how much has gone: what
 * earlier calls said.
 *
 *   result      1 to n bytes; 0 for n == 0; else as hank_write(), but nothing of `buf` was sent and
 *               the stream is as good as before
 *   waits       while the kernel has no room for one byte. A corked stream holds the n bytes, or
 *               sends what it holds first if they do not fit beside it
 *   if stopped  nothing was sent. Not so over TLS: a part of a record may have been, and the stream
 *               is good only for reading and closing
 *   threads     any task, one writer at a time
 *   since       0.1
 *   cost        as hank_write() */
HANK_API ssize_t hank_write_some(hank_stream *s, const void *buf, size_t n);

/* Write all bytes of n parts, as few calls of the system as possible.
 *
 *   parts       0 to 1024 parts; one may be empty
 *   result      as hank_write(); -EINVAL n is out of its limits, or the parts have more bytes than
 *               SSIZE_MAX
 *   waits       while the kernel has no room for the rest
 *   if stopped  a part may have been sent
 *   threads     any task, one writer at a time
 *   since       0.1 */
HANK_API int hank_writev(hank_stream *s, const struct iovec *parts, int n);

/* From here on, hold back what is written, to send it together.
 *
 * A write that fits into `high` bytes beside what is held waits for nothing. One that does not
 * sends until `low` bytes or less are left, then returns. hank_flush() sends all of it. What is
 * held when the stream is closed is lost.
 *
 *   high        bytes held at most, <= 1 GiB; 0: 64 KiB
 *   low         <= high
 *   result      0; -EINVAL; -EALREADY it is corked; -ENOMEM; -EBUSY another task writes; -EBADF it
 *               was closed meanwhile
 *   waits       never
 *   threads     any task or thread, one writer at a time
 *   since       0.1
 *   cost        allocates `high` bytes */
HANK_API int hank_cork(hank_stream *s, size_t high, size_t low);

/* Send what is held.
 *
 *   result      as hank_write(); 0 if the stream is not corked
 *   waits       until the kernel has taken all of it
 *   if stopped  what has not been sent is still held
 *   threads     any task, one writer at a time
 *   since       0.1 */
HANK_API int hank_flush(hank_stream *s);

/* Send what is held, and hold back no more.
 *
 *   result      as hank_flush(); after a failure it is still corked
 *   waits       until the kernel has taken all of it
 *   if stopped  what has not been sent is still held
 *   threads     any task, one writer at a time
 *   since       0.1 */
HANK_API int hank_uncork(hank_stream *s);

/* How many bytes the stream holds back.
 *
 *   result      their number, 0 if it is not corked; -EBUSY another task writes; -EBADF it was
 *               closed meanwhile
 *   waits       never
 *   threads     any task or thread, one writer at a time
 *   since       0.1 */
HANK_API ssize_t hank_stream_held(hank_stream *s);

/* Say that no more will be written: the other end reads 0 after what was sent.
 *
 *   result      0; -EBUSY another task writes; -ENOTCONN the other end is gone; -ENOTSUP a pipe,
 *               whose only end is hank_close(); what hank_flush() says, if the stream is corked
 *   waits       never, unless it is corked: as hank_flush()
 *   threads     any task, one writer at a time
 *   since       0.1 */
HANK_API int hank_write_end(hank_stream *s);

/* Change how the socket behaves.
 *
 * Those that only TCP has are passed over for a Unix socket.
 *
 *   options     NULL: all defaults. A buffer size of 0 leaves it as it is
 *   result      0; -EINVAL a value the system refuses; -ENOTSOCK; -EBADF it was closed meanwhile
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_stream_set_options(hank_stream *s, const hank_socket_options *options);

/* The descriptor of a stream, or of the one it is a layer over: for what hank has no call for, as
 * other options of sockets.
 *
 * It stays the stream's. To close it, or to read, write or poll it, is to be in hank's way: bytes
 * may have been taken out of it already. Nobody may close the stream while it is used.
 *
 *   result      >= 0; -EBADF there is none, or it was closed meanwhile
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_stream_fd(hank_stream *s);

/* Make a stream of a descriptor: a connected stream socket, a pipe, a FIFO, a terminal or another
 * character device.
 *
 * It is made non-blocking, which concerns everybody who shares it: with HANK_KEEP_FD, pipes and
 * devices are opened a second time instead, and what others share stays as it is. Above 2 it is
 * closed on exec.
 *
 * Where the master of a terminal is gone, its slave reads 0 and writes -EIO. Where no slave is open
 * any more, the master reads what is left, then -EIO until one is; it may still write.
 *
 *   fd          taken if the result is 0, unless `flags` says otherwise
 *   flags       0 or HANK_KEEP_FD
 *   ret         the stream, the caller's to close
 *   result      0; -EBADF; -EINVAL flags; -ENOTSUP a file or directory, which hank/file.h is for,
 *               or with HANK_KEEP_FD the master of a terminal, which opened again is that of
 *               another; -EPROTOTYPE a socket of another type; -ENOMEM; -EMFILE; -EACCES it may not
 *               be opened again
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_stream_from_fd(int fd, unsigned flags, hank_stream **ret);

/* Make a pipe: what is written to one end is read from the other.
 *
 *   ret_read    a stream to read from; writing to it is -EBADF
 *   ret_write   a stream to write to; reading from it is -EBADF
 *   result      0; -EMFILE; -ENFILE; -ENOMEM
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_pipe(hank_stream **ret_read, hank_stream **ret_write);

/* Close `s` and free it; tasks that wait in it get -EBADF. What was written is still sent, except
 * for what a corked stream holds.
 *
 *   s           taken: no call may begin after this one; NULL is fine
 *   result      none
 *   waits       never
 *   threads     any task, once
 *   since       0.1 */
HANK_API void hank_close(hank_stream *s);

/* Close `s` and free it, without a proper end: what the kernel has not sent is dropped, and the
 * other end of a TCP connection gets -ECONNRESET instead of an end.
 *
 *   s           taken: no call may begin after this one; NULL is fine
 *   result      none
 *   waits       never
 *   threads     any task, once
 *   since       0.1 */
HANK_API void hank_abort(hank_stream *s);

#ifdef __cplusplus
}
#endif
#endif
