/* SPDX-License-Identifier: MIT */
/* slab.c - chunks of slots, and the depot that caches trade with in batches.
 *
 * The first chunk is small, later ones are large enough for huge pages: first touch of a page costs
 * more than a hundred spawns, and descriptors are dense, so they gain what stacks cannot. */
#include "base/slab.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/os.h"

enum { FIRST_CHUNK_BYTES = 128 * 1024, CHUNK_BYTES = 2 * 1024 * 1024 };

/* At the start of each chunk; slots follow at the next multiple of the cache line. */
typedef struct hk_slab_chunk {
    struct hk_slab_chunk *next;
    size_t slots;
    char *first;
} hk_slab_chunk;

/* Map `bytes` at a multiple of `bytes`, so that the kernel can use one huge page for it. */
static int map_aligned(size_t bytes, void **ret_base)
{
    void *base;
    int rc = hk_os_map(2 * bytes, &base);
    if (rc < 0)
        return rc;
    uintptr_t low = (uintptr_t)base;
    uintptr_t aligned = (low + bytes - 1) / bytes * bytes;
    if (aligned > low)
        (void)hk_os_unmap(base, aligned - low); /* address space only: it may as well stay */
    uintptr_t high = low + 2 * bytes;
    if (high > aligned + bytes)
        (void)hk_os_unmap((void *)(aligned + bytes), high - aligned - bytes);
    *ret_base = (void *)aligned;
    return 0;
}

/* Called with the lock held. */
static int grow(hk_slab *s)
{
    hk_slab_chunk *newest = hk_load_relaxed(&s->chunks); /* ours to write: we hold the lock */
    size_t bytes = newest ? CHUNK_BYTES : FIRST_CHUNK_BYTES;
    void *base = NULL;
    int rc = newest ? map_aligned(bytes, &base) : hk_os_map(bytes, &base);
    if (rc < 0)
        return -ENOMEM;
    if (newest)
        (void)hk_os_advise(base, bytes, MADV_HUGEPAGE); /* a hint */
    hk_slab_chunk *chunk = base;
    chunk->first = (char *)base + HK_CACHE_LINE;
    chunk->slots = (bytes - HK_CACHE_LINE) / s->bytes;
    chunk->next = newest;
    for (size_t i = chunk->slots; i-- > 0;) {
        void *slot = chunk->first + i * s->bytes;
        if (s->init)
            s->init(slot);
        *(void **)slot = s->depot;
        s->depot = slot;
    }
    s->depot_count += chunk->slots;
    (void)hk_add_relaxed(&s->slots_made, (uint64_t)chunk->slots); /* a statistic */
    hk_store_release(&s->chunks, chunk); /* [slab:chunk] release: a walker sees whole slots */
    return 0;
}

int hk_slab_refill(hk_slab *s, hk_slab_cache *c)
{
    int rc = 0;
    hk_lock_take(&s->lock, HK_RANK_SLAB);
    if (s->depot == NULL)
        rc = grow(s);
    for (int i = 0; i < HK_SLAB_BATCH && s->depot; i++) {
        void *slot = s->depot;
        s->depot = *(void **)slot;
        s->depot_count--;
        *(void **)slot = c->free;
        c->free = slot;
        c->count++;
    }
    hk_lock_drop(&s->lock);
    return rc;
}

void hk_slab_spill(hk_slab *s, hk_slab_cache *c, uint32_t keep)
{
    hk_lock_take(&s->lock, HK_RANK_SLAB);
    while (c->count > keep) {
        void *slot = c->free;
        c->free = *(void **)slot;
        c->count--;
        *(void **)slot = s->depot;
        s->depot = slot;
        s->depot_count++;
    }
    hk_lock_drop(&s->lock);
}

void *hk_slab_get_shared(hk_slab *s)
{
    hk_lock_take(&s->lock, HK_RANK_SLAB);
    void *slot = NULL;
    if (s->depot != NULL || grow(s) == 0) {
        slot = s->depot;
        s->depot = *(void **)slot;
        s->depot_count--;
    }
    hk_lock_drop(&s->lock);
    return slot;
}

void hk_slab_put_shared(hk_slab *s, void *slot)
{
    hk_lock_take(&s->lock, HK_RANK_SLAB);
    *(void **)slot = s->depot;
    s->depot = slot;
    s->depot_count++;
    hk_lock_drop(&s->lock);
}

void hk_slab_each(hk_slab *s, int (*visit)(void *slot, void *context), void *context)
{
    hk_slab_chunk *chunk = hk_load_acquire(&s->chunks); /* [slab:chunk] acquire: pairs with grow */
    for (; chunk; chunk = chunk->next)
        for (size_t i = 0; i < chunk->slots; i++)
            if (!visit(chunk->first + i * s->bytes, context))
                return;
}
