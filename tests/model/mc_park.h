/* SPDX-License-Identifier: MIT */
/* mc_park.h - sched/park.h for models: each model thread is a sleeper, parked on a parker.
 *
 * The waiter word is the real one. A stop is asked for and looked for as hk_scope and
 * hk_task_cancel do it: the flag first, then the word; the word first, then the flag. Nobody spins
 * for another. */
#ifndef HK_MODEL_MC_PARK_H
#define HK_MODEL_MC_PARK_H

#include <errno.h>

#include "model/mc.h"
#include "sched/park.h"

static hk_sleeper sleepers[MC_THREADS_MAX];
static mc_parker parkers[MC_THREADS_MAX];
static int stop_flags[MC_THREADS_MAX];
static bool is_known[MC_THREADS_MAX];

static void begin_parking(void)
{
    memset(sleepers, 0, sizeof sleepers);
    memset(parkers, 0, sizeof parkers);
    memset(stop_flags, 0, sizeof stop_flags);
    memset(is_known, 0, sizeof is_known);
}

/* A thread's record is made by itself, at its first use: plain memory to whoever looks at it. */
hk_sleeper *hk_park_self(void)
{
    hk_sleeper *me = &sleepers[mc_self()];
    if (!is_known[mc_self()])
        MC_WRITE(&me->kind, HK_SLEEPER_THREAD);
    is_known[mc_self()] = true;
    return me;
}

void hk_park_begin(hk_waiter *w, unsigned state)
{
    w->asked = state;
    w->ticket = hk_sleeper_begin(hk_park_self(), state);
}

bool hk_park_abandon(hk_waiter *w)
{
    return hk_ticket_claim(w->ticket, 0);
}

int hk_park(hk_waiter *w, int64_t deadline, const char *why)
{
    (void)deadline;
    (void)why;
    bool stop = w->asked == HK_WAITING && hk_load_seqcst(&stop_flags[mc_self()]) != 0;
    if (stop && hk_ticket_claim(w->ticket, -ECANCELED))
        return -ECANCELED;
    mc_sleep(&parkers[mc_self()]);
    return hk_sleeper_result(w->ticket.sleeper);
}

void hk_wake_claimed(hk_sleeper *s)
{
    mc_wake(&parkers[s - sleepers]);
}

bool hk_park_is_busy_elsewhere(hk_sleeper *s)
{
    return MC_READ(&s->kind) != HK_SLEEPER_THREAD; /* never, but it is looked at */
}

bool hk_park_may_spin_for(hk_sleeper *s)
{
    (void)s;
    return false;
}

int hk_checkpoint(void)
{
    return 0; /* only waits are stopped here */
}

/* Cancel thread `i`. */
static void cancel(int i)
{
    (void)hk_or_seqcst(&stop_flags[i], 1);
    uint64_t word = hk_load_seqcst(&sleepers[i].word);
    if (hk_sleeper_claim_stop(&sleepers[i], word, true, -ECANCELED))
        hk_wake_claimed(&sleepers[i]);
}

#endif
