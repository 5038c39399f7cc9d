/* SPDX-License-Identifier: MIT */
/* start.c - a member that says when it is ready.
 *
 *   WAITING --hank_started--> STARTED: a child becomes a member
 *      |
 *      +------- stop -------> GIVEN_UP: it is cancelled and joined as the child it is
 *
 * The starter watches it as any child (look.h); saying so is one more thing that ends that wait. */
#include <hank/group.h>

#include <errno.h>

#include "sched/child.h"
#include "sched/extra.h"
#include "sched/fork.h"
#include "sched/group.h"
#include "sched/look.h"
#include "sched/park.h"
#include "sched/task.h"
#include "sched/worker.h"

/* On the starter's stack. Guarded by look.lock; look.said is STARTED. */
typedef struct hk_start {
    hk_look look;
    void *value;
    bool given_up;
} hk_start;

int hank_started(void *value)
{
    hk_worker *w = hk_worker_self();
    hk_task *me = w ? w->current : NULL;
    if (!me)
        return hk_not_in_a_task();
    if (!hk_task_has(me, HK_TRAIT_EXTRA) || !me->extra || !me->extra->start)
        return -EPERM;
    hk_start *s = me->extra->start;
    if (s == HK_START_SAID)
        return -EALREADY;
    hk_lock_take(&s->look.lock, HK_RANK_SYNC);
    if (s->given_up) {
        hk_lock_drop(&s->look.lock);
        return -ECANCELED;
    }
    me->extra->start = HK_START_SAID; /* *s is gone once the starter is told */
    s->value = value;
    s->look.said = true;
    hk_look_tell(&s->look);
    return 0;
}

/* A child of the caller's that knows whom to tell, watched before it can begin. */
static int start_child(hk_start *s, hk_spawn *how, hank_task *ret_task)
{
    hk_worker *w = hk_worker_self();
    how->start = s;
    hk_task *t = hk_task_new(w, how, w->current);
    if (!t)
        return -ENOMEM;
    *ret_task = hk_task_register(t);
    hk_look_begin(&s->look, NULL, 0);
    (void)hk_look_add(&s->look, *ret_task, 0); /* new: nobody else watches it */
    if (how->eager)
        hk_worker_start_now(w, t);
    else
        hk_worker_push_new(w, t);
    return 0;
}

/* True: it has started. False: from here on it cannot. */
static bool settle(hk_start *s)
{
    hk_lock_take(&s->look.lock, HK_RANK_SYNC);
    bool started = s->look.said;
    s->given_up = !started;
    hk_lock_drop(&s->look.lock);
    return started;
}

int hank_group_start(hank_group *g, hank_fn fn, void *arg, const hank_spawn_options *options,
                     void **ret_value)
{
    hk_worker *w = hk_worker_self();
    hk_spawn how = {.fn = fn};
    hank_task task;
    hk_start s = {.given_up = false};
    if (!w || !w->current)
        return hk_not_in_a_task();
    int rc = g ? hk_spawn_read(&how, fn, arg, options) : -EINVAL;
    how.site = HK_CALL_SITE();
    if (rc == 0)
        rc = hk_checkpoint();
    if (rc == 0 && hk_group_is_stopping(g))
        rc = -ECANCELED;
    if (rc == 0)
        rc = start_child(&s, &how, &task);
    if (rc < 0)
        return rc;
    int stop = hk_look_wait(&s.look, HK_LOOK_ANY, HK_WAITING, HK_FOREVER);
    bool started = settle(&s);
    hk_look_end(&s.look, &task, 1);
    if (started) {
        if (ret_value)
            *ret_value = s.value;
        hk_task *t = task.slot_;
        hk_list_remove(&t->siblings);
        hk_group_adopt(hk_worker_self(), t, g);
        return 0;
    }
    if (stop < 0)
        (void)hank_cancel(task); /* ours, not used up */
    rc = hank_await(task);
    if (stop < 0 && (rc >= 0 || rc == -ECANCELED))
        return stop;
    return rc < 0 ? rc : -EPROTO;
}
