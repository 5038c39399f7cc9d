/* SPDX-License-Identifier: MIT */
/* extra.c - an envelope around a task's function. */
#include "sched/extra.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/slab.h"
#include "fiber/stack.h"
#include "sched/call.h"
#include "sched/inspect.h"
#include "sched/random.h"
#include "sched/runtime.h"
#include "sched/worker.h"

static hk_slab extras = {.bytes = (sizeof(hk_extra) + HK_CACHE_LINE - 1) / HK_CACHE_LINE *
                                  HK_CACHE_LINE};

void hk_extra_freeze(void)
{
    hk_lock_freeze(&extras.lock);
}

void hk_extra_thaw(void)
{
    hk_lock_thaw(&extras.lock);
}

int hk_extra_main(void *arg)
{
    hk_extra *e = arg;
    if (e->is_call && !hk_call_begin(hk_worker_self()->current))
        return -ECANCELED;
    return e->fn(e->arg);
}

static bool has_announcements(const hank_hooks *hooks)
{
    return hooks && (hooks->on_spawn || hooks->on_finish);
}

bool hk_extra_for_all(const hank_options *options)
{
    return options->seed != 0 || has_announcements(options->hooks);
}

/* --- whose child it is ------------------------------------------------------------------------ */

/* The key of a task that is spawned now: by its place below the caller, or among the strangers. */
static uint64_t next_key(hk_runtime *rt)
{
    hk_worker *w = hk_worker_self();
    hk_task *spawner = w && w->runtime == rt ? w->current : NULL;
    hk_extra *e = spawner ? hk_extra_of(spawner) : NULL;
    if (e)
        return hk_random_key_below(e->key, ++e->spawned);
    uint64_t stranger = hk_add_relaxed(&rt->strangers, (uint64_t)1); /* their order is theirs */
    return hk_random_key_below(~rt->options.seed, stranger);
}

static void seed(hk_extra *e, hk_runtime *rt)
{
    e->key = next_key(rt);
    hk_random_seed(&e->random, e->key);
    e->is_seeded = true;
}

/* --- hooks ----------------------------------------------------------------------------------- */

static void announce(hk_task *t, hk_extra *e, hk_runtime *rt)
{
    const hank_hooks *hooks = rt->options.hooks;
    char name[HK_NAME_BYTES];
    hank_task_info info;
    e->id = hk_add_relaxed(&rt->announced, (uint64_t)1) + 1; /* only a number */
    if (!hooks->on_spawn)
        return;
    hk_inspect_info(t, rt, name, &info);
    hooks->on_spawn(hooks->context, &info);
}

static void say_finished(hk_task *t, hk_runtime *rt, int result)
{
    const hank_hooks *hooks = rt->options.hooks;
    char name[HK_NAME_BYTES];
    hank_task_info info;
    if (!hooks->on_finish)
        return;
    hk_inspect_info(t, rt, name, &info);
    hooks->on_finish(hooks->context, &info, result);
}

/* --- life ------------------------------------------------------------------------------------ */

static bool add(hk_task *t, const hk_spawn *how, hk_runtime *rt)
{
    hk_extra *e = hk_slab_get_shared(&extras);
    if (!e)
        return false;
    *e = (hk_extra){.fn = t->fn,
                    .arg = t->arg,
                    .runtime = rt,
                    .due = how->due,
                    .site = how->site,
                    .is_copied = hk_task_has(t, HK_TRAIT_COPIED),
                    .is_call = how->is_call};
    if (rt->options.seed != 0)
        seed(e, rt);
    t->arg = e;
    t->fn = hk_extra_main;
    hk_task_add_trait(t, HK_TRAIT_COPIED); /* so that its end is looked at */
    if (has_announcements(rt->options.hooks))
        announce(t, e, rt);
    return true;
}

/* Once it has ended nobody needs where it was queued and where it was parked: its id and site are
 * kept there, for who reports what it ended with. */
static void keep_info(hk_task *t, const hk_extra *e)
{
    t->next = (hk_task *)(uintptr_t)e->id;
    t->fiber = (struct hk_fiber *)(uintptr_t)e->site;
}

void hk_extra_info(hk_task *t, const hk_runtime *rt, hank_task_info *ret)
{
    hk_extra *e = hk_extra_of(t);
    if (e) {
        ret->id = e->id;
        ret->site = e->site;
        ret->fn = e->fn;
    } else if (has_announcements(rt->options.hooks) &&
               hk_load_relaxed(&t->phase) == HK_PHASE_DONE) { /* the caller's to look at */
        ret->id = (uintptr_t)t->next;
        ret->site = t->fiber;
    }
}

static void end(hk_task *t, int result)
{
    hk_extra *e = t->arg;
    (void)hk_timers_remove(&e->timer); /* it was cancelled before its time, or has none */
    if (e->is_call)
        hk_call_end(t);
    if (e->id)
        say_finished(t, e->runtime, result);
    keep_info(t, e);
    t->fn = e->fn;
    t->arg = e->arg;
    if (!e->is_copied)
        hk_store_relaxed(&t->traits, (uint8_t)(hk_load_relaxed(&t->traits) & ~HK_TRAIT_COPIED));
    hk_slab_put_shared(&extras, e);
}

/* --- what is not usual --------------------------------------------------------------------- */

/* The copy of an argument, behind its own size. */
typedef struct argument_copy {
    size_t bytes;
    _Alignas(max_align_t) char argument[];
} argument_copy;

static bool copy_argument(hk_task *t, const void *arg, size_t bytes)
{
    argument_copy *copy = hk_alloc(sizeof *copy + bytes);
    if (!copy)
        return false;
    copy->bytes = bytes;
    t->arg = memcpy(copy->argument, arg, bytes);
    hk_task_add_trait(t, HK_TRAIT_COPIED);
    return true;
}

bool hk_extra_fill(hk_task *t, const hk_spawn *how, hk_runtime *rt)
{
    if (how->stack_size > 0)
        hk_store_relaxed(&t->traits,
                         (uint8_t)hk_stack_class(how->stack_size)); /* published with the task */
    if (how->name) {
        hk_store_relaxed(&t->name, how->name); /* published with the task */
        hk_task_add_trait(t, HK_TRAIT_NAMED);
    }
    if (how->copy > 0 && !copy_argument(t, how->arg, how->copy))
        return false;
    return !(rt->watched || how->is_call) || add(t, how, rt);
}

void hk_extra_give_back(hk_task *t, int result)
{
    if (hk_extra_of(t))
        end(t, result);
    if (!hk_task_has(t, HK_TRAIT_COPIED))
        return;
    argument_copy *copy = hk_container_of(t->arg, argument_copy, argument);
    hk_free(copy, sizeof *copy + copy->bytes);
}
