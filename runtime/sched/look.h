/* SPDX-License-Identifier: MIT */
/* look.h - waiting for children without using them up: they are neither cancelled nor collected.
 *
 * A watch of the look stands in the join word of each child it watches, where otherwise a join
 * would: a child that ends finds it there, says so under the look's lock, and touches it no more.
 * Whoever looks takes it out again (CAS) before its memory goes; a child that was quicker is waited
 * for, which is a matter of a few instructions.
 *
 *     watched == children in whose join word we are, and which have not said yet that they ended
 *
 * Whatever a child says of itself then comes from the watch, not from its slot: it is seen to have
 * ended before it has said so, and its parent may have collected it meanwhile.
 *
 * One child is in at most one look at a time. */
#ifndef HK_SCHED_LOOK_H
#define HK_SCHED_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hank/task.h>

#include "base/lock.h"
#include "base/waiter.h"
#include "sched/join.h"

struct hk_task;

/* What ends a wait. */
typedef enum hk_look_until {
    HK_LOOK_ANY,    /* a child has ended */
    HK_LOOK_FAILED, /* one has failed, or all have ended */
    HK_LOOK_ALL,    /* all have ended */
    HK_LOOK_NEXT,   /* there is something in `order`, or nothing more can come */
} hk_look_until;

/* What stands in a child's join word.
 * mode  HK_JOIN_LOOK: first, as in an hk_join
 * nth   not of this child: the look's watches[k].nth is the index of the k-th child that ended */
typedef struct hk_watch {
    uint8_t mode;
    uint32_t nth;
    struct hk_look *look;
} hk_watch;

_Static_assert(offsetof(hk_watch, mode) == 0 && offsetof(hk_join, mode) == 0,
               "whoever finds one of them in a join word asks for its mode");

/* watches  one for each child, by its index; of [taken, ended) `nth` is set. NULL: nobody asks for
 *          the order of ending, and all share `shared`
 * The others are guarded by lock. */
typedef struct hk_look {
    hk_watch *watches;
    hk_watch shared;
    hk_lock lock;
    uint8_t until;
    bool waiting;
    bool said; /* beside the children: somebody has what was waited for (start.c) */
    hk_ticket waiter;
    size_t watched, ended, failed, taken;
} hk_look;

/* `watches`, one for each of as many children as are ever added; or NULL and 0. */
void hk_look_begin(hk_look *l, hk_watch *watches, size_t n);

/* Watch the caller's child behind `task`, the index-th of its own counting. What is no such child
 * counts as one that has failed. 0; -EBUSY another look watches it. */
int hk_look_add(hk_look *l, hank_task task, size_t index);

/* Wait until there is what `until` says. 0; a stop; HK_EXPIRED. */
int hk_look_wait(hk_look *l, hk_look_until until, unsigned state, int64_t deadline);

/* The next index in the order of ending; false: there is none now. For a look with watches. */
bool hk_look_take(hk_look *l, size_t *ret_index);

/* Watch none of n tasks any more, and wait until the last of those that ended meanwhile has let go
 * of `l`. */
void hk_look_end(hk_look *l, const hank_task *tasks, size_t n);

/* The owner of `child` needs its join word for itself: take it out of the look it is in, if it is,
 * which counts it as ended. */
void hk_look_forget(struct hk_task *child);

/* Called with the lock held, and drops it: wake who waits if there is what it waits for. The caller
 * touches `l` no more. */
void hk_look_tell(hk_look *l);

/* What an hk_join of mode HK_JOIN_LOOK is. */
static inline hk_watch *hk_watch_of(hk_join *j)
{
    return (hk_watch *)(void *)j;
}

/* For a child that ends with `watch` in its join word. */
void hk_look_arrive(hk_watch *watch, int result);

#endif
