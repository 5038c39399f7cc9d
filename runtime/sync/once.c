/* SPDX-License-Identifier: MIT */
/* once.c - run something once, and let everybody else wait until it has been.
 *
 *     NULL --first to come--> its runner --success--> DONE
 *              ^                  | failure: whoever has waited longest is the runner now,
 *              '--nobody waits----'          or nobody
 */
#include <hank/coordinate.h>

#include <errno.h>

#include "sched/park.h"
#include "sync/waitq.h"

/* runner  NULL, who is running it, or DONE; written under q.lock, read without it */
typedef struct hk_once {
    hk_waitq q;
    HK_ATOMIC(hk_sleeper *) runner;
} hk_once;

_Static_assert(sizeof(hk_once) <= sizeof(hank_once), "hank_once is too small");

static hk_sleeper done; /* nobody: its address is the mark */
#define DONE (&done)

static hk_once *once_of(hank_once *o)
{
    return (hk_once *)(void *)o;
}

bool hank_once_is_done(hank_once *o)
{
    return hk_load_acquire(&once_of(o)->runner) == DONE; /* [once:done] acquire: sees its work */
}

/* 0: it is done; HK_RETRY: the caller is to do it; or why it may not. */
static int wait_or_begin(hk_once *o)
{
    hk_waitq_lock(&o->q);
    hk_sleeper *me = hk_park_self();
    hk_sleeper *runner = hk_load_relaxed(&o->runner); /* under the lock */
    int rc = HK_RETRY;
    if (runner == DONE)
        rc = 0;
    else if (runner == me)
        rc = -EDEADLK;
    else if (runner)
        return hk_waitq_wait(&o->q, NULL, HK_WAITING, "once");
    else
        hk_store_relaxed(&o->runner, me); /* under the lock */
    hk_waitq_unlock(&o->q);
    return rc;
}

static void end(hk_once *o, bool success)
{
    hk_node claimed;
    hk_waitq_lock(&o->q);
    if (success) {
        hk_store_release(&o->runner, DONE); /* [once:done] release: for who takes no lock */
        (void)hk_waitq_claim_n(&o->q, 0, SIZE_MAX, &claimed);
    } else {
        bool found = hk_waitq_claim_n(&o->q, HK_RETRY, 1, &claimed) > 0;
        hk_waiter *next = found ? hk_container_of(claimed.next, hk_waiter, link) : NULL;
        hk_store_relaxed(&o->runner, next ? next->ticket.sleeper : NULL); /* under the lock */
    }
    hk_waitq_unlock(&o->q);
    hk_waitq_run_all(&claimed);
}

int hank_once_run(hank_once *public, hank_fn fn, void *arg)
{
    hk_once *o = once_of(public);
    if (!fn)
        return -EINVAL;
    if (HK_LIKELY(hank_once_is_done(public)))
        return 0;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    rc = wait_or_begin(o);
    if (rc != HK_RETRY)
        return rc;
    rc = fn(arg);
    end(o, rc >= 0);
    return rc;
}
