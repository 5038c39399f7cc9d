/* SPDX-License-Identifier: MIT */
/* topology.h - how many workers this machine is good for, and who is near whom. */
#ifndef HK_SCHED_TOPOLOGY_H
#define HK_SCHED_TOPOLOGY_H

#include <stdint.h>

/* CPUs this process may use: its affinity mask, or fewer if a cgroup's quota says so. At least 1.
 */
unsigned hk_topology_workers(void);

/* For worker `self` of n: the others, nearest first (same core, same cache, same node, the rest),
 * and the CPU it would be pinned to. `ret_victims` has room for n - 1. */
void hk_topology_place(unsigned n, unsigned self, uint16_t *ret_victims, unsigned *ret_cpu);

/* Keep everyone from asking, across a fork(), and let them again. */
void hk_topology_freeze(void);
void hk_topology_thaw(void);

#endif
