/* SPDX-License-Identifier: MIT */
/* keeper.h - a thread beside a runtime, for what its own workers might be too busy to notice: a
 * signal that ends the program, tasks that do not come to an end, a task that computes too long. */
#ifndef HK_SCHED_KEEPER_H
#define HK_SCHED_KEEPER_H

#include "sched/runtime.h"

/* Start one if there is anything for it to do. 0 or a negative errno. */
int hk_keeper_start(hk_runtime *rt);
void hk_keeper_stop(hk_runtime *rt);

/* The runtime has begun to end: from now on it counts how long that takes. */
void hk_keeper_note_ending(hk_runtime *rt);

/* Keep everyone from taking and leaving signals, across a fork(), and let them again. */
void hk_keeper_freeze(void);
void hk_keeper_thaw(void);

/* In a forked child: the keepers are gone, and signals are the child's own again. */
void hk_keeper_forked(void);

#endif
