/* SPDX-License-Identifier: MIT */
/* semaphore_test.c - bounds, several permits at once, and who gets them; 1, 2 and 8 workers. */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

typedef struct taker {
    hank_sem *sem;
    turn_order *turns;
    int64_t wants;
    int number;
} taker;

static int take(void *arg)
{
    taker *t = arg;
    int rc = hank_sem_acquire_n(t->sem, t->wants);
    if (rc == 0 && t->turns)
        note_turn(t->turns, t->number);
    return rc;
}

/* Tasks that want so many, in the queue of `s`. */
static int queue_up(hank_sem *s, const int *wants, int n, taker *takers, hank_task *tasks)
{
    for (int i = 0; i < n; i++) {
        takers[i] = (taker){s, NULL, wants[i], i};
        tasks[i] = hank_spawn(take, &takers[i]);
        YIELD_UNTIL(waiting_at_sem(s) == i + 1);
    }
    return 0;
}

static int left_in(hank_sem *s)
{
    int n = 0;
    while (hank_sem_tryacquire(s) == 0)
        n++;
    for (int i = 0; i < n; i++)
        (void)hank_sem_release(s); /* they were there a moment ago */
    return n;
}

static int stop_one(hank_task t)
{
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    return 0;
}

/* --- values ---------------------------------------------------------------------------------- */

BEHAVIOUR(sem, a_zeroed_one_has_no_permits_but_can_be_given_some)
{
    hank_sem s = {0};
    MUST(hank_sem_tryacquire(&s) == -EAGAIN);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_sem_tryacquire(&s) == 0);
    MUST(hank_sem_tryacquire(&s) == -EAGAIN);
    return 0;
}

BEHAVIOUR(sem, without_a_bound_more_may_be_released_than_it_began_with)
{
    hank_sem s = {.count = 1};
    MUST(hank_sem_release(&s) == 0 && hank_sem_release(&s) == 0);
    MUST(left_in(&s) == 3);
    return 0;
}

BEHAVIOUR(bounded_sem, a_release_beyond_the_bound_overflows_and_changes_nothing)
{
    hank_sem s = {.count = 2, .bound = 2};
    MUST(hank_sem_release(&s) == -EOVERFLOW);
    MUST(left_in(&s) == 2);
    MUST(hank_sem_acquire(&s) == 0);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_sem_release(&s) == -EOVERFLOW);
    MUST(left_in(&s) == 2);
    return 0;
}

BEHAVIOUR(bounded_sem, it_may_begin_with_fewer_permits_than_its_bound)
{
    hank_sem s = {.count = 0, .bound = 2};
    MUST(hank_sem_release_n(&s, 2) == 0);
    MUST(hank_sem_release(&s) == -EOVERFLOW);
    MUST(left_in(&s) == 2);
    return 0;
}

BEHAVIOUR(bounded_sem, a_count_above_the_bound_is_invalid_for_every_call)
{
    hank_sem s = {.count = 3, .bound = 2};
    MUST(hank_sem_acquire(&s) == -EINVAL && hank_sem_tryacquire(&s) == -EINVAL);
    MUST(hank_sem_release(&s) == -EINVAL);
    return 0;
}

BEHAVIOUR(bounded_sem, a_bound_below_0_is_invalid)
{
    hank_sem s = {.count = 0, .bound = -1};
    MUST(hank_sem_acquire(&s) == -EINVAL && hank_sem_release(&s) == -EINVAL);
    return 0;
}

BEHAVIOUR(bounded_sem, wanting_more_than_the_bound_is_invalid_and_does_not_wait)
{
    hank_sem s = {.count = 2, .bound = 2};
    MUST(hank_sem_acquire_n(&s, 3) == -EINVAL);
    MUST(hank_sem_tryacquire_n(&s, 3) == -EINVAL);
    MUST(hank_sem_acquire_n(&s, 2) == 0);
    return 0;
}

BEHAVIOUR(sem, a_number_of_permits_below_1_is_invalid)
{
    hank_sem s = {.count = 2};
    MUST(hank_sem_acquire_n(&s, 0) == -EINVAL && hank_sem_acquire_n(&s, -1) == -EINVAL);
    MUST(hank_sem_tryacquire_n(&s, 0) == -EINVAL);
    MUST(hank_sem_release_n(&s, 0) == -EINVAL && hank_sem_release_n(&s, -5) == -EINVAL);
    MUST(left_in(&s) == 2);
    return 0;
}

BEHAVIOUR(sem, a_release_of_many_overflows_as_a_whole)
{
    hank_sem s = {.count = INT64_MAX - 1}, bounded = {.count = 1, .bound = 3};
    MUST(hank_sem_release_n(&s, 2) == -EOVERFLOW);
    MUST(hank_sem_release_n(&s, 1) == 0);
    MUST(hank_sem_release_n(&bounded, 3) == -EOVERFLOW && left_in(&bounded) == 1);
    return 0;
}

BEHAVIOUR(sem, a_stopped_task_takes_no_permit_though_there_is_one)
{
    hank_sem s = {.count = 1};
    hank_scope scope;
    hank_timeout_begin(&scope, 0);
    MUST(hank_sem_acquire(&s) == -ETIMEDOUT);
    MUST(hank_timeout_end(&scope) && left_in(&s) == 1);
    return 0;
}

/* --- several at once ------------------------------------------------------------------------- */

BEHAVIOUR(sem, many_are_taken_all_at_once_or_not_at_all)
{
    hank_sem s = {.count = 3};
    MUST(hank_sem_tryacquire_n(&s, 4) == -EAGAIN && left_in(&s) == 3);
    MUST(hank_sem_tryacquire_n(&s, 3) == 0 && left_in(&s) == 0);
    return 0;
}

BEHAVIOUR(sem, who_wants_many_waits_until_there_are_enough)
{
    hank_sem s = {.count = 1};
    taker takers[1];
    hank_task tasks[1];
    MUST(queue_up(&s, (int[]){3}, 1, takers, tasks) == 0);
    MUST(hank_sem_release(&s) == 0);
    MUST(waiting_at_sem(&s) == 1); /* 2 of 3 */
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_await(tasks[0]) == 0 && left_in(&s) == 0);
    return 0;
}

BEHAVIOUR(sem, who_wants_few_does_not_overtake_who_wants_many)
{
    hank_sem s = {.count = 1};
    taker takers[2];
    hank_task tasks[2];
    MUST(queue_up(&s, (int[]){3, 1}, 2, takers, tasks) == 0);
    MUST(hank_sem_tryacquire(&s) == -EAGAIN); /* nor does one that just came */
    MUST(hank_sem_release_n(&s, 2) == 0);
    MUST(hank_await(tasks[0]) == 0);
    MUST(waiting_at_sem(&s) == 1);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_await(tasks[1]) == 0);
    return 0;
}

BEHAVIOUR(sem, one_release_of_many_serves_as_many_as_it_is_enough_for)
{
    hank_sem s = {0};
    taker takers[4];
    hank_task tasks[4];
    MUST(queue_up(&s, (int[]){2, 1, 1, 2}, 4, takers, tasks) == 0);
    MUST(hank_sem_release_n(&s, 5) == 0);
    for (int i = 0; i < 3; i++)
        MUST(hank_await(tasks[i]) == 0);
    MUST(waiting_at_sem(&s) == 1);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_await(tasks[3]) == 0 && left_in(&s) == 0);
    return 0;
}

/* It held them up; when it leaves, what is there is enough for them. */
BEHAVIOUR(sem, who_wanted_many_and_is_cancelled_lets_those_behind_it_have_theirs)
{
    hank_sem s = {.count = 2};
    taker takers[3];
    hank_task tasks[3];
    MUST(queue_up(&s, (int[]){3, 1, 1}, 3, takers, tasks) == 0);
    MUST(stop_one(tasks[0]) == 0);
    MUST(hank_await(tasks[1]) == 0 && hank_await(tasks[2]) == 0);
    MUST(left_in(&s) == 0);
    return 0;
}

BEHAVIOUR(sem, the_same_for_one_that_timed_out)
{
    hank_sem s = {.count = 2};
    taker first = {&s, NULL, 2, 0};
    MUST(hank_sem_acquire(&s) == 0);
    MUST(hank_within(HANK_US(100), take(&first)) == -ETIMEDOUT);
    MUST(left_in(&s) == 1);
    return 0;
}

/* --- order and stops ------------------------------------------------------------------------- */

BEHAVIOUR(sem, a_newcomer_does_not_get_a_permit_that_was_released_to_a_waiter)
{
    hank_sem s = {0};
    taker takers[2];
    hank_task tasks[2];
    MUST(queue_up(&s, (int[]){1, 1}, 2, takers, tasks) == 0);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_sem_tryacquire(&s) == -EAGAIN);
    MUST(hank_await(tasks[0]) == 0);
    MUST(hank_sem_release(&s) == 0 && hank_await(tasks[1]) == 0);
    return 0;
}

BEHAVIOUR(sem, a_cancelled_first_lets_the_second_have_the_permit)
{
    hank_sem s = {0};
    taker takers[2];
    hank_task tasks[2];
    MUST(queue_up(&s, (int[]){1, 1}, 2, takers, tasks) == 0);
    MUST(stop_one(tasks[0]) == 0);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_await(tasks[1]) == 0 && left_in(&s) == 0);
    return 0;
}

/* On one worker the first has had no turn to leave the queue when the permit comes. */
BEHAVIOUR(sem, a_permit_passes_over_a_first_that_is_about_to_leave)
{
    hank_sem s = {0};
    taker takers[2];
    hank_task tasks[2];
    MUST(queue_up(&s, (int[]){1, 1}, 2, takers, tasks) == 0);
    MUST(hank_cancel(tasks[0]) == 0);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_within(HANK_SEC(20), hank_await(tasks[1])) == 0);
    MUST(hank_await(tasks[0]) == -ECANCELED && left_in(&s) == 0);
    return 0;
}

BEHAVIOUR(sem, who_was_granted_one_before_it_was_cancelled_has_it)
{
    hank_sem s = {0};
    taker takers[1];
    hank_task tasks[1];
    MUST(queue_up(&s, (int[]){1}, 1, takers, tasks) == 0);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_cancel(tasks[0]) == 0);
    MUST(hank_await(tasks[0]) == 0 && left_in(&s) == 0);
    return 0;
}

/* asyncio's bug 90155: the queue must not be stuck after a cancelled first. */
BEHAVIOUR(sem, it_is_not_stuck_after_the_first_of_many_was_cancelled)
{
    hank_sem s = {.count = 1};
    taker takers[3];
    hank_task tasks[3];
    MUST(hank_sem_acquire(&s) == 0);
    MUST(queue_up(&s, (int[]){1, 1, 1}, 3, takers, tasks) == 0);
    MUST(hank_sem_release(&s) == 0); /* to the first */
    MUST(hank_cancel(tasks[1]) == 0);
    MUST(hank_await(tasks[0]) == 0 && hank_await(tasks[1]) == -ECANCELED);
    MUST(hank_sem_release(&s) == 0);
    MUST(hank_await(tasks[2]) == 0);
    return 0;
}

BEHAVIOUR(sem, when_all_who_waited_are_cancelled_a_release_is_kept)
{
    hank_sem s = {0};
    taker takers[3];
    hank_task tasks[3];
    MUST(queue_up(&s, (int[]){1, 1, 1}, 3, takers, tasks) == 0);
    for (int i = 0; i < 3; i++)
        MUST(stop_one(tasks[i]) == 0);
    MUST(hank_sem_release(&s) == 0 && left_in(&s) == 1);
    return 0;
}

BEHAVIOUR(sem, permits_are_neither_lost_nor_made_when_cancel_and_release_meet)
{
    for (int i = 0; i < 200; i++) {
        hank_sem s = {0};
        taker takers[3];
        hank_task tasks[3];
        int granted = 0;
        MUST(queue_up(&s, (int[]){2, 1, 1}, 3, takers, tasks) == 0);
        MUST(hank_cancel(tasks[i % 3]) == 0);
        MUST(hank_sem_release_n(&s, 4) == 0);
        for (int j = 0; j < 3; j++)
            granted += hank_await(tasks[j]) == 0 ? (int)takers[j].wants : 0;
        MUST(granted + left_in(&s) == 4);
    }
    return 0;
}

/* --- many ------------------------------------------------------------------------------------ */

typedef struct crowd {
    hank_sem s;
    HK_ATOMIC(int) inside;
    HK_ATOMIC(int) most;
} crowd;

static int visit(void *arg)
{
    crowd *c = arg;
    for (int i = 0; i < 50; i++) {
        int rc = hank_sem_acquire(&c->s);
        if (rc < 0)
            return rc;
        int now = hk_add_acqrel(&c->inside, 1) + 1;
        int most = hk_load_acquire(&c->most);
        while (now > most && !hk_cas_acqrel(&c->most, &most, now))
            ;
        (void)hank_yield();
        (void)hk_sub_acqrel(&c->inside, 1);
        CHECK(hank_sem_release(&c->s) == 0);
    }
    return 0;
}

BEHAVIOUR(bounded_sem, never_more_than_its_count_are_inside)
{
    crowd c = {.s = {.count = 3, .bound = 3}};
    hank_task tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = hank_spawn(visit, &c);
    MUST(hank_gather_n(tasks, 10, NULL) == 0);
    MUST(hk_load_acquire(&c.most) <= 3 && left_in(&c.s) == 3);
    return 0;
}

static void *release_as_thread(void *arg)
{
    cr_expect_eq(hank_sem_release_n(arg, 3), 0);
    return NULL;
}

BEHAVIOUR(sem, a_thread_releases_for_several_tasks)
{
    hank_sem s = {0};
    taker takers[2];
    hank_task tasks[2];
    MUST(queue_up(&s, (int[]){2, 1}, 2, takers, tasks) == 0);
    join_thread(start_thread(release_as_thread, &s));
    MUST(hank_gather_n(tasks, 2, NULL) == 0);
    return 0;
}

/* --- everywhere ------------------------------------------------------------------------------ */

typedef struct walk {
    hank_sem s;
    int held;
} walk;

static void begin_walk(void *state)
{
    *(walk *)state = (walk){.s = {.count = 1}};
}

static int acquire_in_walk(void *state)
{
    walk *w = state;
    for (int i = 1; i <= 2; i++) {
        int rc = hank_sem_acquire_n(&w->s, i);
        if (rc < 0)
            return rc;
        w->held += i;
    }
    return 0;
}

static int release_in_walk(void *state)
{
    walk *w = state;
    return hank_sem_release_n(&w->s, 2);
}

/* What the partner released may be missing: one that was cancelled before it began did not run. */
static bool all_are_there(void *state, int rc, bool stopped)
{
    walk *w = state;
    int all = w->held + left_in(&w->s);
    return (all == 3 || (all == 1 && stopped)) && waiting_at_sem(&w->s) == 0 &&
           (rc == 0) == (w->held == 3) && (rc == 0 || stopped);
}

BEHAVIOUR(sem, stopped_at_any_wait_no_permit_is_lost)
{
    walk w;
    everywhere_scenario s = {begin_walk, acquire_in_walk, release_in_walk, all_are_there, &w};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
