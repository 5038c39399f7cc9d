/* SPDX-License-Identifier: MIT */
/* mc_atomic.h - base/atomic.h as the model checker sees it.
 *
 * Included by base/atomic.h under HK_MODEL. Each name becomes a call that first lets the search
 * decide who goes next and then asks the memory model what is read. Shared fields become plain
 * fields, whose address is all that identifies them; the newest value is also kept in place, for
 * the end of a run and for the debugger. Integers and pointers of up to 8 bytes, little-endian. */
#ifndef HK_MODEL_MC_ATOMIC_H
#define HK_MODEL_MC_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum mc_order {
    MC_RELAXED,
    MC_ACQUIRE,
    MC_RELEASE,
    MC_ACQREL,
    MC_SEQCST,
} mc_order;

typedef enum mc_rmw { MC_SWAP, MC_ADD, MC_SUB, MC_OR, MC_AND } mc_rmw;

uint64_t mc_load(const void *p, size_t size, mc_order order, const char *site);
void mc_store(void *p, size_t size, uint64_t value, mc_order order, const char *site);
uint64_t mc_update(void *p, size_t size, mc_rmw what, uint64_t operand, mc_order order,
                   const char *site);
bool mc_cas(void *p, size_t size, void *expected, uint64_t value, const mc_order orders[2],
            const char *site);
void mc_pause(const char *site);

#define MC_TEXT_(x) #x
#define MC_TEXT(x)  MC_TEXT_(x)
#define MC_SITE     __FILE__ ":" MC_TEXT(__LINE__)

/* The type of what p points at, without qualifiers; and a value of that type as 64 bits. */
#define MC_TYPE(p) __typeof__((void)0, *(p))
#define MC_BITS(p, v)                                                                              \
    __extension__({                                                                                \
        MC_TYPE(p) mc_typed_ = (v);                                                                \
        uint64_t mc_bits_ = 0;                                                                     \
        memcpy(&mc_bits_, &mc_typed_, sizeof mc_typed_);                                           \
        mc_bits_;                                                                                  \
    })

#define MC_LOAD(p, order)     ((MC_TYPE(p))mc_load((p), sizeof *(p), (order), MC_SITE))
#define MC_STORE(p, v, order) mc_store((p), sizeof *(p), MC_BITS(p, v), (order), MC_SITE)
#define MC_UPDATE(p, what, v, order)                                                               \
    ((MC_TYPE(p))mc_update((p), sizeof *(p), (what), MC_BITS(p, v), (order), MC_SITE))
#define MC_CAS(p, expected, v, success, failure)                                                   \
    mc_cas((p), sizeof *(p), (expected), MC_BITS(p, v), (const mc_order[2]){(success), (failure)}, \
           MC_SITE)

#define HK_ATOMIC(type) __typeof__(type)

#define hk_load_relaxed(p) MC_LOAD(p, MC_RELAXED)
#define hk_load_acquire(p) MC_LOAD(p, MC_ACQUIRE)
#define hk_load_seqcst(p)  MC_LOAD(p, MC_SEQCST)

#define hk_store_relaxed(p, v) MC_STORE(p, v, MC_RELAXED)
#define hk_store_release(p, v) MC_STORE(p, v, MC_RELEASE)
#define hk_store_seqcst(p, v)  MC_STORE(p, v, MC_SEQCST)

/* The whole table of updates, also those base/atomic.h does not have: a mutant weakens an order to
 * its neighbour, whether or not the runtime uses that neighbour anywhere. */
#define hk_swap_relaxed(p, v) MC_UPDATE(p, MC_SWAP, v, MC_RELAXED)
#define hk_swap_acquire(p, v) MC_UPDATE(p, MC_SWAP, v, MC_ACQUIRE)
#define hk_swap_release(p, v) MC_UPDATE(p, MC_SWAP, v, MC_RELEASE)
#define hk_swap_acqrel(p, v)  MC_UPDATE(p, MC_SWAP, v, MC_ACQREL)
#define hk_swap_seqcst(p, v)  MC_UPDATE(p, MC_SWAP, v, MC_SEQCST)
#define hk_add_relaxed(p, v)  MC_UPDATE(p, MC_ADD, v, MC_RELAXED)
#define hk_add_acquire(p, v)  MC_UPDATE(p, MC_ADD, v, MC_ACQUIRE)
#define hk_add_release(p, v)  MC_UPDATE(p, MC_ADD, v, MC_RELEASE)
#define hk_add_acqrel(p, v)   MC_UPDATE(p, MC_ADD, v, MC_ACQREL)
#define hk_add_seqcst(p, v)   MC_UPDATE(p, MC_ADD, v, MC_SEQCST)
#define hk_sub_relaxed(p, v)  MC_UPDATE(p, MC_SUB, v, MC_RELAXED)
#define hk_sub_acquire(p, v)  MC_UPDATE(p, MC_SUB, v, MC_ACQUIRE)
#define hk_sub_release(p, v)  MC_UPDATE(p, MC_SUB, v, MC_RELEASE)
#define hk_sub_acqrel(p, v)   MC_UPDATE(p, MC_SUB, v, MC_ACQREL)
#define hk_sub_seqcst(p, v)   MC_UPDATE(p, MC_SUB, v, MC_SEQCST)
#define hk_or_relaxed(p, v)   MC_UPDATE(p, MC_OR, v, MC_RELAXED)
#define hk_or_acquire(p, v)   MC_UPDATE(p, MC_OR, v, MC_ACQUIRE)
#define hk_or_release(p, v)   MC_UPDATE(p, MC_OR, v, MC_RELEASE)
#define hk_or_acqrel(p, v)    MC_UPDATE(p, MC_OR, v, MC_ACQREL)
#define hk_or_seqcst(p, v)    MC_UPDATE(p, MC_OR, v, MC_SEQCST)
#define hk_and_relaxed(p, v)  MC_UPDATE(p, MC_AND, v, MC_RELAXED)
#define hk_and_acquire(p, v)  MC_UPDATE(p, MC_AND, v, MC_ACQUIRE)
#define hk_and_release(p, v)  MC_UPDATE(p, MC_AND, v, MC_RELEASE)
#define hk_and_acqrel(p, v)   MC_UPDATE(p, MC_AND, v, MC_ACQREL)
#define hk_and_seqcst(p, v)   MC_UPDATE(p, MC_AND, v, MC_SEQCST)

#define hk_cas_relaxed(p, expected, v) MC_CAS(p, expected, v, MC_RELAXED, MC_RELAXED)
#define hk_cas_acquire(p, expected, v) MC_CAS(p, expected, v, MC_ACQUIRE, MC_ACQUIRE)
#define hk_cas_release(p, expected, v) MC_CAS(p, expected, v, MC_RELEASE, MC_RELAXED)
#define hk_cas_acqrel(p, expected, v)  MC_CAS(p, expected, v, MC_ACQREL, MC_ACQUIRE)
#define hk_cas_seqcst(p, expected, v)  MC_CAS(p, expected, v, MC_SEQCST, MC_SEQCST)

#define hk_spin_pause() mc_pause(MC_SITE)

#endif
