/* SPDX-License-Identifier: MIT */
/* random.h - random numbers that just work, in every task and thread.
 *
 * Fast and of good quality, and not for secrets: who sees some can compute the others.
 *
 * Usually each worker and each thread has a generator of its own, seeded by the system. With
 * hank_options.seed each task has one, and its numbers depend on the seed and on the task's place
 * in the tree alone: on who spawned it, and as which of its children, but not on the worker it runs
 * on, nor on how many there are. So a program whose tasks spawn and draw in an order of their own
 * draws the same numbers in every run. What comes from outside, by hank_spawn_into() or
 * hank_call_into(), is counted in the order in which it comes. */
#ifndef HANK_RANDOM_H
#define HANK_RANDOM_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 64 random bits.
 *
 *   result      every number is as likely as any other
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        some nanoseconds */
HANK_API uint64_t hank_random(void);

/* A number below n, without a bias.
 *
 *   result      0 .. n - 1; 0 for n == 0
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API uint64_t hank_random_below(uint64_t n);

/* A number from low to high, both included, without a bias.
 *
 *   result      low .. high; low if high < low
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int64_t hank_random_between(int64_t low, int64_t high);

/* A fraction: one of 2^53 that are equally far apart.
 *
 *   result      >= 0 and < 1
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API double hank_random_double(void);

#ifdef __cplusplus
}
#endif
#endif
