/* SPDX-License-Identifier: MIT */
/* ring_test.c - the ring of woken tasks on one thread: order, its limit, its halves, its laps. Two
 * threads and more are tests/model/ring_model.c. */
#include "sched/ring.h"

#include <criterion/criterion.h>

struct hk_task {
    int number;
};

enum { STEPS = 300 * 1000 };

static struct hk_task tasks[2 * HK_RING_SLOTS];
static hk_ring mine, theirs;

static void fill(hk_ring *r, int from, int n)
{
    for (int i = 0; i < n; i++)
        cr_assert(hk_ring_push(r, &tasks[from + i]));
}

static void expect(hk_ring *r, int from, int n)
{
    for (int i = 0; i < n; i++)
        cr_assert_eq(hk_ring_pop(r), &tasks[from + i]);
    cr_assert_null(hk_ring_pop(r));
    cr_assert(hk_ring_seems_empty(r));
}

/* As after so many pushes and pops. */
static void begin_at(hk_ring *r, uint64_t index)
{
    hk_store_relaxed(&r->head, index);
    hk_store_relaxed(&r->tail, index);
}

Test(ring, without_thieves_is_first_in_first_out_and_can_be_looked_into)
{
    uint64_t first;
    begin_at(&mine, 3 * HK_RING_SLOTS - 10);
    cr_expect_null(hk_ring_pop_alone(&mine));
    fill(&mine, 0, 20);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(hk_ring_length(&mine, &first), 20 - (uint64_t)i);
        cr_expect_eq(hk_ring_peek(&mine, first), &tasks[i]);
        cr_expect_eq(hk_ring_peek(&mine, first + 19 - (uint64_t)i), &tasks[19]);
        cr_expect_eq(hk_ring_pop_alone(&mine), &tasks[i]);
    }
    cr_expect_null(hk_ring_pop_alone(&mine));
    cr_expect_eq(hk_ring_length(&mine, &first), 0);
}

Test(ring, is_first_in_first_out_on_every_lap)
{
    for (int lap = 0; lap < 5; lap++) {
        fill(&mine, lap, 700);
        cr_expect_not(hk_ring_seems_empty(&mine));
        expect(&mine, lap, 700);
    }
}

Test(ring, refuses_one_more_than_its_slots_and_takes_it_after_a_pop)
{
    fill(&mine, 0, HK_RING_SLOTS);
    cr_expect_not(hk_ring_push(&mine, &tasks[HK_RING_SLOTS]));
    cr_expect_eq(hk_ring_pop(&mine), &tasks[0]);
    cr_expect(hk_ring_push(&mine, &tasks[HK_RING_SLOTS]));
    cr_expect_not(hk_ring_push(&mine, &tasks[0]));
    expect(&mine, 1, HK_RING_SLOTS);
}

Test(ring, gives_a_thief_the_older_half_rounded_up_in_order)
{
    static const int lengths[] = {0, 1, 2, 3, 7, 8, 1023, 1024};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int n = lengths[i], half = n - n / 2;
        begin_at(&mine, 1000 + i);
        begin_at(&theirs, 37 * i);
        fill(&mine, 0, n);
        cr_assert_eq(hk_ring_steal_half(&mine, &theirs), (uint32_t)half);
        expect(&theirs, 0, half);
        expect(&mine, half, n - half);
    }
}

static uint64_t next(uint64_t *dice)
{
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    return *dice >> 11;
}

/* What two rings in a row must be: one queue, as long as all that is stolen is taken first. */
Test(ring, loses_nothing_and_keeps_the_order_whatever_is_done_with_it)
{
    uint64_t dice = 4711;
    uint64_t pushed = 0, taken = 0;
    for (int i = 0; i < STEPS; i++) {
        unsigned what = (unsigned)(next(&dice) % 100), share = i / 5000 % 2 ? 60 : 35;
        if (what < share) {
            bool room = pushed - taken < HK_RING_SLOTS;
            cr_assert_eq(hk_ring_push(&mine, &tasks[pushed % HK_RING_SLOTS]), room);
            pushed += room;
        } else if (what < 98) {
            struct hk_task *t = hk_ring_pop(&mine);
            cr_assert_eq(t, taken < pushed ? &tasks[taken % HK_RING_SLOTS] : NULL);
            taken += t != NULL;
        } else {
            uint32_t n = hk_ring_steal_half(&mine, &theirs);
            cr_assert_eq(n, (pushed - taken + 1) / 2);
            for (; n > 0; n--)
                cr_assert_eq(hk_ring_pop(&theirs), &tasks[taken++ % HK_RING_SLOTS]);
        }
        cr_assert_eq(hk_ring_seems_empty(&mine), pushed == taken);
    }
    cr_expect_gt(taken, HK_RING_SLOTS * 10, "it went round");
}
