/* SPDX-License-Identifier: MIT */
/* topology_test.c - how many workers, and whom each of them turns to. */
#include "sched/topology.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdbool.h>
#include <unistd.h>

enum { MOST = 200 };

Test(topology, has_a_worker_for_each_cpu_at_most_and_one_at_least)
{
    cpu_set_t allowed;
    cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    cr_expect_geq(hk_topology_workers(), 1);
    cr_expect_leq(hk_topology_workers(), (unsigned)CPU_COUNT(&allowed));
    cr_expect_eq(hk_topology_workers(), hk_topology_workers());
}

Test(topology, counts_only_the_cpus_this_process_may_use)
{
    cpu_set_t allowed, one;
    cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    CPU_ZERO(&one);
    size_t cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &allowed))
        cpu--;
    CPU_SET(cpu, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_expect_eq(hk_topology_workers(), 1);
    uint16_t victims[3];
    unsigned its = 99;
    for (unsigned self = 0; self < 4; self++) {
        hk_topology_place(4, self, victims, &its);
        cr_expect_eq(its, (unsigned)cpu);
    }
}

Test(topology, gives_each_worker_every_other_once_and_a_cpu_it_may_use)
{
    static const unsigned sizes[] = {1, 2, 3, 8, 64, MOST};
    cpu_set_t allowed;
    cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        unsigned n = sizes[s];
        for (unsigned self = 0; self < n; self += n / 3 + 1) {
            uint16_t victims[MOST];
            bool seen[MOST] = {false};
            unsigned cpu = CPU_SETSIZE;
            hk_topology_place(n, self, victims, &cpu);
            cr_assert_lt(cpu, CPU_SETSIZE);
            cr_expect(CPU_ISSET(cpu, &allowed));
            for (unsigned i = 0; i + 1 < n; i++) {
                cr_assert_lt(victims[i], n);
                cr_assert_neq(victims[i], self);
                cr_assert_not(seen[victims[i]]);
                seen[victims[i]] = true;
            }
        }
    }
}

/* Two on one CPU are as near as can be: with twice as many workers as CPUs, the one that shares
 * ours comes first. */
Test(topology, puts_the_nearest_first)
{
    unsigned cpus[MOST], n = 2 * (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    uint16_t victims[MOST];
    cr_assert_leq(n, MOST);
    for (unsigned i = 0; i < n; i++)
        hk_topology_place(n, i, victims, &cpus[i]);
    for (unsigned i = 0; i < n; i++) {
        unsigned own;
        hk_topology_place(n, i, victims, &own);
        bool shared = false;
        for (unsigned k = 0; k < n; k++)
            shared = shared || (k != i && cpus[k] == own);
        cr_expect(!shared || cpus[victims[0]] == own, "worker %u", i);
    }
}
