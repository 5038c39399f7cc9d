/* SPDX-License-Identifier: MIT */
/* cond_test.c - conditions: predicates, several at once, stops; with 1, 2 and 8 workers. */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

enum { CROWD = 4 };

/* m  guards level and turns; those who wait want the level to be at least theirs */
typedef struct pool {
    hank_mutex m;
    hank_cond c;
    hank_cond other;
    turn_order turns;
    int level;
} pool;

typedef struct swimmer {
    pool *pool;
    int wants;
    int result;
} swimmer;

static bool is_deep_enough(void *arg)
{
    swimmer *s = arg;
    return s->pool->level >= s->wants;
}

static int wait_for_level(void *arg)
{
    swimmer *s = arg;
    hank_mutex_lock(&s->pool->m);
    s->result = hank_cond_wait_for(&s->pool->c, &s->pool->m, is_deep_enough, s);
    CHECK(!hank_mutex_trylock(&s->pool->m)); /* held on every return */
    if (s->result == 0)
        note_turn(&s->pool->turns, s->wants);
    hank_mutex_unlock(&s->pool->m);
    return s->result;
}

static int wait_once(void *arg)
{
    swimmer *s = arg;
    hank_mutex_lock(&s->pool->m);
    s->result = hank_cond_wait(&s->pool->c, &s->pool->m);
    note_turn(&s->pool->turns, s->wants);
    hank_mutex_unlock(&s->pool->m);
    return s->result;
}

static int gather(pool *p, hank_fn fn, swimmer *swimmers, hank_task *tasks)
{
    *p = (pool){.level = 0};
    for (int i = 0; i < CROWD; i++) {
        swimmers[i] = (swimmer){p, i + 1, 1};
        tasks[i] = hank_spawn(fn, &swimmers[i]);
        YIELD_UNTIL(waiting_at(&p->c) == i + 1);
    }
    return 0;
}

static void fill(pool *p, int level)
{
    hank_mutex_lock(&p->m);
    p->level = level;
    hank_cond_broadcast(&p->c);
    hank_mutex_unlock(&p->m);
}

/* --- predicates ------------------------------------------------------------------------------ */

BEHAVIOUR(cond, a_predicate_that_is_true_does_not_wait)
{
    pool p = {.level = 5};
    swimmer s = {&p, 5, 1};
    hank_mutex_lock(&p.m);
    MUST(hank_cond_wait_for(&p.c, &p.m, is_deep_enough, &s) == 0);
    MUST(!hank_mutex_trylock(&p.m));
    hank_mutex_unlock(&p.m);
    return 0;
}

BEHAVIOUR(cond, a_predicate_is_asked_again_after_each_signal)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_for_level, swimmers, tasks) == 0);
    for (int i = 0; i < CROWD; i++) {
        fill(&p, i + 1);
        MUST(hank_await(tasks[i]) == 0);
        MUST(p.turns.n == i + 1);
        YIELD_UNTIL(waiting_at(&p.c) == CROWD - 1 - i); /* the others wait again */
    }
    MUST(IS_ORDER(&p.turns, 1, 2, 3, 4));
    return 0;
}

BEHAVIOUR(cond, a_timeout_ends_the_wait_for_a_predicate_with_the_mutex_held)
{
    pool p = {.level = 0};
    swimmer s = {&p, 1, 1};
    hank_mutex_lock(&p.m);
    int rc = hank_within(HANK_MS(1), hank_cond_wait_for(&p.c, &p.m, is_deep_enough, &s));
    MUST(rc == -ETIMEDOUT && !hank_mutex_trylock(&p.m));
    hank_mutex_unlock(&p.m);
    return 0;
}

BEHAVIOUR(cond, a_cancelled_wait_for_a_predicate_holds_the_mutex_before_it_returns)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_for_level, swimmers, tasks) == 0);
    hank_mutex_lock(&p.m);
    MUST(hank_cancel(tasks[0]) == 0);
    YIELD_UNTIL(waiting_at(&p.m) == 1); /* it has left the condition and wants the mutex */
    hank_mutex_unlock(&p.m);
    MUST(hank_await(tasks[0]) == -ECANCELED);
    fill(&p, CROWD);
    for (int i = 1; i < CROWD; i++)
        MUST(hank_await(tasks[i]) == 0);
    return 0;
}

/* Signalled, not satisfied, stopped: the next in the queue gets the signal it had. */
BEHAVIOUR(cond, a_stopped_wait_passes_a_signal_on_that_was_of_no_use_to_it)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_for_level, swimmers, tasks) == 0);
    hank_mutex_lock(&p.m);
    MUST(hank_cond_signal_n(&p.c, 1) == 1);
    YIELD_UNTIL(waiting_at(&p.m) == 1); /* the first, who will find the level too low */
    MUST(hank_cancel(tasks[0]) == 0);
    hank_mutex_unlock(&p.m);
    MUST(hank_await(tasks[0]) == -ECANCELED);
    /* The second was woken in its place, and waits again as the last. */
    YIELD_UNTIL(waiting_at(&p.c) == CROWD - 1);
    fill(&p, CROWD);
    for (int i = 1; i < CROWD; i++)
        MUST(hank_await(tasks[i]) == 0);
    return 0;
}

/* --- signals --------------------------------------------------------------------------------- */

BEHAVIOUR(cond, n_signals_wake_the_n_that_have_waited_longest)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_once, swimmers, tasks) == 0);
    hank_mutex_lock(&p.m);
    MUST(hank_cond_signal_n(&p.c, 3) == 3);
    hank_mutex_unlock(&p.m);
    for (int i = 0; i < 3; i++)
        MUST(hank_await(tasks[i]) == 0);
    MUST(p.turns.n == 3 && waiting_at(&p.c) == 1); /* they raced for the mutex */
    hank_cond_signal(&p.c);
    MUST(hank_await(tasks[3]) == 0);
    return 0;
}

BEHAVIOUR(cond, more_signals_than_waiters_wake_all_and_are_not_kept)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_once, swimmers, tasks) == 0);
    MUST(hank_cond_signal_n(&p.c, 2000) == CROWD);
    MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    hank_mutex_lock(&p.m);
    MUST(hank_within(HANK_MS(1), hank_cond_wait(&p.c, &p.m)) == -ETIMEDOUT);
    hank_mutex_unlock(&p.m);
    return 0;
}

BEHAVIOUR(cond, no_signals_wake_nobody)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_once, swimmers, tasks) == 0);
    MUST(hank_cond_signal_n(&p.c, 0) == 0);
    MUST(waiting_at(&p.c) == CROWD);
    hank_cond_broadcast(&p.c);
    MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    return 0;
}

BEHAVIOUR(cond, a_signal_does_not_go_to_one_that_was_cancelled)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_once, swimmers, tasks) == 0);
    MUST(hank_cancel(tasks[0]) == 0 && hank_await(tasks[0]) == -ECANCELED);
    MUST(hank_cond_signal_n(&p.c, 1) == 1);
    MUST(hank_await(tasks[1]) == 0);
    MUST(waiting_at(&p.c) == 2);
    hank_cond_broadcast(&p.c);
    MUST(hank_await(tasks[2]) == 0 && hank_await(tasks[3]) == 0);
    return 0;
}

BEHAVIOUR(cond, who_was_signalled_before_it_was_cancelled_returns_0)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_once, swimmers, tasks) == 0);
    hank_mutex_lock(&p.m);
    MUST(hank_cond_signal_n(&p.c, 1) == 1);
    MUST(hank_cancel(tasks[0]) == 0);
    hank_mutex_unlock(&p.m);
    MUST(hank_await(tasks[0]) == 0);
    hank_cond_broadcast(&p.c);
    for (int i = 1; i < CROWD; i++)
        MUST(hank_await(tasks[i]) == 0);
    return 0;
}

static int wait_at_other(void *arg)
{
    pool *p = arg;
    hank_mutex_lock(&p->m);
    int rc = hank_cond_wait(&p->other, &p->m);
    hank_mutex_unlock(&p->m);
    return rc;
}

BEHAVIOUR(cond, two_conditions_of_one_mutex_do_not_wake_each_others_waiters)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_once, swimmers, tasks) == 0);
    hank_task t = hank_spawn(wait_at_other, &p);
    YIELD_UNTIL(waiting_at(&p.other) == 1);
    hank_cond_broadcast(&p.c);
    MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    MUST(waiting_at(&p.other) == 1);
    hank_cond_signal(&p.other);
    MUST(hank_await(t) == 0);
    return 0;
}

BEHAVIOUR(cond, a_condition_may_change_its_mutex_when_nobody_waits)
{
    hank_cond c = {{0}};
    for (int i = 0; i < 3; i++) {
        hank_mutex m = {{0}};
        hank_mutex_lock(&m);
        MUST(hank_within(HANK_US(100), hank_cond_wait(&c, &m)) == -ETIMEDOUT);
        hank_mutex_unlock(&m);
    }
    return 0;
}

BEHAVIOUR(cond, a_wait_that_was_stopped_before_leaves_the_mutex_held)
{
    pool p = {.level = 0};
    hank_scope s;
    hank_mutex_lock(&p.m);
    hank_timeout_begin(&s, 0);
    MUST(hank_cond_wait(&p.c, &p.m) == -ETIMEDOUT);
    MUST(hank_cond_wait(&p.c, &p.m) == -ETIMEDOUT); /* and again: it lasts */
    MUST(hank_timeout_end(&s));
    MUST(!hank_mutex_trylock(&p.m) && waiting_at(&p.c) == 0);
    hank_mutex_unlock(&p.m);
    return 0;
}

static void *fill_as_thread(void *arg)
{
    fill(arg, CROWD);
    return NULL;
}

BEHAVIOUR(cond, a_thread_makes_a_predicate_true_for_tasks)
{
    pool p;
    swimmer swimmers[CROWD];
    hank_task tasks[CROWD];
    MUST(gather(&p, wait_for_level, swimmers, tasks) == 0);
    join_thread(start_thread(fill_as_thread, &p));
    MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    return 0;
}

/* --- panics ---------------------------------------------------------------------------------- */

static int wait_for_without_mutex(void *c)
{
    hank_mutex m = {{0}};
    return hank_cond_wait_for(c, &m, is_deep_enough, NULL);
}

Test(cond, waiting_for_a_predicate_without_the_mutex_is_a_panic)
{
    hank_cond c = {{0}};
    culprit_must_panic(wait_for_without_mutex, "condition", &c);
}

static int wait_with_own_mutex(void *c)
{
    hank_mutex m = {{0}};
    hank_mutex_lock(&m);
    return hank_cond_wait(c, &m);
}

static int two_mutexes(void *c)
{
    hank_task first = hank_spawn(wait_with_own_mutex, c);
    YIELD_UNTIL(waiting_at(c) == 1);
    leave(first);
    return by_culprit(wait_with_own_mutex, c);
}

Test(cond, waiting_with_another_mutex_than_the_others_is_a_panic)
{
    hank_cond c = {{0}};
    must_panic(two_mutexes, "condition", &c);
}

/* --- everywhere ------------------------------------------------------------------------------ */

BEHAVIOUR(cond, who_is_cancelled_as_it_is_signalled_has_heard_it_or_the_next_one_does)
{
    for (int first = 0; first < 2; first++) {
        pool p;
        swimmer swimmers[CROWD];
        hank_task tasks[CROWD];
        MUST(gather(&p, wait_once, swimmers, tasks) == 0);
        for (int step = 0; step < 2; step++)
            if (step == first)
                MUST(hank_cond_signal_n(&p.c, 1) == 1);
            else
                MUST(hank_cancel(tasks[0]) == 0);
        int heard = hank_await(tasks[0]) == 0;
        MUST(heard == (first == 0)); /* one is before the other */
        if (!heard)
            MUST(hank_await(tasks[1]) == 0);
        MUST(hank_cond_signal_n(&p.c, CROWD) == (size_t)(heard ? CROWD - 1 : CROWD - 2));
        MUST(hank_gather_n(tasks + (heard ? 1 : 2), (size_t)(heard ? CROWD - 1 : CROWD - 2),
                           NULL) == 0);
    }
    return 0;
}

/* told  how many the signals said they woke      heard  how many waits say they were woken */
typedef struct walk {
    pool pool;
    int told, heard;
} walk;

static void begin_walk(void *state)
{
    *(walk *)state = (walk){.told = 0};
}

static int hear_twice(void *state)
{
    walk *w = state;
    int rc = 0;
    hank_mutex_lock(&w->pool.m);
    for (int i = 0; i < 2 && rc == 0; i++) {
        rc = hank_cond_wait(&w->pool.c, &w->pool.m);
        w->heard += rc == 0;
        CHECK(!hank_mutex_trylock(&w->pool.m)); /* held on every return */
    }
    hank_mutex_unlock(&w->pool.m);
    return rc;
}

static int tell_again_and_again(void *state)
{
    walk *w = state;
    int rc;
    while ((rc = hank_yield()) == 0)
        w->told += (int)hank_cond_signal_n(&w->pool.c, 1); /* with the mutex held or not */
    return rc;
}

static bool all_told_is_heard(void *state, int rc, bool stopped)
{
    walk *w = state;
    bool free = hank_mutex_trylock(&w->pool.m);
    if (free)
        hank_mutex_unlock(&w->pool.m);
    return free && waiting_at(&w->pool.c) == 0 && w->told == w->heard &&
           (rc == 0 ? w->heard == 2 : stopped);
}

BEHAVIOUR(cond, stopped_at_any_wait_no_signal_is_lost_or_heard_twice)
{
    walk w;
    everywhere_scenario s = {begin_walk, hear_twice, tell_again_and_again, all_told_is_heard, &w};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
