/* SPDX-License-Identifier: MIT */
/* envelope.c - an envelope around a task's function. */
#include "sched/envelope.h"

#include <errno.h>

#include "base/slab.h"
#include "sched/call.h"
#include "sched/inspect.h"
#include "sched/random.h"
#include "sched/runtime.h"
#include "sched/worker.h"

static hk_slab envelopes = {.bytes = (sizeof(hk_envelope) + HK_CACHE_LINE - 1) / HK_CACHE_LINE *
                                     HK_CACHE_LINE};

void hk_envelope_freeze(void)
{
    hk_lock_freeze(&envelopes.lock);
}

void hk_envelope_thaw(void)
{
    hk_lock_thaw(&envelopes.lock);
}

int hk_envelope_main(void *arg)
{
    hk_envelope *e = arg;
    if (e->is_call && !hk_call_begin(hk_worker_self()->current))
        return -ECANCELED;
    return e->fn(e->arg);
}

static bool has_announcements(const hank_hooks *hooks)
{
    return hooks && (hooks->on_spawn || hooks->on_finish);
}

bool hk_envelope_for_all(const hank_options *options)
{
    const hank_hooks *hooks = options->hooks;
    return options->seed != 0 || has_announcements(hooks) || (hooks && hooks->on_failure);
}

/* --- whose child it is ------------------------------------------------------------------------ */

/* The key of a task that is spawned now: by its place below the caller, or among the strangers. */
static uint64_t next_key(hk_runtime *rt)
{
    hk_worker *w = hk_worker_self();
    hk_task *spawner = w && w->runtime == rt ? w->current : NULL;
    hk_envelope *e = spawner ? hk_envelope_of(spawner) : NULL;
    if (e)
        return hk_random_key_below(e->key, ++e->spawned);
    uint64_t stranger = hk_add_relaxed(&rt->strangers, (uint64_t)1); /* their order is theirs */
    return hk_random_key_below(~rt->options.seed, stranger);
}

static void seed(hk_envelope *e, hk_runtime *rt)
{
    e->key = next_key(rt);
    hk_random_seed(&e->random, e->key);
    e->is_seeded = true;
}

/* --- hooks ----------------------------------------------------------------------------------- */

static void announce(hk_task *t, hk_envelope *e, hk_runtime *rt)
{
    const hank_hooks *hooks = rt->options.hooks;
    char name[HK_NAME_BUFFER];
    hank_task_info info;
    e->id = hk_add_relaxed(&rt->announced, (uint64_t)1) + 1; /* only a number */
    if (!hooks->on_spawn)
        return;
    hk_inspect_info(t, name, &info);
    hooks->on_spawn(hooks->context, &info);
}

static void say_finished(hk_task *t, hk_runtime *rt, int result)
{
    const hank_hooks *hooks = rt->options.hooks;
    char name[HK_NAME_BUFFER];
    hank_task_info info;
    if (!hooks->on_finish)
        return;
    hk_inspect_info(t, name, &info);
    hooks->on_finish(hooks->context, &info, result);
}

/* --- life ------------------------------------------------------------------------------------ */

HK_UNWATCHED hk_envelope *hk_envelope_seen(hk_task *t)
{
    uint64_t before = hk_load_seqcst(&t->control); /* seq_cst as every look at it */
    hank_fn fn = t->fn;
    hk_envelope *e = t->arg;
    /* The same generation, and not at its end: so e is what belonged to it, and e's memory stays
     * what it is. */
    uint64_t after = hk_load_seqcst(&t->control);
    bool same = HK_GENERATION(after) == HK_GENERATION(before) && !(after & HK_TASK_ENDED);
    return fn == hk_envelope_main && same ? e : NULL;
}

static hk_envelope *take(void)
{
    hk_worker *w = hk_worker_self();
    return w ? hk_slab_get(&envelopes, &w->envelopes) : hk_slab_get_shared(&envelopes);
}

static void give(hk_envelope *e)
{
    hk_worker *w = hk_worker_self();
    if (w)
        hk_slab_put(&envelopes, &w->envelopes, e);
    else
        hk_slab_put_shared(&envelopes, e);
}

void hk_envelope_drain(hk_worker *w)
{
    hk_slab_drain(&envelopes, &w->envelopes);
}

bool hk_envelope_add(hk_task *t, const hk_spawn *how, hk_runtime *rt)
{
    hk_envelope *e = take();
    if (!e)
        return false;
    *e = (hk_envelope){.fn = t->fn,
                       .arg = t->arg,
                       .runtime = rt,
                       .due = how->due,
                       .site = how->site,
                       .is_call = how->is_call};
    if (rt->options.seed != 0)
        seed(e, rt);
    t->arg = e;
    t->fn = hk_envelope_main;
    hk_task_add_trait(t, HK_TRAIT_EXTRA); /* so that its end is looked at */
    if (has_announcements(rt->options.hooks))
        announce(t, e, rt);
    return true;
}

void hk_envelope_end(hk_task *t, int result)
{
    hk_envelope *e = t->arg;
    (void)hk_timers_remove(&e->timer); /* it was cancelled before its time, or has none */
    if (e->id)
        say_finished(t, e->runtime, result);
    hk_call_end(t); /* a call or not: from here on nobody takes its argument for an envelope */
    t->fn = e->fn;
    t->arg = (void *)(uintptr_t)e->site; /* for a report; its argument has gone */
    give(e);
}
