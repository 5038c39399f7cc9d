/* SPDX-License-Identifier: MIT */
/* scope.h - timeouts around code, and shields for last words.
 *
 * A deadline is not a parameter of every call but a property of a stretch of code:
 *
 *     hank_scope s;
 *     hank_timeout_begin(&s, HANK_SEC(3));
 *     rc = talk(stream);                       every wait in here is bounded
 *     if (hank_timeout_end(&s))
 *         rc = -ETIMEDOUT;                     it was this one that expired
 *
 * Scopes nest, live on the stack, end in the reverse order, in the task that began them, and reach
 * the tasks it waits for: a stop goes down the tree, completion comes up. When several apply, the
 * one furthest out answers for the stop: cancelling comes before a timeout, and of two timeouts
 * that end at the same moment both have expired, but only the outer says so at its end. */
#ifndef HANK_SCOPE_H
#define HANK_SCOPE_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_scope {
    uint64_t opaque_[8];
} hank_scope;

/* From here to hank_timeout_end(), waits of this task fail with -ETIMEDOUT once the time is over.
 *
 *   s           written, and kept until hank_timeout_end(); need not be zeroed
 *   timeout     from now; HANK_FOREVER never expires; <= 0 has expired already
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time, each its own scope
 *   since       0.1 */
HANK_API void hank_timeout_begin(hank_scope *s, hank_ns timeout);

/* The same until a point in time, on the clock of hank_now().
 *
 *   s           written, and kept until hank_timeout_end(); need not be zeroed
 *   when        HANK_FOREVER never comes; what is past has expired already
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time, each its own scope
 *   since       0.1 */
HANK_API void hank_timeout_begin_at(hank_scope *s, hank_ns when);

/* Move the end of a timeout of this task, to earlier, later or HANK_FOREVER.
 *
 *   when        on the clock of hank_now()
 *   result      0; -ETIMEDOUT it has stopped something already, and stays expired; -EINVAL no
 *               timeout that the caller has begun and not ended
 *   waits       never
 *   threads     the task that began it
 *   since       0.1 */
HANK_API int hank_timeout_reschedule(hank_scope *s, hank_ns when);

/* Whether `s`, which has not been ended, has stopped anything so far.
 *
 *   result      true also if something further out stops the task as well
 *   waits       never
 *   threads     the task that began it
 *   since       0.1 */
HANK_API bool hank_timeout_expired(const hank_scope *s);

/* The time that `s`, which has not been ended, has left.
 *
 *   result      nanoseconds; 0 it is over; HANK_FOREVER it has no end
 *   waits       never
 *   threads     the task that began it
 *   since       0.1 */
HANK_API hank_ns hank_timeout_remaining(const hank_scope *s);

/* When the waits of the calling task or thread will be stopped, as far as it is known now: the
 * earliest end of a timeout around it that no shield holds off. For passing on to code that has
 * deadlines of its own.
 *
 *   result      on the clock of hank_now(); HANK_FOREVER no end; one that is long past if it is
 *               cancelled
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API hank_ns hank_deadline(void);

/* End the innermost scope of this task, which must be `s`: another is a panic that names the scope
 * and the task, as is a task that returns inside one.
 *
 *   result      whether it is `s` that ran out: it has stopped something, and neither a timeout
 *               around it has nor is the task cancelled. No call after this one sees its stop
 *   waits       never
 *   threads     the task that began it
 *   since       0.1 */
HANK_API bool hank_timeout_end(hank_scope *s);

/* From here to hank_shield_end(), neither cancelling nor timeouts begun before stop this task.
 *
 * Begin a timeout inside it: a shield without one can hold up those who wait for the task.
 *
 *   s           written, and kept until hank_shield_end(); need not be zeroed
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time, each its own scope
 *   since       0.1 */
HANK_API void hank_shield_begin(hank_scope *s);

/* End the innermost scope of this task, which must be `s`; a stop that was held off counts again.
 *
 *   result      none
 *   waits       never
 *   threads     the task that began it
 *   since       0.1 */
HANK_API void hank_shield_end(hank_scope *s);

/* The second half of hank_within(); not to be called by itself.
 *
 *   result      `result`
 *   waits       never
 *   threads     the task that began the scope
 *   since       0.1 */
HANK_API int hank_within_end_(int64_t result);

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus

/* rc = hank_within(HANK_SEC(3), hank_gather(a, b)): one call under one timeout, and its result.
 * What was stopped has -ETIMEDOUT if it was by this timeout, else -ECANCELED. */
#define hank_within(timeout, call)                                                                 \
    (hank_timeout_begin(&(hank_scope){{0}}, (timeout)), hank_within_end_(call))

#endif
#endif
