/* SPDX-License-Identifier: MIT */
/* guest.c - the end of a guest, and who asks for it.
 *
 * A table of locks and not one a runtime: a handle may be used after its runtime has gone, and must
 * then find the generation of its slot changed, under a lock that is still there. */
#include "sched/guest.h"

#include <hank/runtime.h>

#include <errno.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "base/lock.h"
#include "sched/fork.h"
#include "sched/group.h"
#include "sched/park.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

enum { STRIPES = 64 };

/* askers  who waits for a guest of this stripe
 * kept    guests that have ended and whose handle is good
 *         Both guarded by lock, as the parent word of every guest of the stripe is. */
typedef struct stripe {
    _Alignas(HK_CACHE_LINE) hk_lock lock;
    hk_node askers;
    hk_node kept;
} stripe;

/* Who waits for a guest, on its own stack; guarded by the stripe's lock while linked. */
typedef struct asker {
    hk_node link;
    hk_task *guest;
    hk_ticket ticket;
    int result;
    bool answered;
} asker;

static stripe stripes[STRIPES];

static stripe *lock_stripe(hk_task *t)
{
    stripe *s = &stripes[(uintptr_t)t / sizeof(hk_task) % STRIPES];
    hk_lock_take(&s->lock, HK_RANK_GUEST);
    return s;
}

static void unlock(stripe *s)
{
    hk_lock_drop(&s->lock);
}

static asker *find_asker(stripe *s, hk_task *t)
{
    for (hk_node *n = hk_list_first(&s->askers); n && n != &s->askers; n = n->next) {
        asker *a = hk_container_of(n, asker, link);
        if (a->guest == t)
            return a;
    }
    return NULL;
}

static bool is_kept(hk_task *t)
{
    return t->group == NULL;
}

/* Whose it is, a guest's or a call's. Of one that lives its group says so: what it waits for writes
 * t->runtime anew. The stripe's lock is held, here and below. */
static hk_runtime *runtime_of(hk_task *t)
{
    hank_group *detached = (hank_group *)(void *)t->group;
    return is_kept(t) ? t->runtime : hk_container_of(detached, hk_runtime, detached);
}

/* 0: the handle is a guest's and good. */
static int check_handle(hk_task *t, uint32_t generation)
{
    if (HK_GENERATION(hk_load_relaxed(&t->control)) != generation)
        return -ESTALE;
    if (hk_load_relaxed(&t->parent) != HK_GUEST) /* the lock orders */
        return -EPERM;
    return hk_runtime_left_behind(runtime_of(t)) ? -ESHUTDOWN : 0;
}

/* --- the end ------------------------------------------------------------------------------- */

void hk_guest_end(hk_worker *w, hk_task *t)
{
    hk_group *g = t->group;
    hk_ticket group_waiter, waiter = {0};
    stripe *s = lock_stripe(t);
    if (hk_load_relaxed(&t->parent) != HK_GUEST) { /* detached: a member like any other */
        unlock(s);
        hk_group_member_end(w, t);
        return;
    }
    /* With the lock held: whoever sees the group empty waits here for us to be through. */
    bool wake_group = hk_group_leave(g, t, &group_waiter);
    asker *a = find_asker(s, t);
    if (a) {
        hk_list_remove(&a->link);
        a->result = t->result;
        a->answered = true;
        waiter = a->ticket;
        hk_task_free(w, t);
    } else {
        t->group = NULL;
        hk_list_push_back(&s->kept, &t->siblings);
    }
    unlock(s);
    if (a)
        (void)hk_wake(waiter, 0); /* or it was stopped first, and looks by itself */
    if (wake_group)
        (void)hk_wake(group_waiter, 0); /* the same */
}

/* Use the handle of a kept guest up; the caller frees it. The lock is held. */
static void take_out(hk_task *t)
{
    hk_list_remove(&t->siblings);
    hk_store_relaxed(&t->parent, (hk_task *)NULL); /* the lock orders */
    hk_task_next_generation(t);
}

/* --- who asks ------------------------------------------------------------------------------ */

/* Enter `a` among those who wait. 0; 1: it has ended and the answer is there; or an error. */
static int enter(asker *a, hank_task handle, hk_ticket ticket)
{
    stripe *s = lock_stripe(a->guest);
    int rc = check_handle(a->guest, handle.generation_);
    if (rc == 0 && is_kept(a->guest)) {
        take_out(a->guest);
        a->result = a->guest->result;
        rc = 1;
    } else if (rc == 0 && find_asker(s, a->guest)) {
        rc = -EBUSY;
    } else if (rc == 0) {
        a->ticket = ticket;
        hk_list_push_back(&s->askers, &a->link);
    }
    unlock(s);
    if (rc == 1)
        hk_task_free_shared(a->guest);
    return rc;
}

/* Stopped: from now on wait under another ticket. False: the answer has come meanwhile. */
static bool wait_on(asker *a, hk_ticket ticket)
{
    stripe *s = lock_stripe(a->guest);
    bool answered = a->answered;
    a->ticket = ticket;
    unlock(s);
    return !answered;
}

int hk_guest_await(hank_task handle)
{
    if (hk_forked())
        return -ESHUTDOWN;
    if (hk_park_ready() < 0)
        return -ENOMEM;
    asker a = {.guest = handle.slot_};
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    int rc = enter(&a, handle, w.ticket);
    if (rc != 0) {
        hk_park_give_up(&w);
        return rc == 1 ? a.result : rc;
    }
    int stop = hk_park(&w, HK_FOREVER, "task of another");
    if (stop < 0) {
        (void)hk_task_cancel(a.guest, handle.generation_); /* stale: it has just ended */
        w = (hk_waiter){0};
        hk_park_begin(&w, HK_WAITING_FIRMLY);
        if (wait_on(&a, w.ticket))
            (void)hk_park(&w, HK_FOREVER, "task of another"); /* firm: only its end ends it */
        else
            hk_park_give_up(&w); /* firm, and whoever answered had the ticket before */
    }
    return stop < 0 && a.result == -ECANCELED ? stop : a.result;
}

int hk_guest_detach(hank_task handle)
{
    if (hk_forked())
        return -ESHUTDOWN;
    hk_task *t = handle.slot_;
    hk_runtime *rt = NULL;
    stripe *s = lock_stripe(t);
    int rc = check_handle(t, handle.generation_);
    if (rc == 0 && find_asker(s, t)) {
        rc = -EBUSY;
    } else if (rc == 0 && is_kept(t)) {
        rt = t->runtime;
        hk_runtime_visit(rt); /* it reaps its guests before it goes */
        take_out(t);
    } else if (rc == 0) {
        hk_store_relaxed(&t->parent, (hk_task *)NULL); /* the lock orders */
        hk_task_next_generation(t);
    }
    unlock(s);
    if (rt) {
        hk_runtime_report_task(rt, t, t->result);
        hk_task_free_shared(t);
        hk_runtime_visited(rt);
    }
    return rc;
}

/* Take a kept guest of `rt` out of `s`. NULL: there is none. */
static hk_task *take_kept(stripe *s, hk_runtime *rt)
{
    hk_task *found = NULL;
    hk_lock_take(&s->lock, HK_RANK_GUEST);
    for (hk_node *n = hk_list_first(&s->kept); n && n != &s->kept && !found; n = n->next) {
        hk_task *t = hk_container_of(n, hk_task, siblings);
        found = t->runtime == rt ? t : NULL;
    }
    if (found)
        take_out(found);
    unlock(s);
    return found;
}

void hk_guest_reap(hk_runtime *rt)
{
    for (stripe *s = stripes; s < stripes + STRIPES; s++) {
        hk_task *t;
        while ((t = take_kept(s, rt)) != NULL) {
            hk_runtime_report_task(rt, t, t->result);
            hk_task_free_shared(t);
        }
    }
}

/* --- the end of a call ----------------------------------------------------------------------- */

/* One that waits for t, or NULL: told, and its ticket to wake it by. */
static bool tell_one(hk_task *t, hk_ticket *ret_ticket)
{
    stripe *s = lock_stripe(t);
    asker *a = find_asker(s, t);
    if (a) {
        hk_list_remove(&a->link);
        a->answered = true;
        *ret_ticket = a->ticket;
    }
    unlock(s);
    return a != NULL;
}

void hk_guest_tell(hk_task *t)
{
    hk_ticket ticket;
    while (tell_one(t, &ticket))
        (void)hk_wake(ticket, 0); /* or it was stopped first */
}

/* Make sure that its end looks for askers. False: it is over. */
static bool mark_asked(hk_task *t, uint32_t generation)
{
    uint64_t control = hk_load_seqcst(&t->control); /* a first guess for the CAS */
    do {
        if (HK_GENERATION(control) != generation || (control & HK_TASK_ENDED))
            return false;
        /* seq_cst as every change of control. */
    } while (!hk_cas_seqcst(&t->control, &control, control | HK_TASK_ASKED));
    return true;
}

int hk_guest_wait_for_end(hk_task *t, uint32_t generation)
{
    asker a = {.guest = t};
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    a.ticket = w.ticket;
    stripe *s = lock_stripe(t);
    bool runs = mark_asked(t, generation);
    bool for_ever = runs && hk_runtime_left_behind(runtime_of(t)); /* it runs in the parent */
    if (runs && !for_ever)
        hk_list_push_back(&s->askers, &a.link);
    unlock(s);
    if (!runs || for_ever) {
        hk_park_give_up(&w);
        return for_ever ? -ESHUTDOWN : 0;
    }
    int rc = hk_park(&w, HK_FOREVER, "call");
    s = lock_stripe(t);
    if (!a.answered)
        hk_list_remove(&a.link);
    unlock(s);
    return rc;
}

void hk_guest_freeze(void)
{
    for (stripe *s = stripes; s < stripes + STRIPES; s++)
        hk_lock_freeze(&s->lock);
}

void hk_guest_thaw(void)
{
    for (stripe *s = stripes; s < stripes + STRIPES; s++)
        hk_lock_thaw(&s->lock);
}

/* --- the beginning ------------------------------------------------------------------------- */

static hank_task failed(int error)
{
    return (hank_task){.slot_ = NULL, .generation_ = 1, .error_ = error};
}

hank_task hank_spawn_into(hank_runtime *public, hank_fn fn, void *arg,
                          const hank_spawn_options *options)
{
    hk_runtime *rt = (hk_runtime *)(void *)public;
    hk_spawn how;
    if (!rt || hk_spawn_read(&how, fn, arg, options) < 0)
        return failed(-EINVAL);
    if (hk_runtime_left_behind(rt))
        return failed(-ESHUTDOWN);
    how.site = HK_CALL_SITE();
    hk_task *t = hk_task_new_outside(rt, &how);
    if (!t)
        return failed(-ENOMEM);
    hk_store_relaxed(&t->parent, HK_GUEST);    /* published by the group's lock and the inbox */
    hk_store_relaxed(&t->join, HK_JOIN_GUEST); /* the same */
    hank_task handle = {.slot_ = t,            /* before it can end */
                        .generation_ = HK_GENERATION(hk_load_relaxed(&t->control)),
                        .error_ = 0};
    if (!hk_group_admit(&rt->detached, t)) {
        hk_task_discard_outside(rt, t);
        return failed(-ESHUTDOWN);
    }
    hk_runtime_push(rt, t);
    return handle;
}
