/* SPDX-License-Identifier: MIT */
/* slab.h - objects whose memory never becomes anything else.
 *
 * A slot, once made, stays a slot of this type for the life of the process. So a pointer to it may
 * be as old as it likes: it reads an object of the right type, whose generation or turn says that
 * it is another one now. That is what makes stale handles and late wakers detectable.
 *
 * Equation: slots made == in use + in caches + in the depot.
 * The first two words of an object are its links while it is free; the rest stays as it was left.
 *
 * Free slots travel in batches, chained through their first words: a cache hands a whole batch to
 * the depot, or takes one, without touching its slots. Walking them would cost a cache miss each.
 * Source: Bonwick, Adams, "Magazines and vmem", USENIX 2001. */
#ifndef HK_BASE_SLAB_H
#define HK_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"

enum { HK_SLAB_BATCH = 64, HK_SLAB_CACHE_MAX = 2 * HK_SLAB_BATCH };

/* One worker's free slots: no lock, because only that worker uses it. Zeroed is empty.
 * free, count  the chain that slots come from and go to, at most a batch
 * full         a whole batch in reserve, or NULL: so that getting and putting at the edge of a
 *              batch does not go to the depot every time */
typedef struct hk_slab_cache {
    void *free;
    uint32_t count;
    void *full;
} hk_slab_cache;

/* bytes, init   constant; init(slot) runs once, when a slot is made out of zeroed memory
 * depot, loose  guarded by lock: whole batches, and the cache of threads that have none
 * chunks        written under the lock, read by anyone: a list that only grows */
typedef struct hk_slab {
    size_t bytes;
    void (*init)(void *slot);
    hk_lock lock;
    void *depot;
    hk_slab_cache loose;
    HK_ATOMIC(struct hk_slab_chunk *) chunks;
} hk_slab;

/* The slow halves of getting and putting. */
int hk_slab_refill(hk_slab *s, hk_slab_cache *c); /* 0 or -ENOMEM */
void hk_slab_make_room(hk_slab *s, hk_slab_cache *c);

/* Hand everything in `c` to the depot: a worker stops. */
void hk_slab_drain(hk_slab *s, hk_slab_cache *c);

/* NULL: no memory. But for its first two words the slot holds what its last user left. */
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
    if (HK_UNLIKELY(c->count == HK_SLAB_BATCH))
        hk_slab_make_room(s, c);
    *(void **)slot = c->free;
    c->free = slot;
    c->count++;
}

/* Without a cache: for threads that are no workers. */
void *hk_slab_get_shared(hk_slab *s);
void hk_slab_put_shared(hk_slab *s, void *slot);

/* Every slot ever made, in use or not, until visit returns false. */
void hk_slab_each(hk_slab *s, int (*visit)(void *slot, void *context), void *context);

#endif
