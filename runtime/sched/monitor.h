/* SPDX-License-Identifier: MIT */
/* monitor.h - the thread that sees to it that one long computation holds up nobody else. */
#ifndef HK_SCHED_MONITOR_H
#define HK_SCHED_MONITOR_H

#include "base/atomic.h"
#include "sched/runtime.h"

enum { HK_MONITOR_AWAKE, HK_MONITOR_ASLEEP, HK_MONITOR_STOP };

/* Only a runtime with several workers has one: with a single worker nobody could help. */
int hk_monitor_start(hk_runtime *rt);
void hk_monitor_stop(hk_runtime *rt);

void hk_monitor_wake(hk_runtime *rt);

/* A worker has woken up: so must the monitor. */
static inline void hk_monitor_notice(hk_runtime *rt)
{
    /* seq_cst: the worker left the sleepers (RMW) before it looks here; the monitor says that it
     * sleeps before it looks at the sleepers. */
    if (HK_UNLIKELY(hk_load_seqcst(&rt->monitor_word) == HK_MONITOR_ASLEEP))
        hk_monitor_wake(rt);
}

#endif
