/* SPDX-License-Identifier: MIT */
/* seed.c - every choice comes from here, in the order in which it is asked for.
 *
 * Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014,
 * doi:10.1145/2660193.2660195 (SplitMix). */
#include "sim/sim.h"

static uint64_t state;

void hk_sim_seed(uint64_t seed)
{
    state = seed;
    for (int i = 0; i < 4; i++) /* so that neighbours have nothing in common */
        state = hk_sim_draw() ^ seed;
}

uint64_t hk_sim_draw(void)
{
    uint64_t x = state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint32_t hk_sim_below(uint32_t n)
{
    return (uint32_t)((hk_sim_draw() >> 32) * n >> 32);
}

bool hk_sim_chance(unsigned per_mille)
{
    return per_mille > 0 && hk_sim_below(1000) < per_mille;
}

int64_t hk_sim_between(int64_t low, int64_t high)
{
    if (high <= low)
        return low;
    return low + (int64_t)(hk_sim_draw() % (uint64_t)(high - low + 1));
}

int64_t hk_sim_skewed(int64_t low, int64_t high)
{
    unsigned powers = 1;
    while (powers < 62 && low << powers < high)
        powers++;
    int64_t from = low << hk_sim_below(powers);
    int64_t to = from * 2 < high ? from * 2 : high;
    return hk_sim_between(from, to);
}
