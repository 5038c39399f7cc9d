/* SPDX-License-Identifier: MIT */
/* linger.c - see linger.h. */
#include "sched/linger.h"

#include "base/lock.h"
#include "base/os.h"
#include "sched/idle.h"
#include "sched/inbox.h"
#include "sched/runtime.h"
#include "sched/worker.h"

enum {
    LINGER_NS = 50 * 1000, /* twice what it takes to be woken */
    PROMPT_ENOUGH = 4,     /* sleeps cut short, until the next is waited for awake */
    REFRAIN_MIN = 16,      /* and how many more after one that was waited for in vain, */
    REFRAIN_MAX = 4096,    /* each time twice as many, until one is not in vain */
    PAUSES = 8,            /* between two looks */
};

/* In the simulator no time passes while anybody is awake. */
enum { LINGERS = !HK_SIM };

static bool is_called(hk_worker *w)
{
    return !hk_inbox_seems_empty(&w->runtime->inbox);
}

/* Until there is something to do, or enough time has passed. Descriptors and timers are asked as
 * often as those of a worker that has work. */
static bool linger(hk_worker *w)
{
    for (int64_t began = hk_os_now(), now = began; now - began < LINGER_NS; now = hk_os_now()) {
        if (is_called(w) || hk_worker_others_have_work(w))
            return true;
        if (hk_worker_poll_in_time(w, now) > 0)
            return true;
        hk_spin_pauses(PAUSES);
    }
    return false;
}

/* Both may be on the same CPU: then it is always in vain, and must cost next to nothing. */
static void note_lingered(hk_linger *l, bool has_come)
{
    if (has_come || l->refrain == 0)
        l->refrain = REFRAIN_MIN;
    if (has_come)
        return;
    l->prompt = -l->refrain;
    l->refrain = l->refrain < REFRAIN_MAX ? 2 * l->refrain : REFRAIN_MAX;
}

bool hk_linger_for_calls(hk_worker *w, bool *searching)
{
    if (!LINGERS || w->linger.prompt < PROMPT_ENOUGH)
        return false;
    if (!w->alone && !*searching) {
        *searching = hk_idle_start_search(w); /* or whoever calls would wake another */
        if (!*searching)
            return false;
    }
    bool has_come = linger(w);
    note_lingered(&w->linger, has_come);
    return has_come;
}

void hk_linger_sleeps(hk_worker *w)
{
    w->linger.since = w->linger.prompt != 0 ? hk_os_now() : 0;
}

void hk_linger_slept(hk_worker *w)
{
    hk_linger *l = &w->linger;
    bool first = l->prompt == 0; /* it was not timed, and tells only that there are callers */
    if (is_called(w) && (first || w->clock - l->since < LINGER_NS))
        l->prompt++;
    else if (l->prompt > 0)
        l->prompt = 0;
}
