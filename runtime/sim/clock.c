/* SPDX-License-Identifier: MIT */
/* clock.c - virtual time, and chance. */
#include "base/os.h"
#include "sim/sim.h"

enum { READ_NS_MAX = 50 }; /* the price of looking at the clock */

int64_t hk_os_now(void)
{
    hk_sim_access(); /* who waits for a time by looking must let others run */
    hk_sim_pass(hk_sim_between(1, READ_NS_MAX));
    return hk_sim_now();
}

/* Here no task computes while time passes: nobody is held up. */
void hk_os_nap(const int *fds, unsigned n, int64_t ns)
{
    (void)fds, (void)n;
    hk_os_sleep(ns);
}

void hk_os_sleep(int64_t ns)
{
    hk_sim_call();
    int64_t late = hk_sim_between(0, hk_sim_temper_now.late_max);
    hk_sim_note("sleep", ns, late);
    (void)hk_sim_wait(hk_sim_self(), "a sleep", hk_sim_now() + (ns > 0 ? ns : 0) + late);
}

void hk_os_yield(void)
{
    hk_sim_give_way();
}

uint64_t hk_os_random(void)
{
    return hk_sim_draw();
}
