/* SPDX-License-Identifier: MIT */
/* self.h - who is it that runs here? For park.h, whose users need not know what a task is. */
#ifndef HK_SCHED_SELF_H
#define HK_SCHED_SELF_H

#include "base/waiter.h"

/* The calling task, or outside a task the calling thread: who owns what it locks. */
#ifdef HK_MODEL /* a model says it */
hk_sleeper *hk_park_self(void);

static inline hk_sleeper *hk_park_self_quickly(void)
{
    return hk_park_self();
}
#else
#include "sched/task.h"
#include "sched/worker.h"

hk_sleeper *hk_park_self_outside(void);

/* NULL: it is not a task that calls. For who then goes another way altogether, and so needs no
 * registers saved around a call. */
static inline hk_sleeper *hk_park_self_quickly(void)
{
    hk_worker *w = hk_worker_self();
    return HK_LIKELY(w && w->current) ? &w->current->sleeper : NULL;
}

static inline hk_sleeper *hk_park_self(void)
{
    hk_sleeper *s = hk_park_self_quickly();
    return HK_LIKELY(s != NULL) ? s : hk_park_self_outside();
}
#endif

#endif
