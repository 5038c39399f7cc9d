/* SPDX-License-Identifier: MIT */
/* pingpong.c - two tasks pass a number to and fro: the price of a hand-over.
 *
 * Two channels of one element, free to run wherever they are. The figure is a round trip: two
 * sends and two receives. */
#include "bench.h"

#include "pingpong.h"

static double pingpong(long n)
{
    struct table t = {hank_chan_new(sizeof(long), 1), hank_chan_new(sizeof(long), 1)};
    double value = -ENOMEM;
    if (t.there && t.back) {
        hank_task other = hank_spawn(pong, &t);
        int64_t start = bench_now();
        int rc = ping(&t, n);
        value = rc < 0 ? rc : (double)(bench_now() - start) / (double)n;
        hank_chan_close(t.there);
        rc = hank_await(other);
        value = rc < 0 ? rc : value;
    }
    hank_chan_free(t.there);
    hank_chan_free(t.back);
    return value;
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "pingpong", .unit = "ns", .n = 1000000, .round = pingpong};
    return bench_main(argc, argv, &bench);
}
