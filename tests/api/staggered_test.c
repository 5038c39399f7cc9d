/* SPDX-License-Identifier: MIT */
/* staggered_test.c - hank_race_staggered: attempts one after the other until one succeeds,
 * asyncio's staggered_race. */
#include "api/compose_support.h"

enum { MANY = 4, ROUNDS = 100 };

/* An attempt that waits for its gate, if it has one, and ends with `result`. */
typedef struct attempt {
    hank_event *gate;
    int result;
    bool stubborn; /* it finishes its work in spite of a stop */
    HK_ATOMIC(int) started;
    HK_ATOMIC(int) disposed;
    HK_ATOMIC(int) ended;
} attempt;

static int try_it(void *arg)
{
    attempt *a = arg;
    int rc = 0;
    (void)hk_add_acqrel(&a->started, 1);
    if (a->gate)
        rc = hank_event_wait(a->gate);
    (void)hk_add_acqrel(&a->ended, 1);
    return rc < 0 && !a->stubborn ? rc : a->result;
}

static void dispose(void *arg, int result)
{
    attempt *a = arg;
    CHECK(result == a->result);
    (void)hk_add_acqrel(&a->disposed, 1);
}

static void aim(hank_attempt *ret_attempts, attempt *as, int n)
{
    for (int i = 0; i < n; i++)
        ret_attempts[i] = (hank_attempt){try_it, &as[i]};
}

static int count(HK_ATOMIC(int) * n)
{
    return hk_load_acquire(n);
}

static int first_wins(void *arg)
{
    attempt as[MANY] = {{.result = 7}};
    hank_attempt attempts[MANY];
    int results[MANY];
    (void)arg;
    aim(attempts, as, MANY);
    hank_stagger how = {.delay = HANK_FOREVER, .dispose = dispose};
    MUST(hank_race_staggered(attempts, MANY, &how, results) == 0);
    MUST(results[0] == 7);
    for (int i = 1; i < MANY; i++) {
        MUST(results[i] == -ECANCELED && count(&as[i].started) == 0);
        MUST(count(&as[i].disposed) == 0);
    }
    return 0;
}
EACH(staggered, an_attempt_that_succeeds_in_time_keeps_the_others_from_starting, first_wins)

static int failure_starts_the_next(void *arg)
{
    attempt as[MANY] = {{.result = -EIO}, {.result = -EPIPE}, {.result = 9}, {.result = 1}};
    hank_attempt attempts[MANY];
    int results[MANY];
    (void)arg;
    aim(attempts, as, MANY);
    hank_stagger how = {.delay = HANK_FOREVER};
    MUST(hank_race_staggered(attempts, MANY, &how, results) == 2);
    MUST(results[0] == -EIO && results[1] == -EPIPE && results[2] == 9);
    MUST(results[3] == -ECANCELED && count(&as[3].started) == 0);
    return 0;
}
EACH(staggered, a_failure_starts_the_next_before_the_delay_is_over, failure_starts_the_next)

static int delay_starts_the_next(void *arg)
{
    hank_event never = {0};
    attempt as[2] = {{.gate = &never}, {.result = 3}};
    hank_attempt attempts[2];
    int results[2];
    (void)arg;
    aim(attempts, as, 2);
    hank_stagger how = {.delay = HANK_MS(1)};
    MUST(hank_race_staggered(attempts, 2, &how, results) == 1);
    MUST(results[0] == -ECANCELED && results[1] == 3);
    MUST(count(&as[0].started) == 1 && count(&as[0].ended) == 1); /* joined */
    return 0;
}
EACH(staggered, the_delay_starts_the_next_and_the_loser_is_joined, delay_starts_the_next)

static int all_at_once(void *arg)
{
    hank_event never = {0};
    attempt as[MANY] = {{.gate = &never}, {.gate = &never}, {.gate = &never}, {.result = 5}};
    hank_attempt attempts[MANY];
    int results[MANY];
    (void)arg;
    aim(attempts, as, MANY);
    MUST(hank_race_staggered(attempts, MANY, NULL, results) == 3);
    MUST(results[3] == 5);
    for (int i = 0; i < 3; i++)
        MUST(results[i] == -ECANCELED);
    return 0;
}
EACH(staggered, without_a_delay_all_start_at_once, all_at_once)

static int all_fail(void *arg)
{
    attempt as[3] = {{.result = -EIO}, {.result = -EPIPE}, {.result = -EACCES}};
    hank_attempt attempts[3];
    int results[3];
    (void)arg;
    aim(attempts, as, 3);
    hank_stagger how = {.delay = HANK_FOREVER};
    MUST(hank_race_staggered(attempts, 3, &how, results) == -EACCES);
    MUST(results[0] == -EIO && results[1] == -EPIPE && results[2] == -EACCES);
    return 0;
}
EACH(staggered, gives_the_last_failure_if_all_fail, all_fail)

static int single(void *arg)
{
    attempt good = {.result = 4}, bad = {.result = -EIO};
    (void)arg;
    MUST(hank_race_staggered(&(hank_attempt){try_it, &good}, 1, NULL, NULL) == 0);
    MUST(hank_race_staggered(&(hank_attempt){try_it, &bad}, 1, NULL, NULL) == -EIO);
    return 0;
}
EACH(staggered, of_one_attempt_is_that_attempt, single)

static int bad_arguments(void *arg)
{
    hank_attempt none = {NULL, NULL};
    (void)arg;
    MUST(hank_race_staggered(NULL, 0, NULL, NULL) == -EINVAL);
    MUST(hank_race_staggered(&none, 1, NULL, NULL) == -EINVAL);
    MUST(hank_race_staggered(&none, 2000000, NULL, NULL) == -E2BIG);
    return 0;
}
EACH(staggered, of_nothing_is_invalid, bad_arguments)

Test(staggered, is_for_tasks)
{
    attempt a = {.result = 0};
    cr_assert_eq(hank_race_staggered(&(hank_attempt){try_it, &a}, 1, NULL, NULL), -EPERM);
}

/* The loser succeeds although it is stopped. */
static int late_winner(void *arg)
{
    hank_event never = {0};
    attempt as[3] = {{.gate = &never, .result = 11, .stubborn = true},
                     {.gate = &never, .result = 12, .stubborn = true},
                     {.result = 13}};
    hank_attempt attempts[3];
    int results[3];
    (void)arg;
    aim(attempts, as, 3);
    hank_stagger how = {.delay = HANK_MS(1), .dispose = dispose};
    MUST(hank_race_staggered(attempts, 3, &how, results) == 2);
    MUST(results[0] == 11 && results[1] == 12 && results[2] == 13);
    MUST(count(&as[0].disposed) == 1 && count(&as[1].disposed) == 1);
    MUST(count(&as[2].disposed) == 0);
    return 0;
}
EACH(staggered, who_succeeds_too_late_is_disposed_of_once_and_the_winner_is_not, late_winner)

static int nobody_to_dispose(void *arg)
{
    hank_event never = {0};
    attempt as[2] = {{.gate = &never, .result = 1, .stubborn = true}, {.result = -EIO}};
    hank_attempt attempts[2];
    (void)arg;
    aim(attempts, as, 2);
    hank_stagger how = {.delay = HANK_MS(1), .dispose = NULL};
    /* The second fails, the first goes on: nobody else is left but the timeout. */
    MUST(hank_within(HANK_MS(5), hank_race_staggered(attempts, 2, &how, NULL)) == 0);
    MUST(count(&as[0].ended) == 1);
    return 0;
}
EACH(staggered, one_that_succeeds_although_all_is_stopped_has_won, nobody_to_dispose)

static int time_out(void *arg)
{
    hank_event never = {0};
    attempt as[2] = {{.gate = &never}, {.gate = &never}};
    hank_attempt attempts[2];
    int results[2] = {1, 1};
    (void)arg;
    aim(attempts, as, 2);
    hank_stagger how = {.delay = HANK_US(1), .dispose = dispose};
    int rc = hank_within(HANK_MS(3), hank_race_staggered(attempts, 2, &how, results));
    MUST(rc == -ETIMEDOUT);
    MUST(results[0] < 0 && results[1] < 0);
    for (int i = 0; i < 2; i++)
        MUST(count(&as[i].started) == count(&as[i].ended)); /* joined, if it had begun */
    return 0;
}
EACH(staggered, that_times_out_joins_all_and_says_so, time_out)

typedef struct stopped_race {
    hank_event never;
    attempt as[2];
    int result;
} stopped_race;

static int race_two(void *arg)
{
    stopped_race *s = arg;
    hank_attempt attempts[2];
    aim(attempts, s->as, 2);
    return (int)hank_race_staggered(attempts, 2, &(hank_stagger){.delay = HANK_FOREVER}, NULL);
}

static int cancel_it(void *arg)
{
    stopped_race s = {.as = {{.gate = &s.never}, {.gate = &s.never}}};
    (void)arg;
    hank_task t = hank_spawn(race_two, &s);
    YIELD_UNTIL(count(&s.as[0].started) == 1);
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    MUST(count(&s.as[0].ended) == 1 && count(&s.as[1].started) == 0);
    return 0;
}
EACH(staggered, that_is_cancelled_cancels_and_joins_what_runs_and_starts_no_more, cancel_it)

static int when_stopped(void *arg)
{
    attempt a = {.result = 1};
    (void)arg;
    MUST(hank_within(0, hank_race_staggered(&(hank_attempt){try_it, &a}, 1, NULL, NULL)) ==
         -ETIMEDOUT);
    MUST(count(&a.started) == 0);
    return 0;
}
EACH(staggered, starts_nothing_for_who_is_stopped, when_stopped)

/* Every success is either the winner or disposed of, whoever is first. */
static int each_success_once(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        hank_event gate = {0};
        attempt as[MANY];
        hank_attempt attempts[MANY];
        int results[MANY];
        for (int i = 0; i < MANY; i++)
            as[i] = (attempt){.gate = i == round % MANY ? NULL : &gate, .result = i};
        hank_event_set(&gate);
        aim(attempts, as, MANY);
        hank_stagger how = {.delay = round % 3, .dispose = dispose};
        ssize_t winner = hank_race_staggered(attempts, MANY, &how, results);
        MUST(winner >= 0 && results[winner] == winner);
        for (int i = 0; i < MANY; i++)
            MUST(count(&as[i].disposed) == (i != winner && results[i] >= 0));
    }
    return 0;
}
EACH(staggered, accounts_for_each_success_once, each_success_once)

typedef struct walked {
    attempt as[MANY];
    hank_event gate;
    ssize_t winner;
    int results[MANY];
} walked;

static void anew(void *state)
{
    walked *w = state;
    *w = (walked){.winner = -1};
    for (int i = 0; i < MANY; i++)
        w->as[i] = (attempt){.gate = i % 2 ? &w->gate : NULL, .result = i % 2 ? i : -EIO};
}

static int race_all(void *state)
{
    walked *w = state;
    hank_attempt attempts[MANY];
    aim(attempts, w->as, MANY);
    hank_stagger how = {.delay = HANK_FOREVER, .dispose = dispose};
    w->winner = hank_race_staggered(attempts, MANY, &how, w->results);
    return w->winner < 0 ? (int)w->winner : 0;
}

static int open_gate(void *state)
{
    hank_event_set(&((walked *)state)->gate);
    return 0;
}

static bool is_accounted_for(void *state, int rc, bool stopped)
{
    walked *w = state;
    for (int i = 0; i < MANY; i++) {
        if (count(&w->as[i].started) != count(&w->as[i].ended))
            return false;
        if (count(&w->as[i].disposed) != (rc == 0 && i != w->winner && w->results[i] >= 0))
            return false;
    }
    return rc == 0 || (stopped && (rc == -ECANCELED || rc == -ETIMEDOUT));
}

static int walk(void *arg)
{
    walked w;
    (void)arg;
    MUST(everywhere(&(everywhere_scenario){anew, race_all, open_gate, is_accounted_for, &w}) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(staggered, can_be_stopped_at_any_point, walk)
