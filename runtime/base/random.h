/* SPDX-License-Identifier: MIT */
/* random.h - xoshiro256++, a generator of four words, and SplitMix64, which fills them.
 *
 * Source: Blackman, Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47 (2021),
 * doi:10.1145/3460772; Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
 * OOPSLA 2014, doi:10.1145/2660193.2660195. */
#ifndef HK_BASE_RANDOM_H
#define HK_BASE_RANDOM_H

#include <stdint.h>

/* Not shared. Never all zero once it is seeded. */
typedef struct hk_random {
    uint64_t state[4];
} hk_random;

/* The next of a sequence of well-mixed numbers, none of which repeats. */
static inline uint64_t hk_random_mix(uint64_t *position)
{
    uint64_t x = *position += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline void hk_random_seed(hk_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->state[i] = hk_random_mix(&seed);
}

static inline uint64_t hk_random_rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t hk_random_next(hk_random *r)
{
    uint64_t *s = r->state;
    uint64_t result = hk_random_rotate(s[0] + s[3], 23) + s[0];
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = hk_random_rotate(s[3], 45);
    return result;
}

#endif
