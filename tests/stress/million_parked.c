/* SPDX-License-Identifier: MIT */
/* million_parked.c - a million tasks that wait take no more memory than is promised, and all of
 * them end.
 *
 *     million_parked [tasks]
 *
 * Where there is not that much memory it says so and passes. */
#include <hank.h>

#include "stress/proc.h"
#include "stress/stress_support.h"

enum { KIB_FREE_A_TASK = 8 }; /* so that others are not pushed out */

static const double KIB_A_TASK_MAX = 4.6;

typedef struct crowd {
    long n;
    HK_ATOMIC(long) arrived, gone;
    hank_event never;
} crowd;

static long resident_kib(void)
{
    return read_proc_kib("/proc/self/status", "VmRSS:");
}

/* What the machine has left, or all that our control group may take. */
static long available_kib(void)
{
    long available = read_proc_kib("/proc/meminfo", "MemAvailable:");
    long long limit = 0;
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "r");
    if (f && fscanf(f, "%lld", &limit) == 1 && limit / 1024 < available) /* it may say "max" */
        available = (long)(limit / 1024);
    if (f)
        (void)fclose(f);
    return available;
}

static int wait_for_the_end(void *arg)
{
    crowd *c = arg;
    (void)hk_add_acqrel(&c->arrived, 1);
    int rc = hank_event_wait(&c->never);
    (void)hk_add_acqrel(&c->gone, 1);
    return rc;
}

static int park_all(void *arg)
{
    crowd *c = arg;
    hank_group g = {0};
    long before = resident_kib();
    for (long i = 0; i < c->n; i++)
        MUST(hank_group_spawn(&g, wait_for_the_end, c) == 0);
    while (hk_load_acquire(&c->arrived) < c->n)
        MUST(hank_yield() == 0);
    double each = (double)(resident_kib() - before) / (double)c->n;
    printf("%ld tasks wait, %.2f KiB each\n", c->n, each);
    MUST(each > 0 && each <= KIB_A_TASK_MAX);
    hank_group_cancel(&g);
    MUST(hank_group_wait(&g) == 0); /* who was cancelled with the group has not failed */
    MUST(hk_load_acquire(&c->gone) == c->n);
    return 0;
}

int main(int argc, char **argv)
{
    crowd c = {.n = argc > 1 ? strtol(argv[1], NULL, 10) : 1000 * 1000};
    long available = available_kib();
    if (available < c.n * KIB_FREE_A_TASK) {
        printf("skipped: %ld KiB of memory are available, %ld are wanted\n", available,
               c.n * KIB_FREE_A_TASK);
        return 0;
    }
    MUST(hank_run(park_all, &c) == 0);
    return 0;
}
