/* SPDX-License-Identifier: MIT */
/* sleepers.c - how late are n tasks that all sleep for one second?
 *
 * The figure is the time beyond that second until all have been spawned, have slept and have been
 * joined. The first round in a process finds no stacks and is printed as sleepers_cold. */
#include "bench.h"

#include <hank.h>

static int sleeper(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_SEC(1));
}

static double sleepers(long n)
{
    hank_group all = {0};
    int64_t start = bench_now();
    for (long i = 0; i < n; i++)
        (void)hank_group_spawn(&all, sleeper, NULL); /* a failure is what the wait will say */
    int rc = hank_group_wait(&all);
    if (rc < 0)
        return rc;
    return (double)(bench_now() - start) / 1e9 - 1.0;
}

int main(int argc, char **argv)
{
    const struct bench bench = {
        .name = "sleepers", .unit = "s", .n = 1000000, .round = sleepers, .cold = true};
    return bench_main(argc, argv, &bench);
}
