/* SPDX-License-Identifier: MIT */
/* omp_peer.c - the OpenMP peer: tasks, for fork and join only; they cannot wait for events.
 *
 *   PEER BENCH WORKERS [ROUNDS]       one round first that does not count
 *
 * Built twice: with gcc's runtime (libgomp) and with LLVM's (libomp). Both may run a task at once
 * on the spawner's stack, gcc's for all that are spawned when many are waiting: no idiom of OpenMP
 * forbids it, so we do not. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* fib of less than the others: a second, and not ten. The figure is for one task. */
enum { FIB_N = 27, FIB_VALUE = 196418, FIB_SPAWNED = 317810, TASKS = 1000000, BATCH = 1000 };

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(long value, long expected)
{
    if (value == expected)
        return;
    fprintf(stderr, "%ld is not %ld\n", value, expected);
    exit(1);
}

static long fib(long n)
{
    long there, here;
    if (n < 2)
        return n;
#pragma omp task shared(there) firstprivate(n)
    there = fib(n - 1);
    here = fib(n - 2);
#pragma omp taskwait
    return there + here;
}

static long skynet(long number, long leaves)
{
    long sums[10], share = leaves / 10, sum = 0;
    if (leaves == 1)
        return number;
    for (long i = 0; i < 10; i++) {
#pragma omp task shared(sums) firstprivate(i, number, share)
        sums[i] = skynet(number + i * share, share);
    }
#pragma omp taskwait
    for (int i = 0; i < 10; i++)
        sum += sums[i];
    return sum;
}

static void spawn_join(long batch)
{
    for (long done = 0; done < TASKS; done += batch) {
        for (long i = 0; i < batch; i++) {
#pragma omp task
            __asm__ volatile("");
        }
#pragma omp taskwait
    }
}

/* In the unit that is named; 0: there is no such benchmark. */
static double measure(const char *name, const char **ret_unit)
{
    double start = now_ns();
    *ret_unit = "ns";
    if (strcmp(name, "fib") == 0) {
        check(fib(FIB_N), FIB_VALUE);
        return (now_ns() - start) / FIB_SPAWNED;
    }
    if (strcmp(name, "skynet") == 0) {
        check(skynet(0, TASKS), 499999500000);
        *ret_unit = "ms";
        return (now_ns() - start) / 1e6;
    }
    if (strcmp(name, "spawn_join") != 0 && strcmp(name, "spawn_batch") != 0)
        return 0;
    spawn_join(strcmp(name, "spawn_join") == 0 ? TASKS : BATCH);
    return (now_ns() - start) / TASKS;
}

int main(int argc, char **argv)
{
    int workers = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1;
    int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 3;
    double value = 0;
    const char *unit = "";
    if (argc < 2 || workers < 1)
        return 2;
    omp_set_num_threads(workers);
    for (int round = -1; round < rounds; round++) {
#pragma omp parallel
#pragma omp single
        value = measure(argv[1], &unit);
        if (value <= 0) {
            fprintf(stderr, "unknown benchmark %s\n", argv[1]);
            return 2;
        }
        if (round >= 0)
            printf("R %s openmp %d %d %.4f %s\n", argv[1], workers, round, value, unit);
        (void)fflush(stdout);
    }
    return 0;
}
