/* SPDX-License-Identifier: MIT */
/* join.c - calling children, leaving the counter in the others, waiting for zero. */
#include "sched/join.h"

#include <errno.h>

#include "base/check.h"
#include "sched/child.h"
#include "sched/look.h"
#include "sched/park.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "sched/worker.h"

#define LEFT_MASK ((UINT64_C(1) << 24) - 1)

/* j->first when the join was decided by a handle that is no task of ours. */
#define NOT_A_TASK ((hk_task *)1)

static uint64_t left(uint64_t word)
{
    return word & LEFT_MASK;
}

bool hk_join_decided(hk_join *j)
{
    return hk_load_acquire(&j->first) != NULL; /* [join:first] acquire */
}

ssize_t hk_join_winner(hk_join *j)
{
    hk_task *me = hk_task_of(j->sleeper);
    hk_task *first = hk_load_acquire(&j->first); /* [join:first] acquire */
    for (size_t i = 0; i < j->n; i++) {
        int error;
        hk_task *c = hk_task_child(me, j->tasks[i], &error);
        if (c == first || (!c && first == NOT_A_TASK))
            return (ssize_t)i;
    }
    hk_panic("a race ended without a winner");
}

void hk_join_cancel(hk_join *j, hk_task *except)
{
    hk_task *me = hk_task_of(j->sleeper);
    for (size_t i = 0; i < j->n; i++) {
        hk_task *c = j->tasks[i].slot_;
        if (c && c != except && hk_load_relaxed(&c->parent) == me) /* ours does not change now */
            (void)hk_task_cancel(c, j->tasks[i].generation_);      /* stale: nothing to cancel */
    }
}

/* `child` has ended: does that decide the join? The first one that does cancels the others. */
static void decide(hk_join *j, hk_task *child, int result)
{
    if (j->mode == HK_JOIN_ALL || (j->mode == HK_JOIN_FAIL_FAST && result >= 0))
        return;
    if (HK_UNLIKELY(j->mode == HK_JOIN_SETTLE)) {
        hk_task_report(child, result);
        return;
    }
    hk_task *nobody = NULL;
    if (hk_load_relaxed(&j->first) != NULL) /* the CAS below would tell the same, dearer */
        return;
    if (!hk_cas_acqrel(&j->first, &nobody, child)) /* [join:first] */
        return;
    j->first_result = result; /* read by the parent after the countdown that follows */
    hk_join_cancel(j, child);
}

void hk_join_arrive(hk_join *j, hk_task *child, int result)
{
    if (HK_UNLIKELY(j->mode == HK_JOIN_LOOK)) {
        hk_look_arrive(hk_watch_of(j), result);
        return;
    }
    decide(j, child, result);
    hk_sleeper *parent = j->sleeper; /* before the countdown: j may be gone after it */
    /* [join:left] release: our result and first_result; acquire: all others', for the waking. */
    uint64_t word = hk_sub_acqrel(&j->word, (uint64_t)1);
    if (left(word) == 1 && word >> HK_TURN_SHIFT)
        (void)hk_wake((hk_ticket){parent, word >> HK_TURN_SHIFT}, 0); /* or it was stopped first */
}

void hk_join_show(hk_join *j)
{
    if (j->shown)
        return;
    j->shown = true;
    hk_task *me = hk_task_of(j->sleeper);
    uint64_t ended = 0;
    hk_store_relaxed(&j->word, (uint64_t)j->rest); /* published by the CAS below */
    for (size_t i = 0; i < j->rest; i++) {
        int error;
        hk_task *c = hk_task_child(me, j->tasks[i], &error);
        struct hk_join *none = HK_JOIN_NONE;
        bool called = c && hk_load_relaxed(&c->join) == HK_JOIN_CALLED; /* written on this stack */
        if (c && !called)
            hk_look_forget(c);
        if (c && !called && !hk_task_done(c) && hk_cas_acqrel(&c->join, &none, j)) /* [task:join] */
            continue;
        ended++;
        if (!c)
            decide(j, NOT_A_TASK, error);
        else if (!called && hk_task_done(c))
            decide(j, c, c->result);
    }
    if (ended > 0)
        (void)hk_sub_acqrel(&j->word, ended); /* [join:left] */
}

/* Call what has not started and is at hand, the newest first; stop at the first that is not. */
static void call_children(hk_join *j, hk_task *me)
{
    for (size_t i = j->n; i-- > 0;) {
        hk_worker *w = hk_worker_self();
        int error;
        hk_task *c = hk_task_child(me, j->tasks[i], &error);
        if (!c || !hk_worker_claim(w, c))
            return;
        /* An earlier one that we called may have had to show j while it was on top of us; then this
         * one is counted, and a call does not count down. */
        bool counted = hk_load_relaxed(&c->join) == j; /* written on this very stack */
        j->rest = i;
        decide(j, c, hk_worker_call(w, c));
        if (counted)
            (void)hk_sub_acqrel(&j->word, (uint64_t)1); /* [join:left] */
    }
}

/* Park until the last child has counted down or a stop comes. 0 or the stop. */
static int wait_for_zero(hk_join *j, unsigned state)
{
    hk_waiter w;
    hk_park_begin(&w, state);
    uint64_t word = hk_load_relaxed(&j->word); /* the CAS orders */
    while (left(word) > 0) {
        uint64_t parked = w.ticket.turn << HK_TURN_SHIFT | left(word);
        if (hk_cas_acqrel(&j->word, &word, parked)) /* [join:left] */
            return hk_park(&w, HK_FOREVER, "children");
    }
    return hk_park_abandon(&w) ? 0 : hk_park(&w, HK_FOREVER, "children");
}

static void pass_on(hk_join *j, int stop)
{
    if (!hk_join_decided(j))
        j->stop = stop;
    hk_join_cancel(j, NULL);
}

static void wait_for_children(hk_join *j, bool stopped)
{
    if (j->rest == 0 && !j->shown) /* all were called, and none of them ever parked beneath us */
        return;
    hk_join_show(j);
    while (left(hk_load_acquire(&j->word)) > 0) { /* [join:left] acquire: their results */
        int rc = wait_for_zero(j, stopped ? HK_WAITING_FIRMLY : HK_WAITING);
        if (rc < 0 && !stopped) {
            stopped = true;
            pass_on(j, rc);
        }
    }
}

int hk_join_wait(hk_join *j)
{
    hk_task *me = hk_worker_self()->current;
    j->sleeper = &me->sleeper;
    me->joining = j;
    j->rest = j->n;
    int stop = hk_scope_stop_reason(j->sleeper, HK_NOW);
    if (stop && j->mode == HK_JOIN_FIRST)
        hk_join_show(j); /* one that has ended before has won */
    if (j->mode == HK_JOIN_SETTLE)
        hk_join_show(j); /* first: each is reported by it, or else when it ends, once */
    if (stop)
        pass_on(j, stop);
    if (j->mode != HK_JOIN_FIRST)
        call_children(j, me);
    wait_for_children(j, stop != 0);
    me->joining = NULL;
    me->stop_passed_on = false;
    return j->stop;
}
