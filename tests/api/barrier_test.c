/* SPDX-License-Identifier: MIT */
/* barrier_test.c - all or nobody: places, generations, breaking, leaving; 1, 2 and 8 workers. */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

enum { PARTIES = 5 };

typedef struct meeting {
    hank_barrier b;
    int before[PARTIES]; /* plain: what each wrote before, all see after it */
} meeting;

typedef struct party {
    meeting *meeting;
    int number;
    int rounds;
} party;

static int arrive(void *b)
{
    return hank_barrier_wait(b);
}

static int bring(hank_barrier *b, hank_task *tasks, int n)
{
    unsigned already = hank_barrier_waiting(b);
    for (int i = 0; i < n; i++) {
        tasks[i] = hank_spawn(arrive, b);
        YIELD_UNTIL(hank_barrier_waiting(b) == already + (unsigned)i + 1);
    }
    return 0;
}

/* All end with `expected`. */
static int all_say(hank_task *tasks, int n, int expected)
{
    for (int i = 0; i < n; i++)
        MUST(hank_await(tasks[i]) == expected);
    return 0;
}

/* Each has a place of its own, from 0 to n - 1. */
static int all_pass(hank_task *tasks, int n, int last)
{
    unsigned places = 1u << last;
    for (int i = 0; i < n; i++) {
        int place = hank_await(tasks[i]);
        MUST(place >= 0 && place <= n && !(places >> place & 1));
        places |= 1u << place;
    }
    MUST(places == (2u << n) - 1);
    return 0;
}

static int stop_one(hank_task t)
{
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    return 0;
}

/* --- passing --------------------------------------------------------------------------------- */

BEHAVIOUR(barrier, all_pass_when_the_last_has_come_each_with_a_number_of_its_own)
{
    hank_barrier b = {.parties = PARTIES};
    hank_task tasks[PARTIES - 1];
    MUST(bring(&b, tasks, PARTIES - 1) == 0);
    int last = hank_barrier_wait(&b);
    MUST(last == PARTIES - 1);
    MUST(all_pass(tasks, PARTIES - 1, last) == 0);
    MUST(hank_barrier_waiting(&b) == 0);
    return 0;
}

BEHAVIOUR(barrier, numbers_are_given_in_the_order_of_coming)
{
    hank_barrier b = {.parties = PARTIES};
    hank_task tasks[PARTIES - 1];
    MUST(bring(&b, tasks, PARTIES - 1) == 0);
    MUST(hank_barrier_wait(&b) == PARTIES - 1);
    for (int i = 0; i < PARTIES - 1; i++)
        MUST(hank_await(tasks[i]) == i);
    return 0;
}

BEHAVIOUR(barrier, one_party_never_waits)
{
    hank_barrier b = {.parties = 1};
    for (int i = 0; i < 10; i++)
        MUST(hank_barrier_wait(&b) == 0);
    return 0;
}

BEHAVIOUR(barrier, a_number_of_parties_out_of_its_limits_is_invalid)
{
    hank_barrier none = {0}, many = {.parties = (uint32_t)INT32_MAX + 1};
    MUST(hank_barrier_wait(&none) == -EINVAL && hank_barrier_wait(&many) == -EINVAL);
    return 0;
}

BEHAVIOUR(barrier, it_can_be_used_again_at_once)
{
    hank_barrier b = {.parties = 3};
    hank_task tasks[2];
    for (int i = 0; i < 20; i++) {
        MUST(bring(&b, tasks, 2) == 0);
        MUST(hank_barrier_wait(&b) == 2);
        MUST(all_pass(tasks, 2, 2) == 0);
    }
    return 0;
}

static int meet_in_rounds(void *arg)
{
    party *p = arg;
    meeting *m = p->meeting;
    for (int round = 1; round <= p->rounds; round++) {
        m->before[p->number] = round;
        int rc = hank_barrier_wait(&m->b);
        if (rc < 0)
            return rc;
        for (int i = 0; i < PARTIES; i++)
            CHECK(m->before[i] == round);
        rc = hank_barrier_wait(&m->b); /* nobody writes before all have read */
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void *meet_as_thread(void *arg)
{
    cr_expect_eq(meet_in_rounds(arg), 0);
    return NULL;
}

BEHAVIOUR(barrier, what_each_wrote_before_all_see_after_it_tasks_and_threads)
{
    meeting m = {.b = {.parties = PARTIES}};
    party parties[PARTIES];
    hank_task tasks[PARTIES - 1];
    for (int i = 0; i < PARTIES; i++)
        parties[i] = (party){&m, i, 100};
    for (int i = 0; i < PARTIES - 1; i++)
        tasks[i] = hank_spawn(meet_in_rounds, &parties[i]);
    pthread_t thread = start_thread(meet_as_thread, &parties[PARTIES - 1]);
    MUST(hank_gather_n(tasks, PARTIES - 1, NULL) == 0);
    join_thread(thread);
    return 0;
}

BEHAVIOUR(barrier, twice_as_many_as_its_parties_are_two_generations)
{
    hank_barrier b = {.parties = 3};
    hank_task tasks[6];
    int places[3] = {0};
    for (int i = 0; i < 6; i++)
        tasks[i] = hank_spawn(arrive, &b);
    for (int i = 0; i < 6; i++) {
        int place = hank_await(tasks[i]);
        MUST(place >= 0 && place < 3);
        places[place]++;
    }
    MUST(places[0] == 2 && places[1] == 2 && places[2] == 2);
    return 0;
}

BEHAVIOUR(barrier, how_many_wait_can_be_asked)
{
    hank_barrier b = {.parties = PARTIES};
    hank_task tasks[2];
    MUST(hank_barrier_waiting(&b) == 0);
    MUST(bring(&b, tasks, 2) == 0);
    MUST(hank_barrier_waiting(&b) == 2 && !hank_barrier_is_broken(&b));
    hank_barrier_abort(&b);
    MUST(hank_barrier_waiting(&b) == 0);
    return all_say(tasks, 2, -ENOTRECOVERABLE);
}

/* --- leaving --------------------------------------------------------------------------------- */

BEHAVIOUR(barrier, a_cancelled_party_leaves_and_the_barrier_stays_whole)
{
    hank_barrier b = {.parties = 3};
    hank_task gone, tasks[2];
    MUST(bring(&b, &gone, 1) == 0);
    MUST(stop_one(gone) == 0);
    MUST(hank_barrier_waiting(&b) == 0 && !hank_barrier_is_broken(&b));
    MUST(bring(&b, tasks, 2) == 0);
    MUST(hank_barrier_wait(&b) == 2);
    return all_pass(tasks, 2, 2);
}

BEHAVIOUR(barrier, one_that_timed_out_leaves_and_the_barrier_stays_whole)
{
    hank_barrier b = {.parties = 2};
    hank_task t;
    MUST(hank_within(HANK_US(100), hank_barrier_wait(&b)) == -ETIMEDOUT);
    MUST(hank_barrier_waiting(&b) == 0 && !hank_barrier_is_broken(&b));
    MUST(bring(&b, &t, 1) == 0);
    MUST(hank_barrier_wait(&b) == 1 && hank_await(t) == 0);
    return 0;
}

BEHAVIOUR(barrier, a_stopped_task_does_not_count_as_come)
{
    hank_barrier b = {.parties = 2};
    hank_scope s;
    hank_task t;
    MUST(bring(&b, &t, 1) == 0);
    hank_timeout_begin(&s, 0);
    MUST(hank_barrier_wait(&b) == -ETIMEDOUT);
    MUST(hank_timeout_end(&s));
    MUST(hank_barrier_waiting(&b) == 1);
    MUST(hank_barrier_wait(&b) == 1 && hank_await(t) == 0);
    return 0;
}

BEHAVIOUR(barrier, one_that_leaves_from_the_middle_gives_no_number_away)
{
    hank_barrier b = {.parties = 4};
    hank_task tasks[3], more;
    MUST(bring(&b, tasks, 3) == 0);
    MUST(stop_one(tasks[1]) == 0);
    MUST(bring(&b, &more, 1) == 0);
    MUST(hank_barrier_wait(&b) == 3);
    MUST(hank_await(tasks[0]) == 0 && hank_await(tasks[2]) == 1 && hank_await(more) == 2);
    return 0;
}

/* It passes, or it leaves and the others wait on: never a generation that is one short. */
BEHAVIOUR(barrier, a_cancel_that_meets_the_last_to_come_never_lets_the_others_go_one_short)
{
    for (int i = 0; i < 300; i++) {
        hank_barrier b = {.parties = 3};
        hank_task tasks[2], last;
        MUST(bring(&b, tasks, 2) == 0);
        last = hank_spawn(arrive, &b);
        MUST(hank_cancel(tasks[i % 2]) == 0);
        int rc = hank_await(tasks[i % 2]);
        if (rc == -ECANCELED) {
            YIELD_UNTIL(hank_barrier_waiting(&b) == 2);
            MUST(hank_barrier_wait(&b) == 2);
        } else {
            MUST(rc >= 0);
        }
        MUST(hank_await(tasks[1 - i % 2]) >= 0 && hank_await(last) >= 0);
        MUST(hank_barrier_waiting(&b) == 0);
    }
    return 0;
}

BEHAVIOUR(barrier, who_passed_before_it_was_cancelled_has_passed)
{
    hank_barrier b = {.parties = 2};
    hank_task t;
    MUST(bring(&b, &t, 1) == 0);
    MUST(hank_barrier_wait(&b) == 1);
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == 0);
    return 0;
}

/* --- abort and reset ------------------------------------------------------------------------- */

BEHAVIOUR(barrier, an_abort_sends_all_away_who_wait)
{
    hank_barrier b = {.parties = PARTIES};
    hank_task tasks[PARTIES - 1];
    MUST(bring(&b, tasks, PARTIES - 1) == 0);
    hank_barrier_abort(&b);
    MUST(hank_barrier_is_broken(&b));
    return all_say(tasks, PARTIES - 1, -ENOTRECOVERABLE);
}

BEHAVIOUR(barrier, an_aborted_one_lets_nobody_wait)
{
    hank_barrier b = {.parties = 2};
    hank_barrier_abort(&b);
    MUST(hank_barrier_wait(&b) == -ENOTRECOVERABLE);
    MUST(hank_barrier_wait(&b) == -ENOTRECOVERABLE);
    MUST(hank_barrier_waiting(&b) == 0);
    return 0;
}

BEHAVIOUR(barrier, aborting_it_twice_is_aborting_it_once)
{
    hank_barrier b = {.parties = 2};
    hank_barrier_abort(&b);
    hank_barrier_abort(&b);
    MUST(hank_barrier_is_broken(&b));
    hank_barrier_reset(&b);
    MUST(!hank_barrier_is_broken(&b));
    return 0;
}

BEHAVIOUR(barrier, a_reset_makes_an_aborted_one_usable)
{
    hank_barrier b = {.parties = 2};
    hank_task t;
    hank_barrier_abort(&b);
    hank_barrier_reset(&b);
    MUST(bring(&b, &t, 1) == 0);
    MUST(hank_barrier_wait(&b) == 1 && hank_await(t) == 0);
    return 0;
}

BEHAVIOUR(barrier, a_reset_sends_all_away_who_wait_and_leaves_it_whole)
{
    hank_barrier b = {.parties = PARTIES};
    hank_task tasks[3];
    MUST(bring(&b, tasks, 3) == 0);
    hank_barrier_reset(&b);
    MUST(!hank_barrier_is_broken(&b) && hank_barrier_waiting(&b) == 0);
    return all_say(tasks, 3, -ENOTRECOVERABLE);
}

BEHAVIOUR(barrier, a_reset_when_nobody_waits_changes_nothing)
{
    hank_barrier b = {.parties = 2};
    hank_task t;
    hank_barrier_reset(&b);
    hank_barrier_reset(&b);
    MUST(bring(&b, &t, 1) == 0);
    MUST(hank_barrier_wait(&b) == 1 && hank_await(t) == 0);
    return 0;
}

BEHAVIOUR(barrier, who_comes_after_a_reset_is_the_first_of_a_new_generation)
{
    hank_barrier b = {.parties = 3};
    hank_task old[2], tasks[2];
    MUST(bring(&b, old, 2) == 0);
    hank_barrier_reset(&b);
    MUST(bring(&b, tasks, 2) == 0);
    MUST(hank_barrier_wait(&b) == 2);
    MUST(all_say(old, 2, -ENOTRECOVERABLE) == 0);
    return all_pass(tasks, 2, 2);
}

BEHAVIOUR(barrier, one_that_is_cancelled_and_sent_away_at_once_ends_once)
{
    for (int i = 0; i < 200; i++) {
        hank_barrier b = {.parties = 3};
        hank_task tasks[2];
        MUST(bring(&b, tasks, 2) == 0);
        MUST(hank_cancel(tasks[0]) == 0);
        hank_barrier_reset(&b);
        int rc = hank_await(tasks[0]);
        MUST(rc == -ECANCELED || rc == -ENOTRECOVERABLE);
        MUST(hank_await(tasks[1]) == -ENOTRECOVERABLE);
        MUST(hank_barrier_waiting(&b) == 0);
    }
    return 0;
}

static int abort_it(void *b)
{
    hank_barrier_abort(b);
    return 0;
}

BEHAVIOUR(barrier, one_of_its_parties_may_break_it_instead_of_coming)
{
    hank_barrier b = {.parties = PARTIES};
    hank_task tasks[PARTIES - 1];
    MUST(bring(&b, tasks, PARTIES - 1) == 0);
    MUST(hank_await(hank_spawn(abort_it, &b)) == 0);
    return all_say(tasks, PARTIES - 1, -ENOTRECOVERABLE);
}

static void *abort_as_thread(void *b)
{
    hank_barrier_abort(b);
    return NULL;
}

BEHAVIOUR(barrier, a_thread_may_break_it)
{
    hank_barrier b = {.parties = 3};
    hank_task tasks[2];
    MUST(bring(&b, tasks, 2) == 0);
    join_thread(start_thread(abort_as_thread, &b));
    return all_say(tasks, 2, -ENOTRECOVERABLE);
}

/* --- everywhere ------------------------------------------------------------------------------ */

static void begin_walk(void *state)
{
    *(hank_barrier *)state = (hank_barrier){.parties = 2};
}

static int meet_twice(void *state)
{
    int rc = hank_barrier_wait(state);
    return rc < 0 ? rc : (rc = hank_barrier_wait(state)) < 0 ? rc : 0;
}

static bool nobody_waits(void *state, int rc, bool stopped)
{
    return hank_barrier_waiting(state) == 0 && !hank_barrier_is_broken(state) &&
           (rc == 0 || stopped);
}

BEHAVIOUR(barrier, stopped_at_any_wait_it_is_whole_and_empty)
{
    hank_barrier b;
    everywhere_scenario s = {begin_walk, meet_twice, meet_twice, nobody_waits, &b};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
