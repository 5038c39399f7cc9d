/* SPDX-License-Identifier: MIT */
/* unread.h - bytes that were read from a stream and not yet taken.
 *
 * The end of a line can only be found by reading too far. What was read too far stays here, and
 * every read takes from here first. The buffer is allocated by the first line, grows by doubling up
 * to the limit, and goes when it is empty: idle streams are small. */
#ifndef HK_IO_UNREAD_H
#define HK_IO_UNREAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/compiler.h"

/* Enough for the lines people write. */
enum { HK_UNREAD_BYTES = 2048 };

/* Equation: 0 <= start <= end <= size, and bytes[start .. end) were read but not yet taken.
 * limit  the longest line; 0: HANK_LINE_MAX. One byte more may be held, to see that one is longer
 * Owned by the reader. No memory while size is 0. */
typedef struct hk_unread {
    char *bytes;
    uint32_t start;
    uint32_t end;
    uint32_t size;
    uint32_t limit;
} hk_unread;

static inline size_t hk_unread_count(const hk_unread *u)
{
    HK_DCHECK(u->start <= u->end && u->end <= u->size);
    return u->end - u->start;
}

size_t hk_unread_limit(const hk_unread *u);
void hk_unread_take(hk_unread *u, void *ret_buf, size_t n); /* n <= count */
void hk_unread_drop(hk_unread *u, size_t n);                /* n <= count */
void hk_unread_free(hk_unread *u); /* with the bytes in it; keeps the limit */

/* Make room for at least one more byte. 0; -ENOMEM, and nothing has changed. */
HK_MUST_CHECK int hk_unread_make_room(hk_unread *u);

#endif
