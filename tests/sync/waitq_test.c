/* SPDX-License-Identifier: MIT */
/* waitq_test.c - the queue under every mutex and channel: who is served, who counts as gone. */
#include "sync/waitq.h"

#include "sync/sync_support.h"

#include "sched/park.h"
#include "sched/thread.h"

enum { CROWD = 5 };

typedef struct guest {
    struct scene *scene;
    int payload;
    int result;
} guest;

typedef struct scene {
    hk_waitq q;
    guest guests[CROWD];
    hank_task tasks[CROWD];
} scene;

static int wait_once(void *arg)
{
    guest *g = arg;
    hk_waitq_lock(&g->scene->q);
    g->result = hk_waitq_wait(&g->scene->q, &g->payload, HK_WAITING, "the test");
    return g->result;
}

/* Guests join one after the other. */
static int invite(scene *s, int n)
{
    *s = (scene){.q = {.spare = 0}};
    for (int i = 0; i < n; i++) {
        s->guests[i] = (guest){.scene = s, .payload = i};
        s->tasks[i] = hank_spawn(wait_once, &s->guests[i]);
        YIELD_UNTIL(waiting_at(&s->q) == i + 1);
    }
    return 0;
}

static hk_waiter *claim_first(scene *s, int result)
{
    hk_waitq_lock(&s->q);
    hk_waiter *w = hk_waitq_claim_first(&s->q, result);
    hk_waitq_unlock(&s->q);
    return w;
}

static int in_order(void *arg)
{
    scene s;
    (void)arg;
    MUST(invite(&s, CROWD) == 0);
    for (int i = 0; i < CROWD; i++) {
        hk_waiter *w = claim_first(&s, 100 + i);
        MUST(w && w->payload == &s.guests[i].payload);
        hk_waitq_run(w);
        MUST(hank_await(s.tasks[i]) == 100 + i);
    }
    MUST(claim_first(&s, 0) == NULL);
    hk_waitq_run(NULL);
    return 0;
}

Test(waitq, the_first_to_come_is_the_first_to_be_claimed_and_zeroed_is_empty)
{
    with_each_size(in_order, NULL);
}

static int skip_the_stopped(void *arg)
{
    scene s;
    (void)arg;
    MUST(invite(&s, CROWD) == 0);
    MUST(hank_cancel(s.tasks[0]) == 0);
    MUST(hank_cancel(s.tasks[2]) == 0);
    for (int i = 1; i < CROWD; i += i == 1 ? 2 : 1) {
        hk_waiter *w = claim_first(&s, 0);
        MUST(w && w->payload == &s.guests[i].payload);
        hk_waitq_run(w);
    }
    MUST(claim_first(&s, 0) == NULL);
    for (int i = 0; i < CROWD; i++)
        MUST(hank_await(s.tasks[i]) == (i == 0 || i == 2 ? -ECANCELED : 0));
    MUST(waiting_at(&s.q) == 0);
    return 0;
}

Test(waitq, who_was_stopped_counts_as_gone_and_the_next_is_served)
{
    with_each_size(skip_the_stopped, NULL);
}

static int claim_everybody(void *arg)
{
    scene s;
    hk_node claimed;
    (void)arg;
    MUST(invite(&s, CROWD) == 0);
    MUST(hank_cancel(s.tasks[1]) == 0);
    hk_waitq_lock(&s.q);
    (void)hk_waitq_claim_n(&s.q, -EPIPE, SIZE_MAX, &claimed);
    hk_waitq_unlock(&s.q);
    MUST(waiting_at(&s.q) == 0);
    for (int i = 0; i < CROWD; i++)
        MUST(hank_cancel(s.tasks[i]) == 0); /* too late: it has been decided */
    hk_waitq_run_all(&claimed);
    for (int i = 0; i < CROWD; i++)
        MUST(hank_await(s.tasks[i]) == (i == 1 ? -ECANCELED : -EPIPE));
    return 0;
}

Test(waitq, all_are_claimed_at_once_and_a_stop_after_the_claim_is_too_late)
{
    with_each_size(claim_everybody, NULL);
}

static int stop_each_in_turn(void *arg)
{
    (void)arg;
    for (int victim = 0; victim < CROWD; victim++) {
        scene s;
        MUST(invite(&s, CROWD) == 0);
        MUST(hank_cancel(s.tasks[victim]) == 0);
        MUST(hank_await(s.tasks[victim]) == -ECANCELED);
        MUST(waiting_at(&s.q) == CROWD - 1);
        for (hk_waiter *w; (w = claim_first(&s, 7)) != NULL;)
            hk_waitq_run(w);
        for (int i = 0; i < CROWD; i++)
            MUST(i == victim || hank_await(s.tasks[i]) == 7);
    }
    return 0;
}

Test(waitq, who_is_stopped_leaves_from_any_place_in_the_queue)
{
    with_each_size(stop_each_in_turn, NULL);
}

static int claimed_task_is_parked(void *arg)
{
    scene s;
    (void)arg;
    MUST(invite(&s, 1) == 0);
    hk_waiter *w = claim_first(&s, 0);
    MUST(w);
    for (int i = 0; i < 1000; i++)
        (void)hank_yield();
    s.guests[0].payload = 42; /* ours still; a sanitizer would see him use it */
    MUST(s.guests[0].result == 0);
    hk_waitq_run(w);
    return hank_await(s.tasks[0]);
}

Test(waitq, a_task_that_is_claimed_stays_parked_until_it_is_run)
{
    with_each_size(claimed_task_is_parked, NULL);
}

static HK_ATOMIC(bool) gone;

static void *wait_as_thread(void *arg)
{
    guest *g = arg;
    (void)wait_once(g);
    hk_store_release(&gone, true); /* and what it saw */
    return arg;
}

/* Let the thread behind w look about: until it was found asleep, and woken for nothing. */
static bool disturb(hk_waiter *w)
{
    hk_thread *t = hk_container_of(w->ticket.sleeper, hk_thread, sleeper);
    while (!hk_load_acquire(&gone)) { /* then it has left */
        if (hk_os_futex_wake(&t->runs, 1) == 1)
            return true;
        hk_os_yield();
    }
    return false;
}

/* A late waker of an earlier turn, or a signal, makes a sleeping thread look at its word. There it
 * sees the claim, but what was granted is not there yet, and its frame is still in use. */
Test(waitq, a_thread_that_is_claimed_stays_parked_until_it_is_run)
{
    scene s = {.q = {.spare = 0}};
    s.guests[0] = (guest){.scene = &s, .payload = 1};
    pthread_t thread = start_thread(wait_as_thread, &s.guests[0]);
    while (waiting_at(&s.q) == 0)
        hk_os_yield();
    hk_waiter *w = claim_first(&s, 9);
    cr_assert(w);
    cr_expect(disturb(w));
    cr_expect(disturb(w), "it did not go back to sleep");
    if (!hk_load_acquire(&gone)) /* it has written its result */
        hk_waitq_run(w);
    join_thread(thread);
    cr_expect_eq(s.guests[0].result, 9);
}

/* Each turn of a thread takes exactly one run, or none if it ended itself. */
Test(waitq, a_thread_whose_wait_timed_out_can_wait_again)
{
    scene s = {.q = {.spare = 0}};
    for (int i = 0; i < 3; i++) {
        hk_waitq_lock(&s.q);
        cr_expect_eq(hank_within(HANK_US(100), hk_waitq_wait(&s.q, NULL, HK_WAITING, "a test")),
                     -ETIMEDOUT);
        cr_expect_eq(waiting_at(&s.q), 0);

        hk_store_relaxed(&gone, false); /* no thread yet */
        s.guests[0] = (guest){.scene = &s};
        pthread_t thread = start_thread(wait_as_thread, &s.guests[0]);
        while (waiting_at(&s.q) == 0)
            hk_os_yield();
        hk_waitq_run(claim_first(&s, i));
        join_thread(thread);
        cr_expect_eq(s.guests[0].result, i);
    }
}

static void *wait_for_event(void *arg)
{
    cr_expect_eq(hank_event_wait(arg), 0);
    hk_store_release(&gone, true); /* the event is ours to free */
    return arg;
}

/* Who waits for an event may free it, on a stack for one: so not before its setter is done with it.
 * Here the setter stands between its store and its unlock. */
Test(waitq, an_event_is_not_left_before_its_setter_has_left_it)
{
    hank_event e = {{0}};
    hank_event_set(&e);
    hk_waitq_lock((hk_waitq *)(void *)&e);
    pthread_t thread = start_thread(wait_for_event, &e);
    for (int i = 0; i < 2000 && !hk_load_acquire(&gone); i++) /* it would have left */
        hk_os_yield();
    cr_expect_not(hk_load_acquire(&gone)); /* it has left */
    hk_waitq_unlock((hk_waitq *)(void *)&e);
    join_thread(thread);
}
