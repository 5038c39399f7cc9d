/* SPDX-License-Identifier: MIT */
/* layer.h - streams of your own making: over another stream, or over nothing.
 *
 * A layer is a few functions and a pointer. hank calls them as it calls its own sockets: one reader
 * and one writer at a time, never after the end, and every call on streams works on the result:
 * lines, exact reads, corked writes. <hank/tls.h> is made of nothing else. */
#ifndef HANK_LAYER_H
#define HANK_LAYER_H

#include <hank/base.h>
#include <hank/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a layer does. `self` is the pointer given to hank_layer_open(). A reader and a writer may
 * be inside at the same time.
 *
 * read       1 to n bytes, 0 at the end, negative: nothing was read. Waits as hank_read() does
 * write      1 to n bytes that were written, or negative. Waits as hank_write() does
 * write_end  no more will be written; NULL: the layer cannot say so, -ENOTSUP
 * farewell   hank_close() was called, or the server is about to end the connection: the last chance
 *            to say so to the other end, by hank_trywrite(). Called once. Others may still be
 *            inside. Must not wait. May be NULL
 * release    everybody has left: free self. Must not wait. May be NULL */
typedef struct hank_layer {
    ssize_t (*read)(void *self, void *ret_buf, size_t n);
    ssize_t (*write)(void *self, const void *buf, size_t n);
    int (*write_end)(void *self);
    void (*farewell)(void *self);
    void (*release)(void *self);
    uint64_t reserved_[3]; /* zero */
} hank_layer;

/* Make a stream that `layer` reads and writes.
 *
 *   layer       kept until the stream has been closed: a constant
 *   self        kept until layer->release(self)
 *   under       the stream it is over, taken if the result is 0: closed with it. NULL: none
 *   ret         the stream, the caller's to close
 *   result      0; -EINVAL read or write is NULL; -EBADF `under` was closed meanwhile; -ENOMEM
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_layer_open(const hank_layer *layer, void *self, hank_stream *under,
                             hank_stream **ret);

/* Whose stream is it?
 *
 *   result      the self of a stream that hank_layer_open() made with this very `layer`, good until
 *               the stream is closed; NULL for others
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void *hank_layer_self(hank_stream *s, const hank_layer *layer);

/* Write as many bytes as can be written without waiting; a corked stream holds what it has room
 * for.
 *
 *   result      1 to n, or 0 for n == 0; -EAGAIN it would have to wait; -ENOTSUP a stream that
 *               cannot tell; -EBUSY another task writes; -EPIPE; -EBADF; -ECONNRESET
 *   waits       never
 *   threads     any task or thread, one writer at a time
 *   since       0.1 */
HANK_API ssize_t hank_trywrite(hank_stream *s, const void *buf, size_t n);

/* What is put over the connections of a listener.
 *
 * scheme   what hank_listener_name() says instead of "tcp": at most 7 bytes
 * wrap     called by hank_accept(), one at a time; takes `under` if its result is 0. Must not wait:
 *          others are in line
 * release  the listener has been closed and left by all. May be NULL */
typedef struct hank_wrapper {
    const char *scheme;
    int (*wrap)(void *arg, hank_stream *under, hank_stream **ret);
    void (*release)(void *arg);
    uint64_t reserved_[2]; /* zero */
} hank_wrapper;

/* Put a layer over every connection that `l` accepts from here on.
 *
 *   wrapper     kept until the listener is gone: a constant
 *   arg         kept until wrapper->release(arg)
 *   result      0; -EINVAL; -EALREADY; -EBUSY somebody is accepting; -EBADF it was closed
 *               meanwhile
 *   waits       never
 *   threads     any task or thread
 *   since       0.1 */
HANK_API int hank_listener_wrap(hank_listener *l, const hank_wrapper *wrapper, void *arg);

/* A kind of `where` string: what hank_connect() and hank_listen() do with "name://...".
 *
 * over_tcp  the rest of its strings is as those of "tcp": a host, which may have several addresses
 *           for a server to listen at, and a port */
typedef struct hank_scheme {
    const char *name; /* "tls" */
    int (*connect)(const char *where, const hank_connect_options *options, hank_stream **ret);
    int (*listen)(const char *where, const hank_listen_options *options, hank_listener **ret);
    bool over_tcp;
    uint64_t reserved_[2]; /* zero */
} hank_scheme;

/* From here on know that kind of `where` string, in all of the process.
 *
 *   scheme      kept for ever: a constant
 *   result      0, also if this very scheme was added before; -EINVAL; -EEXIST the name is taken;
 *               -ENOSPC there are too many
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_scheme_add(const hank_scheme *scheme);

#ifdef __cplusplus
}
#endif
#endif
