/* SPDX-License-Identifier: MIT */
/* task.c - spawn, run, end, await: the life of a task. */
#include "sched/task.h"

#include <hank/task.h>

#include <errno.h>

#include "base/check.h"
#include "fiber/stack.h"
#include "sched/child.h"
#include "sched/envelope.h"
#include "sched/extra.h"
#include "sched/fork.h"
#include "sched/group.h"
#include "sched/guest.h"
#include "sched/join.h"
#include "sched/look.h"
#include "sched/park.h"
#include "sched/runtime.h"
#include "sched/scope.h"
#include "sched/worker.h"

enum { SETTLE_BATCH = 32 };

static void init_slot(void *slot)
{
    hk_task *t = slot;
    t->sleeper.kind = HK_SLEEPER_TASK;
    hk_store_relaxed(&t->control, UINT64_C(1) << 32); /* generation 0 is nobody's */
    hk_store_relaxed(&t->on_stack, 1u);               /* published with the slot */
}

hk_slab hk_task_slab = {.bytes =
                            (sizeof(hk_task) + HK_CACHE_LINE - 1) / HK_CACHE_LINE * HK_CACHE_LINE,
                        .init = init_slot};

/* --- making and giving back ---------------------------------------------------------------- */

/* Everything a task starts with. */
static inline void fill_slot(hk_task *t, hank_fn fn, void *arg, hk_task *parent, uint8_t size_class)
{
    /* Relaxed where atomic: the deque or the inbox publishes them with the task. */
    t->fn = fn;
    t->arg = arg;
    hk_store_relaxed(&t->parent, parent);
    hk_store_relaxed(&t->join, HK_JOIN_NONE);
    hk_store_relaxed(&t->phase, (uint8_t)HK_PHASE_NEW);
    hk_store_relaxed(&t->traits, size_class);
}

/* The same, in a slot of its own. NULL: no memory. */
static inline hk_task *take_slot(hk_worker *w, hank_fn fn, void *arg, hk_task *parent)
{
    hk_task *t = hk_slab_get(&hk_task_slab, &w->tasks);
    if (HK_UNLIKELY(!t))
        return NULL;
    fill_slot(t, fn, arg, parent, w->stack_class);
    hk_count(w->counters.spawned);
    return t;
}

/* What is not usual about a task, `from` being who spawns it. False: no memory for it. */
static bool fill_unusual(hk_task *t, const hk_spawn *how, hk_runtime *rt, hk_task *from)
{
    if (how->stack_size > 0)
        hk_store_relaxed(&t->traits, (uint8_t)hk_stack_class(how->stack_size)); /* see fill_slot */
    if (how->name) {
        hk_store_relaxed(&t->name, how->name); /* see fill_slot */
        hk_task_add_trait(t, HK_TRAIT_NAMED);
    }
    if (hk_extra_make(t, how, from) < 0)
        return false;
    return !(rt->watched || how->is_call) || hk_envelope_add(t, how, rt);
}

hk_task *hk_task_new(hk_worker *w, const hk_spawn *how, hk_task *parent)
{
    hk_task *t = take_slot(w, how->fn, how->arg, parent);
    if (t && !fill_unusual(t, how, w->runtime, w->current)) {
        hk_task_discard(w, t);
        return NULL;
    }
    return t;
}

hk_task *hk_task_new_outside(hk_runtime *rt, const hk_spawn *how)
{
    hk_task *t = hk_slab_get_shared(&hk_task_slab);
    if (!t)
        return NULL;
    fill_slot(t, how->fn, how->arg, NULL, rt->stack_class);
    t->runtime = rt;
    (void)hk_add_relaxed(&rt->spawned_outside, (uint64_t)1); /* a statistic */
    if (!fill_unusual(t, how, rt, NULL)) {
        hk_task_discard_outside(rt, t);
        return NULL;
    }
    return t;
}

static inline void retire(hk_task *t)
{
    uint64_t control = hk_load_relaxed(&t->control);
    uint64_t next = (uint64_t)(HK_GENERATION(control) + 1) << 32;
    hk_store_relaxed(&t->phase, (uint8_t)HK_PHASE_FREE); /* a hint */
    /* A canceller's CAS on the old value fails from here on; one that came before is moot. Release,
     * and [task:turn]: who sees a turn of the slot's next task sees that it is another task. */
    hk_store_release(&t->control, next ? next : UINT64_C(1) << 32);
}

static inline void give_slot(hk_worker *w, hk_task *t)
{
    retire(t);
    hk_slab_put(&hk_task_slab, &w->tasks, t);
}

void hk_task_free(hk_worker *w, hk_task *t)
{
    give_slot(w, t);
}

void hk_task_free_shared(hk_task *t)
{
    retire(t);
    hk_slab_put_shared(&hk_task_slab, t);
}

void hk_task_next_generation(hk_task *t)
{
    uint64_t control = hk_load_seqcst(&t->control); /* a first guess for the CAS */
    /* seq_cst: see hk_task_cancel. Who has set the flag meanwhile takes it for another's wait. */
    while (!hk_cas_seqcst(&t->control, &control, control + (UINT64_C(1) << 32)))
        continue;
    if (control & HK_TASK_CANCELLED)
        hk_task_stop_inside(t, 0);
}

/* Give back what a task has that will not run. */
static void discard_unusual(hk_task *t)
{
    hk_envelope_drop(t, -ECANCELED);
    hk_extra_free(t);
}

void hk_task_discard_outside(hk_runtime *rt, hk_task *t)
{
    discard_unusual(t);
    (void)hk_sub_relaxed(&rt->spawned_outside, (uint64_t)1); /* a statistic */
    hk_task_free_shared(t);
}

void hk_task_discard(hk_worker *w, hk_task *t)
{
    discard_unusual(t);
    hk_count(w->counters.ended);
    hk_task_free(w, t);
}

static hank_task failed(int error)
{
    return (hank_task){.slot_ = NULL, .generation_ = 1, .error_ = error};
}

/* Its parent's, and with a handle, from here on; nobody can see it yet. */
static inline hank_task register_child(hk_task *t)
{
    hk_task *parent = hk_load_relaxed(&t->parent); /* our own */
    hk_task_add_trait(parent, HK_TRAIT_PARENT);
    hk_list_push_back(&parent->children, &t->siblings);
    return (hank_task){.slot_ = t, /* before it can end: no one else changes the generation */
                       .generation_ = HK_GENERATION(hk_load_relaxed(&t->control)),
                       .error_ = 0};
}

static inline hank_task start_child(hk_worker *w, hk_task *t)
{
    if (HK_UNLIKELY(!t))
        return failed(-ENOMEM);
    hank_task handle = register_child(t);
    hk_worker_push_new(w, t);
    return handle;
}

/* The unusual ones. */
static hank_task spawn_child(hk_worker *w, const hk_spawn *how)
{
    hk_task *t = hk_task_new(w, how, w->current);
    if (!how->eager || !t)
        return start_child(w, t);
    hank_task handle = register_child(t);
    hk_worker_start_now(w, t);
    return handle;
}

/* There may be something to inherit. Apart, as the usual case needs no frame for that. */
HK_NOINLINE static hank_task spawn_heir(hk_worker *w, hank_fn fn, void *arg, const void *site)
{
    return spawn_child(w, &(hk_spawn){.fn = fn, .arg = arg, .site = site});
}

hank_task hank_spawn(hank_fn fn, void *arg)
{
    hk_worker *w = hk_worker_self();
    if (HK_UNLIKELY(!w || !w->current))
        return failed(hk_not_in_a_task());
    if (HK_UNLIKELY(!fn))
        return failed(-EINVAL);
    if (HK_UNLIKELY(hk_task_has(w->current, HK_TRAIT_EXTRA)))
        return spawn_heir(w, fn, arg, HK_CALL_SITE());
    return start_child(w, take_slot(w, fn, arg, w->current));
}

int hk_spawn_read(hk_spawn *ret, hank_fn fn, void *arg, const hank_spawn_options *options)
{
    static const hank_spawn_options defaults;
    const hank_spawn_options *o = options ? options : &defaults;
    *ret = (hk_spawn){.fn = fn,
                      .arg = arg,
                      .name = o->name,
                      .copy = o->copy,
                      .stack_size = o->stack_size,
                      .on_done = o->on_done,
                      .on_done_arg = o->on_done_arg,
                      .eager = o->eager};
    bool good =
        fn && o->stack_size <= HK_STACK_MAX && o->copy <= HK_COPY_MAX && (o->copy == 0 || arg);
    return good ? 0 : -EINVAL;
}

hank_task hank_spawn_opt(hank_fn fn, void *arg, const hank_spawn_options *options)
{
    hk_worker *w = hk_worker_self();
    hk_spawn how;
    if (!w || !w->current)
        return failed(hk_not_in_a_task());
    int rc = hk_spawn_read(&how, fn, arg, options);
    if (rc < 0)
        return failed(rc);
    how.site = HK_CALL_SITE();
    return spawn_child(w, &how);
}

hank_task hk_task_register(hk_task *t)
{
    return register_child(t);
}

/* --- running and ending -------------------------------------------------------------------- */

void hk_task_report(hk_task *t, int result)
{
    hk_runtime_report_task(hk_worker_self()->runtime, t, result);
}

/* The children that were not awaited end first; if their parent failed they are cancelled. */
static void end_children(hk_task *t, int result)
{
    hank_task batch[SETTLE_BATCH];
    if (result < 0)
        for (hk_node *n = t->children.next; n != &t->children; n = n->next) {
            hk_task *c = hk_container_of(n, hk_task, siblings);
            (void)hk_task_cancel(c, HK_GENERATION(hk_load_relaxed(&c->control))); /* it lives */
        }
    while (!hk_list_empty(&t->children)) {
        hk_join j = {.tasks = batch, .mode = HK_JOIN_SETTLE};
        hk_node *n = t->children.next;
        for (; n != &t->children && j.n < SETTLE_BATCH; n = n->next) {
            hk_task *c = hk_container_of(n, hk_task, siblings);
            batch[j.n++] = (hank_task){c, HK_GENERATION(hk_load_relaxed(&c->control)), 0};
        }
        (void)hk_join_wait(&j); /* a stop has been passed on to them; the task is over anyway */
        for (size_t i = 0; i < j.n; i++) {
            hk_task *c = batch[i].slot_;
            (void)hk_task_collect(hk_worker_self(), c);
        }
    }
}

bool hk_task_is_moot(hk_task *t)
{
    return !(hk_task_has(t, HK_TRAIT_MEMBER) && t->group->flags & HANK_ALWAYS_START);
}

void hk_task_settle(hk_task *t, int result)
{
    if (HK_UNLIKELY(hk_worker_self() == NULL))
        hk_panic("a task returned in a forked child, where nothing awaits it: use _exit()");
    if (HK_UNLIKELY(t->scopes != NULL))
        hk_scope_left_open(t->scopes);
    if (!hk_list_empty(&t->children))
        end_children(t, result);
    if (hk_task_has(t, HK_TRAIT_EXTRA)) {
        hk_envelope_drop(t, result);
        hk_extra_end(t, result);
    }
}

void hk_task_finish(hk_worker *w, hk_task *t, int result)
{
    hk_count(w->counters.ended);
    t->result = result;
    hk_store_relaxed(&t->phase, (uint8_t)HK_PHASE_DONE); /* a hint */
    if (hk_task_has(t, HK_TRAIT_MEMBER)) {
        hk_group_member_end(w, t);
        return;
    }
    struct hk_join *j = hk_load_relaxed(&t->join); /* for a worker that is alone, the truth */
    if (w->alone)
        hk_store_relaxed(&t->join, HK_JOIN_DONE); /* only tasks look, and all tasks are ours */
    else /* [task:done] release: who sees DONE sees the result. Acquire: we see j. */
        j = hk_swap_acqrel(&t->join, HK_JOIN_DONE);
    if (j == HK_JOIN_DETACHED)
        hk_group_member_end(w, t);
    else if (j == HK_JOIN_GUEST)
        hk_guest_end(w, t);
    else if (j != HK_JOIN_NONE)
        hk_join_arrive(j, t, result);
}

/* --- handles ------------------------------------------------------------------------------- */

/* A handle without a slot: of a task that could not be made, or used up. */
static int why_no_slot(hank_task handle)
{
    return handle.generation_ ? handle.error_ : -ESTALE;
}

static bool is_current(hk_task *t, hank_task handle)
{
    /* Relaxed: the owner's own doing; others only ask. */
    return HK_GENERATION(hk_load_relaxed(&t->control)) == handle.generation_;
}

/* The task behind `handle` if it is a child of `parent`'s; else NULL. */
static inline hk_task *child_behind(hk_task *parent, hank_task handle)
{
    hk_task *c = handle.slot_;
    bool is = c && is_current(c, handle) && hk_load_relaxed(&c->parent) == parent; /* as above */
    return is ? c : NULL;
}

static int why_no_child(hk_task *parent, hank_task handle)
{
    hk_task *c = handle.slot_;
    if (!c)
        return why_no_slot(handle);
    if (!is_current(c, handle))
        return -ESTALE;
    return c == parent ? -EDEADLK : -EPERM;
}

hk_task *hk_task_child(hk_task *parent, hank_task handle, int *ret_error)
{
    hk_task *c = child_behind(parent, handle);
    *ret_error = c ? 0 : why_no_child(parent, handle);
    return c;
}

static inline int collect(hk_worker *w, hk_task *child)
{
    int result = child->result;
    hk_list_remove(&child->siblings);
    give_slot(w, child);
    return result;
}

int hk_task_collect(hk_worker *w, hk_task *child)
{
    return collect(w, child);
}

/* A child that was stopped because we were says -ECANCELED; what we say is why we were. */
static int own_reason(hk_task *t, int result)
{
    if (HK_LIKELY(result != -ECANCELED) || t->scopes == NULL)
        return result;
    int reason = hk_scope_stop_reason(&t->sleeper, HK_NOW);
    return reason ? reason : result;
}

/* Wait for one child the long way; the worker this ends on. */
HK_NOINLINE static hk_worker *await_running(hank_task handle)
{
    hk_join j = {.tasks = &handle, .n = 1, .mode = HK_JOIN_ALL};
    (void)hk_join_wait(&j); /* a stop shows in the child's result */
    return hk_worker_self();
}

/* In a thread only guests can be awaited. */
HK_COLD static int await_outside(hank_task handle)
{
    return handle.slot_ ? hk_guest_await(handle) : why_no_slot(handle);
}

/* What is no child of the caller's may be a guest. */
HK_COLD static int await_another(hk_task *me, hank_task handle)
{
    int error = why_no_child(me, handle);
    return error == -EPERM ? hk_guest_await(handle) : error;
}

int hank_await(hank_task handle)
{
    hk_worker *w = hk_worker_self();
    if (HK_UNLIKELY(!w || !w->current))
        return await_outside(handle);
    hk_task *me = w->current;
    hk_task *c = child_behind(me, handle);
    if (HK_UNLIKELY(!c))
        return await_another(me, handle);
    /* The usual case of divide and conquer: nobody took it, and nothing stops us. A child that is
     * called learns who stopped us by itself, when it first waits. */
    if (me->scopes == NULL && !(hk_load_relaxed(&me->control) & HK_TASK_CANCELLED) &&
        hk_worker_claim(w, c)) {
        (void)hk_worker_call(w, c); /* collected below */
        w = hk_worker_self();
    } else if (!hk_task_done(c)) {
        w = await_running(handle);
    }
    return own_reason(me, collect(w, c));
}

/* Wait for n children in one join and use their handles up. 0, or what is wrong with a handle. */
static int join_all(hk_join *j, hk_task *me, int *ret_results)
{
    (void)hk_join_wait(j); /* a stop shows in the children's results */
    hk_worker *w = hk_worker_self();
    int bad = 0;
    for (size_t i = 0; i < j->n; i++) {
        int result;
        hk_task *c = hk_task_child(me, j->tasks[i], &result);
        if (HK_LIKELY(c != NULL))
            result = hk_task_collect(w, c);
        else
            bad = result;
        if (ret_results)
            ret_results[i] = result;
    }
    return bad;
}

int hank_gather_n(const hank_task *tasks, size_t n, int *ret_results)
{
    hk_worker *w = hk_worker_self();
    if (n > HK_JOIN_MAX)
        return -E2BIG;
    if (n > 0 && (!w || !w->current))
        return hk_not_in_a_task();
    if (n == 0)
        return 0;
    hk_task *me = w->current;
    hk_join j = {.tasks = tasks, .n = n, .mode = HK_JOIN_FAIL_FAST};
    int bad = join_all(&j, me, ret_results);
    return hk_join_decided(&j) ? own_reason(me, j.first_result) : bad;
}

ssize_t hank_race_n(const hank_task *tasks, size_t n, int *ret_result)
{
    hk_worker *w = hk_worker_self();
    if (n == 0)
        return -EINVAL;
    if (n > HK_JOIN_MAX)
        return -E2BIG;
    if (!w || !w->current)
        return hk_not_in_a_task();
    hk_task *me = w->current;
    hk_join j = {.tasks = tasks, .n = n, .mode = HK_JOIN_FIRST};
    int stop = hk_join_wait(&j);
    ssize_t winner = hk_join_winner(&j);
    (void)join_all(&j, me, NULL); /* the race is decided */
    if (stop)
        return stop;
    if (ret_result)
        *ret_result = j.first_result;
    return winner;
}

HK_COLD static int detach_outside(hank_task handle)
{
    return handle.slot_ ? hk_guest_detach(handle) : why_no_slot(handle);
}

int hank_detach(hank_task handle)
{
    hk_worker *w = hk_worker_self();
    int error;
    if (!w || !w->current)
        return detach_outside(handle);
    hk_task *c = hk_task_child(w->current, handle, &error);
    if (!c)
        return error == -EPERM ? hk_guest_detach(handle) : error;
    hk_look_forget(c);
    hk_list_remove(&c->siblings);
    hk_group_adopt(w, c, &w->runtime->detached);
    return 0;
}
