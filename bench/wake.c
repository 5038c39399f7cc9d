/* SPDX-License-Identifier: MIT */
/* wake.c - how long after a foreign thread calls does a sleeping runtime answer?
 *
 * A plain thread waits a millisecond, so that every worker is asleep, notes the time and sets an
 * event; the task that waits for it notes the time again. n times; the figure is the median. */
#include "bench.h"

#include <hank.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct calls {
    hank_event ring; /* set by the thread, waited for by the task */
    long n;
    int64_t rung; /* written before ring is set, read after it was seen */
    hank_event answered;
};

static void *caller(void *arg)
{
    struct calls *c = arg;
    const struct timespec pause = {.tv_nsec = 1000000};
    for (long i = 0; i < c->n; i++) {
        (void)nanosleep(&pause, NULL); /* cut short by a signal it is merely shorter */
        c->rung = bench_now();
        hank_event_set(&c->ring);
        (void)hank_event_wait(&c->answered); /* blocks this thread; fails only in a task */
        hank_event_clear(&c->answered);
    }
    return NULL;
}

static double wake(long n)
{
    struct calls c = {.n = n};
    double *delays = calloc((size_t)n, sizeof *delays);
    if (!delays)
        return -ENOMEM;
    pthread_t thread;
    int rc = -pthread_create(&thread, NULL, caller, &c);
    if (rc < 0)
        goto free_delays;
    for (long i = 0; i < n; i++) {
        (void)hank_event_wait(&c.ring); /* nobody stops the root task */
        delays[i] = (double)(bench_now() - c.rung) / 1e3;
        hank_event_clear(&c.ring);
        hank_event_set(&c.answered);
    }
    rc = -pthread_join(thread, NULL);

free_delays:;
    double median = rc < 0 ? rc : bench_median(delays, n);
    free(delays);
    return median;
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "wake", .unit = "us", .n = 500, .round = wake};
    return bench_main(argc, argv, &bench);
}
