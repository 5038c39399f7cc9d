/* SPDX-License-Identifier: MIT */
/* fork.h - what a fork() leaves of a runtime: nothing that waits for ever. */
#ifndef HK_SCHED_FORK_H
#define HK_SCHED_FORK_H

#include <errno.h>

#include "base/fork.h"

/* From here on the locks of signals and runtimes are whole in a forked child, which knows that it
 * is one. */
void hk_fork_watch(void);

/* A runtime starts, in the process whose number is returned, or has ended: a fork() in between
 * leaves an orphan. */
uint32_t hk_fork_runtime_starts(void);
void hk_fork_runtime_ended(void);

/* What a call that needs a task answers outside of one. */
static inline int hk_not_in_a_task(void)
{
    return hk_forked() ? -ESHUTDOWN : -EPERM;
}

#endif
