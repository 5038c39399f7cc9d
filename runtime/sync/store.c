/* SPDX-License-Identifier: MIT */
/* store.c - making and growing a store, and the orders that are not first come, first served.
 *
 * A heap keeps behind each element the number with which it came: among equals the lower one goes
 * first, so that what is equally urgent is not overtaken. */
#include "sync/store.h"

#include <errno.h>

#include "base/alloc.h"

enum { ELEM_MAX = 64 * 1024, FIRST_UNBOUNDED = 16, SWAP_BYTES = 64 };

static size_t stride_of(size_t elem_size, uint8_t order)
{
    return elem_size + (order == HANK_PRIORITY ? sizeof(uint64_t) : 0);
}

int hk_store_init(hk_store *s, size_t elem_size, size_t capacity, const hank_chan_options *how)
{
    size_t bytes;
    int order = how ? how->order : HANK_FIFO;
    bool unbounded = capacity == HANK_UNBOUNDED;
    size_t slots = unbounded ? FIRST_UNBOUNDED : capacity;
    if (elem_size == 0 || elem_size > ELEM_MAX || order < HANK_FIFO || order > HANK_PRIORITY)
        return -EINVAL;
    if (order != HANK_FIFO && (slots == 0 || (order == HANK_PRIORITY && !how->compare)))
        return -EINVAL;
    size_t stride = stride_of(elem_size, (uint8_t)order);
    if (__builtin_mul_overflow(stride, slots, &bytes) || bytes > PTRDIFF_MAX)
        return -EINVAL;
    char *memory = bytes ? hk_alloc(bytes) : NULL;
    if (bytes && !memory)
        return -ENOMEM;
    *s = (hk_store){.elem_size = elem_size,
                    .capacity = slots,
                    .stride = stride,
                    .slots = memory,
                    .compare = how ? how->compare : NULL,
                    .order = (uint8_t)order,
                    .unbounded = unbounded};
    return 0;
}

void hk_store_done(hk_store *s)
{
    hk_free(s->slots, s->stride * s->capacity);
}

void hk_store_move(hk_store *from, hk_store *to)
{
    *to = *from;
    from->slots = NULL;
    from->capacity = from->first = from->count = 0;
}

int hk_store_grow(hk_store *s)
{
    size_t bytes;
    if (__builtin_mul_overflow(s->stride, 2 * s->capacity, &bytes))
        return -ENOMEM;
    char *slots = hk_alloc(bytes);
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < s->count; i++)
        memcpy(slots + i * s->stride, hk_store_slot(s, i), s->stride);
    hk_free(s->slots, s->stride * s->capacity);
    s->slots = slots;
    s->capacity *= 2;
    s->first = 0;
    return 0;
}

/* --- the heap -------------------------------------------------------------------------------- */

static uint64_t number_of(const hk_store *s, const char *slot)
{
    uint64_t number;
    memcpy(&number, slot + s->elem_size, sizeof number); /* not aligned */
    return number;
}

static bool goes_before(const hk_store *s, size_t a, size_t b)
{
    const char *x = hk_store_slot(s, a), *y = hk_store_slot(s, b);
    int order = s->compare(x, y);
    return order < 0 || (order == 0 && number_of(s, x) < number_of(s, y));
}

static void swap(hk_store *s, size_t a, size_t b)
{
    char *x = hk_store_slot(s, a), *y = hk_store_slot(s, b);
    char aside[SWAP_BYTES];
    for (size_t done = 0; done < s->stride; done += sizeof aside) {
        size_t n = s->stride - done < sizeof aside ? s->stride - done : sizeof aside;
        memcpy(aside, x + done, n);
        memcpy(x + done, y + done, n);
        memcpy(y + done, aside, n);
    }
}

static void rise(hk_store *s, size_t i)
{
    for (; i > 0 && goes_before(s, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(s, i, (i - 1) / 2);
}

static void sink(hk_store *s)
{
    size_t i = 0, child;
    while ((child = 2 * i + 1) < s->count) {
        if (child + 1 < s->count && goes_before(s, child + 1, child))
            child++;
        if (!goes_before(s, child, i))
            return;
        swap(s, i, child);
        i = child;
    }
}

/* --- stack or heap --------------------------------------------------------------------------- */

void hk_store_put_ordered(hk_store *s, const void *elem)
{
    char *slot = hk_store_slot(s, s->count++);
    memcpy(slot, elem, s->elem_size);
    if (s->order != HANK_PRIORITY)
        return;
    uint64_t number = s->number++;
    memcpy(slot + s->elem_size, &number, sizeof number);
    rise(s, s->count - 1);
}

void hk_store_take_ordered(hk_store *s, void *ret_elem)
{
    size_t last = s->count - 1;
    size_t which = s->order == HANK_PRIORITY ? 0 : last;
    memcpy(ret_elem, hk_store_slot(s, which), s->elem_size);
    s->count--;
    if (s->order != HANK_PRIORITY || last == 0)
        return;
    memcpy(hk_store_slot(s, 0), hk_store_slot(s, last), s->stride);
    sink(s);
}
