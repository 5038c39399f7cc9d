/* SPDX-License-Identifier: MIT */
/* idle.c - no work waits while every worker sleeps, and nobody is woken for nothing.
 *
 * Invariant: if there is a task in any queue, then some worker is running, or searching, or has
 * been woken and has not slept since.
 *
 *   queue work                          go to sleep
 *     put it in                           say "one more sleeps" (RMW)
 *     published + 1  (seq_cst)            read everyone's published (seq_cst), then their queues
 *     read word      (seq_cst)            sleep only if all are empty
 *
 * In the one order of all seq_cst accesses either the sleeper is in the word before the queuer
 * reads it, and is woken, or the count was out before the sleeper read it, and the work is seen. A
 * queuer that sees somebody searching wakes nobody: every searcher looks again after it has stopped
 * searching, on its way to sleep or, if it found something, before it runs that (hk_idle_found).
 *
 * A spawn does not take part: its locked instruction would cost more than the rest of it. It only
 * looks at the word, and in the one case where it and a worker that goes to sleep miss each other,
 * the monitor, which is awake while any worker is, wakes the sleeper (monitor.c). The invariant
 * holds all the same, as who spawned is running.
 *
 * Rejected: waking a worker for every push (a herd wakes, finds nothing, sleeps again); a look at
 * a plain "anyone asleep?" flag (the store of the work may still be on its way).
 * Source: Go's proc.go; Vyukov, "Scalable Go scheduler design", 2012; Tokio bug 1768. */
#include "sched/idle.h"

#include <stdint.h>

#include "base/check.h"
#include "base/os.h"
#include "sched/monitor.h"
#include "sched/runtime.h"
#include "sched/worker.h"

#define ONE_SEARCHING (UINT64_C(1) << 32)
#define ONE_SLEEPING  UINT64_C(1)

void hk_idle_notify(hk_runtime *rt)
{
    hk_idle *idle = &rt->idle;
    uint64_t word = hk_load_seqcst(&idle->word); /* after the caller's seq_cst publication */
    if (HK_LIKELY(hk_idle_sleeping(word) == 0 || hk_idle_searching(word) > 0))
        return;
    hk_worker *woken = NULL;
    hk_lock_take(&idle->lock, HK_RANK_IDLE);
    /* Once more, seq_cst like the first look: whoever got the lock before us may have woken one. */
    if (idle->n > 0 && hk_idle_searching(hk_load_seqcst(&idle->word)) == 0) {
        woken = idle->sleepers[--idle->n];
        (void)hk_add_seqcst(&idle->word, ONE_SEARCHING - ONE_SLEEPING); /* it wakes as a searcher */
    }
    hk_lock_drop(&idle->lock);
    if (!woken)
        return;
    (void)hk_add_relaxed(&idle->wakes, (uint64_t)1); /* a statistic */
    hk_reactor_interrupt(&woken->reactor);
}

bool hk_idle_start_search(hk_worker *w)
{
    hk_idle *idle = &w->runtime->idle;
    if (w->alone ||
        2 * hk_idle_searching(hk_load_relaxed(&idle->word)) >= w->runtime->n) /* a limit, not */
        return false;                                                         /* a promise */
    (void)hk_add_seqcst(&idle->word, ONE_SEARCHING);
    return true;
}

/* The last look: whoever published before this is seen here. */
static bool work_anywhere(hk_runtime *rt)
{
    if (!hk_inbox_seems_empty(&rt->inbox))
        return true;
    for (unsigned i = 0; i < rt->n; i++) {
        hk_worker *other = &rt->workers[i];
        (void)hk_load_seqcst(&other->published); /* then its queues: see the essay */
        if (hk_worker_has_work(other))
            return true;
    }
    return false;
}

void hk_idle_found(hk_worker *w)
{
    hk_runtime *rt = w->runtime;
    /* seq_cst: from here on queuers no longer count on us, and what they queued before is seen. */
    uint64_t before = hk_sub_seqcst(&rt->idle.word, ONE_SEARCHING);
    if (hk_idle_searching(before) == 1 && hk_idle_sleeping(before) > 0 && work_anywhere(rt))
        hk_idle_notify(rt);
}

static void enter(hk_worker *w, bool was_searching)
{
    hk_idle *idle = &w->runtime->idle;
    hk_store_relaxed(&w->idle_state, 1u); /* a hint for the monitor */
    hk_lock_take(&idle->lock, HK_RANK_IDLE);
    idle->sleepers[idle->n++] = w;
    (void)hk_add_seqcst(&idle->word, ONE_SLEEPING - (was_searching ? ONE_SEARCHING : 0));
    hk_lock_drop(&idle->lock);
}

/* True: somebody woke us, and counted us among the searchers. */
static bool leave(hk_worker *w)
{
    hk_idle *idle = &w->runtime->idle;
    bool woken = true;
    hk_lock_take(&idle->lock, HK_RANK_IDLE);
    for (uint32_t i = idle->n; i-- > 0 && woken;) {
        if (idle->sleepers[i] != w)
            continue;
        idle->sleepers[i] = idle->sleepers[--idle->n];
        (void)hk_sub_seqcst(&idle->word, ONE_SLEEPING); /* seq_cst: see the essay */
        woken = false;
    }
    hk_lock_drop(&idle->lock);
    hk_store_relaxed(&w->idle_state, 0u);
    return woken;
}

bool hk_idle_sleep(hk_worker *w, bool was_searching)
{
    hk_runtime *rt = w->runtime;
    int n = 0;
    HK_CHECK(hk_load_relaxed(&w->lifo) == NULL); /* nobody else takes it: it would wait for ever */
    enter(w, was_searching);
    /* [runtime:stopping] acquire; hk_idle_wake_all interrupts whoever reads too early. */
    if (!work_anywhere(rt) && !hk_load_acquire(&rt->stopping)) {
        hk_count(w->counters.parks);
        hk_count(w->counters.polls);
        n = hk_reactor_wait(&w->reactor, INT64_MAX, w->ready);
        w->clock = hk_os_now();
    }
    bool woken = leave(w);
    hk_monitor_notice(rt);
    (void)hk_worker_take_ready(w, w->ready, n);
    return woken;
}

void hk_idle_wake_all(hk_runtime *rt)
{
    for (unsigned i = 0; i < rt->n; i++)
        hk_reactor_interrupt(&rt->workers[i].reactor);
}
