/* SPDX-License-Identifier: MIT */
/* stack.c - who gets which idle fiber: a cache a worker, one depot for all.
 *
 *     worker's cache  <--- a batch at a time --->  depot: warm | stripped  <--->  arena: bare, new
 *     (last in, first out; no lock)                (under its lock)               (arena.c)
 *
 * A cache that has run empty fetches a batch, one that holds two hands its colder half over, so the
 * depot's lock is taken once in so many. Trimming moves stacks to the right: a stripped one has
 * only its top page, a bare one none.
 *
 * Equation: fibers in being == taken + in caches + in the depot. */
#include "fiber/stack.h"

#include <errno.h>
#include <sys/uio.h>

#include "base/check.h"
#include "base/lock.h"
#include "base/os.h"
#include "fiber/arena.h"

enum { BATCH_SMALL = 32, BATCH_LARGE = 4, LARGE_CLASS = 4 /* above 128 KiB */ };
enum { STRIPPED_KEPT = 256 }; /* a class; what is above goes bare */
enum { PAGES_A_LOOK = 256 };

/* One size class; zeroed is empty. All fields are guarded by `lock`, but the counts are read
 * without it by statistics. */
typedef struct depot {
    hk_lock lock;
    hk_node warm;     /* hk_fiber.link, latest first */
    hk_node stripped; /* the same */
    HK_ATOMIC(uint32_t) warm_count;
    HK_ATOMIC(uint32_t) stripped_count;
} depot;

static depot depots[HK_STACK_CLASSES];

/* Every cache that was ever used and not drained, for the statistics. */
static hk_lock caches_lock;
static hk_node caches HK_GUARDED_BY(caches_lock);

void hk_stack_freeze(void)
{
    hk_overflow_freeze();
    hk_lock_freeze(&caches_lock);
    for (int i = 0; i < HK_STACK_CLASSES; i++)
        hk_lock_freeze(&depots[i].lock);
    hk_arena_freeze();
}

void hk_stack_thaw(void)
{
    hk_arena_thaw();
    for (int i = 0; i < HK_STACK_CLASSES; i++)
        hk_lock_thaw(&depots[i].lock);
    hk_lock_thaw(&caches_lock);
    hk_overflow_thaw();
}

int hk_stack_class(size_t bytes)
{
    int size_class = 0;
    if (bytes > HK_STACK_MAX)
        return -EINVAL;
    while (hk_stack_class_bytes(size_class) < bytes)
        size_class++;
    return size_class;
}

size_t hk_stack_class_bytes(int size_class)
{
    return (size_t)HK_STACK_MIN << size_class;
}

static unsigned batch_of(int size_class)
{
    return size_class < LARGE_CLASS ? BATCH_SMALL : BATCH_LARGE;
}

/* Counts have one writer at a time, a cache's owner or the holder of a depot's lock: relaxed, and
 * no read-modify-write. */
#define ADD(count, n) hk_store_relaxed(&(count), hk_load_relaxed(&(count)) + (uint32_t)(n))
#define SUB(count, n) hk_store_relaxed(&(count), hk_load_relaxed(&(count)) - (uint32_t)(n))

static hk_fiber *fiber_of(hk_node *link)
{
    return hk_container_of(link, hk_fiber, link);
}

static void move_last_to_front(hk_node *from, hk_node *to)
{
    hk_node *node = from->prev;
    hk_list_remove(node);
    hk_list_push_front(to, node);
}

/* --- between a cache and the depot --------------------------------------------------------- */

static void register_cache(hk_stack_cache *cache)
{
    hk_lock_take(&caches_lock, HK_RANK_STACK);
    hk_list_push_back(&caches, &cache->link);
    hk_lock_drop(&caches_lock);
    cache->is_linked = true;
}

/* The `n` least recently used of a class go to the depot. */
static void spill(hk_stack_cache *cache, int size_class, unsigned n)
{
    depot *d = &depots[size_class];
    hk_node *idle = &cache->classes[size_class].idle;
    hk_lock_take(&d->lock, HK_RANK_STACK);
    for (unsigned i = 0; i < n; i++)
        move_last_to_front(idle, &d->warm);
    ADD(d->warm_count, n);
    SUB(cache->classes[size_class].count, n);
    hk_lock_drop(&d->lock);
}

static hk_fiber *pop_depot(depot *d)
{
    hk_node *link = hk_list_pop_front(&d->warm);
    if (link) {
        SUB(d->warm_count, 1);
        return fiber_of(link);
    }
    link = hk_list_pop_front(&d->stripped);
    if (!link)
        return NULL;
    SUB(d->stripped_count, 1);
    return fiber_of(link);
}

/* One to use now, and a batch into the cache if there is one. */
static hk_fiber *fetch(hk_stack_cache *cache, int size_class)
{
    depot *d = &depots[size_class];
    if (hk_load_relaxed(&d->warm_count) + hk_load_relaxed(&d->stripped_count) == 0)
        return NULL; /* most likely: not worth the lock, and a miss costs a new stack at worst */
    hk_lock_take(&d->lock, HK_RANK_STACK);
    hk_fiber *f = pop_depot(d);
    for (unsigned i = 1; cache && f && i < batch_of(size_class); i++) {
        hk_fiber *more = pop_depot(d);
        if (!more)
            break;
        hk_list_push_back(&cache->classes[size_class].idle, &more->link);
        ADD(cache->classes[size_class].count, 1);
    }
    hk_lock_drop(&d->lock);
    return f;
}

static hk_fiber *pop_cache(hk_stack_cache *cache, int size_class)
{
    hk_node *link = hk_list_pop_front(&cache->classes[size_class].idle);
    if (!link)
        return NULL;
    SUB(cache->classes[size_class].count, 1);
    return fiber_of(link);
}

static int take(hk_stack_cache *cache, int size_class, hk_fiber **ret_fiber)
{
    if (cache && !cache->is_linked)
        register_cache(cache);
    hk_fiber *f = cache ? pop_cache(cache, size_class) : NULL;
    if (!f)
        f = fetch(cache, size_class);
    if (!f)
        return hk_arena_take(size_class, ret_fiber);
    *ret_fiber = f;
    return 0;
}

int hk_stack_take(hk_stack_cache *cache, int size_class, hk_fiber **ret_fiber)
{
    HK_DCHECK(size_class >= 0 && size_class < HK_STACK_CLASSES);
    hk_fiber_note_turn_begins(cache);
    int rc = take(cache, size_class, ret_fiber);
    if (rc == 0)
        hk_fiber_note_taken(*ret_fiber);
    hk_fiber_note_turn_ends(cache);
    return rc;
}

static void give_to_depot(hk_fiber *f)
{
    depot *d = &depots[f->size_class];
    hk_lock_take(&d->lock, HK_RANK_STACK);
    hk_list_push_front(&d->warm, &f->link);
    ADD(d->warm_count, 1);
    hk_lock_drop(&d->lock);
}

static void give_to_cache(hk_stack_cache *cache, hk_fiber *f)
{
    unsigned batch = batch_of(f->size_class);
    if (!cache->is_linked)
        register_cache(cache);
    hk_list_push_front(&cache->classes[f->size_class].idle, &f->link);
    ADD(cache->classes[f->size_class].count, 1);
    if (hk_load_relaxed(&cache->classes[f->size_class].count) >= 2 * batch)
        spill(cache, f->size_class, batch);
}

void hk_stack_give(hk_stack_cache *cache, hk_fiber *f)
{
    HK_CHECK(!f->is_thread && !hk_node_linked(&f->link)); /* a stack, and not given already */
    if (f->has_canary && !hk_guard_canary_is_intact(f))
        hk_panic("stack overflow: the canary below the stack of %zu bytes at %p was overwritten",
                 f->stack_bytes, (void *)f->stack_low);
    hk_fiber_note_turn_begins(cache);
    hk_fiber_note_given(f);
    f->owner = NULL;
    if (cache)
        give_to_cache(cache, f);
    else
        give_to_depot(f);
    hk_fiber_note_turn_ends(cache);
}

void hk_stack_cache_drain(hk_stack_cache *cache)
{
    hk_fiber_note_turn_begins(cache);
    for (int c = 0; c < HK_STACK_CLASSES; c++)
        if (hk_load_relaxed(&cache->classes[c].count) > 0)
            spill(cache, c, hk_load_relaxed(&cache->classes[c].count));
    if (cache->is_linked) {
        hk_lock_take(&caches_lock, HK_RANK_STACK);
        hk_list_remove(&cache->link);
        hk_lock_drop(&caches_lock);
        cache->is_linked = false;
    }
    hk_fiber_note_turn_ends(cache);
}

/* --- trimming ------------------------------------------------------------------------------ */

/* Take up to HK_RELEASE_MAX off the cold end of `list`. Out of the lists, they are ours. */
static size_t cut_cold(depot *d, hk_node *list, HK_ATOMIC(uint32_t) * count, uint32_t keep,
                       hk_fiber **ret_fibers)
{
    size_t n = 0;
    hk_lock_take(&d->lock, HK_RANK_STACK);
    while (n < HK_RELEASE_MAX && hk_load_relaxed(count) > keep) {
        hk_node *link = list->prev;
        hk_list_remove(link);
        SUB(*count, 1);
        ret_fibers[n++] = fiber_of(link);
    }
    hk_lock_drop(&d->lock);
    return n;
}

/* What lies below the top page of warm stacks. */
static bool strip(depot *d)
{
    hk_fiber *fibers[HK_RELEASE_MAX];
    struct iovec ranges[HK_RELEASE_MAX];
    size_t page = hk_os_page_bytes();
    size_t n = cut_cold(d, &d->warm, &d->warm_count, 0, fibers);
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        uintptr_t top_page = (uintptr_t)fibers[i] & ~(uintptr_t)(page - 1);
        uintptr_t low = (uintptr_t)fibers[i]->stack_low + (fibers[i]->has_canary ? page : 0);
        ranges[i] = (struct iovec){(void *)low, top_page - low};
    }
    hk_arena_drop_pages(ranges, n);
    hk_lock_take(&d->lock, HK_RANK_STACK);
    for (size_t i = 0; i < n; i++)
        hk_list_push_front(&d->stripped, &fibers[i]->link);
    ADD(d->stripped_count, n);
    hk_lock_drop(&d->lock);
    return true;
}

/* And, where there are many, the top page too. */
static bool bare(depot *d)
{
    hk_fiber *fibers[HK_RELEASE_MAX];
    size_t n = cut_cold(d, &d->stripped, &d->stripped_count, STRIPPED_KEPT, fibers);
    if (n > 0)
        hk_arena_release(fibers, n);
    return n > 0;
}

bool hk_stack_trim(hk_stack_cache *cache)
{
    for (int c = 0; cache && c < HK_STACK_CLASSES; c++) {
        unsigned count = hk_load_relaxed(&cache->classes[c].count);
        if (count > batch_of(c))
            spill(cache, c, count - batch_of(c));
    }
    for (int c = 0; c < HK_STACK_CLASSES; c++)
        if (strip(&depots[c]) || bare(&depots[c]))
            return true;
    return false;
}

/* --- looking ------------------------------------------------------------------------------- */

static uint64_t count_idle(void)
{
    uint64_t idle = 0;
    for (int c = 0; c < HK_STACK_CLASSES; c++)
        idle += hk_load_relaxed(&depots[c].warm_count) + hk_load_relaxed(&depots[c].stripped_count);

    hk_lock_take(&caches_lock, HK_RANK_STACK);
    for (hk_node *n = hk_list_first(&caches); n && n != &caches; n = n->next) {
        hk_stack_cache *cache = hk_container_of(n, hk_stack_cache, link);
        for (int c = 0; c < HK_STACK_CLASSES; c++)
            idle += hk_load_relaxed(&cache->classes[c].count);
    }
    hk_lock_drop(&caches_lock);
    return idle;
}

void hk_stack_get_stats(hk_stack_stats *ret_stats)
{
    uint64_t idle = count_idle();
    hk_arena_get_stats(ret_stats);
    /* The counts may be moving while they are added up. */
    ret_stats->live = ret_stats->live > idle ? ret_stats->live - idle : 0;
}

size_t hk_stack_high_water(const hk_fiber *f)
{
    unsigned char pages[PAGES_A_LOOK];
    size_t page = hk_os_page_bytes();
    uintptr_t top = (uintptr_t)f;
    uintptr_t low = (uintptr_t)f->stack_low + (f->has_canary ? page : 0);
    while (low < top) {
        size_t n = (top - low + page - 1) / page;
        n = n < PAGES_A_LOOK ? n : PAGES_A_LOOK;
        if (hk_os_resident((void *)low, n * page, pages) < 0)
            return 0; /* unknown */
        for (size_t i = 0; i < n; i++)
            if (pages[i] & 1)
                return top - (low + i * page);
        low += n * page;
    }
    return 0;
}
