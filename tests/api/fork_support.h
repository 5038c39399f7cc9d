/* SPDX-License-Identifier: MIT */
/* fork_support.h - what tests of forked children share: a child, and what it finds not to be so.
 *
 * A child that hangs is killed by its alarm, and then its test fails. */
#ifndef HK_TESTS_API_FORK_SUPPORT_H
#define HK_TESTS_API_FORK_SUPPORT_H

#include "api/thread_support.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include "sched/idle.h"
#include "sched/monitor.h"
#include "sched/runtime.h"

/* AddressSanitizer's child cannot allocate if another thread did at the moment of the fork, as each
 * thread does when it starts: there wait until all have started and gone to sleep. */
static inline void let_start(hank_runtime *public)
{
    hk_runtime *rt = (hk_runtime *)(void *)public;
    while (HK_ASAN && (hk_idle_sleeping(hk_load_seqcst(&rt->idle.word)) < rt->n ||
                       (rt->n > 1 && hk_load_seqcst(&rt->monitor_word) != HK_MONITOR_ASLEEP)))
        (void)hank_yield();
}

/* Run `body` in a forked child; how that ended: 0 is well. */
static inline int in_child(int (*body)(void *), void *arg)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(30);
        /* Not _exit(): a sanitizer would look for the thread's own stack first, and we may be on a
         * task's. */
        (void)syscall(SYS_exit_group, body(arg) == 0 ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

/* Within the child: say which expectation failed. */
#define WANT(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "in the child, line %d: not so: %s\n", __LINE__, #condition);    \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

#endif
