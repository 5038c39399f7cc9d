/* SPDX-License-Identifier: MIT */
/* compose_support.h - for tests of promises, waits and groups: who waits at what, and threads. */
#ifndef HK_TESTS_API_COMPOSE_SUPPORT_H
#define HK_TESTS_API_COMPOSE_SUPPORT_H

#include "api/everywhere.h"
#include "api/support.h"

#include <pthread.h>

#include "base/os.h"
#include "is_parked.h"
#include "sync/waitq.h"

/* How many wait at a promise or an event, whose queue comes first. The queue's own lock is taken,
 * so nobody is counted before he can be served. */
static inline int waiting_at(void *object)
{
    hk_waitq *q = object;
    int n = 0;
    hk_waitq_lock(q);
    if (q->waiters.next)
        for (hk_node *node = q->waiters.next; node != &q->waiters; node = node->next)
            n++;
    hk_waitq_unlock(q);
    return n;
}

static inline pthread_t start_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    cr_expect_eq(hk_os_thread_start(&thread, body, arg), 0);
    return thread;
}

static inline void join_thread(pthread_t thread)
{
    CHECK(hk_os_thread_join(thread) == 0);
}

/* A test that is one scenario, run with 1, 2 and 8 workers. */
#define EACH(suite, name, scenario)                                                                \
    Test(suite, name)                                                                              \
    {                                                                                              \
        with_each_size(scenario, NULL);                                                            \
    }

#endif
