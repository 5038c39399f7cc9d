/* SPDX-License-Identifier: MIT */
/* arena.c - chunks of slots: mapped by the hundred, guarded by the batch, taken one by one.
 *
 * The table of chunks only grows and its published part never changes, so that a signal handler
 * can find the fiber of an address without a lock. Nothing is ever unmapped: a guard is paid for
 * once, and an address that was a stack stays one.
 *
 * Bare slots cannot be linked through their own memory, which would cost the page that was just
 * given back; their links are in an array beside the chunk. */
#include "fiber/arena.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/os.h"

#define MIB ((size_t)1 << 20)

enum { CHUNKS_MAX = 8192 };
enum { CHUNK_SLOTS_MIN = 4 };
enum { BATCH = 64 }; /* guards a system call */
enum { COLOURS = 16 };
enum { SLOT_BITS = 16 };
#define CHUNK_BYTES_MIN (8 * MIB)    /* the first of a class; the next is twice as big, */
#define CHUNK_BYTES_MAX (1024 * MIB) /* up to this: 8 TiB of stacks in all */

_Static_assert(CHUNK_BYTES_MAX / (2 * HK_STACK_MIN) <= 1 << SLOT_BITS, "a slot's number fits");

/* taken <= ready <= limit <= slots: taken before `taken`, guarded before `ready`, never beyond
 * `limit`, which falls below `slots` when the kind of guard ran out in the middle.
 *
 * base, slots, size_class   constant once published in chunk_count
 * the rest                  guarded by arena_lock */
typedef struct chunk {
    char *base;
    uint32_t slots;
    uint32_t limit;
    uint32_t ready;
    uint32_t taken;
    uint32_t *bare_next; /* per slot: the name of the next bare one */
    uint32_t next;       /* of this class: index + 1, 0 is none */
    uint8_t size_class;
    uint8_t guard;
} chunk;

/* One size class; zeroed is empty. Chunks and bare slots are named by number + 1, 0 is none.
 * Equation: ahead == sum of (ready - taken) over its chunks. */
typedef struct arena {
    uint32_t taking;  /* the first chunk that may have a slot to take */
    uint32_t growing; /* the last chunk: the only one with raw slots */
    uint32_t bare;    /* a list, last in first out */
    uint32_t chunks;
    size_t ahead;
} arena;

static chunk chunks[CHUNKS_MAX];
static HK_ATOMIC(uint32_t) chunk_count;
static arena arenas[HK_STACK_CLASSES] HK_GUARDED_BY(arena_lock);
static hk_lock arena_lock;

static HK_ATOMIC(uint64_t) slots_by_guard[HK_GUARD_KINDS];
static HK_ATOMIC(uint64_t) mapped_bytes;
static HK_ATOMIC(uint64_t) fibers_in_being;

void hk_arena_freeze(void)
{
    hk_lock_freeze(&arena_lock);
}

void hk_arena_thaw(void)
{
    hk_lock_thaw(&arena_lock);
}

/* --- from an address to its fiber ---------------------------------------------------------- */

static hk_fiber *fiber_of_slot(char *slot, int size_class)
{
    size_t bytes = hk_slot_bytes(size_class);
    size_t colour = (uintptr_t)slot / bytes % COLOURS * HK_CACHE_LINE;
    size_t room = (sizeof(hk_fiber) + HK_CACHE_LINE - 1) / HK_CACHE_LINE * HK_CACHE_LINE;
    return (hk_fiber *)(void *)(slot + bytes - HK_SLOT_GAP - colour - room);
}

static chunk *chunk_of(const void *address)
{
    /* [arena:chunk] acquire: a chunk that is counted is complete. */
    uint32_t n = hk_load_acquire(&chunk_count);
    for (chunk *c = chunks; c < chunks + n; c++)
        if ((uintptr_t)address - (uintptr_t)c->base < c->slots * hk_slot_bytes(c->size_class))
            return c;
    return NULL;
}

static uint32_t slot_number(const chunk *c, const void *address)
{
    size_t offset = (uintptr_t)address - (uintptr_t)c->base;
    return (uint32_t)(offset / hk_slot_bytes(c->size_class));
}

hk_fiber *hk_stack_find(const void *address, bool *ret_is_guard)
{
    chunk *c = chunk_of(address);
    if (!c)
        return NULL;
    char *slot = c->base + slot_number(c, address) * hk_slot_bytes(c->size_class);
    hk_fiber *f = fiber_of_slot(slot, c->size_class);
    /* [arena:ready] acquire: pairs with who made the fiber. A slot never taken reads as zero. */
    if (!hk_load_acquire(&f->ready))
        return NULL;
    *ret_is_guard = (size_t)((const char *)address - slot) < hk_slot_guard_bytes(c->size_class);
    return f;
}

/* --- growing, under arena_lock ------------------------------------------------------------- */

static size_t next_chunk_slots(const arena *a, int size_class)
{
    unsigned doublings = a->chunks < 16 ? a->chunks : 16;
    size_t bytes = CHUNK_BYTES_MIN << doublings;
    bytes = bytes < CHUNK_BYTES_MAX ? bytes : CHUNK_BYTES_MAX;
    size_t slots = bytes / hk_slot_bytes(size_class);
    return slots > CHUNK_SLOTS_MIN ? slots : CHUNK_SLOTS_MIN;
}

static int map_chunk(size_t slots, int size_class, char **ret_base)
{
    size_t bytes = slots * hk_slot_bytes(size_class);
    void *base;
    int rc = hk_os_map(bytes, &base);
    if (rc < 0)
        return rc;
    /* A huge page under the first touched byte would make every stack 2 MiB. -EINVAL: the kernel
     * has none. */
    rc = hk_os_advise(base, bytes, MADV_NOHUGEPAGE);
    if (rc < 0 && rc != -EINVAL) {
        (void)hk_os_unmap(base, bytes); /* nothing else to try */
        return rc;
    }
    *ret_base = base;
    return 0;
}

static int add_chunk(arena *a, int size_class)
{
    uint32_t number = hk_load_relaxed(&chunk_count); /* relaxed: the lock is held */
    if (number == CHUNKS_MAX)
        return -ENOMEM;
    size_t slots = next_chunk_slots(a, size_class);
    uint32_t *bare_next = hk_alloc_zeroed(slots * sizeof *bare_next);
    if (!bare_next)
        return -ENOMEM;
    char *base;
    int rc = map_chunk(slots, size_class, &base);
    if (rc < 0) {
        hk_free(bare_next, slots * sizeof *bare_next);
        return rc;
    }
    chunks[number] = (chunk){.base = base,
                             .slots = (uint32_t)slots,
                             .limit = (uint32_t)slots,
                             .bare_next = bare_next,
                             .size_class = (uint8_t)size_class,
                             .guard = (uint8_t)hk_guard_best()};
    /* [arena:chunk] release: who sees the count sees the chunk. */
    hk_store_release(&chunk_count, number + 1);
    if (a->growing)
        chunks[a->growing - 1].next = number + 1;
    else
        a->taking = number + 1;
    a->growing = number + 1;
    a->chunks++;
    hk_add_relaxed(&mapped_bytes, (uint64_t)(slots * hk_slot_bytes(size_class)));
    return 0;
}

/* The kind of guard of `c` is not to be had any more: end it here, or start it differently. */
static void change_guard(chunk *c)
{
    if (c->ready > 0)
        c->limit = c->ready;
    else
        c->guard = (uint8_t)hk_guard_best();
}

/* Guard one more batch. */
static int grow(arena *a, int size_class)
{
    for (;;) {
        chunk *c = a->growing ? &chunks[a->growing - 1] : NULL;
        if (c && c->guard != hk_guard_best())
            change_guard(c);
        if (!c || c->ready == c->limit) {
            int rc = add_chunk(a, size_class);
            if (rc < 0)
                return rc;
            continue;
        }
        char *slot = c->base + c->ready * hk_slot_bytes(size_class);
        size_t raw = c->limit - c->ready;
        int n = hk_guard_install(c->guard, slot, size_class, raw < BATCH ? raw : (size_t)BATCH);
        if (n == -ENOTSUP) {
            hk_guard_give_up(c->guard);
            continue;
        }
        if (n < 0)
            return n;
        c->ready += (uint32_t)n;
        a->ahead += (size_t)n;
        hk_add_relaxed(&slots_by_guard[c->guard], (uint64_t)n);
        return 0;
    }
}

int hk_arena_reserve(int size_class, size_t n)
{
    arena *a = &arenas[size_class];
    int rc = 0;
    hk_lock_take(&arena_lock, HK_RANK_STACK);
    while (rc == 0 && a->ahead < n)
        rc = grow(a, size_class);
    hk_lock_drop(&arena_lock);
    return rc;
}

/* --- taking and releasing ------------------------------------------------------------------ */

static char *take_bare(arena *a, int size_class, chunk **ret_chunk)
{
    uint32_t name = a->bare - 1;
    chunk *c = &chunks[name >> SLOT_BITS];
    uint32_t number = name & ((1u << SLOT_BITS) - 1);
    a->bare = c->bare_next[number];
    *ret_chunk = c;
    return c->base + number * hk_slot_bytes(size_class);
}

static char *take_next(arena *a, int size_class, chunk **ret_chunk)
{
    chunk *c = &chunks[a->taking - 1];
    while (c->taken == c->ready) {
        a->taking = c->next;
        c = &chunks[a->taking - 1];
    }
    a->ahead--;
    *ret_chunk = c;
    return c->base + c->taken++ * hk_slot_bytes(size_class);
}

/* The first touch of the slot's top page. Outside the lock: it takes longer than all the rest. */
static hk_fiber *start_fiber(char *slot, int size_class, hk_guard guard)
{
    hk_fiber *f = fiber_of_slot(slot, size_class);
    char *low = slot + hk_slot_guard_bytes(size_class);
    *f = (hk_fiber){.stack_low = low,
                    .stack_bytes = (size_t)((char *)f - low),
                    .size_class = (uint8_t)size_class,
                    .has_canary = guard == HK_GUARD_CANARY};
    if (f->has_canary)
        hk_guard_write_canary(f);
    hk_fiber_note_new(f);
    hk_add_relaxed(&fibers_in_being, (uint64_t)1);
    hk_store_release(&f->ready, true); /* [arena:ready] release: the fields are set */
    return f;
}

int hk_arena_take(int size_class, hk_fiber **ret_fiber)
{
    arena *a = &arenas[size_class];
    chunk *c = NULL;
    char *slot = NULL;
    int rc = 0;
    hk_lock_take(&arena_lock, HK_RANK_STACK);
    if (!a->bare && a->ahead == 0)
        rc = grow(a, size_class);
    if (rc == 0)
        slot = a->bare ? take_bare(a, size_class, &c) : take_next(a, size_class, &c);
    hk_lock_drop(&arena_lock);
    if (rc < 0)
        return rc;
    *ret_fiber = start_fiber(slot, size_class, c->guard);
    return 0;
}

void hk_arena_drop_pages(const struct iovec *ranges, size_t n)
{
    ssize_t done = hk_os_advise_many(ranges, n, MADV_DONTNEED);
    /* Not for this advice before Linux 6.13. Should this fail too, the pages stay: nothing relies
     * on zeros. */
    for (size_t i = 0; done < 0 && i < n; i++)
        (void)hk_os_advise(ranges[i].iov_base, ranges[i].iov_len, MADV_DONTNEED);
}

void hk_arena_release(hk_fiber **fibers, size_t n)
{
    struct iovec ranges[HK_RELEASE_MAX];
    HK_CHECK(n > 0 && n <= HK_RELEASE_MAX);
    for (size_t i = 0; i < n; i++) {
        hk_fiber *f = fibers[i];
        size_t beside = HK_SLOT_GAP + hk_slot_guard_bytes(f->size_class);
        ranges[i] = (struct iovec){f->stack_low, hk_slot_bytes(f->size_class) - beside};
        hk_fiber_note_gone(f);
        hk_store_relaxed(&f->ready, false); /* relaxed: who looks it up races with us anyway */
    }
    hk_arena_drop_pages(ranges, n);
    hk_sub_relaxed(&fibers_in_being, (uint64_t)n);

    hk_lock_take(&arena_lock, HK_RANK_STACK);
    for (size_t i = 0; i < n; i++) {
        chunk *c = chunk_of(ranges[i].iov_base);
        uint32_t number = slot_number(c, ranges[i].iov_base);
        arena *a = &arenas[c->size_class];
        c->bare_next[number] = a->bare;
        a->bare = ((uint32_t)(c - chunks) << SLOT_BITS | number) + 1;
    }
    hk_lock_drop(&arena_lock);
}

void hk_arena_get_stats(hk_stack_stats *ret_stats)
{
    /* Relaxed: counters, each right by itself. */
    uint64_t guarded = hk_load_relaxed(&slots_by_guard[HK_GUARD_KERNEL]);
    uint64_t protected_ = hk_load_relaxed(&slots_by_guard[HK_GUARD_PROTECT]);
    uint64_t canaried = hk_load_relaxed(&slots_by_guard[HK_GUARD_CANARY]);
    *ret_stats = (hk_stack_stats){.slots = guarded + protected_ + canaried,
                                  .live = hk_load_relaxed(&fibers_in_being),
                                  .guarded = guarded,
                                  .protected_ = protected_,
                                  .canaried = canaried,
                                  .mapped_bytes = hk_load_relaxed(&mapped_bytes)};
}
