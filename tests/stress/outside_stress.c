/* SPDX-License-Identifier: MIT */
/* outside_stress.c - threads that reach into runtimes while those start, work and end.
 *
 *   stress_outside_stress [WORKERS [ROUNDS [SEED]]]      default: 1, 2 and 8 workers in turn
 *
 * A plain main, because Criterion cannot run under ThreadSanitizer. In each round a few threads
 * draw from a dozen things to do to one runtime: spawn and await, cancel, time out, detach, call
 * later and take back, use a pool. Then one of them stops it while the others go on until they are
 * told so. */
#include <hank.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/atomic.h"

enum { THREADS = 4, ACTS = 150, KINDS = 8 };

#define MUST(fact)                                                                                 \
    ((fact) ? (void)0                                                                              \
            : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #fact), abort()))

static hank_runtime *runtime;
static hank_pool *pool;
static HK_ATOMIC(long) called, accepted;
static HK_ATOMIC(bool) over;

static int give_back(void *arg)
{
    return (int)(intptr_t)arg;
}

static int nap(void *arg)
{
    int rc = hank_sleep(HANK_US(hank_random_below(200)));
    return rc < 0 ? rc : give_back(arg);
}

static int have_children(void *arg)
{
    hank_group g = {0};
    for (int i = 0; i < 5; i++)
        (void)hank_group_spawn(&g, nap, NULL); /* a failure is what the wait will say */
    int rc = hank_group_wait(&g);
    return rc < 0 ? rc : give_back(arg);
}

static int count_call(void *arg)
{
    (void)hk_add_relaxed(&called, 1L);
    return give_back(arg);
}

static bool ends(int rc)
{
    return rc == -ESHUTDOWN || rc == -ECANCELED || rc == -ESTALE;
}

static int await_one(hank_fn fn, int value)
{
    int rc = hank_await(hank_spawn_into(runtime, fn, (void *)(intptr_t)value, NULL));
    MUST(rc == value || ends(rc));
    return rc;
}

static int cancel_one(void)
{
    hank_task t = hank_spawn_into(runtime, have_children, (void *)7, NULL);
    (void)hank_cancel(t); /* it may have ended */
    int rc = hank_await(t);
    MUST(rc == 7 || ends(rc));
    return rc == -ECANCELED ? 0 : rc;
}

static int time_out(void)
{
    hank_ns limit = HANK_US(hank_random_below(150));
    hank_task t = hank_spawn_into(runtime, nap, (void *)5, NULL);
    int rc = hank_within(limit, hank_await(t));
    MUST(rc == 5 || rc == -ETIMEDOUT || ends(rc));
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int call_one(void)
{
    hank_ns when = hank_now() + HANK_US(hank_random_below(100));
    hank_timer t = hank_call_into(runtime, when, count_call, NULL);
    int rc = hank_random_below(2) ? hank_timer_cancel(t) : hank_timer_cancel_wait(t);
    MUST(rc == 0 || rc == -EALREADY || rc == -ESHUTDOWN);
    return rc == -ESHUTDOWN ? rc : 0;
}

static int use_pool(void)
{
    int n = 3;
    int rc = hank_pool_call(pool, give_back, (void *)9);
    MUST(rc == 9);
    rc =
        hank_within(HANK_US(hank_random_below(50)), hank_pool_post(pool, count_call, &n, sizeof n));
    MUST(rc == 0 || rc == -ETIMEDOUT);
    (void)hk_add_relaxed(&accepted, rc == 0 ? 1L : 0L);
    rc = hank_within(HANK_US(hank_random_below(50)),
                     hank_pool_call_with(pool, give_back, &n, .copy = sizeof n, .abandon = true));
    MUST(rc != -EINVAL && rc != -ENOMEM);
    return 0;
}

static int act(uint64_t kind)
{
    switch (kind) {
    case 0: return await_one(give_back, 1);
    case 1: return await_one(nap, 2);
    case 2: return await_one(have_children, 3);
    case 3: return cancel_one();
    case 4: return time_out();
    case 5: return call_one();
    case 6: return use_pool();
    default: return hank_detach(hank_spawn_into(runtime, nap, (void *)0, NULL));
    }
}

static void *thread_main(void *arg)
{
    for (int i = 0; i < ACTS || (arg && !hk_load_acquire(&over)); i++) {
        int rc = act(hank_random_below(KINDS));
        if (ends(rc) && hk_load_acquire(&over))
            break;
    }
    return NULL;
}

static void round_with(unsigned workers, uint64_t seed)
{
    pthread_t threads[THREADS];
    hank_options options = {.workers = workers, .seed = seed};
    hk_store_relaxed(&over, false);
    MUST(hank_runtime_start(&options, &runtime) == 0);
    MUST(hank_pool_new(&(hank_pool_options){.threads = 2, .queue = 2}, &pool) == 0);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, thread_main, i % 2 ? &over : NULL) == 0);
    for (int i = 0; i < THREADS; i += 2)
        MUST(pthread_join(threads[i], NULL) == 0);
    MUST(hank_runtime_stop(runtime) == 0); /* the others are still at it */
    MUST(hank_runtime_wait(runtime) == 0);
    hk_store_release(&over, true);
    for (int i = 1; i < THREADS; i += 2)
        MUST(pthread_join(threads[i], NULL) == 0);
    hank_pool_free(pool);
    MUST(hank_runtime_free(runtime) == 0);
}

int main(int argc, char **argv)
{
    static const unsigned sizes[] = {1, 2, 8};
    unsigned long only = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 6;
    uint64_t seed = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    for (long i = 0; i < rounds; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++)
            if (only == 0 || only == sizes[j])
                round_with(sizes[j], i % 2 ? seed + (uint64_t)i : 0);
    printf("%ld calls, %ld posts\n", hk_load_relaxed(&called), hk_load_relaxed(&accepted));
    return 0;
}
