/* SPDX-License-Identifier: MIT */
/* stagger.c - attempts that start one after the other, until one succeeds.
 * Source: RFC 8305, "Happy Eyeballs Version 2", section 5. */
#include <hank/wait.h>

#include <errno.h>

#include "base/alloc.h"
#include "base/os.h"
#include "sched/fork.h"
#include "sched/look.h"
#include "sched/park.h"
#include "sched/task.h"
#include "sched/worker.h"

/* tasks, watches  room for n; the first `started` tasks are set
 * winner        the index of the first that succeeded, n if none has */
typedef struct race {
    const hank_attempt *attempts;
    const hank_stagger *how;
    size_t n, started, failed, winner;
    hank_task *tasks;
    hk_watch *watches;
    int last_failure;
    hk_look look;
} race;

static void start_next(race *r)
{
    size_t i = r->started++;
    r->tasks[i] = hank_spawn(r->attempts[i].fn, r->attempts[i].arg);
    (void)hk_look_add(&r->look, r->tasks[i], i); /* new: no other look can watch it */
}

/* Until when to wait for those that run before another is started. */
static int64_t next_start(const race *r)
{
    int64_t now = hk_os_now();
    bool never = r->started == r->n || r->how->delay >= HK_FOREVER - now;
    return never ? HK_FOREVER : now + r->how->delay;
}

/* Receive those that have ended. True: one of them failed. */
static bool receive(race *r)
{
    size_t failed_before = r->failed;
    size_t i;
    while (r->winner == r->n && hk_look_take(&r->look, &i)) {
        int result = -ESTALE;
        (void)hank_result(r->tasks[i], &result); /* it has ended, and is ours */
        if (result >= 0) {
            r->winner = i;
            continue;
        }
        r->last_failure = result;
        r->failed++;
    }
    return r->failed > failed_before;
}

/* Start one, or all if there is no delay, and wait until it is time for the next. 0: it is, or all
 * is decided; or a stop. */
static int step(race *r)
{
    do {
        if (r->started < r->n)
            start_next(r);
    } while (r->how->delay <= 0 && r->started < r->n);
    int64_t until = next_start(r);
    bool failed = false;
    while (r->winner == r->n && r->failed < r->n && !(failed && r->started < r->n)) {
        int rc = hk_look_wait(&r->look, HK_LOOK_NEXT, HK_WAITING, until);
        if (rc == HK_EXPIRED)
            return 0;
        if (rc < 0)
            return rc;
        failed = receive(r);
    }
    return 0;
}

/* All but the winner are cancelled, all are joined, and what succeeded too late is disposed of. */
static void finish(race *r, int *ret_results)
{
    (void)receive(r); /* what ended before the stop */
    for (size_t i = 0; i < r->started; i++)
        if (i != r->winner)
            (void)hank_cancel(r->tasks[i]); /* ours, not used up */
    hk_look_end(&r->look, r->tasks, r->started);
    for (size_t i = 0; i < r->n; i++) {
        int result = i < r->started ? hank_await(r->tasks[i]) : -ECANCELED;
        if (ret_results)
            ret_results[i] = result;
        if (result >= 0 && r->winner == r->n)
            r->winner = i;
        else if (result >= 0 && i != r->winner && r->how->dispose)
            r->how->dispose(r->attempts[i].arg, result);
    }
}

static int check(const hank_attempt *attempts, size_t n)
{
    hk_worker *w = hk_worker_self();
    if (n == 0)
        return -EINVAL;
    if (n > HK_JOIN_MAX)
        return -E2BIG;
    for (size_t i = 0; i < n; i++)
        if (!attempts[i].fn)
            return -EINVAL;
    return w && w->current ? hk_checkpoint() : hk_not_in_a_task();
}

ssize_t hank_race_staggered(const hank_attempt *attempts, size_t n, const hank_stagger *how,
                            int *ret_results)
{
    static const hank_stagger defaults;
    int rc = check(attempts, n);
    if (rc < 0)
        return rc;
    size_t bytes = n * (sizeof(hank_task) + sizeof(hk_watch));
    race r = {.attempts = attempts, .how = how ? how : &defaults, .n = n, .winner = n};
    r.tasks = hk_alloc(bytes);
    if (!r.tasks)
        return -ENOMEM;
    r.watches = (hk_watch *)(void *)(r.tasks + n);
    hk_look_begin(&r.look, r.watches, n);
    while (rc == 0 && r.winner == n && r.failed < n)
        rc = step(&r);
    finish(&r, ret_results);
    hk_free(r.tasks, bytes);
    if (r.winner < n)
        return (ssize_t)r.winner;
    return rc < 0 ? rc : r.last_failure;
}
