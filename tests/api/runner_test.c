/* SPDX-License-Identifier: MIT */
/* runner_test.c - how a run ends: by a signal or two, and with leftovers that take their time. */
#include "api/child_support.h"
#include "api/thread_support.h"

#include <hank/process.h>

#include <errno.h>
#include <string.h>

static bool is_default(int signo)
{
    struct sigaction now;
    return sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_DFL;
}

static int raise_and_wait(void *arg)
{
    (void)raise(*(int *)arg);
    return hank_sleep(HANK_FOREVER);
}

typedef struct setting {
    int signo;
    unsigned workers;
    unsigned signals;
} setting;

/* 10: as promised. */
static int interrupted(void *arg)
{
    setting *s = arg;
    int rc = hank_run_with(raise_and_wait, &s->signo, .workers = s->workers);
    return rc == -EINTR && is_default(SIGINT) && is_default(SIGTERM) ? 10 : 1;
}

Test(signals, the_first_cancels_main_and_the_run_says_it_was_interrupted)
{
    for (EACH_SIZE(i)) {
        setting s = {SIGINT, sizes[i], 0};
        cr_expect(ended_with(in_process(interrupted, &s), 10));
        s.signo = SIGTERM;
        cr_expect(ended_with(in_process(interrupted, &s), 10));
    }
}

static int clean_up(void *arg)
{
    (void)raise(SIGINT);
    int rc = hank_sleep(HANK_FOREVER);
    (void)arg;
    return rc == -ECANCELED ? 33 : 1; /* a value, after cleaning up */
}

static int runs_to_its_value(void *arg)
{
    return hank_run_with(clean_up, NULL, .workers = *(unsigned *)arg);
}

Test(signals, a_main_that_was_cancelled_and_returns_a_value_keeps_it)
{
    for (EACH_SIZE(i)) {
        unsigned workers = sizes[i];
        cr_expect(ended_with(in_process(runs_to_its_value, &workers), 33));
    }
}

static int spawn_and_wait(void *arg)
{
    flag started = 0;
    hank_task t[3];
    for (int i = 0; i < 3; i++)
        t[i] = hank_spawn(start_and_wait, &started);
    while (hk_load_acquire(&started) < 3)
        (void)hank_yield();
    (void)raise(SIGTERM);
    int rc = hank_gather_n(t, 3, NULL);
    *(int *)arg = rc;
    return rc;
}

static int tree_is_cancelled(void *arg)
{
    int seen = 0;
    int rc = hank_run_with(spawn_and_wait, &seen, .workers = *(unsigned *)arg);
    return rc == -EINTR && seen == -ECANCELED ? 10 : 1;
}

Test(signals, reach_the_whole_tree_of_tasks)
{
    for (EACH_SIZE(i)) {
        unsigned workers = sizes[i];
        cr_expect(ended_with(in_process(tree_is_cancelled, &workers), 10));
    }
}

static int stop_and_raise(void *arg)
{
    (void)hank_runtime_stop(hank_runtime_current());
    return raise_and_wait(arg);
}

static int stopped_by_both(void *arg)
{
    setting *s = arg;
    int rc = hank_run_with(stop_and_raise, &s->signo, .workers = s->workers);
    return rc == -ECANCELED ? 10 : 1;
}

Test(signals, that_were_not_the_only_ones_to_stop_it_do_not_show)
{
    for (EACH_SIZE(i)) {
        setting s = {SIGINT, sizes[i], 0};
        cr_expect(ended_with(in_process(stopped_by_both, &s), 10));
    }
}

static int ignore_the_first(void *arg)
{
    (void)raise(*(int *)arg);
    while (hank_stopped() == 0)
        continue; /* it is seen by a task that only computes, too */
    (void)raise(*(int *)arg);
    while (hank_now() > 0) /* for ever, but the second one ends the process */
        continue;
    return 0;
}

static int ends_at_once(void *arg)
{
    setting *s = arg;
    return hank_run_with(ignore_the_first, &s->signo, .workers = s->workers);
}

Test(signals, the_second_ends_the_process_as_by_default)
{
    for (EACH_SIZE(i)) {
        setting s = {SIGINT, sizes[i], 0};
        cr_expect(died_of(in_process(ends_at_once, &s), SIGINT));
        s.signo = SIGTERM;
        cr_expect(died_of(in_process(ends_at_once, &s), SIGTERM));
    }
}

static int opted_out(void *arg)
{
    setting *s = arg;
    return hank_run_with(raise_and_wait, &s->signo, .workers = s->workers,
                         .signals = HANK_SIGNALS_NEVER);
}

Test(signals, are_left_alone_on_request)
{
    for (EACH_SIZE(i)) {
        setting s = {SIGTERM, sizes[i], 0};
        cr_expect(died_of(in_process(opted_out, &s), SIGTERM));
    }
}

static HK_ATOMIC(int) handled;

static void own_handler(int signo)
{
    (void)signo;
    (void)hk_add_relaxed(&handled, 1);
}

static int raise_and_return(void *arg)
{
    (void)raise(*(int *)arg);
    return hank_sleep(HANK_MS(5));
}

static int own_handlers_stay(void *arg)
{
    setting *s = arg;
    struct sigaction mine = {0}, now;
    mine.sa_handler = own_handler;
    (void)sigaction(SIGINT, &mine, NULL);
    int rc = hank_run_with(raise_and_return, &s->signo, .workers = s->workers);
    (void)sigaction(SIGINT, NULL, &now);
    return rc == 0 && hk_load_relaxed(&handled) == 1 && now.sa_handler == own_handler ? 10 : 1;
}

Test(signals, of_which_the_program_has_its_own_handler_stay_its_own)
{
    for (EACH_SIZE(i)) {
        setting s = {SIGINT, sizes[i], 0};
        cr_expect(ended_with(in_process(own_handlers_stay, &s), 10));
    }
}

static int install_meanwhile(void *arg)
{
    struct sigaction mine = {0};
    mine.sa_handler = own_handler;
    (void)sigaction(SIGINT, &mine, NULL);
    (void)arg;
    return 0;
}

static int later_handlers_stay(void *arg)
{
    struct sigaction now;
    int rc = hank_run_with(install_meanwhile, NULL, .workers = *(unsigned *)arg);
    (void)sigaction(SIGINT, NULL, &now);
    return rc == 0 && now.sa_handler == own_handler && is_default(SIGTERM) ? 10 : 1;
}

Test(signals, for_which_the_program_installs_a_handler_while_it_runs_keep_that)
{
    for (EACH_SIZE(i)) {
        unsigned workers = sizes[i];
        cr_expect(ended_with(in_process(later_handlers_stay, &workers), 10));
    }
}

static int ignored_stays_ignored(void *arg)
{
    setting *s = arg;
    struct sigaction ignore = {0};
    ignore.sa_handler = SIG_IGN;
    (void)sigaction(SIGINT, &ignore, NULL);
    return hank_run_with(raise_and_return, &s->signo, .workers = s->workers) == 0 ? 10 : 1;
}

Test(signals, that_the_program_ignores_are_ignored)
{
    setting s = {SIGINT, 2, 0};
    cr_expect(ended_with(in_process(ignored_stays_ignored, &s), 10));
}

static void *run_in_thread(void *arg)
{
    setting *s = arg;
    return number(hank_run_with(raise_and_wait, &s->signo, .workers = 1));
}

static int in_other_thread(void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_in_thread, arg) != 0)
        return 2;
    (void)pthread_join(thread, NULL);
    return 3;
}

Test(signals, are_not_taken_by_a_run_on_another_than_the_main_thread)
{
    setting s = {SIGINT, 1, 0};
    cr_expect(died_of(in_process(in_other_thread, &s), SIGINT));
}

static int background_wants_none(void *arg)
{
    hank_runtime *rt;
    setting *s = arg;
    hank_options o = {.workers = 2, .signals = s->signals};
    if (hank_runtime_start(&o, &rt) != 0)
        return 1;
    (void)raise(SIGTERM);
    return hank_runtime_wait(rt) == 0 && hank_runtime_free(rt) == 0 ? 10 : 1;
}

Test(signals, stop_a_runtime_in_the_background_only_on_request)
{
    setting s = {.signals = 0};
    cr_expect(died_of(in_process(background_wants_none, &s), SIGTERM));
    s.signals = HANK_SIGNALS_ALWAYS;
    cr_expect(ended_with(in_process(background_wants_none, &s), 10));
}

static int run_twice(void *arg)
{
    int first = interrupted(arg), second = interrupted(arg);
    return first == 10 && second == 10 ? 10 : 1;
}

Test(signals, of_one_run_do_not_count_for_the_next)
{
    setting s = {SIGINT, 2, 0};
    cr_expect(ended_with(in_process(run_twice, &s), 10));
}

/* --- waited for as well -------------------------------------------------------------------- */

static int hear_one_then_wait(void *arg)
{
    hank_signal s;
    int signo = *(int *)arg;
    MUST(hank_signal_begin(&s, signo) == 0);
    (void)raise(signo);
    int n = hank_signal_next(&s);
    hank_signal_end(&s);
    MUST(n == 1 && hank_stopped() == 0);
    return raise_and_wait(arg);
}

static int heard_then_interrupted(void *arg)
{
    setting *s = arg;
    int rc = hank_run_with(hear_one_then_wait, &s->signo, .workers = s->workers);
    return rc == -EINTR && is_default(s->signo) ? 10 : 1;
}

Test(signals, that_somebody_waits_for_do_not_stop_the_run_and_afterwards_do)
{
    for (EACH_SIZE(i)) {
        setting s = {SIGINT, sizes[i], 0};
        cr_expect(ended_with(in_process(heard_then_interrupted, &s), 10));
    }
}

static int begin_lasting(void *s)
{
    return hank_signal_begin(s, SIGINT);
}

static int waited_for_longer(void *arg)
{
    hank_signal s;
    setting next = {SIGINT, 2, 0};
    if (hank_run(begin_lasting, &s) != 0)
        return 1;
    hank_signal_end(&s);
    return *(bool *)arg ? interrupted(&next) : raise(SIGINT);
}

Test(signals, waited_for_longer_than_the_run_do_what_they_would_without)
{
    bool again = false;
    cr_expect(died_of(in_process(waited_for_longer, &again), SIGINT));
    again = true;
    cr_expect(ended_with(in_process(waited_for_longer, &again), 10));
}

/* --- the end ------------------------------------------------------------------------------- */

static HK_ATOMIC(int) leftover_reports;
static flag let_go;

static void note_leftovers(void *context, hank_ns waited)
{
    (void)context;
    CHECK(waited >= HANK_MS(10));
    if (hk_add_acqrel(&leftover_reports, 1) == 1) /* the second time */
        set(&let_go);
}

static int stubborn(void *arg)
{
    (void)arg;
    set(&let_go);
    hank_scope s;
    hank_shield_begin(&s);
    while (hk_load_acquire(&let_go) < 2)
        (void)hank_yield();
    hank_shield_end(&s);
    return 0;
}

static int leave_child(void *arg)
{
    (void)arg;
    leave(hank_spawn_with(stubborn, NULL, .name = "stubborn"));
    YIELD_UNTIL(hk_load_acquire(&let_go) > 0);
    return 0;
}

static int leave_detached(void *arg)
{
    (void)arg;
    CHECK(hank_detach(hank_spawn_with(stubborn, NULL, .name = "stubborn")) == 0);
    YIELD_UNTIL(hk_load_acquire(&let_go) > 0);
    return 0;
}

static void end_with_leftovers(hank_fn app)
{
    static const hank_hooks hooks = {.on_leftovers = note_leftovers};
    for (EACH_SIZE(i)) {
        hk_store_relaxed(&leftover_reports, 0);
        hk_store_relaxed(&let_go, 0);
        cr_expect_eq(hank_run_with(app, NULL, .workers = sizes[i], .hooks = &hooks,
                                   .leftovers_after = HANK_MS(10)),
                     0);
        cr_expect_geq(hk_load_relaxed(&leftover_reports), 2);
    }
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}

Test(end, that_waits_too_long_for_children_of_main_is_reported_and_again)
{
    end_with_leftovers(leave_child);
}

Test(end, that_waits_too_long_for_detached_tasks_is_reported_and_again)
{
    end_with_leftovers(leave_detached);
}

static int write_tree(void *arg)
{
    int *pipes = arg;
    (void)dup2(pipes[1], 2);
    return hank_run_with(leave_detached, NULL, .workers = 2, .leftovers_after = HANK_MS(5)) == 0;
}

Test(end, that_waits_too_long_writes_the_tree_to_stderr_if_there_is_no_hook)
{
    int pipes[2], status = 0;
    char text[8192];
    size_t n = 0;
    cr_assert_eq(pipe(pipes), 0);
    hk_store_relaxed(&let_go, 0);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(60);
        _exit(write_tree(pipes));
    }
    (void)close(pipes[1]);
    for (;;) {
        ssize_t got = read(pipes[0], text + n, sizeof text - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        text[n] = '\0';
        if (strstr(text, "stubborn"))
            break;
    }
    cr_expect(strstr(text, "stubborn"));
    (void)kill(child, SIGKILL); /* it is stubborn */
    (void)waitpid(child, &status, 0);
    (void)close(pipes[0]);
}

static int nothing_left(void *arg)
{
    return give_back(arg);
}

Test(end, that_is_quick_is_not_reported)
{
    static const hank_hooks hooks = {.on_leftovers = note_leftovers};
    hk_store_relaxed(&leftover_reports, 0);
    for (EACH_SIZE(i))
        cr_expect_eq(hank_run_with(nothing_left, number(3), .workers = sizes[i], .hooks = &hooks,
                                   .leftovers_after = HANK_SEC(30)),
                     3);
    cr_expect_eq(hk_load_relaxed(&leftover_reports), 0);
}

static HK_ATOMIC(int) step;

static int note_step(void *arg)
{
    int rc = hank_sleep(HANK_FOREVER);
    CHECK(rc == -ECANCELED);
    CHECK(hk_swap_acqrel(&step, (int)(intptr_t)arg) == (int)(intptr_t)arg - 1);
    return rc;
}

static int left_child(void *arg)
{
    (void)hank_yield();
    CHECK(hk_swap_acqrel(&step, 1) == 0); /* waited for, not cancelled: main ended well */
    (void)arg;
    return 0;
}

static int end_in_order(void *arg)
{
    (void)arg;
    CHECK(hank_detach(hank_spawn(note_step, number(2))) == 0);
    leave(hank_spawn(left_child, NULL));
    return 9;
}

Test(end, waits_for_children_of_main_first_and_cancels_detached_tasks_then)
{
    for (EACH_SIZE(i)) {
        hk_store_relaxed(&step, 0);
        int rc = hank_run_with(end_in_order, NULL, .workers = sizes[i]);
        cr_expect_eq(rc, 9);
        int last = hk_load_relaxed(&step); /* a detached task that had not begun never runs */
        cr_expect(last == 2 || last == 1);
    }
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}
