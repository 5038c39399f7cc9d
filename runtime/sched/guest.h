/* SPDX-License-Identifier: MIT */
/* guest.h - tasks that were started from outside: no parent, one handle, awaited by anybody.
 *
 * A guest is a member of its runtime's detached group, so that the end of the runtime cancels and
 * joins it, with HK_JOIN_GUEST in its join word and HK_GUEST for a parent while somebody may still
 * ask for its result:
 *
 *     live, handle good --ends--> kept, handle good --awaited, detached, runtime ends--> free
 *             |  \--detached--> live, reported when it ends --> free
 *             \---ends while somebody waits: result handed over --> free
 *
 * Who awaits is no parent of it and may be a thread, so nothing here goes through a join: the
 * handle's generation, who waits and who is kept are guarded by a lock that the slot's address
 * picks out of a table, and that therefore outlives slot and runtime. */
#ifndef HK_SCHED_GUEST_H
#define HK_SCHED_GUEST_H

#include <stdint.h>

#include <hank/task.h>

struct hk_runtime;
struct hk_task;
struct hk_worker;

#define HK_GUEST ((struct hk_task *)1) /* the parent of a guest whose handle is good */

/* hank_await() of a handle that is no child of the caller's. -EPERM: it is no guest either. */
int hk_guest_await(hank_task handle);

/* The same for hank_detach(). */
int hk_guest_detach(hank_task handle);

/* A guest has ended with t->result. After this t may be gone. */
void hk_guest_end(struct hk_worker *w, struct hk_task *t);

/* `rt` ends and no guest of it lives: use up the handles nobody has used, and report. */
void hk_guest_reap(struct hk_runtime *rt);

/* Wait until `t`, a call of that generation, is over. 0; a stop; -ESHUTDOWN it is a parent's. */
int hk_guest_wait_for_end(struct hk_task *t, uint32_t generation);

/* It is over: let those who wait know. */
void hk_guest_tell(struct hk_task *t);

/* Keep everyone out of the table, across a fork(), and let them in again. */
void hk_guest_freeze(void);
void hk_guest_thaw(void);

#endif
