/* SPDX-License-Identifier: MIT */
/* timer.h - calls that come later: soon, after a time, at a time; and taken back before.
 *
 *     hank_timer t = hank_call_later(HANK_SEC(30), expire, session);
 *     ...
 *     if (hank_timer_cancel(t) == 0)
 *         session_free(session);               it will not be called
 *
 * A call runs in a task of its own, so it may wait like any other; while it waits for its time it
 * has no stack. Nobody awaits it: a negative result goes to the on_error hook. When its runtime
 * ends a call that has not begun is dropped, and one that has is cancelled and joined.
 *
 * Calls that are due at different times begin in that order, and those due at once in the order in
 * which they were asked for, as far as one worker is concerned. Several workers take them in turn
 * and run them at the same time. */
#ifndef HANK_TIMER_H
#define HANK_TIMER_H

#include <hank/base.h>
#include <hank/runtime.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A call, as who asked for it sees it: 16 bytes, passed by value, and may be dropped. */
typedef struct hank_timer {
    void *slot_;
    uint32_t generation_;
    int32_t error_;
} hank_timer;

/* Call fn(arg) in a task once others that are ready have had their turn.
 *
 *   arg         kept until the call has ended, or is known not to come
 *   result      a handle. It has failed with -EINVAL fn is NULL; -ENOMEM; -ESHUTDOWN the runtime
 *               ends; -EPERM outside a task
 *   waits       never
 *   threads     any task
 *   since       0.1 */
HANK_API hank_timer hank_call_soon(hank_fn fn, void *arg);

/* The same after a time.
 *
 *   delay       from now, at least; <= 0 is soon; HANK_FOREVER is never
 *   arg         kept until the call has ended, or is known not to come
 *   result      as hank_call_soon()
 *   waits       never
 *   threads     any task
 *   since       0.1 */
HANK_API hank_timer hank_call_later(hank_ns delay, hank_fn fn, void *arg);

/* The same at a time.
 *
 *   when        on the clock of hank_now(); in the past is soon
 *   arg         kept until the call has ended, or is known not to come
 *   result      as hank_call_soon()
 *   waits       never
 *   threads     any task
 *   since       0.1 */
HANK_API hank_timer hank_call_at(hank_ns when, hank_fn fn, void *arg);

/* The same in `rt`, from wherever you are; 0 is soon.
 *
 *   rt          must not be freed meanwhile
 *   when        on the clock of hank_now(); in the past is soon
 *   arg         kept until the call has ended, or is known not to come
 *   result      as hank_call_soon(); failed with -EINVAL also if rt is NULL, with -ESHUTDOWN also
 *               in a forked child
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API hank_timer hank_call_into(hank_runtime *rt, hank_ns when, hank_fn fn, void *arg);

/* Take a call back. One that has begun goes on.
 *
 *   result      0 it has not begun and never will, also if it was taken back before and its task is
 *               still there; -EALREADY it has begun, or is over, or was taken back before; the
 *               code of a handle that had failed
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_timer_cancel(hank_timer t);

/* Take a call back, or wait until it has ended: afterwards its argument is the caller's again.
 *
 *   result      as hank_timer_cancel(), but -EALREADY only once it is over; -EDEADLK the caller is
 *               that call; -ESHUTDOWN in a forked child; -ECANCELED; -ETIMEDOUT
 *   waits       while the call runs
 *   if stopped  the call goes on
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_timer_cancel_wait(hank_timer t);

/* When a call is due.
 *
 *   result      on the clock of hank_now(); -ESTALE it has begun, or was taken back; the code of a
 *               handle that had failed
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API hank_ns hank_timer_when(hank_timer t);

#ifdef __cplusplus
}
#endif
#endif
