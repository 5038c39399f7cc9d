/* SPDX-License-Identifier: MIT */
/* fib.c - what does fork and join cost, when nearly nothing is ever stolen?
 *
 * fib(n) spawns fib(n - 1) as a child, computes fib(n - 2) itself and awaits the child: with
 * n = 32 about 3.5 million tasks in a tree 31 deep. The figure is ns for each spawned task. */
#include "bench.h"

#include <hank.h>

struct fib {
    long n, value;
}; /* in, out */

static int fib(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->value = f->n;
        return 0;
    }
    struct fib child = {.n = f->n - 1}, rest = {.n = f->n - 2};
    hank_task task = hank_spawn(fib, &child);
    int here = fib(&rest);
    int there = hank_await(task);
    f->value = child.value + rest.value;
    return there < 0 ? there : here;
}

/* Each call with n >= 2 spawns one task: fib(n + 1) - 1 of them. */
static double spawned(long n)
{
    double a = 1, b = 1;
    for (long i = 2; i <= n; i++) {
        double next = a + b;
        a = b;
        b = next;
    }
    return b - 1;
}

static long fib_plain(long n)
{
    long a = 0, b = 1;
    for (long i = 0; i < n; i++) {
        long next = a + b;
        a = b;
        b = next;
    }
    return a;
}

static double fork_join(long n)
{
    struct fib root = {.n = n};
    int64_t start = bench_now();
    int rc = fib(&root);
    int64_t ns = bench_now() - start;
    if (rc < 0)
        return rc;
    return root.value != fib_plain(n) ? -EPROTO : (double)ns / spawned(n);
}

int main(int argc, char **argv)
{
    const struct bench bench = {.name = "fib", .unit = "ns", .n = 32, .round = fork_join};
    return bench_main(argc, argv, &bench);
}
