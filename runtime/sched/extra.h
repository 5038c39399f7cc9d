/* SPDX-License-Identifier: MIT */
/* extra.h - what the unusual task carries with it: a copied argument, inherited locals, a function
 * to call when it is done, somebody who waits for it to have started.
 *
 * One allocation, made with the task and freed at its end; a task without one costs nothing. A task
 * that was made without and begins a local lends its own: a part of the hank_local_scope on its
 * stack, until that ends.
 *
 *     [ header | inherited bindings, innermost first | copy of the argument ] */
#ifndef HK_SCHED_EXTRA_H
#define HK_SCHED_EXTRA_H

#include <stdbool.h>
#include <stddef.h>

#include <hank/local.h>
#include <hank/task.h>

struct hk_spawn;
struct hk_start;
struct hk_task;

/* One key's value; the task whose chain it is in alone reads and writes it. */
typedef struct hk_binding {
    struct hk_binding *outer;
    const hank_local *key;
    void *value;
} hk_binding;

/* locals     the task itself; at its end it is back at `inherited`
 * start      the task itself; HK_START_SAID once it has said so
 * the rest   written by the spawner before the task is published; then constant */
typedef struct hk_extra {
    hk_binding *locals;
    hk_binding *inherited;
    void (*on_done)(void *arg, int result);
    void *on_done_arg;
    struct hk_start *start;
    size_t bytes; /* 0: lent, and not to be freed */
} hk_extra;

#define HK_START_SAID ((struct hk_start *)1)

/* Give `t`, which is not published yet, what `how` asks for and what the spawning task `from` (or
 * NULL) hands down; nothing if that is nothing. 0 or -ENOMEM. */
int hk_extra_make(struct hk_task *t, const struct hk_spawn *how, struct hk_task *from);

/* t ends, or its slot is given back unused: free it. */
void hk_extra_free(struct hk_task *t);

/* The last act of a task, after its children have ended: tell, then free. */
void hk_extra_end(struct hk_task *t, int result);

#endif
