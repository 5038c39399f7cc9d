/* SPDX-License-Identifier: MIT */
/* gather_test.c - what <hank/task.h> says of gathering, racing, yielding and sleeping, one sentence
 * a test. */
#include "api/support.h"

/* --- gather and race ------------------------------------------------------------------------- */

static int gather_in_order(void *arg)
{
    (void)arg;
    enum { N = 300 };
    hank_task tasks[N];
    int results[N];
    for (int i = 0; i < N; i++)
        tasks[i] = hank_spawn(i % 3 ? yield_once : give_back, number(i));
    CHECK(hank_gather_n(tasks, N, results) == 0);
    for (int i = 0; i < N; i++)
        CHECK(results[i] == i);
    int untouched = 77;
    CHECK(hank_gather_n(NULL, 0, &untouched) == 0 && untouched == 77);
    hank_task live = hank_spawn(give_back, number(1));
    CHECK(hank_gather_n(&live, 1000 * 1000 + 1, NULL) == -E2BIG);
    CHECK(hank_race_n(&live, 1000 * 1000 + 1, NULL) == -E2BIG);
    CHECK(hank_race_n(NULL, 0, NULL) == -EINVAL);
    CHECK(hank_await(live) == 1); /* nothing had happened */
    return 0;
}

Test(gather, gives_results_in_the_order_of_its_tasks)
{
    with_each_size(gather_in_order, NULL);
}

static int fail_after_the_other(void *arg)
{
    set(arg);
    YIELD_UNTIL(hk_load_acquire((flag *)arg) == 2);
    (void)hank_sleep(HANK_FOREVER); /* until the first failure cancels us */
    return -EPIPE;
}

static int fail_first(void *arg)
{
    YIELD_UNTIL(is_set(arg)); /* or the other might be cancelled before it starts */
    set(arg);
    return -EIO;
}

static int gather_failures(void *arg)
{
    (void)arg;
    flag failed = 0;
    int results[4];
    hank_task tasks[] = {hank_spawn(fail_after_the_other, &failed), hank_spawn(sleep_forever, NULL),
                         hank_spawn(fail_first, &failed), hank_spawn(sleep_forever, NULL)};
    CHECK(hank_gather_n(tasks, 4, results) == -EIO);
    CHECK(results[0] == -EPIPE && results[2] == -EIO);
    CHECK(results[1] == -ECANCELED && results[3] == -ECANCELED);
    return 0;
}

Test(gather, cancels_the_others_on_a_failure_and_returns_the_first_in_time)
{
    with_each_size(gather_failures, NULL);
}

static int gather_bad_handles(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task used = hank_spawn(give_back, NULL);
    CHECK(hank_await(used) == 0);
    hank_task tasks[] = {hank_spawn(start_and_wait, &started), used,
                         hank_spawn(start_and_wait, &started)};
    int results[3];
    CHECK(hank_gather_n(tasks, 3, results) == -ESTALE);
    CHECK(results[0] == -ECANCELED && results[1] == -ESTALE && results[2] == -ECANCELED);
    hank_task good = hank_spawn(sleep_forever, NULL);
    hank_task race[] = {good, hank_spawn(NULL, NULL)};
    int result = 0;
    CHECK(hank_race_n(race, 2, &result) == 1 && result == -EINVAL);
    CHECK(hank_await(good) == -ESTALE);
    return 0;
}

Test(gather, takes_a_bad_handle_for_a_task_that_failed)
{
    with_each_size(gather_bad_handles, NULL);
}

static int gather_one_twice(void *arg)
{
    static const hank_fn bodies[] = {give_back, yield_once};
    (void)arg;
    for (size_t i = 0; i < 2; i++) {
        int results[3] = {0}, result = 0;
        hank_task t = hank_spawn(bodies[i], number(4)), other = hank_spawn(yield_once, number(5));
        hank_task tasks[] = {t, other, t};
        CHECK(hank_gather_n(tasks, 3, results) == -ESTALE);
        CHECK(results[0] == 4 && results[1] == 5 && results[2] == -ESTALE);
        t = hank_spawn(bodies[i], number(4));
        CHECK(hank_gather(t, t) == -ESTALE);
        t = hank_spawn(bodies[i], number(-EIO));
        hank_task failing[] = {t, t};
        CHECK(hank_gather_n(failing, 2, results) == -EIO); /* that was first */
        CHECK(results[0] == -EIO && results[1] == -ESTALE);
        t = hank_spawn(bodies[i], number(6));
        hank_task race[] = {t, t};
        CHECK(hank_race_n(race, 2, &result) == 0 && result == 6); /* its second place ends later */
    }
    return 0;
}

Test(gather, of_one_task_twice_uses_it_up_once_and_fails_by_its_second_place)
{
    with_each_size(gather_one_twice, NULL);
}

static int race_a_few(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        int result = 0;
        hank_task tasks[] = {hank_spawn(sleep_forever, NULL), hank_spawn(yield_once, number(4)),
                             hank_spawn(sleep_forever, NULL)};
        CHECK(hank_race_n(tasks, 3, &result) == 1 && result == 4);
        hank_task failing[] = {hank_spawn(sleep_forever, NULL),
                               hank_spawn(give_back, number(-EIO))};
        CHECK(hank_race_n(failing, 2, &result) == 1 && result == -EIO);
        hank_task one = hank_spawn(give_back, number(2));
        CHECK(hank_race_n(&one, 1, NULL) == 0);
        CHECK(hank_await(tasks[0]) == -ESTALE && hank_await(failing[0]) == -ESTALE);
    }
    return 0;
}

Test(race, gives_the_index_of_the_first_to_end_well_or_not_and_joins_the_others)
{
    with_each_size(race_a_few, NULL);
}

/* --- turns ----------------------------------------------------------------------------------- */

static int yield_until_children_ran(void *arg)
{
    (void)arg;
    flag ran = 0;
    hank_task tasks[200];
    for (int i = 0; i < 200; i++)
        tasks[i] = hank_spawn(start_and_wait, &ran);
    YIELD_UNTIL(hk_load_acquire(&ran) == 200);
    for (int i = 0; i < 200; i++)
        CHECK(hank_cancel(tasks[i]) == 0);
    CHECK(hank_gather_n(tasks, 200, NULL) == -ECANCELED);
    return 0;
}

Test(yield, lets_children_start_that_nobody_awaits)
{
    with_each_size(yield_until_children_ran, NULL);
}

static int yield_while_not_stopped(void *arg)
{
    (void)arg;
    int rc = 0;
    while (rc == 0)
        rc = hank_yield();
    return rc;
}

static int nap_and_say_so(void *arg)
{
    CHECK(hank_sleep(HANK_MS(1)) == 0);
    set(arg);
    return 0;
}

static int yield_in_pairs(void *arg)
{
    (void)arg;
    flag woken = 0;
    hank_task yielding[16], napping = hank_spawn(nap_and_say_so, &woken);
    for (int i = 0; i < 16; i++) /* more than there are workers */
        yielding[i] = hank_spawn(yield_while_not_stopped, NULL);
    YIELD_UNTIL(is_set(&woken));
    CHECK(hank_await(napping) == 0);
    hank_ns nap = hank_now();
    CHECK(hank_sleep(HANK_MS(1)) == 0);
    CHECK(hank_now() - nap < HANK_SEC(5));
    for (int i = 0; i < 16; i++)
        CHECK(hank_cancel(yielding[i]) == 0);
    CHECK(hank_gather_n(yielding, 16, NULL) == -ECANCELED);
    return 0;
}

Test(yield, starves_no_timer)
{
    with_each_size(yield_in_pairs, NULL);
}

static int count_turns(void *arg)
{
    flag *turns = arg;
    for (int i = 0; i < 1000; i++) {
        set(turns);
        (void)hank_yield();
    }
    return 0;
}

static int take_turns(void *arg)
{
    (void)arg;
    flag turns[2] = {0, 0};
    hank_task a = hank_spawn(count_turns, &turns[0]), b = hank_spawn(count_turns, &turns[1]);
    while (hk_load_acquire(&turns[0]) < 1000 && hk_load_acquire(&turns[1]) < 1000) {
        int difference = hk_load_acquire(&turns[0]) - hk_load_acquire(&turns[1]);
        CHECK(difference > -50 && difference < 50);
        (void)hank_yield();
    }
    return hank_gather(a, b);
}

Test(yield, gives_two_tasks_on_one_worker_their_turns_in_turn)
{
    with_workers(1, take_turns, NULL);
}

static int sleep_a_while(void *arg)
{
    (void)arg;
    static const hank_ns naps[] = {1, HANK_US(50), HANK_MS(1), HANK_MS(3)};
    for (int i = 0; i < 4; i++) {
        hank_ns begin = hank_now();
        CHECK(hank_sleep(naps[i]) == 0);
        CHECK(hank_now() - begin >= naps[i]);
    }
    CHECK(hank_sleep(0) == 0);
    CHECK(hank_sleep(-5) == 0);
    CHECK(hank_sleep(INT64_MIN) == 0);
    return 0;
}

Test(sleep, lasts_at_least_as_long_as_asked_for)
{
    with_each_size(sleep_a_while, NULL);
}

typedef struct sleeper {
    hank_ns from;
    hank_ns duration;
    flag *order;
    int place;
} sleeper;

static int sleep_and_take_a_number(void *arg)
{
    sleeper *s = arg;
    CHECK(hank_sleep(s->from + s->duration - hank_now()) == 0);
    s->place = hk_add_acqrel(s->order, 1);
    return 0;
}

/* 5 ms apart, when all of them have begun to sleep: as far as the order can be told from outside on
 * a busy machine with one worker. */
static int wake_in_order(void *arg)
{
    (void)arg;
    enum { N = 20 };
    flag order = 0;
    sleeper sleepers[N];
    hank_task tasks[N];
    hank_ns now = hank_now();
    for (int i = 0; i < N; i++) {
        int nth = i * 7 % N; /* in no order */
        sleepers[i] = (sleeper){now, HANK_MS(200) + nth * HANK_MS(5), &order, -1};
        tasks[i] = hank_spawn(sleep_and_take_a_number, &sleepers[i]);
    }
    CHECK(hank_gather_n(tasks, N, NULL) == 0);
    for (int i = 0; i < N; i++)
        CHECK(sleepers[i].place == i * 7 % N);
    return 0;
}

Test(sleep, of_many_ends_in_the_order_of_their_times)
{
    with_workers(1, wake_in_order, NULL);
}

static int nap_briefly(void *arg)
{
    int rc = hank_sleep(HANK_US((intptr_t)arg % 2000));
    return rc;
}

static int many_live(void *arg)
{
    (void)arg;
    enum { N = 100 * 1000 };
    hank_group g = {0};
    hank_stats stats;
    for (intptr_t i = 0; i < N; i++)
        CHECK(hank_group_spawn(&g, give_back, number(i)) == 0);
    CHECK(hank_get_stats(&stats) == 0);
    CHECK(stats.tasks_spawned >= N);
    CHECK(hank_group_wait(&g) == 0);
    for (intptr_t i = 0; i < 3000; i++)
        CHECK(hank_group_spawn(&g, nap_briefly, number(i)) == 0);
    return hank_group_wait(&g);
}

Test(spawn, does_not_mind_a_hundred_thousand_tasks_at_once)
{
    with_each_size(many_live, NULL);
}
