/* SPDX-License-Identifier: MIT */
/* group.c - any number of children, one exit.
 *
 * One lock a group, held for a few stores by each member twice in its life. Members end on many
 * workers at once, and "the first to fail cancels the others" needs them all in one place anyway.
 *
 * Rejected: counters without a lock as in join.h: members come and go while somebody waits, any
 * task may add one, and a cancel must reach those that are just being added. */
#include "sched/group.h"

#include <errno.h>

#include "sched/child.h"
#include "sched/fork.h"
#include "sched/park.h"
#include "sched/runtime.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "sched/worker.h"

static hk_group *of(hank_group *g)
{
    return (hk_group *)(void *)g;
}

/* Called with the lock held. */
static void cancel_members(hk_group *g)
{
    g->cancelled = true;
    if (g->body)
        hk_scope_stop_body(&g->scope, g->body);
    if (hk_list_empty(&g->members))
        return;
    for (hk_node *n = g->members.next; n != &g->members; n = n->next) {
        hk_task *t = hk_container_of(n, hk_task, siblings);
        (void)hk_task_cancel(t, HK_GENERATION(hk_load_relaxed(&t->control))); /* it is alive */
    }
}

/* Called with the lock held. */
static void note_failure(hk_group *g, int result)
{
    if (result >= 0 || (result == -ECANCELED && g->cancelled))
        return; /* ending by our cancel is not a failure */
    if (g->first_failure == 0)
        g->first_failure = result;
    if (!(g->flags & HANK_KEEP_GOING) && !g->cancelled)
        cancel_members(g);
}

/* Called with the lock held. */
static void enlist(hk_group *g, hk_task *t)
{
    hk_list_push_back(&g->members, &t->siblings);
    g->count++;
}

/* The same for a task that is alive: had it come earlier, it would have been stopped. */
static void enlist_alive(hk_group *g, hk_task *t)
{
    enlist(g, t);
    if (g->cancelled)
        (void)hk_task_cancel(t, HK_GENERATION(hk_load_relaxed(&t->control)));
}

bool hk_group_leave(hk_group *g, hk_task *t, hk_ticket *ret_waiter)
{
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    hk_list_remove(&t->siblings);
    g->count--;
    note_failure(g, t->result);
    bool wake = g->count == 0 && g->waiting;
    *ret_waiter = g->waiter;
    if (wake)
        g->waiting = false;
    hk_lock_drop(&g->lock);
    return wake;
}

void hk_group_member_end(hk_worker *w, hk_task *t)
{
    hk_group *g = t->group;
    hk_ticket waiter;
    if (g == of(&w->runtime->detached))
        hk_task_report(t, t->result); /* nobody awaits these */
    bool wake = hk_group_leave(g, t, &waiter);
    hk_task_free(w, t);
    if (wake)
        (void)hk_wake(waiter, 0); /* or it was stopped first, and looks by itself */
}

void hk_group_adopt(hk_worker *w, hk_task *t, hank_group *group)
{
    hk_group *g = of(group);
    hk_task_next_generation(t);                    /* its handles are used up from here on */
    hk_store_relaxed(&t->parent, (hk_task *)NULL); /* only compared */
    t->group = g;
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    enlist_alive(g, t);
    hk_lock_drop(&g->lock);
    struct hk_join *none = HK_JOIN_NONE;
    if (!hk_cas_acqrel(&t->join, &none, HK_JOIN_DETACHED)) /* [task:join] it had ended before */
        hk_group_member_end(w, t);
}

bool hk_group_admit(hank_group *group, hk_task *t)
{
    hk_group *g = of(group);
    t->group = g;
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    bool open = !g->closed;
    if (open)
        enlist_alive(g, t);
    hk_lock_drop(&g->lock);
    return open;
}

void hk_group_close(hank_group *group)
{
    hk_group *g = of(group);
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    g->closed = true;
    hk_lock_drop(&g->lock);
}

static int spawn_member(hank_group *group, hank_fn fn, void *arg, const hank_spawn_options *options,
                        const void *site)
{
    hk_group *g = of(group);
    hk_worker *w = hk_worker_self();
    hk_spawn how;
    if (!g)
        return -EINVAL;
    if (!w || !w->current)
        return hk_not_in_a_task();
    int rc = hk_spawn_read(&how, fn, arg, options);
    how.site = site;
    hk_task *t = rc < 0 ? NULL : hk_task_new(w, &how, NULL);
    if (rc == 0 && !t)
        rc = -ENOMEM;
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    if (rc < 0)
        note_failure(g, rc);
    else if (g->cancelled)
        rc = -ECANCELED;
    if (rc == 0) {
        hk_task_add_trait(t, HK_TRAIT_MEMBER);
        t->group = g;
        enlist(g, t);
    }
    hk_lock_drop(&g->lock);
    if (rc < 0 && t)
        hk_task_discard(w, t);
    else if (rc == 0 && how.eager)
        hk_worker_start_now(w, t);
    else if (rc == 0)
        hk_worker_push_new(w, t);
    return rc;
}

bool hk_group_is_stopping(hank_group *group)
{
    hk_group *g = of(group);
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    bool stopping = g->cancelled;
    hk_lock_drop(&g->lock);
    return stopping;
}

int hank_group_spawn(hank_group *g, hank_fn fn, void *arg)
{
    return spawn_member(g, fn, arg, NULL, HK_CALL_SITE());
}

int hank_group_spawn_opt(hank_group *g, hank_fn fn, void *arg, const hank_spawn_options *options)
{
    return spawn_member(g, fn, arg, options, HK_CALL_SITE());
}

int hank_group_spawn_copy(hank_group *g, hank_fn fn, const void *arg, size_t size)
{
    hank_spawn_options o = {.copy = size};
    return spawn_member(g, fn, (void *)(uintptr_t)arg, &o, HK_CALL_SITE());
}

void hank_group_cancel(hank_group *group)
{
    hk_group *g = of(group);
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    cancel_members(g);
    hk_lock_drop(&g->lock);
}

/* One wait for zero. True: the group is empty, and its result taken. False: woken, or *ret_stop
 * ended it early, and *ret_result is what had failed before. */
static bool wait_once(hk_group *g, unsigned state, int *ret_result, int *ret_stop)
{
    hk_waiter w;
    *ret_stop = 0;
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    if (g->count == 0) {
        *ret_result = g->first_failure;
        g->first_failure = 0;
        g->cancelled = false;
        g->awaited = false;
        hk_lock_drop(&g->lock);
        return true;
    }
    hk_park_begin(&w, state);
    g->waiter = w.ticket;
    g->waiting = true;
    hk_lock_drop(&g->lock);
    int rc = hk_park(&w, HK_FOREVER, "group");
    if (rc < 0) {
        hk_lock_take(&g->lock, HK_RANK_GROUP);
        g->waiting = false;
        *ret_result = g->first_failure;
        hk_lock_drop(&g->lock);
        *ret_stop = rc;
    }
    return false;
}

/* Wait for every member, as the one whom `awaited` stands for. */
static int wait_for_members(hank_group *group)
{
    int result = 0, stop = 0;
    while (!stop) {
        if (wait_once(of(group), HK_WAITING, &result, &stop))
            return result;
    }
    hank_group_cancel(group);
    int later, none; /* what fails from here on is the stop's doing */
    while (!wait_once(of(group), HK_WAITING_FIRMLY, &later, &none))
        continue;
    return result ? result : stop;
}

/* Become the one who waits for `g`. 0; -EBUSY there is one; or the caller is no task. */
static int take_the_wait(hk_group *g)
{
    hk_worker *w = hk_worker_self();
    if (!w || !w->current)
        return hk_not_in_a_task();
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    bool busy = g->awaited;
    g->awaited = true;
    hk_lock_drop(&g->lock);
    return busy ? -EBUSY : 0;
}

int hank_group_wait(hank_group *group)
{
    int rc = take_the_wait(of(group));
    return rc < 0 ? rc : wait_for_members(group);
}

int hank_group_begin(hank_group *group)
{
    hk_group *g = of(group);
    int rc = take_the_wait(g);
    if (rc < 0)
        return rc;
    hk_task *t = hk_worker_self()->current;
    hk_scope_begin_body(&g->scope);
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    g->body = t;
    if (g->cancelled)
        hk_scope_stop_body(&g->scope, t);
    hk_lock_drop(&g->lock);
    return 0;
}

int hank_group_end(hank_group *group, int body_result)
{
    hk_group *g = of(group);
    hk_scope_end_body(&g->scope); /* or it panics: from here on it is the caller's */
    hk_lock_take(&g->lock, HK_RANK_GROUP);
    g->body = NULL;
    note_failure(g, body_result);
    hk_lock_drop(&g->lock);
    return wait_for_members(group);
}
