/* SPDX-License-Identifier: MIT */
/* timer_churn.c - the usual timeout: an hour, around something that is over at once.
 *
 * timer_churn is the literal idiom of every peer: a timeout around one yield. A timeout of hank
 * sets its timer when a wait inside it parks, and a yield does not, so that figure says what a
 * program pays and not what a timer costs. timer_armed and timer_call do set one and take it out
 * again each time: a wait for the answer of another task, which is pingpong besides; and a call
 * that is taken back, with the task that would have made it. */
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

static int nothing(void *arg)
{
    (void)arg;
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

static double timer_armed(long n)
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

static double timer_call(long n)
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

static double timer_churn(long n)
{
    int64_t start = bench_now();
    for (long i = 0; i < n; i++) {
        int rc = hank_within(HANK_SEC(3600), hank_yield());
        if (rc < 0)
            return rc;
    }
    double value = (double)(bench_now() - start) / (double)n;
    bench_also("timer_armed", timer_armed(n / 10), "ns");
    bench_also("timer_call", timer_call(n / 10), "ns");
    return value;
}

int main(int argc, char **argv)
{
    const struct bench bench = {
        .name = "timer_churn", .unit = "ns", .n = 3000000, .round = timer_churn};
    return bench_main(argc, argv, &bench);
}
