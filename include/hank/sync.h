/* SPDX-License-Identifier: MIT */
/* sync.h - mutex, condition, event, semaphore: between tasks, and between tasks and threads.
 *
 * Zeroed is ready: an open mutex, an event that is not set; a semaphore is {.count = 8}. There is
 * nothing to destroy. They may not be moved or copied while in use, and whoever frees the memory
 * makes sure that nobody waits there any more. Those who wait are served in the order they came.
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
    uint64_t opaque_[4];
} hank_sem;

/* Take `m`. It cannot fail, because an ignored failure would be a data race: rule 3 is off here.
 *
 * Locking what one already holds is a panic.
 *
 *   result      none
 *   waits       while another task or thread holds `m`
 *   if stopped  it waits on
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_mutex_lock(hank_mutex *m);

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
 * holding `m` is a panic.
 *
 *   m           the same for all who wait at `c`
 *   result      0; -ECANCELED; -ETIMEDOUT
 *   waits       for hank_cond_signal() or _broadcast(), then for `m`
 *   if stopped  `m` is held, and no signal was used up
 *   threads     any task or thread that holds `m`
 *   since       0.1 */
HANK_API int hank_cond_wait(hank_cond *c, hank_mutex *m);

/* Wake the one that has waited longest at `c`, if there is one.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread; hold the mutex, or a wake-up may come before the change
 *   since       0.1 */
HANK_API void hank_cond_signal(hank_cond *c);

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
 *   result      0; -ECANCELED; -ETIMEDOUT; -EINVAL the count began below 0
 *   waits       while there is none, or others wait already
 *   if stopped  none was taken
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_acquire(hank_sem *s);

/* Take a permit of `s` if there is one for which nobody waits.
 *
 *   result      0; -EAGAIN; -EINVAL the count began below 0
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_tryacquire(hank_sem *s);

/* Give a permit to `s`, to the one that has waited longest; it need not have been taken before.
 *
 *   result      0; -EOVERFLOW there are INT64_MAX: nothing changed; -EINVAL the count began below 0
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sem_release(hank_sem *s);

#ifdef __cplusplus
}
#endif
#endif
