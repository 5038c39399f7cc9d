/* SPDX-License-Identifier: MIT */
/* random.c - a generator for each worker and thread, or for each task when runs must repeat.
 *
 * A worker's is used by whatever runs on it: nothing is shared, and a task that moves draws on from
 * another one. With a seed each task has its own, in its hk_envelope, filled from a key that is
 * made of its spawner's key and of how many tasks that had spawned before. */
#include "sched/random.h"

#include <hank/random.h>

#include <stdbool.h>

#include "base/compiler.h"
#include "base/os.h"
#include "base/random.h"
#include "sched/envelope.h"
#include "sched/task.h"
#include "sched/worker.h"

enum { DOUBLE_BITS = 53 };

static _Thread_local struct {
    hk_random random;
    bool is_seeded;
} own __attribute__((tls_model("initial-exec")));

/* Only for threads that are no worker, so it does not move. */
HK_THREAD_ACCESSOR static uint64_t draw_in_thread(void)
{
    if (!own.is_seeded) {
        hk_random_seed(&own.random, hk_os_random());
        own.is_seeded = true;
    }
    return hk_random_next(&own.random);
}

HK_THREAD_ACCESSOR void hk_random_forked(void)
{
    own.is_seeded = false;
}

uint64_t hk_random_key_below(uint64_t key, uint64_t n)
{
    uint64_t position = key ^ n * UINT64_C(0xd6e8feb86659fd93);
    (void)hk_random_mix(&position);
    return hk_random_mix(&position);
}

uint64_t hank_random(void)
{
    hk_worker *w = hk_worker_self();
    if (HK_UNLIKELY(!w))
        return draw_in_thread();
    hk_envelope *e = w->watched && w->current ? hk_envelope_of(w->current) : NULL;
    if (HK_UNLIKELY(e != NULL && e->is_seeded))
        return hk_random_next(&e->random);
    return hk_random_next(&w->random);
}

/* The high half of a product is below n; low halves that come up once too often are drawn again.
 * Source: Lemire, "Fast random integer generation in an interval", ACM TOMACS 29 (2019),
 * doi:10.1145/3230636. */
uint64_t hank_random_below(uint64_t n)
{
    __extension__ typedef unsigned __int128 wide;
    if (n == 0)
        return 0;
    wide product = (wide)hank_random() * n;
    if ((uint64_t)product < n) {
        uint64_t surplus = -n % n;
        while ((uint64_t)product < surplus)
            product = (wide)hank_random() * n;
    }
    return (uint64_t)(product >> 64);
}

int64_t hank_random_between(int64_t low, int64_t high)
{
    if (high <= low)
        return low;
    uint64_t width = (uint64_t)high - (uint64_t)low + 1; /* 0: all of them */
    uint64_t offset = width ? hank_random_below(width) : hank_random();
    return (int64_t)((uint64_t)low + offset);
}

double hank_random_double(void)
{
    return (double)(hank_random() >> (64 - DOUBLE_BITS)) / (double)(UINT64_C(1) << DOUBLE_BITS);
}
