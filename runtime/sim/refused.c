/* SPDX-License-Identifier: MIT */
/* refused.c - what the simulated machine does not have: a ring of operations, for which hank uses
 * epoll instead. Each call says so, and docs/simulation.md does; tests/sim/seam_test.py counts
 * them. */
#include <errno.h>

#include "base/os.h"

int hk_os_uring_setup(unsigned entries, struct io_uring_params *params)
{
    (void)entries, (void)params;
    return -ENOSYS;
}

int hk_os_uring_map(int ring, uint64_t what, size_t bytes, void **ret_base)
{
    (void)ring, (void)what, (void)bytes, (void)ret_base;
    return -ENOSYS;
}

int hk_os_uring_enter(int ring, unsigned submit, unsigned wait_for, int64_t timeout_ns)
{
    (void)ring, (void)submit, (void)wait_for, (void)timeout_ns;
    return -ENOSYS;
}

int hk_os_uring_register(int ring, unsigned what, void *arg, unsigned n)
{
    (void)ring, (void)what, (void)arg, (void)n;
    return -ENOSYS;
}
