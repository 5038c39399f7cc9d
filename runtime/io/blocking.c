/* SPDX-License-Identifier: MIT */
/* blocking.c - the runtime's own pool: a lane for each kind of work, made at first use.
 *
 * A runtime's end joins the threads; one inside an abandoned job (a name server that does not
 * answer) is left behind instead, and the last of those frees the pool.
 *
 * Rejected: one lane for all (name lookups that hang starve file work). */
#include "io/blocking.h"

#include <hank/scope.h>
#include <hank/system.h>

#include <errno.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sched/park.h"
#include "sched/runtime.h"

/* owners  the runtime, and one for each lane with threads left behind: the last one frees */
struct pool {
    hk_lane lanes[HK_LANES];
    HK_ATOMIC(unsigned) owners;
};

static void pool_release(struct pool *pool)
{
    /* Acquire and release in one: the last one comes after all others. */
    if (hk_sub_acqrel(&pool->owners, 1u) == 1)
        hk_free(pool, sizeof *pool);
}

static void work_released(hk_lane *lane)
{
    pool_release(hk_container_of(lane, struct pool, lanes[HK_LANE_WORK]));
}

static void names_released(hk_lane *lane)
{
    pool_release(hk_container_of(lane, struct pool, lanes[HK_LANE_NAMES]));
}

static void pool_stop(void *arg)
{
    struct pool *pool = arg;
    for (int i = 0; i < HK_LANES; i++) {
        HK_CHECK(pool->lanes[i].queued == 0);    /* no task is left that could wait for a job */
        (void)hk_add_relaxed(&pool->owners, 1u); /* relaxed: we are an owner still */
        if (!hk_lane_stop(&pool->lanes[i], 0))
            pool_release(pool);
    }
    pool_release(pool);
}

static struct pool *pool_new(void)
{
    struct pool *pool = hk_alloc_zeroed(sizeof *pool);
    if (!pool)
        return NULL;
    hk_store_relaxed(&pool->owners, 1u); /* relaxed: published by the CAS below */
    hk_lane_init(&pool->lanes[HK_LANE_WORK], "hank-blocking", hk_runtime_blocking_threads(),
                 work_released);
    hk_lane_init(&pool->lanes[HK_LANE_NAMES], "hank-names", HK_NAME_THREADS_MAX, names_released);
    return pool;
}

/* The runtime's pool, made at first use. NULL: no memory. */
static struct pool *pool_get(HK_ATOMIC(void *) * place)
{
    struct pool *pool = hk_load_acquire(place); /* [pool:made] acquire */
    if (HK_LIKELY(pool != NULL))
        return pool;
    pool = pool_new();
    if (!pool)
        return NULL;
    void *other = NULL;
    if (!hk_cas_acqrel(place, &other, pool)) { /* [pool:made] release; acquire if beaten to it */
        hk_free(pool, sizeof *pool);
        return other;
    }
    int rc = hk_runtime_at_stop(pool_stop, pool);
    HK_CHECK(rc == 0); /* there are more places than users of them */
    return pool;
}

int hk_blocking_run(hk_job *job, hk_lane_of which)
{
    int rc = hk_checkpoint();
    if (rc < 0)
        goto refused;
    HK_ATOMIC(void *) *place = hk_runtime_blocking();
    if (!place) { /* this thread may block */
        job->result = job->run(job);
        return 0;
    }
    struct pool *pool = pool_get(place);
    if (pool)
        return hk_lane_run(&pool->lanes[which], job, false);
    rc = -ENOMEM;

refused:
    if (job->abandoned)
        job->abandoned(job);
    return rc;
}

void hk_blocking_run_firmly(hk_job *job)
{
    hank_scope shield;
    hank_shield_begin(&shield);
    if (hk_blocking_run(job, HK_LANE_WORK) < 0)
        (void)job->run(job); /* no thread is to be had for it */
    hank_shield_end(&shield);
}

int hank_blocking(hank_fn fn, void *arg)
{
    if (!fn)
        return -EINVAL;
    hk_fn_job call = {{.run = hk_fn_job_run}, fn, arg, hk_runtime_locals()};
    int rc = hk_blocking_run(&call.job, HK_LANE_WORK);
    return rc < 0 ? rc : call.job.result;
}
