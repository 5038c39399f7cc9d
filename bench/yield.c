/* SPDX-License-Identifier: MIT */
/* yield.c - what does a yield cost when many tasks are ready?
 *
 * A thousand tasks yield n / 1000 times each; their stacks do not fit the first cache. */
#include "bench.h"

#include <hank.h>

enum { TASKS = 1000 };

static int yielder(void *arg)
{
    const long *times = arg;
    for (long i = 0; i < *times; i++) {
        int rc = hank_yield();
        if (rc < 0)
            return rc;
    }
    return 0;
}

static double yields(long n)
{
    static hank_task tasks[TASKS];
    long each = n / TASKS;
    int64_t start = bench_now();
    for (int i = 0; i < TASKS; i++)
        tasks[i] = hank_spawn(yielder, &each);
    int rc = hank_gather_n(tasks, TASKS, NULL);
    return rc < 0 ? rc : (double)(bench_now() - start) / (double)n;
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "yield", .unit = "ns", .n = 1000000, .round = yields};
    return bench_main(argc, argv, &bench);
}
