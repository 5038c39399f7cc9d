/* SPDX-License-Identifier: MIT */
/* mc_tasks.h - model threads as tasks, for models of what waits by sched/park.c.
 *
 * Each model thread is a worker whose current task is the task of its number. park.c, scope.c and
 * the cancelling half of task.c are the real ones; what is behind them is a stand-in: leaving a
 * task's stack is to sleep, making it ready is to wake it. Include it once in a program. */
#ifndef HK_MODEL_MC_TASKS_H
#define HK_MODEL_MC_TASKS_H

#include <errno.h>

#include "model/mc.h"
#include "sched/child.h"
#include "sched/envelope.h"
#include "sched/extra.h"
#include "sched/group.h"
#include "sched/guest.h"
#include "sched/join.h"
#include "sched/look.h"
#include "sched/park.h"
#include "sched/runtime.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "sched/thread.h"
#include "sched/worker.h"

enum { MT_TASKS = MC_THREADS_MAX };

static hk_runtime mt_runtime;
static hk_worker mt_workers[MT_TASKS];
static hk_task mt_tasks[MT_TASKS]; /* the first of them run, one on each model thread */
static mc_parker mt_parkers[MT_TASKS];

#define MT_GENERATION 1u

static void mt_begin(void)
{
    memset(mt_tasks, 0, sizeof mt_tasks);
    memset(mt_parkers, 0, sizeof mt_parkers);
    for (int i = 0; i < MT_TASKS; i++) {
        mt_tasks[i].control = (uint64_t)MT_GENERATION << 32;
        mt_tasks[i].sleeper.kind = HK_SLEEPER_TASK;
        mt_tasks[i].runtime = &mt_runtime;
        mt_workers[i].runtime = &mt_runtime;
        mt_workers[i].current = &mt_tasks[i];
        mt_workers[i].budget = HK_BUDGET;
        mc_name(&mt_tasks[i].sleeper.word, "word");
        mc_name(&mt_tasks[i].control, "control");
    }
}

/* The task the calling model thread runs. */
static inline hk_task *mt_self(void)
{
    return mt_workers[mc_self()].current;
}

/* --- stand-ins ------------------------------------------------------------------------------- */

hk_worker *hk_worker_self(void)
{
    return &mt_workers[mc_self()];
}

/* A fiber is parked by whoever stands on it: that is the model thread. */
static mc_parker *mt_parker_of(hk_task *t)
{
    while (t->under)
        t = t->under;
    return &mt_parkers[t - mt_tasks];
}

__attribute__((weak)) hk_sleeper *hk_park_self(void)
{
    return &mt_self()->sleeper;
}

void hk_worker_leave_task(hk_worker *w, hk_task *t)
{
    MC_ASSERT(w->current == t);
    mc_sleep(mt_parker_of(t));
}

void hk_worker_push_ready(hk_worker *w, hk_task *t, bool soon)
{
    (void)w;
    (void)soon;
    mc_wake(mt_parker_of(t));
}

void hk_runtime_push(hk_runtime *rt, hk_task *t)
{
    (void)rt;
    mc_wake(mt_parker_of(t));
}

__attribute__((weak)) bool hk_worker_has_work(hk_worker *w)
{
    (void)w;
    return false;
}

void hk_worker_yield(hk_worker *w)
{
    (void)w;
}

__attribute__((weak)) HK_ATOMIC(bool) hk_fork_orphaned; /* nobody forks */

/* Slots are the model's own: what is given back stays where it is. */
__attribute__((weak)) void hk_slab_put_shared(hk_slab *s, void *slot)
{
    (void)s;
    (void)slot;
}

/* What a join makes of a child that has ended, in models that have one. */
static void (*mt_on_arrival)(hk_join *j, hk_task *child, int result);

__attribute__((weak)) void hk_join_arrive(hk_join *j, hk_task *child, int result)
{
    MC_ASSERT(mt_on_arrival);
    mt_on_arrival(j, child, result);
}

/* Weak: a program may have the real one. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define MT_NEVER(result, name, ...)                                                                \
    __attribute__((weak)) result name(__VA_ARGS__)                                                 \
    {                                                                                              \
        mc_fail(#name " is not part of this model");                                               \
    }

MT_NEVER(int, hk_thread_prepare, void)
MT_NEVER(hk_thread *, hk_thread_here, void)
MT_NEVER(hk_thread *, hk_thread_self, void)
MT_NEVER(void, hk_thread_wait, hk_thread *t, int64_t deadline)
MT_NEVER(void, hk_thread_wake, hk_thread *t)
MT_NEVER(void, hk_group_adopt, hk_worker *w, hk_task *t, hank_group *g)
MT_NEVER(void, hk_group_member_end, hk_worker *w, hk_task *t)
MT_NEVER(void, hk_join_cancel, hk_join *j, hk_task *except)
MT_NEVER(void, hk_join_show, hk_join *j)
MT_NEVER(bool, hk_join_decided, hk_join *j)
MT_NEVER(ssize_t, hk_join_winner, hk_join *j)
MT_NEVER(int, hk_join_wait, hk_join *j)
MT_NEVER(void, hk_runtime_report, hk_runtime *rt, const char *name, int result)
MT_NEVER(int, hk_worker_call, hk_worker *w, hk_task *t)
MT_NEVER(bool, hk_worker_claim, hk_worker *w, hk_task *t)
MT_NEVER(void, hk_worker_push_new, hk_worker *w, hk_task *t)
MT_NEVER(int, hk_extra_make, hk_task *t, const hk_spawn *how, hk_task *from)
MT_NEVER(void, hk_extra_free, hk_task *t)
MT_NEVER(void, hk_extra_end, hk_task *t, int result)
MT_NEVER(void, hk_look_forget, hk_task *child)
MT_NEVER(void, hk_runtime_report_task, hk_runtime *rt, hk_task *t, int result)
MT_NEVER(void, hk_worker_start_now, hk_worker *w, hk_task *t)
MT_NEVER(int, hk_stack_class, size_t bytes)
MT_NEVER(int, hk_slab_refill, hk_slab *s, hk_slab_cache *c)
MT_NEVER(void, hk_slab_make_room, hk_slab *s, hk_slab_cache *c)
MT_NEVER(void *, hk_slab_get_shared, hk_slab *s)
MT_NEVER(int, hk_envelope_main, void *envelope)
MT_NEVER(bool, hk_envelope_add, hk_task *t, const hk_spawn *how, hk_runtime *rt)
MT_NEVER(void, hk_envelope_end, hk_task *t, int result)
MT_NEVER(void, hk_guest_end, struct hk_worker *w, struct hk_task *t)
MT_NEVER(int, hk_guest_await, hank_task handle)
MT_NEVER(int, hk_guest_detach, hank_task handle)
MT_NEVER(bool, hk_timers_add, hk_timers *h, hk_timer *t, int64_t deadline, hk_ticket ticket)
MT_NEVER(bool, hk_timers_remove, hk_timer *t)
#pragma GCC diagnostic pop

#endif
