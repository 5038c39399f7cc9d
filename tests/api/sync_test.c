/* SPDX-License-Identifier: MIT */
/* sync_test.c - what <hank/sync.h> says of events and semaphores, with 1, 2 and 8 workers.
 * The mutex and the condition are in mutex_test.c. */
#include "sync/sync_support.h"

#include "base/atomic.h"

enum { CROWD = 6, ROUNDS = 300, WALK = 5 };

/* --- event --------------------------------------------------------------------------------- */

typedef struct signpost {
    hank_event e;
    int written; /* before the setting */
} signpost;

static int wait_and_read(void *arg)
{
    signpost *s = arg;
    int rc = hank_event_wait(&s->e);
    return rc ? rc : s->written;
}

static void *wait_and_read_as_thread(void *arg)
{
    cr_expect_eq(wait_and_read(arg), 7);
    return NULL;
}

static int set_and_clear(void *arg)
{
    signpost s = {.written = 0};
    hank_task tasks[CROWD];
    int results[CROWD];
    (void)arg;
    MUST(!hank_event_is_set(&s.e));
    pthread_t thread = start_thread(wait_and_read_as_thread, &s);
    for (int i = 0; i < CROWD; i++)
        tasks[i] = hank_spawn(wait_and_read, &s);
    YIELD_UNTIL(waiting_at(&s.e) == CROWD + 1);
    s.written = 7;
    hank_event_set(&s.e);
    hank_event_clear(&s.e);
    MUST(!hank_event_is_set(&s.e));
    MUST(hank_gather_n(tasks, CROWD, results) == 0);
    join_thread(thread);
    for (int i = 0; i < CROWD; i++)
        MUST(results[i] == 7);
    MUST(hank_within(HANK_MS(1), hank_event_wait(&s.e)) == -ETIMEDOUT); /* it is cleared */
    return 0;
}

Test(event, all_who_wait_when_it_is_set_return_even_if_it_is_cleared_at_once)
{
    with_each_size(set_and_clear, NULL);
}

static int set_is_a_state(void *arg)
{
    hank_event e = {{0}};
    hank_scope s;
    (void)arg;
    for (int i = 0; i < 200; i++)
        (void)hank_yield(); /* so that the worker has looked at the clock, some time ago */
    hank_event_set(&e);
    hank_event_set(&e);
    MUST(hank_event_is_set(&e));
    MUST(hank_event_wait(&e) == 0 && hank_event_wait(&e) == 0);
    hank_timeout_begin(&s, 0);
    MUST(hank_event_wait(&e) == -ETIMEDOUT); /* a stop is seen even where nobody would wait */
    MUST(hank_event_is_set(&e));
    MUST(hank_timeout_end(&s));
    hank_event_clear(&e);
    hank_event_clear(&e);
    MUST(!hank_event_is_set(&e));
    return 0;
}

static int stop_who_waits(void *arg)
{
    signpost s = {.written = 3};
    (void)arg;
    hank_task stopped = hank_spawn(wait_and_read, &s);
    hank_task other = hank_spawn(wait_and_read, &s);
    YIELD_UNTIL(waiting_at(&s.e) == 2);
    MUST(hank_cancel(stopped) == 0);
    MUST(hank_await(stopped) == -ECANCELED);
    MUST(waiting_at(&s.e) == 1 && !hank_event_is_set(&s.e)); /* nothing changed */
    hank_event_set(&s.e);
    MUST(hank_await(other) == 3);
    return 0;
}

Test(event, waiting_returns_at_once_while_it_is_set_and_can_be_stopped_while_it_is_not)
{
    with_each_size(set_is_a_state, NULL);
    with_each_size(stop_who_waits, NULL);
}

/* ping and pong are set in turns; turn is plain. */
typedef struct table {
    hank_event ping, pong;
    int turn;
} table;

static void *answer(void *arg)
{
    table *t = arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (hank_event_wait(&t->ping) != 0)
            return arg;
        hank_event_clear(&t->ping);
        t->turn++;
        hank_event_set(&t->pong);
    }
    return NULL;
}

static int play(void *arg)
{
    table t = {.turn = 0};
    (void)arg;
    pthread_t thread = start_thread(answer, &t);
    for (int i = 0; i < ROUNDS; i++) {
        t.turn++;
        hank_event_set(&t.ping);
        MUST(hank_event_wait(&t.pong) == 0);
        hank_event_clear(&t.pong);
        MUST(t.turn == 2 * (i + 1));
    }
    join_thread(thread);
    return 0;
}

Test(event, what_was_written_before_the_setting_is_seen_between_tasks_and_threads)
{
    with_each_size(play, NULL);
}

static void *set_it(void *arg)
{
    hank_event_set(arg);
    return NULL;
}

/* Under AddressSanitizer: the setter does not touch it after that. */
static int free_at_once(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS / 3; i++) {
        hank_event *e = calloc(1, sizeof *e);
        MUST(e);
        pthread_t thread = start_thread(set_it, e);
        int rc = hank_event_wait(e);
        free(e);
        join_thread(thread);
        MUST(rc == 0);
    }
    return 0;
}

Test(event, who_has_waited_for_it_may_free_it)
{
    with_each_size(free_at_once, NULL);
}

/* --- semaphore ----------------------------------------------------------------------------- */

Test(sem, a_thread_takes_permits_until_there_are_none)
{
    hank_sem s = {.count = 2};
    cr_expect_eq(hank_sem_acquire(&s), 0);
    cr_expect_eq(hank_sem_tryacquire(&s), 0);
    cr_expect_eq(hank_sem_tryacquire(&s), -EAGAIN);
    cr_expect_eq(hank_within(HANK_MS(1), hank_sem_acquire(&s)), -ETIMEDOUT);
    cr_expect_eq(hank_sem_release(&s), 0);
    cr_expect_eq(hank_sem_release(&s), 0);
    cr_expect_eq(hank_sem_release(&s), 0); /* need not have been taken */
    for (int i = 0; i < 3; i++)
        cr_expect_eq(hank_sem_tryacquire(&s), 0);
    cr_expect_eq(hank_sem_tryacquire(&s), -EAGAIN);
}

Test(sem, a_count_that_began_below_0_is_invalid_and_a_full_one_overflows)
{
    hank_sem s = {.count = -1};
    cr_expect_eq(hank_sem_acquire(&s), -EINVAL);
    cr_expect_eq(hank_sem_tryacquire(&s), -EINVAL);
    cr_expect_eq(hank_sem_release(&s), -EINVAL);
    cr_expect_eq(hank_sem_tryacquire(&s), -EINVAL); /* not healed by a release */
    s = (hank_sem){.count = INT64_MAX};
    cr_expect_eq(hank_sem_release(&s), -EOVERFLOW);
    cr_expect_eq(hank_sem_tryacquire(&s), 0);
    cr_expect_eq(hank_sem_release(&s), 0); /* nothing had changed */
    cr_expect_eq(hank_sem_release(&s), -EOVERFLOW);
}

typedef struct taker {
    hank_sem *s;
    int number;
    int *order;
    HK_ATOMIC(int) * order_n;
} taker;

static int take(void *arg)
{
    taker *t = arg;
    int rc = hank_sem_acquire(t->s);
    if (rc == 0)
        t->order[hk_add_acqrel(t->order_n, 1)] = t->number; /* its own place in `order` */
    return rc;
}

static void *take_as_thread(void *arg)
{
    cr_expect_eq(take(arg), 0);
    return NULL;
}

static int serve_in_order(void *arg)
{
    hank_sem s = {.count = 0};
    int order[CROWD];
    HK_ATOMIC(int) order_n = 0;
    taker takers[CROWD];
    hank_task tasks[CROWD];
    pthread_t thread = {0};
    (void)arg;
    for (int i = 0; i < CROWD; i++) {
        takers[i] = (taker){&s, i, order, &order_n};
        if (i == CROWD / 2)
            thread = start_thread(take_as_thread, &takers[i]);
        else
            tasks[i] = hank_spawn(take, &takers[i]);
        YIELD_UNTIL(waiting_at_sem(&s) == i + 1);
    }
    for (int i = 0; i < CROWD; i++) {
        MUST(hank_sem_release(&s) == 0);
        MUST(hank_sem_tryacquire(&s) == -EAGAIN); /* it was for the one that waited */
        if (i == CROWD / 2)
            join_thread(thread);
        else
            MUST(hank_await(tasks[i]) == 0);
        MUST(order[i] == i);
    }
    return 0;
}

Test(sem, a_permit_goes_to_the_one_that_has_waited_longest_and_nobody_overtakes)
{
    with_each_size(serve_in_order, NULL);
}

static int take_all(void *arg)
{
    taker *t = arg;
    for (int i = 0; i < WALK; i++) {
        int rc = hank_sem_acquire(t->s);
        if (rc < 0)
            return rc;
        t->number++;
    }
    return 0;
}

/* Cancel somebody at its n-th wait: it has n - 1 permits, and what comes later is another's. */
static int walk(void *arg)
{
    (void)arg;
    for (int n = 1; n <= WALK; n++) {
        hank_sem s = {.count = 0};
        taker t = {.s = &s};
        hank_task task = hank_spawn(take_all, &t);
        for (int i = 1; i < n; i++) {
            YIELD_UNTIL(waiting_at_sem(&s) == 1);
            MUST(hank_sem_release(&s) == 0);
        }
        YIELD_UNTIL(waiting_at_sem(&s) == 1);
        MUST(hank_cancel(task) == 0);
        MUST(hank_await(task) == -ECANCELED);
        MUST(t.number == n - 1);
        MUST(hank_sem_tryacquire(&s) == -EAGAIN && waiting_at_sem(&s) == 0);
        MUST(hank_sem_release(&s) == 0);
        MUST(hank_sem_tryacquire(&s) == 0);
    }
    return 0;
}

Test(sem, who_is_cancelled_at_its_nth_wait_has_taken_what_came_before_and_no_more)
{
    with_each_size(walk, NULL);
}

typedef struct rival {
    hank_sem *s;
    hank_task victim;
    hank_event go;
} rival;

static int cancel_it(void *arg)
{
    rival *r = arg;
    (void)hank_event_wait(&r->go);
    return hank_cancel(r->victim);
}

/* A release and a cancel at once, and sometimes a timeout: permits are neither lost nor made. */
static int release_against_cancel(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        hank_sem s = {.count = 0};
        int order[2];
        HK_ATOMIC(int) order_n = 0;
        taker takers[2] = {{&s, 0, order, &order_n}, {&s, 1, order, &order_n}};
        rival r = {.s = &s, .victim = hank_spawn(take, &takers[0])};
        YIELD_UNTIL(waiting_at_sem(&s) == 1);
        hank_task other = hank_spawn(take, &takers[1]);
        hank_task canceller = hank_spawn(cancel_it, &r);
        YIELD_UNTIL(waiting_at_sem(&s) == 2 && waiting_at(&r.go) == 1);
        hank_event_set(&r.go);
        if (i % 2)
            (void)hank_yield();
        MUST(hank_sem_release(&s) == 0);
        MUST(hank_await(canceller) == 0);
        int first = hank_await(r.victim);
        MUST(first == 0 || first == -ECANCELED);
        MUST(hank_sem_tryacquire(&s) == -EAGAIN);
        if (first == 0)
            MUST(hank_sem_release(&s) == 0);
        MUST(hank_await(other) == 0);
        MUST(hank_sem_tryacquire(&s) == -EAGAIN);
    }
    return 0;
}

Test(sem, a_permit_granted_to_who_is_stopped_goes_to_the_next)
{
    with_each_size(release_against_cancel, NULL);
}

/* Permits that wander between tasks and threads, with timeouts as short as the way. */
static int borrow(void *arg)
{
    hank_sem *s = arg;
    int taken = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int rc = hank_within(HANK_US(i % 5 * 10), hank_sem_acquire(s));
        if (rc != 0 && rc != -ETIMEDOUT)
            return -EPROTO;
        if (rc == 0) {
            taken++;
            (void)hank_yield();
            (void)hank_sem_release(s);
        }
    }
    return taken;
}

static void *borrow_as_thread(void *arg)
{
    cr_expect_geq(borrow(arg), 0);
    return NULL;
}

static int borrow_together(void *arg)
{
    hank_sem s = {.count = 2};
    hank_task tasks[CROWD];
    (void)arg;
    pthread_t threads[2] = {start_thread(borrow_as_thread, &s), start_thread(borrow_as_thread, &s)};
    for (int i = 0; i < CROWD; i++)
        tasks[i] = hank_spawn(borrow, &s);
    MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    join_thread(threads[0]);
    join_thread(threads[1]);
    MUST(hank_sem_tryacquire(&s) == 0 && hank_sem_tryacquire(&s) == 0);
    MUST(hank_sem_tryacquire(&s) == -EAGAIN);
    return 0;
}

Test(sem, no_permit_is_lost_or_made_by_timeouts_of_tasks_and_threads)
{
    with_each_size(borrow_together, NULL);
}
