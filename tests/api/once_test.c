/* SPDX-License-Identifier: MIT */
/* once_test.c - something is done once, or by the next to try; with 1, 2 and 8 workers. */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

enum { CROWD = 4 };

/* value is plain: whoever got 0 sees it */
typedef struct well {
    hank_once once;
    hank_event door;
    flag begun;
    HK_ATOMIC(int) runs;
    int failures; /* how many runs fail first */
    int value;
} well;

static int dig(void *arg)
{
    well *w = arg;
    int run = hk_add_acqrel(&w->runs, 1) + 1;
    if (run <= w->failures)
        return -EIO;
    w->value = 42;
    return 0;
}

static int dig_slowly(void *arg)
{
    well *w = arg;
    set(&w->begun);
    int rc = hank_event_wait(&w->door);
    return rc < 0 ? rc : dig(w);
}

static int drink(void *arg)
{
    well *w = arg;
    int rc = hank_once_run(&w->once, dig, w);
    if (rc == 0)
        CHECK(w->value == 42);
    return rc;
}

static int dig_first(void *arg)
{
    well *w = arg;
    return hank_once_run(&w->once, dig_slowly, w);
}

static int runs(well *w)
{
    return hk_load_acquire(&w->runs);
}

/* One digs and holds it up, n wait. */
static int queue_up(well *w, hank_task *first, hank_task *tasks, int n)
{
    *first = hank_spawn(dig_first, w);
    YIELD_UNTIL(is_set(&w->begun));
    for (int i = 0; i < n; i++) {
        tasks[i] = hank_spawn(drink, w);
        YIELD_UNTIL(waiting_at(&w->once) == i + 1);
    }
    return 0;
}

BEHAVIOUR(once, it_is_done_by_the_first_and_not_again)
{
    well w = {.value = 0};
    MUST(!hank_once_is_done(&w.once));
    for (int i = 0; i < 5; i++)
        MUST(drink(&w) == 0);
    MUST(runs(&w) == 1 && hank_once_is_done(&w.once));
    return 0;
}

BEHAVIOUR(once, who_comes_while_it_runs_waits_and_sees_what_it_did)
{
    well w = {.value = 0};
    hank_task first, tasks[CROWD];
    MUST(queue_up(&w, &first, tasks, CROWD) == 0);
    MUST(!hank_once_is_done(&w.once));
    hank_event_set(&w.door);
    MUST(hank_await(first) == 0 && hank_gather_n(tasks, CROWD, NULL) == 0);
    MUST(runs(&w) == 1);
    return 0;
}

BEHAVIOUR(once, a_failure_is_told_to_who_ran_it_and_the_next_tries)
{
    well w = {.failures = 2};
    MUST(drink(&w) == -EIO && drink(&w) == -EIO);
    MUST(!hank_once_is_done(&w.once));
    MUST(drink(&w) == 0 && runs(&w) == 3);
    return 0;
}

BEHAVIOUR(once, after_a_failure_those_who_wait_try_in_turn)
{
    well w = {.failures = 3};
    hank_task first, tasks[CROWD];
    MUST(queue_up(&w, &first, tasks, CROWD) == 0);
    hank_event_set(&w.door);
    MUST(hank_await(first) == -EIO);
    MUST(hank_await(tasks[0]) == -EIO && hank_await(tasks[1]) == -EIO);
    MUST(hank_await(tasks[2]) == 0 && hank_await(tasks[3]) == 0);
    MUST(runs(&w) == 4);
    return 0;
}

BEHAVIOUR(once, who_is_cancelled_while_waiting_has_not_run_it)
{
    well w = {.value = 0};
    hank_task first, tasks[2];
    MUST(queue_up(&w, &first, tasks, 2) == 0);
    MUST(hank_cancel(tasks[0]) == 0 && hank_await(tasks[0]) == -ECANCELED);
    hank_event_set(&w.door);
    MUST(hank_await(first) == 0 && hank_await(tasks[1]) == 0);
    MUST(runs(&w) == 1);
    return 0;
}

BEHAVIOUR(once, when_its_runner_is_cancelled_the_next_runs_it)
{
    well w = {.value = 0};
    hank_task first, tasks[2];
    MUST(queue_up(&w, &first, tasks, 2) == 0);
    MUST(hank_cancel(first) == 0 && hank_await(first) == -ECANCELED);
    MUST(hank_await(tasks[0]) == 0 && hank_await(tasks[1]) == 0);
    MUST(runs(&w) == 1);
    return 0;
}

/* The turn is passed on at the moment in which the one it is for is cancelled. */
BEHAVIOUR(once, a_turn_that_meets_a_cancel_is_not_lost)
{
    for (int i = 0; i < 200; i++) {
        well w = {.failures = 1};
        hank_task first, tasks[2];
        MUST(queue_up(&w, &first, tasks, 2) == 0);
        hank_event_set(&w.door);
        MUST(hank_cancel(tasks[0]) == 0);
        MUST(hank_await(first) == -EIO);
        int rc = hank_await(tasks[0]);
        MUST(rc == 0 || rc == -ECANCELED);
        MUST(hank_await(tasks[1]) == 0 && hank_once_is_done(&w.once));
    }
    return 0;
}

static int run_it_inside(void *arg)
{
    well *w = arg;
    MUST(hank_once_run(&w->once, dig, w) == -EDEADLK);
    return dig(w);
}

BEHAVIOUR(once, who_runs_it_and_wants_it_is_told)
{
    well w = {.value = 0};
    MUST(hank_once_run(&w.once, run_it_inside, &w) == 0);
    MUST(drink(&w) == 0 && runs(&w) == 1);
    return 0;
}

BEHAVIOUR(once, a_stopped_task_does_not_begin_it_but_may_use_it)
{
    well w = {.value = 0};
    hank_scope s;
    hank_timeout_begin(&s, 0);
    MUST(drink(&w) == -ETIMEDOUT && runs(&w) == 0);
    MUST(hank_timeout_end(&s));
    MUST(drink(&w) == 0);
    hank_timeout_begin(&s, 0);
    MUST(drink(&w) == 0);
    (void)hank_timeout_end(&s); /* it had nothing to stop */
    return 0;
}

static void *drink_as_thread(void *arg)
{
    cr_expect_eq(drink(arg), 0);
    return NULL;
}

BEHAVIOUR(once, threads_wait_for_the_task_that_runs_it)
{
    well w = {.value = 0};
    hank_task first, tasks[1];
    MUST(queue_up(&w, &first, tasks, 1) == 0);
    pthread_t thread = start_thread(drink_as_thread, &w);
    YIELD_UNTIL(waiting_at(&w.once) == 2);
    hank_event_set(&w.door);
    MUST(hank_await(first) == 0 && hank_await(tasks[0]) == 0);
    join_thread(thread);
    return 0;
}

static int positive(void *arg)
{
    return 7 + give_back(arg);
}

BEHAVIOUR(once, who_ran_it_gets_its_result_the_others_0)
{
    hank_once o = {{0}};
    MUST(hank_once_run(&o, positive, NULL) == 7);
    MUST(hank_once_run(&o, positive, NULL) == 0);
    return 0;
}

BEHAVIOUR(once, refuses_no_function_and_is_as_it_was)
{
    hank_once o = {{0}};
    MUST(hank_once_run(&o, NULL, NULL) == -EINVAL && !hank_once_is_done(&o));
    MUST(hank_once_run(&o, positive, NULL) == 7);
    MUST(hank_once_run(&o, NULL, NULL) == -EINVAL);
    return 0;
}

static void begin_walk(void *state)
{
    well *w = state;
    *w = (well){.failures = 1};
    hank_event_set(&w->door);
}

static bool it_was_done_or_nobody_is_at_it(void *state, int rc, bool stopped)
{
    well *w = state;
    return waiting_at(&w->once) == 0 && (rc == 0 || rc == -EIO || stopped) &&
           (hank_once_run(&w->once, dig, w) != -EDEADLK);
}

static int dig_until_done(void *state)
{
    int rc = dig_first(state);
    return rc == -EIO ? dig_first(state) : rc;
}

BEHAVIOUR(once, stopped_at_any_wait_the_next_can_run_it)
{
    well w;
    everywhere_scenario s = {begin_walk, dig_until_done, dig_until_done,
                             it_was_done_or_nobody_is_at_it, &w};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
