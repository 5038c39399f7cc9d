/* SPDX-License-Identifier: MIT */
/* timers.h - deadlines of one worker: a small heap for what comes next, a wheel for the crowd.
 *
 * A timer carries a ticket; when it is due the ticket is handed out and the timer is out. Anyone
 * may remove a timer of any worker: under the lock, at once, so that its memory (the waiter's
 * frame) may go the moment hk_timers_remove returns. Intrusive, as waiting must not allocate.
 *
 * The usual timer is a timeout that never fires: adding it is a push to a list and removing it is
 * unlinking. Deadlines are exact: the wheel only postpones sorting until the sorting is small.
 *
 * Measured and rejected (docs/decisions/0002-timers.md): one pairing heap for all (the first expiry
 * after a million adds holds the lock for half a second), a 4-ary heap in an array (grows while
 * someone waits, can fail), a wheel alone (rounds deadlines).
 * Source: Varghese, Lauck, "Hashed and hierarchical timing wheels", SOSP 1987,
 * doi:10.1145/41457.37504; Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", Algorithmica 1
 * (1986), doi:10.1007/BF01840439. */
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
 * place    the slot of the wheel whose list it is in, or HK_TIMER_IN_HEAP
 * child    heap: my first child
 * sibling  heap: the next child of my parent; wheel: the next in the list
 * before   heap: the previous sibling, or the parent if I am its first child; wheel: the previous
 *          All but heap itself are guarded by heap's lock. */
typedef struct hk_timer {
    struct hk_timer *child; /* first, so that {0} is an initialiser to clang 14 too */
    struct hk_timer *sibling;
    struct hk_timer *before;
    int64_t deadline;
    HK_ATOMIC(hk_timers *) heap;
    hk_ticket ticket;
    uint32_t place;
} hk_timer;

enum {
    HK_TIMER_LEVELS = 8, /* 6 bits of the deadline each, from a millisecond to the end of time */
    HK_TIMER_LEVEL_SLOTS = 64,
    HK_TIMER_IN_HEAP = HK_TIMER_LEVELS * HK_TIMER_LEVEL_SLOTS,
};

/* Invariants: in the heap, a timer's deadline is not after that of any of its children. In the
 * wheel, everything is later than `tick`, and slots are in the order of time: lower levels first,
 * then by number. So what is earliest is the heap's root or in the wheel's first slot.
 *
 * earliest    no timer is due before; INT64_MAX if there is none. Exact if that is in the heap,
 *             else the start of a slot. Read without the lock by whoever computes how long to
 *             sleep; written under it
 * root        of the heap, heap_count timers
 * tick        the time up to which the wheel has been emptied, in ticks of about a millisecond
 * levels      bit per level that has a used slot;  used: bit per slot of a level that has timers
 * draining    the slot that is being emptied, a bounded number of timers a call; or none
 *             All guarded by lock. */
struct hk_timers {
    hk_lock lock;
    HK_ATOMIC(int64_t) earliest;
    hk_timer *root;
    size_t heap_count;
    int64_t tick;
    uint32_t levels;
    uint32_t draining;
    uint64_t used[HK_TIMER_LEVELS];
    hk_timer *slots[HK_TIMER_LEVELS * HK_TIMER_LEVEL_SLOTS];
};

void hk_timers_init(hk_timers *h);

/* Arm an idle timer. True: `earliest` is earlier now, so a sleeping owner must be interrupted. */
bool hk_timers_add(hk_timers *h, hk_timer *t, int64_t deadline, hk_ticket ticket);

/* Make sure `t` is in no heap: on return its ticket is not going to be handed out by a call that
 * starts later, and the timer's memory is the caller's again. True if it had not been due. */
bool hk_timers_remove(hk_timer *t);

/* Move what is due at `now` into ready[*n .. max) with -ETIMEDOUT, in the order of deadlines. If
 * more is due than fits, or more must be sorted than one call should, `earliest` is not after `now`
 * when it returns. */
void hk_timers_expire(hk_timers *h, int64_t now, struct hk_ready *ready, int *n, int max);

/* Debug: walk everything; panics if an invariant is broken. */
void hk_timers_check(hk_timers *h);

#endif
