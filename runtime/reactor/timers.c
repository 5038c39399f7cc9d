/* SPDX-License-Identifier: MIT */
/* timers.c - a pairing heap of what comes next, filled from a wheel of lists.
 *
 *     wheel, level 1   [ ][ ][x][ ]...   each slot a list, 64 ticks wide
 *            level 0   [ ][x][x][ ]...   each slot a list, one tick (a millisecond) wide
 *                          |
 *                          v  when its time has come
 *     heap   root(3)                 child: first child only; the others hang on `sibling`
 *              |
 *              5 -- 9 -- 4           `before` points back: 4 -> 9 -> 5 -> root
 *                   |
 *                   12
 *
 * While there are few timers, or for what is due within the tick, the heap takes all: it is exact,
 * and with few of them it fits the cache. Beyond that a timer goes to the slot of the highest digit
 * in which its tick differs from the wheel's. When time reaches the first used slot, its timers are
 * placed again: one level down, or in the heap. So a timer that never fires is pushed to a list and
 * taken out again, and one that does is sorted among those of its own millisecond.
 *
 * Heap: adding compares with the root and is done. Taking the root out leaves its children, which
 * are merged in two passes: neighbours in pairs from left to right, then the pairs from right to
 * left; that order is what makes it O(log n) amortised. A root may have a million children, so both
 * passes are loops: the first leaves the pairs in a list in reverse, which the second eats.
 *
 * Who may touch a timer: while `heap` is set, whoever holds that lock; while it is NULL, its owner.
 * So clearing `heap` is the *last* thing expiry does to a timer: the moment it is NULL the frame it
 * lies in may be gone. */
#include "reactor/timers.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "reactor/reactor.h"

enum {
    TICK_SHIFT = 20, /* a tick is 2^20 ns */
    DIGIT_BITS = 6,
    HEAP_ENOUGH = 256,       /* so few are sorted at once */
    MOVES_MAX = 256,         /* from slot to slot in a call: bounds how long the lock is held */
    NONE = HK_TIMER_IN_HEAP, /* no slot is being drained */
};

_Static_assert(HK_TIMER_LEVEL_SLOTS == 1 << DIGIT_BITS, "a digit is a slot");
_Static_assert(HK_TIMER_LEVELS *DIGIT_BITS + TICK_SHIFT >= 63, "every deadline has a level");

/* --- the heap ------------------------------------------------------------------------------ */

/* The later of two trees becomes the first child of the other. Neither is linked to siblings.
 * `a` stays on top if both are due at the same time. */
static hk_timer *link_trees(hk_timer *a, hk_timer *b)
{
    if (b->deadline < a->deadline) {
        hk_timer *t = a;
        a = b;
        b = t;
    }
    b->sibling = a->child;
    if (a->child)
        a->child->before = b;
    b->before = a;
    a->child = b;
    return a;
}

/* Make one tree of a list of siblings. NULL is no tree. */
static hk_timer *merge_siblings(hk_timer *first)
{
    hk_timer *pairs = NULL; /* linked by sibling, last pair first */
    while (first) {
        hk_timer *a = first, *b = a->sibling;
        first = b ? b->sibling : NULL;
        if (first) /* the next pair's memory is most likely cold: ask for it now */
            __builtin_prefetch(first->sibling);
        a->sibling = NULL;
        if (b)
            a = link_trees(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    hk_timer *tree = pairs;
    if (!tree)
        return NULL;
    pairs = tree->sibling;
    while (pairs) {
        hk_timer *next = pairs->sibling;
        tree = link_trees(pairs, tree);
        pairs = next;
    }
    tree->sibling = NULL;
    tree->before = NULL;
    return tree;
}

/* Take `t` and its subtree out of the list of its siblings. */
static void cut(hk_timer *t)
{
    if (t->before->child == t)
        t->before->child = t->sibling;
    else
        t->before->sibling = t->sibling;
    if (t->sibling)
        t->sibling->before = t->before;
}

static void heap_push(hk_timers *h, hk_timer *t)
{
    t->child = t->sibling = t->before = NULL;
    t->place = HK_TIMER_IN_HEAP;
    h->root = h->root ? link_trees(h->root, t) : t;
    h->heap_count++;
}

static void heap_remove(hk_timers *h, hk_timer *t)
{
    hk_timer *children = merge_siblings(t->child);
    h->heap_count--;
    if (t == h->root) {
        h->root = children;
        return;
    }
    cut(t);
    if (children)
        h->root = link_trees(h->root, children); /* never due before the root: they were below it */
}

/* --- the wheel ----------------------------------------------------------------------------- */

static int64_t tick_of(int64_t deadline)
{
    return deadline >> TICK_SHIFT; /* rounds down, also before 0 */
}

static void mark_empty(hk_timers *h, uint32_t place)
{
    uint32_t level = place / HK_TIMER_LEVEL_SLOTS;
    h->used[level] &= ~(UINT64_C(1) << place % HK_TIMER_LEVEL_SLOTS);
    if (h->used[level] == 0)
        h->levels &= ~(1u << level);
}

static void slot_push(hk_timers *h, uint32_t place, hk_timer *t)
{
    hk_timer *next = h->slots[place];
    t->place = place;
    t->before = NULL;
    t->sibling = next;
    if (next)
        next->before = t;
    h->slots[place] = t;
    uint32_t level = place / HK_TIMER_LEVEL_SLOTS;
    h->used[level] |= UINT64_C(1) << place % HK_TIMER_LEVEL_SLOTS;
    h->levels |= 1u << level;
}

static void slot_remove(hk_timers *h, hk_timer *t)
{
    if (t->sibling)
        t->sibling->before = t->before;
    if (t->before) {
        t->before->sibling = t->sibling;
        return;
    }
    h->slots[t->place] = t->sibling;
    if (!t->sibling)
        mark_empty(h, t->place);
}

/* Where a tick after h->tick belongs: the highest digit in which the two differ, and its value. */
static uint32_t slot_of(const hk_timers *h, int64_t tick)
{
    int bit = 63 - __builtin_clzll((unsigned long long)(tick ^ h->tick));
    uint32_t level = (uint32_t)bit / DIGIT_BITS;
    uint32_t digit = (uint32_t)(tick >> level * DIGIT_BITS) % HK_TIMER_LEVEL_SLOTS;
    return level * HK_TIMER_LEVEL_SLOTS + digit;
}

static void place_timer(hk_timers *h, hk_timer *t)
{
    int64_t tick = tick_of(t->deadline);
    if (tick <= h->tick || h->heap_count < HEAP_ENOUGH)
        heap_push(h, t);
    else
        slot_push(h, slot_of(h, tick), t);
}

static bool is_draining(const hk_timers *h)
{
    return h->draining != NONE && h->slots[h->draining] != NULL;
}

/* The first used slot, or NONE, and the tick it begins with. */
static uint32_t first_slot(const hk_timers *h, int64_t *ret_tick)
{
    if (h->levels == 0)
        return NONE;
    uint32_t level = (uint32_t)__builtin_ctz(h->levels);
    uint32_t digit = (uint32_t)__builtin_ctzll(h->used[level]);
    uint32_t above = (level + 1) * DIGIT_BITS;
    *ret_tick = (h->tick >> above << above) | (int64_t)digit << level * DIGIT_BITS;
    return level * HK_TIMER_LEVEL_SLOTS + digit;
}

/* Bring the wheel to `now`, or as far as MOVES_MAX timers go. */
static void advance(hk_timers *h, int64_t now)
{
    int moves = MOVES_MAX;
    for (;;) {
        for (; is_draining(h); moves--) {
            if (moves == 0)
                return;
            hk_timer *t = h->slots[h->draining];
            slot_remove(h, t);
            place_timer(h, t);
        }
        h->draining = NONE;
        int64_t start = 0;
        uint32_t place = first_slot(h, &start);
        if (place == NONE || start > now)
            break;
        /* Nothing is put in this slot any more: its digit is the wheel's own. */
        h->tick = start;
        h->draining = place;
        mark_empty(h, place);
    }
    if (h->tick < now)
        h->tick = now; /* before the first slot, so all are still in their places */
}

/* Whether the earliest has become earlier. */
static bool update_earliest(hk_timers *h)
{
    int64_t earliest = h->root ? h->root->deadline : INT64_MAX, start = h->tick;
    bool has_slot = is_draining(h) || first_slot(h, &start) != NONE;
    if (has_slot && start << TICK_SHIFT < earliest)
        earliest = start << TICK_SHIFT;
    /* Relaxed: written under the lock; whoever makes it earlier interrupts the owner, and that
     * orders the two. */
    int64_t before = hk_load_relaxed(&h->earliest);
    if (earliest != before)
        hk_store_relaxed(&h->earliest, earliest);
    return earliest < before;
}

/* --- what everybody uses ------------------------------------------------------------------- */

void hk_timers_init(hk_timers *h)
{
    memset(h, 0, sizeof *h);
    h->draining = NONE;
    hk_store_relaxed(&h->earliest, INT64_MAX); /* nobody else knows it yet */
}

bool hk_timers_add(hk_timers *h, hk_timer *t, int64_t deadline, hk_ticket ticket)
{
    HK_DCHECK(hk_load_relaxed(&t->heap) == NULL); /* relaxed: idle, so it is the caller's alone */
    t->deadline = deadline;
    t->ticket = ticket;

    hk_lock_take(&h->lock, HK_RANK_TIMERS);
    hk_store_relaxed(&t->heap, h); /* relaxed: only the timer's owner asks, and it is here */
    place_timer(h, t);
    bool is_earlier = update_earliest(h);
    hk_lock_drop(&h->lock);
    return is_earlier;
}

static void unlink_timer(hk_timers *h, hk_timer *t)
{
    if (t->place == HK_TIMER_IN_HEAP)
        heap_remove(h, t);
    else
        slot_remove(h, t);
}

bool hk_timers_remove(hk_timer *t)
{
    /* [timer:due] acquire: expiry has finished with the timer. */
    hk_timers *h = hk_load_acquire(&t->heap);
    if (!h)
        return false;
    /* It may become due right now, on the thread of whoever polls; but only under this lock, and
     * only its owner (which is here) could put it into another heap. */
    hk_lock_take(&h->lock, HK_RANK_TIMERS);
    bool was_armed = hk_load_relaxed(&t->heap) == h; /* relaxed: written under the lock */
    if (was_armed) {
        unlink_timer(h, t);
        (void)update_earliest(h); /* later, if anything: nobody need wake for that */
        hk_store_relaxed(&t->heap, (hk_timers *)NULL);
    }
    hk_lock_drop(&h->lock);
    return was_armed;
}

/* Due, and no timer that is still to be placed could be due before it. */
static bool is_next(const hk_timers *h, const hk_timer *t, int64_t now)
{
    return t && t->deadline <= now && (!is_draining(h) || tick_of(t->deadline) < h->tick);
}

void hk_timers_expire(hk_timers *h, int64_t now, struct hk_ready *ready, int *n, int max)
{
    hk_lock_take(&h->lock, HK_RANK_TIMERS);
    advance(h, tick_of(now));
    while (*n < max && is_next(h, h->root, now)) {
        hk_timer *t = h->root;
        ready[(*n)++] = (hk_ready){t->ticket, -ETIMEDOUT};
        heap_remove(h, t);
        /* [timer:due] release: the last touch; from here on it is its owner's. */
        hk_store_release(&t->heap, (hk_timers *)NULL);
    }
    (void)update_earliest(h); /* the owner is awake: it is polling */
    hk_lock_drop(&h->lock);
}

/* --- checks -------------------------------------------------------------------------------- */

/* The next in preorder, without a stack: climbing goes back along the siblings to the parent. */
static hk_timer *next_in_walk(hk_timer *t)
{
    if (t->child)
        return t->child;
    while (!t->sibling) {
        while (t->before && t->before->child != t)
            t = t->before;
        if (!t->before)
            return NULL;
        t = t->before;
    }
    return t->sibling;
}

static void check_heap(hk_timers *h)
{
    size_t count = 0;
    HK_CHECK(!h->root || (!h->root->sibling && !h->root->before));
    for (hk_timer *t = h->root; t; t = next_in_walk(t), count++) {
        HK_CHECK(hk_load_relaxed(&t->heap) == h); /* relaxed: under the lock */
        HK_CHECK(t->place == HK_TIMER_IN_HEAP);
        for (hk_timer *c = t->child, *before = t; c; before = c, c = c->sibling) {
            HK_CHECK(c->before == before);
            HK_CHECK(c->deadline >= t->deadline);
        }
    }
    HK_CHECK(count == h->heap_count);
}

static void check_slot(hk_timers *h, uint32_t place)
{
    uint32_t level = place / HK_TIMER_LEVEL_SLOTS;
    bool is_marked = h->used[level] >> place % HK_TIMER_LEVEL_SLOTS & 1;
    HK_CHECK(place == h->draining || is_marked == (h->slots[place] != NULL));
    for (hk_timer *t = h->slots[place], *before = NULL; t; before = t, t = t->sibling) {
        HK_CHECK(hk_load_relaxed(&t->heap) == h); /* relaxed: under the lock */
        HK_CHECK(t->place == place);
        HK_CHECK(t->before == before);
        HK_CHECK(tick_of(t->deadline) >= h->tick);
        HK_CHECK(place == h->draining || slot_of(h, tick_of(t->deadline)) == place);
    }
}

void hk_timers_check(hk_timers *h)
{
    hk_lock_take(&h->lock, HK_RANK_TIMERS);
    check_heap(h);
    for (uint32_t place = 0; place < HK_TIMER_IN_HEAP; place++)
        check_slot(h, place);
    for (uint32_t level = 0; level < HK_TIMER_LEVELS; level++)
        HK_CHECK((h->levels >> level & 1) == (h->used[level] != 0));
    int64_t earliest = hk_load_relaxed(&h->earliest); /* relaxed: under the lock */
    (void)update_earliest(h);
    HK_CHECK(hk_load_relaxed(&h->earliest) == earliest);
    hk_lock_drop(&h->lock);
}
