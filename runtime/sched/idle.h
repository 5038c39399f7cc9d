/* SPDX-License-Identifier: MIT */
/* idle.h - which workers search, which sleep, and whom to wake. */
#ifndef HK_SCHED_IDLE_H
#define HK_SCHED_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"

struct hk_runtime;
struct hk_worker;

/* word = [ searching : 32 | sleeping : 32 ], changed by RMW; read by everyone who queues work
 * sleepers, n  guarded by lock: the workers that may be woken, latest last
 * Equation: sleeping == n whenever the lock is free. */
typedef struct hk_idle {
    HK_ATOMIC(uint64_t) word;
    hk_lock lock;
    uint32_t n;
    struct hk_worker **sleepers;
    HK_ATOMIC(uint64_t) wakes;
} hk_idle;

static inline uint32_t hk_idle_searching(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint32_t hk_idle_sleeping(uint64_t word)
{
    return (uint32_t)word;
}

/* Does it seem that somebody sleeps, and nobody looks for work? Costs a load, and orders nothing:
 * only for what hk_idle_notify would be too dear for, and with the monitor to correct it. */
static inline bool hk_idle_wants_work(hk_idle *idle)
{
    uint64_t word = hk_load_relaxed(&idle->word); /* see above */
    return hk_idle_sleeping(word) > 0 && hk_idle_searching(word) == 0;
}

/* Call after queueing work, with the queueing published by a seq_cst store or RMW: wakes one
 * worker if some sleep and nobody is searching already. */
void hk_idle_notify(struct hk_runtime *rt);

/* May w search? At most half of the workers do. Ended by hk_idle_found or by sleeping. */
bool hk_idle_start_search(struct hk_worker *w);

/* w searched and found work: the last searcher to stop wakes another, for there may be more. */
void hk_idle_found(struct hk_worker *w);

/* Nothing found: sleep in w's reactor until there is something to do. True: w was woken and is
 * searching now. False: its own reactor had events, or there is work after all. */
bool hk_idle_sleep(struct hk_worker *w, bool searching);

/* Wake everybody: the runtime stops. */
void hk_idle_wake_all(struct hk_runtime *rt);

#endif
