/* SPDX-License-Identifier: MIT */
/* blocking.c - a pool of threads that grows with the work and shrinks without it.
 *
 * Equation, a lane: threads == idle + running, and whenever its lock is free
 *
 *     queued <= idle   or   threads == threads_max
 *
 * `idle` counts every thread that is going to look at the queue again, from the moment its start is
 * decided: also one that has been woken but has not got the lock yet. So two jobs in a row never
 * count on the same thread, and a job is never stuck behind one that waits for it.
 *
 * A stop takes back a job that is still queued. One that runs is waited for firmly, or, if it says
 * so, left to its thread.
 *
 * A runtime's end joins the threads; one inside an abandoned job (a name server that does not
 * answer) is detached instead, and the last of those frees the pool.
 *
 * Rejected: a queue a thread with stealing (jobs block: the queue that is stuck is the one with the
 * work in it), one pool for all (name lookups that hang starve file work). */
#include "io/blocking.h"

#include <hank/system.h>

#include <errno.h>
#include <limits.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/os.h"
#include "sched/park.h"
#include "sched/runtime.h"

static const int64_t IDLE_MAX_NS = INT64_C(5) * 1000 * 1000 * 1000;

struct pool;

/* queue, counts, live, ended   guarded by lock
 * bell        moves under lock with each job and at the end; idle threads sleep on it
 * departures  moves when a thread ends; the runtime's end sleeps on it */
struct lane {
    hk_lock lock;
    hk_node queue;
    unsigned queued;
    unsigned idle;
    unsigned threads;
    unsigned threads_max;
    unsigned left_behind; /* of `threads`: detached in an abandoned job when the runtime ended */
    bool stopping;
    hk_node live;  /* member.link of running and idle threads */
    hk_node ended; /* of those that only need to be joined */
    HK_ATOMIC(uint32_t) bell;
    HK_ATOMIC(uint32_t) departures;
    struct pool *pool;
    const char *name;
};

/* owners  the runtime, and one for each lane with threads left behind: the last one frees */
struct pool {
    struct lane lanes[HK_LANES];
    HK_ATOMIC(unsigned) owners;
};

/* A thread, in its lane's list `live`, then in `ended`. */
struct member {
    hk_node link;
    struct lane *lane;
    pthread_t thread;
    bool detached;
    const hk_job *job; /* that it is inside of; only compared and asked for its state */
};

static void lane_lock(struct lane *lane)
{
    hk_lock_take(&lane->lock, HK_RANK_BLOCKING);
}

static void lane_unlock(struct lane *lane)
{
    hk_lock_drop(&lane->lock);
}

static void pool_release(struct pool *pool)
{
    /* Acquire and release in one: the last one comes after all others. */
    if (hk_sub_acqrel(&pool->owners, 1u) == 1)
        hk_free(pool, sizeof *pool);
}

/* --- the threads --------------------------------------------------------------------------- */

/* Run the oldest job. The lock is held, and is again on return. */
static void run_first(struct lane *lane, struct member *self)
{
    hk_job *job = hk_container_of(hk_list_pop_front(&lane->queue), hk_job, link);
    lane->queued--;
    lane->idle--;
    job->state = HK_JOB_RUNNING;
    self->job = job;
    lane_unlock(lane);

    int result = job->run(job);

    lane_lock(lane);
    self->job = NULL;
    lane->idle++;
    bool abandoned = job->state == HK_JOB_ABANDONED;
    hk_ticket ticket = job->ticket;
    job->result = result;
    job->state = HK_JOB_DONE;
    lane_unlock(lane);

    /* Not abandoned: from here on the job may be gone. */
    if (abandoned)
        job->abandoned(job);
    else
        (void)hk_wake(ticket, 0); /* false: a stop was faster, and will find it done */
    lane_lock(lane);
}

/* Sleep until there may be a job. The lock is held, and is again on return. True: time to go. */
static bool sleep_long_enough(struct lane *lane)
{
    uint32_t heard = hk_load_relaxed(&lane->bell); /* relaxed: it moves under the lock */
    lane_unlock(lane);
    int rc = hk_os_futex_wait(&lane->bell, heard, IDLE_MAX_NS);
    lane_lock(lane);
    return rc == -ETIMEDOUT;
}

static void *thread_main(void *arg)
{
    struct member *self = arg;
    struct lane *lane = self->lane;
    hk_os_thread_name(lane->name);
    lane_lock(lane);
    self->thread = hk_os_thread_self();
    bool bored = false;
    for (;;) {
        if (!hk_list_empty(&lane->queue)) {
            run_first(lane, self);
            bored = false;
        } else if (lane->stopping || bored) {
            break;
        } else {
            bored = sleep_long_enough(lane);
        }
    }
    lane->idle--;
    lane->threads--;
    bool detached = self->detached;
    bool last_left = detached && --lane->left_behind == 0;
    hk_list_remove(&self->link);
    if (!detached)
        hk_list_push_back(&lane->ended, &self->link); /* whoever comes next joins it */
    (void)hk_add_relaxed(&lane->departures, 1u);      /* relaxed: the lock orders */
    (void)hk_os_futex_wake(&lane->departures, 1);
    lane_unlock(lane);

    if (detached)
        hk_free(self, sizeof *self);
    if (last_left)
        pool_release(lane->pool);
    return NULL;
}

/* Join what has ended. The lock is held, and is again on return. */
static void join_ended(struct lane *lane)
{
    hk_node *node;
    while ((node = hk_list_pop_front(&lane->ended)) != NULL) {
        struct member *gone = hk_container_of(node, struct member, link);
        lane_unlock(lane);
        (void)hk_os_thread_join(gone->thread); /* it is at its last instruction: cannot fail */
        hk_free(gone, sizeof *gone);
        lane_lock(lane);
    }
}

/* There is no thread and there will be none: say so to every job in the queue. */
static void fail_queue(struct lane *lane, int error)
{
    hk_node *node;
    while ((node = hk_list_pop_front(&lane->queue)) != NULL) {
        hk_job *job = hk_container_of(node, hk_job, link);
        hk_ticket ticket = job->ticket;
        lane->queued--;
        job->result = error;
        job->state = HK_JOB_REFUSED;
        (void)hk_wake(ticket, 0); /* false: a stop was faster, and will find it refused */
    }
}

/* Counted in already. If it fails and was the only hope, nobody else would serve the queue. */
static void start_thread(struct lane *lane)
{
    int rc = -ENOMEM;
    struct member *self = hk_alloc_zeroed(sizeof *self);
    lane_lock(lane);
    if (self) {
        self->lane = lane;
        hk_list_push_back(&lane->live, &self->link);
    }
    lane_unlock(lane);
    pthread_t ignored; /* the thread says who it is itself, before anyone can ask */
    if (self)
        rc = hk_os_thread_start_quietly(&ignored, thread_main, self);
    if (rc == 0)
        return;

    lane_lock(lane);
    lane->idle--;
    lane->threads--;
    if (self)
        hk_list_remove(&self->link);
    if (lane->threads == 0)
        fail_queue(lane, rc);
    lane_unlock(lane);
    hk_free(self, sizeof *self);
}

/* --- the pool ------------------------------------------------------------------------------ */

/* Ask the threads to go, and wait for those that can. */
static void lane_stop(struct lane *lane)
{
    lane_lock(lane);
    lane->stopping = true;
    HK_CHECK(lane->queued == 0); /* no task is left that could wait for a job */
    for (hk_node *at = lane->live.next; at != &lane->live; at = at->next) {
        struct member *m = hk_container_of(at, struct member, link);
        if (!m->job || m->job->state != HK_JOB_ABANDONED)
            continue;
        m->detached = true;
        (void)hk_os_thread_detach(m->thread); /* it runs: cannot fail */
        if (lane->left_behind++ == 0)
            (void)hk_add_relaxed(&lane->pool->owners, 1u); /* relaxed: we are an owner still */
    }
    (void)hk_add_relaxed(&lane->bell, 1u); /* relaxed: the lock orders */
    (void)hk_os_futex_wake(&lane->bell, INT_MAX);
    while (lane->threads > lane->left_behind) {
        uint32_t seen = hk_load_relaxed(&lane->departures); /* relaxed: it moves under the lock */
        lane_unlock(lane);
        (void)hk_os_futex_wait(&lane->departures, seen, -1); /* woken early: looks again */
        lane_lock(lane);
    }
    join_ended(lane);
    lane_unlock(lane);
}

static void pool_stop(void *arg)
{
    struct pool *pool = arg;
    for (int i = 0; i < HK_LANES; i++)
        lane_stop(&pool->lanes[i]);
    pool_release(pool);
}

static struct pool *pool_new(void)
{
    struct pool *pool = hk_alloc_zeroed(sizeof *pool);
    if (!pool)
        return NULL;
    hk_store_relaxed(&pool->owners, 1u); /* relaxed: published by the CAS below */
    for (int i = 0; i < HK_LANES; i++) {
        struct lane *lane = &pool->lanes[i];
        hk_list_init(&lane->queue);
        hk_list_init(&lane->live);
        hk_list_init(&lane->ended);
        lane->pool = pool;
    }
    pool->lanes[HK_LANE_WORK].name = "hank-blocking";
    pool->lanes[HK_LANE_WORK].threads_max = hk_runtime_blocking_threads();
    pool->lanes[HK_LANE_NAMES].name = "hank-names";
    pool->lanes[HK_LANE_NAMES].threads_max = HK_NAME_THREADS_MAX;
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

/* --- jobs ---------------------------------------------------------------------------------- */

static void enqueue(struct lane *lane, hk_job *job)
{
    lane_lock(lane);
    join_ended(lane);
    hk_list_push_back(&lane->queue, &job->link);
    lane->queued++;
    bool grow = lane->queued > lane->idle && lane->threads < lane->threads_max;
    if (grow) {
        lane->threads++;
        lane->idle++;
    }
    (void)hk_add_relaxed(&lane->bell, 1u); /* relaxed: the lock orders */
    lane_unlock(lane);
    if (grow)
        start_thread(lane);
    else
        (void)hk_os_futex_wake(&lane->bell, 1);
}

/* The wait was stopped: take the job back, leave it to its thread, or wait for it after all. */
static int after_stop(struct lane *lane, hk_job *job, int stop)
{
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING_FIRMLY);
    lane_lock(lane);
    if (job->state == HK_JOB_QUEUED) {
        hk_list_remove(&job->link);
        lane->queued--;
        job->state = HK_JOB_REFUSED;
        job->result = stop;
    }
    bool wait = job->state == HK_JOB_RUNNING && !job->abandoned;
    bool leave = job->state == HK_JOB_RUNNING && job->abandoned;
    if (leave)
        job->state = HK_JOB_ABANDONED;
    if (wait)
        job->ticket = w.ticket;
    lane_unlock(lane);

    if (wait) {
        (void)hk_park(&w, HK_FOREVER, "blocking call"); /* firm: only its thread ends it */
    } else {
        bool over = hk_park_abandon(&w);
        HK_CHECK(over); /* nobody knew the ticket */
    }
    return leave ? stop : 0;
}

/* 0: job->state says how it went. Negative: it was left to its thread. */
static int queue_and_wait(struct lane *lane, hk_job *job)
{
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    job->ticket = w.ticket;
    job->state = HK_JOB_QUEUED;
    enqueue(lane, job);
    int rc = hk_park(&w, HK_FOREVER, "blocking call");
    return rc < 0 ? after_stop(lane, job, rc) : 0;
}

int hk_blocking_run(hk_job *job, hk_lane which)
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
    rc = -ENOMEM;
    if (!pool)
        goto refused;
    rc = queue_and_wait(&pool->lanes[which], job);
    if (rc < 0)
        return rc;
    if (job->state == HK_JOB_DONE)
        return 0;
    HK_DCHECK(job->state == HK_JOB_REFUSED);
    rc = job->result;

refused:
    if (job->abandoned)
        job->abandoned(job);
    return rc;
}

struct call {
    hk_job job;
    hank_fn fn;
    void *arg;
};

static int run_call(hk_job *job)
{
    struct call *call = hk_container_of(job, struct call, job);
    return call->fn(call->arg);
}

int hank_blocking(hank_fn fn, void *arg)
{
    if (!fn)
        return -EINVAL;
    struct call call = {.job = {.run = run_call}, .fn = fn, .arg = arg};
    int rc = hk_blocking_run(&call.job, HK_LANE_WORK);
    return rc < 0 ? rc : call.job.result;
}
