/* SPDX-License-Identifier: MIT */
/* guard.c - the part of a slot that nobody may touch, by whichever means the kernel has.
 *
 * MADV_GUARD_INSTALL (Linux 6.13) marks page-table entries: a million guards in one mapping, 0.2 to
 * 0.5 us each in batches, and they survive MADV_DONTNEED. Success alone proves nothing, for
 * emulators accept advice they do not know: after each batch a system call is pointed at a guard
 * and must come back with -EFAULT.
 *
 * mprotect splits mappings, two more a guard, and a process has vm.max_map_count of them, for
 * everything. We take at most three quarters.
 *
 * What is left is a pattern at the low end of the stack, looked at when the stack is given back:
 * late, and only for those who walk over the border instead of jumping it. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/os.h"
#include "fiber/arena.h"

enum { ADVICE_GUARD_INSTALL = 102 }; /* newer than most headers */
enum { MAPS_DEFAULT = 65530, MAPS_A_GUARD = 2 };
enum { RANGES_MAX = 64 };
enum { CANARY_WORDS = 8 };

static const uint64_t CANARY = UINT64_C(0x9d3c71f2e5ab4806); /* no pointer, no small number */

#define BUDGET_UNKNOWN INT64_MIN

static HK_ATOMIC(int) best_kind;
static HK_ATOMIC(int64_t) protect_budget = BUDGET_UNKNOWN;

hk_guard hk_guard_best(void)
{
    return (hk_guard)hk_load_relaxed(&best_kind); /* relaxed: a hint, orders nothing */
}

void hk_guard_give_up(hk_guard kind)
{
    int expected = (int)kind;
    HK_CHECK(kind < HK_GUARD_CANARY);
    (void)hk_cas_relaxed(&best_kind, &expected, (int)kind + 1); /* or it has gone lower already */
}

void hk_stack_force_guards(hk_guard kind)
{
    hk_store_relaxed(&best_kind, (int)kind);
}

void hk_stack_force_protect_budget(long guards)
{
    hk_store_relaxed(&protect_budget, (int64_t)guards);
}

/* --- by advice ----------------------------------------------------------------------------- */

/* A futex wait reads its word in the kernel: -EFAULT from a guard, 0 where there is none, because
 * the word is not 1. */
static bool is_unreadable(char *page)
{
    return hk_os_futex_wait((HK_ATOMIC(uint32_t) *)(void *)page, 1, 0) == -EFAULT;
}

static int advise_one_by_one(const struct iovec *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int rc = hk_os_advise(ranges[i].iov_base, ranges[i].iov_len, ADVICE_GUARD_INSTALL);
        if (rc < 0)
            return i > 0 ? (int)i : rc;
    }
    return (int)n;
}

static int install_by_advice(char *slot, int size_class, size_t n)
{
    size_t guard_bytes = hk_slot_guard_bytes(size_class);
    struct iovec ranges[RANGES_MAX];
    n = n < RANGES_MAX ? n : (size_t)RANGES_MAX;
    for (size_t i = 0; i < n; i++)
        ranges[i] = (struct iovec){slot + i * hk_slot_bytes(size_class), guard_bytes};

    ssize_t done = hk_os_advise_many(ranges, n, ADVICE_GUARD_INSTALL);
    int guarded = done >= 0 ? (int)((size_t)done / guard_bytes) : (int)done;
    if (done < 0 && done != -ENOMEM) /* no such call, or not for this advice */
        guarded = advise_one_by_one(ranges, n);
    if (guarded == -ENOMEM)
        return -ENOMEM;
    return guarded > 0 && is_unreadable(slot) ? guarded : -ENOTSUP;
}

/* --- by protection ------------------------------------------------------------------------- */

static int64_t read_budget(void)
{
    char text[24] = {0};
    long maps = MAPS_DEFAULT;
    int fd = hk_os_open("/proc/sys/vm/max_map_count", 0);
    if (fd >= 0) {
        if (hk_os_read(fd, text, sizeof text - 1) > 0)
            maps = strtol(text, NULL, 10);
        (void)hk_os_close(fd); /* only read */
    }
    return (maps > 0 ? maps : MAPS_DEFAULT) / 4 * 3 / MAPS_A_GUARD;
}

/* True: one more guard is within the budget. */
static bool spend_budget(void)
{
    int64_t unknown = BUDGET_UNKNOWN;
    if (hk_load_relaxed(&protect_budget) == BUDGET_UNKNOWN)
        (void)hk_cas_relaxed(&protect_budget, &unknown, read_budget()); /* or another was first */
    return hk_sub_relaxed(&protect_budget, (int64_t)1) > 0;
}

static int install_by_protection(char *slot, int size_class, size_t n)
{
    size_t done = 0;
    for (; done < n && spend_budget(); done++) {
        char *guard = slot + done * hk_slot_bytes(size_class);
        if (hk_os_protect_none(guard, hk_slot_guard_bytes(size_class)) < 0)
            break; /* most likely the mappings have run out all the same */
    }
    return done > 0 ? (int)done : -ENOTSUP;
}

int hk_guard_install(hk_guard kind, char *slot, int size_class, size_t n)
{
    HK_DCHECK(n > 0);
    switch (kind) {
    case HK_GUARD_KERNEL: return install_by_advice(slot, size_class, n);
    case HK_GUARD_PROTECT: return install_by_protection(slot, size_class, n);
    case HK_GUARD_CANARY:
    default: return (int)n; /* written when the slot is taken: it costs a page */
    }
}

/* --- canaries ------------------------------------------------------------------------------ */

void hk_guard_write_canary(hk_fiber *f)
{
    uint64_t *words = (uint64_t *)(void *)f->stack_low;
    for (int i = 0; i < CANARY_WORDS; i++)
        words[i] = CANARY ^ (uintptr_t)f;
}

bool hk_guard_canary_is_intact(const hk_fiber *f)
{
    const uint64_t *words = (const uint64_t *)(const void *)f->stack_low;
    for (int i = 0; i < CANARY_WORDS; i++)
        if (words[i] != (CANARY ^ (uintptr_t)f))
            return false;
    return true;
}
