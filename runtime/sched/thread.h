/* SPDX-License-Identifier: MIT */
/* thread.h - threads that are no workers but wait for tasks all the same. */
#ifndef HK_SCHED_THREAD_H
#define HK_SCHED_THREAD_H

#include "base/atomic.h"
#include "base/waiter.h"

struct hk_binding;
struct hk_scope;

/* Type-stable, as every sleeper.
 * runs       how often the thread was let run; its wakers add to it; a futex
 * runs_seen  how many of those it has received; the thread itself only
 * scopes, locals  the thread itself only */
typedef struct hk_thread {
    void *links[2]; /* first: the slab's while free */
    hk_sleeper sleeper;
    HK_ATOMIC(uint32_t) runs;
    uint32_t runs_seen;
    struct hk_scope *scopes;
    struct hk_binding *locals;
} hk_thread;

/* Make the calling thread's record, if it has none: for calls that can say why not, before they
 * wait. 0 or -ENOMEM. */
HK_MUST_CHECK int hk_thread_prepare(void);

/* It; NULL: it has never waited, nor begun a scope. */
hk_thread *hk_thread_here(void);

/* The same, made where there is none. Panics when there is no memory for it. */
hk_thread *hk_thread_self(void);

/* Sleep until the turn begun last has been claimed and run, or `deadline` has passed. */
void hk_thread_wait(hk_thread *t, int64_t deadline);

/* Keep everyone from making such records, across a fork(), and let them again. */
void hk_thread_freeze(void);
void hk_thread_thaw(void);

/* The other side: run a thread whose turn the caller has claimed. */
void hk_thread_wake(hk_thread *t);

#endif
