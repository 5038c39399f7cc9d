/* SPDX-License-Identifier: MIT */
/* group.h - any number of children, one exit.
 *
 *     hank_group g = {0};
 *     for (i = 0; i < n; i++)
 *         hank_group_spawn(&g, work, &jobs[i]);
 *     rc = hank_group_wait(&g);
 *
 * Members have no handles: the group collects their results and keeps the first failure in time.
 * One that fails cancels the others, unless the group is to keep going. Any task may add members,
 * members too. A stop reaches them through the task that waits for the group.
 *
 * A group must be waited for before its memory goes; afterwards it is like new. */
#ifndef HANK_GROUP_H
#define HANK_GROUP_H

#include <hank/base.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* hank_group.flags */
enum {
    HANK_KEEP_GOING = 1,   /* a member that fails does not cancel the others */
    HANK_ALWAYS_START = 2, /* fn runs even if its member was cancelled before it began, and its
                              first wait fails: for members that own what `arg` points to */
};

typedef struct hank_group {
    unsigned flags;
    uint64_t opaque_[10];
} hank_group;

/* Start fn(arg) as a member of `g`.
 *
 * A member that could not be started counts as one that failed, so the result matters only to a
 * caller who must take something back. A member that is cancelled before it began ends with
 * -ECANCELED and fn does not run, unless `g` is to start them always.
 *
 *   g           kept until it has been waited for
 *   arg         kept until the member has ended
 *   result      0; -ECANCELED `g` is stopping, fn will not run; -EINVAL fn is NULL; -ENOMEM;
 *               -EPERM outside a task, and `g` does not count it
 *   waits       never
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_group_spawn(hank_group *g, hank_fn fn, void *arg);

/* The same with a copy of the argument, which lives as long as the member.
 *
 *   arg         size bytes, read before the call returns
 *   size        at most 64 KiB
 *   result      as hank_group_spawn(); -EINVAL also for a size over the limit
 *   waits       never
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_group_spawn_copy(hank_group *g, hank_fn fn, const void *arg, size_t size);

/* Wait until every member has ended, those included that are added meanwhile.
 *
 *   result      0; the first failure in time; -EBUSY another task waits for `g`; -EPERM outside a
 *               task. A member that ended with -ECANCELED because `g` was cancelled has not failed
 *   waits       while a member runs
 *   if stopped  members are cancelled and joined; the first failure if there was one before, else
 *               -ECANCELED or -ETIMEDOUT
 *   threads     any task, one at a time
 *   since       0.1 */
HANK_API int hank_group_wait(hank_group *g);

/* Ask every member to stop, present and future ones, until `g` has been waited for.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_group_cancel(hank_group *g);

#ifdef __cplusplus
}
#endif
#endif
