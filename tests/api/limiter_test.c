/* SPDX-License-Identifier: MIT */
/* limiter_test.c - tokens come evenly, in order, and nobody takes those of another; with 1, 2 and 8
 * workers. Only lower bounds of time are looked at: a loaded machine may take as long as it likes.
 */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

typedef struct taker {
    hank_limiter *l;
    turn_order *turns;
    int64_t n;
    int number;
} taker;

static int take(void *arg)
{
    taker *t = arg;
    int rc = hank_limiter_acquire(t->l, t->n);
    if (rc == 0 && t->turns)
        note_turn(t->turns, t->number); /* one at a time is in front */
    return rc;
}

/* Somebody sleeps in front of `l`, whose next token is far away, and n queue behind. */
static int queue_up(hank_limiter *l, turn_order *turns, taker *takers, hank_task *tasks, int n)
{
    for (int i = 0; i <= n; i++) {
        takers[i] = (taker){l, turns, 1, i};
        tasks[i] = hank_spawn(take, &takers[i]);
        if (i == 0) {
            hk_waitq *q = (hk_waitq *)(void *)l->opaque_;
            bool in_front = false;
            while (!in_front) {
                hk_waitq_lock(q);
                in_front = q->spare != 0;
                hk_waitq_unlock(q);
                (void)hank_yield();
            }
        }
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
    taker t = {&l, NULL, 1, 0};
    hank_task tasks[8];
    hank_ns start = hank_now();
    for (int i = 0; i < 8; i++)
        tasks[i] = hank_spawn(take, &t);
    MUST(hank_gather_n(tasks, 8, NULL) == 0);
    MUST(hank_now() - start >= HANK_US(3500));
    return 0;
}

BEHAVIOUR(limiter, tokens_are_taken_in_the_order_of_coming)
{
    hank_limiter l = {.tokens = 1, .period = HANK_MS(20)};
    turn_order turns = {.n = 0};
    taker takers[4];
    hank_task tasks[4];
    MUST(hank_limiter_acquire(&l, 1) == 0);
    for (int i = 0; i < 4; i++) {
        takers[i] = (taker){&l, &turns, 1, i};
        tasks[i] = hank_spawn(take, &takers[i]);
        if (i > 0) /* unless the first was quick, then all are served without a queue */
            YIELD_UNTIL(waiting_at_limiter(&l) >= 1 || turns.n > 0);
    }
    MUST(hank_gather_n(tasks, 4, NULL) == 0);
    MUST(turns.n == 4);
    return 0;
}

BEHAVIOUR(limiter, nobody_takes_a_token_while_others_wait)
{
    hank_limiter l = {.tokens = 1, .period = HANK_SEC(3600)};
    taker takers[2];
    hank_task tasks[2];
    MUST(hank_limiter_acquire(&l, 1) == 0);
    MUST(queue_up(&l, NULL, takers, tasks, 1) == 0);
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
    taker front = {&l, NULL, 2, 0}, behind = {&l, NULL, 1, 1};
    hk_waitq *q = (hk_waitq *)(void *)l.opaque_;
    MUST(hank_limiter_acquire(&l, 1) == 0);
    hank_task first = hank_spawn(take, &front);
    for (bool in_front = false; !in_front; (void)hank_yield()) {
        hk_waitq_lock(q);
        in_front = q->spare != 0;
        hk_waitq_unlock(q);
    }
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
    MUST(queue_up(&l, NULL, takers, tasks, 2) == 0);
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
    taker t = {&l, NULL, 1, 0};
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

static void begin_walk(void *state)
{
    *(hank_limiter *)state = (hank_limiter){.tokens = 1, .period = HANK_US(200)};
}

static int take_three(void *state)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = hank_limiter_acquire(state, 1);
    return rc;
}

static bool nobody_is_in_front(void *state, int rc, bool stopped)
{
    hank_limiter *l = state;
    hk_waitq *q = (hk_waitq *)(void *)l->opaque_;
    return waiting_at_limiter(l) == 0 && q->spare == 0 && (rc == 0 || stopped);
}

BEHAVIOUR(limiter, stopped_at_any_wait_the_next_is_in_front)
{
    hank_limiter l;
    everywhere_scenario s = {begin_walk, take_three, take_three, nobody_is_in_front, &l};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
