/* SPDX-License-Identifier: MIT */
/* fork_test.c - a forked child: a runtime of its own works in it, and what is shared is whole. What
 * the parent's things say there is in fork_calls_test.c. */
#include "api/fork_support.h"

#include <hank/process.h>

#include <errno.h>

static int spawn_some(void *arg)
{
    int sum = 0;
    hank_group g = {0};
    for (int i = 0; i < 50; i++)
        sum += hank_await(hank_spawn(yield_once, number(1)));
    CHECK(hank_group_wait(&g) == 0);
    CHECK(hank_sleep(HANK_US(50)) == 0);
    (void)arg;
    return sum;
}

static int run_anew(void *arg)
{
    hank_runtime *rt;
    WANT(hank_run_with(spawn_some, NULL, .workers = *(unsigned *)arg) == 50);
    WANT(hank_runtime_start(&(hank_options){.workers = 2}, &rt) == 0);
    WANT(hank_await(into(rt, spawn_some, NULL)) == 50);
    WANT(hank_within(HANK_MS(1), hank_sleep(HANK_FOREVER)) == -ETIMEDOUT); /* waiting is back */
    WANT(hank_runtime_free(rt) == 0);
    return 0;
}

static void fork_and_run(hank_runtime *rt)
{
    let_start(rt);
    for (EACH_SIZE(i)) {
        unsigned workers = sizes[i];
        cr_expect_eq(in_child(run_anew, &workers), 0);
    }
}

/* Threads in a forked child of threads are more than qemu-user can do: those are not emulated. */
Test(fork, leaves_a_child_that_may_start_runtimes_of_its_own, .timeout = 120,
     .disabled = HK_EMULATED)
{
    beside_each_size(fork_and_run);
}

/* Every worker is inside one of these at the same time. */
static int meet_all(void *arg)
{
    hank_stats stats;
    CHECK(hank_get_stats(&stats) == 0);
    set(arg);
    while ((uint64_t)hk_load_acquire((flag *)arg) < stats.workers)
        continue;
    return 0;
}

/* The same in a task: the others meet, and the threads that are no workers have the time of four
 * looks of the monitor, which is when it goes to sleep. */
static int let_others_start(void)
{
    hank_stats stats;
    hank_group g = {0};
    flag there = 0;
    CHECK(hank_get_stats(&stats) == 0);
    for (uint64_t i = 1; i < stats.workers; i++)
        CHECK(hank_group_spawn(&g, meet_all, &there) == 0);
    CHECK(meet_all(&there) == 0);
    CHECK(hank_group_wait(&g) == 0);
    return hank_sleep(HANK_MS(20));
}

static int fork_and_run_in_task(void *arg)
{
    unsigned workers = 2;
    (void)arg;
    if (HK_ASAN)
        CHECK(let_others_start() == 0);
    return in_child(run_anew, &workers);
}

Test(fork, in_a_task_leaves_a_child_that_may_start_runtimes_too, .disabled = HK_EMULATED)
{
    with_each_size(fork_and_run_in_task, NULL);
}

static int answers(void *arg)
{
    (void)arg;
    WANT(hank_run(give_back, number(4)) == 4);
    WANT(hank_within(HANK_MS(1), hank_sleep(HANK_FOREVER)) == -ETIMEDOUT);
    return 0;
}

static int sleep_a_little(void *arg)
{
    (void)arg;
    WANT(hank_sleep(1) == 0);
    return answers(NULL);
}

Test(fork, when_no_runtime_lives_changes_nothing)
{
    cr_assert_eq(hank_run(give_back, NULL), 0);
    cr_expect_eq(in_child(sleep_a_little, NULL), 0);
}

/* Churn that takes every lock there is, while others fork. */
static int churn(void *arg)
{
    flag *stop = arg;
    while (!is_set(stop)) {
        hank_group g = {0};
        for (int i = 0; i < 20; i++)
            CHECK(hank_group_spawn(&g, yield_once, NULL) == 0);
        CHECK(hank_group_wait(&g) == 0);
    }
    return 0;
}

static void *start_and_stop(void *arg)
{
    flag *stop = arg;
    while (!is_set(stop)) {
        hank_runtime *rt;
        CHECK(hank_runtime_start(&(hank_options){.workers = 2}, &rt) == 0);
        (void)hank_await(into(rt, give_back, NULL));
        CHECK(hank_runtime_free(rt) == 0);
    }
    return NULL;
}

static void fork_amid_churn(hank_runtime *rt)
{
    flag stop = 0;
    pthread_t starter;
    unsigned workers = 2;
    hank_task t = into(rt, churn, &stop);
    on_thread(start_and_stop, &stop, &starter);
    for (int i = 0; i < 15; i++)
        cr_expect_eq(in_child(run_anew, &workers), 0);
    set(&stop);
    cr_expect_eq(hank_await(t), 0);
    cr_assert_eq(pthread_join(starter, NULL), 0);
}

/* Not under AddressSanitizer, whose own locks a fork may find held: its child then waits for ever.
 */
Test(fork, at_any_moment_finds_what_runtimes_share_whole, .timeout = 120,
     .disabled = HK_ASAN || HK_EMULATED)
{
    beside(2, fork_amid_churn);
}

static int fork_and_return(void *arg)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(30);
        (void)dup2(*(int *)arg, 2);
        return 0; /* into what was a worker */
    }
    (void)waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

Test(fork, in_a_task_that_then_returns_is_a_panic_and_says_so)
{
    int pipes[2];
    char text[200] = "";
    cr_assert_eq(pipe(pipes), 0);
    cr_expect_eq(hank_run(fork_and_return, &pipes[1]), SIGABRT);
    cr_expect_gt(read(pipes[0], text, sizeof text - 1), 0);
    cr_expect(strstr(text, "returned in a forked child"), "%s", text);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static int signals_anew(void *arg)
{
    struct sigaction now;
    hank_signal *of_parent = arg, s;
    WANT(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    WANT(hank_signal_next(of_parent) == -ESHUTDOWN);
    hank_signal_end(of_parent);
    WANT(hank_signal_begin(&s, SIGUSR1) == 0);
    (void)raise(SIGUSR1);
    WANT(hank_signal_next(&s) == 1);
    hank_signal_end(&s);
    WANT(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    return 0;
}

static int bells_anew(void *arg)
{
    hank_bell *of_parent = arg, b;
    hank_bell_ring(of_parent); /* nobody hears it */
    WANT(hank_bell_next(of_parent) == -ESHUTDOWN);
    hank_bell_end(of_parent);
    WANT(hank_bell_begin(&b) == 0);
    hank_bell_ring(&b);
    WANT(hank_bell_next(&b) == 1);
    hank_bell_end(&b);
    return 0;
}

Test(fork, ends_in_the_child_what_waits_for_a_bell_and_only_there, .disabled = HK_EMULATED)
{
    hank_bell b;
    cr_assert_eq(hank_bell_begin(&b), 0);
    hank_bell_ring(&b);
    cr_expect_eq(hank_bell_next(&b), 1); /* its thread has started: see above */
    cr_expect_eq(in_child(bells_anew, &b), 0);
    hank_bell_ring(&b);
    cr_expect_eq(hank_bell_next(&b), 1);
    hank_bell_end(&b);
}

Test(fork, ends_in_the_child_what_waits_for_signals_and_only_there, .disabled = HK_EMULATED)
{
    hank_signal s;
    cr_assert_eq(hank_signal_begin(&s, SIGUSR1), 0); /* no runtime has been there yet */
    (void)raise(SIGUSR1);
    cr_expect_eq(hank_signal_next(&s), 1); /* its thread has started: see above */
    cr_expect_eq(in_child(signals_anew, &s), 0);
    (void)raise(SIGUSR1);
    cr_expect_eq(hank_signal_next(&s), 1);
    hank_signal_end(&s);
}
