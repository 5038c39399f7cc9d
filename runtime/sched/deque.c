/* SPDX-License-Identifier: MIT */
/* deque.c - the deque's arrays: the first, the next, and the end of all of them. */
#include "sched/deque.h"

#include "base/alloc.h"
#include "base/check.h"

#include <errno.h>

static size_t array_bytes(uint64_t slots)
{
    return sizeof(hk_deque_array) + slots * sizeof(struct hk_task *);
}

/* The slots are not initialised: a slot is read for its value only after it was written. */
static hk_deque_array *new_array(uint64_t slots, hk_deque_array *older)
{
    hk_deque_array *a = hk_alloc(array_bytes(slots));
    if (!a)
        return NULL;
    a->older = older;
    a->mask = slots - 1;
    return a;
}

int hk_deque_init(hk_deque *d, size_t slots)
{
    HK_CHECK(slots > 0 && (slots & (slots - 1)) == 0 && slots <= HK_DEQUE_SLOTS_MAX);
    hk_deque_array *a = new_array(slots, NULL);
    if (!a)
        return -ENOMEM;
    hk_store_relaxed(&d->top, UINT64_C(0)); /* relaxed: whoever lets others in publishes us */
    hk_store_relaxed(&d->bottom, UINT64_C(0));
    hk_store_relaxed(&d->array, a);
    d->passed = 0;
    return 0;
}

void hk_deque_done(hk_deque *d)
{
    hk_deque_array *a = hk_load_relaxed(&d->array); /* relaxed: nobody else is there */
    while (a) {
        hk_deque_array *older = a->older;
        hk_free(a, array_bytes(a->mask + 1));
        a = older;
    }
    hk_store_relaxed(&d->array, (hk_deque_array *)NULL);
}

int hk_deque_make_room(hk_deque *d)
{
    uint64_t bottom = hk_load_relaxed(&d->bottom); /* own */
    /* [deque:passed] acquire: thieves below top are done with their slots. */
    uint64_t top = hk_load_acquire(&d->top);
    hk_deque_array *a = hk_load_relaxed(&d->array); /* own */
    d->passed = top;
    if (bottom - top <= a->mask)
        return 0;
    if (a->mask + 1 >= HK_DEQUE_SLOTS_MAX)
        return -ENOMEM;
    hk_deque_array *wider = new_array(2 * (a->mask + 1), a);
    if (!wider)
        return -ENOMEM;
    for (uint64_t i = top; i != bottom; i++) {
        struct hk_task *task = hk_load_relaxed(&a->slots[i & a->mask]); /* own */
        hk_store_relaxed(&wider->slots[i & wider->mask], task);         /* published below */
    }
    /* [deque:array] release: a thief that sees the array sees its mask and its slots. */
    hk_store_release(&d->array, wider);
    return 0;
}

void hk_deque_check(hk_deque *d)
{
    uint64_t top = hk_load_relaxed(&d->top);
    uint64_t bottom = hk_load_relaxed(&d->bottom);
    hk_deque_array *a = hk_load_relaxed(&d->array);
    HK_CHECK(bottom - top <= a->mask + 1);
    HK_CHECK(bottom - d->passed >= bottom - top);
    for (; a->older; a = a->older)
        HK_CHECK(a->older->mask < a->mask);
}
