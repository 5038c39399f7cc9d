/* SPDX-License-Identifier: MIT */
/* inbox_test.c - the queue of whatever has no worker: chains in, chains out, nothing lost. */
#include "sched/inbox.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "sched/task.h"

enum { THREADS = 3, EACH = 20 * 1000 };

static hk_task tasks[THREADS][EACH];
static hk_inbox box;

/* The chain of tasks[0][from] .. tasks[0][from + n - 1], pushed. */
static void push(int from, int n)
{
    for (int i = from; i < from + n - 1; i++)
        tasks[0][i].next = &tasks[0][i + 1];
    tasks[0][from + n - 1].next = &tasks[1][0]; /* whatever it was */
    hk_inbox_push(&box, &tasks[0][from], &tasks[0][from + n - 1], (uint32_t)n);
}

static void expect(uint32_t asked, int from, int n)
{
    uint32_t got = 99;
    hk_task *t = hk_inbox_take(&box, asked, &got);
    cr_assert_eq(got, (uint32_t)n);
    for (int i = 0; i < n; i++, t = t->next)
        cr_assert_eq(t, &tasks[0][from + i]);
    cr_assert_null(t, "a chain ended by NULL");
}

Test(inbox, is_first_in_first_out_across_chains)
{
    cr_expect(hk_inbox_seems_empty(&box));
    push(0, 1);
    push(1, 5);
    push(6, 2);
    cr_expect_not(hk_inbox_seems_empty(&box));
    expect(3, 0, 3);
    expect(4, 3, 4);
    cr_expect_not(hk_inbox_seems_empty(&box));
    expect(100, 7, 1);
    cr_expect(hk_inbox_seems_empty(&box));
}

Test(inbox, gives_nothing_when_empty_or_not_asked_and_can_be_filled_again)
{
    expect(10, 0, 0);
    push(0, 4);
    expect(0, 0, 0);
    expect(4, 0, 4);
    expect(4, 0, 0);
    push(4, 3);
    expect(2, 4, 2);
    push(7, 2);
    expect(9, 6, 3);
}

static void *push_all(void *arg)
{
    hk_task *mine = arg;
    for (int i = 0; i < EACH; i++)
        hk_inbox_push(&box, &mine[i], &mine[i], 1);
    return NULL;
}

/* Each thread's own come out in its order, however they mix. */
Test(inbox, loses_nothing_that_several_threads_push_at_once)
{
    pthread_t threads[THREADS];
    int seen[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, push_all, tasks[i]), 0);
    for (int total = 0; total < THREADS * EACH;) {
        uint32_t n;
        hk_task *t = hk_inbox_take(&box, 32, &n);
        total += (int)n;
        for (; t; t = t->next, n--) {
            int whose = (int)((t - &tasks[0][0]) / EACH);
            cr_assert_eq(t, &tasks[whose][seen[whose]++]);
        }
        cr_assert_eq(n, 0);
    }
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_expect(hk_inbox_seems_empty(&box));
}
