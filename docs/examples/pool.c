/* SPDX-License-Identifier: MIT */
/* pool.c - a feeder, eight workers and a collector, joined by two channels.
 *
 * The channels know the type of their elements. Closing the first is how the workers learn that
 * there is no more to do; the group is how the program learns that they are done. */
#include <hank.h>

#include <stdio.h>

struct job { int number; };

struct pool {
    HANK_CHAN(struct job) jobs;
    HANK_CHAN(long) squares;
};

static int worker(void *arg)
{
    struct pool *p = arg;
    struct job job;
    while (hank_recv(p->jobs, &job) == 0) {
        long square = (long)job.number * job.number;
        int rc = hank_send(p->squares, &square);
        if (rc < 0)
            return rc;
    }
    return 0; /* closed and drained: the normal end */
}

static int feeder(void *arg)
{
    struct pool *p = arg;
    int rc = 0;
    for (int i = 1; i <= 100 && rc == 0; i++)
        rc = hank_send(p->jobs, &(struct job){.number = i});
    hank_chan_close(p->jobs.raw);
    return rc;
}

static int app(void *arg)
{
    (void)arg;
    struct pool p = {0};
    hank_group g = {0};
    long sum = 0, square;
    int rc = -ENOMEM;

    if (!hank_make(p.jobs, 16) || !hank_make(p.squares, 16))
        goto free_channels;
    for (int i = 0; i < 8; i++)
        (void)hank_group_spawn(&g, worker, &p); /* the wait below reports a failure */
    (void)hank_group_spawn(&g, feeder, &p);
    for (int i = 0; i < 100 && hank_recv(p.squares, &square) == 0; i++)
        sum += square;
    rc = hank_group_wait(&g);
    printf("sum of squares: %ld\n", sum);

free_channels:
    hank_chan_free(p.jobs.raw);
    hank_chan_free(p.squares.raw);
    return rc;
}

int main(void)
{
    return hank_run(app, NULL) != 0;
}
