/* SPDX-License-Identifier: MIT */
/* runtime_test.c - a runtime in the background of a program that is not hank's own: started and
 * stopped, spawned into and awaited, from threads and from tasks. */
#include "api/everywhere.h"
#include "api/thread_support.h"

/* --- start and stop -------------------------------------------------------------------------- */

static void nothing(hank_runtime *rt)
{
    cr_expect_not_null(rt);
}

Test(runtime, starts_and_stops_without_having_run_anything)
{
    beside_each_size(nothing);
}

Test(runtime, says_what_is_wrong_with_its_options_and_starts_nothing)
{
    hank_runtime *rt = (hank_runtime *)&rt;
    hank_runtime *before = rt;
    cr_expect_eq(hank_runtime_start(NULL, NULL), -EINVAL);
    cr_expect_eq(hank_runtime_start(&(hank_options){.workers = 5000}, &rt), -EINVAL);
    cr_expect_eq(hank_runtime_start(&(hank_options){.signals = 7}, &rt), -EINVAL);
    cr_expect_eq(hank_runtime_start(&(hank_options){.slow_task = -1}, &rt), -EINVAL);
    cr_expect_eq(hank_runtime_start(&(hank_options){.leftovers_after = -1}, &rt), -EINVAL);
    cr_expect_eq(rt, before, "untouched");
    cr_expect_eq(hank_runtime_stop(NULL), -EINVAL);
    cr_expect_eq(hank_runtime_wait(NULL), -EINVAL);
    cr_expect_eq(hank_runtime_free(NULL), 0, "nothing to give back");
}

static void stop_twice(hank_runtime *rt)
{
    cr_expect_eq(hank_runtime_stop(rt), 0);
    cr_expect_eq(hank_runtime_stop(rt), 0, "again");
    cr_expect_eq(hank_runtime_wait(rt), 0);
    cr_expect_eq(hank_runtime_wait(rt), 0, "it has ended");
    cr_expect_eq(hank_runtime_stop(rt), 0, "also then");
}

Test(runtime, may_be_stopped_and_waited_for_any_number_of_times)
{
    beside_each_size(stop_twice);
}

static void *wait_for_end(void *rt)
{
    CHECK(hank_runtime_wait(rt) == 0);
    return NULL;
}

static void *stop_it(void *rt)
{
    CHECK(hank_runtime_stop(rt) == 0);
    return NULL;
}

static void wait_in_many(hank_runtime *rt)
{
    pthread_t waiters[4], stopper;
    for (int i = 0; i < 4; i++)
        on_thread(wait_for_end, rt, &waiters[i]);
    on_thread(stop_it, rt, &stopper);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_join(waiters[i], NULL), 0);
    cr_assert_eq(pthread_join(stopper, NULL), 0);
}

Test(runtime, ends_for_all_the_threads_that_wait_for_it_when_another_stops_it)
{
    beside_each_size(wait_in_many);
}

static void wait_in_vain(hank_runtime *rt)
{
    cr_expect_eq(hank_within(HANK_MS(5), hank_runtime_wait(rt)), -ETIMEDOUT);
    cr_expect_eq(hank_await(into(rt, give_back, number(5))), 5, "it goes on");
}

Test(runtime, goes_on_when_a_wait_for_its_end_times_out)
{
    beside_each_size(wait_in_vain);
}

static int meddle(void *arg)
{
    hank_runtime *rt = arg;
    CHECK(hank_runtime_current() == rt);
    CHECK(hank_runtime_wait(rt) == -EDEADLK);
    CHECK(hank_runtime_free(rt) == -EDEADLK);
    return 3;
}

static void meddle_from_inside(hank_runtime *rt)
{
    cr_expect_null(hank_runtime_current(), "outside a task");
    cr_expect_eq(hank_await(into(rt, meddle, rt)), 3);
}

Test(runtime, is_known_to_its_tasks_which_cannot_wait_for_its_end)
{
    beside_each_size(meddle_from_inside);
}

static int stop_current(void *arg)
{
    (void)arg;
    CHECK(hank_runtime_stop(hank_runtime_current()) == 0);
    return hank_sleep(HANK_FOREVER);
}

static void stop_from_inside(hank_runtime *rt)
{
    (void)hank_detach(into(rt, stop_current, NULL));
    cr_expect_eq(hank_runtime_wait(rt), 0);
}

Test(runtime, may_be_stopped_by_its_own_task)
{
    beside_each_size(stop_from_inside);
}

static int of_run(void *arg)
{
    (void)arg;
    hank_runtime *rt = hank_runtime_current();
    CHECK(rt != NULL);
    CHECK(hank_runtime_free(rt) == -EDEADLK);
    CHECK(hank_await(into(rt, give_back, number(9))) == 9); /* by a task */
    CHECK(hank_runtime_stop(rt) == 0);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED); /* main is what is cancelled */
    return 0;
}

Test(runtime, of_hank_run_can_be_reached_and_stopped_too)
{
    for (EACH_SIZE(i))
        with_workers(sizes[i], of_run, NULL);
}

static int end_cancelled(void *arg)
{
    (void)arg;
    (void)hank_runtime_stop(hank_runtime_current());
    return hank_sleep(HANK_FOREVER);
}

Test(runtime, of_hank_run_that_was_stopped_returns_what_main_makes_of_it)
{
    for (EACH_SIZE(i))
        cr_expect_eq(hank_run_with(end_cancelled, NULL, .workers = sizes[i]), -ECANCELED);
}

/* --- several, and often ---------------------------------------------------------------------- */

static int receive_number(void *arg)
{
    int n = 0;
    int rc = hank_chan_recv(arg, &n);
    return rc < 0 ? rc : n;
}

static int send_number(void *arg)
{
    int n = 42;
    return hank_chan_send(arg, &n);
}

Test(runtime, runs_beside_others_and_their_tasks_share_a_channel)
{
    enum { N = 4 };
    hank_runtime *rts[N];
    hank_chan *c = hank_chan_new(sizeof(int), 0);
    for (int i = 0; i < N; i++)
        cr_assert_eq(hank_runtime_start(&(hank_options){.workers = 2}, &rts[i]), 0);
    for (int i = 0; i < 50; i++) {
        hank_task get = into(rts[i % N], receive_number, c);
        hank_task put = into(rts[(i + 1) % N], send_number, c);
        cr_expect_eq(hank_await(put), 0);
        cr_expect_eq(hank_await(get), 42);
    }
    for (int i = 0; i < N; i++)
        cr_expect_eq(hank_runtime_free(rts[i]), 0);
    hank_chan_free(c);
}

static int start_another(void *arg)
{
    (void)arg;
    hank_runtime *rt;
    MUST(hank_runtime_start(&(hank_options){.workers = 2}, &rt) == 0);
    CHECK(hank_runtime_current() != rt);
    CHECK(hank_await(into(rt, give_back, number(6))) == 6);
    CHECK(hank_await(into(rt, meddle, rt)) == 3);
    CHECK(hank_within(HANK_MS(2), hank_runtime_wait(rt)) == -ETIMEDOUT);
    CHECK(hank_runtime_free(rt) == 0);
    return 0;
}

Test(runtime, may_be_started_used_and_freed_by_a_task_of_another)
{
    with_each_size(start_another, NULL);
}

typedef struct another {
    hank_runtime *rt;
    int fds; /* before */
} another;

static void start_one(void *state)
{
    another *a = state;
    a->fds = lasting_fds();
    CHECK(hank_runtime_start(&(hank_options){.workers = 1}, &a->rt) == 0);
}

static int wait_for_it(void *state)
{
    return hank_runtime_wait(((another *)state)->rt);
}

static int stop_the_other(void *state)
{
    return hank_runtime_stop(((another *)state)->rt);
}

/* However the wait ended, the other runtime is whole: it can be used unless it was stopped. */
static bool it_can_be_freed(void *state, int rc, bool stopped)
{
    another *a = state;
    hank_runtime *rt = a->rt;
    int its = hank_await(into(rt, give_back, number(5)));
    CHECK(its == -ESHUTDOWN || (rc < 0 && (its == 5 || its == -ECANCELED)));
    CHECK(hank_runtime_stop(rt) == 0 && hank_runtime_wait(rt) == 0);
    bool right = rc == 0 || (stopped && (rc == -ECANCELED || rc == -ETIMEDOUT));
    return hank_runtime_free(rt) == 0 && lasting_fds() <= a->fds && right;
}

static int walk_over_an_end(void *arg)
{
    another a;
    (void)arg;
    everywhere_scenario s = {start_one, wait_for_it, stop_the_other, it_can_be_freed, &a};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}

Test(runtime, may_be_waited_for_and_given_up_at_any_wait)
{
    with_each_size(walk_over_an_end, NULL);
}

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (f)
        (void)fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void start_and_stop(int times)
{
    for (int i = 0; i < times; i++) {
        hank_runtime *rt;
        cr_assert_eq(hank_runtime_start(&(hank_options){.workers = 1 + (unsigned)i % 3}, &rt), 0);
        if (i % 2)
            cr_assert_eq(hank_await(into(rt, yield_once, number(i % 100))), i % 100);
        cr_assert_eq(hank_runtime_free(rt), 0);
    }
}

Test(runtime, starts_and_stops_a_thousand_times_and_leaves_nothing, .timeout = 170)
{
    start_and_stop(100);
    int fds = open_fds(), threads = threads_now();
    long kib = resident_kib();
    start_and_stop(1000);
    cr_expect_eq(open_fds(), fds);
    cr_expect(HK_EMULATED || threads_now() == threads); /* an emulator's own are among them */
#if !HK_ASAN && !HK_TSAN && !HK_EMULATED
    cr_expect_leq(resident_kib() - kib, 4096, "%ld KiB more", resident_kib() - kib);
#else
    (void)kib;
#endif
}

static int leave_children(void *arg)
{
    for (int i = 0; i < 10; i++)
        leave(hank_spawn(start_and_wait, arg));
    YIELD_UNTIL(hk_load_acquire((flag *)arg) == 10);
    return hank_sleep(HANK_FOREVER);
}

static void stop_with_leftovers(hank_runtime *rt)
{
    flag started = 0;
    hank_task t = into(rt, leave_children, &started);
    THREAD_UNTIL(hk_load_acquire(&started) == 10);
    (void)hank_detach(t);
    cr_expect_eq(hank_runtime_stop(rt), 0);
    cr_expect_eq(hank_runtime_wait(rt), 0);
}

Test(runtime, cancels_and_joins_what_it_still_runs_when_it_ends)
{
    beside_each_size(stop_with_leftovers);
}
