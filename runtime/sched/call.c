/* SPDX-License-Identifier: MIT */
/* call.c - a call is a task that waits before it has begun.
 *
 * It is made like any task, and instead of being queued it begins a turn, as a parked task does: a
 * timer holds the ticket. So what ends its wait, the time or a cancel, queues it like any task that
 * is woken, and it needs no stack before it runs. It is a member of its runtime's detached group,
 * which cancels and joins it.
 *
 * Whether it is called is decided in the flags of its control word, by one atomic operation each:
 *
 *     (none) --begin--> BEGUN --end--> BEGUN, ENDED          a cancel that comes now is late
 *     (none) --cancel--> CANCELLED --end--> CANCELLED, ENDED   it is not called
 *
 * ASKED is set by who waits for the end, under the lock of a table of those; ENDED and ASKED are
 * in one word, so one of the two sees the other. */
#include "sched/call.h"

#include <hank/timer.h>

#include <errno.h>

#include "base/check.h"
#include "base/os.h"
#include "sched/envelope.h"
#include "sched/fork.h"
#include "sched/group.h"
#include "sched/guest.h"
#include "sched/park.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

/* --- the task's side ------------------------------------------------------------------------- */

bool hk_call_begin(hk_task *t)
{
    uint64_t control = hk_load_seqcst(&t->control); /* a first guess for the CAS */
    do {
        if (control & HK_TASK_CANCELLED)
            return false;
        /* seq_cst as every change of control. */
    } while (!hk_cas_seqcst(&t->control, &control, control | HK_TASK_BEGUN));
    return true;
}

void hk_call_end(hk_task *t)
{
    /* seq_cst as every change of control. */
    if (hk_or_seqcst(&t->control, HK_TASK_ENDED) & HK_TASK_ASKED)
        hk_guest_tell(t);
}

/* --- asking for one -------------------------------------------------------------------------- */

static hank_timer failed(int error)
{
    return (hank_timer){.slot_ = NULL, .generation_ = 1, .error_ = error};
}

static void queue(hk_runtime *rt, hk_task *t)
{
    hk_worker *w = hk_worker_self();
    if (w && w->runtime == rt)
        hk_worker_push_ready(w, t, false);
    else
        hk_runtime_push(rt, t);
}

/* Let `t` wait for its time. From the moment its turn begins it may run and be gone. */
static void arm(hk_runtime *rt, hk_task *t, int64_t due)
{
    hk_worker *self = hk_worker_self();
    hk_worker *w = self && self->runtime == rt ? self : &rt->workers[0];
    hk_envelope *e = t->arg;
    uint64_t turn = hk_word_turn(hk_load_relaxed(&t->sleeper.word)) + 1; /* nobody else writes */
    hk_ticket ticket = {&t->sleeper, turn & HK_TURN_MASK};
    hk_store_relaxed(&t->sleeper.why, "its time"); /* for dumps */
    hk_runtime_visit(rt);
    bool is_earlier = hk_timers_add(&w->reactor.timers, &e->timer, due, ticket);
    (void)hk_sleeper_begin(&t->sleeper, HK_WAITING); /* the same ticket */
    /* If the timer was due before the turn had begun, or a cancel came before, nobody ended it. */
    if ((hk_os_now() >= due || hk_task_cancelled(t)) && hk_ticket_claim(ticket, 0))
        queue(rt, t);
    /* Even so: a later one that comes now is not the earliest, and leaves it to us to tell. */
    if (is_earlier && w != self)
        hk_reactor_interrupt(&w->reactor);
    hk_runtime_visited(rt);
}

static hank_timer ask(hk_runtime *rt, int64_t due, hank_fn fn, void *arg, const void *site)
{
    hk_worker *w = hk_worker_self();
    bool inside = w && w->runtime == rt;
    if (!fn)
        return failed(-EINVAL);
    hk_spawn how = {.fn = fn, .arg = arg, .due = due, .site = site, .is_call = true};
    hk_task *t = inside ? hk_task_new(w, &how, NULL) : hk_task_new_outside(rt, &how);
    if (!t)
        return failed(-ENOMEM);
    t->runtime = rt;
    hk_task_add_trait(t, HK_TRAIT_MEMBER);
    hank_timer handle = {.slot_ = t, /* before it can end */
                         .generation_ = HK_GENERATION(hk_load_relaxed(&t->control)),
                         .error_ = 0};
    if (!hk_group_admit(&rt->detached, t)) {
        if (inside)
            hk_task_discard(w, t);
        else
            hk_task_discard_outside(rt, t);
        return failed(-ESHUTDOWN);
    }
    if (due <= 0)
        queue(rt, t);
    else
        arm(rt, t, due);
    return handle;
}

/* In the past is soon, which needs no timer. */
static int64_t due_at(hank_ns when)
{
    return when <= hk_os_now() ? 0 : when;
}

static hank_timer ask_here(int64_t due, hank_fn fn, void *arg, const void *site)
{
    hk_worker *w = hk_worker_self();
    if (!w || !w->current)
        return failed(hk_not_in_a_task());
    return ask(w->runtime, due, fn, arg, site);
}

hank_timer hank_call_soon(hank_fn fn, void *arg)
{
    return ask_here(0, fn, arg, HK_CALL_SITE());
}

hank_timer hank_call_later(hank_ns delay, hank_fn fn, void *arg)
{
    if (delay <= 0)
        return ask_here(0, fn, arg, HK_CALL_SITE());
    int64_t now = hk_os_now();
    int64_t due = delay >= HK_FOREVER - now ? HK_FOREVER : now + delay;
    return ask_here(due, fn, arg, HK_CALL_SITE());
}

hank_timer hank_call_at(hank_ns when, hank_fn fn, void *arg)
{
    return ask_here(due_at(when), fn, arg, HK_CALL_SITE());
}

hank_timer hank_call_into(hank_runtime *public, hank_ns when, hank_fn fn, void *arg)
{
    hk_runtime *rt = (hk_runtime *)(void *)public;
    if (!rt)
        return failed(-EINVAL);
    if (hk_runtime_left_behind(rt))
        return failed(-ESHUTDOWN);
    return ask(rt, due_at(when), fn, arg, HK_CALL_SITE());
}

/* --- taking it back -------------------------------------------------------------------------- */

static int bad_handle(hank_timer t)
{
    return t.generation_ ? t.error_ : -EALREADY;
}

/* Cancelled before it had begun, and claimed: nobody else knows it any more. MEASURED: to queue it
 * costs more than all the rest, and those that are dead are carried to and fro by thieves. */
static void let_end(hk_task *t)
{
    hk_worker *w = hk_worker_self();
    if (w && w->current && w->runtime == t->runtime)
        hk_worker_end_unbegun(w, t);
    else
        hk_wake_claimed(&t->sleeper);
}

int hank_timer_cancel(hank_timer t)
{
    if (!t.slot_)
        return bad_handle(t);
    bool claimed;
    int rc = hk_task_cancel_unbegun(t.slot_, t.generation_, &claimed);
    if (claimed)
        let_end(t.slot_);
    return rc;
}

int hank_timer_cancel_wait(hank_timer t)
{
    int rc = hank_timer_cancel(t);
    if (rc != -EALREADY || !t.slot_)
        return rc;
    hk_worker *w = hk_worker_self();
    if (w && w->current == t.slot_ &&
        HK_GENERATION(hk_load_relaxed(&w->current->control)) == t.generation_) /* our own */
        return -EDEADLK;
    rc = hk_checkpoint();
    if (rc == 0)
        rc = hk_guest_wait_for_end(t.slot_, t.generation_);
    return rc < 0 ? rc : -EALREADY;
}

/* Read while the task may end: what was read then belongs to another one, and is thrown away. */
HK_UNWATCHED static int64_t due_of(hk_task *t)
{
    hk_envelope *e = hk_envelope_seen(t);
    return e ? e->due : 0;
}

hank_ns hank_timer_when(hank_timer t)
{
    if (!t.slot_)
        return t.generation_ ? t.error_ : -ESTALE;
    hk_task *task = t.slot_;
    uint64_t before = hk_load_seqcst(&task->control); /* seq_cst as every look at it */
    uint64_t over = HK_TASK_BEGUN | HK_TASK_ENDED | HK_TASK_CANCELLED;
    if (HK_GENERATION(before) != t.generation_ || (before & over))
        return -ESTALE;
    int64_t due = due_of(task);
    return hk_load_seqcst(&task->control) == before ? due : -ESTALE; /* the same */
}
