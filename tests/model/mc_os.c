/* SPDX-License-Identifier: MIT */
/* mc_os.c - base/os.h, alloc.h, check.h and the rank check of lock.h, for code under test.
 *
 * Only what such code has needed so far. Time stands still: a deadline is reached when the search
 * decides so, not when a clock does. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/os.h"
#include "model/mc_core.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HELD_MAX = 8 };

static struct {
    hk_lock *lock[HELD_MAX];
    hk_lock_rank rank[HELD_MAX];
    int n;
} held[MC_THREADS_MAX];

void mc_os_reset(void)
{
    for (int i = 0; i < MC_THREADS_MAX; i++)
        held[i].n = 0;
}

/* Time and threads. */

int64_t hk_os_now(void)
{
    return 0;
}

void hk_os_sleep(int64_t ns)
{
    (void)ns; /* however long: until somebody has done something */
    mc_pause("hk_os_sleep");
}

void hk_os_yield(void)
{
    mc_pause("hk_os_yield");
}

int hk_os_futex_wait(HK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t timeout_ns)
{
    return mc_futex_wait(word, expected, timeout_ns >= 0, "hk_os_futex_wait") ? -ETIMEDOUT : 0;
}

int hk_os_futex_wake(HK_ATOMIC(uint32_t) * word, int n)
{
    mc_futex_wake(word, n, "hk_os_futex_wake");
    return 0;
}

/* Memory. */

void *hk_alloc(size_t bytes)
{
    if (mc.model->allocations_fail && mc_choose(2) == 1)
        return NULL;
    return mc_data_allocate(bytes, "hk_alloc");
}

void *hk_alloc_zeroed(size_t bytes)
{
    void *memory = hk_alloc(bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

/* Tables that outlive an execution, as they outlive everything: plain memory, not checked. */
void *hk_alloc_aligned(size_t bytes, size_t alignment)
{
    void *memory = aligned_alloc(alignment, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void hk_free(void *memory, size_t bytes)
{
    (void)bytes;
    mc_data_free(memory, "hk_free");
}

void hk_free_aligned(void *memory, size_t bytes, size_t alignment)
{
    (void)bytes;
    (void)alignment;
    free(memory);
}

/* Broken facts. */

void hk_panic(const char *format, ...)
{
    char why[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    mc_fail("panic: %s", why);
}

/* Locks, by model thread. */

#ifndef NDEBUG

void hk_lock_note_take(hk_lock *l, hk_lock_rank rank)
{
    int n = held[mc.current].n;
    HK_CHECK(n < HELD_MAX);
    if (n > 0 && held[mc.current].rank[n - 1] >= rank)
        mc_fail("lock of rank %d taken while one of rank %d is held", (int)rank,
                (int)held[mc.current].rank[n - 1]);
    held[mc.current].lock[n] = l;
    held[mc.current].rank[n] = rank;
    held[mc.current].n++;
}

void hk_lock_note_drop(hk_lock *l)
{
    int n = held[mc.current].n;
    for (int i = n - 1; i >= 0; i--) {
        if (held[mc.current].lock[i] != l)
            continue;
        for (int j = i; j + 1 < n; j++) {
            held[mc.current].lock[j] = held[mc.current].lock[j + 1];
            held[mc.current].rank[j] = held[mc.current].rank[j + 1];
        }
        held[mc.current].n--;
        return;
    }
    mc_fail("a lock was dropped by a thread that does not hold it");
}

#endif
