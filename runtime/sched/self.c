/* SPDX-License-Identifier: MIT */
/* self.c - which worker is this thread?
 *
 * A file of its own, so that no caller can be compiled together with it: a task may go on on
 * another thread after any wait, and a compiler that knew this function would keep its answer, or
 * the address behind it, across the wait. */
#include "sched/park.h"
#include "sched/task.h"
#include "sched/thread.h"
#include "sched/worker.h"

static HK_THREAD_LOCAL hk_worker *self;

HK_THREAD_ACCESSOR hk_worker *hk_worker_self(void)
{
    return self;
}

HK_THREAD_ACCESSOR hk_sleeper *hk_park_self(void)
{
    return self && self->current ? &self->current->sleeper : &hk_thread_self()->sleeper;
}

HK_THREAD_ACCESSOR void hk_worker_set_self(hk_worker *w)
{
    self = w;
}
