/* SPDX-License-Identifier: MIT */
/* cancel_test.c - stopping: what it reaches, what it leaves alone, how it is told; and detaching,
 * after which nobody but the end of the program does it. */
#include "api/support.h"

static int set_and_return(void *arg)
{
    set(arg);
    return 0;
}

/* On one worker nothing starts before its parent waits; elsewhere it may. */
static int cancel_before_the_start(void *arg)
{
    bool alone = arg != NULL;
    flag ran = 0;
    hank_task t = hank_spawn(set_and_return, &ran);
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_cancel(t) == 0); /* again */
    int rc = hank_await(t);
    CHECK(is_set(&ran) ? rc == 0 : rc == -ECANCELED);
    CHECK(!alone || !is_set(&ran));
    return 0;
}

Test(cancel, of_a_task_that_has_not_started_keeps_it_from_running)
{
    with_workers(1, cancel_before_the_start, number(1));
    with_each_size(cancel_before_the_start, NULL);
}

static int cancel_the_parked(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn(start_and_wait, &started);
    YIELD_UNTIL(is_set(&started));
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    CHECK(hank_cancel(t) == -ESTALE);
    return 0;
}

Test(cancel, ends_the_wait_that_is_under_way)
{
    with_each_size(cancel_the_parked, NULL);
}

static int compute_until_stopped(void *arg)
{
    set(arg);
    while (hank_stopped() == 0)
        (void)hank_yield();
    CHECK(hank_stopped() == -ECANCELED);
    CHECK(hank_yield() == -ECANCELED);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    CHECK(hank_sleep(1) == -ECANCELED); /* a level: it stays */
    CHECK(hank_sleep(0) == -ECANCELED);
    CHECK(hank_stopped() == -ECANCELED);
    return 11;
}

static int cancel_the_running(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn(compute_until_stopped, &started);
    YIELD_UNTIL(is_set(&started));
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == 11); /* its result stands */
    hank_task over = hank_spawn(set_and_return, &started);
    YIELD_UNTIL(hk_load_acquire(&started) == 2);
    CHECK(hank_cancel(over) == 0);
    CHECK(hank_await(over) == 0);
    return 0;
}

Test(cancel, lasts_until_the_task_ends_and_its_result_stands)
{
    with_each_size(cancel_the_running, NULL);
}

typedef struct own_handle {
    hank_task t;
    flag written;
} own_handle;

static int cancel_self_and_return(void *arg)
{
    own_handle *own = arg;
    YIELD_UNTIL(is_set(&own->written));
    CHECK(hank_cancel(own->t) == 0);
    CHECK(hank_stopped() == -ECANCELED);
    return 5; /* it has not waited since: nothing was taken from it */
}

static int cancel_self_and_wait(void *arg)
{
    int rc = cancel_self_and_return(arg);
    return rc == 5 ? hank_sleep(HANK_FOREVER) : rc;
}

static int let_two_cancel_themselves(void *arg)
{
    own_handle one = {.written = 0}, other = {.written = 0};
    (void)arg;
    one.t = hank_spawn(cancel_self_and_return, &one);
    other.t = hank_spawn(cancel_self_and_wait, &other);
    hank_task first = one.t, second = other.t; /* await is not to read what they read */
    set(&one.written);
    set(&other.written);
    CHECK(hank_await(first) == 5);
    CHECK(hank_await(second) == -ECANCELED);
    return 0;
}

Test(cancel, of_oneself_stops_the_next_wait_and_takes_no_result)
{
    with_each_size(let_two_cancel_themselves, NULL);
}

/* --- down the tree --------------------------------------------------------------------------- */

typedef struct tower {
    flag started;
    int levels;
    HK_ATOMIC(int) stops;
} tower;

typedef struct floor_ {
    tower *t;
    int level;
} floor_;

/* Each level awaits the next, which may run as a call on the same stack. */
static int climb(void *arg)
{
    floor_ *f = arg;
    int rc;
    if (f->level == 0) {
        set(&f->t->started);
        rc = hank_sleep(HANK_FOREVER);
    } else {
        floor_ next = {f->t, f->level - 1};
        rc = hank_await(hank_spawn(climb, &next));
    }
    if (rc == -ECANCELED && hank_stopped() == -ECANCELED)
        (void)hk_add_acqrel(&f->t->stops, 1);
    return rc;
}

static int cancel_from_the_top(void *arg)
{
    (void)arg;
    for (int levels = 0; levels < 12; levels++) {
        tower t = {.levels = levels};
        floor_ top = {&t, levels};
        hank_task task = hank_spawn(climb, &top);
        YIELD_UNTIL(is_set(&t.started));
        CHECK(hank_cancel(task) == 0);
        CHECK(hank_await(task) == -ECANCELED);
        CHECK(hk_load_acquire(&t.stops) == levels + 1);
    }
    return 0;
}

Test(cancel, of_a_parent_stops_the_child_it_awaits_however_deep)
{
    with_each_size(cancel_from_the_top, NULL);
}

static int gather_two_towers(void *arg)
{
    tower *t = arg;
    floor_ tops[2] = {{t, 2}, {t, 3}};
    return hank_gather(hank_spawn(climb, &tops[0]), hank_spawn(climb, &tops[1]));
}

static int cancel_a_gathering(void *arg)
{
    (void)arg;
    tower t = {0};
    hank_task task = hank_spawn(gather_two_towers, &t);
    YIELD_UNTIL(hk_load_acquire(&t.started) == 2);
    CHECK(hank_cancel(task) == 0);
    CHECK(hank_await(task) == -ECANCELED);
    CHECK(hk_load_acquire(&t.stops) == 7);
    return 0;
}

Test(cancel, of_a_parent_stops_all_that_it_gathers)
{
    with_each_size(cancel_a_gathering, NULL);
}

static int wait_then_fail(void *arg)
{
    YIELD_UNTIL(is_set(arg));
    return -EIO;
}

/* The sleeping one is the newest, and is called; it is on top of the one that gathers. */
static int fail_while_the_other_was_called(void *arg)
{
    (void)arg;
    for (int levels = 0; levels < 4; levels++) {
        tower t = {0};
        floor_ top = {&t, levels};
        hank_task failing = hank_spawn(wait_then_fail, &t.started);
        hank_task called = hank_spawn(climb, &top);
        CHECK(hank_gather(failing, called) == -EIO);
        CHECK(hk_load_acquire(&t.stops) == levels + 1);
    }
    return 0;
}

Test(gather, stops_a_member_that_was_called_and_waits_when_another_fails)
{
    with_each_size(fail_while_the_other_was_called, NULL);
}

static int fail_under_a_shield(void *arg)
{
    hank_scope s;
    hank_shield_begin(&s);
    int rc = fail_while_the_other_was_called(arg);
    hank_shield_end(&s);
    return rc;
}

/* The shield keeps off what comes from beneath it, and nothing else. */
Test(gather, stops_a_member_that_was_called_under_a_shield_of_its_parent)
{
    with_each_size(fail_under_a_shield, NULL);
}

static int race_after_a_stop(void *arg)
{
    flag *started = arg;
    int result = 77;
    hank_task tasks[] = {hank_spawn(compute_until_stopped, started),
                         hank_spawn(compute_until_stopped, started)};
    CHECK(hank_race_n(tasks, 2, &result) == -ECANCELED); /* whatever they made of it */
    CHECK(result == 77);
    return 0;
}

static int cancel_a_race(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        flag started = 0;
        hank_task t = hank_spawn(race_after_a_stop, &started);
        YIELD_UNTIL(hk_load_acquire(&started) == 2);
        CHECK(hank_cancel(t) == 0);
        CHECK(hank_await(t) == 0);
    }
    return 0;
}

Test(race, that_is_stopped_before_one_ended_says_so)
{
    with_each_size(cancel_a_race, NULL);
}

static int race_late(void *arg)
{
    flag *go = arg;
    flag over = 0;
    int result = 0;
    hank_task tasks[] = {hank_spawn(sleep_forever, NULL), hank_spawn(set_and_return, &over)};
    YIELD_UNTIL(is_set(&over));
    hank_stats stats; /* and until the count says that it ended */
    do {
        (void)hank_yield();
        CHECK(hank_get_stats(&stats) == 0);
    } while (stats.tasks_live > 5);
    set(go);
    while (hank_stopped() == 0)
        (void)hank_yield();
    CHECK(hank_race_n(tasks, 2, &result) == 1 && result == 0);
    return 0;
}

static int cancel_a_late_race(void *arg)
{
    (void)arg;
    flag go = 0;
    hank_task t = hank_spawn(race_late, &go);
    YIELD_UNTIL(is_set(&go));
    CHECK(hank_cancel(t) == 0);
    return hank_await(t);
}

Test(race, that_is_stopped_after_one_ended_gives_that_one)
{
    with_each_size(cancel_a_late_race, NULL);
}

static int use_calls_while_stopped(void *arg)
{
    flag *started = arg, ran = 0;
    set(started);
    (void)hank_sleep(HANK_FOREVER);
    hank_task first = hank_spawn(set_and_return, &ran);
    CHECK(hank_await(first) == (is_set(&ran) ? 0 : -ECANCELED));
    int results[2] = {1, 1};
    hank_task two[] = {hank_spawn(sleep_forever, NULL), hank_spawn(sleep_forever, NULL)};
    CHECK(hank_gather_n(two, 2, results) == -ECANCELED);
    CHECK(results[0] == -ECANCELED && results[1] == -ECANCELED);
    return 0;
}

static int stop_one_that_goes_on(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn(use_calls_while_stopped, &started);
    YIELD_UNTIL(is_set(&started));
    CHECK(hank_cancel(t) == 0);
    return hank_await(t);
}

Test(cancel, of_a_task_reaches_the_children_it_waits_for_afterwards)
{
    with_each_size(stop_one_that_goes_on, NULL);
}

/* Cancels that race with ends, waits and calls: whoever is first, everybody comes back. */
static int cancel_at_any_time(void *arg)
{
    (void)arg;
    for (int round = 0; round < 300; round++) {
        tower t = {0};
        floor_ top = {&t, round % 5};
        hank_task task = hank_spawn(climb, &top);
        for (int i = 0; i < round % 7; i++)
            (void)hank_yield();
        CHECK(hank_cancel(task) == 0);
        CHECK(hank_await(task) == -ECANCELED);
    }
    return 0;
}

Test(cancel, may_come_at_any_time)
{
    with_each_size(cancel_at_any_time, NULL);
}

/* --- detaching ------------------------------------------------------------------------------- */

typedef struct detached {
    flag started;
    flag go;
    flag ended;
    flag stopped;
} detached;

static detached of_the_program;
static HK_ATOMIC(int) errors;
static HK_ATOMIC(int) last_error;

static void count_error(void *context, const char *name, int result)
{
    (void)hk_add_acqrel((HK_ATOMIC(int) *)context, 1);
    hk_store_release(&last_error, result);
    CHECK(!name || name[0] == 'd');
}

static const hank_hooks counting = {.on_error = count_error, .context = &errors};

static int wait_for_go(void *arg)
{
    detached *d = arg;
    set(&d->started);
    while (!is_set(&d->go) && hank_yield() == 0)
        continue;
    if (hank_stopped() == -ECANCELED)
        set(&d->stopped);
    set(&d->ended);
    return 0;
}

static int detach_and_leave(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        hank_task t = hank_spawn(wait_for_go, &of_the_program);
        if (i % 2)
            YIELD_UNTIL(hk_load_acquire(&of_the_program.started) > i / 2);
        CHECK(hank_detach(t) == 0);
        CHECK(hank_detach(t) == -ESTALE);
        CHECK(hank_await(t) == -ESTALE);
        CHECK(hank_cancel(t) == -ESTALE);
    }
    return 0;
}

static int outlive_the_parent(void *arg)
{
    CHECK(hank_await(hank_spawn(detach_and_leave, arg)) == 0);
    CHECK(!is_set(&of_the_program.ended));
    if (arg)
        set(&of_the_program.go);
    if (arg)
        YIELD_UNTIL(hk_load_acquire(&of_the_program.ended) == 10);
    return 0;
}

Test(detach, lets_a_task_outlive_its_parent_and_end_by_itself)
{
    for (EACH_SIZE(i)) {
        of_the_program = (detached){0};
        with_workers(sizes[i], outlive_the_parent, number(1));
        cr_expect_eq(hk_load_acquire(&of_the_program.stopped), 0);
    }
}

Test(detach, leaves_a_task_to_the_end_of_the_program_which_cancels_and_joins_it)
{
    for (EACH_SIZE(i)) {
        of_the_program = (detached){0};
        with_workers(sizes[i], outlive_the_parent, NULL);
        int ended = hk_load_acquire(&of_the_program.ended);
        cr_expect_eq(ended, hk_load_acquire(&of_the_program.started));
        cr_expect_eq(hk_load_acquire(&of_the_program.stopped), ended);
        cr_expect_geq(ended, 5);
    }
}

static int fail_in_many_ways(void *arg)
{
    (void)arg;
    flag over = 0;
    hank_task early = hank_spawn_with(set_and_return, &over, .name = "d-early");
    YIELD_UNTIL(is_set(&over));
    CHECK(hank_detach(early) == 0); /* ended, or nearly */
    CHECK(hank_detach(hank_spawn_with(give_back, number(-EIO), .name = "d-fails")) == 0);
    CHECK(hank_detach(hank_spawn_with(yield_once, number(-EIO), .name = "d-fails later")) == 0);
    CHECK(hank_detach(hank_spawn_with(sleep_forever, NULL, .name = "d-cancelled")) == 0);
    leave(
        hank_spawn_with(give_back, number(-EIO), .name = "d-left behind")); /* that is the third */
    CHECK(hank_await(hank_spawn_with(give_back, number(-EIO), .name = "x")) == -EIO);
    hank_group g = {0};
    CHECK(hank_group_spawn(&g, give_back, number(-EPIPE)) == 0);
    CHECK(hank_group_wait(&g) == -EPIPE);
    YIELD_UNTIL(hk_load_acquire(&errors) == 2); /* or the end would cancel them first */
    return 0;
}

Test(on_error, is_called_once_for_each_failure_that_nobody_awaits)
{
    for (EACH_SIZE(i)) {
        hk_store_release(&errors, 0);
        int rc = hank_run_with(fail_in_many_ways, NULL, .workers = sizes[i], .hooks = &counting);
        cr_expect_eq(rc, 0);
        cr_expect_eq(hk_load_acquire(&errors), 3, "%u workers", sizes[i]);
        cr_expect_eq(hk_load_acquire(&last_error), -EIO);
    }
    cr_expect_eq(hk_load_acquire(&failed_checks), 0);
}

static int cancel_itself_without_being_asked(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

static int leave_one_that_says_cancelled(void *arg)
{
    (void)arg;
    leave(hank_spawn_with(cancel_itself_without_being_asked, NULL, .name = "d"));
    return 0;
}

Test(on_error, hears_of_a_task_that_ended_with_ECANCELED_unasked)
{
    hk_store_release(&errors, 0);
    hank_run_with(leave_one_that_says_cancelled, NULL, .workers = 2, .hooks = &counting);
    cr_expect_eq(hk_load_acquire(&errors), 1);
}
