/* SPDX-License-Identifier: MIT */
/* histogram.h - counts of durations, exact to 3 % from a nanosecond to minutes, in 16 KiB.
 *
 * Buckets are linear up to 64 ns; above, each power of two is divided into 32. Adding is a few
 * instructions and never allocates, so the generator does not disturb what it measures.
 * Source: Gil Tene, HdrHistogram. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_LINEAR = 64, HISTOGRAM_BUCKETS = 64 + 32 * 60 };

/* Equation: n is the sum of counts. */
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t n;
    int64_t max;
};

static inline void histogram_add(struct histogram *h, int64_t ns)
{
    uint64_t v = ns > 0 ? (uint64_t)ns : 0;
    uint64_t bucket = v;
    if (v >= HISTOGRAM_LINEAR) {
        unsigned shift = 58u - (unsigned)__builtin_clzll(v); /* leaves 32..63 */
        bucket = HISTOGRAM_LINEAR / 2 * (uint64_t)shift + (v >> shift);
    }
    h->counts[bucket]++;
    h->n++;
    if (ns > h->max)
        h->max = ns;
}

/* The middle of a bucket, in ns. */
static inline double histogram_value(uint64_t bucket)
{
    if (bucket < HISTOGRAM_LINEAR)
        return (double)bucket;
    uint64_t shift = bucket / (HISTOGRAM_LINEAR / 2) - 1;
    uint64_t top = bucket - shift * (HISTOGRAM_LINEAR / 2);
    return ((double)top + 0.5) * (double)(UINT64_C(1) << shift);
}

/* The duration, in ns, that a share of `quantile` of all values does not exceed. */
static inline double histogram_at(const struct histogram *h, double quantile)
{
    uint64_t wanted = (uint64_t)(quantile * (double)h->n), seen = 0;
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > wanted)
            return histogram_value(i);
    }
    return (double)h->max;
}

#endif
