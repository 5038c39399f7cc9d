/* SPDX-License-Identifier: MIT */
/* inspect.c - walk the tasks, say what they do; add up the counters.
 *
 * A dump reads running tasks without stopping them: each field is read once, may be a moment old,
 * and every pointer in it is to memory that stays what it is. Nothing here allocates or locks, so
 * that the last words of a panic can use it too. */
#include "sched/inspect.h"

#include <hank/inspect.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"
#include "sched/envelope.h"
#include "sched/fork.h"
#include "sched/guest.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

/* The function of a task that may end while it is read: then another one's is thrown away. */
HK_UNWATCHED static hank_fn function_of(hk_task *t)
{
    hk_envelope *e = hk_envelope_seen(t);
    return e ? e->fn : t->fn;
}

/* Safe in a signal handler: no stdio. */
static const char *name_of(hk_task *t, hank_fn fn, char *buffer, size_t n)
{
    const char *name = hk_task_name(t);
    if (name)
        return name;
    static const char digits[] = "0123456789abcdef";
    uintptr_t site = (uintptr_t)fn;
    size_t i = n;
    buffer[--i] = '\0';
    do {
        buffer[--i] = digits[site & 15];
        site >>= 4;
    } while (site && i > 8);
    static const char prefix[] = "fn@0x";
    size_t length = sizeof prefix - 1;
    if (i < length)
        return "?";
    return memcpy(buffer + i - length, prefix, length);
}

const char *hk_inspect_name(hk_task *t, char *buffer, size_t n)
{
    return name_of(t, function_of(t), buffer, n);
}

/* Hints, but in order: who has begun to wait and is still on its way counts as running, for it has
 * not said yet what for. */
static hank_task_state state_of(hk_task *t)
{
    if (hk_load_relaxed(&t->phase) == HK_PHASE_NEW)
        return HANK_TASK_NEW;
    /* [waiter:claim] acquire: sees that the task marked itself as on its stack, before the turn. */
    bool is_awake = hk_word_state(hk_load_acquire(&t->sleeper.word)) == HK_AWAKE;
    if (hk_load_acquire(&t->on_stack) != 0) /* [task:off] acquire: what it waits for */
        return HANK_TASK_RUNNING;
    return is_awake ? HANK_TASK_READY : HANK_TASK_WAITING;
}

/* What it waits for; NULL: it does not. */
static const char *reason_of(hk_task *t, hank_task_state state)
{
    return state == HANK_TASK_WAITING ? hk_load_relaxed(&t->sleeper.why) : NULL; /* a hint */
}

static bool is_cancelled(hk_task *t)
{
    return (hk_load_relaxed(&t->control) & HK_TASK_CANCELLED) != 0; /* a hint */
}

size_t hk_inspect_line(hk_task *t, char line[HK_LINE_BYTES])
{
    static const char *const words[] = {"new", "running", "ready", "waiting"};
    uint8_t phase = hk_load_relaxed(&t->phase); /* a hint */
    if (phase == HK_PHASE_FREE)
        return 0;
    char buffer[HK_NAME_BUFFER];
    hank_task_state state = state_of(t);
    bool is_done = phase == HK_PHASE_DONE;
    const char *why = is_done ? NULL : reason_of(t, state);
    int n = snprintf(line, HK_LINE_BYTES, "%-24s %-8s%s%s%s\n",
                     hk_inspect_name(t, buffer, sizeof buffer), is_done ? "done" : words[state],
                     why ? " for " : "", why ? why : "", is_cancelled(t) ? " (cancelled)" : "");
    return n < 0 ? 0 : (size_t)n < HK_LINE_BYTES ? (size_t)n : HK_LINE_BYTES - 1;
}

HK_UNWATCHED void hk_inspect_info(hk_task *t, char name[HK_NAME_BUFFER], hank_task_info *ret)
{
    hk_envelope *e = hk_envelope_seen(t);
    hank_fn fn = e ? e->fn : t->fn;
    *ret = (hank_task_info){.name = name_of(t, fn, name, HK_NAME_BUFFER),
                            .fn = fn,
                            .state = state_of(t),
                            .self = t,
                            .above = hk_inspect_above(t),
                            .is_cancelled = is_cancelled(t)};
    ret->waits_for = reason_of(t, ret->state);
    if (e) {
        ret->id = e->id;
        ret->site = e->site;
    }
}

HK_UNWATCHED const void *hk_inspect_above(hk_task *t)
{
    if (hk_task_has(t, HK_TRAIT_MEMBER))
        return t->group;
    hk_task *parent = hk_load_relaxed(&t->parent); /* a hint, as all of this */
    return parent == HK_GUEST ? NULL : parent;
}

static int dump_one(void *slot, void *context)
{
    char line[HK_LINE_BYTES];
    size_t length = hk_inspect_line(slot, line);
    (void)hk_os_write(*(int *)context, line, length); /* what cannot be written is dropped */
    return 1;
}

void hank_dump(int fd)
{
    hk_slab_each(&hk_task_slab, dump_one, &fd);
}

static void write_text(int fd, const char *text)
{
    (void)hk_os_write(fd, text, strlen(text)); /* what cannot be written is dropped */
}

void hk_inspect_overflow(hk_fiber *f, int fd)
{
    hk_worker *w = hk_worker_self();
    hk_task *t = w && w->fiber == f ? w->current : f ? f->owner : NULL;
    char buffer[HK_NAME_BUFFER];
    write_text(fd, "task ");
    write_text(fd, t ? hk_inspect_name(t, buffer, sizeof buffer) : "(none)");
    write_text(fd, "\n");
}

void hk_inspect_panic(int fd)
{
    hk_worker *w = hk_worker_self();
    char buffer[HK_NAME_BUFFER];
    if (w && w->current) {
        write_text(fd, "hank: in task ");
        write_text(fd, hk_inspect_name(w->current, buffer, sizeof buffer));
        write_text(fd, "\n");
    }
    hank_dump(fd);
}

static void add_up(hk_runtime *rt, hank_stats *ret)
{
    hk_stack_stats stacks;
    hk_stack_get_stats(&stacks);
    hank_stats sum = {.workers = rt->n, .stacks_live = stacks.live};
    uint64_t ended = 0;
    sum.tasks_spawned = hk_load_relaxed(&rt->spawned_outside); /* as the others below */
    for (unsigned i = 0; i < rt->n; i++) {
        hk_counters *c = &rt->workers[i].counters;
        sum.tasks_spawned += hk_load_relaxed(&c->spawned); /* each is right, together no snapshot */
        ended += hk_load_relaxed(&c->ended);
        sum.switches += hk_load_relaxed(&c->switches);
        sum.steals += hk_load_relaxed(&c->steals);
        sum.parks += hk_load_relaxed(&c->parks);
        sum.polls += hk_load_relaxed(&c->polls);
    }
    sum.wakes = hk_load_relaxed(&rt->idle.wakes);
    sum.tasks_live = sum.tasks_spawned > ended ? sum.tasks_spawned - ended : 0;
    *ret = sum;
}

int hank_get_stats(hank_stats *ret)
{
    hk_worker *self = hk_worker_self();
    if (!self || !self->current)
        return hk_not_in_a_task();
    add_up(self->runtime, ret);
    return 0;
}

int hank_runtime_get_stats(hank_runtime *public, hank_stats *ret)
{
    hk_runtime *rt = (hk_runtime *)(void *)public;
    if (!rt || !ret)
        return -EINVAL;
    if (hk_runtime_left_behind(rt))
        return -ESHUTDOWN;
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    bool there = rt->has_workers;
    if (there)
        add_up(rt, ret);
    hk_lock_drop(&rt->lock);
    return there ? 0 : -ESHUTDOWN;
}
