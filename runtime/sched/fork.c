/* SPDX-License-Identifier: MIT */
/* fork.c - before a fork(), and after it in parent and child.
 *
 * What the process shares, slabs of tasks and stacks and sources, is locked over the fork, so that
 * a runtime started in the child finds it whole. What the parent's runtimes own is left where it
 * is: the child may look at it, and nobody runs it.
 *
 * Rejected: making the child's copy of a runtime work again (its tasks may hold what other
 * processes now also hold), and refusing to fork (libraries do it without asking). */
#include "sched/fork.h"

#include <pthread.h>

#include "base/os.h"
#include "fiber/stack.h"
#include "reactor/reactor.h"
#include "sched/envelope.h"
#include "sched/guest.h"
#include "sched/keeper.h"
#include "sched/random.h"
#include "sched/signal.h"
#include "sched/task.h"
#include "sched/thread.h"
#include "sched/topology.h"
#include "sched/worker.h"

static HK_ATOMIC(uint32_t) live; /* runtimes of this process */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before(void)
{
    hk_topology_freeze();
    hk_keeper_freeze();
    hk_guest_freeze();
    hk_signal_freeze();
    hk_source_freeze();
    hk_lock_freeze(&hk_task_slab.lock);
    hk_thread_freeze();
    hk_envelope_freeze();
    hk_stack_freeze();
    hk_sample_freeze();
}

static void let_go(void)
{
    hk_sample_thaw();
    hk_stack_thaw();
    hk_envelope_thaw();
    hk_thread_thaw();
    hk_lock_thaw(&hk_task_slab.lock);
    hk_source_thaw();
    hk_signal_thaw();
    hk_guest_thaw();
    hk_keeper_thaw();
    hk_topology_thaw();
}

static void in_child(void)
{
    hk_worker *w = hk_worker_self();
    let_go();
    (void)hk_add_relaxed(&hk_fork_process, 1u); /* relaxed all: there is no other thread */
    hk_random_forked();
    hk_signal_forked(); /* before the keeper, whose handlers may be beneath */
    if (hk_load_relaxed(&live) == 0)
        return;
    hk_store_relaxed(&live, 0u);
    hk_keeper_forked();
    hk_sample_forked();
    hk_store_relaxed(&hk_fork_orphaned, true);
    if (w && w->current)
        hk_task_add_trait(w->current, HK_TRAIT_PARENT); /* so that its return is looked at */
    hk_worker_set_self(NULL);
}

static void watch(void)
{
    (void)hk_os_at_fork(before, let_go, in_child); /* no memory: children are on their own */
}

void hk_fork_watch(void)
{
    (void)pthread_once(&once, watch); /* cannot fail */
}

uint32_t hk_fork_runtime_starts(void)
{
    hk_fork_watch();
    (void)hk_add_relaxed(&live, 1u); /* relaxed: who forks meanwhile cannot expect either */
    hk_store_relaxed(&hk_fork_orphaned, false); /* before any thread of ours exists */
    return hk_fork_here();
}

void hk_fork_runtime_ended(void)
{
    (void)hk_sub_relaxed(&live, 1u); /* as above */
}
