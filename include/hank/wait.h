/* SPDX-License-Identifier: MIT */
/* wait.h - look at tasks without using them up; iterate over them as they end; race them one after
 * the other.
 *
 * hank_await() and its like own the task they wait for: a stop goes down to it, and its handle is
 * used up. The calls here only look. They cancel nothing, and every task stays to be awaited: by
 * name afterwards, or at the end of its parent. They are for the caller's own children; what others
 * are to wait for is a hank_promise. */
#ifndef HANK_WAIT_H
#define HANK_WAIT_H

#include <hank/base.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* When hank_wait_n() returns. A task that ended with -ECANCELED has not failed. */
typedef enum hank_until {
    HANK_FIRST_DONE,   /* when a task has ended */
    HANK_FIRST_FAILED, /* when one has failed, or all have ended */
    HANK_ALL_DONE,     /* when all have ended */
} hank_until;

/* Wait for some of n tasks to end. Nothing is cancelled, nothing used up.
 *
 * A handle that is used up, foreign or has failed counts as a task that has failed.
 *
 *   ret_done    n answers in the order of `tasks`, or NULL: which have ended by the time of the
 *               return; written also if it was stopped
 *   result      how many have ended, > 0; -EINVAL n == 0, or no such `until`; -E2BIG n is over
 *               1,000,000; -EBUSY a task is in a hank_completions; -EPERM outside a task;
 *               -ECANCELED; -ETIMEDOUT
 *   waits       until `until`
 *   if stopped  the tasks run on
 *   threads     the task that spawned them
 *   since       0.1 */
HANK_API int hank_wait_n(const hank_task *tasks, size_t n, hank_until until, bool *ret_done);

/* Whether `t` has ended.
 *
 *   result      1 yes, and if the caller spawned it, what it wrote is seen; 0 not yet; -ESTALE its
 *               handle is used up
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_is_done(hank_task t);

/* The result of a task that has ended; it stays to be awaited.
 *
 *   ret_result  what hank_await() will return
 *   result      0; -EINPROGRESS it runs; -ESTALE used up; -EPERM not the caller's child, or outside
 *               a task
 *   waits       never
 *   threads     the task that spawned `t`
 *   since       0.1 */
HANK_API int hank_result(hank_task t, int *ret_result);

/* An iteration over tasks in the order in which they end. */
typedef struct hank_completions {
    uint64_t opaque_[40];
} hank_completions;

/* Begin one over n tasks:
 *
 *     rc = hank_completions_begin(&c, tasks, n);
 *     while ((i = hank_completions_next(&c)) >= 0)
 *         use(i, hank_await(tasks[i]));
 *     hank_completions_end(&c);
 *
 *   c           written if the result is 0, and kept until hank_completions_end()
 *   tasks       kept until then. Those that have ended before come first, in the order given
 *   result      0; -ENOMEM; -E2BIG n is over 1,000,000; -EBUSY a task is in another one; -EPERM
 *               outside a task
 *   waits       never
 *   threads     the task that spawned them
 *   since       0.1
 *   cost        four bytes a task, freed at the end */
HANK_API int hank_completions_begin(hank_completions *c, const hank_task *tasks, size_t n);

/* The index of the next task that has ended. Each comes once, however often it is in `tasks`; one
 * that is awaited before its turn comes too, and is used up then. Those that end within moments on
 * different workers may come in either order, even if hank_is_done() has told of the first.
 *
 *   result      the index; -ENOENT there are no more; -ECANCELED; -ETIMEDOUT
 *   waits       while none has ended that was not given yet
 *   if stopped  nothing was taken, and the tasks run on
 *   threads     the task that began it
 *   since       0.1 */
HANK_API ssize_t hank_completions_next(hank_completions *c);

/* End it, at any time. It is a scope: it ends in the reverse order, in the task that began it, and
 * before that returns; else it panics.
 *
 *   result      none; the tasks run on
 *   waits       never
 *   threads     the task that began it
 *   since       0.1 */
HANK_API void hank_completions_end(hank_completions *c);

/* One way to try, for hank_race_staggered(). */
typedef struct hank_attempt {
    hank_fn fn;
    void *arg;
} hank_attempt;

/* How: zero is the default of each. */
typedef struct hank_stagger {
    hank_ns delay;                          /* between starts; 0: all at once; HANK_FOREVER: only
                                               when the one before has failed */
    void (*dispose)(void *arg, int result); /* for each that succeeded and did not win; NULL: no */
} hank_stagger;

/* Try until one succeeds: the first attempt at once, the next when a delay has passed or the one
 * before it has failed. The first to return >= 0 wins; the others are cancelled and joined.
 *
 *   attempts    n of them; their arguments kept until the call returns
 *   how         NULL: all defaults
 *   ret_results n results in the order of `attempts`, or NULL; -ECANCELED for one that was never
 *               started
 *   result      the index of the winner; the last failure in time if all failed; -EINVAL n == 0,
 *               an fn is NULL; -E2BIG n is over 1,000,000; -ENOMEM; -EPERM outside a task
 *   waits       until one has succeeded or all have failed, and then until the others have ended
 *   if stopped  all are cancelled and joined; -ECANCELED or -ETIMEDOUT, unless one succeeded:
 *               then it has won
 *   threads     any task
 *   since       0.1 */
HANK_API ssize_t hank_race_staggered(const hank_attempt *attempts, size_t n,
                                     const hank_stagger *how, int *ret_results);

#ifdef __cplusplus
}
#endif
#endif
