/* SPDX-License-Identifier: MIT */
/* spawn_join.c - what does a task cost that does nothing, when there are very many of them?
 *
 * One task spawns n empty tasks and then awaits them all, the oldest first. The round that does
 * not count has made the slots, so the figure is that of a program that has been running. */
#include "bench.h"

#include <hank.h>

#include <stdlib.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static double spawn_join(long n)
{
    static hank_task *tasks; /* kept from round to round: its page faults are not the question */
    if (!tasks)
        tasks = malloc((size_t)n * sizeof *tasks);
    if (!tasks)
        return -ENOMEM;

    int64_t start = bench_now();
    for (long i = 0; i < n; i++)
        tasks[i] = hank_spawn(nothing, NULL);
    int first_failure = 0;
    for (long i = 0; i < n; i++) {
        int rc = hank_await(tasks[i]);
        if (rc < 0 && first_failure == 0)
            first_failure = rc;
    }
    int64_t ns = bench_now() - start;
    return first_failure < 0 ? first_failure : (double)ns / (double)n;
}

int main(int argc, char **argv)
{
    const struct bench bench = {
        .name = "spawn_join", .unit = "ns", .n = 1000000, .round = spawn_join};
    return bench_main(argc, argv, &bench);
}
