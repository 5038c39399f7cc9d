/* SPDX-License-Identifier: MIT */
/* memory.c - memory, signals and the process, as far as base/os_local.c does not have them: real
 * ones. They draw nothing and are no point where others go on, because how many such calls there
 * are depends on what the real system says. */
#include <errno.h>

#include "base/os.h"
#include "sim/sim.h"

int hk_os_map(size_t bytes, void **ret_base)
{
    void *base = hk_sim_host_map(bytes);
    if (!base)
        return -ENOMEM;
    *ret_base = base;
    return 0;
}

ssize_t hk_os_advise_many(const struct iovec *ranges, size_t n, int advice)
{
    (void)ranges, (void)n, (void)advice;
    return -ENOSYS; /* one by one, then */
}

/* Only the real thread's own alternate stack is one; those of simulated threads are remembered. A
 * fault finds the first. */
int hk_os_signal_stack(const stack_t *stack, stack_t *ret_old)
{
    hk_sim_thread *self = hk_sim_self();
    if (!self || !self->stack)
        return hk_sim_host_signal_stack(stack, ret_old);
    if (ret_old)
        *ret_old = self->signal_stack;
    if (stack)
        self->signal_stack = *stack;
    return 0;
}

/* No signal is sent in the simulation, so there is nothing to block; the real thread's mask is not
 * a simulated one's to change. */
int hk_os_signal_mask(int how, const sigset_t *set, sigset_t *ret_old)
{
    (void)how, (void)set;
    if (ret_old)
        (void)sigemptyset(ret_old);
    return 0;
}

int64_t hk_os_process_id(void)
{
    return 1; /* there is only one process, and the real number would differ from run to run */
}
