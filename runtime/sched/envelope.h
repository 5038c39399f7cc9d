/* SPDX-License-Identifier: MIT */
/* envelope.h - what a few tasks have beyond the others, so that the others need not pay for it: a
 * time to start at, a name for hooks, a generator.
 *
 * A task with an hk_envelope has hk_envelope_main for its function and the hk_envelope for its
 * argument; the real ones are inside. It is made and given back with the copy of an argument, from
 * a slab, so that a dump that comes late reads an hk_envelope all the same. */
#ifndef HK_SCHED_ENVELOPE_H
#define HK_SCHED_ENVELOPE_H

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
typedef struct hk_envelope {
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
    bool is_call, is_seeded;
} hk_envelope;

/* The function of every task that has one. */
int hk_envelope_main(void *envelope);

static inline hk_envelope *hk_envelope_of(hk_task *t)
{
    return t->fn == hk_envelope_main ? t->arg : NULL;
}

/* The same of a task that may end meanwhile, and whose memory may be another one's by then: NULL
 * too if it was. What is returned is memory of an envelope, but perhaps no longer of t's. */
hk_envelope *hk_envelope_seen(hk_task *t);

/* Put `t`, which `rt` is going to run, into one, and announce it if hooks want that. False: no
 * memory. */
bool hk_envelope_add(hk_task *t, const hk_spawn *how, struct hk_runtime *rt);

/* The other end, with t's result; afterwards it has its own function again, and for an argument the
 * place where it was spawned. */
void hk_envelope_end(hk_task *t, int result);

static inline void hk_envelope_drop(hk_task *t, int result)
{
    if (hk_envelope_of(t))
        hk_envelope_end(t, result);
}

/* Does a runtime with these options give each task an envelope? */
bool hk_envelope_for_all(const hank_options *options);

/* Give back the free ones that `w` keeps: it stops. */
void hk_envelope_drain(struct hk_worker *w);

void hk_envelope_freeze(void);
void hk_envelope_thaw(void);

#endif
