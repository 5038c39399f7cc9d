/* SPDX-License-Identifier: MIT */
/* inspect.h - the runtime described for people: dumps, and last words. */
#ifndef HK_SCHED_INSPECT_H
#define HK_SCHED_INSPECT_H

#include <stddef.h>

#include <hank/inspect.h>

struct hk_fiber;
struct hk_runtime;
struct hk_task;

enum { HK_NAME_BUFFER = 40, HK_LINE_BYTES = 160 }; /* enough for a function's name; for a line */

/* A task's name, or its function, written into `buffer`, as fn@0x... Async-signal-safe. */
const char *hk_inspect_name(struct hk_task *t, char *buffer, size_t n);

/* What a hook is told of `t`; its name is made in `name` if it was given none. */
void hk_inspect_info(struct hk_task *t, char name[HK_NAME_BUFFER], hank_task_info *ret);

/* Whom `t` is below: its parent, the group it is a member of, or NULL. */
const void *hk_inspect_above(struct hk_task *t);

/* The line of a dump about `t`, which may be any slot. Its length; 0: there is no task in it. */
size_t hk_inspect_line(struct hk_task *t, char line[HK_LINE_BYTES]);

/* Who ran on a stack that has overflowed. Async-signal-safe. */
void hk_inspect_overflow(struct hk_fiber *f, int fd);

/* Which task panicked. Neither allocates nor locks. */
void hk_inspect_panic(int fd);

#endif
