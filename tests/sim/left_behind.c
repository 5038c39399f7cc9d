/* SPDX-License-Identifier: MIT */
/* left_behind.c - pools that end while threads are inside calls that nobody waits for any more: how
 * many there are, whether they come back before the end, during it or after it. What the pool is
 * made of must be there until the last of them has left, and go then. */
#include "sim/sim_support.h"

enum { SEEDS = 200, CALLS = 5 };

static hank_ns some_time(void)
{
    return HANK_US(hank_sim_choose(2000));
}

/* A call of the pool: a thread that blocks. */
static int block(void *arg)
{
    (void)arg;
    hank_ns until = hank_now() + some_time();
    while (hank_now() < until)
        hank_sim_point();
    return 0;
}

static int call_and_give_up(void *pool)
{
    hank_call_options options = {.abandon = true};
    int rc = hank_within(some_time(), hank_pool_call_opt(pool, block, NULL, &options));
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int end_pools(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        hank_pool *p;
        hank_task calls[CALLS];
        hank_pool_options options = {.threads = 1 + hank_sim_choose(4), .linger = some_time()};
        MUST(hank_pool_new(&options, &p) == 0);
        for (int k = 0; k < CALLS; k++)
            calls[k] = hank_spawn(call_and_give_up, p);
        MUST(hank_gather_n(calls, CALLS, NULL) == 0);
        hank_pool_free(p);
    }
    return hank_sleep(HANK_MS(10)); /* the last have left */
}

static int program(void *arg)
{
    return hank_run(end_pools, arg);
}

int main(void)
{
    passes("left behind", program, NULL, &(hank_sim_options){.time_limit = HANK_SEC(600)}, SEEDS);
    return failures != 0;
}
