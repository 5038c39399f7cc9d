/* SPDX-License-Identifier: MIT */
/* self.h - who is it that runs here? For park.h, whose users need not know what a task is. */
#ifndef HK_SCHED_SELF_H
#define HK_SCHED_SELF_H

#include "base/waiter.h"

/* The calling task, or outside a task the calling thread: who owns what it locks. */
#ifdef HK_MODEL /* a model says it */
hk_sleeper *hk_park_self(void);
#else
#include "sched/task.h"
#include "sched/worker.h"

hk_sleeper *hk_park_self_outside(void);

static inline hk_sleeper *hk_park_self(void)
{
    hk_worker *w = hk_worker_self();
    return HK_LIKELY(w && w->current) ? &w->current->sleeper : hk_park_self_outside();
}
#endif

#endif
