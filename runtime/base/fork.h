/* SPDX-License-Identifier: MIT */
/* fork.h - are we a forked child, without the threads that would serve us?
 *
 * Only the thread that called fork() goes on in the child. From then on until the child starts a
 * runtime of its own nobody would ever end a wait, so nobody may begin one. And what had threads in
 * the parent, a runtime or a pool, has none here for ever: it remembers which process made it. */
#ifndef HK_BASE_FORK_H
#define HK_BASE_FORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

/* orphaned  set in the child, by the only thread there is; cleared by the start of a runtime
 * process   how many forks lie between the first process and this; counted up in the same way */
extern HK_ATOMIC(bool) hk_fork_orphaned;
extern HK_ATOMIC(uint32_t) hk_fork_process;

static inline bool hk_forked(void)
{
    return HK_UNLIKELY(hk_load_relaxed(&hk_fork_orphaned)); /* written before other threads exist */
}

/* The number of this process, for what belongs to it. */
static inline uint32_t hk_fork_here(void)
{
    return hk_load_relaxed(&hk_fork_process); /* the same */
}

/* Whether the threads of what was made in that process are not there any more. */
static inline bool hk_fork_left_behind(uint32_t process)
{
    return HK_UNLIKELY(process != hk_fork_here());
}

#endif
