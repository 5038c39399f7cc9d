/* SPDX-License-Identifier: MIT */
/* promise.h - a value that one gives and any number wait for.
 *
 *     hank_promise p = {0};
 *     rc = hank_promise_await(&p, &value);         any number of tasks and threads, any time
 *     hank_promise_set(&p, value);                 one of them, once
 *
 * A promise is kept by a value or broken by an error, once: the second to try is told so and keeps
 * what it wanted to give. Whoever stops waiting for it does not touch it.
 *
 * Zeroed is ready, and there is nothing to destroy. It may not be moved while in use, and whoever
 * frees the memory makes sure that nobody will wait there any more. */
#ifndef HANK_PROMISE_H
#define HANK_PROMISE_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_promise {
    uint64_t opaque_[6];
} hank_promise;

/* Keep `p` and wake all who wait for it; what was written before is seen by them.
 *
 *   value       what they get; not looked at, NULL is a value
 *   result      0; -EALREADY it is kept or broken already: nothing changed, `value` is the caller's
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_promise_set(hank_promise *p, void *value);

/* Break `p` and wake all who wait for it: asyncio's set_exception, and with -ECANCELED its cancel.
 *
 *   error       what they get, < 0
 *   result      0; -EALREADY it is kept or broken already; -EINVAL `error` is not negative
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_promise_fail(hank_promise *p, int error);

/* Wait until `p` is kept or broken.
 *
 *   ret_value   the value, if the result is 0; or NULL
 *   result      0; the error it was broken with; -ECANCELED; -ETIMEDOUT
 *   waits       while it is neither
 *   if stopped  `p` and the others who wait are left alone; hank_promise_result() tells a stop from
 *               a promise that was broken with the same code
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_promise_await(hank_promise *p, void **ret_value);

/* What `p` holds at this moment.
 *
 *   ret_value   the value, if the result is 0; or NULL
 *   result      0; the error it was broken with; -EINPROGRESS neither kept nor broken yet
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_promise_result(hank_promise *p, void **ret_value);

#ifdef __cplusplus
}
#endif
#endif
