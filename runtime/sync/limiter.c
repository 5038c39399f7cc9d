/* SPDX-License-Identifier: MIT */
/* limiter.c - so many tokens a period, and not more than a burst at once.
 *
 * Instead of counting tokens it keeps the time at which the bucket will be full again: a token
 * taken moves it on by one interval, and a token is there if that leaves it within a burst of now.
 * No timer runs while nobody waits.
 *
 * Who waits: one is in front and sleeps until its tokens are due, the others queue behind it. In
 * front is a role that is passed on, also by one that is stopped, so no token waits for somebody
 * who has left, and nobody has to be told a new time.
 * Source: the generic cell rate algorithm, ITU-T I.371. */
#include <hank/coordinate.h>

#include <errno.h>

#include "base/os.h"
#include "sched/park.h"
#include "sync/waitq.h"

/* tokens period burst  the user's; constant
 * full_at   when the bucket is full again; q.spare: somebody is in front; guarded by q.lock */
typedef struct hk_limiter {
    int64_t tokens;
    int64_t period;
    int64_t burst;
    hk_waitq q;
    int64_t full_at;
} hk_limiter;

_Static_assert(sizeof(hk_limiter) <= sizeof(hank_limiter), "hank_limiter is too small");

static hk_limiter *limiter_of(hank_limiter *l)
{
    return (hk_limiter *)(void *)l;
}

/* How long n tokens take to come, and how long a burst; -EINVAL if there is no such thing. */
static int times(const hk_limiter *l, int64_t n, int64_t *ret_cost, int64_t *ret_span)
{
    int64_t period = l->period ? l->period : INT64_C(1000000000);
    int64_t burst = l->burst ? l->burst : 1;
    if (l->tokens <= 0 || period < 0 || n <= 0 || n > burst)
        return -EINVAL;
    int64_t interval = period / l->tokens + (period % l->tokens != 0);
    if (burst > INT64_MAX / 4 / interval)
        return -EINVAL;
    *ret_cost = n * interval;
    *ret_span = burst * interval;
    return 0;
}

/* Called with the lock held. 0: taken; otherwise when to come again. */
static int64_t take(hk_limiter *l, int64_t cost, int64_t span)
{
    int64_t now = hk_os_now();
    int64_t full_at = (l->full_at > now ? l->full_at : now) + cost;
    if (full_at - span > now)
        return full_at - span;
    l->full_at = full_at;
    return 0;
}

/* Called with the lock held, drops it: let the next one be in front. */
static void pass_on(hk_limiter *l)
{
    hk_waiter *next = hk_waitq_claim_first(&l->q, 0);
    l->q.spare = next != NULL;
    hk_waitq_unlock(&l->q);
    hk_waitq_run(next);
}

/* Called in front and with the lock held, which it drops. */
static int wait_in_front(hk_limiter *l, int64_t cost, int64_t span)
{
    int64_t due;
    int rc = 0;
    while (rc == 0 && (due = take(l, cost, span)) != 0) {
        hk_waiter w;
        hk_waitq_unlock(&l->q);
        hk_park_begin(&w, HK_WAITING);
        rc = hk_park(&w, due, "limiter");
        rc = rc == HK_EXPIRED ? 0 : rc;
        hk_waitq_lock(&l->q);
    }
    pass_on(l);
    return rc;
}

int hank_limiter_acquire(hank_limiter *public, int64_t n)
{
    hk_limiter *l = limiter_of(public);
    int64_t cost, span;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    rc = times(l, n, &cost, &span);
    if (rc < 0)
        return rc;
    hk_waitq_lock(&l->q);
    if (l->q.spare) {
        rc = hk_waitq_wait(&l->q, NULL, HK_WAITING, "limiter");
        if (rc < 0)
            return rc;
        hk_waitq_lock(&l->q); /* in front now */
    }
    l->q.spare = 1;
    return wait_in_front(l, cost, span);
}

int hank_limiter_tryacquire(hank_limiter *public, int64_t n)
{
    hk_limiter *l = limiter_of(public);
    int64_t cost, span;
    int rc = times(l, n, &cost, &span);
    if (rc < 0)
        return rc;
    hk_waitq_lock(&l->q);
    if (l->q.spare || take(l, cost, span) != 0)
        rc = -EAGAIN;
    hk_waitq_unlock(&l->q);
    return rc;
}
