/* SPDX-License-Identifier: MIT */
/* deque.h - a worker's unstarted tasks: the owner takes the youngest, thieves the oldest.
 *
 *          top                       bottom
 *           |                          |
 *     ... dead | oldest ... youngest | free ...      slot of index i: slots[i & mask]
 *           ^                          ^
 *        thieves, by CAS            the owner, push and pop
 *
 * Owner and thief meet only over the last task. There each makes itself seen and then looks: pop
 * lowers bottom and then reads top, a thief reads top and then bottom. All four are seq_cst, so at
 * least one sees the other, and what both see is decided by the CAS on top.
 *
 * Indices are 64 bits, wrap, and are never reused within any thief's patience. A full array is
 * replaced by one twice its size; the old one is kept until hk_deque_done, because a thief may
 * still read it. What a thief reads there is either right or discarded: an index is copied or
 * overwritten only after top has passed it, and then the thief's CAS fails.
 *
 * Rejected: fences as in the papers (ThreadSanitizer does not understand them, and there are 25
 * times as many executions to check); the owner's pop without any barrier, paid for by thieves.
 * Source: Chase and Lev, "Dynamic circular work-stealing deque", SPAA 2005; Le, Pop, Cohen and
 * Nardelli, "Correct and efficient work-stealing for weak memory models", PPoPP 2013. */
#ifndef HK_SCHED_DEQUE_H
#define HK_SCHED_DEQUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

struct hk_task;

/* Past this many slots push fails, and the caller overflows elsewhere. */
#define HK_DEQUE_SLOTS_MAX (UINT64_C(1) << 24)

typedef struct hk_deque_array {
    struct hk_deque_array *older; /* the array this one replaced */
    uint64_t mask;                /* slots - 1; a power of two of them */
    HK_ATOMIC(struct hk_task *) slots[];
} hk_deque_array;

/* Equation: pushed == popped + stolen + (bottom - top).  Empty when top == bottom; during a pop of
 * nothing bottom is, for a moment, top - 1.
 *
 * top      thieves and the owner raise it, CAS         bottom   the owner writes, thieves read
 * array    the owner replaces it, thieves read         slots    likewise
 * passed   the owner's: top was at least this. Spares it thieves' cache line on most pushes */
typedef struct hk_deque {
    _Alignas(HK_NO_SHARING) HK_ATOMIC(uint64_t) top;
    _Alignas(HK_NO_SHARING) HK_ATOMIC(uint64_t) bottom;
    HK_ATOMIC(hk_deque_array *) array;
    uint64_t passed;
} hk_deque;

typedef enum hk_steal {
    HK_STEAL_EMPTY,
    HK_STEAL_LOST, /* somebody else took that one: there may be more */
    HK_STEAL_TAKEN,
} hk_steal;

/* Any thread, nobody else there yet. `slots` is a power of two. 0 or -ENOMEM. */
HK_MUST_CHECK int hk_deque_init(hk_deque *d, size_t slots);

/* Nobody else there any more. Tasks still inside are forgotten. Zeroed is fine. */
void hk_deque_done(hk_deque *d);

/* The owner: room for one more, whatever it takes. 0 or -ENOMEM. */
HK_MUST_CHECK int hk_deque_make_room(hk_deque *d);

/* The owner, between two operations: panics if the equation cannot hold. */
void hk_deque_check(hk_deque *d);

/* The owner. 0, or -ENOMEM and the task is not inside. */
HK_MUST_CHECK static inline int hk_deque_push(hk_deque *d, struct hk_task *task)
{
    uint64_t bottom = hk_load_relaxed(&d->bottom);  /* own: only we write it */
    hk_deque_array *a = hk_load_relaxed(&d->array); /* own */
    if (HK_UNLIKELY(bottom - d->passed > a->mask)) {
        int rc = hk_deque_make_room(d);
        if (rc < 0)
            return rc;
        a = hk_load_relaxed(&d->array); /* own */
    }
    hk_store_relaxed(&a->slots[bottom & a->mask], task); /* published by bottom */
    /* [deque:publish] release: a thief that sees the new bottom sees slot, array and task. */
    hk_store_release(&d->bottom, bottom + 1);
    return 0;
}

/* The owner: is `task` among the `depth` youngest? It may be stolen yet. */
static inline bool hk_deque_is_near_end(hk_deque *d, const struct hk_task *task, unsigned depth)
{
    uint64_t bottom = hk_load_relaxed(&d->bottom);  /* own */
    hk_deque_array *a = hk_load_relaxed(&d->array); /* own */
    for (unsigned i = 1; i <= depth && (int64_t)(bottom - i - d->passed) >= 0; i++)
        if (hk_load_relaxed(&a->slots[(bottom - i) & a->mask]) == task) /* own writes */
            return true;
    return false;
}

/* The owner. The youngest, or NULL. */
static inline struct hk_task *hk_deque_pop(hk_deque *d)
{
    uint64_t bottom = hk_load_relaxed(&d->bottom) - 1; /* own */
    if (bottom + 1 == d->passed)
        return NULL; /* top cannot be higher than bottom: empty, and nobody else can push */
    /* seq_cst, as is the read of top: the two must not swap, or a thief and we would both believe
     * that the other left the last task alone. */
    hk_store_seqcst(&d->bottom, bottom);
    uint64_t top = hk_load_seqcst(&d->top);
    d->passed = top;
    if ((int64_t)(bottom - top) < 0) {
        hk_store_relaxed(&d->bottom, bottom + 1); /* publishes nothing: there is nothing */
        return NULL;
    }
    hk_deque_array *a = hk_load_relaxed(&d->array);                      /* own */
    struct hk_task *task = hk_load_relaxed(&a->slots[bottom & a->mask]); /* own */
    if (bottom != top)
        return task; /* a thief that wants this index sees the lowered bottom */
    if (!hk_cas_seqcst(&d->top, &top, top + 1))
        task = NULL;                          /* a thief was faster */
    hk_store_relaxed(&d->bottom, bottom + 1); /* publishes nothing: this index is gone */
    d->passed = bottom + 1;
    return task;
}

/* The same where there are no thieves at all, of a runtime with one worker: no locked instruction,
 * and every access is relaxed, as nobody else looks. */
static inline struct hk_task *hk_deque_pop_alone(hk_deque *d)
{
    uint64_t bottom = hk_load_relaxed(&d->bottom); /* see above */
    if (bottom == hk_load_relaxed(&d->top))        /* see above */
        return NULL;
    hk_deque_array *a = hk_load_relaxed(&d->array); /* see above */
    hk_store_relaxed(&d->bottom, bottom - 1);       /* see above */
    return hk_load_relaxed(&a->slots[(bottom - 1) & a->mask]);
}

/* Anyone. The oldest; *ret_task is written only if it was taken. */
static inline hk_steal hk_deque_steal(hk_deque *d, struct hk_task **ret_task)
{
    /* seq_cst: the chain from the CAS of the thief before us through this load to the next must be
     * one of seq_cst accesses, or C11 does not order that CAS before our look at bottom. */
    uint64_t top = hk_load_seqcst(&d->top);
    /* [deque:publish] acquire, within seq_cst: pairs with push; and see pop. */
    uint64_t bottom = hk_load_seqcst(&d->bottom);
    if ((int64_t)(bottom - top) <= 0)
        return HK_STEAL_EMPTY;
    /* [deque:array] acquire: it may be newer than bottom. */
    hk_deque_array *a = hk_load_acquire(&d->array);
    /* Before the CAS: afterwards the owner may reuse the slot. */
    struct hk_task *task = hk_load_relaxed(&a->slots[top & a->mask]);
    /* [deque:passed] release, within seq_cst: our read of the slot is over. */
    if (!hk_cas_seqcst(&d->top, &top, top + 1))
        return HK_STEAL_LOST;
    *ret_task = task;
    return HK_STEAL_TAKEN;
}

/* The owner. The oldest, or NULL: so that a stream of new tasks does not starve the first. */
static inline struct hk_task *hk_deque_take_oldest(hk_deque *d)
{
    struct hk_task *task = NULL;
    hk_steal outcome;
    do {
        outcome = hk_deque_steal(d, &task);
    } while (outcome == HK_STEAL_LOST); /* a thief took one: fewer are left each time */
    return outcome == HK_STEAL_TAKEN ? task : NULL;
}

/* The owner: take `task` if it is the youngest. `alone`: there are no thieves at all. */
static inline bool hk_deque_take_if_youngest(hk_deque *d, const struct hk_task *task, bool alone)
{
    uint64_t bottom = hk_load_relaxed(&d->bottom);                  /* own */
    hk_deque_array *a = hk_load_relaxed(&d->array);                 /* own */
    uint64_t passed = alone ? hk_load_relaxed(&d->top) : d->passed; /* nobody else writes it */
    if (bottom == passed || hk_load_relaxed(&a->slots[(bottom - 1) & a->mask]) != task)
        return false;
    if (!alone)
        return hk_deque_pop(d) != NULL;       /* or it has been stolen */
    hk_store_relaxed(&d->bottom, bottom - 1); /* nobody else looks */
    return true;
}

/* The same for the oldest. */
static inline bool hk_deque_take_if_oldest(hk_deque *d, const struct hk_task *task, bool alone)
{
    uint64_t top = hk_load_relaxed(&d->top);        /* a first guess for the CAS */
    uint64_t bottom = hk_load_relaxed(&d->bottom);  /* own */
    hk_deque_array *a = hk_load_relaxed(&d->array); /* own */
    if ((int64_t)(bottom - top) <= 0 || hk_load_relaxed(&a->slots[top & a->mask]) != task)
        return false;
    if (!alone)
        /* seq_cst as a thief's: the next thief's look at bottom is ordered after it by that. */
        return hk_cas_seqcst(&d->top, &top, top + 1);
    hk_store_relaxed(&d->top, top + 1); /* nobody else looks */
    return true;
}

/* Anyone. Was right a moment ago; for deciding whether to steal. */
static inline uint64_t hk_deque_size(hk_deque *d)
{
    uint64_t top = hk_load_relaxed(&d->top);       /* relaxed: a hint */
    uint64_t bottom = hk_load_relaxed(&d->bottom); /* relaxed: a hint */
    return (int64_t)(bottom - top) > 0 ? bottom - top : 0;
}

#endif
