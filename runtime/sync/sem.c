/* SPDX-License-Identifier: MIT */
/* sem.c - a count of permits, handed straight to whoever has waited longest.
 *
 * Who waits for many holds up those behind it who want few: otherwise it might wait for ever. So
 * when it is stopped, the permits that it was too big for may do for the next: a stopped waiter
 * serves the queue on its way out. */
#include <hank/sync.h>

#include <errno.h>
#include <stdint.h>

#include "sched/park.h"
#include "sync/waitq.h"

/* Invariant: the first in the queue wants more than count. Guarded by q.lock. */
typedef struct hk_sem {
    int64_t count;
    int64_t bound; /* 0: none */
    hk_waitq q;
} hk_sem;

_Static_assert(sizeof(hk_sem) <= sizeof(hank_sem), "hank_sem is too small");

static hk_sem *sem_of(hank_sem *s)
{
    return (hk_sem *)(void *)s;
}

static int64_t most(const hk_sem *s)
{
    return s->bound ? s->bound : INT64_MAX;
}

/* Called with the lock held, like all below. `n` permits of it: may anybody ever have them? */
static bool makes_sense(const hk_sem *s, int64_t n)
{
    return n > 0 && s->count >= 0 && s->bound >= 0 && s->count <= most(s) && n <= most(s);
}

/* 0, -EAGAIN or -EINVAL. */
static int take(hk_sem *s, int64_t n)
{
    if (!makes_sense(s, n))
        return -EINVAL;
    if (s->count < n || !hk_list_empty(&s->q.waiters))
        return -EAGAIN;
    s->count -= n;
    return 0;
}

/* Claim all at the front for whom there is enough. */
static void serve(hk_sem *s, hk_node *ret_claimed)
{
    hk_waiter *w;
    hk_list_init(ret_claimed);
    while ((w = hk_waitq_first(&s->q)) != NULL) {
        int64_t wanted = *(int64_t *)w->payload;
        if (wanted > s->count)
            return;
        hk_list_remove(&w->link);
        if (!hk_ticket_claim(w->ticket, 0)) /* stopped: it counts as gone */
            continue;
        s->count -= wanted;
        hk_list_push_back(ret_claimed, &w->link);
    }
}

int hank_sem_acquire_n(hank_sem *public, int64_t n)
{
    hk_sem *s = sem_of(public);
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    hk_waitq_lock(&s->q);
    rc = take(s, n);
    if (rc != -EAGAIN) {
        hk_waitq_unlock(&s->q);
        return rc;
    }
    hk_waiter w;
    hk_node claimed;
    hk_waitq_join(&s->q, &w, &n, HK_WAITING);
    hk_waitq_unlock(&s->q);
    rc = hk_waitq_park(&s->q, &w, "semaphore");
    if (rc == 0)
        return 0;
    serve(s, &claimed);
    hk_waitq_unlock(&s->q);
    hk_waitq_run_all(&claimed);
    return rc;
}

int hank_sem_acquire(hank_sem *s)
{
    return hank_sem_acquire_n(s, 1);
}

int hank_sem_tryacquire_n(hank_sem *public, int64_t n)
{
    hk_sem *s = sem_of(public);
    hk_waitq_lock(&s->q);
    int rc = take(s, n);
    hk_waitq_unlock(&s->q);
    return rc;
}

int hank_sem_tryacquire(hank_sem *s)
{
    return hank_sem_tryacquire_n(s, 1);
}

int hank_sem_release_n(hank_sem *public, int64_t n)
{
    hk_sem *s = sem_of(public);
    hk_node claimed;
    int rc = 0;
    hk_waitq_lock(&s->q);
    if (n <= 0 || !makes_sense(s, 1))
        rc = -EINVAL;
    else if (n > most(s) - s->count)
        rc = -EOVERFLOW;
    else
        s->count += n;
    serve(s, &claimed);
    hk_waitq_unlock(&s->q);
    hk_waitq_run_all(&claimed);
    return rc;
}

int hank_sem_release(hank_sem *s)
{
    return hank_sem_release_n(s, 1);
}
