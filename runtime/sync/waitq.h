/* SPDX-License-Identifier: MIT */
/* waitq.h - a queue of those who wait, first come first served, under its owner's lock.
 *
 * A waker takes waiters off the front until one lets itself be claimed. One that does not has been
 * stopped in that moment: it counts as gone, and the next in the queue gets what it would have got.
 * So nothing that is granted can be lost to a stop, in any of the objects built on this.
 *
 * Between claim and run a waiter is still parked: its frame, its payload included, may be read and
 * written. Running comes after the owner's lock is dropped, and the owner's object is not touched
 * after that, because the waiter may free it. */
#ifndef HK_SYNC_WAITQ_H
#define HK_SYNC_WAITQ_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/waiter.h"
#include "sched/park.h"

/* Zeroed is empty. Everything is guarded by lock, which guards the owner's own fields too. */
typedef struct hk_waitq {
    hk_lock lock;
    uint32_t spare; /* for the owner: saves it a word */
    hk_node waiters;
} hk_waitq;

static inline void hk_waitq_lock(hk_waitq *q)
{
    hk_lock_take(&q->lock, HK_RANK_SYNC);
}

static inline void hk_waitq_unlock(hk_waitq *q)
{
    hk_lock_drop(&q->lock);
}

/* Called with the lock held, and drops it: wait at the end of the queue. What the waker said, or
 * the stop that came first; then the caller is in the queue no more and was granted nothing.
 * `state`, `why` as in sched/park.h. */
int hk_waitq_wait(hk_waitq *q, void *payload, unsigned state, const char *why);

/* Whether that is what a wait returned; no waker says so. */
static inline bool hk_waitq_was_stopped(int rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT;
}

/* The same for two locks, one of which is the caller's to drop in between: join the queue now, wait
 * later, as one of the two below says. */
static inline void hk_waitq_join(hk_waitq *q, hk_waiter *w, void *payload, unsigned state)
{
    w->payload = payload;
    hk_park_begin(w, state);
    hk_list_push_back(&q->waiters, &w->link);
}

/* For one that was stopped: takes the lock, and is in the queue no more. It still was, unless a
 * waker has just found that it cannot be claimed. */
HK_COLD void hk_waitq_leave(hk_waitq *q, hk_waiter *w);

/* For an owner with something to settle for one that was stopped: then this returns with the lock
 * held. */
static inline int hk_waitq_park(hk_waitq *q, hk_waiter *w, const char *why)
{
    int rc = hk_park(w, HK_FOREVER, why);
    if (HK_UNLIKELY(hk_waitq_was_stopped(rc)))
        hk_waitq_leave(q, w);
    return rc;
}

static inline int hk_waitq_wait_joined(hk_waitq *q, hk_waiter *w, const char *why)
{
    int rc = hk_waitq_park(q, w, why);
    if (HK_UNLIKELY(hk_waitq_was_stopped(rc)))
        hk_waitq_unlock(q);
    return rc;
}

/* Called with the lock held: the first waiter, left where it is. NULL: there is none. */
static inline hk_waiter *hk_waitq_first(hk_waitq *q)
{
    hk_node *n = hk_list_first(&q->waiters);
    return n ? hk_container_of(n, hk_waiter, link) : NULL;
}

/* Called with the lock held: claim the first waiter that can be claimed. NULL: there is none. */
hk_waiter *hk_waitq_claim_some(hk_waitq *q, int result);

static inline hk_waiter *hk_waitq_claim_first(hk_waitq *q, int result)
{
    return HK_LIKELY(hk_list_empty(&q->waiters)) ? NULL : hk_waitq_claim_some(q, result);
}

/* Called with the lock held: claim the first n that can be, onto `ret_claimed`; how many it were.
 */
size_t hk_waitq_claim_n(hk_waitq *q, int result, size_t n, hk_node *ret_claimed);

/* Called without the lock: let a claimed waiter, or all of them, run. NULL is nobody. */
static inline void hk_waitq_run(hk_waiter *claimed)
{
    if (claimed)
        hk_wake_claimed(claimed->ticket.sleeper);
}

void hk_waitq_run_all(hk_node *claimed);

#endif
