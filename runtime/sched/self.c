/* SPDX-License-Identifier: MIT */
/* self.c - which worker is this thread?
 *
 * A file of its own, so that no caller can be compiled together with its accessors: a task may go
 * on on another thread after any wait, and a compiler that knew them would keep their answer, or
 * the address behind it, across the wait. */
#include "sched/self.h"

#include "sched/thread.h"

HK_THREAD_LOCAL hk_worker *hk_worker_here;

#ifndef HK_READ_THREAD_POINTER
HK_THREAD_ACCESSOR hk_worker *hk_worker_self(void)
{
    return hk_worker_here;
}
#endif

hk_sleeper *hk_park_self_outside(void)
{
    return &hk_thread_self()->sleeper;
}

HK_THREAD_ACCESSOR void hk_worker_set_self(hk_worker *w)
{
    hk_worker_here = w;
}
