/* SPDX-License-Identifier: MIT */
/* bench.c - see bench.h.
 *
 * Every round runs in the same runtime, so all but the first find their stacks and slots warm.
 * Lines are flushed one by one: what a program measured before it was killed is not lost. */
#include "bench.h"

#include <hank.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct session {
    const struct bench *bench;
    unsigned workers;
    int rounds;
    long n;
};

static struct session session; /* one a process: bench_also() must find it */
static int round_now = -1;     /* -1: the round that does not count */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t bench_cpu(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

long bench_resident(void)
{
    long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    if (fscanf(f, "%ld %ld", &total, &resident) != 2)
        resident = 0;
    (void)fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, long n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

static void print(const char *name, const char *suffix, double value, const char *unit)
{
    int round = round_now < 0 ? 0 : round_now;
    printf("R %s%s hank %u %d %.4f %s\n", name, suffix, session.workers, round, value, unit);
    (void)fflush(stdout);
}

void bench_also(const char *name, double value, const char *unit)
{
    if (round_now >= 0)
        print(name, "", value, unit);
}

static int root(void *arg)
{
    (void)arg;
    for (round_now = -1; round_now < session.rounds; round_now++) {
        double value = session.bench->round(session.n);
        if (value < 0)
            return (int)value;
        if (round_now >= 0)
            print(session.bench->name, "", value, session.bench->unit);
        else if (session.bench->cold)
            print(session.bench->name, "_cold", value, session.bench->unit);
    }
    return 0;
}

static long number(int argc, char **argv, int i, long otherwise)
{
    return i < argc ? strtol(argv[i], NULL, 10) : otherwise;
}

int bench_main(int argc, char **argv, const struct bench *bench)
{
    session.bench = bench;
    session.workers = (unsigned)number(argc, argv, 1, 1);
    session.rounds = (int)number(argc, argv, 2, 3);
    session.n = number(argc, argv, 3, bench->n);
    if (session.workers < 1 || session.rounds < 1 || session.n < 1) {
        fprintf(stderr, "usage: %s [WORKERS [ROUNDS [N]]]\n", argv[0]);
        return 2;
    }
    int rc = hank_run_with(root, NULL, .workers = session.workers);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", bench->name, hank_strerror(rc));
    return rc < 0;
}
