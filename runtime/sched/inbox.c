/* SPDX-License-Identifier: MIT */
/* inbox.c - a queue under a lock, on purpose: it carries exceptions, and exceptions are rare. */
#include "sched/inbox.h"

#include <stddef.h>

#include "sched/task.h"

void hk_inbox_push(hk_inbox *box, hk_task *first, hk_task *last, uint32_t n)
{
    last->next = NULL;
    hk_lock_take(&box->lock, HK_RANK_INBOX);
    if (box->last)
        box->last->next = first;
    else
        box->first = first;
    box->last = last;
    hk_store_seqcst(&box->count, hk_load_relaxed(&box->count) + n); /* see hk_inbox_seems_empty */
    hk_lock_drop(&box->lock);
}

hk_task *hk_inbox_take(hk_inbox *box, uint32_t n, uint32_t *ret_n)
{
    *ret_n = 0;
    if (hk_inbox_seems_empty(box))
        return NULL;
    hk_lock_take(&box->lock, HK_RANK_INBOX);
    hk_task *first = box->first;
    hk_task *last = NULL;
    uint32_t taken = 0;
    for (hk_task *t = first; t && taken < n; t = t->next) {
        last = t;
        taken++;
    }
    if (last) {
        box->first = last->next;
        if (box->first == NULL)
            box->last = NULL;
        last->next = NULL;
        hk_store_relaxed(&box->count, hk_load_relaxed(&box->count) - taken); /* under the lock */
    }
    hk_lock_drop(&box->lock);
    *ret_n = taken;
    return taken ? first : NULL;
}
