/* SPDX-License-Identifier: MIT */
/* waitq.c - joining, leaving and serving a queue of waiters. */
#include "sync/waitq.h"

#include <errno.h>

#include "sched/park.h"

void hk_waitq_join(hk_waitq *q, hk_waiter *w, void *payload, unsigned state)
{
    w->payload = payload;
    hk_park_begin(w, state);
    hk_list_push_back(&q->waiters, &w->link);
}

int hk_waitq_wait_joined(hk_waitq *q, hk_waiter *w, const char *why)
{
    int rc = hk_park(w, HK_FOREVER, why);
    if (rc != -ECANCELED && rc != -ETIMEDOUT)
        return rc;
    /* Stopped: we are still linked, unless a waker has just found that we cannot be claimed. */
    hk_waitq_lock(q);
    if (hk_node_linked(&w->link))
        hk_list_remove(&w->link);
    hk_waitq_unlock(q);
    return rc;
}

int hk_waitq_wait(hk_waitq *q, void *payload, unsigned state, const char *why)
{
    hk_waiter w;
    hk_waitq_join(q, &w, payload, state);
    hk_waitq_unlock(q);
    return hk_waitq_wait_joined(q, &w, why);
}

hk_waiter *hk_waitq_claim_first(hk_waitq *q, int result)
{
    hk_node *n;
    while ((n = hk_list_pop_front(&q->waiters)) != NULL) {
        hk_waiter *w = hk_container_of(n, hk_waiter, link);
        if (hk_ticket_claim(w->ticket, result))
            return w;
    }
    return NULL;
}

void hk_waitq_claim_all(hk_waitq *q, int result, hk_node *ret_claimed)
{
    hk_waiter *w;
    hk_list_init(ret_claimed);
    while ((w = hk_waitq_claim_first(q, result)) != NULL)
        hk_list_push_back(ret_claimed, &w->link);
}

void hk_waitq_run(hk_waiter *claimed)
{
    if (claimed)
        hk_wake_claimed(claimed->ticket.sleeper);
}

void hk_waitq_run_all(hk_node *claimed)
{
    hk_node *n;
    while ((n = hk_list_pop_front(claimed)) != NULL) /* off the list before its frame goes */
        hk_waitq_run(hk_container_of(n, hk_waiter, link));
}
