/* SPDX-License-Identifier: MIT */
/* barrier.c - all or nobody: the last of `parties` to arrive lets them all go on.
 *
 * Whoever is stopped while it waits leaves, and the others wait for one more. The lock decides, not
 * the claim: the last to arrive counts those who are in the queue, and has counted one that is
 * being stopped in that moment too. That one finds its place written when it comes to leave, and
 * has passed the barrier; its stop waits for its next call. Otherwise the others would be let go
 * on one party short. */
#include <hank/coordinate.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>

#include "base/check.h"
#include "sched/park.h"
#include "sync/waitq.h"

/* What a waiter's payload, an int, says: a place from 0, or that it still waits, or no more. */
enum { STILL_WAITING = -1, SENT_AWAY = -2 };

/* Guarded by q.lock. q.spare is how many wait. */
typedef struct hk_barrier {
    uint32_t parties;
    uint32_t broken;
    hk_waitq q;
} hk_barrier;

_Static_assert(sizeof(hk_barrier) <= sizeof(hank_barrier), "hank_barrier is too small");

static hk_barrier *barrier_of(hank_barrier *b)
{
    return (hk_barrier *)(void *)b;
}

/* Let all who wait go on with `result`: 0, and they have passed, or they are sent away. */
static void release(hk_barrier *b, int result, hk_node *ret_claimed)
{
    hk_node *n;
    int place = 0;
    hk_list_init(ret_claimed);
    while ((n = hk_list_pop_front(&b->q.waiters)) != NULL) {
        hk_waiter *w = hk_container_of(n, hk_waiter, link);
        *(int *)w->payload = result == 0 ? place : SENT_AWAY;
        place++;
        if (hk_ticket_claim(w->ticket, result))
            hk_list_push_back(ret_claimed, &w->link);
    }
    b->q.spare = 0;
}

/* Called with the lock held, drops it. */
static int wait_for_others(hk_barrier *b)
{
    hk_waiter w;
    int place = STILL_WAITING;
    b->q.spare++;
    hk_waitq_join(&b->q, &w, &place, HK_WAITING);
    hk_waitq_unlock(&b->q);
    int rc = hk_waitq_park(&b->q, &w, "barrier");
    if (rc == 0)
        return place;
    if (!hk_waitq_was_stopped(rc))
        return rc;
    if (place == STILL_WAITING)
        b->q.spare--;
    hk_waitq_unlock(&b->q);
    return place >= 0 ? place : rc;
}

int hank_barrier_wait(hank_barrier *public)
{
    hk_barrier *b = barrier_of(public);
    hk_node claimed;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    hk_waitq_lock(&b->q);
    if (b->parties == 0 || b->parties > INT_MAX)
        rc = -EINVAL;
    else if (b->broken)
        rc = -ENOTRECOVERABLE;
    else if (b->q.spare + 1 < b->parties)
        return wait_for_others(b);
    else
        rc = (int)b->parties - 1;
    hk_list_init(&claimed);
    if (rc >= 0)
        release(b, 0, &claimed);
    hk_waitq_unlock(&b->q);
    hk_waitq_run_all(&claimed);
    return rc;
}

static void send_away(hank_barrier *public, bool broken)
{
    hk_barrier *b = barrier_of(public);
    hk_node claimed;
    hk_waitq_lock(&b->q);
    b->broken = broken;
    release(b, -ENOTRECOVERABLE, &claimed);
    hk_waitq_unlock(&b->q);
    hk_waitq_run_all(&claimed);
}

void hank_barrier_abort(hank_barrier *b)
{
    send_away(b, true);
}

void hank_barrier_reset(hank_barrier *b)
{
    send_away(b, false);
}

unsigned hank_barrier_waiting(hank_barrier *public)
{
    hk_barrier *b = barrier_of(public);
    hk_waitq_lock(&b->q);
    unsigned n = b->q.spare;
    hk_waitq_unlock(&b->q);
    return n;
}

bool hank_barrier_is_broken(hank_barrier *public)
{
    hk_barrier *b = barrier_of(public);
    hk_waitq_lock(&b->q);
    bool broken = b->broken != 0;
    hk_waitq_unlock(&b->q);
    return broken;
}
