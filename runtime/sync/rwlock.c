/* SPDX-License-Identifier: MIT */
/* rwlock.c - many readers or one writer, in the order they came.
 *
 * Fair and not in favour of either: a writer waits for the readers that were there before it, and
 * readers that come after it wait behind it. So neither can be kept out for ever, whatever the
 * others do; in exchange a reader may wait although only readers are inside. Readers that stand
 * next to each other in the queue go in together. Favouring readers starves writers under steady
 * reading; favouring writers starves readers under steady writing.
 *
 * A writer that is stopped in the queue opens it for the readers behind it. */
#include <hank/coordinate.h>

#include <errno.h>

#include "base/check.h"
#include "sched/park.h"
#include "sync/waitq.h"

/* writer   who writes, NULL: nobody
 * q.spare  how many read
 * Guarded by q.lock. The payload of a waiter is NULL if it wants to read. */
typedef struct hk_rwlock {
    hk_waitq q;
    hk_sleeper *writer;
} hk_rwlock;

_Static_assert(sizeof(hk_rwlock) <= sizeof(hank_rwlock), "hank_rwlock is too small");

static char to_write; /* its address is the payload of who wants to */

static hk_rwlock *rwlock_of(hank_rwlock *l)
{
    return (hk_rwlock *)(void *)l;
}

static bool is_open_to(const hk_rwlock *l, const void *want)
{
    return l->writer == NULL && (want == NULL || l->q.spare == 0);
}

static void enter(hk_rwlock *l, const void *want, hk_sleeper *who)
{
    if (want)
        l->writer = who;
    else
        l->q.spare++;
}

/* Let in whoever can go in, from the front. */
static void serve(hk_rwlock *l, hk_node *ret_claimed)
{
    hk_waiter *w;
    hk_list_init(ret_claimed);
    while ((w = hk_waitq_first(&l->q)) != NULL && is_open_to(l, w->payload)) {
        hk_list_remove(&w->link);
        if (!hk_ticket_claim(w->ticket, 0)) /* stopped: it counts as gone */
            continue;
        enter(l, w->payload, w->ticket.sleeper);
        hk_list_push_back(ret_claimed, &w->link);
    }
}

static void serve_and_unlock(hk_rwlock *l)
{
    hk_node claimed;
    serve(l, &claimed);
    hk_waitq_unlock(&l->q);
    hk_waitq_run_all(&claimed);
}

/* Called with the lock held. */
static bool take(hk_rwlock *l, void *want)
{
    if (!is_open_to(l, want) || !hk_list_empty(&l->q.waiters))
        return false;
    enter(l, want, want ? hk_park_self() : NULL);
    return true;
}

/* 0; -EDEADLK; or why a wait that may be stopped was. */
static int lock(hk_rwlock *l, void *want, unsigned state, const char *why)
{
    hk_waitq_lock(&l->q);
    if (HK_LIKELY(take(l, want))) {
        hk_waitq_unlock(&l->q);
        return 0;
    }
    if (l->writer == hk_park_self()) {
        hk_waitq_unlock(&l->q);
        return -EDEADLK;
    }
    hk_waiter w;
    hk_waitq_join(&l->q, &w, want, state);
    hk_waitq_unlock(&l->q);
    int rc = hk_waitq_park(&l->q, &w, why);
    if (rc < 0)
        serve_and_unlock(l);
    return rc;
}

static int lock_stoppable(hank_rwlock *public, void *want, const char *why)
{
    int rc = hk_checkpoint();
    return rc < 0 ? rc : lock(rwlock_of(public), want, HK_WAITING, why);
}

static void lock_firmly(hank_rwlock *public, void *want, const char *why)
{
    if (lock(rwlock_of(public), want, HK_WAITING_FIRMLY, why) < 0)
        hk_panic("rwlock %p is locked again by the task that writes", (void *)public);
}

static bool trylock(hank_rwlock *public, void *want)
{
    hk_rwlock *l = rwlock_of(public);
    hk_waitq_lock(&l->q);
    bool taken = take(l, want);
    hk_waitq_unlock(&l->q);
    return taken;
}

void hank_rwlock_rdlock(hank_rwlock *l)
{
    lock_firmly(l, NULL, "rwlock to read");
}

void hank_rwlock_wrlock(hank_rwlock *l)
{
    lock_firmly(l, &to_write, "rwlock to write");
}

int hank_rwlock_rdlock_stoppable(hank_rwlock *l)
{
    return lock_stoppable(l, NULL, "rwlock to read");
}

int hank_rwlock_wrlock_stoppable(hank_rwlock *l)
{
    return lock_stoppable(l, &to_write, "rwlock to write");
}

bool hank_rwlock_tryrdlock(hank_rwlock *l)
{
    return trylock(l, NULL);
}

bool hank_rwlock_trywrlock(hank_rwlock *l)
{
    return trylock(l, &to_write);
}

void hank_rwlock_rdunlock(hank_rwlock *public)
{
    hk_rwlock *l = rwlock_of(public);
    hk_waitq_lock(&l->q);
    if (l->q.spare == 0)
        hk_panic("rwlock %p is unlocked by a task that does not read", (void *)public);
    l->q.spare--;
    serve_and_unlock(l);
}

void hank_rwlock_wrunlock(hank_rwlock *public)
{
    hk_rwlock *l = rwlock_of(public);
    hk_waitq_lock(&l->q);
    if (l->writer != hk_park_self())
        hk_panic("rwlock %p is unlocked by a task that does not write", (void *)public);
    l->writer = NULL;
    serve_and_unlock(l);
}
