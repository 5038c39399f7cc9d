/* SPDX-License-Identifier: MIT */
/* timer_armed.c - a timeout of an hour around a wait that does wait.
 *
 * Two tasks ask and answer through two channels, and whoever asks waits for each answer under a
 * timeout: the wait parks, so that a timer is set and taken out again for every round trip. What
 * the same costs without the timeout is pingpong. */
#include "bench.h"

#include <hank.h>

static int answer(void *arg)
{
    hank_chan **c = arg;
    int n;
    while (hank_chan_recv(c[0], &n) == 0) {
        int rc = hank_chan_send(c[1], &n);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Ask and wait for the answer, under a timeout each time. */
static double ask(hank_chan **c, long n)
{
    int64_t start = bench_now();
    for (long i = 0; i < n; i++) {
        int number = (int)i;
        int rc = hank_chan_send(c[0], &number);
        if (rc == 0)
            rc = hank_within(HANK_SEC(3600), hank_chan_recv(c[1], &number));
        if (rc < 0)
            return rc;
    }
    return (double)(bench_now() - start) / (double)n;
}

static double round_trips(long n)
{
    hank_chan *c[2] = {hank_chan_new(sizeof(int), 1), hank_chan_new(sizeof(int), 1)};
    double value = -ENOMEM;
    if (c[0] && c[1]) {
        hank_task other = hank_spawn(answer, c);
        value = ask(c, n);
        hank_chan_close(c[0]);
        int rc = hank_await(other);
        value = rc < 0 ? rc : value;
    }
    hank_chan_free(c[0]);
    hank_chan_free(c[1]);
    return value;
}

int main(int argc, char **argv)
{
    const struct bench bench = {
        .name = "timer_armed", .unit = "ns", .n = 1000000, .round = round_trips};
    return bench_main(argc, argv, &bench);
}
