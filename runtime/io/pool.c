/* SPDX-License-Identifier: MIT */
/* pool.c - a lane of one's own. */
#include <hank/pool.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fork.h"
#include "io/blocking.h"
#include "io/lane.h"
#include "sched/runtime.h"
#include "sched/park.h"

enum { THREADS_DEFAULT = 64, THREADS_MAX = 1024, COPY_MAX = 64 * 1024 };

static const int64_t LINGER_NS = INT64_C(5) * 1000 * 1000 * 1000;

/* linger, process  constant */
struct hank_pool {
    hk_lane lane;
    int64_t linger;
    uint32_t process; /* that has its threads: base/fork.h */
};

static void free_pool(hk_lane *lane)
{
    hank_pool *p = hk_container_of(lane, hank_pool, lane);
    hk_free(p, sizeof *p);
}

int hank_pool_new(const hank_pool_options *options, hank_pool **ret)
{
    static const hank_pool_options defaults;
    const hank_pool_options *o = options ? options : &defaults;
    if (!ret || o->threads > THREADS_MAX || o->idle < 0 || o->linger < 0)
        return -EINVAL;
    if (hk_forked())
        return -ESHUTDOWN;
    hank_pool *p = hk_alloc_zeroed(sizeof *p);
    if (!p)
        return -ENOMEM;
    hk_lane_init(&p->lane, o->name ? o->name : "hank-pool",
                 o->threads ? o->threads : THREADS_DEFAULT, free_pool);
    p->lane.limit = o->queue;
    if (o->idle > 0)
        p->lane.idle_max_ns = o->idle;
    p->linger = o->linger ? o->linger : LINGER_NS;
    p->process = hk_runtime_process(); /* there may be no runtime yet, or ever */
    *ret = p;
    return 0;
}

/* --- calls --------------------------------------------------------------------------------- */

/* A call in memory of its own, with its argument. */
struct call {
    hk_fn_job it;
    size_t bytes;
    _Alignas(max_align_t) char copy[];
};

static void free_call(hk_job *job)
{
    struct call *call = hk_container_of(job, struct call, it.job);
    hk_free(call, sizeof *call + call->bytes);
}

/* A call that may outlive its caller. NULL: no memory. */
static struct call *call_new(hank_fn fn, void *arg, const void *copied, size_t bytes)
{
    struct call *call = hk_alloc(sizeof *call + bytes);
    if (!call)
        return NULL;
    hk_job job = {.run = hk_fn_job_run, .abandoned = free_call};
    *call = (struct call){.it = {job, fn, arg, NULL}, .bytes = bytes};
    if (bytes > 0)
        call->it.arg = memcpy(call->copy, copied, bytes);
    return call;
}

/* Nothing outlives this, since it waits firmly. */
static int call_here(hank_pool *p, hank_fn fn, void *arg, bool nowait)
{
    hk_fn_job call = {{.run = hk_fn_job_run}, fn, arg, hk_runtime_locals()};
    int rc = hk_lane_run(&p->lane, &call.job, nowait);
    return rc < 0 ? rc : call.job.result;
}

static int call_apart(hank_pool *p, hank_fn fn, void *arg, const hank_call_options *o)
{
    struct call *call = call_new(fn, arg, arg, o->copy);
    if (!call)
        return -ENOMEM;
    if (!o->abandon) {
        call->it.job.abandoned = NULL;
        call->it.locals = hk_runtime_locals();
    }
    int rc = hk_lane_run(&p->lane, &call->it.job, o->nowait);
    if (rc < 0 && o->abandon)
        return rc; /* the call is not ours any more */
    int result = rc < 0 ? rc : call->it.job.result;
    free_call(&call->it.job);
    return result;
}

int hank_pool_call_opt(hank_pool *p, hank_fn fn, void *arg, const hank_call_options *options)
{
    static const hank_call_options defaults;
    const hank_call_options *o = options ? options : &defaults;
    if (!p || !fn || o->copy > COPY_MAX || (o->copy > 0 && !arg))
        return -EINVAL;
    if (hk_fork_left_behind(p->process))
        return -ESHUTDOWN;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    return o->copy > 0 || o->abandon ? call_apart(p, fn, arg, o) : call_here(p, fn, arg, o->nowait);
}

int hank_pool_call(hank_pool *p, hank_fn fn, void *arg)
{
    return hank_pool_call_opt(p, fn, arg, NULL);
}

int hank_pool_post(hank_pool *p, hank_fn fn, const void *arg, size_t size)
{
    if (!p || !fn || size > COPY_MAX || (size > 0) != (arg != NULL))
        return -EINVAL;
    if (hk_fork_left_behind(p->process))
        return -ESHUTDOWN;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    struct call *call = call_new(fn, NULL, arg, size);
    return call ? hk_lane_post(&p->lane, &call->it.job, false) : -ENOMEM;
}

int hank_pool_get_stats(hank_pool *p, hank_pool_stats *ret)
{
    if (!p || !ret)
        return -EINVAL;
    if (hk_fork_left_behind(p->process))
        return -ESHUTDOWN;
    hk_lane_counts counts;
    hk_lane_count(&p->lane, &counts);
    *ret = (hank_pool_stats){.threads = counts.threads,
                             .running = counts.running,
                             .queued = counts.waiting,
                             .done = counts.done};
    return 0;
}

/* --- the end ------------------------------------------------------------------------------- */

struct ending {
    hk_job job;
    hank_pool *pool;
};

static int end_pool(hk_job *job)
{
    hank_pool *p = hk_container_of(job, struct ending, job)->pool;
    if (!hk_lane_stop(&p->lane, p->linger))
        free_pool(&p->lane);
    return 0;
}

void hank_pool_free(hank_pool *p)
{
    if (!p || hk_fork_left_behind(p->process)) /* the threads it would wait for are not there */
        return;
    if (HK_UNLIKELY(hk_lane_is_awaited(&p->lane)))
        hk_panic("pool %p is freed while somebody waits there", (void *)p);
    struct ending ending = {.job = {.run = end_pool}, .pool = p};
    hk_blocking_run_firmly(&ending.job);
}
