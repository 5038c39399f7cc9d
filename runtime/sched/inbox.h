/* SPDX-License-Identifier: MIT */
/* inbox.h - work for a runtime that comes from no worker, or found its worker's ring full.
 *
 * A list under a lock; chained through hk_task.next, so pushing never allocates and never fails.
 * count  written under the lock; read without it to skip an empty inbox */
#ifndef HK_SCHED_INBOX_H
#define HK_SCHED_INBOX_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"

struct hk_task;

typedef struct hk_inbox {
    hk_lock lock;
    HK_ATOMIC(uint32_t) count;
    struct hk_task *first;
    struct hk_task *last;
} hk_inbox;

/* Append a chain of n tasks, first .. last, linked by next. */
void hk_inbox_push(hk_inbox *box, struct hk_task *first, struct hk_task *last, uint32_t n);

/* Take up to n tasks off the front; a chain ended by NULL, and how many. */
struct hk_task *hk_inbox_take(hk_inbox *box, uint32_t n, uint32_t *ret_n);

static inline bool hk_inbox_seems_empty(hk_inbox *box)
{
    /* seq_cst: the last look before a worker sleeps must not come before it said "I sleep"; the
     * pusher's count and its look at the sleepers are the other half. */
    return hk_load_seqcst(&box->count) == 0;
}

#endif
