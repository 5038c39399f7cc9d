/* SPDX-License-Identifier: MIT */
/* scope.c - cancellation, deadlines, shields: one walk from the innermost scope outwards.
 *
 * Stopping is a level, not an edge: nothing here is "delivered" and used up. A task asks before
 * each wait whether it is stopped, by looking at its scopes' deadlines and at its cancelled flag;
 * the answer stays until the scope, or the task, ends. Timers and cancellers only end the wait that
 * is under way, so a timer that fires late can hit nothing that it was not armed for.
 *
 * A task that was called by its parent (task.h, nesting) is stopped by whatever stops the parent:
 * the walk goes on beneath it. There, any reason is a cancel: it is not the child's own timeout. */
#include "sched/scope.h"

#include <hank/task.h>

#include <errno.h>

#include "base/check.h"
#include "base/fork.h"
#include "base/os.h"
#include "sched/group.h"
#include "sched/join.h"
#include "sched/park.h"
#include "sched/task.h"
#include "sched/thread.h"
#include "sched/worker.h"

enum { LONG_PAST = 1 }; /* by every clock, however old its last reading */

_Static_assert(sizeof(hk_scope) <= sizeof(hank_scope), "hank_scope is too small");

hk_scope **hk_scope_place(void)
{
    hk_worker *w = hk_worker_self();
    return w && w->current ? &w->current->scopes : &hk_thread_self()->scopes;
}

/* --- what stops a wait --------------------------------------------------------------------- */

static bool is_stopped_body(hk_scope *s)
{
    /* seq_cst: see hk_sleeper_begin in base/waiter.h; acquire for what the group knew by then. */
    return s->kind == HK_SCOPE_BODY && hk_load_seqcst(&s->stopped) != 0; /* [scope:stopped] */
}

/* The scopes of one task or thread: -ECANCELED if one is a group's body that is stopped, or else
 * -ETIMEDOUT if a deadline has passed; *ret_shield: nothing further out counts. */
static int walk(hk_scope *innermost, int64_t *now, bool *ret_shield)
{
    int reason = 0;
    *ret_shield = false;
    for (hk_scope *s = innermost; s; s = s->outer) {
        if (s->kind == HK_SCOPE_SHIELD) {
            *ret_shield = true;
            break;
        }
        if (is_stopped_body(s)) {
            s->fired = true;
            reason = -ECANCELED;
        }
        if (s->deadline == INT64_MAX)
            continue;
        if (*now == HK_NOW)
            *now = hk_os_now();
        if (s->deadline <= *now) {
            s->fired = true;
            reason = reason ? reason : -ETIMEDOUT;
        }
    }
    return reason;
}

/* Everyone between `t` and `outermost`, who is stopped, waits for children and cannot act: the
 * other children of their joins are stopped here. */
static void pass_on(hk_task *t, hk_task *outermost)
{
    while (t != outermost) {
        t = t->under;
        if (t->joining && !t->stop_passed_on) {
            t->stop_passed_on = true;
            hk_join_cancel(t->joining, NULL);
        }
    }
}

static int task_stop_reason(hk_task *task, int64_t now)
{
    int reason = 0;
    hk_task *outermost = task;
    for (hk_task *t = task; t; t = t->under) {
        bool shield = false;
        int here = t->scopes ? walk(t->scopes, &now, &shield) : 0;
        if (!shield && hk_task_cancelled(t))
            here = -ECANCELED;
        if (here) {
            outermost = t;
            reason = t == task ? here : -ECANCELED;
        }
        if (shield)
            break;
    }
    if (HK_UNLIKELY(outermost != task))
        pass_on(task, outermost);
    return reason;
}

#if HK_FAULTS
static HK_ATOMIC(hk_stop_question *) watcher;

void hk_scope_watch(hk_stop_question *ask)
{
    hk_store_release(&watcher, ask); /* [scope:watcher] release: what it looks at is complete */
}

static void tell_the_test(hk_sleeper *s)
{
    hk_stop_question *ask = hk_load_acquire(&watcher); /* [scope:watcher] acquire */
    if (ask)
        ask(s);
}
#else
#define tell_the_test(s) ((void)(s))
#endif

int hk_scope_stop_reason(hk_sleeper *s, int64_t as_of)
{
    tell_the_test(s);
    if (s->kind == HK_SLEEPER_TASK)
        return task_stop_reason(hk_task_of(s), as_of);
    bool shield;
    if (hk_forked())
        return -ESHUTDOWN; /* nobody is there to end the wait */
    return walk(hk_container_of(s, hk_thread, sleeper)->scopes, &as_of, &shield);
}

/* The earliest deadline up to the first shield; *ret_shield: there is one. */
static int64_t earliest(hk_scope *innermost, bool *ret_shield)
{
    int64_t deadline = INT64_MAX;
    *ret_shield = false;
    for (hk_scope *s = innermost; s; s = s->outer) {
        if (s->kind == HK_SCOPE_SHIELD) {
            *ret_shield = true;
            break;
        }
        deadline = s->deadline < deadline ? s->deadline : deadline;
    }
    return deadline;
}

int64_t hk_scope_deadline(hk_sleeper *s)
{
    bool shield = false;
    if (s->kind == HK_SLEEPER_THREAD)
        return earliest(hk_container_of(s, hk_thread, sleeper)->scopes, &shield);
    int64_t deadline = INT64_MAX;
    for (hk_task *t = hk_task_of(s); t && !shield; t = t->under) {
        int64_t its = earliest(t->scopes, &shield);
        deadline = its < deadline ? its : deadline;
    }
    return deadline;
}

/* Is the innermost shield of a task around a group's body? */
static bool has_body_inside_shield(hk_task *t)
{
    hk_scope *s = t->scopes;
    while (s->kind != HK_SCOPE_BODY && s->kind != HK_SCOPE_SHIELD)
        s = s->outer;
    return s->kind == HK_SCOPE_BODY;
}

unsigned hk_scope_wait_state(hk_sleeper *s)
{
    if (s->kind == HK_SLEEPER_THREAD)
        return HK_WAITING; /* nobody cancels a thread */
    bool shield = false;
    hk_task *task = hk_task_of(s);
    for (hk_task *t = task; t; t = t->under) { /* one turn, for the usual task */
        if (t->scopes)
            (void)earliest(t->scopes, &shield);
        if (shield && t != task)
            return HK_WAITING_SELF;
        if (shield)
            return has_body_inside_shield(t) ? HK_WAITING_BODY : HK_WAITING_FIRMLY;
    }
    return HK_WAITING;
}

void hk_scope_show_chain(hk_sleeper *s)
{
    if (s->kind == HK_SLEEPER_THREAD)
        return;
    for (hk_task *t = hk_task_of(s); t->under; t = t->under) {
        if (t->chain_shown) /* then so is everyone's beneath */
            return;
        t->chain_shown = true;
        /* seq_cst: out before we look at the flags below us; a canceller sets its flag and then
         * looks here. */
        hk_store_seqcst(&t->under->nested, t);
        if (t->under->joining)
            hk_join_show(t->under->joining);
    }
}

/* --- the public pairs ---------------------------------------------------------------------- */

static void begin(hk_scope *s, uint8_t kind, int64_t deadline)
{
    hk_scope **place = hk_scope_place();
    hk_worker *w = hk_worker_self();
    if (w && w->current)
        hk_task_add_trait(w->current, HK_TRAIT_PARENT);
    *s = (hk_scope){.outer = *place, .deadline = deadline, .kind = kind};
    *place = s;
}

static const char *const kinds[] = {"none", "timeout", "shield", "completions", "group"};

/* What the user knows a scope by. */
static const void *object_of(const hk_scope *s, uint8_t kind)
{
    return s && kind == HK_SCOPE_BODY ? (const void *)hk_container_of(s, hk_group, scope) : s;
}

/* `s` is NULL for hank_within(), which has no name for its scope. */
HK_NORETURN HK_COLD static void wrong_end(const hk_scope *s, uint8_t kind, const hk_scope *inner)
{
    uint8_t its = inner ? inner->kind : 0;
    if (!s)
        hk_panic("a call of hank_within() returned inside %s %p, which it had begun", kinds[its],
                 object_of(inner, its));
    hk_panic("%s %p is ended, which is not the innermost scope: that is %s %p", kinds[kind],
             object_of(s, kind), kinds[its], object_of(inner, its));
}

void hk_scope_left_open(const hk_scope *s)
{
    hk_panic("a task returned inside %s %p, which it had begun", kinds[s->kind],
             object_of(s, s->kind));
}

static bool end(const hk_scope *s, uint8_t kind)
{
    hk_scope **place = hk_scope_place();
    if (HK_UNLIKELY(*place == NULL || (s && *place != s) || (*place)->kind != kind))
        wrong_end(s, kind, *place);
    s = *place;
    *place = s->outer;
    if (s->fired)
        hk_park_self()->refused = 0; /* that stop is over */
    return s->fired;
}

static hk_scope *of(hank_scope *s)
{
    return (hk_scope *)(void *)s;
}

static bool any_fired(const hk_scope *innermost, bool *ret_shield)
{
    *ret_shield = false;
    for (const hk_scope *s = innermost; s; s = s->outer) {
        if (s->kind == HK_SCOPE_SHIELD) {
            *ret_shield = true;
            break;
        }
        if (s->fired)
            return true;
    }
    return false;
}

/* Whether something around the scopes that are left stops the caller too: then that one answers
 * for it, and not the timeout that has just ended. */
static bool is_stopped_further_out(void)
{
    hk_sleeper *self = hk_park_self();
    bool shield;
    if (self->kind == HK_SLEEPER_THREAD)
        return any_fired(hk_container_of(self, hk_thread, sleeper)->scopes, &shield);
    for (hk_task *t = hk_task_of(self); t; t = t->under) {
        if (any_fired(t->scopes, &shield))
            return true;
        if (shield)
            return false;
        if (hk_task_cancelled(t))
            return true;
    }
    return false;
}

void hank_timeout_begin(hank_scope *s, hank_ns timeout)
{
    int64_t deadline = LONG_PAST;
    if (timeout > 0) {
        int64_t now = timeout == HANK_FOREVER ? 0 : hk_os_now();
        deadline = timeout >= INT64_MAX - now ? INT64_MAX : now + timeout;
    }
    begin(of(s), HK_SCOPE_TIMEOUT, deadline);
}

void hank_timeout_begin_at(hank_scope *s, hank_ns when)
{
    begin(of(s), HK_SCOPE_TIMEOUT, when > LONG_PAST ? when : LONG_PAST);
}

int hank_timeout_reschedule(hank_scope *public, hank_ns when)
{
    hk_scope *s = *hk_scope_place();
    while (s && s != (hk_scope *)(void *)public)
        s = s->outer;
    if (!s || s->kind != HK_SCOPE_TIMEOUT)
        return -EINVAL;
    if (s->fired)
        return -ETIMEDOUT;
    s->deadline = when > LONG_PAST ? when : LONG_PAST; /* we are awake: no timer of it is set */
    return 0;
}

bool hank_timeout_expired(const hank_scope *s)
{
    return ((const hk_scope *)(const void *)s)->fired;
}

hank_ns hank_timeout_remaining(const hank_scope *public)
{
    int64_t deadline = ((const hk_scope *)(const void *)public)->deadline;
    if (deadline == INT64_MAX)
        return HANK_FOREVER;
    int64_t left = deadline - hk_os_now();
    return left > 0 ? left : 0;
}

/* Only a look: no scope is marked as having stopped anything. */
static bool is_cancelled(hk_task *task)
{
    for (hk_task *t = task; t; t = t->under) {
        for (hk_scope *s = t->scopes; s; s = s->outer) {
            if (s->kind == HK_SCOPE_SHIELD)
                return false;
            if (is_stopped_body(s))
                return true;
        }
        if (hk_task_cancelled(t))
            return true;
    }
    return false;
}

hank_ns hank_deadline(void)
{
    hk_worker *w = hk_worker_self();
    if (w && w->current)
        return is_cancelled(w->current) ? LONG_PAST : hk_scope_deadline(&w->current->sleeper);
    hk_thread *thread = hk_thread_here();
    return thread ? hk_scope_deadline(&thread->sleeper) : HANK_FOREVER;
}

bool hank_timeout_end(hank_scope *s)
{
    HK_CHECK(s != NULL);
    return end(of(s), HK_SCOPE_TIMEOUT) && !is_stopped_further_out();
}

void hk_scope_begin_look(hank_scope *s)
{
    begin(of(s), HK_SCOPE_LOOK, INT64_MAX);
}

void hk_scope_end_look(hank_scope *s)
{
    HK_CHECK(s != NULL);
    (void)end(of(s), HK_SCOPE_LOOK); /* it has no deadline */
}

void hk_scope_begin_body(hk_scope *s)
{
    begin(s, HK_SCOPE_BODY, INT64_MAX);
    s->shields = hk_load_relaxed(&hk_worker_self()->current->shields); /* only we write it */
}

void hk_scope_end_body(hk_scope *s)
{
    (void)end(s, HK_SCOPE_BODY); /* whether it stopped anything is the group's to say */
}

void hk_scope_stop_body(hk_scope *s, hk_task *t)
{
    /* [scope:stopped] seq_cst: out before we look at the wait; see hk_sleeper_begin. */
    hk_store_seqcst(&s->stopped, (uint8_t)1);
    hk_task_stop_inside(t, s->shields);
}

/* For cancellers of tasks beneath the caller; published by the word of its next wait. */
static void count_shields(uint32_t change)
{
    hk_worker *w = hk_worker_self();
    if (w && w->current) {
        uint32_t before = hk_load_relaxed(&w->current->shields); /* only we write it */
        hk_store_relaxed(&w->current->shields, before + change);
    }
}

void hank_shield_begin(hank_scope *s)
{
    count_shields(1);
    begin(of(s), HK_SCOPE_SHIELD, INT64_MAX);
}

void hank_shield_end(hank_scope *s)
{
    HK_CHECK(s != NULL);
    (void)end(of(s), HK_SCOPE_SHIELD); /* a shield has no deadline of its own */
    count_shields((uint32_t)-1);
}

int hank_within_end_(int64_t result)
{
    bool fired = end(NULL, HK_SCOPE_TIMEOUT);
    if (result != -ETIMEDOUT && (result != -ECANCELED || !fired))
        return (int)result;
    if (is_stopped_further_out())
        return -ECANCELED; /* a timeout it may be, but not this one */
    return -ETIMEDOUT;     /* ours, or a result that has that name for reasons of its own */
}
