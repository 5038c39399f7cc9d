/* SPDX-License-Identifier: MIT */
/* task_test.c - what <hank/task.h> says of handles, results, ends and turns, one sentence a test.
 * Stopping is cancel_test.c. */
#include "api/support.h"

/* --- running --------------------------------------------------------------------------------- */

static int run_again(void *arg)
{
    (void)arg;
    CHECK(hank_run(give_back, NULL) == -EBUSY);
    CHECK(hank_run_with(give_back, NULL, .workers = 1) == -EBUSY);
    return 0;
}

Test(run, gives_what_the_function_returned_and_refuses_what_it_cannot_run)
{
    cr_expect_eq(hank_run(give_back, number(7)), 7);
    cr_expect_eq(hank_run(give_back, number(-7)), -7);
    cr_expect_eq(hank_run_opt(give_back, number(3), NULL), 3);
    cr_expect_eq(hank_run(NULL, NULL), -EINVAL);
    cr_expect_eq(hank_run_with(give_back, NULL, .workers = 1025), -EINVAL);
    cr_expect_eq(hank_run_with(give_back, NULL, .workers = 10000), -EINVAL);
    cr_expect_eq(hank_run_with(give_back, NULL, .blocking_threads = 1025), -EINVAL);
    cr_expect_eq(hank_run_with(give_back, NULL, .stack_size = (64 << 20) + 1), -EINVAL);
    cr_expect_eq(hank_run_with(give_back, NULL, .stack_size = SIZE_MAX), -EINVAL);
    cr_expect_eq(hank_run_with(give_back, number(1), .stack_size = 1, .workers = 2), 1);
    cr_expect_eq(hank_run_with(give_back, number(1), .stack_size = 64 << 20, .workers = 1), 1);
    cr_expect_eq(hank_run_with(give_back, number(1), .pin = true, .workers = 3), 1);
    with_each_size(run_again, NULL);
}

static int count_workers(void *arg)
{
    hank_stats stats;
    MUST(hank_get_stats(&stats) == 0);
    *(uint64_t *)arg = stats.workers;
    return 0;
}

Test(run, has_as_many_workers_as_asked_for_and_without_asking_one_a_cpu)
{
    uint64_t workers = 0;
    for (EACH_SIZE(i)) {
        with_workers(sizes[i], count_workers, &workers);
        cr_expect_eq(workers, sizes[i]);
    }
    with_workers(0, count_workers, &workers);
    cr_expect_geq(workers, 1);
    cr_expect_leq(workers, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
}

/* A few tasks that wait, so that every worker has had a stack, a timer and a poll. */
static int some_life(void *arg)
{
    hank_task tasks[16];
    for (int i = 0; i < 16; i++)
        tasks[i] = hank_spawn(yield_once, arg);
    return hank_gather_n(tasks, 16, NULL);
}

static long resident_pages(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages;
}

Test(run, can_be_repeated_without_end_and_leaves_nothing)
{
    enum { WARM_UP = 40, ROUNDS = 200 };
    long before = 0;
    for (int i = 0; i < WARM_UP + ROUNDS; i++) {
        if (i == WARM_UP)
            before = resident_pages();
        with_workers(1 + (unsigned)i % 3, some_life, NULL);
    }
    long grown = resident_pages() - before;
    cr_expect_lt(grown, 512, "%ld pages more after %d runs", grown, ROUNDS);
}

/* --- handles --------------------------------------------------------------------------------- */

static int try_handles_twice(void *arg)
{
    (void)arg;
    hank_task t = hank_spawn(give_back, number(5));
    CHECK(hank_await(t) == 5);
    CHECK(hank_await(t) == -ESTALE);
    CHECK(hank_detach(t) == -ESTALE);
    CHECK(hank_cancel(t) == -ESTALE);
    hank_task next = hank_spawn(give_back, number(6)); /* probably in the same slot */
    CHECK(hank_await(t) == -ESTALE);
    CHECK(hank_cancel(t) == -ESTALE);
    CHECK(hank_await(next) == 6);

    hank_task zero = {0};
    CHECK(hank_await(zero) == -ESTALE);
    CHECK(hank_detach(zero) == -ESTALE);
    CHECK(hank_cancel(zero) == -ESTALE);
    CHECK(hank_gather(zero) == -ESTALE);

    hank_task three[3] = {hank_spawn(give_back, number(1)), hank_spawn(yield_once, number(2)),
                          hank_spawn(give_back, number(3))};
    CHECK(hank_gather_n(three, 3, NULL) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(hank_await(three[i]) == -ESTALE);
    return 0;
}

Test(handle, is_used_up_once)
{
    with_each_size(try_handles_twice, NULL);
}

static int try_failed_spawns(void *arg)
{
    (void)arg;
    hank_task none = hank_spawn(NULL, NULL);
    CHECK(hank_await(none) == -EINVAL);
    CHECK(hank_await(none) == -EINVAL); /* every time it is asked */
    CHECK(hank_detach(none) == -EINVAL);
    CHECK(hank_cancel(none) == -ESTALE); /* it was never made */
    CHECK(hank_gather(none) == -EINVAL);
    int result = 0;
    CHECK(hank_race_n(&none, 1, &result) == 0 && result == -EINVAL);

    static char big[64 * 1024 + 1];
    CHECK(hank_await(hank_spawn_opt(give_back, number(4), NULL)) == 4);
    CHECK(hank_await(hank_spawn_with(NULL, NULL, .name = "none")) == -EINVAL);
    CHECK(hank_await(hank_spawn_with(give_back, NULL, .stack_size = SIZE_MAX)) == -EINVAL);
    CHECK(hank_await(hank_spawn_with(give_back, NULL, .stack_size = (64 << 20) + 1)) == -EINVAL);
    CHECK(hank_await(hank_spawn_with(give_back, big, .copy = sizeof big)) == -EINVAL);
    CHECK(hank_await(hank_spawn_with(give_back, number(4), .stack_size = 1)) == 4);
    return 0;
}

Test(handle, of_a_task_that_could_not_be_made_says_why_every_time)
{
    with_each_size(try_failed_spawns, NULL);
}

Test(handle, spawned_outside_a_task_has_failed)
{
    hank_task t = hank_spawn(give_back, NULL);
    cr_expect_eq(hank_await(t), -EPERM);
    cr_expect_eq(hank_await(hank_spawn_with(give_back, NULL, .name = "x")), -EPERM);
    cr_expect_eq(hank_await((hank_task){0}), -ESTALE);
    cr_expect_eq(hank_gather(t), -EPERM);
    cr_expect_lt(hank_detach(t), 0);
    cr_expect_eq(hank_cancel((hank_task){0}), -ESTALE);
    cr_expect_eq(hank_gather_n(NULL, 0, NULL), 0);
    cr_expect_eq(hank_yield(), 0);
    cr_expect_eq(hank_stopped(), 0);
    cr_expect_eq(hank_sleep(HANK_US(10)), 0);
    cr_expect_eq(hank_sleep(-1), 0);
}

typedef struct shared_handle {
    hank_task task;
    flag ready;
    flag started;
    flag let_go;
} shared_handle;

static int wait_to_be_let_go(void *arg)
{
    shared_handle *h = arg;
    set(&h->started);
    YIELD_UNTIL(is_set(&h->let_go));
    CHECK(hank_stopped() == 0);
    return 9;
}

static int use_a_foreign_handle(void *arg)
{
    shared_handle *h = arg;
    YIELD_UNTIL(is_set(&h->ready));
    CHECK(hank_await(h->task) == -EPERM);
    CHECK(hank_detach(h->task) == -EPERM);
    CHECK(hank_gather(h->task) == -EPERM);
    int result = 0;
    CHECK(hank_race_n(&h->task, 1, &result) == 0 && result == -EPERM);
    return 0;
}

static int share_a_handle(void *arg)
{
    (void)arg;
    shared_handle h = {0};
    hank_task other = hank_spawn(use_a_foreign_handle, &h);
    h.task = hank_spawn(wait_to_be_let_go, &h);
    YIELD_UNTIL(is_set(&h.started));
    set(&h.ready);
    CHECK(hank_await(other) == 0);
    set(&h.let_go);
    CHECK(hank_await(h.task) == 9); /* nothing had happened to it */
    return 0;
}

Test(handle, of_somebody_elses_child_is_refused_and_nothing_happens_to_the_child)
{
    with_each_size(share_a_handle, NULL);
}

static int await_oneself(void *arg)
{
    shared_handle *h = arg;
    YIELD_UNTIL(is_set(&h->ready));
    CHECK(hank_await(h->task) == -EDEADLK);
    CHECK(hank_gather(h->task) == -EDEADLK);
    CHECK(hank_stopped() == 0);
    return 3;
}

static int let_one_await_itself(void *arg)
{
    (void)arg;
    shared_handle h = {0};
    h.task = hank_spawn(await_oneself, &h);
    set(&h.ready);
    return hank_await(h.task) == 3 ? 0 : -EPROTO;
}

Test(handle, of_oneself_cannot_be_awaited)
{
    with_each_size(let_one_await_itself, NULL);
}

/* --- arguments and stacks -------------------------------------------------------------------- */

static int sum_bytes(void *arg)
{
    (void)hank_yield();
    int sum = 0;
    for (int i = 0; i < 100; i++)
        sum += ((unsigned char *)arg)[i];
    return sum;
}

static int copy_arguments(void *arg)
{
    (void)arg;
    hank_task tasks[50];
    for (int i = 0; i < 50; i++) {
        unsigned char bytes[100];
        for (int k = 0; k < 100; k++)
            bytes[k] = (unsigned char)i;
        tasks[i] = hank_spawn_with(sum_bytes, bytes, .copy = sizeof bytes);
    }
    int results[50];
    CHECK(hank_gather_n(tasks, 50, results) == 0);
    for (int i = 0; i < 50; i++)
        CHECK(results[i] == 100 * i);
    return 0;
}

Test(spawn, with_copy_gives_the_child_a_copy_of_its_own)
{
    with_each_size(copy_arguments, NULL);
}

static __attribute__((noinline)) int fill(size_t bytes)
{
    char frame[8192];
    for (size_t i = 0; i < sizeof frame; i += 512)
        hk_store_relaxed((HK_ATOMIC(char) *)&frame[i], (char)i); /* it must be written */
    int rc = bytes > sizeof frame ? fill(bytes - sizeof frame) : hank_yield();
    return rc + hk_load_relaxed((HK_ATOMIC(char) *)&frame[512]);
}

static int use_much_stack(void *arg)
{
    return fill((size_t)(intptr_t)arg);
}

static int try_stack_sizes(void *arg)
{
    (void)arg;
    hank_task big = hank_spawn_with(use_much_stack, number(900 << 10), .stack_size = 1 << 20);
    hank_task small = hank_spawn_with(use_much_stack, number(8 << 10), .stack_size = 16 << 10);
    CHECK(hank_gather(big, small) == 0);
    CHECK(hank_await(hank_spawn(use_much_stack, number(16 << 10))) == 0);
    hank_task many[20];
    for (int i = 0; i < 20; i++)
        many[i] = hank_spawn_with(use_much_stack, number(i % 2 ? 200 << 10 : 8 << 10),
                                  .stack_size = i % 2 ? 256 << 10 : 0);
    return hank_gather_n(many, 20, NULL);
}

#ifndef __SANITIZE_ADDRESS__ /* whose frames are larger */
Test(spawn, with_a_stack_size_may_use_that_much)
{
    with_each_size(try_stack_sizes, NULL);
}
#endif

static int go_deep(void *arg)
{
    intptr_t levels = (intptr_t)arg;
    if (levels == 0)
        return hank_yield();
    hank_task child = hank_spawn(go_deep, number(levels - 1));
    if (levels % 3)
        return hank_await(child);
    return hank_gather(child, hank_spawn(give_back, NULL));
}

Test(await, may_be_nested_ten_thousand_deep)
{
    with_each_size(go_deep, number(10 * 1000));
}

/* --- ends ------------------------------------------------------------------------------------ */

typedef struct left_behind {
    flag started;
    flag ended;
    flag cancelled;
} left_behind;

static int linger(void *arg)
{
    left_behind *l = arg;
    set(&l->started);
    for (int i = 0; i < 20; i++)
        (void)hank_yield();
    if (hank_stopped() == -ECANCELED)
        set(&l->cancelled);
    set(&l->ended);
    return 0;
}

static int leave_children(void *arg)
{
    left_behind *l = arg;
    for (int i = 0; i < 100; i++)
        leave(hank_spawn(linger, l));
    YIELD_UNTIL(hk_load_acquire(&l->started) == 100);
    return 0;
}

static int linger_until_stopped(void *arg)
{
    left_behind *l = arg;
    set(&l->started);
    YIELD_UNTIL(hank_stopped() == -ECANCELED);
    set(&l->ended);
    return 0;
}

static int leave_children_and_fail(void *arg)
{
    left_behind *l = arg;
    for (int i = 0; i < 100; i++)
        leave(hank_spawn(linger_until_stopped, l));
    YIELD_UNTIL(hk_load_acquire(&l->started) == 100);
    return -EIO;
}

static int look_at_what_is_left(void *arg)
{
    (void)arg;
    left_behind well = {0}, badly = {0};
    CHECK(hank_await(hank_spawn(leave_children, &well)) == 0);
    CHECK(hk_load_acquire(&well.ended) == 100);
    CHECK(hk_load_acquire(&well.cancelled) == 0);
    CHECK(hank_await(hank_spawn(leave_children_and_fail, &badly)) == -EIO);
    CHECK(hk_load_acquire(&badly.ended) == 100);
    return 0;
}

Test(end, of_a_task_waits_for_its_children_and_cancels_them_first_if_it_failed)
{
    with_each_size(look_at_what_is_left, NULL);
}

static int spawn_forever_and_fail(void *arg)
{
    for (int i = 0; i < 40; i++)
        leave(hank_spawn(start_and_wait, arg));
    return -EIO;
}

Test(end, of_the_first_task_that_failed_cancels_what_it_left_behind)
{
    flag started = 0;
    for (EACH_SIZE(i))
        cr_expect_eq(hank_run_with(spawn_forever_and_fail, &started, .workers = sizes[i]), -EIO);
}

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
    YIELD_UNTIL(is_set(arg));
    (void)hank_sleep(HANK_FOREVER); /* until the first failure cancels us */
    return -EPIPE;
}

static int fail_first(void *arg)
{
    (void)hank_yield();
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

static int race_a_few(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        int result = 0;
        hank_task tasks[] = {hank_spawn(sleep_forever, NULL), hank_spawn(yield_once, number(4)),
                             hank_spawn(sleep_forever, NULL)};
        CHECK(hank_race_n(tasks, 3, &result) == 1 && result == 4);
        hank_task failing[] = {hank_spawn(sleep_forever, NULL), hank_spawn(give_back, number(-EIO))};
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

/* 5 ms apart: as far as the order can be told from outside on a busy machine with one worker. */
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
        sleepers[i] = (sleeper){now, HANK_MS(10) + nth * HANK_MS(5), &order, -1};
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
