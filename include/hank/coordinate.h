/* SPDX-License-Identifier: MIT */
/* coordinate.h - rwlock, barrier, once, limiter, done: between tasks, and between tasks and
 * threads.
 *
 * As in sync.h: zeroed is ready, there is nothing to destroy, and whoever frees the memory makes
 * sure that nobody waits there. A barrier is {.parties = 4}, a limiter {.tokens = 100}: a hundred
 * a second, one at a time. */
#ifndef HANK_COORDINATE_H
#define HANK_COORDINATE_H

#include <hank/base.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_rwlock {
    uint64_t opaque_[4];
} hank_rwlock;

typedef struct hank_barrier {
    uint32_t parties; /* how many pass together, 1 to INT_MAX; constant */
    uint32_t opaque_;
    uint64_t opaque_rest_[3];
} hank_barrier;

typedef struct hank_once {
    uint64_t opaque_[4];
} hank_once;

typedef struct hank_done {
    uint64_t opaque_[6];
} hank_done;

/* A function to call when something is done; zeroed but for the two that are yours. */
typedef struct hank_done_hook {
    void (*fn)(void *arg, int result);
    void *arg;
    uint64_t opaque_[4];
} hank_done_hook;

/* Constant: tokens come evenly, `tokens` a `period`, and not faster than one a nanosecond. */
typedef struct hank_limiter {
    int64_t tokens;
    hank_ns period; /* 0: a second */
    int64_t burst;  /* how many may be saved up, and taken at once; 0: 1 */
    uint64_t opaque_[4];
} hank_limiter;

/* --- rwlock: readers together, or one writer ---------------------------------------------------
 */

/* Take `l` to read, beside other readers. It cannot fail, as hank_mutex_lock().
 *
 * Readers and writers get it in the order they came, so neither is kept out for ever. Taking it
 * while one writes is a panic; a reader that takes it again may wait for ever, if a writer came
 * in between.
 *
 *   result      none
 *   waits       while one writes, or somebody waits already
 *   if stopped  it waits on
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_rwlock_rdlock(hank_rwlock *l);

/* Take `l` to write, alone. It cannot fail, as hank_mutex_lock().
 *
 * Taking it while one writes is a panic, and while one reads it waits for ever.
 *
 *   result      none
 *   waits       while anybody reads or writes, or somebody waits already
 *   if stopped  it waits on
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_rwlock_wrlock(hank_rwlock *l);

/* Take `l` to read, as one that may be stopped while it waits.
 *
 *   result      0; -EDEADLK the caller writes; -ECANCELED; -ETIMEDOUT
 *   waits       while one writes, or somebody waits already
 *   if stopped  the caller does not read
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API HANK_MUST_USE int hank_rwlock_rdlock_stoppable(hank_rwlock *l);

/* Take `l` to write, as one that may be stopped while it waits.
 *
 *   result      0; -EDEADLK the caller writes; -ECANCELED; -ETIMEDOUT
 *   waits       while anybody reads or writes, or somebody waits already
 *   if stopped  the caller does not write, and readers that waited behind it do not wait for it
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API HANK_MUST_USE int hank_rwlock_wrlock_stoppable(hank_rwlock *l);

/* Take `l` to read if nobody writes or waits.
 *
 *   result      whether the caller reads now
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API HANK_MUST_USE bool hank_rwlock_tryrdlock(hank_rwlock *l);

/* Take `l` to write if it is free.
 *
 *   result      whether the caller writes now
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API HANK_MUST_USE bool hank_rwlock_trywrlock(hank_rwlock *l);

/* Give `l` back after reading. If nobody reads, it is a panic that names the lock and the task.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread, for one that reads
 *   since       0.1 */
HANK_API void hank_rwlock_rdunlock(hank_rwlock *l);

/* Give `l` back after writing. If the caller does not write, it is a panic that names the lock and
 * the task.
 *
 *   result      none
 *   waits       never
 *   threads     the task or thread that writes
 *   since       0.1 */
HANK_API void hank_rwlock_wrunlock(hank_rwlock *l);

/* --- barrier: all of `parties`, or nobody -------------------------------------------------------
 */

/* Wait until `parties` tasks and threads have come here; then all go on, and the next can come.
 *
 * What each wrote before, all see afterwards.
 *
 *   result      a number from 0 to parties - 1, another for each; -EINVAL no such `parties`;
 *               -ENOTRECOVERABLE it is broken, or was reset meanwhile; -ECANCELED; -ETIMEDOUT
 *   waits       while not all have come
 *   if stopped  the caller has left; the barrier is whole and waits for one more
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_barrier_wait(hank_barrier *b);

/* Break `b`: who waits, and who comes before a reset, gets -ENOTRECOVERABLE.
 *
 *   result      none; breaking it twice is breaking it once
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_barrier_abort(hank_barrier *b);

/* Make `b` whole and empty: who waits gets -ENOTRECOVERABLE, who comes is the first.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_barrier_reset(hank_barrier *b);

/* How many wait at `b` at this moment.
 *
 *   result      less than parties
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API unsigned hank_barrier_waiting(hank_barrier *b);

/* Whether `b` is broken at this moment.
 *
 *   result      true or false
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API bool hank_barrier_is_broken(hank_barrier *b);

/* --- once ----------------------------------------------------------------------------------------
 */

/* Run `fn(arg)` unless it was done before; who comes while it runs waits for it.
 *
 * If it fails, it was not done: the one that has waited longest runs its own `fn`, or the next to
 * come does. What `fn` wrote is seen by all who got 0. Once done, this call is one load, and
 * succeeds in a stopped task too.
 *
 *   result      0 done by another, or what `fn` returned, < 0 if it failed; -EINVAL `fn` is NULL;
 *               -EDEADLK called from inside `fn`; -ECANCELED; -ETIMEDOUT
 *   waits       while another runs it, and whatever `fn` waits for
 *   if stopped  the caller has not run it, or `fn` was stopped and says so
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_once_run(hank_once *o, hank_fn fn, void *arg);

/* Whether it was done; if so, what it wrote is seen.
 *
 *   result      true or false
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API bool hank_once_is_done(hank_once *o);

/* --- limiter: so many a second -------------------------------------------------------------------
 */

/* Take `n` tokens of `l`, in the order of coming.
 *
 *   n           1 to the burst
 *   result      0; -EINVAL no such `n`, or a limiter that never has any; -ECANCELED; -ETIMEDOUT
 *   waits       until they have come, and those before it have theirs
 *   if stopped  none was taken, and those behind do not wait for them
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_limiter_acquire(hank_limiter *l, int64_t n);

/* Take `n` tokens of `l` if they are there and nobody waits.
 *
 *   n           1 to the burst
 *   result      0; -EAGAIN; -EINVAL as hank_limiter_acquire()
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_limiter_tryacquire(hank_limiter *l, int64_t n);

/* --- done: any number of functions to call when a task is over ---------------------------------
 *
 * A task has one on_done hook. This makes it many, which come and go while it runs:
 *
 *     hank_done d = {0};
 *     hank_task t = hank_spawn_with(work, &job, .on_done = hank_done_call, .on_done_arg = &d);
 *     hank_done_hook told = {.fn = tell, .arg = &somebody};
 *     hank_done_add(&d, &told);
 *
 * They are called in the order in which they were added, one after the other, each once, by
 * whoever calls hank_done_call(): for a task the worker it ended on. They must not wait. */

/* Have hook->fn(hook->arg, result) called when `d` is done; if it is already, that is now and here.
 *
 *   d           kept until it is done, and as long as hooks may be added
 *   hook        kept until it is called or removed; then it is yours again, inside its call too
 *   result      0 it will be called, after those that were added before; 1 it has been; -EINVAL its
 *               fn is NULL; -EBUSY it is in `d`
 *   waits       never
 *   threads     any task or thread, at the same time; also from inside a hook
 *   since       0.1 */
HANK_API int hank_done_add(hank_done *d, hank_done_hook *hook);

/* Take a hook back.
 *
 *   result      0 it will not be called; -EALREADY it is in `d` no more, and its call has begun or
 *               is over; or it never was
 *   waits       never: a call that has begun may go on meanwhile
 *   threads     any task or thread, at the same time; also from inside a hook
 *   since       0.1 */
HANK_API int hank_done_remove(hank_done *d, hank_done_hook *hook);

/* Say that `d`, a hank_done, is done, and call its hooks: fits hank_spawn_options.on_done, and may
 * be called for what is no task. Calling it a second time is a panic.
 *
 *   result      what the hooks are given
 *   waits       never, if no hook does; hooks that are added meanwhile are called, too
 *   threads     any task or thread, once
 *   since       0.1 */
HANK_API void hank_done_call(void *d, int result);

#ifdef __cplusplus
}
#endif
#endif
