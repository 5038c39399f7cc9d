/* SPDX-License-Identifier: MIT */
/* memory.c - how many bytes does a task cost that waits?
 *
 * n tasks wait for one event; once they all do, the growth of the resident set is shared out
 * among them. The memory is kept for later tasks, so only a process's first round can see it:
 * that round counts, and the rounds after it say what a warm task costs in time to come and go. */
#include "bench.h"

#include <hank.h>

#include <stdatomic.h>

struct crowd {
    hank_event all_here, go;
    atomic_long waiting;
    long n;
};

static int member(void *arg)
{
    struct crowd *c = arg;
    if (atomic_fetch_add(&c->waiting, 1) + 1 == c->n)
        hank_event_set(&c->all_here);
    return hank_event_wait(&c->go);
}

static int gather_crowd(struct crowd *c, hank_group *members)
{
    for (long i = 0; i < c->n; i++) {
        int rc = hank_group_spawn(members, member, c);
        if (rc < 0)
            return rc;
    }
    return hank_event_wait(&c->all_here);
}

static double parked(long n)
{
    static double bytes_each = -1;
    struct crowd c = {.n = n};
    hank_group members = {0};

    long before = bench_resident();
    int64_t start = bench_now();
    int rc = gather_crowd(&c, &members);
    if (bytes_each < 0)
        bytes_each = (double)(bench_resident() - before) / (double)n;
    hank_event_set(&c.go);
    int ended = hank_group_wait(&members);
    if (rc < 0 || ended < 0)
        return rc < 0 ? rc : ended;
    bench_also("park_cycle", (double)(bench_now() - start) / (double)n, "ns");
    return bytes_each;
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "memory", .unit = "B", .n = 100000, .round = parked};
    return bench_main(argc, argv, &bench);
}
