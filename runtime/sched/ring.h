/* SPDX-License-Identifier: MIT */
/* ring.h - one worker's queue of woken tasks: first in, first out; thieves take half.
 *
 * Equation: pushed == popped + stolen + (tail - head), 0 <= tail - head <= HK_RING_SLOTS.
 * head   owner and thieves, CAS          tail   owner writes, thieves read
 * slots  written by the owner while outside [head, tail); a thief's copy counts only if its CAS
 *        on head succeeds, and it cannot if a copied slot was written again in between
 *
 * Indices are 64 bits wide and never wrap, so an old head is never taken for a new one. */
#ifndef HK_SCHED_RING_H
#define HK_SCHED_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

struct hk_task;

#ifndef HK_RING_SLOTS
#define HK_RING_SLOTS 1024u
#endif

typedef struct hk_ring {
    _Alignas(HK_NO_SHARING) HK_ATOMIC(uint64_t) head;
    _Alignas(HK_NO_SHARING) HK_ATOMIC(uint64_t) tail;
    HK_ATOMIC(struct hk_task *) slots[HK_RING_SLOTS];
} hk_ring;

/* Owner. False: full. */
static inline bool hk_ring_push(hk_ring *r, struct hk_task *t)
{
    uint64_t tail = hk_load_relaxed(&r->tail); /* own index: only we write it */
    /* [ring:take] acquire: a slot below head has been read by whoever moved head. */
    if (tail - hk_load_acquire(&r->head) == HK_RING_SLOTS)
        return false;
    hk_store_relaxed(&r->slots[tail % HK_RING_SLOTS], t); /* published by tail */
    hk_store_release(&r->tail, tail + 1); /* [ring:publish] release: a thief sees the slot */
    return true;
}

/* Owner. NULL: empty. */
static inline struct hk_task *hk_ring_pop(hk_ring *r)
{
    uint64_t head = hk_load_relaxed(&r->head); /* the CAS decides */
    for (;;) {
        if (head == hk_load_relaxed(&r->tail)) /* own index */
            return NULL;
        struct hk_task *t = hk_load_relaxed(&r->slots[head % HK_RING_SLOTS]); /* own writes */
        /* [ring:take] release: our read of the slot comes before anyone writes it again. */
        if (hk_cas_acqrel(&r->head, &head, head + 1))
            return t;
    }
}

/* The same of an owner who has no thieves. */
static inline struct hk_task *hk_ring_pop_alone(hk_ring *r)
{
    uint64_t head = hk_load_relaxed(&r->head); /* own index, as is the other */
    if (head == hk_load_relaxed(&r->tail))
        return NULL;
    hk_store_relaxed(&r->head, head + 1);                    /* read by nobody else */
    return hk_load_relaxed(&r->slots[head % HK_RING_SLOTS]); /* own writes */
}

/* Owner. How many there are, a guess, and where the first is. */
static inline uint64_t hk_ring_length(hk_ring *r, uint64_t *ret_first)
{
    *ret_first = hk_load_relaxed(&r->head);        /* thieves may have moved it on */
    return hk_load_relaxed(&r->tail) - *ret_first; /* own index */
}

/* Owner. Who is to be popped there, unless a thief is faster. */
static inline struct hk_task *hk_ring_peek(hk_ring *r, uint64_t at)
{
    return hk_load_relaxed(&r->slots[at % HK_RING_SLOTS]); /* own writes */
}

/* A thief, who owns the empty ring `into`. The number moved: half of `from`, rounded up. */
static inline uint32_t hk_ring_steal_half(hk_ring *from, hk_ring *into)
{
    uint64_t head = hk_load_acquire(&from->head); /* [ring:take] acquire: not newer than tail */
    for (;;) {
        uint64_t tail = hk_load_acquire(&from->tail); /* [ring:publish] acquire: slots are there */
        uint64_t n = tail - head;
        n -= n / 2;
        if (n == 0)
            return 0;
        if (n > HK_RING_SLOTS / 2) {             /* head is older than tail by a lap: look again */
            head = hk_load_acquire(&from->head); /* [ring:take] */
            continue;
        }
        uint64_t end = hk_load_relaxed(&into->tail); /* own index */
        for (uint64_t i = 0; i < n; i++) {
            struct hk_task *t = hk_load_relaxed(&from->slots[(head + i) % HK_RING_SLOTS]);
            hk_store_relaxed(&into->slots[(end + i) % HK_RING_SLOTS], t); /* not visible yet */
        }
        /* [ring:take] release: our reads come before the owner writes these slots again. */
        if (hk_cas_acqrel(&from->head, &head, head + n)) {
            hk_store_release(&into->tail, end + n); /* [ring:publish] */
            return (uint32_t)n;
        }
    }
}

/* A guess that was true at some moment; exact for the owner as far as pushing goes. */
static inline bool hk_ring_seems_empty(hk_ring *r)
{
    return hk_load_acquire(&r->head) == hk_load_acquire(&r->tail); /* [ring:publish] */
}

#endif
