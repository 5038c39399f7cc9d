/* SPDX-License-Identifier: MIT */
/* bell_test.c - what a signal handler of the program tells a task, without losing any of it. */
#include "api/everywhere.h"
#include "api/thread_support.h"
#include "last_words.h"

#include <hank/process.h>

#include <errno.h>
#include <string.h>

#include "base/fault.h"

/* A handler has nothing but what is global. */
static hank_bell bell;
static int written;

static void ring_in_handler(int signo)
{
    (void)signo;
    written++;
    hank_bell_ring(&bell);
}

static bool catch_usr1(void (*handler)(int))
{
    struct sigaction action = {0};
    action.sa_handler = handler;
    return sigaction(SIGUSR1, &action, NULL) == 0;
}

static int wait_for_bell(void *arg)
{
    set(arg);
    return hank_bell_next(&bell);
}

/* --- who is told ----------------------------------------------------------------------------- */

static int rung_by_a_handler(void *arg)
{
    (void)arg;
    flag started = 0;
    written = 0;
    MUST(hank_bell_begin(&bell) == 0);
    MUST(catch_usr1(ring_in_handler));
    hank_task t = hank_spawn(wait_for_bell, &started);
    YIELD_UNTIL(is_set(&started));
    (void)raise(SIGUSR1);
    MUST(hank_await(t) == 1);
    MUST(written == 1);
    MUST(catch_usr1(SIG_DFL));
    hank_bell_end(&bell);
    return 0;
}

Test(bell, rung_by_a_signal_handler_ends_the_wait_for_it)
{
    with_each_size(rung_by_a_handler, NULL);
}

static int rung_in_between(void *arg)
{
    hank_bell b;
    (void)arg;
    MUST(hank_bell_begin(&b) == 0);
    hank_bell_ring(&b);
    MUST(hank_bell_next(&b) == 1);
    hank_bell_ring(&b);
    MUST(hank_bell_next(&b) == 1);
    MUST(hank_within(HANK_MS(1), hank_bell_next(&b)) == -ETIMEDOUT);
    hank_bell_end(&b);
    return 0;
}

Test(bell, rung_between_two_waits_ends_the_next_one_at_once)
{
    with_each_size(rung_in_between, NULL);
}

static int none_is_lost(void *arg)
{
    enum { TIMES = 500 };
    (void)arg;
    MUST(hank_bell_begin(&bell) == 0);
    MUST(catch_usr1(ring_in_handler));
    for (int i = 0; i < TIMES; i++)
        (void)raise(SIGUSR1);
    int counted = 0;
    while (counted < TIMES) {
        int rc = hank_bell_next(&bell);
        MUST(rc > 0);
        counted += rc;
    }
    MUST(counted == TIMES);
    MUST(catch_usr1(SIG_DFL));
    hank_bell_end(&bell);
    return 0;
}

Test(bell, every_ring_is_counted)
{
    with_each_size(none_is_lost, NULL);
}

static int tells_the_right_one(void *arg)
{
    hank_bell one, two;
    (void)arg;
    MUST(hank_bell_begin(&one) == 0);
    MUST(hank_bell_begin(&two) == 0);
    hank_bell_ring(&two);
    MUST(hank_bell_next(&two) == 1);
    MUST(hank_within(HANK_MS(1), hank_bell_next(&one)) == -ETIMEDOUT);
    hank_bell_end(&one);
    hank_bell_ring(&two); /* it is none the worse for it */
    MUST(hank_bell_next(&two) == 1);
    hank_bell_end(&two);
    return 0;
}

Test(bell, ends_no_wait_for_another_one)
{
    with_each_size(tells_the_right_one, NULL);
}

typedef struct crowd {
    hank_bell bell;
    int value[4]; /* each ringer's own; for who hears the bell */
} crowd;

typedef struct ringer {
    crowd *crowd;
    int number;
} ringer;

static int ring_once(void *arg)
{
    ringer *r = arg;
    r->crowd->value[r->number] = 7;
    hank_bell_ring(&r->crowd->bell);
    return 0;
}

static int rung_by_tasks(void *arg)
{
    (void)arg;
    for (int round = 0; round < 50; round++) {
        crowd c = {.value = {0}};
        ringer r[4];
        hank_task t[4];
        MUST(hank_bell_begin(&c.bell) == 0);
        for (int i = 0; i < 4; i++) {
            r[i] = (ringer){&c, i};
            t[i] = hank_spawn(ring_once, &r[i]);
        }
        for (int heard = 0, rc; heard < 4; heard += rc)
            MUST((rc = hank_bell_next(&c.bell)) > 0);
        for (int i = 0; i < 4; i++)
            MUST(c.value[i] == 7);
        MUST(hank_gather_n(t, 4, NULL) == 0);
        hank_bell_end(&c.bell);
    }
    return 0;
}

Test(bell, shows_whoever_hears_it_what_was_done_before_it_was_rung)
{
    with_each_size(rung_by_tasks, NULL);
}

static void *ring_three_times(void *arg)
{
    for (int i = 0; i < 3; i++)
        hank_bell_ring(arg);
    return NULL;
}

Test(bell, can_be_rung_and_heard_outside_of_any_runtime)
{
    hank_bell b;
    pthread_t thread;
    int heard = 0;
    (void)alarm(60);
    cr_assert_eq(hank_bell_begin(&b), 0);
    on_thread(ring_three_times, &b, &thread);
    while (heard < 3) {
        int rc = hank_bell_next(&b);
        cr_assert_gt(rc, 0);
        heard += rc;
    }
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(heard, 3);
    hank_bell_end(&b);
}

Test(bell, leaves_errno_alone)
{
    hank_bell b;
    cr_assert_eq(hank_bell_begin(&b), 0);
    errno = EDOM;
    hank_bell_ring(&b);
    cr_expect_eq(errno, EDOM);
    hank_bell_end(&b);
}

Test(bell, rung_before_it_began_again_is_not_heard)
{
    hank_bell b;
    cr_assert_eq(hank_bell_begin(&b), 0);
    hank_bell_ring(&b);
    hank_bell_end(&b);
    cr_assert_eq(hank_bell_begin(&b), 0);
    cr_expect_eq(hank_within(HANK_MS(1), hank_bell_next(&b)), -ETIMEDOUT);
    hank_bell_end(&b);
}

/* --- stopping -------------------------------------------------------------------------------- */

static int stops(void *arg)
{
    (void)arg;
    flag started = 0;
    MUST(hank_bell_begin(&bell) == 0);
    MUST(hank_within(HANK_MS(1), hank_bell_next(&bell)) == -ETIMEDOUT);
    hank_bell_ring(&bell);
    MUST(hank_bell_next(&bell) == 1);
    hank_task t = hank_spawn(wait_for_bell, &started);
    YIELD_UNTIL(is_set(&started));
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    hank_bell_end(&bell);
    return 0;
}

Test(bell, wait_for_it_can_be_stopped)
{
    with_each_size(stops, NULL);
}

static int stop_races_ring(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        hank_bell b;
        MUST(hank_bell_begin(&b) == 0);
        hank_bell_ring(&b);
        int rc = hank_within(HANK_US(i), hank_bell_next(&b));
        MUST(rc == 1 || rc == -ETIMEDOUT);
        if (rc < 0)
            MUST(hank_bell_next(&b) == 1);
        hank_bell_end(&b);
    }
    return 0;
}

Test(bell, is_heard_once_whether_or_not_the_wait_is_stopped)
{
    with_each_size(stop_races_ring, NULL);
}

/* told  how many rings the waits said there were      rung  how many there were */
typedef struct walk {
    hank_bell b;
    int told, rung;
} walk;

static void begin_walk(void *state)
{
    walk *w = state;
    w->told = w->rung = 0;
    CHECK(hank_bell_begin(&w->b) == 0);
}

static int hear_three(void *state)
{
    walk *w = state;
    while (w->told < 3) {
        int rc = hank_bell_next(&w->b);
        if (rc < 0)
            return rc;
        w->told += rc;
    }
    return 0;
}

static int ring_three(void *state)
{
    walk *w = state;
    int rc = 0;
    for (; w->rung < 3 && rc == 0; w->rung++) {
        hank_bell_ring(&w->b);
        rc = hank_yield();
    }
    return rc;
}

/* What nobody was told of is told afterwards. */
static bool every_ring_is_told(void *state, int rc, bool stopped)
{
    walk *w = state;
    while (w->told < w->rung) {
        int rings = hank_within(HANK_SEC(10), hank_bell_next(&w->b));
        CHECK(rings > 0);
        w->told += rings > 0 ? rings : w->rung; /* and no walk for ever */
    }
    hank_bell_end(&w->b);
    bool right = rc == 0 ? w->rung == 3 : stopped && (rc == -ECANCELED || rc == -ETIMEDOUT);
    return w->told == w->rung && right;
}

static int walk_over_rings(void *arg)
{
    walk w;
    (void)arg;
    everywhere_scenario s = {begin_walk, hear_three, ring_three, every_ring_is_told, &w};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}

Test(bell, stopped_at_any_wait_no_ring_is_lost_or_told_twice)
{
    with_each_size(walk_over_rings, NULL);
}

/* --- who may --------------------------------------------------------------------------------- */

static int next_of(void *arg)
{
    return hank_bell_next(arg);
}

static int second_waiter(void *arg)
{
    hank_bell b;
    (void)arg;
    MUST(hank_bell_begin(&b) == 0);
    hank_task t[2] = {hank_spawn(next_of, &b), hank_spawn(next_of, &b)};
    int rc;
    MUST(hank_race_n(t, 2, &rc) >= 0);
    MUST(rc == -EBUSY);
    hank_bell_end(&b);
    return 0;
}

Test(bell, a_second_task_that_waits_with_it_is_refused)
{
    with_each_size(second_waiter, NULL);
}

static int end_it(void *b)
{
    hank_bell_end(b);
    return 0;
}

static int end_under_who_waits(void *b)
{
    MUST(hank_bell_begin(b) == 0);
    hank_task t[2] = {hank_spawn(next_of, b), hank_spawn(next_of, b)};
    MUST(hank_wait_n(t, 2, HANK_FIRST_DONE, NULL) == 1); /* refused: so the other one waits */
    return by_culprit(end_it, b);
}

Test(bell, ended_while_somebody_waits_is_a_panic_that_names_it_and_the_task)
{
    hank_bell b;
    must_panic(end_under_who_waits, "bell", &b);
}

static int touches_no_signal(void *arg)
{
    struct sigaction before[32], now;
    hank_bell b;
    (void)arg;
    for (int signo = 1; signo < 32; signo++)
        (void)sigaction(signo, NULL, &before[signo]);
    MUST(hank_bell_begin(&b) == 0);
    for (int signo = 1; signo < 32; signo++)
        MUST(sigaction(signo, NULL, &now) == 0 && now.sa_handler == before[signo].sa_handler);
    hank_bell_end(&b);
    return 0;
}

Test(bell, takes_over_no_signal)
{
    with_each_size(touches_no_signal, NULL);
}

#if HK_FAULTS
Test(bell, without_a_thread_for_it_is_refused)
{
    hank_bell b;
    hk_fault_plan(HK_FAULT_THREAD, 1, -EAGAIN);
    cr_assert_eq(hank_bell_begin(&b), -EAGAIN);
    hk_fault_clear();
    cr_assert_eq(hank_bell_begin(&b), 0);
    hank_bell_ring(&b);
    cr_assert_eq(hank_bell_next(&b), 1);
    hank_bell_end(&b);
}
#endif
