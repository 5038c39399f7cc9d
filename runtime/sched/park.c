/* SPDX-License-Identifier: MIT */
/* park.c - the one door to wait, and the one to wake. */
#include "sched/park.h"

#include <hank/task.h>

#include <errno.h>

#include "base/check.h"
#include "base/fork.h"
#include "base/os.h"
#include "sched/runtime.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "sched/thread.h"
#include "sched/worker.h"

enum { REFUSED_MAX = 1000 };

/* By a thread, or in a scope. */
HK_NOINLINE static void begin_slowly(hk_waiter *w, unsigned state)
{
    hk_sleeper *s = hk_park_self();
    w->ticket = hk_sleeper_begin(s, state == HK_WAITING ? hk_scope_wait_state(s) : state);
}

void hk_park_begin(hk_waiter *w, unsigned state)
{
    hk_worker *worker = hk_worker_self();
    hk_task *t = worker ? worker->current : NULL;
    w->asked = state;
    if (t != NULL)
        t->runtime = worker->runtime;
    if (HK_LIKELY(t != NULL && (state != HK_WAITING || hk_task_is_bare(t))))
        w->ticket = hk_sleeper_begin(&t->sleeper, state);
    else
        begin_slowly(w, state);
}

int hk_park_ready(void)
{
    hk_worker *w = hk_worker_self();
    return HK_LIKELY(w && w->current) ? 0 : hk_thread_prepare();
}

bool hk_park_abandon(hk_waiter *w)
{
    return hk_ticket_claim(w->ticket, 0);
}

void hk_park_give_up(hk_waiter *w)
{
    if (!hk_park_abandon(w))
        (void)hk_park(w, HK_FOREVER, "nothing"); /* it has been claimed: returns at once */
}

/* The current task asked for a wait although it is stopped. One that ignores the answer spins where
 * it meant to wait: it is told on once, and from then on others get their turns in between. */
HK_COLD static void note_refused(void)
{
    hk_worker *w = hk_worker_self();
    hk_task *t = w->current;
    hk_sleeper *s = &t->sleeper;
    uint32_t life = HK_GENERATION(hk_load_relaxed(&t->control)); /* ours while we run */
    if (s->refused_of != life)
        s->refused = 0;
    s->refused_of = life;
    if (s->refused == REFUSED_MAX) {
        hk_worker_yield(w);
        return;
    }
    if (++s->refused < REFUSED_MAX)
        return;
    if (w->runtime->options.panic_on_ignored_stop)
        hk_panic("a task that is stopped has made %d waits that failed", (int)REFUSED_MAX);
    hk_task_report(t, -ELOOP);
}

/* Until the turn is claimed: by a waker, a canceller, or the timer. */
static void wait_as_task(hk_task *t, hk_ticket ticket, int64_t deadline)
{
    hk_worker *w = hk_worker_self();
    if (deadline == HK_FOREVER) {
        hk_worker_leave_task(w, t);
        return;
    }
    hk_timer timer = {.deadline = 0};
    (void)hk_timers_add(&w->reactor.timers, &timer, deadline, ticket); /* its owner is awake: us */
    hk_worker_leave_task(w, t);
    (void)hk_timers_remove(&timer);
}

/* False: nothing stops it now, and who stops those beneath it from here on finds it. */
static inline bool may_be_stopped(hk_task *t)
{
    if (t->under != NULL && !t->chain_shown)
        hk_scope_show_chain(&t->sleeper);
    return !hk_task_goes_on(t);
}

/* A thread's wait, or one that also `until` may end, or a stop if `stoppable`. 0, or why it did not
 * begin. */
HK_NOINLINE static int wait_guarded(hk_waiter *w, int64_t until, bool stoppable)
{
    hk_sleeper *s = w->ticket.sleeper;
    bool is_task = s->kind == HK_SLEEPER_TASK;
    if (stoppable) {
        int stop = hk_scope_stop_reason(s, is_task ? hk_worker_self()->clock : HK_NOW);
        if (HK_UNLIKELY(stop != 0) && hk_ticket_claim(w->ticket, stop)) {
            if (is_task)
                note_refused();
            return stop;
        }
        int64_t scope = hk_scope_deadline(s);
        until = scope < until ? scope : until;
    }
    if (is_task)
        wait_as_task(hk_task_of(s), w->ticket, until);
    else
        hk_thread_wait(hk_container_of(s, hk_thread, sleeper), until);
    return 0;
}

/* What the caller is told of a wait that a deadline or a stop has ended. */
HK_NOINLINE static int who_ended_it(hk_waiter *w, int64_t deadline, int result)
{
    if (result == -ETIMEDOUT && deadline != HK_FOREVER && hk_os_now() >= deadline)
        return HK_EXPIRED;
    bool stoppable = w->asked == HK_WAITING;
    int stop = stoppable ? hk_scope_stop_reason(w->ticket.sleeper, HK_NOW) : 0;
    return stop ? stop : result;
}

int hk_park(hk_waiter *w, int64_t deadline, const char *why)
{
    hk_sleeper *s = w->ticket.sleeper;
    hk_store_relaxed(&s->why, why); /* for dumps */
    bool is_task = s->kind == HK_SLEEPER_TASK;
    bool stoppable = w->asked == HK_WAITING && (!is_task || may_be_stopped(hk_task_of(s)));
    if (HK_LIKELY(is_task && !stoppable && deadline == HK_FOREVER)) {
        hk_worker_leave_task(hk_worker_self(), hk_task_of(s));
    } else {
        int stop = wait_guarded(w, deadline, stoppable);
        if (stop != 0)
            return stop;
    }
    int result = hk_sleeper_result(s);
    if (HK_UNLIKELY(result == -ETIMEDOUT || result == -ECANCELED))
        return who_ended_it(w, deadline, result);
    return result;
}

bool hk_park_is_busy_elsewhere(hk_sleeper *s)
{
    hk_worker *w = hk_worker_self();
    if (hk_word_state(hk_load_relaxed(&s->word)) != HK_AWAKE) /* a hint, like what follows */
        return false;
    if (s->kind == HK_SLEEPER_THREAD)
        return true;
    return !(w && w->alone) && hk_load_relaxed(&hk_task_of(s)->on_stack) != 0;
}

bool hk_park_may_spin_for(hk_sleeper *s)
{
    hk_worker *w = hk_worker_self();
    if (w && (hk_load_relaxed(&w->lifo) != NULL || hk_worker_has_work(w))) /* a hint */
        return false;
    return hk_park_is_busy_elsewhere(s);
}

void hk_wake_claimed(hk_sleeper *s)
{
    if (s->kind == HK_SLEEPER_THREAD) {
        hk_thread_wake(hk_container_of(s, hk_thread, sleeper));
        return;
    }
    hk_task *t = hk_task_of(s);
    hk_worker *w = hk_worker_self();
    if (HK_LIKELY(w && w->runtime == t->runtime))
        hk_worker_push_ready(w, t, w->current != NULL);
    else
        hk_runtime_push(t->runtime, t);
}

bool hk_wake(hk_ticket t, int result)
{
    if (!hk_ticket_claim(t, result))
        return false;
    hk_wake_claimed(t.sleeper);
    return true;
}

/* Outside a task: a thread that has no record has begun no scope. */
static int stop_reason_outside(void)
{
    hk_thread *t = hk_thread_here();
    if (!t)
        return hk_forked() ? -ESHUTDOWN : 0;
    return hk_scope_stop_reason(&t->sleeper, HK_NOW);
}

/* The same, before it waits. */
HK_NOINLINE static int checkpoint_outside(void)
{
    int rc = hk_thread_prepare();
    return rc < 0 ? rc : stop_reason_outside();
}

int hk_stop_reason(void)
{
    hk_worker *w = hk_worker_self();
    bool in_a_task = w && w->current;
    return in_a_task ? hk_scope_stop_reason(&w->current->sleeper, HK_NOW) : stop_reason_outside();
}

/* By the worker's clock, which is at most one round of dispatches old: a wait that is too early by
 * that sets its timer, and a task that never waits is dispatched anew when its budget is spent. */
static inline int task_stop_reason(hk_worker *w, hk_task *t)
{
    return HK_LIKELY(hk_task_goes_on(t)) ? 0 : hk_scope_stop_reason(&t->sleeper, w->clock);
}

int hk_checkpoint_slowly(void)
{
    hk_worker *w = hk_worker_self();
    if (HK_UNLIKELY(!w || !w->current))
        return checkpoint_outside();
    int stop = task_stop_reason(w, w->current);
    if (HK_UNLIKELY(--w->budget <= 0 || hk_load_relaxed(&w->hurry))) { /* a hint from the monitor */
        hk_store_relaxed(&w->hurry, false);
        hk_worker_yield(w);
    }
    if (HK_UNLIKELY(stop != 0))
        note_refused();
    return stop;
}

int hank_yield(void)
{
    hk_worker *w = hk_worker_self();
    if (HK_UNLIKELY(!w || !w->current)) {
        hk_os_yield();
        return stop_reason_outside();
    }
    hk_task *t = w->current;
    hk_worker_yield(w);
    return task_stop_reason(hk_worker_self(), t);
}

int hank_stopped(void)
{
    return hk_stop_reason();
}

int hank_sleep(hank_ns duration)
{
    if (duration <= 0)
        return hank_yield();
    if (hk_park_ready() < 0)
        return -ENOMEM;
    int64_t now = hk_os_now();
    int64_t deadline = duration >= HK_FOREVER - now ? HK_FOREVER : now + duration;
    hk_waiter w;
    hk_park_begin(&w, HK_WAITING);
    int rc = hk_park(&w, deadline, "sleep");
    return rc == HK_EXPIRED ? 0 : rc;
}
