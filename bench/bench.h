/* SPDX-License-Identifier: MIT */
/* bench.h - the harness of the hank benchmarks: one program a question, one line a round.
 *
 *   fib [WORKERS [ROUNDS [N]]]          R fib hank 2 0 5.312 ns
 *
 * A program describes its question in a struct bench and hands it to bench_main(), which starts a
 * runtime, runs one round that does not count (it maps stacks, fills caches and lets the clock of
 * the CPU rise) and then prints one line for each round that does:
 *
 *   R <bench> <system> <workers> <round> <value> <unit>
 *
 * The peers print the same lines, so run.py can put them side by side. Less is always better. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

struct bench {
    const char *name;
    const char *unit;        /* of what round() returns */
    long n;                  /* how much work a round is, unless the command line says */
    double (*round)(long n); /* runs in the root task; negative: it failed, as an errno */
    bool cold;               /* print the first round as well, as <name>_cold */
};

int bench_main(int argc, char **argv, const struct bench *bench);

/* Monotonic nanoseconds, and CPU nanoseconds of the whole process. */
int64_t bench_now(void);
int64_t bench_cpu(void);

/* Bytes of this process that are in memory now. */
long bench_resident(void);

/* The middle of `n` values, which are sorted on the way. */
double bench_median(double *values, long n);

/* Print a further result of the running round, under another name. */
void bench_also(const char *name, double value, const char *unit);

#endif
