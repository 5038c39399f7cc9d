/* SPDX-License-Identifier: MIT */
/* steal_test.c - what a thief takes and when it holds back, by hand on one thread. */
enum { WORKERS = 2 };

#include "sched/by_hand.h"

enum { TASKS = 8 };

/* How long a stolen task took: however slowly this test runs, less than anything, and enough. */
enum { CRUMB = -1000 * 1000 * 1000, MEAL = 1000 * 1000 };

static hk_worker *const thief = &workers[0], *const victim = &workers[1];
static hk_task tasks[TASKS];

/* A steal whose task was done after so many nanoseconds, as far as the thief can tell. */
static void steal_for(int64_t ns)
{
    cr_assert_eq(hk_deque_push(&victim->deque, &tasks[0]), 0);
    cr_assert_eq(hk_worker_steal(thief), &tasks[0]);
    cr_assert_neq(thief->stole_at, 0);
    thief->stole_at = hk_os_now() - ns;
}

TestSuite(steal, .init = begin, .fini = done, .timeout = 20);

Test(steal, takes_the_oldest_that_has_not_begun)
{
    cr_expect_null(hk_worker_steal(thief));
    for (int i = 0; i < 3; i++)
        cr_assert_eq(hk_deque_push(&victim->deque, &tasks[i]), 0);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(hk_worker_steal(thief), &tasks[i]);
    cr_expect_null(hk_worker_steal(thief));
    cr_expect_eq(hk_load_relaxed(&thief->counters.steals), 3);
}

Test(steal, takes_half_of_those_that_were_woken)
{
    for (int i = 0; i < TASKS; i++)
        cr_assert(hk_ring_push(&victim->ring, &tasks[i]));
    cr_expect_eq(hk_worker_steal(thief), &tasks[0]);
    for (int i = 1; i < TASKS / 2; i++)
        cr_expect_eq(hk_ring_pop(&thief->ring), &tasks[i]);
    cr_expect_null(hk_ring_pop(&thief->ring));
    cr_expect_eq(hk_ring_pop(&victim->ring), &tasks[TASKS / 2]);
}

Test(steal, holds_back_longer_each_time_it_was_not_worth_it)
{
    int before = 0;
    steal_for(CRUMB);
    cr_expect_eq(thief->hold_back, 0);
    for (int i = 0; i < 4; i++) {
        steal_for(CRUMB);
        cr_expect_gt(thief->hold_back, before);
        before = thief->hold_back;
    }
    for (int i = 0; i < 20; i++)
        steal_for(CRUMB);
    cr_expect_lt(thief->hold_back, 1000, "not so long that what is larger would miss it");
}

Test(steal, no_longer_once_it_was_worth_it)
{
    for (int i = 0; i < 5; i++)
        steal_for(CRUMB);
    steal_for(MEAL);
    steal_for(CRUMB);
    cr_expect_eq(thief->hold_back, 0);
}

Test(steal, counts_a_steal_once)
{
    steal_for(CRUMB);
    cr_expect_null(hk_worker_steal(thief));
    int after = thief->hold_back;
    cr_expect_null(hk_worker_steal(thief));
    cr_expect_eq(thief->hold_back, after, "it has stolen nothing since");
}
