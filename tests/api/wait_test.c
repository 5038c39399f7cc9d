/* SPDX-License-Identifier: MIT */
/* wait_test.c - looking at tasks: hank_wait_n, hank_is_done, hank_result. Nothing is cancelled and
 * nothing used up. */
#include "api/compose_support.h"

enum { MANY = 5, CROWD = 200, ROUNDS = 60 };

/* A task that ends with `result` when its gate is opened. */
typedef struct gated {
    hank_event gate;
    int result;
} gated;

static int pass_the_gate(void *arg)
{
    gated *g = arg;
    int rc = hank_event_wait(&g->gate);
    return rc < 0 ? rc : g->result;
}

typedef struct set_of_tasks {
    gated gates[MANY];
    hank_task tasks[MANY];
    bool done[MANY];
} set_of_tasks;

static void spawn_all(set_of_tasks *s)
{
    for (int i = 0; i < MANY; i++) {
        s->gates[i] = (gated){.result = i};
        s->done[i] = false;
        s->tasks[i] = hank_spawn(pass_the_gate, &s->gates[i]);
    }
}

static void open_gate(set_of_tasks *s, int i)
{
    hank_event_set(&s->gates[i].gate);
}

static int await_the_rest(set_of_tasks *s)
{
    for (int i = 0; i < MANY; i++)
        open_gate(s, i);
    for (int i = 0; i < MANY; i++)
        (void)hank_await(s->tasks[i]);
    return 0;
}

/* --- until ----------------------------------------------------------------------------------- */

static int first_of_five(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    open_gate(&s, 3);
    MUST(hank_wait_n(s.tasks, MANY, HANK_FIRST_DONE, s.done) == 1);
    for (int i = 0; i < MANY; i++)
        MUST(s.done[i] == (i == 3));
    MUST(hank_await(s.tasks[3]) == 3); /* it was only looked at */
    return await_the_rest(&s);
}
EACH(wait, for_the_first_says_which_and_leaves_the_others_running, first_of_five)

static int all_of_five(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    for (int i = 0; i < MANY; i++)
        open_gate(&s, i);
    MUST(hank_wait_n(s.tasks, MANY, HANK_ALL_DONE, s.done) == MANY);
    for (int i = 0; i < MANY; i++)
        MUST(s.done[i] && hank_await(s.tasks[i]) == i);
    return 0;
}
EACH(wait, for_all_returns_when_the_last_has_ended, all_of_five)

static int all_in_spite_of_a_failure(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    s.gates[1].result = -EIO;
    for (int i = 0; i < MANY; i++)
        open_gate(&s, i);
    MUST(hank_wait_n(s.tasks, MANY, HANK_ALL_DONE, s.done) == MANY);
    MUST(hank_await(s.tasks[1]) == -EIO && hank_await(s.tasks[4]) == 4);
    return await_the_rest(&s);
}
EACH(wait, for_all_does_not_mind_a_failure, all_in_spite_of_a_failure)

static int first_failure(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    s.gates[2].result = -EIO;
    open_gate(&s, 0);
    MUST(hank_wait_n(s.tasks, 1, HANK_FIRST_DONE, NULL) == 1); /* one that did well has ended */
    open_gate(&s, 2);
    MUST(hank_wait_n(s.tasks, MANY, HANK_FIRST_FAILED, s.done) == 2);
    MUST(s.done[0] && s.done[2] && !s.done[1] && !s.done[3] && !s.done[4]);
    return await_the_rest(&s);
}
EACH(wait, for_the_first_failure_goes_on_when_one_ends_well, first_failure)

static int no_failure(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    for (int i = 0; i < MANY; i++)
        open_gate(&s, i);
    MUST(hank_wait_n(s.tasks, MANY, HANK_FIRST_FAILED, s.done) == MANY);
    return await_the_rest(&s);
}
EACH(wait, for_the_first_failure_is_for_all_if_none_fails, no_failure)

static int cancelled_is_no_failure(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    MUST(hank_cancel(s.tasks[0]) == 0);
    open_gate(&s, 1);
    MUST(hank_wait_n(s.tasks, 2, HANK_FIRST_FAILED, s.done) == 2);
    MUST(hank_await(s.tasks[0]) == -ECANCELED && hank_await(s.tasks[1]) == 1);
    return await_the_rest(&s);
}
EACH(wait, for_the_first_failure_takes_a_cancelled_task_for_none, cancelled_is_no_failure)

static int cancelled_is_done(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    MUST(hank_cancel(s.tasks[4]) == 0);
    MUST(hank_wait_n(s.tasks, MANY, HANK_FIRST_DONE, s.done) == 1 && s.done[4]);
    return await_the_rest(&s);
}
EACH(wait, for_the_first_takes_a_cancelled_task_for_done, cancelled_is_done)

static int ended_before(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    open_gate(&s, 0);
    open_gate(&s, 1);
    YIELD_UNTIL(hank_is_done(s.tasks[0]) == 1 && hank_is_done(s.tasks[1]) == 1);
    MUST(hank_wait_n(s.tasks, MANY, HANK_FIRST_DONE, s.done) == 2); /* more than the trigger */
    MUST(s.done[0] && s.done[1] && !s.done[2]);
    return await_the_rest(&s);
}
EACH(wait, counts_all_that_have_ended_not_only_the_one_it_waited_for, ended_before)

/* --- what it is given ------------------------------------------------------------------------ */

static int bad_arguments(void *arg)
{
    hank_task t = hank_spawn(give_back, number(1));
    (void)arg;
    MUST(hank_wait_n(&t, 0, HANK_ALL_DONE, NULL) == -EINVAL);
    MUST(hank_wait_n(&t, 1, (hank_until)7, NULL) == -EINVAL);
    MUST(hank_wait_n(&t, 2000000, HANK_ALL_DONE, NULL) == -E2BIG);
    MUST(hank_await(t) == 1);
    return 0;
}
EACH(wait, for_nothing_or_for_no_known_reason_is_invalid, bad_arguments)

Test(wait, is_for_tasks)
{
    hank_task t = {0};
    cr_assert_eq(hank_wait_n(&t, 1, HANK_ALL_DONE, NULL), -EPERM);
    int result;
    cr_assert_eq(hank_result(t, &result), -EPERM);
}

static int bad_handles(void *arg)
{
    bool done[3] = {false};
    hank_task used = hank_spawn(give_back, NULL);
    (void)arg;
    MUST(hank_await(used) == 0);
    hank_task tasks[] = {hank_spawn(sleep_forever, NULL), used, hank_spawn(NULL, NULL)};
    MUST(hank_wait_n(tasks, 3, HANK_FIRST_FAILED, done) == 2);
    MUST(!done[0] && done[1] && done[2]);
    MUST(hank_cancel(tasks[0]) == 0 && hank_await(tasks[0]) == -ECANCELED);
    return 0;
}
EACH(wait, takes_a_handle_that_is_used_up_or_failed_for_a_task_that_failed, bad_handles)

static int same_task_twice(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    hank_task twice[] = {s.tasks[0], s.tasks[0], s.tasks[1]};
    open_gate(&s, 0);
    MUST(hank_wait_n(twice, 3, HANK_FIRST_DONE, s.done) == 2);
    MUST(s.done[0] && s.done[1] && !s.done[2]);
    open_gate(&s, 1);
    MUST(hank_wait_n(twice, 3, HANK_ALL_DONE, s.done) == 3);
    return await_the_rest(&s);
}
EACH(wait, may_be_given_the_same_task_twice, same_task_twice)

static int wait_again(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    for (int i = 0; i < MANY; i++) {
        open_gate(&s, i);
        MUST(hank_wait_n(&s.tasks[i], (size_t)(MANY - i), HANK_FIRST_DONE, s.done) >= 1);
        MUST(s.done[0]);
    }
    for (int i = 0; i < 3; i++) /* and of what has long ended */
        MUST(hank_wait_n(s.tasks, MANY, HANK_ALL_DONE, NULL) == MANY);
    return await_the_rest(&s);
}
EACH(wait, can_be_repeated_over_the_same_tasks, wait_again)

/* --- nothing else ---------------------------------------------------------------------------- */

static int then_gather(void *arg)
{
    set_of_tasks s;
    int results[MANY];
    (void)arg;
    spawn_all(&s);
    open_gate(&s, 0);
    MUST(hank_wait_n(s.tasks, MANY, HANK_FIRST_DONE, NULL) == 1);
    for (int i = 1; i < MANY; i++)
        open_gate(&s, i);
    MUST(hank_gather_n(s.tasks, MANY, results) == 0);
    for (int i = 0; i < MANY; i++)
        MUST(results[i] == i);
    return 0;
}
EACH(wait, leaves_tasks_to_be_gathered, then_gather)

static int then_race(void *arg)
{
    set_of_tasks s;
    int result = -1;
    (void)arg;
    spawn_all(&s);
    open_gate(&s, 2);
    MUST(hank_wait_n(s.tasks, MANY, HANK_FIRST_DONE, NULL) == 1);
    MUST(hank_race_n(s.tasks, MANY, &result) == 2 && result == 2);
    return 0;
}
EACH(wait, leaves_tasks_to_be_raced, then_race)

static int then_detach(void *arg)
{
    static gated g;
    (void)arg;
    g = (gated){.result = 0};
    hank_task t = hank_spawn(pass_the_gate, &g);
    MUST(hank_within(HANK_MS(1), hank_wait_n(&t, 1, HANK_FIRST_DONE, NULL)) == -ETIMEDOUT);
    hank_event_set(&g.gate);
    MUST(hank_detach(t) == 0);
    return 0;
}

Test(wait, leaves_tasks_to_be_detached)
{
    for (EACH_SIZE(i))
        with_workers(sizes[i], then_detach, NULL);
}

static int wait_for_one(void *arg)
{
    return hank_wait_n(arg, 1, HANK_ALL_DONE, NULL);
}

static int somebody_elses(void *arg)
{
    hank_task t = hank_spawn(sleep_forever, arg);
    MUST(hank_await(hank_spawn(wait_for_one, &t)) == 1); /* at once: it is no task of his */
    MUST(hank_is_done(t) == 0);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    return 0;
}
EACH(wait, takes_somebody_elses_task_for_one_that_failed_and_leaves_it_alone, somebody_elses)

static int leave_the_waited_for(void *arg)
{
    set_of_tasks *s = arg;
    spawn_all(s);
    int rc = hank_within(HANK_MS(1), hank_wait_n(s->tasks, MANY, HANK_ALL_DONE, NULL));
    for (int i = 0; i < MANY; i++)
        open_gate(s, i);
    return rc; /* its end waits for them */
}

static int end_after_a_wait(void *arg)
{
    set_of_tasks s;
    (void)arg;
    MUST(hank_await(hank_spawn(leave_the_waited_for, &s)) == -ETIMEDOUT);
    return 0;
}
EACH(wait, leaves_tasks_to_the_end_of_their_parent, end_after_a_wait)

/* --- stops ----------------------------------------------------------------------------------- */

static int time_out(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    open_gate(&s, 1);
    MUST(hank_wait_n(&s.tasks[1], 1, HANK_ALL_DONE, NULL) == 1);
    MUST(hank_within(HANK_MS(1), hank_wait_n(s.tasks, MANY, HANK_ALL_DONE, s.done)) == -ETIMEDOUT);
    MUST(s.done[1] && !s.done[0] && !s.done[2]);
    for (int i = 0; i < MANY; i++)
        open_gate(&s, i);
    for (int i = 0; i < MANY; i++)
        MUST(hank_await(s.tasks[i]) == i); /* nobody cancelled them */
    return 0;
}
EACH(wait, that_times_out_tells_which_are_done_and_cancels_nothing, time_out)

static int look_on(void *arg)
{
    set_of_tasks *s = arg;
    int results[MANY];
    spawn_all(s);
    int rc = hank_wait_n(s->tasks, MANY, HANK_FIRST_DONE, s->done);
    hank_scope shield;
    hank_shield_begin(&shield);
    for (int i = 0; i < MANY; i++)
        open_gate(s, i);
    MUST(hank_gather_n(s->tasks, MANY, results) == 0); /* they ran on */
    hank_shield_end(&shield);
    return rc;
}

static int cancel_the_waiter(void *arg)
{
    set_of_tasks s;
    (void)arg;
    hank_task waiter = hank_spawn(look_on, &s);
    YIELD_UNTIL(is_parked(waiter));
    MUST(hank_cancel(waiter) == 0);
    MUST(hank_await(waiter) == -ECANCELED);
    return 0;
}
EACH(wait, that_is_cancelled_cancels_nothing, cancel_the_waiter)

static int wait_when_stopped(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    open_gate(&s, 0);
    MUST(hank_wait_n(s.tasks, 1, HANK_FIRST_DONE, NULL) == 1);
    MUST(hank_within(0, hank_wait_n(s.tasks, MANY, HANK_FIRST_DONE, s.done)) == -ETIMEDOUT);
    MUST(s.done[0] && !s.done[1]);
    return await_the_rest(&s);
}
EACH(wait, of_who_is_stopped_fails_even_if_one_is_done_but_says_which, wait_when_stopped)

static int wait_three_ways(void *state)
{
    set_of_tasks *s = state;
    int rc;
    spawn_all(s);
    open_gate(s, 0);
    rc = hank_wait_n(s->tasks, MANY, HANK_FIRST_DONE, NULL);
    open_gate(s, 1);
    if (rc > 0)
        rc = hank_wait_n(&s->tasks[1], MANY - 1, HANK_FIRST_DONE, NULL);
    for (int i = 0; i < MANY; i++)
        open_gate(s, i);
    if (rc > 0)
        rc = hank_wait_n(s->tasks, MANY, HANK_ALL_DONE, NULL);
    if (rc > 0)
        rc = 0;
    if (rc == 0)
        for (int i = 0; i < MANY; i++)
            if (hank_is_done(s->tasks[i]) != 1)
                rc = -EPROTO;
    return rc;
}

static bool came_out_clean(void *state, int rc, bool stopped)
{
    (void)state;
    return rc == 0 || (stopped && (rc == -ECANCELED || rc == -ETIMEDOUT));
}

static int walk(void *arg)
{
    set_of_tasks s;
    (void)arg;
    MUST(everywhere(&(everywhere_scenario){NULL, wait_three_ways, NULL, came_out_clean, &s}) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(wait, can_be_stopped_at_any_point, walk)

/* --- a look without waiting ------------------------------------------------------------------ */

static int look_at_results(void *arg)
{
    set_of_tasks s;
    int result = -1;
    (void)arg;
    spawn_all(&s);
    MUST(hank_is_done(s.tasks[2]) == 0);
    MUST(hank_result(s.tasks[2], &result) == -EINPROGRESS && result == -1);
    s.gates[2].result = -EPIPE;
    open_gate(&s, 2);
    YIELD_UNTIL(hank_is_done(s.tasks[2]) == 1);
    for (int i = 0; i < 2; i++)
        MUST(hank_result(s.tasks[2], &result) == 0 && result == -EPIPE);
    MUST(hank_await(s.tasks[2]) == -EPIPE);
    MUST(hank_is_done(s.tasks[2]) == -ESTALE);
    MUST(hank_result(s.tasks[2], &result) == -ESTALE);
    return await_the_rest(&s);
}
EACH(result, is_there_once_the_task_has_ended_and_until_it_is_used_up, look_at_results)

static int results_of_bad_handles(void *arg)
{
    hank_task failed = hank_spawn(NULL, NULL), never = {0};
    int result = 0;
    (void)arg;
    MUST(hank_is_done(failed) == 1);
    MUST(hank_result(failed, &result) == 0 && result == -EINVAL);
    MUST(hank_is_done(never) == -ESTALE && hank_result(never, &result) == -ESTALE);
    return 0;
}
EACH(result, of_a_task_that_could_not_be_made_says_why, results_of_bad_handles)

static int ask_for_a_result(void *arg)
{
    int result;
    return hank_result(*(hank_task *)arg, &result);
}

static int ask_whether_done(void *arg)
{
    return hank_is_done(*(hank_task *)arg);
}

static int result_of_anothers(void *arg)
{
    set_of_tasks s;
    (void)arg;
    spawn_all(&s);
    MUST(hank_await(hank_spawn(ask_for_a_result, &s.tasks[0])) == -EPERM);
    MUST(hank_await(hank_spawn(ask_whether_done, &s.tasks[0])) == 0);
    open_gate(&s, 0);
    YIELD_UNTIL(hank_is_done(s.tasks[0]) == 1);
    MUST(hank_await(hank_spawn(ask_whether_done, &s.tasks[0])) == 1); /* anybody may ask that */
    return await_the_rest(&s);
}
EACH(result, is_its_parents_but_whether_it_is_done_anybody_may_ask, result_of_anothers)

/* --- in a crowd ------------------------------------------------------------------------------ */

/* Await those that are done; how many are left, at the front. */
static size_t keep_the_others(hank_task *tasks, const bool *done, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (done[i])
            CHECK(hank_await(tasks[i]) >= 0);
        else
            tasks[kept++] = tasks[i];
    }
    return kept;
}

static int drain_a_crowd(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        hank_task tasks[CROWD];
        bool done[CROWD];
        for (size_t i = 0; i < CROWD; i++)
            tasks[i] = hank_spawn(yield_once, number((intptr_t)i));
        for (size_t left = CROWD; left > 0;) {
            int n = hank_wait_n(tasks, left, HANK_FIRST_DONE, done);
            MUST(n > 0 && keep_the_others(tasks, done, left) == left - (size_t)n);
            left -= (size_t)n;
        }
    }
    return 0;
}
EACH(wait, of_a_crowd_that_ends_meanwhile_misses_nobody, drain_a_crowd)
