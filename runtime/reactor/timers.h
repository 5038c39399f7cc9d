/* SPDX-License-Identifier: MIT */
/* timers.h - deadlines of one worker: an intrusive pairing heap under a lock.
 *
 * A timer carries a ticket; when it is due the ticket is handed out and the timer is out of the
 * heap. Anyone may remove a timer of any worker: under the lock, at once, so that its memory (the
 * waiter's frame) may go the moment hk_timers_remove returns. Intrusive, because waiting must not
 * allocate; a pairing heap, because the usual timer is a timeout that never fires: adding it is
 * one comparison and removing it is unlinking a leaf.
 *
 * Rejected: a 4-ary heap in an array (grows while someone waits, can fail), a hierarchical wheel
 * (rounds deadlines or needs a second structure to order what is due).
 * Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", Algorithmica 1 (1986),
 * doi:10.1007/BF01840439. */
#ifndef HK_REACTOR_TIMERS_H
#define HK_REACTOR_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "base/waiter.h"

struct hk_ready;

typedef struct hk_timers hk_timers;

/* Zeroed is idle.
 * heap     NULL: in none, or already due; set and cleared under its lock
 * child    my first child; sibling  the next child of my parent; before  the previous sibling, or
 *          the parent if I am its first child: guarded by heap's lock */
typedef struct hk_timer {
    int64_t deadline; /* first: clang 14 refuses {0} where an atomic pointer is */
    HK_ATOMIC(hk_timers *) heap;
    struct hk_timer *child;
    struct hk_timer *sibling;
    struct hk_timer *before;
    hk_ticket ticket;
} hk_timer;

/* Invariant: a timer's deadline is not after that of any of its children.
 * root      guarded by lock
 * earliest  root's deadline, INT64_MAX if none: read without the lock by whoever computes how long
 *           to sleep; written under it */
struct hk_timers {
    hk_lock lock;
    HK_ATOMIC(int64_t) earliest;
    hk_timer *root;
};

void hk_timers_init(hk_timers *h);

/* Arm an idle timer. True: it is now the earliest, so a sleeping owner must be interrupted. */
bool hk_timers_add(hk_timers *h, hk_timer *t, int64_t deadline, hk_ticket ticket);

/* Make sure `t` is in no heap: on return its ticket is not going to be handed out by a call that
 * starts later, and the timer's memory is the caller's again. True if it had not been due. */
bool hk_timers_remove(hk_timer *t);

/* Move what is due at `now` into ready[*n .. max) with -ETIMEDOUT. */
void hk_timers_expire(hk_timers *h, int64_t now, struct hk_ready *ready, int *n, int max);

/* Debug: walk the heap; panics if the invariant is broken. */
void hk_timers_check(hk_timers *h);

#endif
