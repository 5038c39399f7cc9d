/* SPDX-License-Identifier: MIT */
/* stack.h - where fibers' stacks come from: a million of them, each with a guard.
 *
 * One arena per size class; half of each slot is guard (at most 64 KiB), so that a frame larger
 * than a page cannot jump it unnoticed. Guards are installed once per slot, for ever, in batches,
 * and cost no mapping (MADV_GUARD_INSTALL); older kernels get mprotect up to a budget that respects
 * vm.max_map_count, then canaries, counted in the statistics.
 *
 * A worker keeps a cache of its own, last in first out, so that the top page is warm. */
#ifndef HK_FIBER_STACK_H
#define HK_FIBER_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"
#include "fiber/fiber.h"

enum {
    HK_STACK_MIN = 16 * 1024,
    HK_STACK_DEFAULT = 64 * 1024,
    HK_STACK_MAX = 64 * 1024 * 1024,
    HK_STACK_CLASSES = 13, /* 16 KiB << 0 .. 16 KiB << 12 */
};

/* One worker's own fibers; used by that worker only, so it has no lock. Zeroed is empty; to be
 * drained before it goes. May be NULL below: then the depot is used directly.
 *
 * link    guarded by a lock of stack.c        is_linked, idle   the worker
 * count   the worker writes, statistics read */
typedef struct hk_stack_cache {
    hk_node link;
    bool is_linked;
    struct {
        hk_node idle; /* hk_fiber.link, most recently used first */
        HK_ATOMIC(uint32_t) count;
    } classes[HK_STACK_CLASSES];
} hk_stack_cache;

typedef struct hk_stack_stats {
    uint64_t slots;      /* ever made */
    uint64_t live;       /* taken and not given back */
    uint64_t guarded;    /* slots with a guard the kernel enforces without a mapping */
    uint64_t protected_; /* slots with an mprotect guard */
    uint64_t canaried;   /* slots with a canary only */
    uint64_t mapped_bytes;
} hk_stack_stats;

/* The smallest class that holds `bytes` (rounded up to a power of two, at least HK_STACK_MIN), or
 * -EINVAL above HK_STACK_MAX. A stack has less than its class's bytes by its hk_fiber and up to a
 * kilobyte of colour; above 64 KiB it has more, since its guard is smaller than itself. */
int hk_stack_class(size_t bytes);
size_t hk_stack_class_bytes(int size_class);

/* An idle fiber with a stack of that class: from the cache, the shared depot, or new.
 * 0 or -ENOMEM. */
int hk_stack_take(hk_stack_cache *cache, int size_class, hk_fiber **ret_fiber);

/* Give back a fiber that nobody runs on. Never fails, never sleeps. */
void hk_stack_give(hk_stack_cache *cache, hk_fiber *f);

/* Hand everything in `cache` to the shared depot: a worker stops. */
void hk_stack_cache_drain(hk_stack_cache *cache);

/* Return the cold pages of idle stacks in the depot to the system, a bounded batch a call; and the
 * top pages too of those that are beyond a few hundred. For workers with nothing to do. True if
 * there may be more. */
bool hk_stack_trim(hk_stack_cache *cache);

/* The fiber whose slot (guard included) contains `address`, or NULL. Async-signal-safe: for the
 * overflow handler and for dumps. ret_is_guard says whether the address is in the guard part. */
hk_fiber *hk_stack_find(const void *address, bool *ret_is_guard);

void hk_stack_get_stats(hk_stack_stats *ret_stats);

/* Keep everyone from the depots and the arena, across a fork(), and let them in again. */
void hk_stack_freeze(void);
void hk_stack_thaw(void);

/* Highest use of this stack so far, in bytes: pages that were ever touched. For the census. */
size_t hk_stack_high_water(const hk_fiber *f);

/* Install, once per process, the SIGSEGV/SIGBUS handler that names an overflow, and give the
 * calling thread an alternate stack for it. `describe(f, fd)` is called on that stack to write who
 * was running; it must be async-signal-safe. The handler then chains to the previous one. */
int hk_stack_watch_overflow(void (*describe)(hk_fiber *f, int fd));
int hk_stack_thread_enter(void); /* every thread that runs fibers: its alternate stack */
void hk_stack_thread_leave(void);

#endif
