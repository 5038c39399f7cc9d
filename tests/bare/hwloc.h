/* SPDX-License-Identifier: MIT */
/* hwloc.h - a flat machine in place of hwloc's: the CPUs this process may use, side by side. For
 * the HANK_BARE configurations, whose CPU or tool has no hwloc. */
#ifndef HK_TESTS_BARE_HWLOC_H
#define HK_TESTS_BARE_HWLOC_H

#include <sched.h>
#include <stddef.h>

typedef struct hwloc_obj {
    unsigned os_index;
    int depth;
} * hwloc_obj_t;

typedef struct hwloc_topology {
    struct hwloc_obj machine;
    struct hwloc_obj pu[CPU_SETSIZE];
} * hwloc_topology_t;

typedef cpu_set_t *hwloc_bitmap_t;
typedef const cpu_set_t *hwloc_const_bitmap_t;

enum { HWLOC_CPUBIND_THREAD = 1, HWLOC_OBJ_PU = 1 };

static struct hwloc_topology bare_topology;
static cpu_set_t bare_allowed;

static inline int hwloc_topology_init(hwloc_topology_t *ret_topology)
{
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        bare_topology.pu[i] = (struct hwloc_obj){.os_index = i, .depth = 1};
    *ret_topology = &bare_topology;
    return 0;
}

static inline int hwloc_topology_load(hwloc_topology_t t)
{
    (void)t;
    return sched_getaffinity(0, sizeof bare_allowed, &bare_allowed);
}

static inline void hwloc_topology_destroy(hwloc_topology_t t)
{
    (void)t;
}

static inline hwloc_bitmap_t hwloc_bitmap_alloc(void)
{
    return &bare_allowed;
}

static inline void hwloc_bitmap_free(hwloc_bitmap_t set)
{
    (void)set;
}

static inline int hwloc_bitmap_isset(hwloc_const_bitmap_t set, unsigned i)
{
    return CPU_ISSET(i, set) != 0;
}

static inline int hwloc_bitmap_copy(hwloc_bitmap_t to, hwloc_const_bitmap_t from)
{
    *to = *from;
    return 0;
}

static inline hwloc_const_bitmap_t hwloc_topology_get_allowed_cpuset(hwloc_topology_t t)
{
    (void)t;
    return &bare_allowed;
}

static inline int hwloc_get_cpubind(hwloc_topology_t t, hwloc_bitmap_t ret_set, int flags)
{
    (void)t;
    (void)flags;
    return sched_getaffinity(0, sizeof *ret_set, ret_set);
}

static inline int hwloc_get_nbobjs_by_type(hwloc_topology_t t, int type)
{
    (void)t;
    (void)type;
    return CPU_SETSIZE;
}

static inline hwloc_obj_t hwloc_get_obj_by_type(hwloc_topology_t t, int type, unsigned i)
{
    (void)type;
    return &t->pu[i];
}

static inline hwloc_obj_t hwloc_get_common_ancestor_obj(hwloc_topology_t t, hwloc_obj_t a,
                                                        hwloc_obj_t b)
{
    return a == b ? a : &t->machine;
}

#endif
