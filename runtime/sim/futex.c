/* SPDX-License-Identifier: MIT */
/* futex.c - sleeping on a word, with every way in which such a sleep may end. */
#include <errno.h>

#include "base/os.h"
#include "sim/sim.h"

int hk_os_futex_wait(HK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t timeout_ns)
{
    if (timeout_ns == 0) /* somebody asks whether the memory is there: guard.c */
        return hk_sim_host_probe(word, expected);
    hk_sim_call();
    hk_sim_hold();
    bool is_expected = hk_load_relaxed(word) == expected; /* relaxed: one thread plays all */
    hk_sim_release();
    if (!is_expected)
        return 0;
    bool interrupted = hk_sim_chance(hk_sim_temper_now.interrupts);
    int64_t until = HK_SIM_NEVER;
    if (interrupted)
        until = hk_sim_now() + hk_sim_skewed(100, 1000 * 1000);
    else if (timeout_ns > 0)
        until = hk_sim_now() + timeout_ns + hk_sim_between(0, hk_sim_temper_now.late_max);
    bool woken = hk_sim_wait(word, "a futex", until);
    hk_sim_note("futex_wait", woken, interrupted);
    if (woken)
        return 0;
    if (interrupted)
        return hk_sim_below(2) ? -EINTR : 0;
    return -ETIMEDOUT;
}

int hk_os_futex_wake(HK_ATOMIC(uint32_t) * word, int n)
{
    hk_sim_call();
    int woken = hk_sim_wake(word, n);
    hk_sim_note("futex_wake", n, woken);
    return woken;
}
