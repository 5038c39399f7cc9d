/* SPDX-License-Identifier: MIT */
/* idle_test.c - who may search and who is woken, by hand on one thread. That no work is slept
 * over, whatever two threads do, is tests/model/idle_model.c. */
#include "sched/idle.h"

enum { WORKERS = 4 };

#include "sched/by_hand.h"

/* Nobody's work: enough for the inbox not to be empty. */
static hk_task task;

TestSuite(idle, .init = begin, .fini = done, .timeout = 20);

Test(idle, lets_half_of_the_workers_search)
{
    cr_expect(hk_idle_start_search(&workers[0]));
    cr_expect(hk_idle_start_search(&workers[1]));
    cr_expect_not(hk_idle_start_search(&workers[2]));
    hk_idle_found(&workers[0]);
    cr_expect(hk_idle_start_search(&workers[2]));
    workers[3].alone = true;
    hk_idle_found(&workers[1]);
    cr_expect_not(hk_idle_start_search(&workers[3]), "there is nobody to steal from");
}

Test(idle, does_not_sleep_while_there_is_work_anywhere)
{
    hk_inbox_push(&rt.inbox, &task, &task, 1);
    cr_expect_not(hk_idle_sleep(&workers[0], false));
    cr_expect_eq(hk_load_relaxed(&workers[0].counters.parks), 0);
    uint32_t n;
    cr_assert_eq(hk_inbox_take(&rt.inbox, 1, &n), &task);
    cr_assert_eq(hk_deque_push(&workers[2].deque, &task), 0);
    cr_expect_not(hk_idle_sleep(&workers[0], false));
    cr_assert_eq(hk_deque_pop(&workers[2].deque), &task);
    cr_assert(hk_ring_push(&workers[1].ring, &task));
    cr_expect_not(hk_idle_sleep(&workers[0], false));
    cr_assert_eq(hk_ring_pop(&workers[1].ring), &task);
    hk_store_release(&rt.stopping, true);
    cr_expect_not(hk_idle_sleep(&workers[0], false));
    cr_expect_eq(hk_load_relaxed(&workers[0].counters.parks), 0);
    cr_expect_eq(hk_load_relaxed(&rt.idle.word), 0);
}

static void *sleep_until_woken(void *arg)
{
    return hk_idle_sleep(arg, false) ? arg : NULL;
}

static void wait_for_sleepers(uint32_t n)
{
    while ((uint32_t)hk_load_seqcst(&rt.idle.word) != n)
        hk_os_yield();
}

Test(idle, wakes_one_who_searches_then_and_nobody_while_somebody_searches)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(hk_os_thread_start(&threads[i], sleep_until_woken, &workers[i]), 0);
    wait_for_sleepers(2);
    cr_assert(hk_idle_start_search(&workers[3]));
    hk_idle_notify(&rt);
    cr_expect_eq((uint32_t)hk_load_seqcst(&rt.idle.word), 2, "the searcher will find it");
    cr_expect_eq(hk_load_relaxed(&rt.idle.wakes), 0);
    hk_idle_found(&workers[3]);
    cr_expect_eq((uint32_t)hk_load_seqcst(&rt.idle.word), 2, "there is no work");
    hk_idle_notify(&rt);
    cr_expect_eq(hk_load_seqcst(&rt.idle.word), UINT64_C(1) << 32 | 1, "woken as a searcher");
    cr_expect_eq(hk_load_relaxed(&rt.idle.wakes), 1);
    hk_inbox_push(&rt.inbox, &task, &task, 1);
    hk_idle_found(&workers[0]); /* whichever it was: the last one, and there is more */
    cr_expect_eq(hk_load_seqcst(&rt.idle.word), UINT64_C(1) << 32);
    cr_expect_eq(hk_load_relaxed(&rt.idle.wakes), 2);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(hk_os_thread_join(threads[i]), 0);
}

/* Tasks that one poll found ready; taken by worker 0. */
static void take_ready(int n)
{
    static hk_task found[2 * HK_POLL_KEEP];
    hk_ready ready[2 * HK_POLL_KEEP] = {{.result = 0}};
    for (int i = 0; i < n; i++) {
        found[i] = (hk_task){.fn = NULL};
        ready[i] = (hk_ready){hk_sleeper_begin(&found[i].sleeper, HK_WAITING), 0};
    }
    cr_assert_eq(hk_worker_take_ready(&workers[0], ready, n), n);
    while (n-- > 0)
        cr_assert_not_null(hk_ring_pop(&workers[0].ring));
}

Test(idle, wakes_one_to_help_with_a_large_batch_of_one_poll_and_nobody_for_a_small_one)
{
    pthread_t thread;
    cr_assert_eq(hk_os_thread_start(&thread, sleep_until_woken, &workers[1]), 0);
    wait_for_sleepers(1);
    take_ready(HK_POLL_KEEP);
    cr_expect_eq(hk_load_relaxed(&rt.idle.wakes), 0);
    take_ready(HK_POLL_KEEP + 1);
    cr_expect_eq(hk_load_relaxed(&rt.idle.wakes), 1);
    cr_assert_eq(hk_os_thread_join(thread), 0);
}

Test(idle, does_not_mind_that_the_count_of_pushes_comes_round)
{
    hk_store_relaxed(&workers[1].published, UINT64_MAX);
    hk_worker_push_ready(&workers[1], &task, false);
    cr_expect_eq(hk_load_relaxed(&workers[1].published), 0);
    cr_expect_not(hk_idle_sleep(&workers[0], false));
    cr_expect_eq(hk_load_relaxed(&workers[0].counters.parks), 0);
    cr_assert_eq(hk_ring_pop(&workers[1].ring), &task);
}

Test(idle, notifies_nobody_when_nobody_sleeps)
{
    hk_idle_notify(&rt);
    cr_expect_eq(hk_load_relaxed(&rt.idle.word), 0);
    cr_expect_eq(hk_load_relaxed(&rt.idle.wakes), 0);
}

Test(idle, wakes_everybody_to_stop)
{
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        cr_assert_eq(hk_os_thread_start(&threads[i], sleep_until_woken, &workers[i]), 0);
    wait_for_sleepers(WORKERS);
    hk_store_release(&rt.stopping, true);
    hk_idle_wake_all(&rt);
    for (int i = 0; i < WORKERS; i++)
        cr_assert_eq(hk_os_thread_join(threads[i]), 0);
    cr_expect_eq(hk_load_relaxed(&rt.idle.word), 0);
}
