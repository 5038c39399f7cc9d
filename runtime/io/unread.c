/* SPDX-License-Identifier: MIT */
/* unread.c - the buffer behind lines; unread.h says what for. */
#include "io/unread.h"

#include <hank/lines.h>

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

size_t hk_unread_limit(const hk_unread *u)
{
    return u->limit ? u->limit : HANK_LINE_MAX;
}

void hk_unread_free(hk_unread *u)
{
    hk_free(u->bytes, u->size);
    *u = (hk_unread){.limit = u->limit};
}

void hk_unread_take(hk_unread *u, void *ret_buf, size_t n)
{
    HK_DCHECK(n <= hk_unread_count(u));
    if (n > 0)
        memcpy(ret_buf, u->bytes + u->start, n);
    hk_unread_drop(u, n);
}

void hk_unread_drop(hk_unread *u, size_t n)
{
    HK_DCHECK(n <= hk_unread_count(u));
    u->start += (uint32_t)n;
    if (u->start == u->end)
        u->start = u->end = 0;
}

int hk_unread_make_room(hk_unread *u)
{
    size_t most = hk_unread_limit(u) + 1;
    if (u->end < u->size)
        return 0;
    if (u->start > 0) {
        memmove(u->bytes, u->bytes + u->start, u->end - u->start);
        u->end -= u->start;
        u->start = 0;
        return 0;
    }
    size_t size = u->size == 0 ? HK_UNREAD_BYTES : (size_t)u->size * 2;
    if (size > most)
        size = most;
    HK_CHECK(size > u->size); /* a longer line has been refused before */
    char *bytes = hk_alloc(size);
    if (!bytes)
        return -ENOMEM;
    uint32_t count = u->end;
    if (count > 0)
        memcpy(bytes, u->bytes, count);
    hk_unread_free(u);
    u->bytes = bytes;
    u->end = count;
    u->size = (uint32_t)size;
    return 0;
}
