/* SPDX-License-Identifier: MIT */
/* signal_test.c - from a signal to those who wait for it, and what is left of it afterwards. */
#include "api/support.h"
#include "last_words.h"

#include <hank/process.h>

#include <pthread.h>
#include <string.h>

#include "base/fault.h"

static void send_self(int signo)
{
    CHECK(kill(getpid(), signo) == 0);
}

static void (*disposition(int signo))(int)
{
    struct sigaction now;
    CHECK(sigaction(signo, NULL, &now) == 0);
    return now.sa_handler;
}

static int threads_named(const char *wanted)
{
    char path[300], name[32] = "";
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file))
            n += strncmp(name, wanted, strlen(wanted)) == 0;
        if (file)
            (void)fclose(file);
    }
    if (dir)
        closedir(dir);
    return n;
}

/* --- one who waits --------------------------------------------------------------------------- */

typedef struct watcher {
    flag ready;
    flag heard;
    int signo;
    int rounds;
    int counted;
    HK_ATOMIC(void *) sees;
} watcher;

static int watch_signal(void *arg)
{
    watcher *w = arg;
    hank_signal s;
    int rc = hank_signal_begin(&s, w->signo);
    if (rc < 0)
        return rc;
    set(&w->ready);
    for (int i = 0; i < w->rounds && rc >= 0; i++) {
        rc = hank_signal_next(&s);
        w->counted += rc > 0 ? rc : 0;
        set(&w->heard);
    }
    hank_signal_end(&s);
    return rc < 0 ? rc : 0;
}

static int one_is_told(void *arg)
{
    watcher w = {.signo = SIGUSR1, .rounds = 1};
    (void)arg;
    hank_task t = hank_spawn(watch_signal, &w);
    YIELD_UNTIL(is_set(&w.ready));
    send_self(SIGUSR1);
    MUST(hank_await(t) == 0);
    MUST(w.counted == 1);
    return 0;
}

Test(signal, ends_the_wait_for_it)
{
    with_each_size(one_is_told, NULL);
}

static int several_are_told(void *arg)
{
    watcher w[20];
    hank_task t[20];
    (void)arg;
    memset(w, 0, sizeof w);
    for (int i = 0; i < 20; i++) {
        w[i] = (watcher){.signo = SIGUSR1, .rounds = 1};
        t[i] = hank_spawn(watch_signal, &w[i]);
    }
    for (int i = 0; i < 20; i++)
        YIELD_UNTIL(is_set(&w[i].ready));
    send_self(SIGUSR1);
    MUST(hank_gather_n(t, 20, NULL) == 0);
    for (int i = 0; i < 20; i++)
        MUST(w[i].counted == 1);
    return 0;
}

Test(signal, ends_the_wait_of_everybody_who_waits_for_it)
{
    with_each_size(several_are_told, NULL);
}

static int only_the_right_ones(void *arg)
{
    watcher one = {.signo = SIGUSR1, .rounds = 1}, two = {.signo = SIGUSR2, .rounds = 1};
    (void)arg;
    hank_task first = hank_spawn(watch_signal, &one), second = hank_spawn(watch_signal, &two);
    YIELD_UNTIL(is_set(&one.ready) && is_set(&two.ready));
    send_self(SIGUSR2);
    MUST(hank_await(second) == 0);
    MUST(!is_set(&one.heard));
    send_self(SIGUSR1);
    MUST(hank_await(first) == 0);
    return 0;
}

Test(signal, ends_no_wait_for_another_one)
{
    with_each_size(only_the_right_ones, NULL);
}

static int between_two_waits(void *arg)
{
    hank_signal s;
    (void)arg;
    MUST(hank_signal_begin(&s, SIGUSR1) == 0);
    send_self(SIGUSR1);
    MUST(hank_signal_next(&s) == 1);
    send_self(SIGUSR1); /* delivered before kill() returns, to this thread or another */
    MUST(hank_signal_next(&s) == 1);
    hank_signal_end(&s);
    return 0;
}

Test(signal, that_comes_between_two_waits_is_remembered)
{
    with_each_size(between_two_waits, NULL);
}

static int many_are_counted(void *arg)
{
    enum { TIMES = 200 };
    watcher w = {.signo = SIGUSR1, .rounds = 1 << 20};
    (void)arg;
    hank_task t = hank_spawn(watch_signal, &w);
    YIELD_UNTIL(is_set(&w.ready));
    for (int i = 0; i < TIMES; i++)
        (void)raise(SIGUSR1); /* has run its handler when it returns: none is merged */
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (hk_load_relaxed(&w.heard) == 0 && hank_now() < give_up)
        (void)hank_yield();
    hank_signal s;
    MUST(hank_signal_begin(&s, SIGUSR1) == 0); /* what came before is not for us */
    MUST(hank_within(HANK_MS(1), hank_signal_next(&s)) == -ETIMEDOUT);
    hank_signal_end(&s);
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    MUST(w.counted > 0 && w.counted <= TIMES);
    return 0;
}

Test(signal, deliveries_from_before_the_begin_do_not_count)
{
    with_each_size(many_are_counted, NULL);
}

static int none_is_lost(void *arg)
{
    enum { TIMES = 500 };
    hank_signal s;
    (void)arg;
    MUST(hank_signal_begin(&s, SIGUSR1) == 0);
    for (int i = 0; i < TIMES; i++)
        (void)raise(SIGUSR1);
    int counted = 0;
    while (counted < TIMES) {
        int rc = hank_signal_next(&s);
        MUST(rc > 0);
        counted += rc;
    }
    hank_signal_end(&s);
    MUST(counted == TIMES);
    return 0;
}

Test(signal, every_delivery_is_counted)
{
    with_each_size(none_is_lost, NULL);
}

static int wait_usr1(void *arg)
{
    (void)arg;
    return hank_signal_wait(SIGUSR1);
}

static int one_wait(void *arg)
{
    (void)arg;
    hank_task t = hank_spawn(wait_usr1, NULL);
    YIELD_UNTIL(disposition(SIGUSR1) != SIG_DFL);
    send_self(SIGUSR1);
    MUST(hank_await(t) == 1);
    MUST(disposition(SIGUSR1) == SIG_DFL);
    return 0;
}

Test(signal, wait_is_begin_next_and_end_in_one)
{
    with_each_size(one_wait, NULL);
}

/* --- stopping -------------------------------------------------------------------------------- */

static int stops(void *arg)
{
    (void)arg;
    hank_signal s;
    MUST(hank_signal_begin(&s, SIGUSR1) == 0);
    MUST(hank_within(HANK_MS(1), hank_signal_next(&s)) == -ETIMEDOUT);
    send_self(SIGUSR1);
    MUST(hank_signal_next(&s) == 1);
    hank_signal_end(&s);

    hank_task t = hank_spawn(wait_usr1, NULL);
    YIELD_UNTIL(disposition(SIGUSR1) != SIG_DFL);
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    MUST(disposition(SIGUSR1) == SIG_DFL);
    return 0;
}

Test(signal, a_wait_can_be_stopped_and_loses_nothing)
{
    with_each_size(stops, NULL);
}

static int begins_stopped(void *arg)
{
    hank_scope s;
    (void)arg;
    hank_timeout_begin(&s, 0);
    MUST(hank_signal_wait(SIGUSR1) == -ETIMEDOUT);
    MUST(disposition(SIGUSR1) == SIG_DFL);
    MUST(hank_timeout_end(&s));
    return 0;
}

Test(signal, is_not_taken_over_by_a_wait_that_is_stopped_before_it_begins)
{
    with_each_size(begins_stopped, NULL);
}

static int stop_races_signal(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        hank_signal s;
        MUST(hank_signal_begin(&s, SIGUSR1) == 0);
        (void)raise(SIGUSR1);
        int rc = hank_within(HANK_US(i), hank_signal_next(&s));
        MUST(rc == 1 || rc == -ETIMEDOUT);
        if (rc < 0)
            MUST(hank_signal_next(&s) == 1);
        hank_signal_end(&s);
    }
    return 0;
}

Test(signal, is_told_once_whether_or_not_the_wait_is_stopped)
{
    with_each_size(stop_races_signal, NULL);
}

/* --- what was there before ------------------------------------------------------------------- */

static HK_ATOMIC(int) own_calls;

static void own_handler(int signo)
{
    (void)signo;
    (void)hk_add_relaxed(&own_calls, 1);
}

static int gives_back(void *arg)
{
    hank_signal one, two;
    (void)arg;
    struct sigaction own = {.sa_handler = own_handler};
    MUST(sigaction(SIGUSR1, &own, NULL) == 0);
    hk_store_relaxed(&own_calls, 0);
    MUST(hank_signal_begin(&one, SIGUSR1) == 0);
    MUST(hank_signal_begin(&two, SIGUSR1) == 0);
    (void)raise(SIGUSR1);
    MUST(hk_load_relaxed(&own_calls) == 0);
    hank_signal_end(&one);
    MUST(disposition(SIGUSR1) != own_handler); /* there is still somebody */
    hank_signal_end(&two);
    MUST(disposition(SIGUSR1) == own_handler);
    (void)raise(SIGUSR1);
    MUST(hk_load_relaxed(&own_calls) == 1);
    return 0;
}

Test(signal, does_what_it_did_before_once_the_last_one_has_ended)
{
    with_each_size(gives_back, NULL);
}

static int keeps_theirs(void *arg)
{
    hank_signal s;
    (void)arg;
    struct sigaction own = {.sa_handler = own_handler}, back = {.sa_handler = SIG_DFL};
    MUST(hank_signal_begin(&s, SIGUSR1) == 0);
    MUST(sigaction(SIGUSR1, &own, NULL) == 0);
    hank_signal_end(&s);
    MUST(disposition(SIGUSR1) == own_handler);
    MUST(sigaction(SIGUSR1, &back, NULL) == 0);
    return 0;
}

Test(signal, handler_that_somebody_put_there_meanwhile_stays)
{
    with_each_size(keeps_theirs, NULL);
}

static int leaves_others_alone(void *arg)
{
    void (*before[32])(int);
    hank_signal s;
    (void)arg;
    for (int signo = 1; signo < 32; signo++)
        before[signo] = signo == SIGKILL || signo == SIGSTOP ? NULL : disposition(signo);
    MUST(hank_signal_begin(&s, SIGUSR1) == 0);
    for (int signo = 1; signo < 32; signo++)
        if (signo != SIGUSR1 && signo != SIGKILL && signo != SIGSTOP)
            MUST(disposition(signo) == before[signo]);
    MUST(disposition(SIGCHLD) == SIG_DFL);
    hank_signal_end(&s);
    return 0;
}

Test(signal, not_named_is_not_touched)
{
    with_each_size(leaves_others_alone, NULL);
}

/* --- who may --------------------------------------------------------------------------------- */

static int refuses(void *arg)
{
    static const int bad[] = {0,       -1,     65,     1000,   SIGKILL, SIGSTOP,
                              SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    hank_signal s;
    (void)arg;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        MUST(hank_signal_begin(&s, bad[i]) == -EINVAL);
        MUST(hank_signal_wait(bad[i]) == -EINVAL);
    }
    return 0;
}

Test(signal, that_nobody_can_wait_for_is_refused)
{
    with_each_size(refuses, NULL);
}

static int next_of(void *arg)
{
    return hank_signal_next(arg);
}

static int second_waiter(void *arg)
{
    hank_signal s;
    (void)arg;
    MUST(hank_signal_begin(&s, SIGUSR1) == 0);
    hank_task t[2] = {hank_spawn(next_of, &s), hank_spawn(next_of, &s)};
    int rc;
    ssize_t first = hank_race_n(t, 2, &rc);
    MUST(first >= 0);
    MUST(rc == -EBUSY);
    hank_signal_end(&s);
    return 0;
}

Test(signal, a_second_task_with_the_same_wish_is_refused)
{
    with_each_size(second_waiter, NULL);
}

static int end_it(void *s)
{
    hank_signal_end(s);
    return 0;
}

static int end_under_who_waits(void *s)
{
    MUST(hank_signal_begin(s, SIGUSR1) == 0);
    hank_task t[2] = {hank_spawn(next_of, s), hank_spawn(next_of, s)};
    MUST(hank_wait_n(t, 2, HANK_FIRST_DONE, NULL) == 1); /* refused: so the other one waits */
    return by_culprit(end_it, s);
}

Test(signal, ended_while_somebody_waits_is_a_panic_that_names_it_and_the_task)
{
    hank_signal s;
    must_panic(end_under_who_waits, "signal", &s);
}

static void *wait_outside(void *arg)
{
    watcher *w = arg;
    w->counted = watch_signal(w);
    return NULL;
}

Test(signal, can_be_waited_for_outside_of_any_runtime)
{
    watcher w = {.signo = SIGUSR1, .rounds = 3};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wait_outside, &w), 0);
    (void)alarm(60);
    while (!is_set(&w.ready))
        (void)hank_yield();
    for (int i = 1; i <= 3; i++) {
        (void)kill(getpid(), SIGUSR1);
        while (hk_load_acquire(&w.heard) < i)
            (void)hank_yield();
    }
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(w.counted, 0);
}

static int wait_beside_a_thread(void *arg)
{
    watcher *outside = arg;
    watcher inside = {.signo = SIGUSR1, .rounds = 1};
    hank_task t = hank_spawn(watch_signal, &inside);
    YIELD_UNTIL(is_set(&outside->ready) && is_set(&inside.ready));
    send_self(SIGUSR1);
    MUST(hank_await(t) == 0);
    return 0;
}

Test(signal, is_told_to_tasks_and_threads_alike)
{
    watcher w = {.signo = SIGUSR1, .rounds = 1};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wait_outside, &w), 0);
    cr_assert_eq(hank_run(wait_beside_a_thread, &w), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(w.counted, 0);
}

/* --- the thread ------------------------------------------------------------------------------ */

Test(signal, thread_is_there_while_somebody_is_told_and_gone_afterwards)
{
    hank_signal one, two;
    cr_assert_eq(threads_named("hank-signals"), 0);
    cr_assert_eq(hank_signal_begin(&one, SIGUSR1), 0);
    cr_assert_eq(hank_signal_begin(&two, SIGUSR2), 0);
    (void)alarm(60);
    while (threads_named("hank-signals") != 1) /* it names itself */
        (void)hank_yield();
    hank_signal_end(&one);
    hank_signal_end(&two);
    while (threads_named("hank-signals") != 0)
        (void)hank_yield();
}

#if HK_FAULTS
Test(signal, without_a_thread_for_it_is_refused_and_left_alone)
{
    hank_signal s;
    hk_fault_plan(HK_FAULT_THREAD, 1, -EAGAIN);
    cr_assert_eq(hank_signal_begin(&s, SIGUSR1), -EAGAIN);
    hk_fault_clear();
    cr_assert_eq(disposition(SIGUSR1), SIG_DFL);
    cr_assert_eq(hank_signal_begin(&s, SIGUSR1), 0);
    (void)raise(SIGUSR1);
    cr_assert_eq(hank_signal_next(&s), 1);
    hank_signal_end(&s);
}
#endif
