/* SPDX-License-Identifier: MIT */
/* slow_stress.c - slow tasks are asked where they are while runtimes begin and end, two at a time:
 * signals that come late, to a thread that waits, that has left its runtime or that is in another
 * one by now, must do no harm, and every report must be whole. */
#include <hank.h>

#include <pthread.h>
#include <signal.h>

#include "stress/stress_support.h"

enum { RUNS = 40, TASKS = 12, WORKERS = 3, RUNTIMES = 2 };

static HK_ATOMIC(uint64_t) reports, stacks;

static void on_slow(void *context, const hank_task_info *task, hank_ns busy)
{
    (void)context;
    MUST(busy > 0 && task->name != NULL);
    MUST((task->stack == NULL) == (task->stack_frames == 0));
    for (unsigned i = 0; i < task->stack_frames; i++)
        MUST(task->stack[i] != NULL);
    (void)hk_add_relaxed(&reports, UINT64_C(1));
    if (task->stack_frames > 0)
        (void)hk_add_relaxed(&stacks, UINT64_C(1));
}

static int compute(void *arg)
{
    hank_ns end = hank_now() + HANK_US(100) * (hank_ns)draw(40);
    (void)arg;
    while (hank_now() < end)
        continue;
    return 0;
}

/* Computes, waits and goes elsewhere, so that a signal may find anything. */
static int busy_task(void *arg)
{
    for (int i = 0; i < 4; i++) {
        (void)compute(arg);
        MUST(hank_yield() == 0);
        if (draw(3) == 0)
            MUST(hank_sleep(HANK_US(50) * (hank_ns)draw(8)) == 0);
        MUST(hank_await(hank_spawn(compute, NULL)) == 0);
    }
    return 0;
}

static int crowd(void *arg)
{
    hank_task tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        tasks[i] = hank_spawn(busy_task, arg);
    return hank_gather_n(tasks, TASKS, NULL);
}

static void *run_again_and_again(void *arg)
{
    static const hank_hooks hooks = {.on_slow = on_slow};
    for (int i = 0; i < RUNS; i++)
        MUST(hank_run_with(crowd, NULL, .workers = 1 + draw(WORKERS), .hooks = &hooks,
                           .slow_task = HANK_US(200)) == 0);
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t threads[RUNTIMES];
    struct sigaction after;
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    for (int i = 0; i < RUNTIMES; i++)
        MUST(pthread_create(&threads[i], NULL, run_again_and_again, NULL) == 0);
    for (int i = 0; i < RUNTIMES; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    MUST(raise(SIGURG) == 0); /* ignored again */
    MUST(sigaction(SIGURG, NULL, &after) == 0 && after.sa_handler == SIG_DFL);
    printf("%llu reports, %llu with a stack\n", (unsigned long long)hk_load_relaxed(&reports),
           (unsigned long long)hk_load_relaxed(&stacks));
    MUST(hk_load_relaxed(&reports) > 0);
    return 0;
}
