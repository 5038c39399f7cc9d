/* SPDX-License-Identifier: MIT */
/* fork_test.c - a forked child: every call answers, nothing waits for ever, and a runtime of its
 * own works. A child that hangs is killed by its alarm, and then its test fails. */
#include "api/thread_support.h"

#include <hank/pool.h>
#include <hank/process.h>

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "sched/idle.h"
#include "sched/monitor.h"
#include "sched/runtime.h"

/* AddressSanitizer's child cannot allocate if another thread did at the moment of the fork, as each
 * thread does when it starts: there wait until all have started and gone to sleep. */
static void let_start(hank_runtime *public)
{
    hk_runtime *rt = (hk_runtime *)(void *)public;
    while (HK_ASAN && (hk_idle_sleeping(hk_load_seqcst(&rt->idle.word)) < rt->n ||
                       (rt->n > 1 && hk_load_seqcst(&rt->monitor_word) != HK_MONITOR_ASLEEP)))
        (void)hank_yield();
}

/* Run `body` in a forked child; how that ended: 0 is well. */
static int in_child(int (*body)(void *), void *arg)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(30);
        /* Not _exit(): a sanitizer would look for the thread's own stack first, and we may be on a
         * task's. */
        (void)syscall(SYS_exit_group, body(arg) == 0 ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

/* Within the child: say which expectation failed. */
#define WANT(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "in the child, line %d: not so: %s\n", __LINE__, #condition);    \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

typedef struct belongings {
    hank_runtime *rt;
    hank_task task;
    hank_chan *chan;
    hank_event event;
    hank_sem sem;
    hank_timer timer;
    hank_pool *pool;
} belongings;

/* What a program might call, with objects of the parent. */
static int call_everything(void *arg)
{
    belongings *b = arg;
    int n = 1;
    hank_stats stats;
    hank_pool *p;
    hank_group g = {0};
    WANT(hank_await(hank_spawn(give_back, NULL)) == -ESHUTDOWN);
    WANT(hank_await(b->task) == -ESHUTDOWN);
    WANT(hank_detach(b->task) == -ESHUTDOWN);
    WANT(hank_gather_n(&b->task, 1, NULL) == -ESHUTDOWN);
    WANT(hank_race_n(&b->task, 1, NULL) == -ESHUTDOWN);
    WANT(hank_group_spawn(&g, give_back, NULL) == -ESHUTDOWN);
    WANT(hank_group_wait(&g) == -ESHUTDOWN);
    WANT(hank_sleep(HANK_FOREVER) == -ESHUTDOWN);
    WANT(hank_sleep(1) == -ESHUTDOWN);
    WANT(hank_yield() == -ESHUTDOWN);
    WANT(hank_stopped() == -ESHUTDOWN);
    WANT(hank_chan_recv(b->chan, &n) == -ESHUTDOWN);
    WANT(hank_chan_send(b->chan, &n) == -ESHUTDOWN);
    WANT(hank_event_wait(&b->event) == -ESHUTDOWN);
    WANT(hank_sem_acquire(&b->sem) == -ESHUTDOWN);
    WANT(hank_blocking(give_back, NULL) == -ESHUTDOWN);
    WANT(hank_pool_call(b->pool, give_back, NULL) == -ESHUTDOWN);
    WANT(hank_pool_call_with(b->pool, give_back, &n, .copy = sizeof n) == -ESHUTDOWN);
    WANT(hank_pool_post(b->pool, give_back, NULL, 0) == -ESHUTDOWN);
    WANT(hank_pool_new(NULL, &p) == -ESHUTDOWN);
    hank_pool_free(b->pool);
    WANT(hank_fd_wait(0, HANK_READABLE) == -ESHUTDOWN);
    WANT(hank_await(hank_spawn_into(b->rt, give_back, NULL, NULL)) == -ESHUTDOWN);
    WANT(hank_runtime_stop(b->rt) == -ESHUTDOWN);
    WANT(hank_runtime_wait(b->rt) == -ESHUTDOWN);
    WANT(hank_runtime_free(b->rt) == -ESHUTDOWN);
    WANT(hank_timer_cancel(hank_call_soon(give_back, NULL)) == -ESHUTDOWN);
    WANT(hank_timer_cancel(hank_call_into(b->rt, 0, give_back, NULL)) == -ESHUTDOWN);
    WANT(hank_get_stats(&stats) == -ESHUTDOWN);
    WANT(hank_runtime_current() == NULL);
    hank_event_set(&b->event); /* what never waits still works */
    WANT(hank_event_is_set(&b->event));
    (void)hank_random();
    WANT(hank_now() > 0);
    return 0;
}

static void own_some(belongings *b, hank_runtime *rt)
{
    *b = (belongings){.rt = rt, .chan = hank_chan_new(sizeof(int), 0)};
    b->task = into(rt, sleep_forever, NULL);
    cr_assert_eq(hank_pool_new(NULL, &b->pool), 0);
    cr_assert_eq(hank_pool_call(b->pool, give_back, number(2)), 2); /* it has a thread */
}

static void disown(belongings *b)
{
    (void)hank_cancel(b->task);
    cr_expect_eq(hank_await(b->task), -ECANCELED);
    hank_chan_free(b->chan);
    hank_pool_free(b->pool);
}

static void fork_in_thread(hank_runtime *rt)
{
    belongings b;
    let_start(rt);
    own_some(&b, rt);
    cr_expect_eq(in_child(call_everything, &b), 0);
    cr_expect_eq(hank_await(into(rt, give_back, number(3))), 3, "the parent goes on");
    disown(&b);
}

Test(fork, leaves_a_child_in_which_every_call_answers)
{
    beside_each_size(fork_in_thread);
}

static int fork_in_task(void *arg)
{
    CHECK(in_child(call_everything, arg) == 0);
    return hank_sleep(HANK_US(10)); /* here it is a task still */
}

static void fork_inside(hank_runtime *rt)
{
    belongings b;
    let_start(rt);
    own_some(&b, rt);
    cr_expect_eq(hank_await(into(rt, fork_in_task, &b)), 0);
    disown(&b);
}

Test(fork, in_a_task_leaves_a_child_that_is_no_task)
{
    beside_each_size(fork_inside);
}

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
