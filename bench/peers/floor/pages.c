/* SPDX-License-Identifier: MIT */
/* pages.c - the floor of bench/sleepers.c: touch one fresh page for each of n tasks.
 *
 *   pages sleepers WORKERS [ROUNDS [N]]
 *
 * A task with a stack of its own needs at least one page of it, 64 KiB apart from the next. How
 * long the kernel takes to give those pages is sleepers_cold; touching them again is sleepers.
 * WORKERS threads share the work. The second that the tasks sleep has no counterpart here. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { STACK_BYTES = 64 * 1024, THREADS_MAX = 64 };

struct share {
    char *first;
    size_t n;
};

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *touch(void *arg)
{
    const struct share *share = arg;
    for (size_t i = 0; i < share->n; i++)
        share->first[(i + 1) * STACK_BYTES - 64]++; /* a stack begins at its upper end */
    return NULL;
}

static double touch_all(char *base, size_t n, size_t threads)
{
    struct share shares[THREADS_MAX];
    pthread_t handles[THREADS_MAX];
    size_t each = n / threads;
    double start = now_s();
    for (size_t i = 0; i < threads; i++) {
        size_t first = i * each;
        shares[i] = (struct share){base + first * STACK_BYTES, i + 1 < threads ? each : n - first};
        if (pthread_create(&handles[i], NULL, touch, &shares[i]) != 0)
            exit(1);
    }
    for (size_t i = 0; i < threads; i++)
        (void)pthread_join(handles[i], NULL);
    return now_s() - start;
}

int main(int argc, char **argv)
{
    size_t threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
    size_t n = argc > 4 ? strtoul(argv[4], NULL, 10) : 1000000;
    if (threads < 1 || threads > THREADS_MAX || n < threads)
        return 2;
    char *base = mmap(NULL, n * STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return 1;
    printf("R sleepers_cold pages %zu -1 %.4f s\n", threads, touch_all(base, n, threads));
    for (long round = 0; round < rounds; round++)
        printf("R sleepers pages %zu %ld %.4f s\n", threads, round, touch_all(base, n, threads));
    return 0;
}
