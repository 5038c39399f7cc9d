/* SPDX-License-Identifier: MIT */
/* lock_test.c - the mutex as one that may be stopped, with 1, 2 and 8 workers. */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

/* m      guards order and inside
 * door   keeps whoever is inside there until it is set */
typedef struct room {
    hank_mutex m;
    hank_event door;
    turn_order turns;
    int inside;
    flag entered;
} room;

typedef struct guest {
    room *room;
    int number;
    int result;
} guest;

static int enter(void *arg)
{
    guest *g = arg;
    g->result = hank_mutex_lock_stoppable(&g->room->m);
    if (g->result < 0)
        return g->result;
    note_turn(&g->room->turns, g->number);
    hank_mutex_unlock(&g->room->m);
    return 0;
}

static int enter_firmly(void *arg)
{
    guest *g = arg;
    hank_mutex_lock(&g->room->m);
    note_turn(&g->room->turns, g->number);
    hank_mutex_unlock(&g->room->m);
    return 0;
}

/* Stays inside until the door is opened; 0 if it got in. */
static int enter_and_stay(void *arg)
{
    guest *g = arg;
    hank_scope shield;
    g->result = hank_mutex_lock_stoppable(&g->room->m);
    if (g->result < 0)
        return g->result;
    set(&g->room->entered);
    hank_shield_begin(&shield);
    (void)hank_event_wait(&g->room->door); /* shielded: it cannot be stopped */
    hank_shield_end(&shield);
    hank_mutex_unlock(&g->room->m);
    return 0;
}

/* n guests in the queue of a mutex that the caller holds. */
static int queue_up(room *r, guest *guests, hank_task *tasks, int n)
{
    *r = (room){.inside = 0};
    hank_mutex_lock(&r->m);
    for (int i = 0; i < n; i++) {
        guests[i] = (guest){r, i, 1};
        tasks[i] = hank_spawn(enter, &guests[i]);
        YIELD_UNTIL(waiting_at(&r->m) == i + 1);
    }
    return 0;
}

static int stop_one(hank_task t)
{
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    return 0;
}

/* --- alone ----------------------------------------------------------------------------------- */

BEHAVIOUR(lock, a_zeroed_mutex_is_free_and_taken_at_once)
{
    hank_mutex m = {{0}};
    MUST(hank_mutex_lock_stoppable(&m) == 0);
    MUST(!hank_mutex_trylock(&m));
    hank_mutex_unlock(&m);
    MUST(hank_mutex_trylock(&m));
    hank_mutex_unlock(&m);
    return 0;
}

BEHAVIOUR(lock, it_is_free_again_after_each_of_many_unlocks)
{
    hank_mutex m = {{0}};
    for (int i = 0; i < 1000; i++) {
        MUST(hank_mutex_lock_stoppable(&m) == 0);
        hank_mutex_unlock(&m);
    }
    MUST(hank_mutex_trylock(&m));
    hank_mutex_unlock(&m);
    return 0;
}

BEHAVIOUR(lock, taking_what_one_holds_says_so_and_it_stays_held)
{
    hank_mutex m = {{0}};
    hank_mutex_lock(&m);
    MUST(hank_mutex_lock_stoppable(&m) == -EDEADLK);
    MUST(!hank_mutex_trylock(&m));
    hank_mutex_unlock(&m);
    MUST(hank_mutex_trylock(&m));
    hank_mutex_unlock(&m);
    return 0;
}

BEHAVIOUR(lock, a_stopped_task_does_not_get_even_a_free_one)
{
    hank_mutex m = {{0}};
    hank_scope s;
    hank_timeout_begin(&s, 0);
    MUST(hank_mutex_lock_stoppable(&m) == -ETIMEDOUT);
    MUST(hank_timeout_end(&s));
    MUST(hank_mutex_trylock(&m));
    hank_mutex_unlock(&m);
    return 0;
}

BEHAVIOUR(lock, it_can_be_held_while_its_holder_waits_for_something_else)
{
    room r = {.inside = 0};
    guest g = {&r, 0, 1};
    hank_task t = hank_spawn(enter_and_stay, &g);
    YIELD_UNTIL(is_set(&r.entered));
    for (int i = 0; i < 100; i++) {
        MUST(!hank_mutex_trylock(&r.m));
        (void)hank_yield();
    }
    hank_event_set(&r.door);
    MUST(hank_await(t) == 0);
    MUST(hank_mutex_trylock(&r.m));
    hank_mutex_unlock(&r.m);
    return 0;
}

/* --- in the queue ---------------------------------------------------------------------------- */

BEHAVIOUR(lock, those_who_may_be_stopped_are_served_in_the_order_they_came)
{
    room r;
    guest guests[5];
    hank_task tasks[5];
    MUST(queue_up(&r, guests, tasks, 5) == 0);
    hank_mutex_unlock(&r.m);
    MUST(hank_gather_n(tasks, 5, NULL) == 0);
    MUST(IS_ORDER(&r.turns, 0, 1, 2, 3, 4));
    return 0;
}

BEHAVIOUR(lock, both_kinds_of_waiters_stand_in_one_queue)
{
    room r;
    guest guests[2], firm = {&r, 2, 1}, last = {&r, 3, 1};
    hank_task tasks[4];
    MUST(queue_up(&r, guests, tasks, 2) == 0);
    tasks[2] = hank_spawn(enter_firmly, &firm);
    YIELD_UNTIL(waiting_at(&r.m) == 3);
    tasks[3] = hank_spawn(enter, &last);
    YIELD_UNTIL(waiting_at(&r.m) == 4);
    hank_mutex_unlock(&r.m);
    MUST(hank_gather_n(tasks, 4, NULL) == 0);
    MUST(IS_ORDER(&r.turns, 0, 1, 2, 3));
    return 0;
}

BEHAVIOUR(lock, who_is_cancelled_while_waiting_does_not_hold_it)
{
    room r;
    guest guests[1];
    hank_task tasks[1];
    MUST(queue_up(&r, guests, tasks, 1) == 0);
    MUST(stop_one(tasks[0]) == 0);
    MUST(guests[0].result == -ECANCELED && waiting_at(&r.m) == 0);
    hank_mutex_unlock(&r.m);
    MUST(hank_mutex_trylock(&r.m)); /* the waiter has left no trace */
    hank_mutex_unlock(&r.m);
    MUST(r.turns.n == 0);
    return 0;
}

BEHAVIOUR(lock, a_timeout_ends_the_wait_for_it)
{
    room r = {.inside = 0};
    guest g = {&r, 0, 1};
    hank_task t = hank_spawn(enter_and_stay, &g);
    YIELD_UNTIL(is_set(&r.entered));
    MUST(hank_within(HANK_MS(1), hank_mutex_lock_stoppable(&r.m)) == -ETIMEDOUT);
    MUST(waiting_at(&r.m) == 0);
    hank_event_set(&r.door);
    MUST(hank_await(t) == 0);
    return 0;
}

BEHAVIOUR(lock, a_cancelled_first_lets_the_second_have_it)
{
    room r;
    guest guests[2];
    hank_task tasks[2];
    MUST(queue_up(&r, guests, tasks, 2) == 0);
    MUST(stop_one(tasks[0]) == 0);
    hank_mutex_unlock(&r.m);
    MUST(hank_await(tasks[1]) == 0);
    MUST(IS_ORDER(&r.turns, 1));
    return 0;
}

BEHAVIOUR(lock, a_cancelled_one_in_the_middle_leaves_the_order_alone)
{
    room r;
    guest guests[3];
    hank_task tasks[3];
    MUST(queue_up(&r, guests, tasks, 3) == 0);
    MUST(stop_one(tasks[1]) == 0);
    hank_mutex_unlock(&r.m);
    MUST(hank_await(tasks[0]) == 0 && hank_await(tasks[2]) == 0);
    MUST(IS_ORDER(&r.turns, 0, 2));
    return 0;
}

BEHAVIOUR(lock, when_all_who_waited_are_cancelled_it_becomes_free)
{
    room r;
    guest guests[3];
    hank_task tasks[3];
    MUST(queue_up(&r, guests, tasks, 3) == 0);
    for (int i = 0; i < 3; i++)
        MUST(stop_one(tasks[i]) == 0);
    hank_mutex_unlock(&r.m);
    for (int i = 0; i < 3; i++) {
        MUST(hank_mutex_trylock(&r.m));
        hank_mutex_unlock(&r.m);
    }
    return 0;
}

/* It was named the holder before it was cancelled: it has it, and gives it back itself. */
BEHAVIOUR(lock, one_that_got_it_before_it_was_cancelled_passes_it_on)
{
    room r;
    guest guests[2];
    hank_task tasks[2];
    MUST(queue_up(&r, guests, tasks, 2) == 0);
    hank_mutex_unlock(&r.m);
    MUST(hank_cancel(tasks[0]) == 0);
    MUST(hank_await(tasks[0]) == 0 && guests[0].result == 0);
    MUST(hank_await(tasks[1]) == 0);
    MUST(IS_ORDER(&r.turns, 0, 1));
    return 0;
}

BEHAVIOUR(lock, it_is_never_lost_when_cancel_and_unlock_meet)
{
    for (int i = 0; i < 200; i++) {
        room r;
        guest guests[3];
        hank_task tasks[3];
        MUST(queue_up(&r, guests, tasks, 3) == 0);
        MUST(hank_cancel(tasks[i % 3]) == 0);
        hank_mutex_unlock(&r.m);
        for (int j = 0; j < 3; j++) {
            int rc = hank_await(tasks[j]);
            MUST(rc == guests[j].result && (rc == 0 || (rc == -ECANCELED && j == i % 3)));
        }
        MUST(hank_mutex_trylock(&r.m));
        hank_mutex_unlock(&r.m);
    }
    return 0;
}

BEHAVIOUR(lock, who_has_unlocked_it_stands_behind_those_who_waited)
{
    room r;
    guest guests[2];
    hank_task tasks[2];
    MUST(queue_up(&r, guests, tasks, 2) == 0);
    hank_mutex_unlock(&r.m);
    hank_mutex_lock(&r.m); /* at once: but two are before us */
    MUST(IS_ORDER(&r.turns, 0, 1));
    hank_mutex_unlock(&r.m);
    MUST(hank_gather_n(tasks, 2, NULL) == 0);
    return 0;
}

/* --- threads --------------------------------------------------------------------------------- */

static void *give_up(void *arg)
{
    room *r = arg;
    hank_scope s;
    hank_timeout_begin(&s, HANK_MS(1));
    cr_expect_eq(hank_mutex_lock_stoppable(&r->m), -ETIMEDOUT);
    cr_expect(hank_timeout_end(&s));
    return NULL;
}

static void *enter_as_thread(void *arg)
{
    cr_expect_eq(enter(arg), 0);
    return NULL;
}

BEHAVIOUR(lock, a_thread_gives_up_in_time_and_the_next_thread_gets_it)
{
    room r = {.inside = 0};
    guest g = {&r, 7, 1};
    hank_mutex_lock(&r.m);
    join_thread(start_thread(give_up, &r));
    pthread_t thread = start_thread(enter_as_thread, &g);
    YIELD_UNTIL(waiting_at(&r.m) == 1);
    hank_mutex_unlock(&r.m);
    join_thread(thread);
    MUST(IS_ORDER(&r.turns, 7));
    return 0;
}

/* --- everywhere ------------------------------------------------------------------------------ */

static void begin_walk(void *state)
{
    *(room *)state = (room){.inside = 0};
}

static int walk_through(void *state)
{
    room *r = state;
    for (int i = 0; i < 3; i++) {
        int rc = hank_mutex_lock_stoppable(&r->m);
        if (rc < 0)
            return rc;
        r->inside++;
        rc = hank_yield();
        r->inside--;
        hank_mutex_unlock(&r->m);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool nobody_is_inside(void *state, int rc, bool stopped)
{
    room *r = state;
    bool free = hank_mutex_trylock(&r->m);
    if (free)
        hank_mutex_unlock(&r->m);
    return free && r->inside == 0 && (rc == 0 || stopped);
}

BEHAVIOUR(lock, stopped_at_any_wait_it_is_free_afterwards)
{
    room r;
    everywhere_scenario s = {begin_walk, walk_through, walk_through, nobody_is_inside, &r};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
