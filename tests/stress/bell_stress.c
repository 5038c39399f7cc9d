/* SPDX-License-Identifier: MIT */
/* bell_stress.c - bells are rung by tasks, threads and signal handlers while others are begun,
 * waited for with little patience, and ended as soon as the last ring has been heard: each is
 * counted once, shows what was done before it, and touches the bell no more. */
#include <hank.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "stress/stress_support.h"

enum { HEARERS = 6, RINGERS = 5, ROUNDS = 1000, WORKERS = 4 };

static HK_ATOMIC(uint64_t) heard_late;

typedef struct round_of_one {
    hank_bell *bell; /* lives until the last ring has been heard */
    int *value;      /* a plain one for each */
    bool by_signal;
} round_of_one;

static _Thread_local round_of_one *mine; /* for the handler, which runs where it was raised */

static void ring(round_of_one *r)
{
    hank_bell *b = r->bell;
    *r->value = 42;
    hank_bell_ring(b);
}

static void on_signal(int signo)
{
    (void)signo;
    ring(mine);
}

static int ringer(void *arg)
{
    round_of_one *r = arg;
    if (draw(2))
        (void)hank_yield();
    if (r->by_signal) {
        mine = r;
        (void)raise(SIGUSR2); /* has run its handler when it returns: no wait in between */
    } else {
        ring(r);
    }
    return 0;
}

static void *ring_outside(void *arg)
{
    ring(arg);
    return NULL;
}

/* How many rings it has heard, all of them. */
static void hear(hank_bell *b, int all)
{
    for (int heard = 0; heard < all;) {
        int rc = draw(3) ? hank_bell_next(b) : hank_within(HANK_US(draw(40)), hank_bell_next(b));
        MUST(rc > 0 || is_stop(rc));
        heard += rc > 0 ? rc : 0;
        if (rc < 0)
            (void)hk_add_relaxed(&heard_late, UINT64_C(1));
        MUST(heard <= all);
    }
}

static int hearer(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        hank_bell b;
        round_of_one rounds[RINGERS];
        int values[RINGERS] = {0};
        hank_task tasks[RINGERS];
        pthread_t thread;
        bool outside = draw(8) == 0;
        MUST(hank_bell_begin(&b) == 0);
        for (int k = 0; k < RINGERS; k++)
            rounds[k] = (round_of_one){&b, &values[k], draw(3) == 0};
        for (int k = outside; k < RINGERS; k++)
            tasks[k] = hank_spawn(ringer, &rounds[k]);
        MUST(!outside || pthread_create(&thread, NULL, ring_outside, &rounds[0]) == 0);
        hear(&b, RINGERS);
        for (int k = 0; k < RINGERS; k++)
            MUST(values[k] == 42);
        hank_bell_end(&b);
        b = (hank_bell){0}; /* ours: whoever touches it now is told on */
        MUST(hank_gather_n(tasks + outside, RINGERS - outside, NULL) == 0);
        MUST(!outside || pthread_join(thread, NULL) == 0);
    }
    return 0;
}

static int crowd(void *arg)
{
    hank_task tasks[HEARERS];
    for (int i = 0; i < HEARERS; i++)
        tasks[i] = hank_spawn(hearer, arg);
    return hank_gather_n(tasks, HEARERS, NULL);
}

int main(int argc, char **argv)
{
    struct sigaction action = {0};
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    action.sa_handler = on_signal;
    MUST(sigaction(SIGUSR2, &action, NULL) == 0);
    for (unsigned workers = 1; workers <= WORKERS; workers++)
        MUST(hank_run_with(crowd, NULL, .workers = workers) == 0);
    printf("%llu waits were stopped\n", (unsigned long long)hk_load_relaxed(&heard_late));
    return 0;
}
