/* SPDX-License-Identifier: MIT */
/* random.h - whose generator a draw uses. */
#ifndef HK_SCHED_RANDOM_H
#define HK_SCHED_RANDOM_H

#include <stdint.h>

/* The key of the n-th thing that somebody with this key makes. */
uint64_t hk_random_key_below(uint64_t key, uint64_t n);

/* In a forked child: draw other numbers than the parent. */
void hk_random_forked(void);

#endif
