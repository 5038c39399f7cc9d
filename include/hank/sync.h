/* SPDX-License-Identifier: MIT */
/* sync.h - mutex, condition, event, semaphore: between tasks, and between tasks and threads.
 *
 * Zeroed is ready: an open mutex, an event that is not set; a semaphore is {.count = 8}, a bounded
 * one {.count = 8, .bound = 8}. There is nothing to destroy. They may not be moved or copied while
 * in use, and whoever frees the memory makes sure that nobody waits there any more. Those who wait
 * are served in the order they came.
 *
 * Tasks run in parallel: two tasks that touch the same data need one of these between them, even
 * if neither waits in the middle. */
#ifndef HANK_SYNC_H
#define HANK_SYNC_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_mutex {
    uint64_t opaque_[4];
} hank_mutex;

typedef struct hank_cond {
    uint64_t opaque_[4];
} hank_cond;

typedef struct hank_event {
    uint64_t opaque_[4];
} hank_event;

typedef struct hank_sem {
    int64_t count; /* permits at the start; not to be read later */
    int64_t bound; /* how many there may be; 0: INT64_MAX */
    uint64_t opaque_[3];
} hank_sem;

/* Take `m`. It cannot fail, because an ignored failure would be a data race: rule 3 is off here.
 *
 * Locking what one already holds is a panic; so is the first lock of a thread, if there is no
 * memory for it (runtime.h).
 *
 *   result      none
 *   waits       while another task or thread holds `m`
 *   if stopped  it waits on
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_mutex_lock(hank_mutex *m);

/* Take `m`, as one that may be stopped while it waits: look at the result before you go on.
 *
 *   result      0; -EDEADLK the caller holds it; -ECANCELED; -ETIMEDOUT
 *   waits       while another task or thread holds `m`
 *   if stopped  the caller does not hold it
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API HANK_MUST_USE int hank_mutex_lock_stoppable(hank_mutex *m);

/* Take `m` if it is free.
 *
 *   result      whether the caller holds it now
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API HANK_MUST_USE bool hank_mutex_trylock(hank_mutex *m);

/* Give `m` back. Unlocking what one does not hold is a panic that names the mutex and the task.
 *
 *   result      none
 *   waits       never
 *   threads     the task or thread that holds `m`; the task may have moved to another thread
 *   since       0.1 */
HANK_API void hank_mutex_unlock(hank_mutex *m);

/* Unlock `m`, wait for a signal, lock `m` again; `m` is held on every return.
 *
 * It may also return 0 without a signal: check what you wait for in a loop. Calling it without
 * holding `m`, or with another than those have who wait, is a panic.
 *
 *   m           the same for all who wait at `c`; several conditions may share one
 *   result      0; -ECANCELED; -ETIMEDOUT
 *   waits       for hank_cond_signal() or _broadcast(), then for `m`
 *   if stopped  `m` is held, and no signal was used up
 *   threads     any task or thread that holds `m`
 *   since       0.1 */
HANK_API int hank_cond_wait(hank_cond *c, hank_mutex *m);

/* Wait at `c` until `predicate(arg)`; `m` is held while it is called and on every return.
 *
 * If it is true at once, nothing waits. Calling it without holding `m` is a panic.
 *
 *   predicate   must not wait; called again after each signal
 *   result      0, and it is true; -ECANCELED; -ETIMEDOUT
 *   waits       for hank_cond_signal() or _broadcast(), then for `m`
 *   if stopped  `m` is held; a signal that did not make it true is passed on
 *   threads     any task or thread that holds `m`
 *   since       0.1 */
HANK_API int hank_cond_wait_for(hank_cond *c, hank_mutex *m, bool (*predicate)(void *arg),
                                void *arg);

/* Wake the one that has waited longest at `c`, if there is one.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread; hold the mutex, or a wake-up may come before the change
 *   since       0.1 */
HANK_API void hank_cond_signal(hank_cond *c);

/* Wake the `n` that have waited longest at `c`, or as many as there are.
 *
 *   result      how many that were
 *   waits       never
 *   threads     any task or thread; hold the mutex, or a wake-up may come before the change
 *   since       0.1 */
HANK_API size_t hank_cond_signal_n(hank_cond *c, size_t n);

/* Wake all who wait at `c`.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread; hold the mutex, or a wake-up may come before the change
 *   since       0.1 */
HANK_API void hank_cond_broadcast(hank_cond *c);

/* Wait until `e` is set.
 *
 * All who wait when it is set return, even if it is cleared at once.
 *
 *   result      0; -ECANCELED; -ETIMEDOUT
 *   waits       while `e` is not set
 *   if stopped  nothing changed
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_event_wait(hank_event *e);

/* Set `e` and wake all who wait for it; what was written before is seen by them.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_event_set(hank_event *e);

/* Take the setting back.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_event_clear(hank_event *e);

/* Whether `e` is set at this moment; if it is, what was written before the setting is seen.
 *
 *   result      true or false
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API bool hank_event_is_set(hank_event *e);

/* Take a permit of `s`.
 *
 *   result      0; -EINVAL `s` began with a count or bound below 0 or a count above its bound;
 *               -ECANCELED; -ETIMEDOUT
 *   waits       while there is none, or others wait already
 *   if stopped  none was taken
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_acquire(hank_sem *s);

/* Take a permit of `s` if there is one for which nobody waits.
 *
 *   result      0; -EAGAIN; -EINVAL as hank_sem_acquire()
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_tryacquire(hank_sem *s);

/* Give a permit to `s`, to the one that has waited longest; it need not have been taken before.
 *
 *   result      0; -EOVERFLOW there are as many as its bound allows: nothing changed; -EINVAL as
 *               hank_sem_acquire()
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_release(hank_sem *s);

/* Take `n` permits of `s`, all at once.
 *
 * Who waits for many holds up those who come later and want few.
 *
 *   result      0; -EINVAL as hank_sem_acquire(), or `n` is below 1 or above the bound;
 *               -ECANCELED; -ETIMEDOUT
 *   waits       while there are fewer, or others wait already
 *   if stopped  none was taken
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_acquire_n(hank_sem *s, int64_t n);

/* Take `n` permits of `s` if there are as many for which nobody waits.
 *
 *   result      0; -EAGAIN; -EINVAL as hank_sem_acquire_n()
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_tryacquire_n(hank_sem *s, int64_t n);

/* Give `n` permits to `s`, to those that have waited longest.
 *
 *   result      0; -EOVERFLOW that would be more than its bound: nothing changed; -EINVAL as
 *               hank_sem_acquire(), or `n` is below 1
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_release_n(hank_sem *s, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
