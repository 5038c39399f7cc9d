/* SPDX-License-Identifier: MIT */
/* mutex_test.c - what <hank/sync.h> says of mutex and condition, with 1, 2 and 8 workers. */
#include "sync/sync_support.h"

#include "base/atomic.h"

enum { CROWD = 6, ROUNDS = 300 };

/* m       guards order_n, order, passed
 * door    keeps whoever holds m inside until it is set */
typedef struct room {
    hank_mutex m;
    hank_cond c;
    hank_event door;
    int order[CROWD];
    int order_n;
    bool passed;
    HK_ATOMIC(int) inside;
} room;

typedef struct guest {
    room *room;
    int number;
} guest;

static int enter(void *arg)
{
    guest *g = arg;
    hank_mutex_lock(&g->room->m);
    g->room->order[g->room->order_n++] = g->number;
    hank_mutex_unlock(&g->room->m);
    return 0;
}

static void *enter_as_thread(void *arg)
{
    (void)enter(arg);
    return NULL;
}

/* --- mutex --------------------------------------------------------------------------------- */

/* Tasks and threads come in turns. */
static int queue_up(void *arg)
{
    room r = {.order_n = 0};
    guest guests[CROWD];
    hank_task tasks[CROWD];
    pthread_t threads[CROWD];
    (void)arg;
    hank_mutex_lock(&r.m);
    for (int i = 0; i < CROWD; i++) {
        guests[i] = (guest){&r, i};
        if (i % 2 == 0)
            tasks[i] = hank_spawn(enter, &guests[i]);
        else
            threads[i] = start_thread(enter_as_thread, &guests[i]);
        YIELD_UNTIL(waiting_at(&r.m) == i + 1);
    }
    hank_mutex_unlock(&r.m);
    for (int i = 0; i < CROWD; i++) {
        if (i % 2 == 0)
            MUST(hank_await(tasks[i]) == 0);
        else
            join_thread(threads[i]);
    }
    for (int i = 0; i < CROWD; i++)
        MUST(r.order[i] == i);
    return 0;
}

Test(mutex, tasks_and_threads_get_it_in_the_order_they_came)
{
    with_each_size(queue_up, NULL);
}

static int stay_inside(void *arg)
{
    room *r = arg;
    hank_mutex_lock(&r->m);
    (void)hk_add_acqrel(&r->inside, 1);
    (void)hank_event_wait(&r->door);
    hank_mutex_unlock(&r->m);
    return hank_stopped();
}

static int snatch(void *arg)
{
    room r = {.order_n = 0};
    (void)arg;
    MUST(hank_mutex_trylock(&r.m));
    MUST(!hank_mutex_trylock(&r.m)); /* not even by who holds it */
    hank_task t = hank_spawn(stay_inside, &r);
    YIELD_UNTIL(waiting_at(&r.m) == 1);
    hank_mutex_unlock(&r.m);
    for (int i = 0; i < 100; i++)
        MUST(!hank_mutex_trylock(&r.m)); /* it is the other's already, whether or not it runs */
    hank_event_set(&r.door);
    MUST(hank_await(t) == 0);
    MUST(hank_mutex_trylock(&r.m));
    hank_mutex_unlock(&r.m);
    return 0;
}

Test(mutex, it_is_handed_over_and_a_newcomer_cannot_snatch_it)
{
    with_each_size(snatch, NULL);
}

static int stop_who_waits(void *arg)
{
    room r = {.order_n = 0};
    (void)arg;
    hank_mutex_lock(&r.m);
    hank_task t = hank_spawn(stay_inside, &r);
    YIELD_UNTIL(waiting_at(&r.m) == 1);
    MUST(hank_cancel(t) == 0);
    for (int i = 0; i < 100; i++)
        (void)hank_yield();
    MUST(waiting_at(&r.m) == 1 && hk_load_acquire(&r.inside) == 0); /* counted when inside */
    hank_mutex_unlock(&r.m);
    MUST(hank_await(t) == -ECANCELED); /* it had it, and gave it back */
    MUST(hk_load_acquire(&r.inside) == 1);
    MUST(hank_mutex_trylock(&r.m));

    hank_scope s; /* the same for a timeout */
    hank_mutex_unlock(&r.m);
    hank_timeout_begin(&s, 0);
    hank_mutex_lock(&r.m);
    MUST(!hank_mutex_trylock(&r.m));
    hank_mutex_unlock(&r.m);
    (void)hank_timeout_end(&s); /* it had nothing to stop */
    return 0;
}

Test(mutex, neither_cancel_nor_timeout_ends_the_wait_for_it)
{
    with_each_size(stop_who_waits, NULL);
}

/* plain: only the mutex keeps it whole */
static long counted;

static int count(void *arg)
{
    room *r = arg;
    for (int i = 0; i < ROUNDS; i++) {
        hank_mutex_lock(&r->m);
        long seen = counted;
        if (i % 8 == 0)
            (void)hank_yield(); /* whoever unlocks may be on another thread by then */
        counted = seen + 1;
        hank_mutex_unlock(&r->m);
    }
    return 0;
}

static void *count_as_thread(void *arg)
{
    (void)count(arg);
    return NULL;
}

static int count_together(void *arg)
{
    room r = {.order_n = 0};
    hank_task tasks[CROWD];
    (void)arg;
    counted = 0;
    pthread_t threads[2] = {start_thread(count_as_thread, &r), start_thread(count_as_thread, &r)};
    for (int i = 0; i < CROWD; i++)
        tasks[i] = hank_spawn(count, &r);
    MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    join_thread(threads[0]);
    join_thread(threads[1]);
    MUST(counted == (CROWD + 2) * ROUNDS);
    return 0;
}

Test(mutex, one_at_a_time_is_inside_and_sees_what_the_last_one_wrote)
{
    with_each_size(count_together, NULL);
}

/* --- condition ----------------------------------------------------------------------------- */

/* Waits once; 0 or the stop, and it holds the mutex. */
static int wait_for_signal(void *arg)
{
    guest *g = arg;
    room *r = g->room;
    hank_mutex_lock(&r->m);
    int rc = hank_cond_wait(&r->c, &r->m);
    bool free = hank_mutex_trylock(&r->m);
    if (rc == 0)
        r->order[r->order_n++] = g->number;
    hank_mutex_unlock(&r->m);
    return free ? -EPROTO : rc;
}

static void *wait_for_signal_as_thread(void *arg)
{
    cr_expect_eq(wait_for_signal(arg), 0);
    return NULL;
}

static int gather_at(room *r, guest *guests, hank_task *tasks, int n)
{
    *r = (room){.order_n = 0};
    for (int i = 0; i < n; i++) {
        guests[i] = (guest){r, i};
        tasks[i] = hank_spawn(wait_for_signal, &guests[i]);
        YIELD_UNTIL(waiting_at(&r->c) == i + 1);
        YIELD_UNTIL(hank_mutex_trylock(&r->m)); /* given up by who waits, after it has queued */
        hank_mutex_unlock(&r->m);
    }
    return 0;
}

static int signal_each(void *arg)
{
    room r;
    guest guests[CROWD], other = {&r, CROWD - 1};
    hank_task tasks[CROWD];
    (void)arg;
    MUST(gather_at(&r, guests, tasks, CROWD - 1) == 0);
    pthread_t thread = start_thread(wait_for_signal_as_thread, &other);
    YIELD_UNTIL(waiting_at(&r.c) == CROWD);
    for (int i = 0; i < CROWD; i++) {
        hank_mutex_lock(&r.m);
        hank_cond_signal(&r.c);
        MUST(waiting_at(&r.c) == CROWD - 1 - i);
        MUST(r.order_n == i); /* it cannot return before we unlock */
        hank_mutex_unlock(&r.m);
        if (i < CROWD - 1)
            MUST(hank_await(tasks[i]) == 0);
    }
    join_thread(thread);
    for (int i = 0; i < CROWD; i++)
        MUST(r.order[i] == i);
    hank_cond_signal(&r.c); /* nobody there: not remembered */
    hank_cond_broadcast(&r.c);
    hank_mutex_lock(&r.m);
    MUST(hank_within(HANK_MS(1), hank_cond_wait(&r.c, &r.m)) == -ETIMEDOUT);
    MUST(!hank_mutex_trylock(&r.m)); /* held on every return */
    hank_mutex_unlock(&r.m);
    return 0;
}

Test(cond, a_signal_wakes_the_one_that_has_waited_longest_and_is_not_kept)
{
    with_each_size(signal_each, NULL);
}

static int broadcast(void *arg)
{
    room r;
    guest guests[CROWD], other = {&r, CROWD - 1};
    hank_task tasks[CROWD];
    (void)arg;
    MUST(gather_at(&r, guests, tasks, CROWD - 1) == 0);
    pthread_t thread = start_thread(wait_for_signal_as_thread, &other);
    YIELD_UNTIL(waiting_at(&r.c) == CROWD);
    hank_mutex_lock(&r.m);
    hank_cond_broadcast(&r.c);
    hank_mutex_unlock(&r.m);
    MUST(hank_gather_n(tasks, CROWD - 1, NULL) == 0);
    join_thread(thread);
    MUST(r.order_n == CROWD);
    return 0;
}

Test(cond, a_broadcast_wakes_all)
{
    with_each_size(broadcast, NULL);
}

/* The oldest is cancelled at about the time of the signal. */
static int signal_against_cancel(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        room r;
        guest guests[2];
        hank_task tasks[2];
        int results[2];
        MUST(gather_at(&r, guests, tasks, 2) == 0);
        if (i % 2)
            MUST(hank_cancel(tasks[0]) == 0);
        hank_mutex_lock(&r.m);
        hank_cond_signal(&r.c);
        hank_mutex_unlock(&r.m);
        if (i % 2 == 0)
            MUST(hank_cancel(tasks[0]) == 0);
        results[0] = hank_await(tasks[0]);
        MUST(results[0] == 0 || results[0] == -ECANCELED);
        MUST(i % 2 == 0 || results[0] == -ECANCELED);
        if (results[0] == 0)
            hank_cond_signal(&r.c); /* the first one was his */
        results[1] = hank_await(tasks[1]);
        MUST(results[1] == 0);
    }
    return 0;
}

Test(cond, a_stopped_wait_uses_no_signal_up)
{
    with_each_size(signal_against_cancel, NULL);
}

/* --- panics -------------------------------------------------------------------------------- */

static int misuse(hank_fn mistake, void *object)
{
    hank_mutex_lock(object);
    return by_culprit(mistake, object);
}

static int unlock_it(void *m)
{
    hank_mutex_unlock(m);
    return 0;
}

static int unlock_anothers(void *m)
{
    return misuse(unlock_it, m);
}

static int lock_twice(void *m)
{
    hank_mutex_lock(m);
    hank_mutex_lock(m);
    return 0;
}

static int wait_at(void *m)
{
    hank_cond c = {{0}};
    return hank_cond_wait(&c, m);
}

static int wait_without(void *m)
{
    return misuse(wait_at, m);
}

Test(mutex, unlocking_what_one_does_not_hold_is_a_panic_that_names_mutex_and_task)
{
    static hank_mutex m;
    must_panic(unlock_anothers, "mutex", &m);
    culprit_must_panic(unlock_it, "mutex", &m);
}

Test(mutex, locking_what_one_holds_is_a_panic)
{
    static hank_mutex m;
    culprit_must_panic(lock_twice, "mutex", &m);
}

Test(cond, waiting_without_the_mutex_is_a_panic)
{
    static hank_mutex m;
    must_panic(wait_without, "mutex", &m);
}
