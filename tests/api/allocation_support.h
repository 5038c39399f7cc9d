/* SPDX-License-Identifier: MIT */
/* allocation_support.h - how often a way to wait takes memory, whatever ends the wait.
 *
 * Each way is gone through once to fill what is kept for reuse (slabs, stacks, rings), and again to
 * count. One worker: with more, how much is kept where is a matter of who ran what. */
#ifndef HK_TESTS_API_ALLOCATION_SUPPORT_H
#define HK_TESTS_API_ALLOCATION_SUPPORT_H

#include "api/support.h"

#include "base/fault.h"

/* All are called with the state of the table, which is cleared before each wait. */
typedef struct way {
    const char *name;
    hank_fn before;  /* NULL: nothing is needed to make `waits` wait */
    hank_fn waits;   /* in a task of its own */
    hank_fn wakes;   /* NULL: only a stop ends it */
    hank_fn after;   /* NULL: nothing is left of `before`, however it ended */
    int allocations; /* a wait: what is spawned with options, and iterations, have some */
    bool never_stops;
} way;

typedef struct way_table {
    const way *ways;
    size_t n;
    void (*clear)(void *state);
    void *state;
} way_table;

#if HK_FAULTS

enum { ROUNDS = 3 };

typedef enum ending { WOKEN, CANCELLED, TIMED_OUT, ENDINGS } ending;

/* One worker: whoever can go on has come as far as it can. */
static inline void let_the_others_run(void)
{
    for (int i = 0; i < 20; i++)
        (void)hank_yield(); /* nobody stops us */
}

static inline int wait_once(const way_table *t, const way *w, ending how)
{
    t->clear(t->state);
    MUST(!w->before || w->before(t->state) == 0);
    hank_task waiter = hank_spawn(w->waits, t->state);
    let_the_others_run();
    MUST(hank_is_done(waiter) == 0);
    if (how == WOKEN)
        MUST(w->wakes(t->state) == 0);
    else if (how == CANCELLED)
        MUST(hank_cancel(waiter) == 0);
    int rc = how == TIMED_OUT ? hank_within(HANK_US(1), hank_await(waiter)) : hank_await(waiter);
    MUST(how == WOKEN ? rc >= 0 : rc == (how == CANCELLED ? -ECANCELED : -ETIMEDOUT));
    MUST(!w->after || w->after(t->state) == 0);
    return 0;
}

/* How many waits it were. */
static inline int wait_in_every_ending(const way_table *t, const way *w)
{
    int waits = 0;
    for (int i = 0; i < ROUNDS * ENDINGS; i++) {
        ending how = (ending)(i % ENDINGS);
        bool possible = how == WOKEN ? w->wakes != NULL : !w->never_stops;
        MUST(!possible || wait_once(t, w, how) == 0);
        waits += possible;
    }
    return waits;
}

static inline int count_memory(const way_table *t, const way *w)
{
    MUST(wait_in_every_ending(t, w) > 0);
    hk_fault_plan(HK_FAULT_ALLOC, UINT64_MAX, 0); /* only to count */
    int waits = wait_in_every_ending(t, w);
    uint64_t taken = hk_fault_count(HK_FAULT_ALLOC) + hk_fault_count(HK_FAULT_MAP);
    hk_fault_clear();
    if (waits > 0 && (int)taken == w->allocations * waits)
        return 0;
    cr_log_error("%s: %d waits, memory taken %d times", w->name, waits, (int)taken);
    return -EPROTO;
}

static inline int memory_is_taken_as_documented(const way_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        CHECK(count_memory(t, &t->ways[i]) == 0);
    return 0;
}

#endif

#endif
