/* SPDX-License-Identifier: MIT */
/* blocking.h - work for threads that may block.
 *
 * A job is memory of whoever wants it done: nothing is allocated to queue it. Lanes have threads
 * of their own, so that name servers that do not answer hold up nobody but each other. */
#ifndef HK_IO_BLOCKING_H
#define HK_IO_BLOCKING_H

#include "base/compiler.h"
#include "base/list.h"
#include "base/waiter.h"

typedef enum hk_lane { HK_LANE_WORK, HK_LANE_NAMES, HK_LANES } hk_lane;

enum { HK_NAME_THREADS_MAX = 4 };

typedef enum hk_job_state {
    HK_JOB_QUEUED,    /* in its lane's queue */
    HK_JOB_RUNNING,   /* in no queue; a thread is inside run */
    HK_JOB_ABANDONED, /* the same, and nobody waits any more: the thread ends it */
    HK_JOB_DONE,      /* in no queue; its thread will not touch it again */
    HK_JOB_REFUSED,   /* in no queue; it was not run, result says why */
} hk_job_state;

/* run        called once at most, on a thread of the lane, or on the caller's if that may block
 * abandoned  NULL: whoever waits for a job that runs waits firmly, so it may live on a stack.
 *            Else a stop ends that wait, and this is called when the pool needs the job no more
 * link, state, ticket   guarded by the lane's lock
 * result     what run returned; the waiter's to read once hk_blocking_run has returned 0 */
typedef struct hk_job {
    hk_node link;
    int (*run)(struct hk_job *job);
    void (*abandoned)(struct hk_job *job);
    hk_ticket ticket;
    hk_job_state state;
    int result;
} hk_job;

/* Have job->run called and wait for it. 0: it has been, and job->result is what it returned.
 * -EAGAIN, -ENOMEM (no thread to be had), -ECANCELED, -ETIMEDOUT: it has not been; or it still is,
 * if the job has `abandoned`, which in all these cases is or will be called: the job is not the
 * caller's any more. Outside a task it is called right here. */
HK_MUST_CHECK int hk_blocking_run(hk_job *job, hk_lane lane);

#endif
