/* SPDX-License-Identifier: MIT */
/* background.c - a runtime beside the program: a thread that does what hank_run() does.
 *
 *   STARTING --main runs, or was stopped before--> RUNS --all joined--> ENDED --> freed
 *       \--it cannot--> FAILED
 *
 * Its main function only waits to be cancelled, so that to stop is to cancel, as it is for every
 * task. What is started from outside is in guest.c. */
#include <hank/runtime.h>

#include <errno.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/os.h"
#include "fiber/stack.h"
#include "sched/fork.h"
#include "sched/inspect.h"
#include "sched/park.h"
#include "sched/runtime.h"
#include "sched/worker.h"

static hk_runtime *of(hank_runtime *rt)
{
    return (hk_runtime *)(void *)rt;
}

hank_runtime *hank_runtime_current(void)
{
    hk_worker *w = hk_worker_self();
    return w && w->current ? (hank_runtime *)(void *)w->runtime : NULL;
}

static bool is_own_task(hk_runtime *rt)
{
    return of(hank_runtime_current()) == rt;
}

/* --- start --------------------------------------------------------------------------------- */

static int wait_for_stop(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_FOREVER) == -ECANCELED ? 0 : -EINTR;
}

static void move_life(hk_runtime *rt, uint32_t life)
{
    hk_store_release(&rt->life, life); /* [runtime:life] release: what led here */
    (void)hk_os_futex_wake(&rt->life, 1);
}

void hk_runtime_say_started(hk_runtime *rt, int result)
{
    rt->start_result = result;
    move_life(rt, result < 0 ? HK_LIFE_FAILED : HK_LIFE_RUNS);
}

/* All has ended: wake who waits, who may then free the runtime but joins this thread first. */
static void say_ended(hk_runtime *rt)
{
    hk_node *node;
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    hk_store_relaxed(&rt->life, (uint32_t)HK_LIFE_ENDED); /* the lock orders */
    while ((node = hk_list_pop_front(&rt->ended)) != NULL)
        (void)hk_wake(hk_container_of(node, hk_waiter, link)->ticket, 0); /* or it was stopped */
    hk_lock_drop(&rt->lock);
}

static void *thread_main(void *arg)
{
    hk_runtime *rt = arg;
    hk_os_thread_name("hank-0");
    (void)hk_stack_thread_enter(); /* without it an overflow is found, but not named */
    (void)hk_runtime_run(rt);      /* how main ended says nothing: it is ours */
    hk_stack_thread_leave();
    if (rt->start_result == 0)
        say_ended(rt);
    return NULL;
}

int hank_runtime_start(const hank_options *options, hank_runtime **ret)
{
    if (!ret)
        return -EINVAL;
    hk_runtime *rt = hk_alloc_zeroed(sizeof *rt);
    if (!rt)
        return -ENOMEM;
    rt->background = true;
    rt->main_fn = wait_for_stop;
    rt->detached.flags = HANK_KEEP_GOING;
    hk_panic_set_hook(hk_inspect_panic);
    int rc = hk_runtime_check_options(rt, options);
    if (rc < 0)
        goto free_runtime;
    rt->process = hk_fork_runtime_starts();
    rc = hk_os_thread_start(&rt->thread, thread_main, rt);
    if (rc < 0)
        goto not_live;
    /* [runtime:life] acquire: start_result. */
    while (hk_load_acquire(&rt->life) == HK_LIFE_STARTING)
        (void)hk_os_futex_wait(&rt->life, HK_LIFE_STARTING, -1); /* looks again */
    rc = rt->start_result;
    if (rc == 0) {
        *ret = (hank_runtime *)(void *)rt;
        return 0;
    }
    (void)hk_os_thread_join(rt->thread); /* it was started */
not_live:
    hk_fork_runtime_ended();
free_runtime:
    hk_free(rt, sizeof *rt);
    return rc;
}

/* --- stop ---------------------------------------------------------------------------------- */

int hank_runtime_stop(hank_runtime *public)
{
    if (!public)
        return -EINVAL;
    if (hk_runtime_left_behind(of(public)))
        return -ESHUTDOWN;
    hk_runtime_stop_because(of(public), HK_STOP_ASKED);
    return 0;
}

/* 0: the waiter is in the list; 1: it has ended. */
static int enter(hk_runtime *rt, hk_waiter *w)
{
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    bool over = hk_load_relaxed(&rt->life) == HK_LIFE_ENDED; /* the lock orders */
    if (!over)
        hk_list_push_back(&rt->ended, &w->link);
    hk_lock_drop(&rt->lock);
    return over;
}

static void leave(hk_runtime *rt, hk_waiter *w)
{
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    if (hk_node_linked(&w->link))
        hk_list_remove(&w->link);
    hk_lock_drop(&rt->lock);
}

static int wait_for_end(hk_runtime *rt, unsigned state)
{
    hk_waiter w = {0};
    hk_park_begin(&w, state);
    if (enter(rt, &w)) {
        hk_park_give_up(&w);
        return 0;
    }
    int rc = hk_park(&w, HK_FOREVER, "end of a runtime");
    if (rc < 0)
        leave(rt, &w);
    return rc;
}

static int check_waiter(hk_runtime *rt)
{
    if (hk_runtime_left_behind(rt))
        return -ESHUTDOWN;
    return is_own_task(rt) ? -EDEADLK : rt->background ? 0 : -EINVAL;
}

int hank_runtime_wait(hank_runtime *public)
{
    if (!public)
        return -EINVAL;
    int rc = check_waiter(of(public));
    if (rc == 0)
        rc = hk_checkpoint();
    return rc < 0 ? rc : wait_for_end(of(public), HK_WAITING);
}

int hank_runtime_free(hank_runtime *public)
{
    hk_runtime *rt = of(public);
    if (!rt)
        return 0;
    int rc = check_waiter(rt);
    if (rc == 0)
        rc = hk_park_ready();
    if (rc < 0)
        return rc;
    hk_runtime_stop_because(rt, HK_STOP_ASKED);
    (void)wait_for_end(rt, HK_WAITING_FIRMLY); /* firm: only the end ends it */
    (void)hk_os_thread_join(rt->thread);       /* it is at its last instructions: cannot fail */
    hk_fork_runtime_ended();
    hk_free(rt, sizeof *rt);
    return 0;
}
