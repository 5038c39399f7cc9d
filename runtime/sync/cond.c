/* SPDX-License-Identifier: MIT */
/* cond.c - a condition: a queue of those who gave their mutex up to be told something. */
#include <hank/sync.h>

#include <errno.h>

#include "base/check.h"
#include "base/fork.h"
#include "sync/mutex.h"
#include "sync/waitq.h"

/* mutex  of those who wait; guarded by q.lock, meaningless while nobody does */
typedef struct hk_cond {
    hk_waitq q;
    hank_mutex *mutex;
} hk_cond;

_Static_assert(sizeof(hk_cond) <= sizeof(hank_cond), "hank_cond is too small");

static hk_cond *cond_of(hank_cond *c)
{
    return (hk_cond *)(void *)c;
}

int hank_cond_wait(hank_cond *public, hank_mutex *m)
{
    hk_cond *c = cond_of(public);
    if (!hk_mutex_is_mine(m))
        hk_panic("condition %p: mutex %p is not held by who waits", (void *)public, (void *)m);
    if (hk_forked())
        return -ESHUTDOWN; /* before it is in a queue that outlives its frame */
    hk_waiter w;
    hk_waitq_lock(&c->q);
    if (!hk_list_empty(&c->q.waiters) && c->mutex != m)
        hk_panic("condition %p: mutex %p is not the one of the others who wait", (void *)public,
                 (void *)m);
    c->mutex = m;
    hk_waitq_join(&c->q, &w, NULL, HK_WAITING); /* before m is free: no signal can slip between */
    hk_waitq_unlock(&c->q);
    hank_mutex_unlock(m);
    int rc = hk_waitq_wait_joined(&c->q, &w, "condition");
    hank_mutex_lock(m);
    return rc;
}

int hank_cond_wait_for(hank_cond *c, hank_mutex *m, bool (*predicate)(void *arg), void *arg)
{
    bool signalled = false;
    if (!hk_mutex_is_mine(m))
        hk_panic("condition %p: mutex %p is not held by who waits", (void *)c, (void *)m);
    while (!predicate(arg)) {
        int rc = hank_cond_wait(c, m);
        if (rc < 0 && signalled)
            hank_cond_signal(c); /* the one that we had was of no use to us */
        if (rc < 0)
            return rc;
        signalled = true;
    }
    return 0;
}

size_t hank_cond_signal_n(hank_cond *public, size_t n)
{
    hk_cond *c = cond_of(public);
    hk_node claimed;
    hk_waitq_lock(&c->q);
    size_t woken = hk_waitq_claim_n(&c->q, 0, n, &claimed);
    hk_waitq_unlock(&c->q);
    hk_waitq_run_all(&claimed);
    return woken;
}

void hank_cond_signal(hank_cond *c)
{
    (void)hank_cond_signal_n(c, 1); /* whether anybody was there is not said */
}

void hank_cond_broadcast(hank_cond *c)
{
    (void)hank_cond_signal_n(c, SIZE_MAX); /* as above */
}
