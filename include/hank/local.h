/* SPDX-License-Identifier: MIT */
/* local.h - values that belong to a task, and to those it spawns.
 *
 *     static const hank_local request_id = {0};         a key; .initial is what it is elsewhere
 *
 *     hank_local_scope s;
 *     hank_local_begin(&s, &request_id, id);
 *     rc = handle(request);                             hank_local_get(&request_id) == id
 *     hank_local_end(&s);
 *
 * A task begins with the values that its spawner had at that moment. What either sets later the
 * other does not see. Functions that a task calls on other threads, by hank_blocking() or
 * hank_pool_call(), see its values while it waits for them.
 *
 * A value is a pointer that hank does not look at: what it points to must live as long as any task
 * that inherited it, which children of the scope's own code do not outlast but detached tasks and
 * members of an outer group may. */
#ifndef HANK_LOCAL_H
#define HANK_LOCAL_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A key: its address is what it is known by. */
typedef struct hank_local {
    void *initial; /* its value where nobody set another; constant */
} hank_local;

typedef struct hank_local_scope {
    uint64_t opaque_[10];
} hank_local_scope;

/* The value of `key` for the calling task or thread.
 *
 *   result      what the innermost scope set or the task inherited, else key->initial
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        a walk over what the task has set and inherited */
HANK_API void *hank_local_get(const hank_local *key);

/* From here to hank_local_end(), `key` is `value` for this task and for those it spawns.
 *
 *   s           written, and kept until hank_local_end(); need not be zeroed
 *   key, value  kept until then, and as long as a task lives that inherited them
 *   result      none
 *   waits       never
 *   threads     any task or thread, at the same time, each its own scope
 *   since       0.1
 *   cost        none; afterwards each spawn in the scope makes a copy of what is set */
HANK_API void hank_local_begin(hank_local_scope *s, const hank_local *key, void *value);

/* End the innermost local scope of this task, which must be `s`: another, or one that never began,
 * is a panic that names the scope and the task, as is a task that returns inside one.
 *
 *   result      none
 *   waits       never
 *   threads     the task or thread that began it
 *   since       0.1 */
HANK_API void hank_local_end(hank_local_scope *s);

#ifdef __cplusplus
}
#endif
#endif
