/* SPDX-License-Identifier: MIT */
/* child.h - a child that its own worker starts and ends: queued, taken back by the parent that
 * awaits it, called on the parent's stack. Divide and conquer does nothing else, at every node, so
 * the usual way is all inline; what is unusual is in task.c, work.c and worker.c.
 *
 * A model says itself what becomes of children. */
#ifndef HK_SCHED_CHILD_H
#define HK_SCHED_CHILD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fiber/stack.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

#ifdef HK_MODEL
void hk_worker_push_new(hk_worker *w, hk_task *t);
bool hk_worker_claim(hk_worker *w, hk_task *t);
int hk_worker_call(hk_worker *w, hk_task *t);
#else

/* Queue a task that has never run.
 *
 * Somebody who goes to sleep at this very moment may not see the new task, nor we him: that order
 * would cost every spawn a locked instruction. Nothing is lost, as w itself takes the task when it
 * comes to look, and nothing waits for long: the monitor wakes the sleeper (its `forgotten`). */
static inline void hk_worker_push_new(hk_worker *w, hk_task *t)
{
    t->home = (uint16_t)w->index;
    if (HK_UNLIKELY(hk_deque_push(&w->deque, t) < 0))
        hk_worker_push_overflow(w, t);
    else if (!w->alone && HK_UNLIKELY(hk_idle_wants_work(&w->runtime->idle)))
        hk_worker_publish(w);
}

/* Take `t`, unstarted, out of the worker's own deque if it is near the end that the owner uses, or
 * the oldest there, and if the stack that is left will do for it: who asked for no size is promised
 * half of the usual one. So children are called whether they are awaited from the last one or from
 * the first. */
HK_INLINE static bool hk_worker_claim(hk_worker *w, hk_task *t)
{
    if (t->home != w->index || hk_load_relaxed(&t->phase) != HK_PHASE_NEW) /* a hint */
        return false;
    int size_class = hk_task_class(t);
    size_t wanted = HK_LIKELY(size_class == w->stack_class) ? w->usual_headroom
                                                            : hk_stack_class_bytes(size_class);
    size_t left = (size_t)((char *)__builtin_frame_address(0) - w->fiber->stack_low);
    if (HK_UNLIKELY(left < wanted))
        return false;
    return HK_LIKELY(hk_deque_take_if_youngest(&w->deque, t, w->alone)) ||
           hk_worker_claim_further(w, t);
}

/* Run t's function and settle its children, on the calling stack; the result. The caller has set
 * it as current. Returns maybe on another worker. */
static inline int hk_task_body(hk_task *t)
{
    bool cancelled = hk_load_relaxed(&t->control) & HK_TASK_CANCELLED; /* or it is seen later */
    int result = HK_UNLIKELY(cancelled) && hk_task_is_moot(t) ? -ECANCELED : t->fn(t->arg);
    if (!hk_task_has(t, HK_TRAIT_PARENT | HK_TRAIT_EXTRA))
        return result;
    bool settled = hk_worker_self() && !t->scopes && hk_list_empty(&t->children);
    if (HK_UNLIKELY(!settled || hk_task_has(t, HK_TRAIT_EXTRA)))
        hk_task_settle(t, result);
    return result;
}

/* Call a task that has not started and is owned by the caller, on the caller's stack. */
static inline int hk_worker_call(hk_worker *w, hk_task *t)
{
    hk_task *parent = w->current;
    t->under = parent;
    hk_store_relaxed(&t->join, HK_JOIN_CALLED); /* only this stack looks */
    w->current = t;
    hk_store_relaxed(&t->phase, (uint8_t)HK_PHASE_STARTED); /* a hint */
    int result = hk_task_body(t);
    w = hk_worker_self();
    w->current = parent;
    hk_count(w->counters.ended);
    t->under = NULL;
    t->result = result;
    if (HK_UNLIKELY(t->chain_shown)) {
        t->chain_shown = false;
        /* seq_cst like every write of it: see hk_scope_show_chain. */
        hk_store_seqcst(&parent->nested, (hk_task *)NULL);
    }
    hk_store_relaxed(&t->phase, (uint8_t)HK_PHASE_DONE); /* a hint */
    hk_store_relaxed(&t->join, HK_JOIN_DONE);            /* only this stack looks */
    return result;
}

#endif
#endif
