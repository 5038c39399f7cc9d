/* SPDX-License-Identifier: MIT */
/* runtime.c - start, run the first task, stop: each in numbered steps, undone backwards.
 *
 * Start   1 check options  2 memory  3 workers (deque, reactor, place)  4 overflow handler
 *         5 threads for workers 1 .. n-1  6 the monitor, the keeper  7 the caller becomes worker 0
 * Stop    1 main has ended, and its children  2 nobody comes in from outside any more; detached
 *         tasks and guests are cancelled and joined, and what they failed with is reported
 *         3 `stopping` is set and everybody woken  4 workers leave their loops  5 the monitor ends
 *         6 at-stop functions, the last one first  7 the keeper ends, and with it the watch over
 *         how long all this takes  8 memory */
#include "sched/runtime.h"

#include <hank/base.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/os.h"
#include "fiber/stack.h"
#include "sched/envelope.h"
#include "sched/fork.h"
#include "sched/group.h"
#include "sched/guest.h"
#include "sched/inspect.h"
#include "sched/keeper.h"
#include "sched/monitor.h"
#include "sched/task.h"
#include "sched/topology.h"
#include "sched/worker.h"

enum { BLOCKING_MAX = 1024 };

/* --- the first task ------------------------------------------------------------------------ */

static void stop(hk_runtime *rt, int result)
{
    rt->main_result = result;
    hk_store_release(&rt->stopping, true); /* [runtime:stopping] release: nothing is left to run */
    hk_idle_wake_all(rt);
}

void hk_runtime_cannot_start(hk_runtime *rt)
{
    hk_runtime_say_started(rt, -ENOMEM);
    stop(rt, -ENOMEM);
}

static int run_main(void *arg)
{
    hk_runtime *rt = arg;
    hk_runtime_say_started(rt, 0); /* not before: there may be no memory for a stack */
    int result = rt->main_fn(rt->main_arg);
    hk_keeper_note_ending(rt);
    return result;
}

/* From here on a stop reaches main; one that came before does now. */
static void show_main(hk_runtime *rt, hank_task main)
{
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    rt->main = main;
    if (rt->stop_reasons)
        (void)hank_cancel(main);
    hk_lock_drop(&rt->lock);
}

/* main has ended; a signal that alone has cancelled it shows in the result. */
static int hide_main(hk_runtime *rt, int result)
{
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    rt->main = (hank_task){0};
    if (result == -ECANCELED && rt->stop_reasons == HK_STOP_SIGNAL)
        result = -EINTR;
    hk_lock_drop(&rt->lock);
    return result;
}

void hk_runtime_stop_because(hk_runtime *rt, unsigned reason)
{
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    rt->stop_reasons |= reason;
    (void)hank_cancel(rt->main); /* stale: not there yet, or has ended */
    hk_lock_drop(&rt->lock);
    hk_keeper_note_ending(rt);
}

/* Runs the user's function as its child, so that what it leaves behind has ended before this goes
 * on to those that were detached. */
static int first_task(void *arg)
{
    hk_runtime *rt = arg;
    hank_task main = hank_spawn_with(run_main, rt, .name = "main");
    show_main(rt, main);
    int result = hide_main(rt, hank_await(main));
    if (hk_load_relaxed(&rt->life) == HK_LIFE_STARTING) /* main, joined by now, has not begun */
        hk_runtime_say_started(rt, result == -ENOMEM ? result : 0);
    hk_group_close(&rt->detached);
    hank_group_cancel(&rt->detached);
    (void)hank_group_wait(&rt->detached); /* their failures went to the hook */
    hk_guest_reap(rt);
    stop(rt, result);
    return 0;
}

/* --- starting and stopping ----------------------------------------------------------------- */

static int choose_backend(hk_runtime *rt, hank_reactor wanted)
{
    static const char *const names[] = {
        [HANK_AUTO] = "", [HANK_EPOLL] = "epoll", [HANK_URING] = "uring"};
    if ((unsigned)wanted >= sizeof names / sizeof *names)
        return -EINVAL;
    const char *name = names[wanted];
    const char *said = hk_os_environment("HANK_REACTOR");
    if (wanted == HANK_AUTO && said && *said && strcmp(said, "auto") != 0)
        name = said;
    rt->backend = hk_reactor_backend(name);
    return rt->backend ? 0 : -ENOSYS;
}

int hk_runtime_check_options(hk_runtime *rt, const hank_options *options)
{
    if (options)
        rt->options = *options;
    hank_options *o = &rt->options;
    if (o->workers > HK_WORKERS_MAX || o->blocking_threads > BLOCKING_MAX)
        return -EINVAL;
    if (o->leftovers_after < 0 || o->slow_task < 0 || o->signals > HANK_SIGNALS_NEVER)
        return -EINVAL;
    if (o->stack_size == 0)
        o->stack_size = HK_STACK_DEFAULT;
    int size_class = hk_stack_class(o->stack_size);
    if (size_class < 0)
        return -EINVAL;
    rt->stack_class = (uint8_t)size_class;
    if (o->blocking_threads == 0)
        o->blocking_threads = HK_BLOCKING_DEFAULT;
    rt->watched = hk_envelope_for_all(o);
    rt->n = o->workers ? o->workers : hk_topology_workers();
    return choose_backend(rt, o->reactor);
}

static void undo_workers(hk_runtime *rt, unsigned made)
{
    while (made > 0) {
        hk_worker *w = &rt->workers[--made];
        hk_worker_done(w);
        hk_free(w->victims, rt->n * sizeof *w->victims);
    }
    hk_free_aligned(rt->workers, rt->n * sizeof *rt->workers, HK_NO_SHARING);
    hk_free(rt->idle.sleepers, rt->n * sizeof(hk_worker *));
}

static int make_workers(hk_runtime *rt)
{
    unsigned made = 0;
    int rc = -ENOMEM;
    rt->idle.sleepers = hk_alloc_zeroed(rt->n * sizeof(hk_worker *));
    rt->workers = hk_alloc_aligned(rt->n * sizeof *rt->workers, HK_NO_SHARING);
    if (!rt->idle.sleepers || !rt->workers)
        goto undo;
    for (; made < rt->n; made++) {
        hk_worker *w = &rt->workers[made];
        w->victims = hk_alloc_zeroed(rt->n * sizeof *w->victims);
        rc = w->victims ? hk_worker_init(w, rt, made) : -ENOMEM;
        if (rc < 0) {
            hk_free(w->victims, rt->n * sizeof *w->victims);
            goto undo;
        }
        hk_topology_place(rt->n, made, w->victims, &w->cpu);
    }
    return 0;
undo:
    undo_workers(rt, made);
    return rc;
}

static void run_worker(hk_worker *w)
{
    if (w->runtime->options.pin)
        (void)hk_os_thread_pin(w->cpu); /* a wish */
    hk_sample_enter(&w->sample);
    hk_worker_main(w);
    hk_sample_leave(&w->sample);
}

static void *worker_thread(void *arg)
{
    hk_worker *w = arg;
    char name[16];
    (void)snprintf(name, sizeof name, "hank-%u", w->index);
    hk_os_thread_name(name);
    (void)hk_stack_thread_enter(); /* without it an overflow is found, but not named */
    run_worker(w);
    hk_stack_thread_leave();
    return NULL;
}

/* Threads for workers 1 .. n-1. On failure those that run are stopped. */
static int start_threads(hk_runtime *rt)
{
    unsigned started = 1;
    int rc = 0;
    for (; started < rt->n && rc == 0; started++) {
        hk_worker *w = &rt->workers[started];
        rc = hk_os_thread_start(&w->handle, worker_thread, w);
        if (rc < 0)
            break;
    }
    if (rc == 0)
        rc = hk_monitor_start(rt);
    if (rc == 0) {
        rc = hk_keeper_start(rt);
        if (rc == 0)
            return 0;
        hk_monitor_stop(rt);
    }
    hk_store_release(&rt->stopping, true); /* [runtime:stopping] */
    hk_idle_wake_all(rt);
    while (started > 1)
        (void)hk_os_thread_join(rt->workers[--started].handle); /* it was started */
    return rc == -ENOMEM ? rc : -EAGAIN; /* the keeper's memory, or else no thread was to be had */
}

static void at_stop(hk_runtime *rt)
{
    while (rt->at_stop_n > 0) { /* all other threads of ours are gone: no lock */
        hk_at_stop *last = &rt->at_stop[--rt->at_stop_n];
        last->fn(last->arg);
    }
    while (hk_load_acquire(&rt->visitors) > 0) /* [runtime:visitors] acquire */
        hk_os_yield();
}

/* Whether those that are no workers may look at these. */
static void show_workers(hk_runtime *rt, bool there)
{
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    rt->has_workers = there;
    hk_lock_drop(&rt->lock);
}

int hk_runtime_run(hk_runtime *rt)
{
    int rc = make_workers(rt);
    if (rc < 0) {
        hk_runtime_say_started(rt, rc);
        return rc;
    }
    (void)hk_stack_watch_overflow(hk_inspect_overflow); /* without it an overflow is not named */
    hk_worker *w = &rt->workers[0];
    hk_spawn how = {.fn = first_task, .arg = rt, .name = "hank"};
    hk_task *first = hk_task_new(w, &how, NULL);
    rt->first = first;
    rc = first ? start_threads(rt) : -ENOMEM;
    show_workers(rt, true);
    if (rc < 0) {
        hk_runtime_say_started(rt, rc);
    } else {
        /* Not before: a thread that cannot be started must find nothing running. */
        hk_inbox_push(&rt->inbox, first, first, 1);
        run_worker(w);
        for (unsigned i = 1; i < rt->n; i++)
            (void)hk_os_thread_join(rt->workers[i].handle); /* it was started */
        hk_monitor_stop(rt);
        at_stop(rt);
        hk_keeper_stop(rt);
        rc = rt->main_result;
    }
    if (first)
        hk_task_free(w, first);
    hk_slab_drain(&hk_task_slab, &w->tasks);
    show_workers(rt, false);
    undo_workers(rt, rt->n);
    return rc;
}

int hank_run_opt(hank_fn fn, void *arg, const hank_options *options)
{
    if (hk_worker_self())
        return -EBUSY;
    if (!fn)
        return -EINVAL;
    hk_runtime *rt = hk_alloc_zeroed(sizeof *rt);
    if (!rt)
        return -ENOMEM;
    rt->main_fn = fn;
    rt->main_arg = arg;
    rt->detached.flags = HANK_KEEP_GOING;
    hk_panic_set_hook(hk_inspect_panic);
    int rc = hk_runtime_check_options(rt, options);
    if (rc == 0) {
        rt->process = hk_fork_runtime_starts();
        rc = hk_runtime_run(rt);
        hk_fork_runtime_ended();
    }
    hk_free(rt, sizeof *rt);
    return rc;
}

int hank_run(hank_fn fn, void *arg)
{
    return hank_run_opt(fn, arg, NULL);
}

/* --- for the rooms above, and for foreign threads ------------------------------------------ */

static hk_runtime *current(void)
{
    hk_worker *w = hk_worker_self();
    return w ? w->runtime : NULL;
}

uint32_t hk_runtime_process(void)
{
    hk_fork_watch();
    return hk_fork_here();
}

int hk_runtime_in_a_task(void)
{
    hk_worker *w = hk_worker_self();
    return w && w->current ? 0 : hk_not_in_a_task();
}

hk_reactor *hk_runtime_reactor(void)
{
    hk_worker *w = hk_worker_self();
    return w ? &w->reactor : NULL;
}

hk_reactor *hk_runtime_next_reactor(unsigned *turn)
{
    hk_worker *w = hk_worker_self();
    return w ? &w->runtime->workers[(*turn)++ % w->runtime->n].reactor : NULL;
}

int hk_runtime_at_stop(void (*fn)(void *arg), void *arg)
{
    hk_runtime *rt = current();
    if (!rt)
        return -EPERM;
    int rc = 0;
    hk_lock_take(&rt->lock, HK_RANK_RUNTIME);
    if (rt->at_stop_n == HK_AT_STOP_MAX)
        rc = -ENOSPC;
    else
        rt->at_stop[rt->at_stop_n++] = (hk_at_stop){fn, arg};
    hk_lock_drop(&rt->lock);
    return rc;
}

unsigned hk_runtime_blocking_threads(void)
{
    hk_runtime *rt = current();
    return rt ? rt->options.blocking_threads : HK_BLOCKING_DEFAULT;
}

HK_ATOMIC(void *) * hk_runtime_blocking(void)
{
    hk_runtime *rt = current();
    return rt ? &rt->blocking : NULL;
}

void hk_runtime_push(hk_runtime *rt, hk_task *t)
{
    if (hk_runtime_left_behind(rt))
        return; /* nobody takes it, and the lock of its inbox may be held for ever */
    hk_runtime_visit(rt);
    hk_inbox_push(&rt->inbox, t, t, 1); /* from here on t may run, and the runtime may end */
    hk_idle_notify(rt);
    hk_runtime_visited(rt);
}

void hk_runtime_visit(hk_runtime *rt)
{
    (void)hk_add_acqrel(&rt->visitors, 1u); /* [runtime:visitors] before it can end */
}

void hk_runtime_visited(hk_runtime *rt)
{
    (void)hk_sub_acqrel(&rt->visitors, 1u); /* [runtime:visitors] release: we touch it no more */
}

static void report(hk_runtime *rt, const hank_failure *f)
{
    const hank_hooks *hooks = rt ? rt->options.hooks : NULL;
    if (hooks && hooks->on_error)
        hooks->on_error(hooks->context, f->name, f->result);
    if (hooks && hooks->on_failure)
        hooks->on_failure(hooks->context, f);
}

void hk_runtime_report(hk_runtime *rt, const char *name, int result)
{
    report(rt ? rt : current(), &(hank_failure){.name = name, .result = result});
}

/* Of a task that runs (-ELOOP) or has ended; without hooks nobody has kept it. */
static const void *spawn_site(hk_runtime *rt, hk_task *t)
{
    hk_envelope *e = hk_envelope_of(t);
    if (e)
        return e->site;
    return rt->watched ? t->arg : NULL;
}

void hk_runtime_report_task(hk_runtime *rt, hk_task *t, int result)
{
    bool asked_to = result == -ECANCELED && hk_task_cancelled(t);
    if (result >= 0 || asked_to)
        return;
    char buffer[HK_NAME_BUFFER];
    hk_envelope *e = hk_envelope_of(t);
    hank_failure f = {.name = hk_inspect_name(t, buffer, sizeof buffer),
                      .fn = e ? e->fn : t->fn,
                      .spawned_at = spawn_site(rt, t),
                      .result = result};
    report(rt, &f);
}
