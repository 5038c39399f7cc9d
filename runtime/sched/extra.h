/* SPDX-License-Identifier: MIT */
/* extra.h - what a few tasks have beyond the others, so that the others need not pay for it: a time
 * to start at, a name for hooks, a generator.
 *
 * A task with an hk_extra has hk_extra_main for its function and the hk_extra for its argument;
 * the real ones are inside. It is made and given back with the copy of an argument, from a slab, so
 * that a dump that comes late reads an hk_extra all the same. */
#ifndef HK_SCHED_EXTRA_H
#define HK_SCHED_EXTRA_H

#include <stdbool.h>
#include <stdint.h>

#include <hank/inspect.h>

#include "base/compiler.h"
#include "base/random.h"
#include "reactor/timers.h"
#include "sched/task.h"

struct hk_runtime;

/* links     the slab's while free
 * fn ... is_call   written by the spawner; constant
 * timer     armed by the spawner before the task can run, removed by the task's end
 * random, spawned  the task's own: its generator, and how many tasks it has spawned */
typedef struct hk_extra {
    void *links[2];
    hank_fn fn;
    void *arg;
    struct hk_runtime *runtime;
    hk_timer timer;
    int64_t due;
    uint64_t id; /* 0: it was not announced */
    const void *site;
    hk_random random;
    uint64_t key;
    uint64_t spawned;
    bool is_copied, is_call, is_seeded;
} hk_extra;

/* The function of every task that has one. */
int hk_extra_main(void *extra);

static inline hk_extra *hk_extra_of(hk_task *t)
{
    return t->fn == hk_extra_main ? t->arg : NULL;
}

/* Give a new task of `rt` what `how` asks for beyond function and argument: a name, a stack size, a
 * copy, an extra, which is announced if hooks want that. False: no memory. */
bool hk_extra_fill(hk_task *t, const hk_spawn *how, struct hk_runtime *rt);

/* Give that back; t has ended with `result` or will not run. Afterwards it has its own function and
 * argument again. */
void hk_extra_give_back(hk_task *t, int result);

static inline void hk_extra_drop(hk_task *t, int result)
{
    if (HK_UNLIKELY(hk_task_has(t, HK_TRAIT_COPIED)))
        hk_extra_give_back(t, result);
}

/* Does a runtime with these options give each task an extra? */
bool hk_extra_for_all(const hank_options *options);

/* What is known of `t` beyond its name: while it lives, and until its slot is free. */
void hk_extra_info(hk_task *t, const struct hk_runtime *rt, hank_task_info *ret);

void hk_extra_freeze(void);
void hk_extra_thaw(void);

#endif
