/* SPDX-License-Identifier: MIT */
/* stress_support.h - one seed for all the choices of a program, and what must be so under it. */
#ifndef HK_TESTS_STRESS_SUPPORT_H
#define HK_TESTS_STRESS_SUPPORT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/atomic.h"

static uint64_t seed;
static HK_ATOMIC(uint64_t) drawn;

#define MUST(fact)                                                                                 \
    ((fact) ? (void)0                                                                              \
            : (fprintf(stderr, "%s:%d: not so: %s (seed %llu)\n", __FILE__, __LINE__, #fact,       \
                       (unsigned long long)seed),                                                  \
               abort()))

/* Below n: splitmix64 over a shared counter. */
static inline unsigned draw(unsigned n)
{
    uint64_t x = seed + hk_add_relaxed(&drawn, UINT64_C(0x9e3779b97f4a7c15)); /* only a number */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((x ^ (x >> 31)) % n);
}

static inline bool is_stop(int64_t rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT;
}

#endif
