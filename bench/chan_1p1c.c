/* SPDX-License-Identifier: MIT */
/* chan_1p1c.c - a channel between one sender and one receiver: see chan_items.h. */
#include "chan_items.h"

static double items(long n)
{
    return chan_items(n, 1);
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "chan_1p1c", .unit = "ns", .n = 4000000, .round = items};
    return bench_main(argc, argv, &bench);
}
