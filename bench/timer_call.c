/* SPDX-License-Identifier: MIT */
/* timer_call.c - a call that is due in an hour, and taken back at once.
 *
 * Each sets a timer and takes it out again; in hank the call that is taken back is a task that ends
 * without having run, which is part of the figure. */
#include "bench.h"

#include <hank.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static double calls(long n)
{
    int64_t start = bench_now();
    for (long i = 0; i < n; i++) {
        int rc = hank_timer_cancel(hank_call_later(HANK_SEC(3600), nothing, NULL));
        if (rc < 0)
            return rc;
        if (i % 64 == 0)
            (void)hank_yield(); /* what was taken back ends */
    }
    return (double)(bench_now() - start) / (double)n;
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "timer_call", .unit = "ns", .n = 1000000, .round = calls};
    return bench_main(argc, argv, &bench);
}
