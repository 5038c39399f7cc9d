/* SPDX-License-Identifier: MIT */
/* pingpong_cross.c - the same with the two tasks held on different threads.
 *
 * Each is the only task of a runtime with one worker, so that neither can move to the other: every
 * hand-over crosses from one CPU to another, to a worker that has nothing else to do. */
#include "bench.h"

#include "pingpong.h"

static double measure(struct table *t, long n)
{
    hank_runtime *other;
    const hank_options options = {.workers = 1};
    int rc = hank_runtime_start(&options, &other);
    if (rc < 0)
        return rc;
    hank_task partner = hank_spawn_into(other, pong, t, NULL);
    int64_t start = bench_now();
    rc = ping(t, n);
    double value = rc < 0 ? rc : (double)(bench_now() - start) / (double)n;
    hank_chan_close(t->there);
    rc = hank_await(partner);
    (void)hank_runtime_free(other); /* fails only for its own tasks */
    return rc < 0 ? rc : value;
}

static double pingpong_cross(long n)
{
    struct table t = {hank_chan_new(sizeof(long), 1), hank_chan_new(sizeof(long), 1)};
    double value = t.there && t.back ? measure(&t, n) : -ENOMEM;
    hank_chan_free(t.there);
    hank_chan_free(t.back);
    return value;
}

int main(int argc, char **argv)
{
    static char one[] = "1"; /* worker here, and one there, whatever was asked for */
    const struct bench bench = {
        .name = "pingpong_cross", .unit = "ns", .n = 100000, .round = pingpong_cross};
    if (argc > 1)
        argv[1] = one;
    return bench_main(argc, argv, &bench);
}
