/* SPDX-License-Identifier: MIT */
/* linger_test.c - when a worker waits awake, by hand on one thread: what it saw of its sleeps is
 * put in, and whether it lingers is asked. */
#include "sched/linger.h"

#include <pthread.h>

#include "sched/idle.h"

enum { WORKERS = 2 };

#include "sched/by_hand.h"

enum { SOON_NS = 1000, LATE_NS = 1000 * 1000, MANY = 40 };

static hk_worker *const w = &workers[0];
static hk_task task; /* nobody's: it only makes the inbox not empty */

static void call(void)
{
    hk_inbox_push(&rt.inbox, &task, &task, 1);
}

static void take_call(void)
{
    uint32_t n;
    cr_assert_eq(hk_inbox_take(&rt.inbox, 1, &n), &task);
}

static void sleep_for(int64_t ns)
{
    hk_linger_sleeps(w);
    w->clock = w->linger.since + ns;
    hk_linger_slept(w);
}

/* So many sleeps, each ended by a call after `ns`. */
static void is_called_after(int64_t ns, int times)
{
    for (int i = 0; i < times; i++) {
        call();
        sleep_for(ns);
        take_call();
    }
}

/* Whether it waits awake and is right to: a call is there at once. */
static bool lingers(void)
{
    bool searching = false;
    call();
    bool has_come = hk_linger_for_calls(w, &searching);
    take_call();
    cr_expect_eq(searching, has_come, "it is one of those who look for work");
    if (searching)
        hk_idle_found(w);
    return has_come;
}

/* The same, and no call comes. */
static bool lingers_in_vain(void)
{
    bool searching = false;
    cr_expect_not(hk_linger_for_calls(w, &searching));
    if (searching)
        hk_idle_found(w);
    return searching;
}

/* How many calls have to come soon until it waits for one that does not come. */
static int calls_until_in_vain(void)
{
    int n = 0;
    while (!lingers_in_vain() && n < 10 * MANY) {
        is_called_after(SOON_NS, 1);
        n++;
    }
    return n;
}

TestSuite(linger, .init = begin, .fini = done, .timeout = 20);

Test(linger, not_before_several_calls_have_come_soon)
{
    is_called_after(SOON_NS, 2);
    cr_expect_not(lingers());
    is_called_after(SOON_NS, MANY);
    cr_expect(lingers());
    cr_expect(lingers(), "as long as it is right to");
}

Test(linger, not_after_calls_that_came_late)
{
    is_called_after(LATE_NS, MANY);
    cr_expect_not(lingers());
}

Test(linger, not_after_a_sleep_that_was_ended_by_something_else)
{
    is_called_after(SOON_NS, MANY);
    sleep_for(SOON_NS);
    cr_expect_not(lingers());
}

Test(linger, each_time_in_vain_it_refrains_for_longer)
{
    (void)calls_until_in_vain();
    cr_expect_not(lingers());
    is_called_after(LATE_NS, MANY); /* do not count */
    int first = calls_until_in_vain();
    int second = calls_until_in_vain();
    cr_expect_gt(first, MANY / 4);
    cr_expect_gt(second, first * 3 / 2);
    is_called_after(SOON_NS, 10 * MANY);
    cr_expect(lingers());
    cr_assert(lingers_in_vain());
    cr_expect_eq(calls_until_in_vain(), first, "it was right in between");
}

Test(linger, takes_what_another_worker_has_too)
{
    bool searching = false;
    is_called_after(SOON_NS, MANY);
    cr_assert(hk_ring_push(&workers[1].ring, &task));
    cr_expect(hk_linger_for_calls(w, &searching));
    cr_assert_eq(hk_ring_pop(&workers[1].ring), &task);
    hk_idle_found(w);
}

Test(linger, not_while_enough_others_search)
{
    bool searching = false;
    is_called_after(SOON_NS, MANY);
    cr_assert(hk_idle_start_search(&workers[1]));
    call();
    cr_expect_not(hk_linger_for_calls(w, &searching));
    cr_expect_not(searching);
    take_call();
    hk_idle_found(&workers[1]);
}

Test(linger, who_is_alone_is_no_searcher)
{
    bool searching = false;
    is_called_after(SOON_NS, MANY);
    w->alone = true;
    call();
    cr_expect(hk_linger_for_calls(w, &searching));
    cr_expect_not(searching);
    take_call();
}

static void *calls_soon(void *arg)
{
    (void)arg;
    call();
    return NULL;
}

/* If the thread is late, it waits in vain, and is asked again after enough prompt calls. */
Test(linger, sees_a_call_of_another_thread_while_it_waits)
{
    for (bool has_come = false; !has_come;) {
        bool searching = false;
        pthread_t thread;
        is_called_after(SOON_NS, 10000);
        cr_assert_eq(pthread_create(&thread, NULL, calls_soon, NULL), 0);
        has_come = hk_linger_for_calls(w, &searching);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        take_call();
        hk_idle_found(w);
    }
}
