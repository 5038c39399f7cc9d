/* SPDX-License-Identifier: MIT */
/* sync.c - mutex, condition, event, semaphore: each a few fields over one queue of waiters.
 *
 * All are handed over directly: who unlocks or releases decides who is next, and nobody who comes
 * later can snatch it. */
#include <hank/sync.h>

#include <errno.h>
#include <stdint.h>

#include "base/check.h"
#include "sched/park.h"
#include "sync/waitq.h"

/* --- mutex --------------------------------------------------------------------------------- */

/* owner  who holds it, NULL if free; guarded by q.lock, like the queue */
typedef struct hk_mutex {
    hk_waitq q;
    hk_sleeper *owner;
} hk_mutex;

_Static_assert(sizeof(hk_mutex) <= sizeof(hank_mutex), "hank_mutex is too small");

static hk_mutex *mutex_of(hank_mutex *m)
{
    return (hk_mutex *)(void *)m;
}

void hank_mutex_lock(hank_mutex *public)
{
    hk_mutex *m = mutex_of(public);
    hk_sleeper *me = hk_park_self();
    hk_waitq_lock(&m->q);
    if (HK_LIKELY(m->owner == NULL)) {
        m->owner = me;
        hk_waitq_unlock(&m->q);
        return;
    }
    if (m->owner == me)
        hk_panic("mutex %p is locked again by the task that holds it", (void *)public);
    /* Firm: whoever wakes us has made us the owner. */
    (void)hk_waitq_wait(&m->q, NULL, HK_WAITING_FIRMLY, "mutex");
}

bool hank_mutex_trylock(hank_mutex *public)
{
    hk_mutex *m = mutex_of(public);
    hk_waitq_lock(&m->q);
    bool taken = m->owner == NULL;
    if (taken)
        m->owner = hk_park_self();
    hk_waitq_unlock(&m->q);
    return taken;
}

void hank_mutex_unlock(hank_mutex *public)
{
    hk_mutex *m = mutex_of(public);
    hk_sleeper *me = hk_park_self();
    hk_waitq_lock(&m->q);
    if (m->owner != me)
        hk_panic("mutex %p is unlocked by a task that does not hold it", (void *)public);
    hk_waiter *next = hk_waitq_claim_first(&m->q, 0);
    m->owner = next ? next->ticket.sleeper : NULL;
    hk_waitq_unlock(&m->q);
    hk_waitq_run(next);
}

/* --- condition ----------------------------------------------------------------------------- */

typedef struct hk_cond {
    hk_waitq q;
} hk_cond;

_Static_assert(sizeof(hk_cond) <= sizeof(hank_cond), "hank_cond is too small");

static hk_cond *cond_of(hank_cond *c)
{
    return (hk_cond *)(void *)c;
}

int hank_cond_wait(hank_cond *public, hank_mutex *m)
{
    hk_cond *c = cond_of(public);
    hk_mutex *held = mutex_of(m);
    hk_waitq_lock(&held->q);
    bool mine = held->owner == hk_park_self();
    hk_waitq_unlock(&held->q);
    if (!mine)
        hk_panic("condition %p: mutex %p is not held by who waits", (void *)public, (void *)m);
    hk_waiter w;
    hk_waitq_lock(&c->q);
    hk_waitq_join(&c->q, &w, NULL, HK_WAITING); /* before m is free: no signal can slip between */
    hk_waitq_unlock(&c->q);
    hank_mutex_unlock(m);
    int rc = hk_waitq_wait_joined(&c->q, &w, "condition");
    hank_mutex_lock(m);
    return rc;
}

void hank_cond_signal(hank_cond *public)
{
    hk_cond *c = cond_of(public);
    hk_waitq_lock(&c->q);
    hk_waiter *first = hk_waitq_claim_first(&c->q, 0);
    hk_waitq_unlock(&c->q);
    hk_waitq_run(first);
}

void hank_cond_broadcast(hank_cond *public)
{
    hk_cond *c = cond_of(public);
    hk_node claimed;
    hk_waitq_lock(&c->q);
    hk_waitq_claim_all(&c->q, 0, &claimed);
    hk_waitq_unlock(&c->q);
    hk_waitq_run_all(&claimed);
}

/* --- event --------------------------------------------------------------------------------- */

/* set  written under q.lock, read without it */
typedef struct hk_event {
    hk_waitq q;
    HK_ATOMIC(bool) set;
} hk_event;

_Static_assert(sizeof(hk_event) <= sizeof(hank_event), "hank_event is too small");

static hk_event *event_of(hank_event *e)
{
    return (hk_event *)(void *)e;
}

bool hank_event_is_set(hank_event *e)
{
    return hk_load_acquire(&event_of(e)->set); /* [event:set] acquire: sees what came before */
}

/* Takes the lock even if the event is set: whoever sets it may still be inside, and who has waited
 * for an event may free it. */
int hank_event_wait(hank_event *public)
{
    hk_event *e = event_of(public);
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    hk_waitq_lock(&e->q);
    if (!hk_load_relaxed(&e->set)) /* under the lock */
        return hk_waitq_wait(&e->q, NULL, HK_WAITING, "event");
    hk_waitq_unlock(&e->q);
    return 0;
}

void hank_event_set(hank_event *public)
{
    hk_event *e = event_of(public);
    hk_node claimed;
    hk_waitq_lock(&e->q);
    hk_store_release(&e->set, true); /* [event:set] release: for those who do not take the lock */
    hk_waitq_claim_all(&e->q, 0, &claimed);
    hk_waitq_unlock(&e->q);
    hk_waitq_run_all(&claimed);
}

void hank_event_clear(hank_event *public)
{
    hk_event *e = event_of(public);
    hk_waitq_lock(&e->q);
    hk_store_relaxed(&e->set, false); /* nothing is said by taking it back */
    hk_waitq_unlock(&e->q);
}

/* --- semaphore ----------------------------------------------------------------------------- */

/* Invariant: count > 0 only while nobody waits. Guarded by q.lock. */
typedef struct hk_sem {
    int64_t count;
    hk_waitq q;
} hk_sem;

_Static_assert(sizeof(hk_sem) <= sizeof(hank_sem), "hank_sem is too small");

static hk_sem *sem_of(hank_sem *s)
{
    return (hk_sem *)(void *)s;
}

/* Called with the lock held. 0, -EAGAIN or -EINVAL. */
static int take_permit(hk_sem *s)
{
    if (s->count < 0)
        return -EINVAL;
    if (s->count == 0)
        return -EAGAIN;
    s->count--;
    return 0;
}

int hank_sem_acquire(hank_sem *public)
{
    hk_sem *s = sem_of(public);
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    hk_waitq_lock(&s->q);
    rc = take_permit(s);
    if (rc == -EAGAIN)
        return hk_waitq_wait(&s->q, NULL, HK_WAITING, "semaphore");
    hk_waitq_unlock(&s->q);
    return rc;
}

int hank_sem_tryacquire(hank_sem *public)
{
    hk_sem *s = sem_of(public);
    hk_waitq_lock(&s->q);
    int rc = take_permit(s);
    hk_waitq_unlock(&s->q);
    return rc;
}

int hank_sem_release(hank_sem *public)
{
    hk_sem *s = sem_of(public);
    hk_waiter *next = NULL;
    int rc = 0;
    hk_waitq_lock(&s->q);
    if (s->count < 0)
        rc = -EINVAL;
    else if (s->count == INT64_MAX)
        rc = -EOVERFLOW;
    else if ((next = hk_waitq_claim_first(&s->q, 0)) == NULL)
        s->count++;
    hk_waitq_unlock(&s->q);
    hk_waitq_run(next);
    return rc;
}
