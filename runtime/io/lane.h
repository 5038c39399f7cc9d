/* SPDX-License-Identifier: MIT */
/* lane.h - a queue of jobs and the threads that work it off, which may block.
 *
 * A job is memory of whoever wants it done: nothing is allocated to queue it. */
#ifndef HK_IO_LANE_H
#define HK_IO_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include <hank/task.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/waiter.h"

struct hk_binding;

typedef enum hk_job_state {
    HK_JOB_QUEUED,    /* in its lane's queue, or outside while that is full */
    HK_JOB_RUNNING,   /* in no queue; a thread is inside run */
    HK_JOB_ABANDONED, /* the same, and nobody waits any more: the thread ends it */
    HK_JOB_DONE,      /* in no queue; its thread will not touch it again */
    HK_JOB_REFUSED,   /* in no queue; it was not run, result says why */
} hk_job_state;

/* run        called once at most, on a thread of the lane, or on the caller's if that may block
 * abandoned  NULL: whoever waits for a job that runs waits firmly, so it may live on a stack.
 *            Else a stop ends that wait, and this is called when the lane needs the job no more
 * posted     nobody waits for it once it is in the queue: it is abandoned from the start
 * link, state, ticket, is_outside   guarded by the lane's lock
 * result     what run returned; the waiter's to read once it has been told that it is done */
typedef struct hk_job {
    hk_node link;
    int (*run)(struct hk_job *job);
    void (*abandoned)(struct hk_job *job);
    hk_ticket ticket;
    hk_job_state state;
    bool posted, is_outside;
    int result;
} hk_job;

/* A job that calls fn(arg); with the task-locals of who waits for it, or NULL. */
typedef struct hk_fn_job {
    hk_job job;
    hank_fn fn;
    void *arg;
    struct hk_binding *locals;
} hk_fn_job;

int hk_fn_job_run(hk_job *job);

/* queue, outside, counts, live, ended, is_over   guarded by lock
 * limit       constant: how many jobs may wait in the queue beyond those a thread is free for; 0:
 *             any number. The others wait outside, in order
 * bell        moves under lock with each job and at the end; idle threads sleep on it
 * departures  moves when a thread ends; the lane's end sleeps on it
 * released    called by the last thread that was left behind, if any was */
typedef struct hk_lane {
    hk_lock lock;
    hk_node queue;
    hk_node outside;
    unsigned queued;
    unsigned outside_n;
    unsigned limit;
    uint64_t done;
    unsigned idle;
    unsigned threads;
    unsigned threads_max;
    unsigned left_behind; /* of `threads`: detached in an abandoned job when the lane ended */
    bool stopping;
    bool is_over;  /* nobody waits for its end any more, so the last thread tells of it */
    hk_node live;  /* member.link of running and idle threads */
    hk_node ended; /* of those that only need to be joined */
    HK_ATOMIC(uint32_t) bell;
    HK_ATOMIC(uint32_t) departures;
    int64_t idle_max_ns;
    void (*released)(struct hk_lane *lane);
    char name[16];
} hk_lane;

typedef struct hk_lane_counts {
    unsigned threads, running, waiting; /* now */
    uint64_t done;                      /* so far */
} hk_lane_counts;

/* Zeroed before. `name` is cut to 15 bytes. */
void hk_lane_init(hk_lane *lane, const char *name, unsigned threads_max,
                  void (*released)(hk_lane *lane));

/* Have job->run called and wait for it, like hk_blocking_run. -EAGAIN also: `nowait`, and the queue
 * is full. */
HK_MUST_CHECK int hk_lane_run(hk_lane *lane, hk_job *job, bool nowait);

/* Have it called and wait only until it is in the queue. In all failures it was not. */
HK_MUST_CHECK int hk_lane_post(hk_lane *lane, hk_job *job, bool nowait);

/* Let the threads work off the queue and go, and wait for them: for those inside an abandoned job
 * no longer than `linger` ns. Those are left behind. True: `released` will be called. */
bool hk_lane_stop(hk_lane *lane, int64_t linger);

/* Whether anybody waits for a job of it, or for room for one. */
bool hk_lane_is_awaited(hk_lane *lane);

void hk_lane_count(hk_lane *lane, hk_lane_counts *ret);

#endif
