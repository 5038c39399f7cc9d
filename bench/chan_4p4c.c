/* SPDX-License-Identifier: MIT */
/* chan_4p4c.c - a channel between four senders and four receivers: see chan_items.h. */
#include "chan_items.h"

static double items(long n)
{
    return chan_items(n, 4);
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "chan_4p4c", .unit = "ns", .n = 4000000, .round = items};
    return bench_main(argc, argv, &bench);
}
