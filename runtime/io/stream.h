/* SPDX-License-Identifier: MIT */
/* stream.h - a stream from inside: a descriptor, a few functions, and bytes that were read too far.
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

/* bytes      size of the struct that begins with the hank_stream
 * read       1..n, 0 at the end; negative: nothing was read
 * write      1..n; negative: nothing was written
 * write_end  never waits
 * close      the last user has left; frees what the kind added, but not s. May be NULL */
typedef struct hk_stream_kind {
    size_t bytes;
    ssize_t (*read)(hank_stream *s, void *ret_buf, size_t n);
    ssize_t (*write)(hank_stream *s, const void *buf, size_t n);
    int (*write_end)(hank_stream *s);
    void (*close)(hank_stream *s);
} hk_stream_kind;

/* Equation: 0 <= start <= end <= size, and bytes[start .. end) were read but not yet taken.
 * Owned by the reader. No memory while size is 0. */
typedef struct hk_unread {
    char *bytes;
    uint32_t start;
    uint32_t end;
    uint32_t size;
} hk_unread;

/* unread  the reader's;  torn  the writer's: a write failed in the middle, so nothing may follow */
struct hank_stream {
    hk_fd fd;
    const hk_stream_kind *kind;
    hk_unread unread;
    bool torn;
};

/* What an idle connection costs beside its source. */
_Static_assert(sizeof(struct hank_stream) <= 256, "an idle stream is small");

/* A stream of that kind, zeroed beyond the hank_stream, without a descriptor. NULL: no memory. */
HK_MUST_CHECK hank_stream *hk_stream_new(const hk_stream_kind *kind);

extern const hk_stream_kind hk_stream_socket;

#endif
