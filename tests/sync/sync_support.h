/* SPDX-License-Identifier: MIT */
/* sync_support.h - what tests of things to wait for share: a look at who waits, and threads.
 *
 * A look at the queue takes the object's own lock, so that nobody is counted before he can be
 * served: that is how a test knows, without letting time pass, that somebody waits. */
#ifndef HK_TESTS_SYNC_SUPPORT_H
#define HK_TESTS_SYNC_SUPPORT_H

#include "api/support.h"

#include "base/os.h"
#include "last_words.h"
#include "sync/chan.h"

/* One behaviour, a test and the task that shows it: BEHAVIOUR(lock, is_free_when_zeroed) { ...
 * return 0; } */
#define BEHAVIOUR(suite, sentence)                                                                 \
    static int sentence(void *arg);                                                                \
    Test(suite, sentence)                                                                          \
    {                                                                                              \
        with_each_size(sentence, NULL);                                                            \
    }                                                                                              \
    static int sentence(__attribute__((unused)) void *arg)

/* How many wait in `q`, which is guarded by the lock of `guard`. */
static inline int count_waiting(hk_waitq *guard, hk_waitq *q)
{
    int n = 0;
    hk_waitq_lock(guard);
    if (q->waiters.next)
        for (hk_node *node = q->waiters.next; node != &q->waiters; node = node->next)
            n++;
    hk_waitq_unlock(guard);
    return n;
}

/* For the mutex, the condition and the event, whose queue comes first. */
static inline int waiting_at(void *object)
{
    return count_waiting(object, object);
}

static inline int waiting_at_sem(hank_sem *s)
{
    hk_waitq *q = (hk_waitq *)(void *)s->opaque_;
    return count_waiting(q, q);
}

static inline int waiting_to_recv(hank_chan *c)
{
    return count_waiting((hk_waitq *)(void *)c, (hk_waitq *)(void *)c);
}

static inline int waiting_to_send(hank_chan *c)
{
    return count_waiting((hk_waitq *)(void *)c, (hk_waitq *)(void *)c + 1);
}

static inline int waiting_to_join(hank_chan *c)
{
    return count_waiting(&c->receivers, &c->joiners);
}

static inline int waiting_at_limiter(hank_limiter *l)
{
    hk_waitq *q = (hk_waitq *)(void *)l->opaque_;
    return count_waiting(q, q);
}

/* In the order in which they got what they waited for; written under what the test is about. */
typedef struct turn_order {
    int of[16];
    int n;
} turn_order;

static inline void note_turn(turn_order *o, int number)
{
    o->of[o->n++] = number;
}

static inline bool is_order(const turn_order *o, const int *expected, int n)
{
    bool same = o->n == n;
    for (int i = 0; same && i < n; i++)
        same = o->of[i] == expected[i];
    return same;
}

#define IS_ORDER(o, ...)                                                                           \
    is_order((o), (const int[]){__VA_ARGS__}, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)))

/* --- threads ------------------------------------------------------------------------------- */

static inline pthread_t start_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    int rc = hk_os_thread_start(&thread, body, arg);
    if (rc < 0)
        (void)hk_os_write(2, "no thread\n", 10);
    cr_expect_eq(rc, 0);
    return thread;
}

static inline void join_thread(pthread_t thread)
{
    cr_expect_eq(hk_os_thread_join(thread), 0);
}

#endif
