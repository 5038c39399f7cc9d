/* SPDX-License-Identifier: MIT */
/* scope_test.c - what <hank/scope.h> says of timeouts and shields, one sentence a test. */
#include "api/support.h"
#include "last_words.h"

/* --- timeouts -------------------------------------------------------------------------------- */

static int let_it_expire(void *arg)
{
    (void)arg;
    hank_scope s;
    hank_ns begin = hank_now();
    hank_timeout_begin(&s, HANK_MS(2));
    CHECK(hank_stopped() == 0);
    CHECK(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
    CHECK(hank_now() - begin >= HANK_MS(2));
    CHECK(hank_sleep(1) == -ETIMEDOUT); /* a level: it stays */
    CHECK(hank_yield() == -ETIMEDOUT);
    CHECK(hank_stopped() == -ETIMEDOUT);
    CHECK(hank_timeout_end(&s));
    CHECK(hank_stopped() == 0); /* no call after this one sees its stop */
    CHECK(hank_yield() == 0);
    CHECK(hank_sleep(1) == 0);
    return 0;
}

Test(timeout, fails_every_wait_once_the_time_is_over_and_none_after_its_end)
{
    with_each_size(let_it_expire, NULL);
    cr_expect_eq(let_it_expire(NULL), 0, "on a thread, too");
}

static int try_odd_times(void *arg)
{
    (void)arg;
    static const hank_ns gone[] = {0, -1, INT64_MIN, INT64_MIN + 1};
    static const hank_ns far[] = {HANK_FOREVER, HANK_FOREVER - 1, INT64_MAX / 2, HANK_SEC(1000)};
    hank_scope s;
    for (int i = 0; i < 4; i++) {
        hank_timeout_begin(&s, gone[i]);
        CHECK(hank_stopped() == -ETIMEDOUT);
        CHECK(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
        CHECK(hank_timeout_end(&s));
        hank_timeout_begin(&s, far[i]);
        CHECK(hank_stopped() == 0);
        CHECK(hank_sleep(1) == 0);
        CHECK(!hank_timeout_end(&s));
    }
    return 0;
}

Test(timeout, of_nothing_or_less_has_expired_and_of_for_ever_never_does)
{
    with_each_size(try_odd_times, NULL);
    cr_expect_eq(try_odd_times(NULL), 0);
}

static int compute_past_the_deadline(void *arg)
{
    (void)arg;
    hank_scope s;
    hank_timeout_begin(&s, 1);
    for (hank_ns begin = hank_now(); hank_now() - begin < HANK_US(50);)
        continue;
    CHECK(!hank_timeout_end(&s)); /* it stopped nothing */
    CHECK(hank_stopped() == 0);
    return 0;
}

Test(timeout, that_no_wait_met_has_not_expired)
{
    with_each_size(compute_past_the_deadline, NULL);
}

static int nest_timeouts(void *arg)
{
    (void)arg;
    hank_scope outer, inner;
    hank_timeout_begin(&outer, HANK_SEC(100));
    hank_timeout_begin(&inner, HANK_MS(1));
    CHECK(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
    CHECK(hank_timeout_end(&inner));
    CHECK(hank_stopped() == 0);
    CHECK(hank_sleep(HANK_US(10)) == 0);
    CHECK(!hank_timeout_end(&outer));

    hank_timeout_begin(&outer, HANK_MS(1));
    hank_timeout_begin(&inner, HANK_SEC(100));
    CHECK(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
    CHECK(!hank_timeout_end(&inner));
    CHECK(hank_stopped() == -ETIMEDOUT);
    CHECK(hank_timeout_end(&outer));

    CHECK(hank_stopped() == 0);
    return 0;
}

Test(timeout, nests_and_each_tells_whether_it_was_the_one)
{
    with_each_size(nest_timeouts, NULL);
}

static int use_within(void *arg)
{
    (void)arg;
    CHECK(hank_within(HANK_MS(1), hank_sleep(HANK_FOREVER)) == -ETIMEDOUT);
    CHECK(hank_within(HANK_SEC(100), hank_sleep(1)) == 0);
    CHECK(hank_within(HANK_SEC(100), hank_await(hank_spawn(give_back, number(5)))) == 5);
    CHECK(hank_within(HANK_MS(1), hank_await(hank_spawn(sleep_forever, NULL))) == -ETIMEDOUT);
    CHECK(hank_within(HANK_MS(1), hank_gather(hank_spawn(sleep_forever, NULL),
                                              hank_spawn(sleep_forever, NULL))) == -ETIMEDOUT);
    hank_task cancelled = hank_spawn(sleep_forever, NULL);
    CHECK(hank_cancel(cancelled) == 0);
    CHECK(hank_within(HANK_SEC(100), hank_await(cancelled)) == -ECANCELED); /* not the timeout's */
    CHECK(hank_stopped() == 0);
    return 0;
}

Test(within, is_one_call_under_one_timeout_and_its_result)
{
    with_each_size(use_within, NULL);
}

/* --- timeouts and the tree ------------------------------------------------------------------- */

typedef struct child {
    flag started;
    int stop;
    int levels;
} child;

static int note_the_stop(void *arg)
{
    child *c = arg;
    set(&c->started);
    if (c->levels-- > 0)
        return hank_await(hank_spawn(note_the_stop, c));
    c->stop = hank_sleep(HANK_FOREVER);
    CHECK(hank_stopped() == -ECANCELED);
    return c->stop;
}

/* `first`: let it start elsewhere, so that it is not called. */
static int time_a_child_out(int levels, bool first)
{
    child c = {.levels = levels};
    hank_scope s;
    hank_task t = hank_spawn(note_the_stop, &c);
    if (first)
        YIELD_UNTIL(is_set(&c.started));
    hank_timeout_begin(&s, HANK_MS(1));
    int rc = hank_await(t);
    /* On a busy machine it may be over before the child has begun. */
    CHECK(is_set(&c.started) == 0 || c.stop == -ECANCELED || c.levels >= 0);
    CHECK(rc == -ETIMEDOUT);
    CHECK(hank_timeout_end(&s));
    CHECK(hank_stopped() == 0);
    return 0;
}

static int time_children_out(void *arg)
{
    (void)arg;
    for (int levels = 0; levels < 6; levels++) {
        CHECK(time_a_child_out(levels, false) == 0);
        CHECK(time_a_child_out(levels, true) == 0);
    }
    return 0;
}

Test(timeout, cancels_the_tasks_that_are_waited_for)
{
    with_each_size(time_children_out, NULL);
}

static int return_well_when_stopped(void *arg)
{
    set(arg);
    (void)hank_sleep(HANK_FOREVER);
    return 5;
}

static int time_out_one_that_copes(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_scope s;
    hank_task t = hank_spawn(return_well_when_stopped, &started);
    YIELD_UNTIL(is_set(&started));
    hank_timeout_begin(&s, HANK_MS(1));
    CHECK(hank_await(t) == 5);
    CHECK(hank_timeout_end(&s));
    started = 0;
    int results[2];
    hank_task two[] = {hank_spawn(return_well_when_stopped, &started),
                       hank_spawn(return_well_when_stopped, &started)};
    YIELD_UNTIL(hk_load_acquire(&started) == 2);
    CHECK(hank_within(HANK_MS(1), hank_gather_n(two, 2, results)) == 0);
    CHECK(results[0] == 5 && results[1] == 5);
    return 0;
}

Test(timeout, leaves_the_result_of_a_child_that_did_well_in_spite_of_it)
{
    with_each_size(time_out_one_that_copes, NULL);
}

static int race_against_the_clock(void *arg)
{
    (void)arg;
    flag started = 0;
    int result = 77;
    hank_scope s;
    hank_task two[] = {hank_spawn(return_well_when_stopped, &started),
                       hank_spawn(sleep_forever, NULL)};
    YIELD_UNTIL(is_set(&started));
    hank_timeout_begin(&s, HANK_MS(1));
    CHECK(hank_race_n(two, 2, &result) == -ETIMEDOUT);
    CHECK(result == 77);
    CHECK(hank_timeout_end(&s));
    return 0;
}

Test(timeout, of_a_race_says_so)
{
    with_each_size(race_against_the_clock, NULL);
}

static int begin_and_be_cancelled(void *arg)
{
    flag *started = arg;
    hank_scope s;
    hank_timeout_begin(&s, HANK_FOREVER);
    set(started);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    hank_scope over;
    hank_timeout_begin(&over, 0);
    CHECK(hank_stopped() == -ECANCELED); /* cancelling comes first */
    CHECK(hank_sleep(1) == -ECANCELED);
    CHECK(hank_timeout_expired(&over));
    CHECK(!hank_timeout_end(&over)); /* and it is what the task ends by */
    CHECK(!hank_timeout_end(&s));
    return -ECANCELED;
}

static int cancel_inside_a_timeout(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn(begin_and_be_cancelled, &started);
    YIELD_UNTIL(is_set(&started));
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    return 0;
}

Test(timeout, comes_after_cancelling)
{
    with_each_size(cancel_inside_a_timeout, NULL);
}

/* --- shields --------------------------------------------------------------------------------- */

static int last_words(void *arg)
{
    flag *started = arg;
    set(started);
    CHECK(hank_sleep(HANK_FOREVER) == -ECANCELED);
    hank_scope shield, limit;
    hank_shield_begin(&shield);
    CHECK(hank_stopped() == 0);
    CHECK(hank_yield() == 0);
    CHECK(hank_sleep(HANK_US(100)) == 0);
    CHECK(hank_await(hank_spawn(yield_once, number(4))) == 4);
    hank_timeout_begin(&limit, HANK_MS(1)); /* begun inside: it counts */
    CHECK(hank_sleep(HANK_FOREVER) == -ETIMEDOUT);
    CHECK(hank_timeout_end(&limit));
    CHECK(hank_stopped() == 0);
    hank_shield_end(&shield);
    CHECK(hank_stopped() == -ECANCELED); /* a stop that was held off counts again */
    CHECK(hank_sleep(1) == -ECANCELED);
    return 0;
}

static int cancel_one_with_last_words(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn(last_words, &started);
    YIELD_UNTIL(is_set(&started));
    CHECK(hank_cancel(t) == 0);
    return hank_await(t);
}

Test(shield, holds_off_stops_from_before_it_until_its_end)
{
    with_each_size(cancel_one_with_last_words, NULL);
}

typedef struct shielded {
    flag started;
    flag go;
    flag stopped;
    int levels;
} shielded;

static int work_to_the_end(void *arg)
{
    shielded *s = arg;
    set(&s->started);
    if (s->levels-- > 0)
        return hank_await(hank_spawn(work_to_the_end, s));
    for (int i = 0; i < 5 || !is_set(&s->go); i++)
        if (hank_sleep(HANK_US(200)) < 0)
            set(&s->stopped);
    return 6;
}

static int shield_a_child(void *arg)
{
    shielded *s = arg;
    hank_scope outer, shield;
    hank_timeout_begin(&outer, HANK_US(100));
    hank_shield_begin(&shield);
    CHECK(hank_await(hank_spawn(work_to_the_end, s)) == 6);
    hank_shield_end(&shield);
    CHECK(hank_stopped() == -ECANCELED);
    (void)hank_timeout_end(&outer);
    return 0;
}

static int cancel_a_shielded_parent(void *arg)
{
    (void)arg;
    for (int levels = 0; levels < 4; levels++) {
        shielded s = {.levels = levels};
        hank_task t = hank_spawn(shield_a_child, &s);
        YIELD_UNTIL(hk_load_acquire(&s.started) == levels + 1);
        CHECK(hank_cancel(t) == 0);
        set(&s.go); /* not before: the child must be inside when its parent is cancelled */
        CHECK(hank_await(t) == 0);
        CHECK(!is_set(&s.stopped));
    }
    return 0;
}

Test(shield, of_a_parent_protects_the_child_it_waits_for)
{
    with_each_size(cancel_a_shielded_parent, NULL);
}

static int wait_shielded(void *arg)
{
    hank_scope shield;
    hank_shield_begin(&shield);
    set(arg);
    YIELD_UNTIL(hk_load_acquire((flag *)arg) >= 2);
    CHECK(hank_sleep(HANK_US(500)) == 0);
    hank_shield_end(&shield);
    return hank_sleep(HANK_FOREVER); /* until the parent's timeout has found its way here */
}

/* The shield is the child's: what stops its parents does not stop it, called or not. */
static int await_in_a_hurry(void *arg)
{
    flag *f = arg;
    hank_scope s;
    hank_timeout_begin(&s, HANK_FOREVER);
    hank_task t = hank_spawn(wait_shielded, f);
    YIELD_UNTIL(is_set(f)); /* not before: a child that a stop finds not started never starts */
    CHECK(hank_timeout_reschedule(&s, hank_now() + HANK_US(100)) == 0);
    int rc = hank_await(t);
    CHECK(rc == -ETIMEDOUT);
    CHECK(hank_timeout_end(&s));
    return 0;
}

static int hurry_one_up(void *arg)
{
    (void)arg;
    flag f = 0;
    hank_task t = hank_spawn(await_in_a_hurry, &f);
    YIELD_UNTIL(is_set(&f));
    set(&f);
    return hank_await(t);
}

Test(shield, of_a_child_holds_off_its_parents_timeout)
{
    with_each_size(hurry_one_up, NULL);
}

/* --- what is not allowed --------------------------------------------------------------------- */

static int end_in_the_wrong_order(void *outer)
{
    hank_scope inner;
    hank_timeout_begin(outer, HANK_FOREVER);
    hank_timeout_begin(&inner, HANK_FOREVER);
    (void)hank_timeout_end(outer);
    return 0;
}

Test(scope, that_is_not_the_innermost_cannot_be_ended)
{
    hank_scope outer;
    culprit_must_panic(end_in_the_wrong_order, "timeout", &outer);
}

static int end_a_shield_as_a_timeout(void *s)
{
    hank_shield_begin(s);
    (void)hank_timeout_end(s);
    return 0;
}

Test(scope, of_another_kind_cannot_be_ended)
{
    hank_scope s;
    culprit_must_panic(end_a_shield_as_a_timeout, "shield", &s);
}

static int end_a_timeout(void *s)
{
    (void)hank_timeout_end(s);
    return 0;
}

static int end_a_shield(void *s)
{
    hank_shield_end(s);
    return 0;
}

Test(scope, that_never_began_cannot_be_ended)
{
    hank_scope s = {{0}};
    culprit_must_panic(end_a_timeout, "timeout", &s);
    culprit_must_panic(end_a_shield, "shield", &s);
}

static int return_inside(void *s)
{
    hank_timeout_begin(s, HANK_FOREVER);
    return 0;
}

static int return_inside_a_shield(void *s)
{
    hank_shield_begin(s);
    return 0;
}

Test(scope, that_a_task_returned_from_inside_of_is_a_panic_that_names_it)
{
    hank_scope s;
    culprit_must_panic(return_inside, "timeout", &s);
    culprit_must_panic(return_inside_a_shield, "shield", &s);
}

static int leave_one_open_within(void *s)
{
    return hank_within(HANK_FOREVER, return_inside_a_shield(s));
}

Test(scope, that_a_call_within_a_timeout_left_open_is_a_panic_that_names_it)
{
    hank_scope s;
    culprit_must_panic(leave_one_open_within, "shield", &s);
}
