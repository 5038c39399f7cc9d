/* SPDX-License-Identifier: MIT */
/* skynet.c - what does a wide tree of tasks cost?
 *
 * Every task spawns ten children and gathers them, down to n leaves that return their number;
 * the sum of all numbers is the answer. A million leaves are 1,111,110 spawned tasks.
 * Source: the "skynet" benchmark of Alexander Temerev, 2016. */
#include "bench.h"

#include <hank.h>

enum { CHILDREN = 10 };

struct part {
    long number, leaves, sum;
}; /* in, in, out */

static int skynet(void *arg)
{
    struct part *p = arg;
    if (p->leaves == 1) {
        p->sum = p->number;
        return 0;
    }
    struct part parts[CHILDREN];
    hank_task tasks[CHILDREN];
    long share = p->leaves / CHILDREN;
    for (long i = 0; i < CHILDREN; i++) {
        parts[i] = (struct part){.number = p->number + i * share, .leaves = share};
        tasks[i] = hank_spawn(skynet, &parts[i]);
    }
    int rc = hank_gather_n(tasks, CHILDREN, NULL);
    if (rc < 0)
        return rc;
    p->sum = 0;
    for (int i = 0; i < CHILDREN; i++)
        p->sum += parts[i].sum;
    return 0;
}

static double tree(long n)
{
    struct part root = {.leaves = n};
    int64_t start = bench_now();
    int rc = skynet(&root);
    int64_t ns = bench_now() - start;
    if (rc < 0)
        return rc;
    return root.sum != n * (n - 1) / 2 ? -EPROTO : (double)ns / 1e6;
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "skynet", .unit = "ms", .n = 1000000, .round = tree};
    return bench_main(argc, argv, &bench);
}
