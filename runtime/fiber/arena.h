/* SPDX-License-Identifier: MIT */
/* arena.h - the address space under the stacks: chunks, slots, guards. Private to this room.
 *
 *     chunk | slot | slot | slot | ...            one mapping
 *             |
 *             | guard | stack, grows down <-- | hk_fiber | colour | gap |
 *
 * What many stacks use is the top of each, and what is a power of two apart falls into the same few
 * sets of the TLB and the caches. The colour, up to a kilobyte, spreads the tops within their
 * pages, and the gap, which is never touched, the pages. MEASURED: with a gap of five pages a yield
 * of one of a thousand tasks takes 0.91 of the time; with one page bare switches in a ring take 1.2
 * times as long, because tops that are so near are taken for each other by the cache.
 *
 * A slot is raw, then guarded (once, for ever), then taken: only then is a page of it touched. A
 * taken one can go back to being bare: guarded, and without a page. */
#ifndef HK_FIBER_ARENA_H
#define HK_FIBER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "fiber/stack.h"

#ifdef __aarch64__
enum { HK_SLOT_GAP = 5 * 16 * 1024 }; /* some of its kernels have such pages */
#else
enum { HK_SLOT_GAP = 5 * 4 * 1024 };
#endif
enum { HK_GUARD_MAX = 64 * 1024 };
enum { HK_RELEASE_MAX = 64 };

/* From the best to the last resort; a process only ever goes down. */
typedef enum hk_guard {
    HK_GUARD_KERNEL,  /* MADV_GUARD_INSTALL: costs no mapping */
    HK_GUARD_PROTECT, /* PROT_NONE: costs two, of which a process has 65530 */
    HK_GUARD_CANARY,  /* a pattern below the stack, looked at when it is given back */
    HK_GUARD_KINDS
} hk_guard;

static inline size_t hk_slot_bytes(int size_class)
{
    return 2 * ((size_t)HK_STACK_MIN << size_class) + HK_SLOT_GAP;
}

static inline size_t hk_slot_guard_bytes(int size_class)
{
    size_t half = (size_t)HK_STACK_MIN << size_class;
    return half < HK_GUARD_MAX ? half : (size_t)HK_GUARD_MAX;
}

/* --- arena.c --- */

/* A fiber on a slot that was never used, or is bare. 0 or -ENOMEM. */
int hk_arena_take(int size_class, hk_fiber **ret_fiber);

/* Give the pages of at most HK_RELEASE_MAX idle fibers back, hk_fiber included: their slots are
 * bare. */
void hk_arena_release(hk_fiber **fibers, size_t n);

/* Give pages back, here and now if the kernel agrees. */
void hk_arena_drop_pages(const struct iovec *ranges, size_t n);

/* Guard slots ahead until `n` of them wait to be taken. Touches none. 0 or -ENOMEM. */
int hk_arena_reserve(int size_class, size_t n);

/* slots, guarded, protected_, canaried, mapped_bytes; and in live, the fibers in being. */
void hk_arena_get_stats(hk_stack_stats *ret_stats);

/* This room's share of hk_stack_freeze and hk_stack_thaw. */
void hk_arena_freeze(void);
void hk_arena_thaw(void);
void hk_overflow_freeze(void);
void hk_overflow_thaw(void);

/* --- guard.c --- */

/* The best kind this process can still have. */
hk_guard hk_guard_best(void);

/* That kind has turned out not to be available (any more). */
void hk_guard_give_up(hk_guard kind);

/* Guard up to `n` slots, the first at `slot`. How many, at least 1; -ENOTSUP: not with this kind;
 * -ENOMEM: not now. */
int hk_guard_install(hk_guard kind, char *slot, int size_class, size_t n);

void hk_guard_write_canary(hk_fiber *f);
bool hk_guard_canary_is_intact(const hk_fiber *f);

/* For tests: go on as if nothing better than `kind` existed; and with so many PROT_NONE guards. */
void hk_stack_force_guards(hk_guard kind);
void hk_stack_force_protect_budget(long guards);

#endif
