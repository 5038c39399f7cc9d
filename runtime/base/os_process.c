/* SPDX-License-Identifier: MIT */
/* os_process.c - the system calls of threads without signals, and of other processes. */
#include "base/os.h"

int hk_os_thread_start_quietly(pthread_t *ret_thread, void *(*body)(void *), void *arg)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)hk_os_signal_mask(SIG_SETMASK, &all, &before); /* valid arguments: cannot fail */
    int rc = hk_os_thread_start(ret_thread, body, arg);
    (void)hk_os_signal_mask(SIG_SETMASK, &before, NULL);
    return rc;
}
