/* SPDX-License-Identifier: MIT */
/* inspect.h - the runtime described for people: dumps, and last words. */
#ifndef HK_SCHED_INSPECT_H
#define HK_SCHED_INSPECT_H

struct hk_fiber;

/* Who ran on a stack that has overflowed. Async-signal-safe. */
void hk_inspect_overflow(struct hk_fiber *f, int fd);

/* Which task panicked. Neither allocates nor locks. */
void hk_inspect_panic(int fd);

#endif
