/* SPDX-License-Identifier: MIT */
/* atomic.h - every access to a word that two threads share.
 *
 * The memory order is in the name, never an argument and never a default, so that a reader and
 * tests/tidy.py see it at the call. There is no stand-alone fence: ThreadSanitizer reports false
 * races on fences, and sequentially consistent *accesses* give the same guarantees with far fewer
 * interleavings to explore.
 *
 * This is a seam. In the model-checker build (HK_MODEL) the same names go to tests/model/, where
 * each access is a scheduling point and a relaxed load may return an older store. A shared field
 * is declared HK_ATOMIC(type), which keeps anyone from reading it around this header. In the
 * simulator's build (HK_SIM) each access is a point where another simulated thread may go on. */
#ifndef HK_BASE_ATOMIC_H
#define HK_BASE_ATOMIC_H

#ifdef HK_MODEL
#include "model/mc_atomic.h"
#else

#include <stdatomic.h>
#include <stdbool.h>

#include "base/compiler.h"

#define HK_ATOMIC(type) _Atomic(type)

/* Threads are simulated by one: it is let go, unseen, once the countdown (runtime/sim/schedule.c)
 * is over. */
#if HK_SIM
extern int hk_sim_countdown;
void hk_sim_preempt(void);
void hk_sim_spin(void);
static inline void hk_sim_access(void)
{
    if (--hk_sim_countdown < 0)
        hk_sim_preempt();
}
#define HK_SHARED(access) (hk_sim_access(), access)
#else
#define HK_SHARED(access) access
#endif

#define hk_load_relaxed(p) HK_SHARED(atomic_load_explicit((p), memory_order_relaxed))
#define hk_load_acquire(p) HK_SHARED(atomic_load_explicit((p), memory_order_acquire))
#define hk_load_seqcst(p)  HK_SHARED(atomic_load_explicit((p), memory_order_seq_cst))

#define hk_store_relaxed(p, v) HK_SHARED(atomic_store_explicit((p), (v), memory_order_relaxed))
#define hk_store_release(p, v) HK_SHARED(atomic_store_explicit((p), (v), memory_order_release))
#define hk_store_seqcst(p, v)  HK_SHARED(atomic_store_explicit((p), (v), memory_order_seq_cst))

/* Read-modify-write: each returns the value from before. */
#define hk_swap_acquire(p, v) HK_SHARED(atomic_exchange_explicit((p), (v), memory_order_acquire))
#define hk_swap_acqrel(p, v)  HK_SHARED(atomic_exchange_explicit((p), (v), memory_order_acq_rel))
#define hk_swap_seqcst(p, v)  HK_SHARED(atomic_exchange_explicit((p), (v), memory_order_seq_cst))
#define hk_add_relaxed(p, v)  HK_SHARED(atomic_fetch_add_explicit((p), (v), memory_order_relaxed))
#define hk_add_acqrel(p, v)   HK_SHARED(atomic_fetch_add_explicit((p), (v), memory_order_acq_rel))
#define hk_add_seqcst(p, v)   HK_SHARED(atomic_fetch_add_explicit((p), (v), memory_order_seq_cst))
#define hk_sub_relaxed(p, v)  HK_SHARED(atomic_fetch_sub_explicit((p), (v), memory_order_relaxed))
#define hk_sub_acqrel(p, v)   HK_SHARED(atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel))
#define hk_sub_seqcst(p, v)   HK_SHARED(atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst))
#define hk_or_acqrel(p, v)    HK_SHARED(atomic_fetch_or_explicit((p), (v), memory_order_acq_rel))
#define hk_or_seqcst(p, v)    HK_SHARED(atomic_fetch_or_explicit((p), (v), memory_order_seq_cst))
#define hk_and_acqrel(p, v)   HK_SHARED(atomic_fetch_and_explicit((p), (v), memory_order_acq_rel))

/* Compare *p with *expected; equal: store v, true. Otherwise *expected = *p, false. Never fails
 * spuriously. The order named holds on success; a failure is a load of the strength in brackets. */
#define hk_cas_relaxed(p, expected, v)                                     \
    HK_SHARED(atomic_compare_exchange_strong_explicit((p), (expected), (v), \
                                            memory_order_relaxed, memory_order_relaxed))
#define hk_cas_acquire(p, expected, v) /* [acquire] */                     \
    HK_SHARED(atomic_compare_exchange_strong_explicit((p), (expected), (v), \
                                            memory_order_acquire, memory_order_acquire))
#define hk_cas_release(p, expected, v) /* [relaxed] */                     \
    HK_SHARED(atomic_compare_exchange_strong_explicit((p), (expected), (v), \
                                            memory_order_release, memory_order_relaxed))
#define hk_cas_acqrel(p, expected, v) /* [acquire] */                      \
    HK_SHARED(atomic_compare_exchange_strong_explicit((p), (expected), (v), \
                                            memory_order_acq_rel, memory_order_acquire))
#define hk_cas_seqcst(p, expected, v) /* [seq_cst] */                      \
    HK_SHARED(atomic_compare_exchange_strong_explicit((p), (expected), (v), \
                                            memory_order_seq_cst, memory_order_seq_cst))

/* One turn of a loop that waits for another thread's store. */
#if HK_SIM
#define hk_spin_pause() hk_sim_spin()
#elif defined(__x86_64__) || defined(__i386__)
#define hk_spin_pause() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define hk_spin_pause() __asm__ volatile("isb" ::: "memory")
#else
#define hk_spin_pause() __asm__ volatile("" ::: "memory")
#endif

#endif /* HK_MODEL */
#endif
