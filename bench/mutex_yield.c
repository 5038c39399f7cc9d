/* SPDX-License-Identifier: MIT */
/* mutex_yield.c - a hundred tasks count up under one mutex, yielding while they hold it: see
 * count_up.h. */
#include "count_up.h"

static double counts(long n)
{
    return count_together(n, true);
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "mutex_yield", .unit = "ns", .n = 1000000, .round = counts};
    return bench_main(argc, argv, &bench);
}
