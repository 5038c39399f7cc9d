/* SPDX-License-Identifier: MIT */
/* thread_support.h - what tests share that look at hank from a plain thread: a runtime in the
 * background, and threads that wait for it. */
#ifndef HK_TESTS_API_THREAD_SUPPORT_H
#define HK_TESTS_API_THREAD_SUPPORT_H

#include "api/support.h"

#include <pthread.h>

/* A runtime of `workers` in the background of `body`, which must leave nothing behind. */
static inline void beside(unsigned workers, void (*body)(hank_runtime *rt))
{
    hank_runtime *rt = NULL;
    cr_assert_eq(hank_run(give_back, NULL), 0); /* what is opened once a process is not left over */
    int fds = open_fds();
    uint64_t stacks = stacks_in_use();
    hk_store_relaxed(&failed_checks, 0);
    (void)alarm(60);
    cr_assert_eq(hank_runtime_start(&(hank_options){.workers = workers}, &rt), 0);
    body(rt);
    cr_assert_eq(hank_runtime_free(rt), 0);
    (void)alarm(0);
    cr_assert_eq(hk_load_relaxed(&failed_checks), 0, "%u workers: see above", workers);
    cr_assert_eq(open_fds(), fds, "%u workers: descriptors left", workers);
    cr_assert_eq(stacks_in_use(), stacks, "%u workers: stacks left", workers);
}

static inline void beside_each_size(void (*body)(hank_runtime *rt))
{
    for (EACH_SIZE(i))
        beside(sizes[i], body);
}

static inline hank_task into(hank_runtime *rt, hank_fn fn, void *arg)
{
    return hank_spawn_into(rt, fn, arg, NULL);
}

static inline void on_thread(void *(*body)(void *), void *arg, pthread_t *ret)
{
    cr_assert_eq(pthread_create(ret, NULL, body, arg), 0);
}

/* Wait in a plain thread for what a task is about to make true. */
#define THREAD_UNTIL(condition)                                                                    \
    do {                                                                                           \
        hank_ns give_up_ = hank_now() + HANK_SEC(20);                                              \
        while (!(condition)) {                                                                     \
            cr_assert(hank_now() < give_up_, "never: %s", #condition);                             \
            (void)hank_yield();                                                                    \
        }                                                                                          \
    } while (0)

#endif
