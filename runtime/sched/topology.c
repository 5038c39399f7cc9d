/* SPDX-License-Identifier: MIT */
/* topology.c - hwloc's answers, asked once a process.
 *
 * Worker i belongs to the i-th allowed CPU in hwloc's order, which puts neighbours side by side;
 * with more workers than CPUs they wrap around. The distance of two workers is how far up the tree
 * their CPUs' first common ancestor is. */
#include "sched/topology.h"

#include <hwloc.h>

#include "base/lock.h"
#include "sched/quota.h"

enum { CPUS_MAX = 1024 };

static hk_lock lock;
static hwloc_topology_t topology HK_GUARDED_BY(lock);
static hwloc_obj_t cpus[CPUS_MAX] HK_GUARDED_BY(lock);
static unsigned cpus_n HK_GUARDED_BY(lock);

void hk_topology_freeze(void)
{
    hk_lock_freeze(&lock);
}

void hk_topology_thaw(void)
{
    hk_lock_thaw(&lock);
}

/* Called with the lock held. Without a topology there is one CPU and no distance. */
static void load(void)
{
    if (topology || hwloc_topology_init(&topology) != 0)
        return;
    if (hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        topology = NULL;
        return;
    }
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    if (!allowed)
        return;
    if (hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_THREAD) != 0)
        hwloc_bitmap_copy(allowed, hwloc_topology_get_allowed_cpuset(topology));
    int all = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    for (int i = 0; i < all && cpus_n < CPUS_MAX; i++) {
        hwloc_obj_t pu = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, (unsigned)i);
        if (hwloc_bitmap_isset(allowed, pu->os_index))
            cpus[cpus_n++] = pu;
    }
    hwloc_bitmap_free(allowed);
}

unsigned hk_topology_workers(void)
{
    hk_lock_take(&lock, HK_RANK_RUNTIME);
    load();
    unsigned n = cpus_n;
    hk_lock_drop(&lock);
    unsigned limit = hk_quota_cpus("");
    if (limit > 0 && limit < n)
        n = limit;
    return n > 0 ? n : 1;
}

/* How far up from a to the first ancestor they share. Called with the lock held. */
static int distance(unsigned a, unsigned b)
{
    if (cpus_n == 0)
        return 0;
    hwloc_obj_t x = cpus[a % cpus_n], y = cpus[b % cpus_n];
    hwloc_obj_t common = hwloc_get_common_ancestor_obj(topology, x, y);
    return common ? x->depth - common->depth : 0;
}

void hk_topology_place(unsigned n, unsigned self, uint16_t *ret_victims, unsigned *ret_cpu)
{
    hk_lock_take(&lock, HK_RANK_RUNTIME);
    load();
    *ret_cpu = cpus_n ? cpus[self % cpus_n]->os_index : 0;
    unsigned filled = 0;
    /* Starting after oneself, so that not everybody turns to worker 0 first. Insertion keeps that
     * order among the equally near. */
    for (unsigned step = 1; step < n; step++) {
        unsigned other = (self + step) % n;
        unsigned place = filled++;
        int far = distance(self, other);
        for (; place > 0 && distance(self, ret_victims[place - 1]) > far; place--)
            ret_victims[place] = ret_victims[place - 1];
        ret_victims[place] = (uint16_t)other;
    }
    hk_lock_drop(&lock);
}
