/* SPDX-License-Identifier: MIT */
/* mutex.c - a hundred tasks count up under one mutex: see count_up.h. */
#include "count_up.h"

static double counts(long n)
{
    return count_together(n, false);
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "mutex", .unit = "ns", .n = 1000000, .round = counts};
    return bench_main(argc, argv, &bench);
}
