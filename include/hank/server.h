/* SPDX-License-Identifier: MIT */
/* server.h - a server with a life: started, stopped gracefully, watched over.
 *
 *     hank_server *v;
 *     rc = hank_server_open("tcp://[::]:80", &(hank_server_options){.connections_max = 1000}, &v);
 *     task = hank_spawn(run, v);                 which calls hank_server_run(v, handler, arg)
 *     ...
 *     rc = hank_server_stop(v, HANK_SEC(10));    accepts no more, lets handlers finish, cancels
 *     rc = hank_await(task);                     the rest after ten seconds, and waits for them
 *     hank_server_free(v);
 *
 * hank_serve() is the small form, for a program that ends when its server does. */
#ifndef HANK_SERVER_H
#define HANK_SERVER_H

#include <hank/base.h>
#include <hank/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_server hank_server;

/* hank_server_options.acceptors: as many as there are workers. */
#define HANK_PER_WORKER (~0u)

/* For hank_server_open(). Zero is the default of each. */
typedef struct hank_server_options {
    hank_listen_options listen;
    hank_socket_options socket; /* of every connection */
    unsigned connections_max;   /* served at a time; more wait in the kernel's line; 0: no limit */
    unsigned acceptors;         /* listeners that share an address, each with a task that accepts;
                                   not of Unix sockets; 0: 1; <= 1024 */
    hank_ns header_timeout;     /* from the start, and so with a handshake of TLS, to
                                   hank_header_end(); 0: none */
    hank_ns idle_timeout;       /* without a byte in either direction; 0: none */
    uint64_t reserved_[4];      /* zero */
} hank_server_options;

/* Make a server, which listens but does not accept yet.
 *
 * It listens at every address of a name: of "localhost", at those of IPv4 and of IPv6. One that
 * this machine has not is left out, unless there is no other; any other failure closes what was
 * opened. Port 0 is a free one, the same at all of them. "tcp://[::]:port" is every address of the
 * machine, of IPv4 too.
 *
 *   options     NULL: all defaults
 *   ret         the server, the caller's to free
 *   result      as hank_listen(); -EINVAL also for an option out of its limits; -EPERM outside a
 *               task
 *   waits       for the name, if it is not an address
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_server_open(const char *where, const hank_server_options *options,
                              hank_server **ret);

/* Make a server of a listener, as from hank_listen_activated(); hank_server_add() gives it more.
 *
 *   l           taken if the result is 0
 *   options     NULL: all defaults; `listen` and `acceptors` are not used
 *   ret         the server, the caller's to free
 *   result      0; -EINVAL; -ENOMEM; what its socket refuses of options.socket
 *   waits       never
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_server_adopt(hank_listener *l, const hank_server_options *options,
                               hank_server **ret);

/* Let a server accept from one more listener: at another port, or over TLS.
 *
 *   l           taken if the result is 0
 *   result      0; -EINVAL; -EBUSY it runs, has run or was stopped; what its socket refuses of
 *               options.socket
 *   waits       never for long
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_server_add(hank_server *v, hank_listener *l);

/* The listeners of a server, those of hank_server_open() first: for their names, and for options of
 * their sockets.
 *
 *   i           which of them, from 0
 *   result      the listener, which stays the server's and is good until that ends accepting; NULL:
 *               there are not so many, or it accepts no more
 *   waits       never for long
 *   threads     any task or thread, at the same time, while it is open
 *   since       0.1 */
HANK_API hank_listener *hank_server_listener(hank_server *v, unsigned i);

/* Where it listens, as a string to connect to: the name of the first of its listeners.
 *
 *   ret_name    written and ended by a NUL if the result is 0
 *   n           its size in bytes
 *   result      0; -ENOSPC it does not fit; -EBADF it accepts no more
 *   waits       never
 *   threads     any task or thread, at the same time, while it is open
 *   since       0.1 */
HANK_API int hank_server_name(hank_server *v, char *ret_name, size_t n);

/* Accept connections, each with a task that runs handler(stream, arg), until stopped.
 *
 * A stream is closed when its handler returns; a negative result goes to the on_error hook. When
 * descriptors or memory run out, it pauses and tries again.
 *
 *   handler     called by several tasks at the same time
 *   arg         kept until it returns
 *   result      0 after hank_server_stop(); -ECANCELED; -ETIMEDOUT; what a listener failed with;
 *               -EINVAL handler is NULL; -EBUSY it runs or has run; -EPERM outside a task
 *   waits       until stopped, and then for every handler
 *   if stopped  accepts no more, cancels the handlers, and returns when every one has ended
 *   threads     any task, once
 *   since       0.1
 *   cost        a task and a stream for each connection */
HANK_API int hank_server_run(hank_server *v, int (*handler)(hank_stream *s, void *arg), void *arg);

/* Stop gracefully: accept no more, let the handlers finish, cancel those that have not after
 * `drain` and wait for them. Called again, the earlier end counts.
 *
 *   drain       how long handlers may take; <= 0 cancels them at once; HANK_FOREVER never
 *   result      0 all have ended; -ECANCELED, -ETIMEDOUT: it is being stopped all the same
 *   waits       until hank_server_run() is about to return; not if it has not begun
 *   if stopped  it does not wait for the end
 *   threads     any task or thread but a handler of `v`, at the same time
 *   since       0.1 */
HANK_API int hank_server_stop(hank_server *v, hank_ns drain);

/* Wait until the server has been stopped and every handler has ended.
 *
 *   result      0; -ECANCELED; -ETIMEDOUT
 *   waits       until hank_server_run() is about to return, also if it has not begun
 *   if stopped  nothing changed
 *   threads     any task or thread but a handler of `v`, at the same time
 *   since       0.1 */
HANK_API int hank_server_wait_closed(hank_server *v);

/* End every connection there is: what was written is still sent, then the client reads 0. Handlers
 * read 0 and write -EPIPE.
 *
 * Over TLS the client reads 0 if the farewell can be sent at once. It cannot while the handler is
 * in the middle of a write, nor before hands have been shaken: then the client gets
 * HANK_TLS_TRUNCATED.
 *
 *   result      how many there were
 *   waits       never for long
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_server_close_clients(hank_server *v);

/* Break every connection there is: clients get -ECONNRESET, handlers -ECONNABORTED.
 *
 *   result      how many there were
 *   waits       never for long
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_server_abort_clients(hank_server *v);

/* The connections that are being served at this moment.
 *
 *   result      their number
 *   waits       never for long
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_server_clients(hank_server *v);

/* Whether it accepts connections: hank_server_run() has begun, and nobody has stopped it.
 *
 *   result      true or false, which may be old news when it is looked at; false also while the
 *               last handlers finish
 *   waits       never for long
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API bool hank_server_is_serving(hank_server *v);

/* Free a server that does not run, or not any more. Running is a panic that names it and the task.
 *
 *   v           taken; NULL is fine
 *   result      none
 *   waits       never
 *   threads     any task, once
 *   since       0.1 */
HANK_API void hank_server_free(hank_server *v);

/* In a handler: the client has said what it wants, header_timeout counts no more.
 *
 * After a header_timeout, reads of the handler fail with -ETIMEDOUT, for ever; it may still write
 * its last words, over TLS if hands have been shaken. After an idle_timeout reads and writes do,
 * and the client is told as by hank_server_close_clients().
 *
 *   result      0; -ENOTSUP the stream is not from a hank_server
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_header_end(hank_stream *s);

/* In a handler: the next request is expected, and has header_timeout from now to be complete.
 *
 *   result      0; -ENOTSUP the stream is not from a hank_server
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_header_begin(hank_stream *s);

#ifdef __cplusplus
}
#endif
#endif
