/* SPDX-License-Identifier: MIT */
/* lock.h - the one lock inside hank: spins, then steps aside.
 *
 * Held for a handful of instructions, never across a park. Unlocking is a plain release store,
 * which is why waiters step aside by giving up the CPU instead of being woken: the uncontended
 * pair costs one read-modify-write, half of what a futex mutex costs.
 *
 * Locks are ranked and taken in rising rank only; debug builds panic on the first exception, so a
 * deadlock is found by the run that could have had one. Ranks are the *only* order: two locks of
 * one rank are never held together. */
#ifndef HK_BASE_LOCK_H
#define HK_BASE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

typedef enum hk_lock_rank {
    HK_RANK_RUNTIME = 1, /* start and stop */
    HK_RANK_SYNC,        /* mutexes, events, channels: the queues people wait in */
    HK_RANK_GUEST,       /* who asks for a task from outside */
    HK_RANK_GROUP,       /* members of a group */
    HK_RANK_BLOCKING,    /* the blocking pool's queue */
    HK_RANK_SIGNAL,      /* who is told of signals */
    HK_RANK_BORROWED,    /* who waits for others' descriptors */
    HK_RANK_REACTOR,     /* attaching a descriptor */
    HK_RANK_SUBMIT,      /* what a reactor will ask the kernel for */
    HK_RANK_TIMERS,      /* one worker's timers */
    HK_RANK_INBOX,       /* tasks from outside a worker */
    HK_RANK_IDLE,        /* who sleeps */
    HK_RANK_SLAB,        /* the depot of free slots */
    HK_RANK_STACK,       /* the depot of free stacks */
} hk_lock_rank;

/* Zeroed is unlocked. */
typedef struct hk_lock {
    HK_ATOMIC(uint32_t) held;
} hk_lock;

void hk_lock_slowly(hk_lock *l); /* contended: spin, then step aside */

#ifdef NDEBUG
#define hk_lock_note_take(l, rank) ((void)(l), (void)(rank))
#define hk_lock_note_drop(l)       ((void)(l))
#else
void hk_lock_note_take(hk_lock *l, hk_lock_rank rank);
void hk_lock_note_drop(hk_lock *l);
#endif

/* Let whoever holds what we want go on undisturbed, so many pauses long. To the model checker,
 * where a pause lasts until somebody has done something, and to the simulator, where no time passes
 * while anybody is awake, one is as good as many. */
static inline void hk_spin_pauses(int n)
{
#if defined HK_MODEL || HK_SIM
    n = n > 0;
#endif
    for (; n > 0; n--)
        hk_spin_pause();
}

/* Take a lock of any rank, and drop it: what a fork() does with each, so that it finds whole what
 * they guard. */
static inline void hk_lock_freeze(hk_lock *l)
{
    /* [lock:held] acquire: sees what the last holder wrote. */
    if (HK_UNLIKELY(hk_swap_acquire(&l->held, 1u) != 0))
        hk_lock_slowly(l);
}

static inline void hk_lock_thaw(hk_lock *l)
{
    hk_store_release(&l->held, 0u); /* [lock:held] release: pairs with the next holder's swap */
}

static inline void hk_lock_take(hk_lock *l, hk_lock_rank rank)
{
    hk_lock_note_take(l, rank);
    hk_lock_freeze(l);
}

static inline bool hk_lock_try(hk_lock *l, hk_lock_rank rank)
{
    /* Looked at first, so that a crowd of triers does not pull the line back and forth. */
    if (hk_load_relaxed(&l->held) != 0 || hk_swap_acquire(&l->held, 1u) != 0)
        return false;
    hk_lock_note_take(l, rank);
    return true;
}

static inline void hk_lock_drop(hk_lock *l)
{
    hk_lock_note_drop(l);
    hk_lock_thaw(l);
}

#endif
