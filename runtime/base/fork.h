/* SPDX-License-Identifier: MIT */
/* fork.h - are we a forked child, without the threads that would serve us?
 *
 * Only the thread that called fork() goes on in the child. From then on until the child starts a
 * runtime of its own nobody would ever end a wait, so nobody may begin one. */
#ifndef HK_BASE_FORK_H
#define HK_BASE_FORK_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/compiler.h"

/* orphaned  set in the child, by the only thread there is; cleared by the start of a runtime */
extern HK_ATOMIC(bool) hk_fork_orphaned;

static inline bool hk_forked(void)
{
    return HK_UNLIKELY(hk_load_relaxed(&hk_fork_orphaned)); /* written before other threads exist */
}

#endif
