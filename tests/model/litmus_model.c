/* SPDX-License-Identifier: MIT */
/* litmus_model.c - the checker's memory against what C11 says: neither more nor less.
 *
 * Each test has one outcome of interest. It must be seen if C11 allows it (the checker would miss
 * bugs otherwise) and never if C11 forbids it (it would report bugs that are none). */
#include <stdio.h>

#include "model/mc.h"

static int x;
static int y;
static int r0;
static int r1;
static int r2;
static int r3;
static bool seen;

static void clear(void)
{
    x = y = 0;
    r0 = r1 = r2 = r3 = -1;
}

/* Two threads are two pieces of straight code. */
#define THREAD(name, ...)                                                                          \
    static void name(void)                                                                         \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define OUTCOME(name, fact)                                                                        \
    static void name(void)                                                                         \
    {                                                                                              \
        if (fact)                                                                                  \
            seen = true;                                                                           \
    }

/* SB, store buffering: each stores its own and loads the other's. Both old? */
THREAD(sb_relaxed_0, hk_store_relaxed(&x, 1); r0 = hk_load_relaxed(&y);)
THREAD(sb_relaxed_1, hk_store_relaxed(&y, 1); r1 = hk_load_relaxed(&x);)
THREAD(sb_release_0, hk_store_release(&x, 1); r0 = hk_load_acquire(&y);)
THREAD(sb_release_1, hk_store_release(&y, 1); r1 = hk_load_acquire(&x);)
THREAD(sb_seqcst_0, hk_store_seqcst(&x, 1); r0 = hk_load_seqcst(&y);)
THREAD(sb_seqcst_1, hk_store_seqcst(&y, 1); r1 = hk_load_seqcst(&x);)
THREAD(sb_swap_0, (void)hk_swap_seqcst(&x, 1); r0 = hk_load_acquire(&y);)
THREAD(sb_swap_1, (void)hk_swap_seqcst(&y, 1); r1 = hk_load_acquire(&x);)
OUTCOME(both_old, r0 == 0 && r1 == 0)

/* MP, message passing: data, then a flag. The flag without the data? */
THREAD(mp_release, hk_store_relaxed(&x, 1); hk_store_release(&y, 1);)
THREAD(mp_relaxed, hk_store_relaxed(&x, 1); hk_store_relaxed(&y, 1);)
THREAD(mp_acquire_load, r0 = hk_load_acquire(&y); r1 = hk_load_relaxed(&x);)
THREAD(mp_relaxed_load, r0 = hk_load_relaxed(&y); r1 = hk_load_relaxed(&x);)
OUTCOME(flag_without_data, r0 == 1 && r1 == 0)

/* The flag passed on by somebody else's update, or overwritten by his store. */
THREAD(mp_update, (void)hk_add_relaxed(&y, 1);)
THREAD(mp_overwrite, if (hk_load_relaxed(&y) == 1) hk_store_relaxed(&y, 2);)
OUTCOME(second_flag_without_data, r0 == 2 && r1 == 0)

/* IRIW: two readers see two independent stores in different orders? */
THREAD(iriw_x_release, hk_store_release(&x, 1);)
THREAD(iriw_y_release, hk_store_release(&y, 1);)
THREAD(iriw_acquire_0, r0 = hk_load_acquire(&x); r1 = hk_load_acquire(&y);)
THREAD(iriw_acquire_1, r2 = hk_load_acquire(&y); r3 = hk_load_acquire(&x);)
THREAD(iriw_x_seqcst, hk_store_seqcst(&x, 1);)
THREAD(iriw_y_seqcst, hk_store_seqcst(&y, 1);)
THREAD(iriw_seqcst_0, r0 = hk_load_seqcst(&x); r1 = hk_load_seqcst(&y);)
THREAD(iriw_seqcst_1, r2 = hk_load_seqcst(&y); r3 = hk_load_seqcst(&x);)
OUTCOME(orders_differ, r0 == 1 && r1 == 0 && r2 == 1 && r3 == 0)

/* 2+2W: both first stores win? Needs a modification order that is not the order of execution. */
THREAD(ww_relaxed_0, hk_store_relaxed(&x, 1); hk_store_relaxed(&y, 2);)
THREAD(ww_relaxed_1, hk_store_relaxed(&y, 1); hk_store_relaxed(&x, 2);)
THREAD(ww_seqcst_0, hk_store_seqcst(&x, 1); hk_store_seqcst(&y, 2);)
THREAD(ww_seqcst_1, hk_store_seqcst(&y, 1); hk_store_seqcst(&x, 2);)
OUTCOME(first_stores_win, x == 1 && y == 1)

/* CoRR: two readers see two stores to one word in different orders? */
THREAD(corr_1, hk_store_relaxed(&x, 1);)
THREAD(corr_2, hk_store_relaxed(&x, 2);)
THREAD(corr_read_0, r0 = hk_load_relaxed(&x); r1 = hk_load_relaxed(&x);)
THREAD(corr_read_1, r2 = hk_load_relaxed(&x); r3 = hk_load_relaxed(&x);)
OUTCOME(stores_swapped, r0 == 1 && r1 == 2 && r2 == 2 && r3 == 1)

/* Atomicity: two updates both read the same store? */
THREAD(update_0, r0 = hk_add_relaxed(&x, 1);)
THREAD(update_1, r1 = hk_add_relaxed(&x, 1);)
OUTCOME(updates_collide, r0 == r1)

/* LB, load buffering: both loads see a store that is made later? The checker never looks ahead. */
THREAD(lb_0, r0 = hk_load_relaxed(&x); hk_store_relaxed(&y, 1);)
THREAD(lb_1, r1 = hk_load_relaxed(&y); hk_store_relaxed(&x, 1);)
OUTCOME(both_later, r0 == 1 && r1 == 1)

typedef struct litmus {
    mc_model model;
    bool allowed; /* by the checker: by C11 too, but for the last */
} litmus;

#define LITMUS(text, is_allowed, outcome, ...)                                                     \
    {                                                                                              \
        .model = {.name = text, .setup = clear, .check = outcome, .threads = {__VA_ARGS__}},       \
        .allowed = is_allowed                                                                      \
    }

static litmus tests[] = {
    LITMUS("SB relaxed", true, both_old, sb_relaxed_0, sb_relaxed_1),
    LITMUS("SB release, acquire", true, both_old, sb_release_0, sb_release_1),
    LITMUS("SB seq_cst", false, both_old, sb_seqcst_0, sb_seqcst_1),
    LITMUS("SB seq_cst swap, then acquire", true, both_old, sb_swap_0, sb_swap_1),
    LITMUS("MP release, acquire", false, flag_without_data, mp_release, mp_acquire_load),
    LITMUS("MP release, relaxed", true, flag_without_data, mp_release, mp_relaxed_load),
    LITMUS("MP relaxed, acquire", true, flag_without_data, mp_relaxed, mp_acquire_load),
    LITMUS("MP release, update passes on", false, second_flag_without_data, mp_release,
           mp_acquire_load, mp_update),
    LITMUS("MP release, overwritten", true, second_flag_without_data, mp_release, mp_acquire_load,
           mp_overwrite),
    LITMUS("IRIW release, acquire", true, orders_differ, iriw_x_release, iriw_y_release,
           iriw_acquire_0, iriw_acquire_1),
    LITMUS("IRIW seq_cst", false, orders_differ, iriw_x_seqcst, iriw_y_seqcst, iriw_seqcst_0,
           iriw_seqcst_1),
    LITMUS("2+2W relaxed", true, first_stores_win, ww_relaxed_0, ww_relaxed_1),
    LITMUS("2+2W seq_cst", false, first_stores_win, ww_seqcst_0, ww_seqcst_1),
    LITMUS("CoRR relaxed", false, stores_swapped, corr_1, corr_2, corr_read_0, corr_read_1),
    LITMUS("two updates are two", false, updates_collide, update_0, update_1),
    LITMUS("LB relaxed: the known limit, C11 allows it", false, both_later, lb_0, lb_1),
};

int main(void)
{
    int wrong = 0;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        litmus *t = &tests[i];
        t->model.insert_stores = true;
        seen = false;
        mc_result r = mc_run(&t->model);
        bool right = seen == t->allowed && !r.failed && r.complete;
        wrong += !right;
        printf("%-44s %-9s %s %9ld executions %7.2f s%s%s\n", t->model.name,
               seen ? "allowed" : "forbidden", right ? "right" : "WRONG", r.executions, r.seconds,
               r.failed ? " " : "", r.why);
    }
    return wrong != 0;
}
