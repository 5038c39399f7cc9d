/* SPDX-License-Identifier: MIT */
/* stream.h - a stream from inside: a descriptor, a few functions, bytes that were read too far, and
 * bytes that are held back.
 *
 * A kind of stream is four functions, called with the direction taken (io/fd.h), so that none of
 * them thinks about second readers or about a close in the middle. A layer over another stream
 * begins with a hank_stream whose fd has no descriptor: it uses the word alone. */
#ifndef HK_IO_STREAM_H
#define HK_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hank/stream.h>

#include "io/fd.h"
#include "io/unread.h"

/* bytes      size of the struct that begins with the hank_stream
 * direct     its bytes are those of its descriptor: the kernel may move them by itself
 * touch      it has done so; may be NULL
 * read       1..n, 0 at the end; negative: nothing was read
 * write      1..n; negative: nothing was written
 * writev     the same for several parts, n > 0; may be NULL
 * write_end  never waits
 * try_write  the same as write, but -EAGAIN where that would wait; may be NULL
 * abort      have the other end told, at the close that follows, that it was none; may be NULL
 * ended      it may have been ended from outside: what calls of a layer over it answer instead
 *            of rc <= 0; may be NULL
 * closing    the owner closes, `politely` or to abort; others may be inside. May be NULL
 * close      the last user has left; frees what the kind added, but not s. May be NULL */
typedef struct hk_stream_kind {
    size_t bytes;
    bool direct;
    void (*touch)(hank_stream *s);
    ssize_t (*read)(hank_stream *s, void *ret_buf, size_t n);
    ssize_t (*write)(hank_stream *s, const void *buf, size_t n);
    ssize_t (*writev)(hank_stream *s, const struct iovec *parts, int n);
    int (*write_end)(hank_stream *s);
    ssize_t (*try_write)(hank_stream *s, const void *buf, size_t n);
    void (*abort)(hank_stream *s);
    ssize_t (*ended)(hank_stream *s, hk_direction d, ssize_t rc);
    void (*closing)(hank_stream *s, bool politely);
    void (*close)(hank_stream *s);
} hk_stream_kind;

/* unread  the reader's;  cork, torn  the writer's: a write failed in the middle, so nothing may
 * follow;  under  constant: the stream this one is a layer of, held; NULL: none */
struct hank_stream {
    hk_fd fd;
    const hk_stream_kind *kind;
    hk_unread unread;
    struct hk_cork *cork; /* NULL: what is written goes out at once */
    bool torn;
    hank_stream *under;
};

/* What an idle connection costs beside its source. */
_Static_assert(sizeof(struct hank_stream) <= 256, "an idle stream is small");

/* What a kind's writev() was given, as one argument for hk_fd_attempt(). */
typedef struct hk_parts {
    const struct iovec *list;
    int n;
} hk_parts;

/* A stream of that kind, zeroed beyond the hank_stream, without a descriptor. NULL: no memory. */
HK_MUST_CHECK hank_stream *hk_stream_new(const hk_stream_kind *kind);

static inline void hk_stream_touch(hank_stream *s)
{
    if (s->kind->touch)
        s->kind->touch(s);
}

/* What every call begins with: ask whether to stop, then take the direction. In this order: who is
 * stopped finds out without having been in the way of anybody. hk_fd_end must follow a 0. */
HK_MUST_CHECK int hk_stream_begin(hank_stream *s, hk_direction d);

/* The stream with the descriptor, for what concerns the connection and not its bytes. */
static inline hank_stream *hk_stream_bottom(hank_stream *s)
{
    while (s->under)
        s = s->under;
    return s;
}

extern const hk_stream_kind hk_stream_socket;
extern const hk_stream_kind hk_stream_pipe;

/* --- writer.c, with the direction taken ------------------------------------------------------ */

/* hank_write() of a corked stream: send or hold. */
HK_MUST_CHECK int hk_cork_write(hank_stream *s, const struct iovec *parts, int n);

/* hank_trywrite() of a corked stream: hold what there is room for, if there is any. */
HK_MUST_CHECK ssize_t hk_cork_try_write(hank_stream *s, const void *buf, size_t n);

/* hank_write_some() of a corked stream. */
HK_MUST_CHECK ssize_t hk_cork_write_some(hank_stream *s, const void *buf, size_t n);

/* Send what is held; nothing if the stream is not corked. */
HK_MUST_CHECK int hk_cork_flush(hank_stream *s);

/* Forget what is held. */
void hk_cork_free(struct hk_cork *cork);

#endif
