/* SPDX-License-Identifier: MIT */
/* transfer.h - what moving bytes between descriptors shares, whatever they are. */
#ifndef HK_IO_TRANSFER_H
#define HK_IO_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "io/stream.h"

/* At a time: through memory of ours, and through the system's. */
enum { HK_CHUNK_BYTES = 64 * 1024, HK_ROUND_BYTES = 4 * 1024 * 1024 };

/* It cannot be done that way, and nothing has been. */
bool hk_is_unsuited(ssize_t rc);

/* All of it to `s`, whose direction is taken. 0, or why not; a part may have gone then. */
HK_MUST_CHECK int hk_stream_write_all(hank_stream *s, const char *buf, size_t n);

static inline size_t hk_at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

#endif
