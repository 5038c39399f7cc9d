/* SPDX-License-Identifier: MIT */
/* count_up.h - what does a mutex cost when a hundred tasks want it?
 *
 * They increment one counter n times in all. With `yields`, each yields while it holds the mutex,
 * so that all others come to wait for it; otherwise it is free most of the time. */
#ifndef BENCH_COUNT_UP_H
#define BENCH_COUNT_UP_H

#include "bench.h"

#include <hank.h>

enum { BENCH_COUNTERS = 100 };

struct counter {
    hank_mutex mutex;
    long count;
    long each;
    bool yields;
};

static int count_up(void *arg)
{
    struct counter *c = arg;
    int rc = 0;
    for (long i = 0; i < c->each; i++) {
        hank_mutex_lock(&c->mutex);
        c->count++;
        if (c->yields)
            rc = hank_yield();
        hank_mutex_unlock(&c->mutex);
        if (rc < 0)
            break;
    }
    return rc;
}

static double count_together(long n, bool yields)
{
    struct counter c = {.each = n / BENCH_COUNTERS, .yields = yields};
    hank_task tasks[BENCH_COUNTERS];
    int64_t start = bench_now();
    for (int i = 0; i < BENCH_COUNTERS; i++)
        tasks[i] = hank_spawn(count_up, &c);
    int rc = hank_gather_n(tasks, BENCH_COUNTERS, NULL);
    double spent = (double)(bench_now() - start) / (double)n;
    if (rc < 0)
        return rc;
    return c.count == c.each * BENCH_COUNTERS ? spent : -EPROTO;
}

#endif
