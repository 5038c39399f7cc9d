/* SPDX-License-Identifier: MIT */
/* deque.h - placeholder to be replaced by the model-checked one (same contract). */
#ifndef HK_SCHED_DEQUE_H
#define HK_SCHED_DEQUE_H
#include <errno.h>
#include <stdint.h>
#include "base/alloc.h"
#include "base/atomic.h"
struct hk_task;
typedef enum hk_steal { HK_STEAL_EMPTY, HK_STEAL_LOST, HK_STEAL_TAKEN } hk_steal;
typedef struct hk_deque_array { uint64_t capacity; struct hk_deque_array *older; HK_ATOMIC(struct hk_task *) slots[]; } hk_deque_array;
typedef struct hk_deque {
    _Alignas(128) HK_ATOMIC(int64_t) top;
    _Alignas(128) HK_ATOMIC(int64_t) bottom;
    HK_ATOMIC(hk_deque_array *) array;
    int64_t top_seen;
} hk_deque;
static inline hk_deque_array *hk_da_new(uint64_t n) { hk_deque_array *a = hk_alloc_zeroed(sizeof *a + n * 8); if (a) a->capacity = n; return a; }
static inline int hk_deque_init(hk_deque *d, uint64_t n) { hk_deque_array *a = hk_da_new(n); if (!a) return -ENOMEM; hk_store_relaxed(&d->array, a); return 0; }
static inline void hk_deque_done(hk_deque *d) { hk_deque_array *a = hk_load_relaxed(&d->array); while (a) { hk_deque_array *o = a->older; hk_free(a, sizeof *a + a->capacity * 8); a = o; } }
static inline int hk_deque_push(hk_deque *d, struct hk_task *t)
{
    int64_t b = hk_load_relaxed(&d->bottom);
    hk_deque_array *a = hk_load_relaxed(&d->array);
    if (b - d->top_seen >= (int64_t)a->capacity) {
        d->top_seen = hk_load_acquire(&d->top);
        if (b - d->top_seen >= (int64_t)a->capacity) {
            hk_deque_array *n = hk_da_new(a->capacity * 2);
            if (!n) return -ENOMEM;
            for (int64_t i = d->top_seen; i < b; i++)
                hk_store_relaxed(&n->slots[(uint64_t)i % n->capacity], hk_load_relaxed(&a->slots[(uint64_t)i % a->capacity]));
            n->older = a; hk_store_release(&d->array, n); a = n;
        }
    }
    hk_store_relaxed(&a->slots[(uint64_t)b & (a->capacity - 1)], t);
    hk_store_release(&d->bottom, b + 1);
    return 0;
}
static inline struct hk_task *hk_deque_pop(hk_deque *d)
{
    int64_t b = hk_load_relaxed(&d->bottom) - 1;
    hk_deque_array *a = hk_load_relaxed(&d->array);
    if (hk_load_relaxed(&d->top) > b) return NULL;
    hk_store_seqcst(&d->bottom, b);
    int64_t t = hk_load_seqcst(&d->top);
    struct hk_task *x = NULL;
    if (t <= b) {
        x = hk_load_relaxed(&a->slots[(uint64_t)b & (a->capacity - 1)]);
        if (t == b) {
            if (!hk_cas_seqcst(&d->top, &t, t + 1)) x = NULL;
            hk_store_release(&d->bottom, b + 1);
        }
    } else hk_store_release(&d->bottom, b + 1);
    return x;
}
static inline hk_steal hk_deque_steal(hk_deque *d, struct hk_task **ret)
{
    int64_t t = hk_load_seqcst(&d->top);
    int64_t b = hk_load_seqcst(&d->bottom);
    if (t >= b) return HK_STEAL_EMPTY;
    hk_deque_array *a = hk_load_acquire(&d->array);
    struct hk_task *x = hk_load_relaxed(&a->slots[(uint64_t)t & (a->capacity - 1)]);
    if (!hk_cas_seqcst(&d->top, &t, t + 1)) return HK_STEAL_LOST;
    *ret = x;
    return HK_STEAL_TAKEN;
}
static inline int64_t hk_deque_size(hk_deque *d) { return hk_load_relaxed(&d->bottom) - hk_load_relaxed(&d->top); }
#endif
