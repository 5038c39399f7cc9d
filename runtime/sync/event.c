/* SPDX-License-Identifier: MIT */
/* event.c - something has happened: a flag, and a queue of those who wait for it. */
#include <hank/sync.h>

#include "sched/park.h"
#include "sync/waitq.h"

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
    (void)hk_waitq_claim_n(&e->q, 0, SIZE_MAX, &claimed);
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
