/* SPDX-License-Identifier: MIT */
/* group.h - any number of children, one exit.
 *
 *     hank_group g = {0};
 *     for (i = 0; i < n; i++)
 *         hank_group_spawn(&g, work, &jobs[i]);
 *     rc = hank_group_wait(&g);
 *
 * What the task itself does meanwhile can be a part of it, and then a failure stops that, too:
 *
 *     hank_group_begin(&g);
 *     hank_group_spawn(&g, work, &job);
 *     rc = hank_group_end(&g, talk(s));        talk() is stopped if work fails, and vice versa
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

/* The same with options; hank_group_spawn_with(&g, fn, arg, .name = "ping") writes the struct.
 *
 *   options     NULL: all defaults
 *   result      as hank_group_spawn(); -EINVAL also for an option out of its limits
 *   waits       never
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_group_spawn_opt(hank_group *g, hank_fn fn, void *arg,
                                  const hank_spawn_options *options);

/* Start fn(arg) and wait until it says hank_started(); from then on it is a member of `g`.
 *
 *     static int serve(void *arg) { ... bind ...; hank_started(where); ... accept ...; }
 *
 * Until then it is the caller's own child: its failure is the caller's to handle, not the group's.
 *
 *   g           kept until it has been waited for
 *   arg         kept until the member has ended
 *   options     as hank_group_spawn_opt(); NULL: all defaults
 *   ret_value   what hank_started() was given, if the result is 0; or NULL
 *   result      0; what fn returned without having started, if that was < 0, and -EPROTO if not;
 *               -ECANCELED `g` is stopping; -EINVAL; -ENOMEM; -EPERM outside a task
 *   waits       until fn has started or ended
 *   if stopped  fn is cancelled and joined, and is no member; -ECANCELED or -ETIMEDOUT, unless fn
 *               fails otherwise
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_group_start(hank_group *g, hank_fn fn, void *arg,
                              const hank_spawn_options *options, void **ret_value);

/* Say that the calling task, which hank_group_start() began, is ready.
 *
 *   value       for who waits
 *   result      0; -ECANCELED nobody waits any more, and it is to end; -EALREADY said before;
 *               -EPERM begun otherwise
 *   waits       never
 *   threads     the task itself
 *   since       0.1 */
HANK_API int hank_started(void *value);

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

/* From here to hank_group_end(), what the calling task does is a part of `g`: once `g` is
 * cancelled, because a member has failed or by hank_group_cancel(), its waits fail with -ECANCELED.
 *
 * It is a scope: it ends in the reverse order, in the task that began it, and before that returns.
 *
 *   g           kept until hank_group_end(); it may have members, and be cancelled already
 *   result      0; -EBUSY another task waits for `g`, or is a part of it; -EPERM outside a task
 *   waits       never
 *   threads     any task, one at a time
 *   since       0.1 */
HANK_API int hank_group_begin(hank_group *g);

/* End the innermost scope of this task, which must be that of `g`, or it panics; and wait until
 * every member has ended, as hank_group_wait() does.
 *
 *   body_result what the caller's part of it came to: a failure cancels the members, but
 *               -ECANCELED because `g` was cancelled is none
 *   result      0; the first failure in time, of the members and the caller's part
 *   waits       while a member runs
 *   if stopped  as hank_group_wait()
 *   threads     the task that began it
 *   since       0.1 */
HANK_API int hank_group_end(hank_group *g, int body_result);

/* Ask every member to stop, present and future ones, until `g` has been waited for; and the task
 * between hank_group_begin() and hank_group_end().
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_group_cancel(hank_group *g);

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus

/* hank_group_spawn_with(&g, work, &job, .name = "work", .copy = sizeof job) */
#define hank_group_spawn_with(g, fn, arg, ...)                                                     \
    hank_group_spawn_opt((g), (fn), (arg), &(hank_spawn_options){__VA_ARGS__})

#endif
#endif
