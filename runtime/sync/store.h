/* SPDX-License-Identifier: MIT */
/* store.h - the elements of a channel: a ring, a stack or a heap in one piece of memory.
 *
 * The usual one, a ring, is in line here: it is most of what a send and a receive do. */
#ifndef HK_SYNC_STORE_H
#define HK_SYNC_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <hank/chan.h>

#include "base/compiler.h"

/* Equation: put == taken + count, 0 <= count <= capacity.
 * Guarded by the channel's lock.
 *   first    of a ring: where the oldest is; 0 otherwise
 *   stride   from slot to slot: elem_size, and in a heap the number that tells equals apart
 *   number   of the next element that is put into a heap */
typedef struct hk_store {
    size_t first;
    size_t count;
    size_t elem_size;
    size_t capacity;
    size_t stride;
    char *slots;
    int (*compare)(const void *a, const void *b);
    uint64_t number;
    uint8_t order;
    bool unbounded;
} hk_store;

/* 0, -EINVAL or -ENOMEM. */
int hk_store_init(hk_store *s, size_t elem_size, size_t capacity, const hank_chan_options *how);
void hk_store_done(hk_store *s);

/* What is in `from` goes to `to`, and from is empty, without memory. */
void hk_store_move(hk_store *from, hk_store *to);

/* Twice the slots. 0 or -ENOMEM. */
int hk_store_grow(hk_store *s);

void hk_store_put_ordered(hk_store *s, const void *elem);
void hk_store_take_ordered(hk_store *s, void *ret_elem);

static inline void hk_copy_elem(void *to, const void *from, size_t n)
{
    if (HK_LIKELY(n == sizeof(uint64_t))) /* pointers and numbers: the usual element, no call */
        memcpy(to, from, sizeof(uint64_t));
    else
        memcpy(to, from, n);
}

static inline char *hk_store_slot(const hk_store *s, size_t index)
{
    size_t i = s->first + index;
    return s->slots + (i >= s->capacity ? i - s->capacity : i) * s->stride;
}

/* There must be room. */
static inline void hk_store_put(hk_store *s, const void *elem)
{
    if (HK_UNLIKELY(s->order != HANK_FIFO)) {
        hk_store_put_ordered(s, elem);
        return;
    }
    hk_copy_elem(hk_store_slot(s, s->count), elem, s->elem_size);
    s->count++;
}

/* There must be something in it. */
static inline void hk_store_take(hk_store *s, void *ret_elem)
{
    if (HK_UNLIKELY(s->order != HANK_FIFO)) {
        hk_store_take_ordered(s, ret_elem);
        return;
    }
    hk_copy_elem(ret_elem, hk_store_slot(s, 0), s->elem_size);
    s->first = s->first + 1 == s->capacity ? 0 : s->first + 1;
    s->count--;
}

#endif
