/* SPDX-License-Identifier: MIT */
/* lane.c - threads that grow with the work and shrink without it.
 *
 * Equation: threads == idle + running, and whenever the lock is free
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
 * Rejected: a queue a thread with stealing (jobs block: the queue that is stuck is the one with the
 * work in it). */
#include "io/lane.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/os.h"
#include "sched/runtime.h"
#include "sched/park.h"

static const int64_t IDLE_MAX_NS = INT64_C(5) * 1000 * 1000 * 1000;

/* A thread, in its lane's list `live`, then in `ended`. */
struct member {
    hk_node link;
    hk_lane *lane;
    pthread_t thread;
    bool detached;
    const hk_job *job; /* that it is inside of; only compared and asked for its state */
};

int hk_fn_job_run(hk_job *job)
{
    hk_fn_job *call = hk_container_of(job, hk_fn_job, job);
    return hk_runtime_call_with(call->locals, call->fn, call->arg);
}

void hk_lane_init(hk_lane *lane, const char *name, unsigned threads_max,
                  void (*released)(hk_lane *lane))
{
    hk_list_init(&lane->queue);
    hk_list_init(&lane->outside);
    hk_list_init(&lane->live);
    hk_list_init(&lane->ended);
    lane->threads_max = threads_max;
    lane->idle_max_ns = IDLE_MAX_NS;
    lane->released = released;
    (void)snprintf(lane->name, sizeof lane->name, "%s", name); /* cut: it is for people */
}

static void lane_lock(hk_lane *lane)
{
    hk_lock_take(&lane->lock, HK_RANK_BLOCKING);
}

static void lane_unlock(hk_lane *lane)
{
    hk_lock_drop(&lane->lock);
}

/* --- the queue ----------------------------------------------------------------------------- */

static bool is_full(const hk_lane *lane)
{
    return lane->limit > 0 && lane->threads == lane->threads_max &&
           lane->queued >= lane->idle + lane->limit;
}

static void into_queue(hk_lane *lane, hk_job *job)
{
    job->is_outside = false;
    hk_list_push_back(&lane->queue, &job->link);
    lane->queued++;
}

/* There may be room: let in who waits outside. The lock is held. */
static void let_in(hk_lane *lane)
{
    while (!is_full(lane) && !hk_list_empty(&lane->outside)) {
        hk_job *job = hk_container_of(hk_list_pop_front(&lane->outside), hk_job, link);
        lane->outside_n--;
        if (!job->posted) {
            into_queue(lane, job);
        } else if (hk_ticket_claim(job->ticket, 0)) {
            hk_sleeper *poster = job->ticket.sleeper;
            into_queue(lane, job);
            hk_wake_claimed(poster);
        } else { /* a stop was faster, and will find it refused */
            job->state = HK_JOB_REFUSED;
        }
    }
}

/* Take a job that has not begun back. The lock is held. */
static void refuse(hk_lane *lane, hk_job *job, int error)
{
    hk_list_remove(&job->link);
    lane->queued -= !job->is_outside;
    lane->outside_n -= job->is_outside;
    job->result = error;
    job->state = HK_JOB_REFUSED;
}

/* --- the threads --------------------------------------------------------------------------- */

/* Run the oldest job. The lock is held, and is again on return. */
static void run_first(hk_lane *lane, struct member *self)
{
    hk_job *job = hk_container_of(hk_list_pop_front(&lane->queue), hk_job, link);
    lane->queued--;
    lane->idle--;
    job->state = job->posted ? HK_JOB_ABANDONED : HK_JOB_RUNNING;
    self->job = job;
    let_in(lane);
    lane_unlock(lane);

    int result = job->run(job);

    lane_lock(lane);
    self->job = NULL;
    lane->idle++;
    lane->done++;
    bool abandoned = job->state == HK_JOB_ABANDONED;
    hk_ticket ticket = job->ticket;
    job->result = result;
    job->state = HK_JOB_DONE;
    let_in(lane);
    lane_unlock(lane);

    /* Not abandoned: from here on the job may be gone. */
    if (abandoned)
        job->abandoned(job);
    else
        (void)hk_wake(ticket, 0); /* false: a stop was faster, and will find it done */
    lane_lock(lane);
}

/* Sleep until there may be a job. The lock is held, and is again on return. True: time to go. */
static bool sleep_long_enough(hk_lane *lane)
{
    uint32_t heard = hk_load_relaxed(&lane->bell); /* relaxed: it moves under the lock */
    lane_unlock(lane);
    int rc = hk_os_futex_wait(&lane->bell, heard, lane->idle_max_ns);
    lane_lock(lane);
    return rc == -ETIMEDOUT;
}

static void *thread_main(void *arg)
{
    struct member *self = arg;
    hk_lane *lane = self->lane;
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
    if (detached)
        lane->left_behind--;
    /* Not while the end is waited for: whoever does that looks who is left when all others are. */
    bool last_left = lane->is_over && lane->threads == 0;
    hk_list_remove(&self->link);
    if (!detached)
        hk_list_push_back(&lane->ended, &self->link); /* whoever comes next joins it */
    (void)hk_add_relaxed(&lane->departures, 1u);      /* relaxed: the lock orders */
    (void)hk_os_futex_wake(&lane->departures, 1);
    lane_unlock(lane);

    if (detached)
        hk_free(self, sizeof *self);
    if (last_left)
        lane->released(lane);
    return NULL;
}

/* Join what has ended. The lock is held, and is again on return. */
static void join_ended(hk_lane *lane)
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

/* One of those that wait for a thread, in the queue or outside. The lock is held. */
static hk_job *first_waiting(hk_lane *lane)
{
    hk_node *node = hk_list_first(&lane->queue);
    if (!node)
        node = hk_list_first(&lane->outside);
    return node ? hk_container_of(node, hk_job, link) : NULL;
}

/* There is no thread and there will be none: say so to every job. The lock is held, and is again
 * on return. */
static void fail_queue(hk_lane *lane, int error)
{
    hk_job *job;
    while ((job = first_waiting(lane)) != NULL) {
        bool nobody_waits = job->posted && !job->is_outside;
        int told = job->posted ? error : 0; /* who waits for the end looks at the job */
        hk_ticket ticket = job->ticket;
        refuse(lane, job, error);
        lane_unlock(lane);
        if (nobody_waits)
            job->abandoned(job);
        else
            (void)hk_wake(ticket, told); /* false: a stop was faster, and will find it refused */
        lane_lock(lane);
    }
}

/* Counted in already. If it fails and was the only hope, nobody else would serve the queue. */
static void start_thread(hk_lane *lane)
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

/* --- the end ------------------------------------------------------------------------------- */

/* Leave the threads behind that are inside an abandoned job. The lock is held. */
static void leave_stuck(hk_lane *lane)
{
    for (hk_node *at = lane->live.next; at != &lane->live; at = at->next) {
        struct member *m = hk_container_of(at, struct member, link);
        if (!m->job || m->job->state != HK_JOB_ABANDONED || m->detached)
            continue;
        m->detached = true;
        (void)hk_os_thread_detach(m->thread); /* it runs: cannot fail */
        lane->left_behind++;
    }
}

/* Wait until a thread ends, or `deadline`. The lock is held, and is again on return. */
static void wait_for_departure(hk_lane *lane, int64_t deadline)
{
    uint32_t seen = hk_load_relaxed(&lane->departures); /* relaxed: it moves under the lock */
    int64_t left = deadline == INT64_MAX ? -1 : deadline - hk_os_now();
    lane_unlock(lane);
    if (deadline == INT64_MAX || left > 0)
        (void)hk_os_futex_wait(&lane->departures, seen, left); /* woken early: looks again */
    lane_lock(lane);
}

bool hk_lane_stop(hk_lane *lane, int64_t linger)
{
    lane_lock(lane);
    lane->stopping = true;
    (void)hk_add_relaxed(&lane->bell, 1u); /* relaxed: the lock orders */
    (void)hk_os_futex_wake(&lane->bell, INT_MAX);
    int64_t now = hk_os_now(), deadline = linger >= INT64_MAX - now ? INT64_MAX : now + linger;
    while (lane->threads > lane->left_behind) {
        bool late = hk_os_now() >= deadline;
        if (late) {
            fail_queue(lane, -ECANCELED);
            leave_stuck(lane);
        }
        if (lane->threads > lane->left_behind)
            wait_for_departure(lane, late ? INT64_MAX : deadline);
    }
    join_ended(lane);
    lane->is_over = lane->left_behind > 0;
    bool any = lane->is_over;
    lane_unlock(lane);
    return any;
}

bool hk_lane_is_awaited(hk_lane *lane)
{
    lane_lock(lane);
    bool awaited = !hk_list_empty(&lane->outside);
    for (hk_node *at = lane->queue.next; !awaited && at != &lane->queue; at = at->next)
        awaited = !hk_container_of(at, hk_job, link)->posted;
    for (hk_node *at = lane->live.next; !awaited && at != &lane->live; at = at->next) {
        const hk_job *job = hk_container_of(at, struct member, link)->job;
        awaited = job && job->state == HK_JOB_RUNNING;
    }
    lane_unlock(lane);
    return awaited;
}

void hk_lane_count(hk_lane *lane, hk_lane_counts *ret)
{
    lane_lock(lane);
    *ret = (hk_lane_counts){.threads = lane->threads,
                            .running = lane->threads - lane->idle,
                            .waiting = lane->queued + lane->outside_n,
                            .done = lane->done};
    lane_unlock(lane);
}

/* --- jobs ---------------------------------------------------------------------------------- */

/* Queue it: 0, and a job that is posted may be over already. Or put it outside: 1. -EAGAIN: full,
 * and it was not to wait. */
static int enqueue(hk_lane *lane, hk_job *job, bool nowait)
{
    lane_lock(lane);
    join_ended(lane);
    job->state = HK_JOB_QUEUED;
    bool full = is_full(lane);
    bool grow = !full && lane->queued + 1 > lane->idle && lane->threads < lane->threads_max;
    if (full && !nowait) {
        job->is_outside = true;
        hk_list_push_back(&lane->outside, &job->link);
        lane->outside_n++;
    } else if (!full) {
        into_queue(lane, job);
    }
    if (grow) {
        lane->threads++;
        lane->idle++;
    }
    (void)hk_add_relaxed(&lane->bell, 1u); /* relaxed: the lock orders */
    lane_unlock(lane);
    if (grow)
        start_thread(lane);
    else if (!full)
        (void)hk_os_futex_wake(&lane->bell, 1);
    return !full ? 0 : nowait ? -EAGAIN : 1;
}

/* The wait was stopped: take the job back, leave it to its thread, or wait for it after all. */
static int after_stop(hk_lane *lane, hk_job *job, int stop)
{
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING_FIRMLY);
    lane_lock(lane);
    if (job->state == HK_JOB_QUEUED) {
        refuse(lane, job, stop);
        let_in(lane);
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

/* It is not to be run any more: tell its owner. */
static int refused(hk_job *job, int error)
{
    if (job->abandoned)
        job->abandoned(job);
    return error;
}

int hk_lane_run(hk_lane *lane, hk_job *job, bool nowait)
{
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    job->ticket = w.ticket;
    int rc = enqueue(lane, job, nowait);
    if (rc < 0) {
        hk_park_give_up(&w);
        return refused(job, rc);
    }
    rc = hk_park(&w, HK_FOREVER, "blocking call");
    if (rc < 0) {
        rc = after_stop(lane, job, rc);
        if (rc < 0)
            return rc; /* left to its thread */
    }
    if (job->state == HK_JOB_DONE)
        return 0;
    HK_DCHECK(job->state == HK_JOB_REFUSED);
    return refused(job, job->result);
}

int hk_lane_post(hk_lane *lane, hk_job *job, bool nowait)
{
    hk_waiter w = {0};
    job->posted = true;
    hk_park_begin(&w, HK_WAITING);
    job->ticket = w.ticket;
    int rc = enqueue(lane, job, nowait);
    if (rc <= 0) {
        hk_park_give_up(&w); /* only for jobs outside is the ticket used */
        return rc < 0 ? refused(job, rc) : 0;
    }
    rc = hk_park(&w, HK_FOREVER, "room in a pool");
    if (rc >= 0)
        return 0; /* let in: it is not ours any more */
    lane_lock(lane);
    if (job->state == HK_JOB_QUEUED)
        refuse(lane, job, rc);
    lane_unlock(lane);
    return refused(job, rc);
}
