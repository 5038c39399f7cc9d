/* SPDX-License-Identifier: MIT */
/* waitq.c - joining, leaving and serving a queue of waiters. */
#include "sync/waitq.h"

void hk_waitq_leave(hk_waitq *q, hk_waiter *w)
{
    hk_waitq_lock(q);
    if (hk_node_linked(&w->link))
        hk_list_remove(&w->link);
}

int hk_waitq_wait(hk_waitq *q, void *payload, unsigned state, const char *why)
{
    hk_waiter w;
    hk_waitq_join(q, &w, payload, state);
    hk_waitq_unlock(q);
    return hk_waitq_wait_joined(q, &w, why);
}

hk_waiter *hk_waitq_claim_some(hk_waitq *q, int result)
{
    hk_node *n;
    while ((n = hk_list_pop_front(&q->waiters)) != NULL) {
        hk_waiter *w = hk_container_of(n, hk_waiter, link);
        if (hk_ticket_claim(w->ticket, result))
            return w;
    }
    return NULL;
}

size_t hk_waitq_claim_n(hk_waitq *q, int result, size_t n, hk_node *ret_claimed)
{
    hk_waiter *w;
    size_t claimed = 0;
    hk_list_init(ret_claimed);
    while (claimed < n && (w = hk_waitq_claim_first(q, result)) != NULL) {
        hk_list_push_back(ret_claimed, &w->link);
        claimed++;
    }
    return claimed;
}

void hk_waitq_run_all(hk_node *claimed)
{
    hk_node *n;
    while ((n = hk_list_pop_front(claimed)) != NULL) /* off the list before its frame goes */
        hk_waitq_run(hk_container_of(n, hk_waiter, link));
}
