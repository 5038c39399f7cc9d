/* SPDX-License-Identifier: MIT */
/* limiter_test.c - tokens come evenly, in order, and nobody takes those of another; with 1, 2 and 8
 * workers. Only lower bounds of time are looked at: a loaded machine may take as long as it likes.
 */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

typedef struct taker {
    hank_limiter *l;
    int64_t n;
} taker;

static int take(void *arg)
{
    taker *t = arg;
    return hank_limiter_acquire(t->l, t->n);
}

static bool somebody_is_in_front(hank_limiter *l)
{
    hk_waitq *q = (hk_waitq *)(void *)l->opaque_;
    hk_waitq_lock(q);
    bool in_front = q->spare != 0;
    hk_waitq_unlock(q);
    return in_front;
}

/* Somebody sleeps in front of `l`, whose tokens he wants are far away, and n queue behind, for one
 * each. */
static int queue_up(hank_limiter *l, int64_t wanted, taker *takers, hank_task *tasks, int n)
{
    for (int i = 0; i <= n; i++) {
        takers[i] = (taker){l, i == 0 ? wanted : 1};
        tasks[i] = hank_spawn(take, &takers[i]);
        if (i == 0)
            YIELD_UNTIL(somebody_is_in_front(l));
        YIELD_UNTIL(waiting_at_limiter(l) == i);
    }
    return 0;
}

BEHAVIOUR(limiter, one_that_never_has_tokens_is_invalid)
{
    hank_limiter zero = {0}, negative = {.tokens = -1}, backwards = {.tokens = 1, .period = -1};
    hank_limiter huge = {.tokens = 1, .period = INT64_MAX, .burst = 8};
    MUST(hank_limiter_acquire(&zero, 1) == -EINVAL && hank_limiter_tryacquire(&zero, 1) == -EINVAL);
    MUST(hank_limiter_acquire(&negative, 1) == -EINVAL);
    MUST(hank_limiter_acquire(&backwards, 1) == -EINVAL);
    MUST(hank_limiter_acquire(&huge, 1) == -EINVAL);
    return 0;
}

BEHAVIOUR(limiter, fewer_than_1_or_more_than_a_burst_is_invalid)
{
    hank_limiter l = {.tokens = 1000, .burst = 3};
    MUST(hank_limiter_acquire(&l, 0) == -EINVAL && hank_limiter_acquire(&l, -1) == -EINVAL);
    MUST(hank_limiter_acquire(&l, 4) == -EINVAL && hank_limiter_tryacquire(&l, 4) == -EINVAL);
    MUST(hank_limiter_acquire(&l, 3) == 0);
    return 0;
}

BEHAVIOUR(limiter, a_burst_is_there_at_once_and_no_more)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600), .burst = 4};
    for (int i = 0; i < 4; i++)
        MUST(hank_limiter_tryacquire(&l, 1) == 0);
    MUST(hank_limiter_tryacquire(&l, 1) == -EAGAIN);
    return 0;
}

BEHAVIOUR(limiter, without_a_burst_one_token_is_there)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600)};
    MUST(hank_limiter_acquire(&l, 1) == 0);
    MUST(hank_limiter_tryacquire(&l, 1) == -EAGAIN);
    return 0;
}

BEHAVIOUR(limiter, several_tokens_are_taken_all_at_once_or_not_at_all)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600), .burst = 4};
    MUST(hank_limiter_tryacquire(&l, 3) == 0);
    MUST(hank_limiter_tryacquire(&l, 2) == -EAGAIN);
    MUST(hank_limiter_tryacquire(&l, 1) == 0);
    return 0;
}

BEHAVIOUR(limiter, tokens_come_no_faster_than_its_rate)
{
    hank_limiter l = {.tokens = 1, .period = HANK_MS(1), .burst = 2};
    hank_ns start = hank_now();
    for (int i = 0; i < 12; i++)
        MUST(hank_limiter_acquire(&l, 1) == 0);
    MUST(hank_now() - start >= HANK_MS(10)); /* two were there, ten had to come */
    return 0;
}

BEHAVIOUR(limiter, waiting_for_several_takes_as_long_as_they_take_to_come)
{
    hank_limiter l = {.tokens = 1, .period = HANK_MS(1), .burst = 5};
    MUST(hank_limiter_acquire(&l, 5) == 0);
    hank_ns start = hank_now();
    MUST(hank_limiter_acquire(&l, 5) == 0);
    MUST(hank_now() - start >= HANK_MS(4)); /* all but a part of the first */
    return 0;
}

BEHAVIOUR(limiter, several_tasks_share_one_rate)
{
    hank_limiter l = {.tokens = 2, .period = HANK_MS(1)};
    taker t = {&l, 1};
    hank_task tasks[8];
    hank_ns start = hank_now();
    for (int i = 0; i < 8; i++)
        tasks[i] = hank_spawn(take, &t);
    MUST(hank_gather_n(tasks, 8, NULL) == 0);
    MUST(hank_now() - start >= HANK_US(3500));
    return 0;
}

/* Whoever is in front wants more than there is; when he leaves, what is there is for those who
 * stand first behind him. */
BEHAVIOUR(limiter, tokens_are_taken_in_the_order_of_coming)
{
    enum { BURST = 5, BEHIND = 4 };
    for (int there = 1; there < BEHIND; there++) {
        hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600), .burst = BURST};
        taker takers[BEHIND + 1];
        hank_task tasks[BEHIND + 1];
        MUST(hank_limiter_acquire(&l, BURST - there) == 0);
        MUST(queue_up(&l, BURST, takers, tasks, BEHIND) == 0);
        MUST(hank_cancel(tasks[0]) == 0 && hank_await(tasks[0]) == -ECANCELED);
        for (int i = 1; i <= BEHIND; i++) {
            MUST(i <= there || hank_cancel(tasks[i]) == 0);
            MUST(hank_await(tasks[i]) == (i <= there ? 0 : -ECANCELED));
        }
    }
    return 0;
}

/* In front is a grant, too: one who gets it in the moment in which he is cancelled passes it on. */
BEHAVIOUR(limiter, who_is_cancelled_as_he_comes_to_the_front_lets_the_next_be_there)
{
    for (int first = 0; first < 2; first++) {
        hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600), .burst = 2};
        taker takers[3];
        hank_task tasks[3];
        MUST(hank_limiter_acquire(&l, 1) == 0);
        MUST(queue_up(&l, 2, takers, tasks, 2) == 0);
        MUST(hank_cancel(tasks[first]) == 0 && hank_cancel(tasks[1 - first]) == 0);
        MUST(hank_await(tasks[0]) == -ECANCELED);
        int rc = hank_await(tasks[1]); /* the token, if he was quick */
        MUST(rc == 0 || rc == -ECANCELED);
        if (rc == 0)
            MUST(hank_cancel(tasks[2]) == 0 && hank_await(tasks[2]) == -ECANCELED);
        else
            MUST(hank_await(tasks[2]) == 0);
        MUST(hank_limiter_tryacquire(&l, 1) == -EAGAIN); /* there was one, and one was taken */
    }
    return 0;
}

BEHAVIOUR(limiter, nobody_takes_a_token_while_others_wait)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600)};
    taker takers[2];
    hank_task tasks[2];
    MUST(hank_limiter_acquire(&l, 1) == 0);
    MUST(queue_up(&l, 1, takers, tasks, 1) == 0);
    MUST(hank_limiter_tryacquire(&l, 1) == -EAGAIN);
    for (int i = 0; i < 2; i++) {
        MUST(hank_cancel(tasks[i]) == 0);
        MUST(hank_await(tasks[i]) == -ECANCELED);
    }
    return 0;
}

BEHAVIOUR(limiter, a_timeout_ends_the_wait_and_takes_nothing)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600), .burst = 2};
    MUST(hank_limiter_acquire(&l, 1) == 0);
    MUST(hank_within(HANK_US(100), hank_limiter_acquire(&l, 2)) == -ETIMEDOUT);
    MUST(hank_limiter_tryacquire(&l, 1) == 0); /* the second of the burst is still there */
    return 0;
}

BEHAVIOUR(limiter, a_stopped_task_takes_no_token)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600)};
    hank_scope s;
    hank_timeout_begin(&s, 0);
    MUST(hank_limiter_acquire(&l, 1) == -ETIMEDOUT);
    MUST(hank_timeout_end(&s));
    MUST(hank_limiter_tryacquire(&l, 1) == 0);
    return 0;
}

/* The first wants a burst, and an hour to come; the one behind it wants what is there. */
BEHAVIOUR(limiter, one_that_is_cancelled_in_front_lets_the_next_be_in_front)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600), .burst = 2};
    taker front = {&l, 2}, behind = {&l, 1};
    MUST(hank_limiter_acquire(&l, 1) == 0);
    hank_task first = hank_spawn(take, &front);
    YIELD_UNTIL(somebody_is_in_front(&l));
    hank_task second = hank_spawn(take, &behind);
    YIELD_UNTIL(waiting_at_limiter(&l) == 1);
    MUST(hank_cancel(first) == 0 && hank_await(first) == -ECANCELED);
    MUST(hank_await(second) == 0);
    MUST(hank_limiter_tryacquire(&l, 1) == -EAGAIN);
    return 0;
}

BEHAVIOUR(limiter, one_that_is_cancelled_in_the_queue_leaves_the_others_there)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600)};
    taker takers[3];
    hank_task tasks[3];
    MUST(hank_limiter_acquire(&l, 1) == 0);
    MUST(queue_up(&l, 1, takers, tasks, 2) == 0);
    MUST(hank_cancel(tasks[1]) == 0 && hank_await(tasks[1]) == -ECANCELED);
    MUST(waiting_at_limiter(&l) == 1);
    for (int i = 0; i < 3; i += 2)
        MUST(hank_cancel(tasks[i]) == 0 && hank_await(tasks[i]) == -ECANCELED);
    MUST(waiting_at_limiter(&l) == 0);
    return 0;
}

static void *take_as_thread(void *arg)
{
    cr_expect_eq(take(arg), 0);
    return NULL;
}

BEHAVIOUR(limiter, threads_and_tasks_share_one_rate)
{
    hank_limiter l = {.tokens = 1, .period = HANK_MS(1)};
    taker t = {&l, 1};
    hank_task tasks[3];
    hank_ns start = hank_now();
    pthread_t thread = start_thread(take_as_thread, &t);
    for (int i = 0; i < 3; i++)
        tasks[i] = hank_spawn(take, &t);
    MUST(hank_gather_n(tasks, 3, NULL) == 0);
    join_thread(thread);
    MUST(hank_now() - start >= HANK_MS(3));
    return 0;
}

/* No tokens come but those that are there. In front of the body stands somebody who wants more,
 * until the partner sends him away. */
typedef struct walk {
    hank_limiter l;
    hank_task greedy;
    taker greed;
    int taken;
} walk;

enum { WANTED = 3, THERE = 6 };

static void begin_walk(void *state)
{
    walk *w = state;
    *w = (walk){.l = {.tokens = 1, .period = HANK_SEC(3600), .burst = THERE + 1}};
    CHECK(hank_limiter_tryacquire(&w->l, 1) == 0);
    w->greed = (taker){&w->l, THERE + 1};
    w->greedy = hank_spawn(take, &w->greed);
    while (!somebody_is_in_front(&w->l))
        (void)hank_yield();
}

static int take_three(void *state)
{
    walk *w = state;
    int rc = 0;
    for (int i = 0; i < WANTED && rc == 0; i++) {
        rc = hank_limiter_acquire(&w->l, 1);
        w->taken += rc == 0;
    }
    return rc;
}

static int send_the_greedy_away(void *state)
{
    (void)hank_yield();
    return hank_cancel(((walk *)state)->greedy);
}

static bool tokens_are_there_or_taken(void *state, int rc, bool stopped)
{
    walk *w = state;
    (void)hank_cancel(w->greedy); /* ours; a partner that did not begin has not done it */
    CHECK(hank_await(w->greedy) == -ECANCELED);
    bool nobody = waiting_at_limiter(&w->l) == 0 && !somebody_is_in_front(&w->l);
    int left = 0;
    while (hank_limiter_tryacquire(&w->l, 1) == 0)
        left++;
    return nobody && w->taken + left == THERE && (rc == 0 ? w->taken == WANTED : stopped);
}

BEHAVIOUR(limiter, stopped_at_any_wait_the_next_is_in_front_and_no_token_is_lost)
{
    walk w;
    everywhere_scenario s = {begin_walk, take_three, send_the_greedy_away,
                             tokens_are_there_or_taken, &w};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
