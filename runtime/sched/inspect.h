/* SPDX-License-Identifier: MIT */
/* inspect.h - the runtime described for people: dumps, and last words. */
#ifndef HK_SCHED_INSPECT_H
#define HK_SCHED_INSPECT_H

#include <stddef.h>

struct hk_fiber;
struct hk_task;

enum { HK_NAME_BUFFER = 40 };

/* A task's name, or its function, written into `buffer`, as fn@0x... Async-signal-safe. */
const char *hk_inspect_name(struct hk_task *t, char *buffer, size_t n);

/* Who ran on a stack that has overflowed. Async-signal-safe. */
void hk_inspect_overflow(struct hk_fiber *f, int fd);

/* Which task panicked. Neither allocates nor locks. */
void hk_inspect_panic(int fd);

#endif
