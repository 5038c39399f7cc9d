/* SPDX-License-Identifier: MIT */
/* switch.c - what does it cost to go from one task to another?
 *
 * Two tasks yield to each other; n switches in all. With one worker every yield is a switch. */
#include "bench.h"

#include <hank.h>

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

static double switches(long n)
{
    long each = n / 2;
    int64_t start = bench_now();
    int rc = hank_gather(hank_spawn(yielder, &each), hank_spawn(yielder, &each));
    return rc < 0 ? rc : (double)(bench_now() - start) / (double)n;
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "switch", .unit = "ns", .n = 4000000, .round = switches};
    return bench_main(argc, argv, &bench);
}
