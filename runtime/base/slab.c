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

/* A free slot: the link of its batch, and in a batch's first slot the link of the depot. */
typedef struct free_slot {
    void *next;
    void *next_batch;
} free_slot;

/* The rest but hk_slab_drain's own loop is called with the lock held. */
static void give_batch(hk_slab *s, void *batch)
{
    ((free_slot *)batch)->next_batch = s->depot;
    s->depot = batch;
}

static void give_loose(hk_slab *s, void *slot)
{
    hk_slab_cache *loose = &s->loose;
    if (loose->count == HK_SLAB_BATCH) {
        give_batch(s, loose->free);
        *loose = (hk_slab_cache){0};
    }
    *(void **)slot = loose->free;
    loose->free = slot;
    loose->count++;
}

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
        give_loose(s, slot);
    }
    hk_store_release(&s->chunks, chunk); /* [slab:chunk] release: a walker sees whole slots */
    return 0;
}

/* A batch, or the loose slots if there is nothing else. NULL: no memory. */
static void *take_batch(hk_slab *s, uint32_t *ret_count)
{
    if (!s->depot && !s->loose.free && grow(s) < 0)
        return NULL;
    free_slot *batch = s->depot;
    *ret_count = HK_SLAB_BATCH;
    if (batch) {
        s->depot = batch->next_batch;
        return batch;
    }
    hk_slab_cache loose = s->loose;
    s->loose = (hk_slab_cache){0};
    *ret_count = loose.count;
    return loose.free;
}

int hk_slab_refill(hk_slab *s, hk_slab_cache *c)
{
    if (c->full) {
        c->free = c->full;
        c->count = HK_SLAB_BATCH;
        c->full = NULL;
        return 0;
    }
    hk_lock_take(&s->lock, HK_RANK_SLAB);
    c->free = take_batch(s, &c->count);
    hk_lock_drop(&s->lock);
    return c->free ? 0 : -ENOMEM;
}

void hk_slab_make_room(hk_slab *s, hk_slab_cache *c)
{
    if (c->full) {
        hk_lock_take(&s->lock, HK_RANK_SLAB);
        give_batch(s, c->full);
        hk_lock_drop(&s->lock);
    }
    c->full = c->free;
    c->free = NULL;
    c->count = 0;
}

void hk_slab_drain(hk_slab *s, hk_slab_cache *c)
{
    hk_lock_take(&s->lock, HK_RANK_SLAB);
    if (c->full)
        give_batch(s, c->full);
    for (void *slot = c->free, *next; slot; slot = next) {
        next = *(void **)slot;
        give_loose(s, slot);
    }
    hk_lock_drop(&s->lock);
    *c = (hk_slab_cache){0};
}

void *hk_slab_get_shared(hk_slab *s)
{
    hk_lock_take(&s->lock, HK_RANK_SLAB);
    hk_slab_cache *loose = &s->loose;
    if (!loose->free)
        loose->free = take_batch(s, &loose->count);
    void *slot = loose->free;
    if (slot) {
        loose->free = *(void **)slot;
        loose->count--;
    }
    hk_lock_drop(&s->lock);
    return slot;
}

void hk_slab_put_shared(hk_slab *s, void *slot)
{
    hk_lock_take(&s->lock, HK_RANK_SLAB);
    give_loose(s, slot);
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
