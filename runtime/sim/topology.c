/* SPDX-License-Identifier: MIT */
/* topology.c - workers on no particular machine: as many as the options or the seed say, and
 * whoever has nothing to do looks at the others in an order of its own. */
#include "sched/topology.h"

#include "sim/sim.h"

unsigned hk_topology_workers(void)
{
    return hk_sim_workers();
}

void hk_topology_place(unsigned n, unsigned self, uint16_t *ret_victims, unsigned *ret_cpu)
{
    unsigned filled = 0;
    *ret_cpu = self;
    for (unsigned other = 0; other < n; other++) {
        if (other == self)
            continue;
        unsigned place = hk_sim_below(filled + 1);
        ret_victims[filled++] = ret_victims[place];
        ret_victims[place] = (uint16_t)other;
    }
}

/* Nothing here is shared with a process that forks. */
void hk_topology_freeze(void)
{
}

void hk_topology_thaw(void)
{
}
