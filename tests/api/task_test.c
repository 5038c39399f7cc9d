/* SPDX-License-Identifier: MIT */
/* task_test.c - what <hank/task.h> says of handles, results and ends, one sentence a test.
 * Stopping is cancel_test.c; several tasks at once, and turns, are gather_test.c. */
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
#if !HK_SIM /* whose machine is drawn */
    cr_expect_leq(workers, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
#endif
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
    if (!HK_ASAN && !HK_TSAN && !HK_EMULATED) /* which keep memory of their own */
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

#ifndef __SANITIZE_ADDRESS__ /* whose frames are larger */
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

/* A switch would be to another stack. */
static int await_from_either_end(void *arg)
{
    (void)arg;
    enum { N = 1000 };
    static hank_task tasks[N];
    hank_stats before, after;
    for (int from_last = 0; from_last < 2; from_last++) {
        for (int i = 0; i < N; i++)
            tasks[i] = hank_spawn(give_back, number(i));
        CHECK(hank_get_stats(&before) == 0);
        for (int i = 0; i < N; i++) {
            int next = from_last ? N - 1 - i : i;
            CHECK(hank_await(tasks[next]) == next);
        }
        CHECK(hank_get_stats(&after) == 0);
        CHECK(after.switches == before.switches);
    }
    return 0;
}

Test(await, of_children_from_the_first_or_from_the_last_is_a_call)
{
    with_workers(1, await_from_either_end, NULL);
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
