/* SPDX-License-Identifier: MIT */
/* blocking.h - work for threads that may block.
 *
 * Each kind of work has a lane with threads of its own, so that name servers that do not answer
 * hold up nobody but each other. */
#ifndef HK_IO_BLOCKING_H
#define HK_IO_BLOCKING_H

#include "base/compiler.h"
#include "io/lane.h"

typedef enum hk_lane_of { HK_LANE_WORK, HK_LANE_NAMES, HK_LANES } hk_lane_of;

enum { HK_NAME_THREADS_MAX = 4 };

/* Have job->run called and wait for it. 0: it has been, and job->result is what it returned.
 * -EAGAIN, -ENOMEM (no thread to be had), -ECANCELED, -ETIMEDOUT: it has not been; or it still is,
 * if the job has `abandoned`, which in all these cases is or will be called: the job is not the
 * caller's any more. Outside a task it is called right here. */
HK_MUST_CHECK int hk_blocking_run(hk_job *job, hk_lane_of lane);

/* The same for what must happen whatever stops the caller: on the caller's thread in the worst
 * case. */
void hk_blocking_run_firmly(hk_job *job);

#endif
