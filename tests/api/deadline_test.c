/* SPDX-License-Identifier: MIT */
/* deadline_test.c - timeouts at a point in time, moved and asked; and who is told when
 * several apply. scope_test.c has the rest. */
#include "api/compose_support.h"

enum { ROUNDS = 200 };

/* --- at a point in time ---------------------------------------------------------------------- */

static int begin_at(void *arg)
{
    hank_scope s;
    (void)arg;
    hank_timeout_begin_at(&s, hank_now() + HANK_MS(1));
    MUST(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
    MUST(hank_timeout_end(&s));
    hank_timeout_begin_at(&s, hank_now() + HANK_SEC(100));
    MUST(hank_sleep(1) == 0);
    MUST(!hank_timeout_end(&s));
    return 0;
}
EACH(timeout_at, stops_what_waits_then, begin_at)

static int begin_in_the_past(void *arg)
{
    hank_scope s;
    (void)arg;
    const hank_ns pasts[] = {INT64_MIN, -1, 0, 1, hank_now() - 1, hank_now()};
    for (size_t i = 0; i < sizeof pasts / sizeof pasts[0]; i++) {
        hank_timeout_begin_at(&s, pasts[i]);
        MUST(!hank_timeout_expired(&s)); /* no wait has met it */
        MUST(hank_timeout_remaining(&s) == 0);
        MUST(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
        MUST(hank_timeout_expired(&s) && hank_timeout_end(&s));
    }
    return 0;
}
EACH(timeout_at, in_the_past_stops_the_first_wait_and_nothing_before, begin_in_the_past)

static int begin_at_never(void *arg)
{
    hank_scope s;
    (void)arg;
    hank_timeout_begin_at(&s, HANK_FOREVER);
    MUST(hank_timeout_remaining(&s) == HANK_FOREVER && hank_deadline() == HANK_FOREVER);
    MUST(hank_sleep(1) == 0 && !hank_timeout_end(&s));
    return 0;
}
EACH(timeout_at, that_never_comes_stops_nothing, begin_at_never)

/* --- moved ----------------------------------------------------------------------------------- */

static int move_later(void *arg)
{
    hank_scope s;
    (void)arg;
    hank_timeout_begin(&s, 0);
    MUST(hank_timeout_reschedule(&s, hank_now() + HANK_SEC(100)) == 0);
    MUST(hank_sleep(1) == 0);
    MUST(!hank_timeout_end(&s));
    return 0;
}
EACH(reschedule, to_later_saves_a_timeout_that_has_stopped_nothing, move_later)

static int move_earlier(void *arg)
{
    hank_scope s;
    (void)arg;
    hank_timeout_begin(&s, HANK_SEC(100));
    MUST(hank_timeout_reschedule(&s, hank_now() + HANK_MS(1)) == 0);
    MUST(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
    MUST(hank_timeout_end(&s));
    return 0;
}
EACH(reschedule, to_earlier_counts, move_earlier)

static int move_to_never_and_back(void *arg)
{
    hank_scope s;
    (void)arg;
    hank_timeout_begin(&s, 1);
    MUST(hank_timeout_reschedule(&s, HANK_FOREVER) == 0);
    MUST(hank_timeout_remaining(&s) == HANK_FOREVER);
    MUST(hank_sleep(1) == 0);
    MUST(hank_timeout_reschedule(&s, 0) == 0); /* long past */
    MUST(hank_yield() == -ETIMEDOUT);
    MUST(hank_timeout_end(&s));
    return 0;
}
EACH(reschedule, to_never_and_back_is_allowed, move_to_never_and_back)

static int move_too_late(void *arg)
{
    hank_scope s;
    (void)arg;
    hank_timeout_begin(&s, 0);
    MUST(hank_sleep(1) == -ETIMEDOUT);
    MUST(hank_timeout_reschedule(&s, HANK_FOREVER) == -ETIMEDOUT);
    MUST(hank_sleep(1) == -ETIMEDOUT && hank_timeout_expired(&s));
    MUST(hank_timeout_end(&s));
    return 0;
}
EACH(reschedule, comes_too_late_when_it_has_stopped_something, move_too_late)

static int move_the_outer(void *arg)
{
    hank_scope outer, inner;
    (void)arg;
    hank_timeout_begin(&outer, HANK_SEC(100));
    hank_timeout_begin(&inner, HANK_SEC(100));
    MUST(hank_timeout_reschedule(&outer, 0) == 0);
    MUST(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
    MUST(!hank_timeout_end(&inner) && hank_timeout_end(&outer));
    return 0;
}
EACH(reschedule, may_be_of_an_outer_timeout, move_the_outer)

static int reschedule_it(void *s)
{
    return hank_timeout_reschedule(s, 0);
}

static int move_what_is_none(void *arg)
{
    hank_scope s, shield;
    (void)arg;
    hank_timeout_begin(&s, HANK_SEC(100));
    MUST(hank_await(hank_spawn(reschedule_it, &s)) == -EINVAL); /* not the child's */
    MUST(!hank_timeout_end(&s));
    MUST(hank_timeout_reschedule(&s, 0) == -EINVAL); /* ended */
    hank_shield_begin(&shield);
    MUST(hank_timeout_reschedule(&shield, 0) == -EINVAL);
    hank_shield_end(&shield);
    return 0;
}
EACH(reschedule, of_what_is_no_timeout_of_the_caller_is_invalid, move_what_is_none)

/* --- asked ----------------------------------------------------------------------------------- */

static int ask_what_is_left(void *arg)
{
    hank_scope s;
    (void)arg;
    hank_timeout_begin(&s, HANK_SEC(1000));
    hank_ns left = hank_timeout_remaining(&s);
    MUST(left > HANK_SEC(900) && left <= HANK_SEC(1000));
    MUST(!hank_timeout_expired(&s) && !hank_timeout_end(&s));
    return 0;
}
EACH(remaining, is_what_is_left_of_it, ask_what_is_left)

static int ask_the_deadline(void *arg)
{
    hank_scope outer, inner, shield;
    (void)arg;
    hank_ns when = hank_now() + HANK_SEC(500);
    MUST(hank_deadline() == HANK_FOREVER);
    hank_timeout_begin_at(&outer, when);
    MUST(hank_deadline() == when);
    hank_timeout_begin_at(&inner, when + 1);
    MUST(hank_deadline() == when); /* the outer is earlier */
    MUST(hank_timeout_reschedule(&inner, when - 1) == 0 && hank_deadline() == when - 1);
    hank_shield_begin(&shield);
    MUST(hank_deadline() == HANK_FOREVER); /* it holds them off */
    hank_shield_end(&shield);
    MUST(!hank_timeout_end(&inner) && hank_deadline() == when);
    MUST(!hank_timeout_end(&outer) && hank_deadline() == HANK_FOREVER);
    return 0;
}
EACH(deadline, is_the_earliest_that_no_shield_holds_off, ask_the_deadline)

static int ask_when_cancelled(void *arg)
{
    set(arg);
    (void)hank_sleep(HANK_FOREVER);
    MUST(hank_deadline() < hank_now());
    hank_scope shield;
    hank_shield_begin(&shield);
    hank_ns shielded = hank_deadline();
    hank_shield_end(&shield);
    return shielded == HANK_FOREVER ? 7 : -EPROTO;
}

static int deadline_of_the_cancelled(void *arg)
{
    flag started = 0;
    (void)arg;
    hank_task t = hank_spawn(ask_when_cancelled, &started);
    YIELD_UNTIL(is_set(&started));
    MUST(hank_cancel(t) == 0 && hank_await(t) == 7);
    return 0;
}
EACH(deadline, of_a_cancelled_task_is_long_past, deadline_of_the_cancelled)

Test(deadline, of_a_thread_is_that_of_its_own_timeouts)
{
    hank_scope s;
    cr_assert_eq(hank_deadline(), HANK_FOREVER);
    hank_timeout_begin_at(&s, 12345);
    cr_assert_eq(hank_deadline(), 12345);
    cr_assert_eq(hank_timeout_reschedule(&s, 23456), 0);
    cr_assert_eq(hank_deadline(), 23456);
    cr_assert(!hank_timeout_end(&s));
}

/* --- several at once ------------------------------------------------------------------------- */

static int end_at_one_moment(void *arg)
{
    (void)arg;
    hank_scope scopes[3];
    hank_ns when = hank_now() + HANK_MS(1);
    for (int i = 0; i < 3; i++)
        hank_timeout_begin_at(&scopes[i], when);
    CHECK(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
    for (int i = 2; i >= 0; i--) {
        CHECK(hank_stopped() == -ETIMEDOUT);
        CHECK(hank_timeout_expired(&scopes[i]));
        CHECK(hank_timeout_end(&scopes[i]) == (i == 0));
    }
    CHECK(hank_stopped() == 0);
    return 0;
}

Test(timeout, of_several_that_end_at_the_same_moment_all_expire_and_the_outermost_says_so)
{
    with_each_size(end_at_one_moment, NULL);
    cr_expect_eq(end_at_one_moment(NULL), 0, "on a thread, too");
}

static int sleep_briefly(hank_ns timeout, int *ret_result)
{
    *ret_result = hank_within(timeout, hank_sleep(HANK_FOREVER));
    return *ret_result;
}

static int nest_within(void *arg)
{
    (void)arg;
    int inner = 0;
    CHECK(hank_within(0, sleep_briefly(0, &inner)) == -ETIMEDOUT);
    CHECK(inner == -ECANCELED); /* no time is left around it */
    CHECK(hank_within(HANK_MS(1), sleep_briefly(HANK_SEC(100), &inner)) == -ETIMEDOUT);
    CHECK(inner == -ECANCELED);
    CHECK(hank_within(HANK_SEC(100), sleep_briefly(HANK_MS(1), &inner)) == -ETIMEDOUT);
    CHECK(inner == -ETIMEDOUT); /* its own */
    hank_scope shield;
    hank_scope outer;
    hank_timeout_begin(&outer, 0);
    CHECK(hank_stopped() == -ETIMEDOUT);
    hank_shield_begin(&shield);
    CHECK(sleep_briefly(HANK_MS(1), &inner) == -ETIMEDOUT); /* the shield holds the outer one off */
    hank_shield_end(&shield);
    CHECK(sleep_briefly(HANK_SEC(100), &inner) == -ECANCELED);
    CHECK(hank_timeout_end(&outer));
    return 0;
}

Test(within, says_timed_out_for_its_own_timeout_and_cancelled_for_all_around_it)
{
    with_each_size(nest_within, NULL);
    cr_expect_eq(nest_within(NULL), 0, "on a thread, too");
}

static int end_inside_a_timed_out_parent(void *arg)
{
    flag *started = arg;
    hank_scope own;
    hank_timeout_begin(&own, 0);
    set(started);
    (void)hank_sleep(HANK_FOREVER);      /* at once, for its own sake */
    while (hank_stopped() != -ECANCELED) /* until the parent's timeout has come down */
        (void)hank_yield();
    CHECK(hank_timeout_expired(&own));
    CHECK(!hank_timeout_end(&own));
    return -ECANCELED;
}

static int time_both_out(void *arg)
{
    (void)arg;
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        flag started = 0;
        hank_scope outer;
        hank_timeout_begin(&outer, HANK_FOREVER);
        hank_task t = hank_spawn(end_inside_a_timed_out_parent, &started);
        if (elsewhere)
            YIELD_UNTIL(is_set(&started));
        CHECK(hank_timeout_reschedule(&outer, hank_now() + HANK_MS(1)) == 0);
        CHECK(hank_await(t) == -ETIMEDOUT);
        CHECK(hank_timeout_end(&outer));
    }
    return 0;
}

Test(timeout, of_a_child_is_not_what_ended_it_if_its_parents_has_too)
{
    with_each_size(time_both_out, NULL);
}

static int within_within(void *arg)
{
    (void)arg;
    MUST(hank_within(HANK_SEC(100), hank_within(HANK_MS(1), hank_sleep(HANK_FOREVER))) ==
         -ETIMEDOUT);
    MUST(hank_within(HANK_MS(1), hank_within(HANK_SEC(100), hank_sleep(HANK_FOREVER))) ==
         -ETIMEDOUT);
    MUST(hank_stopped() == 0);
    return 0;
}
EACH(within, inside_another_gives_the_one_that_ended_first, within_within)

static int await_in_no_time(void *arg)
{
    flag begun = 0;
    hank_task done = hank_spawn(give_back, number(3)), other = hank_spawn(start_and_wait, &begun);
    (void)arg;
    YIELD_UNTIL(hank_is_done(done) == 1 && is_set(&begun));
    CHECK(hank_within(0, hank_await(done)) == 3); /* there is nothing to wait for */
    CHECK(hank_within(0, hank_await(other)) == -ETIMEDOUT && hank_is_done(other) == -ESTALE);
    return 0;
}
EACH(within, no_time_a_result_that_is_there_is_taken_and_what_runs_is_joined, await_in_no_time)

static int await_what_has_not_begun(void *arg)
{
    flag begun = 0;
    (void)arg;
    CHECK(hank_within(0, hank_await(hank_spawn(start_and_wait, &begun))) == -ETIMEDOUT);
    CHECK(!is_set(&begun));
    return 0;
}

Test(within, no_time_nothing_begins)
{
    with_workers(1, await_what_has_not_begun, NULL);
}

static int sleep_within(void *arg)
{
    set(arg);
    int rc = hank_within(HANK_SEC(1000), hank_sleep(HANK_FOREVER));
    return rc == -ECANCELED && hank_stopped() == -ECANCELED ? 3 : -EPROTO;
}

static int cancel_beats_timeout(void *arg)
{
    flag started = 0;
    (void)arg;
    hank_task t = hank_spawn(sleep_within, &started);
    YIELD_UNTIL(is_set(&started) && is_parked(t));
    MUST(hank_cancel(t) == 0 && hank_await(t) == 3);
    return 0;
}
EACH(within, that_is_cancelled_says_so_and_not_that_it_timed_out, cancel_beats_timeout)

static int child_of_a_timeout(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_FOREVER); /* -ECANCELED: it is not its own timeout */
}

static int whose_timeout(void *arg)
{
    hank_scope s;
    int results[2];
    (void)arg;
    hank_timeout_begin(&s, HANK_MS(1));
    hank_task tasks[] = {hank_spawn(child_of_a_timeout, NULL),
                         hank_spawn(child_of_a_timeout, NULL)};
    int rc = hank_gather_n(tasks, 2, results);
    MUST(hank_timeout_end(&s));
    MUST(rc == -ETIMEDOUT && results[0] == -ECANCELED && results[1] == -ECANCELED);
    return 0;
}
EACH(timeout, is_its_owners_and_those_it_waits_for_are_cancelled, whose_timeout)

static int group_within(void *arg)
{
    hank_group g = {0};
    (void)arg;
    MUST(hank_group_spawn(&g, sleep_forever, NULL) == 0);
    MUST(hank_group_spawn(&g, give_back, number(-EIO)) == 0);
    MUST(hank_group_wait(&g) == -EIO); /* which cancelled the other */
    MUST(hank_stopped() == 0 && hank_sleep(1) == 0);
    hank_group_cancel(&g);
    MUST(hank_stopped() == 0 && hank_sleep(1) == 0);
    MUST(hank_group_wait(&g) == 0 && hank_stopped() == 0);
    return 0;
}
EACH(group, its_own_cancel_never_reaches_who_waits_for_it, group_within)

static int set_it(void *e)
{
    hank_event_set(e);
    return 0;
}

static int finish_or_stop(void *arg)
{
    hank_event *e = arg;
    return hank_event_wait(e) == 0 ? 1 : -ECANCELED;
}

static int cancel_races_with_completion(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        hank_event e = {0};
        hank_task t = hank_spawn(finish_or_stop, &e);
        for (int n = 0; n < i % 4; n++)
            (void)hank_yield();
        hank_task setter = hank_spawn(set_it, &e);
        MUST(hank_cancel(t) == 0);
        int rc = hank_await(t);
        MUST(rc == 1 || rc == -ECANCELED); /* one or the other */
        MUST(hank_await(setter) == 0 && hank_event_is_set(&e));
    }
    return 0;
}
EACH(cancel, that_races_with_a_completion_is_decided_once, cancel_races_with_completion)
