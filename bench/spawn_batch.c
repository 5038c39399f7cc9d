/* SPDX-License-Identifier: MIT */
/* spawn_batch.c - what does a task cost that does nothing, when a few are alive at a time?
 *
 * A thousand are spawned and awaited, again and again, n in all: everything stays in the cache,
 * and a second worker has to decide each time whether it is worth its while to help. */
#include "bench.h"

#include <hank.h>

enum { BATCH = 1000 };

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static double spawn_batch(long n)
{
    static hank_task tasks[BATCH];
    int64_t start = bench_now();
    for (long done = 0; done < n; done += BATCH) {
        for (int i = 0; i < BATCH; i++)
            tasks[i] = hank_spawn(nothing, NULL);
        for (int i = 0; i < BATCH; i++) {
            int rc = hank_await(tasks[i]);
            if (rc < 0)
                return rc;
        }
    }
    return (double)(bench_now() - start) / (double)n;
}

int main(int argc, char **argv)
{
    const struct bench bench = {
        .name = "spawn_batch", .unit = "ns", .n = 1000000, .round = spawn_batch};
    return bench_main(argc, argv, &bench);
}
