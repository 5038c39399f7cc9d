/* SPDX-License-Identifier: MIT */
/* slab.h - objects whose memory never becomes anything else.
 *
 * A slot, once made, stays a slot of this type for the life of the process. So a pointer to it may
 * be as old as it likes: it reads an object of the right type, whose generation or turn says that
 * it is another one now. That is what makes stale handles and late wakers detectable.
 *
 * Equation: slots made == in use + in caches + in the depot.
 * The first word of an object is its link while it is free. */
#ifndef HK_BASE_SLAB_H
#define HK_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"

enum { HK_SLAB_BATCH = 64, HK_SLAB_CACHE_MAX = 256 };

/* One worker's free slots: no lock, because only that worker uses it. Zeroed is empty. */
typedef struct hk_slab_cache {
    void *free;
    uint32_t count;
} hk_slab_cache;

/* bytes, init  constant; init(slot) runs once, when a slot is made out of zeroed memory
 * depot        guarded by lock
 * chunks       written under the lock, read by anyone: a list that only grows */
typedef struct hk_slab {
    size_t bytes;
    void (*init)(void *slot);
    hk_lock lock;
    void *depot;
    size_t depot_count;
    HK_ATOMIC(struct hk_slab_chunk *) chunks;
    HK_ATOMIC(uint64_t) slots_made;
} hk_slab;

/* The slow halves: move a batch between a cache and the depot. */
int hk_slab_refill(hk_slab *s, hk_slab_cache *c); /* 0 or -ENOMEM */
void hk_slab_spill(hk_slab *s, hk_slab_cache *c, uint32_t keep);

/* NULL: no memory. What the slot holds is what its last user left. */
static inline void *hk_slab_get(hk_slab *s, hk_slab_cache *c)
{
    if (HK_UNLIKELY(c->free == NULL) && hk_slab_refill(s, c) < 0)
        return NULL;
    void *slot = c->free;
    c->free = *(void **)slot;
    c->count--;
    __builtin_prefetch(c->free, 1); /* the next one: free slots are seldom in any cache */
    return slot;
}

static inline void hk_slab_put(hk_slab *s, hk_slab_cache *c, void *slot)
{
    *(void **)slot = c->free;
    c->free = slot;
    if (HK_UNLIKELY(++c->count > HK_SLAB_CACHE_MAX))
        hk_slab_spill(s, c, HK_SLAB_CACHE_MAX / 2);
}

/* Without a cache: for threads that are no workers. */
void *hk_slab_get_shared(hk_slab *s);
void hk_slab_put_shared(hk_slab *s, void *slot);

/* Every slot ever made, in use or not, until visit returns false. */
void hk_slab_each(hk_slab *s, int (*visit)(void *slot, void *context), void *context);

#endif
