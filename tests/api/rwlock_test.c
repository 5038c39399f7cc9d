/* SPDX-License-Identifier: MIT */
/* rwlock_test.c - readers together or one writer, in order; with 1, 2 and 8 workers. */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

/* l  guards data; turns is written by writers, and by readers one at a time */
typedef struct library {
    hank_rwlock l;
    hank_mutex desk;
    hank_event closing;
    turn_order turns;
    HK_ATOMIC(int) readers;
    int data;
} library;

typedef struct visitor {
    library *library;
    int number;
} visitor;

static void sign(visitor *v)
{
    hank_mutex_lock(&v->library->desk);
    note_turn(&v->library->turns, v->number);
    hank_mutex_unlock(&v->library->desk);
}

/* Reads until the library closes. */
static int read_on(void *arg)
{
    visitor *v = arg;
    int rc = hank_rwlock_rdlock_stoppable(&v->library->l);
    if (rc < 0)
        return rc;
    sign(v);
    (void)hk_add_acqrel(&v->library->readers, 1);
    hank_scope shield;
    hank_shield_begin(&shield);
    (void)hank_event_wait(&v->library->closing); /* shielded: it cannot be stopped */
    hank_shield_end(&shield);
    (void)hk_sub_acqrel(&v->library->readers, 1);
    hank_rwlock_rdunlock(&v->library->l);
    return 0;
}

static int write_once(void *arg)
{
    visitor *v = arg;
    int rc = hank_rwlock_wrlock_stoppable(&v->library->l);
    if (rc < 0)
        return rc;
    sign(v);
    v->library->data++;
    hank_rwlock_wrunlock(&v->library->l);
    return 0;
}

static int queue_up(library *l, visitor *v, hank_task *t, const char *kinds)
{
    int already = waiting_at(&l->l);
    for (int i = 0; kinds[i]; i++) {
        v[i] = (visitor){l, i};
        t[i] = hank_spawn(kinds[i] == 'r' ? read_on : write_once, &v[i]);
        YIELD_UNTIL(waiting_at(&l->l) == already + i + 1);
    }
    return 0;
}

static int readers(library *l)
{
    return hk_load_acquire(&l->readers);
}

/* --- alone ----------------------------------------------------------------------------------- */

BEHAVIOUR(rwlock, many_read_at_once_and_nobody_writes_meanwhile)
{
    hank_rwlock l = {{0}};
    hank_rwlock_rdlock(&l);
    MUST(hank_rwlock_tryrdlock(&l) && hank_rwlock_tryrdlock(&l));
    MUST(!hank_rwlock_trywrlock(&l));
    for (int i = 0; i < 3; i++)
        hank_rwlock_rdunlock(&l);
    MUST(hank_rwlock_trywrlock(&l));
    hank_rwlock_wrunlock(&l);
    return 0;
}

BEHAVIOUR(rwlock, one_writes_alone)
{
    hank_rwlock l = {{0}};
    hank_rwlock_wrlock(&l);
    MUST(!hank_rwlock_tryrdlock(&l) && !hank_rwlock_trywrlock(&l));
    hank_rwlock_wrunlock(&l);
    MUST(hank_rwlock_tryrdlock(&l));
    hank_rwlock_rdunlock(&l);
    return 0;
}

BEHAVIOUR(rwlock, who_writes_and_wants_it_again_is_told)
{
    hank_rwlock l = {{0}};
    hank_rwlock_wrlock(&l);
    MUST(hank_rwlock_wrlock_stoppable(&l) == -EDEADLK);
    MUST(hank_rwlock_rdlock_stoppable(&l) == -EDEADLK);
    hank_rwlock_wrunlock(&l);
    return 0;
}

BEHAVIOUR(rwlock, a_stopped_task_gets_it_neither_to_read_nor_to_write)
{
    hank_rwlock l = {{0}};
    hank_scope s;
    hank_timeout_begin(&s, 0);
    MUST(hank_rwlock_rdlock_stoppable(&l) == -ETIMEDOUT);
    MUST(hank_rwlock_wrlock_stoppable(&l) == -ETIMEDOUT);
    hank_rwlock_wrlock(&l); /* this one cannot be stopped */
    hank_rwlock_wrunlock(&l);
    hank_rwlock_rdlock(&l);
    hank_rwlock_rdunlock(&l);
    MUST(hank_timeout_end(&s));
    MUST(hank_rwlock_trywrlock(&l));
    hank_rwlock_wrunlock(&l);
    return 0;
}

/* --- order ----------------------------------------------------------------------------------- */

BEHAVIOUR(rwlock, readers_that_waited_next_to_each_other_go_in_together)
{
    library l = {.data = 0};
    visitor v[3];
    hank_task t[3];
    hank_rwlock_wrlock(&l.l);
    MUST(queue_up(&l, v, t, "rrr") == 0);
    hank_rwlock_wrunlock(&l.l);
    YIELD_UNTIL(readers(&l) == 3);
    hank_event_set(&l.closing);
    MUST(hank_gather_n(t, 3, NULL) == 0);
    return 0;
}

BEHAVIOUR(rwlock, a_writer_waits_for_the_readers_before_it_and_no_others)
{
    library l = {.data = 0};
    visitor v[2];
    hank_task t[2];
    hank_rwlock_rdlock(&l.l);
    MUST(queue_up(&l, v, t, "wr") == 0);
    MUST(!hank_rwlock_tryrdlock(&l.l)); /* a newcomer stands behind the writer */
    hank_rwlock_rdunlock(&l.l);
    MUST(hank_await(t[0]) == 0);
    YIELD_UNTIL(readers(&l) == 1);
    MUST(IS_ORDER(&l.turns, 0, 1));
    hank_event_set(&l.closing);
    MUST(hank_await(t[1]) == 0);
    return 0;
}

BEHAVIOUR(rwlock, writers_get_it_in_the_order_they_came)
{
    library l = {.data = 0};
    visitor v[4];
    hank_task t[4];
    hank_rwlock_wrlock(&l.l);
    MUST(queue_up(&l, v, t, "wwww") == 0);
    hank_rwlock_wrunlock(&l.l);
    MUST(hank_gather_n(t, 4, NULL) == 0);
    MUST(IS_ORDER(&l.turns, 0, 1, 2, 3) && l.data == 4);
    return 0;
}

BEHAVIOUR(rwlock, readers_behind_a_writer_do_not_go_in_with_those_before_it)
{
    library l = {.data = 0};
    visitor v[3];
    hank_task t[3];
    hank_rwlock_wrlock(&l.l);
    MUST(queue_up(&l, v, t, "rwr") == 0);
    hank_rwlock_wrunlock(&l.l);
    YIELD_UNTIL(readers(&l) == 1);
    MUST(waiting_at(&l.l) == 2);
    hank_event_set(&l.closing);
    MUST(hank_gather_n(t, 3, NULL) == 0);
    MUST(IS_ORDER(&l.turns, 0, 1, 2));
    return 0;
}

/* --- stops ----------------------------------------------------------------------------------- */

BEHAVIOUR(rwlock, a_cancelled_writer_opens_it_for_the_readers_behind_it)
{
    library l = {.data = 0};
    visitor v[3];
    hank_task t[3];
    hank_rwlock_rdlock(&l.l);
    MUST(queue_up(&l, v, t, "wrr") == 0);
    MUST(hank_cancel(t[0]) == 0 && hank_await(t[0]) == -ECANCELED);
    YIELD_UNTIL(readers(&l) == 2); /* while the first reader still reads */
    hank_event_set(&l.closing);
    MUST(hank_await(t[1]) == 0 && hank_await(t[2]) == 0);
    hank_rwlock_rdunlock(&l.l);
    MUST(l.data == 0 && hank_rwlock_trywrlock(&l.l));
    hank_rwlock_wrunlock(&l.l);
    return 0;
}

BEHAVIOUR(rwlock, a_cancelled_reader_leaves_the_others_where_they_are)
{
    library l = {.data = 0};
    visitor v[3];
    hank_task t[3];
    hank_rwlock_wrlock(&l.l);
    MUST(queue_up(&l, v, t, "rww") == 0);
    MUST(hank_cancel(t[0]) == 0 && hank_await(t[0]) == -ECANCELED);
    MUST(waiting_at(&l.l) == 2);
    hank_rwlock_wrunlock(&l.l);
    MUST(hank_await(t[1]) == 0 && hank_await(t[2]) == 0);
    MUST(IS_ORDER(&l.turns, 1, 2));
    return 0;
}

BEHAVIOUR(rwlock, who_was_let_in_before_it_was_cancelled_is_in)
{
    library l = {.data = 0};
    visitor v[1];
    hank_task t[1];
    hank_rwlock_wrlock(&l.l);
    MUST(queue_up(&l, v, t, "w") == 0);
    hank_rwlock_wrunlock(&l.l);
    MUST(hank_cancel(t[0]) == 0);
    MUST(hank_await(t[0]) == 0 && l.data == 1);
    MUST(hank_rwlock_trywrlock(&l.l));
    hank_rwlock_wrunlock(&l.l);
    return 0;
}

BEHAVIOUR(rwlock, a_timeout_ends_the_wait_of_either)
{
    library l = {.data = 0};
    visitor v = {&l, 0};
    hank_task t = hank_spawn(read_on, &v);
    YIELD_UNTIL(readers(&l) == 1);
    MUST(hank_within(HANK_US(100), hank_rwlock_wrlock_stoppable(&l.l)) == -ETIMEDOUT);
    MUST(hank_rwlock_tryrdlock(&l.l)); /* it waits no more */
    hank_rwlock_rdunlock(&l.l);
    hank_event_set(&l.closing);
    MUST(hank_await(t) == 0);
    return 0;
}

BEHAVIOUR(rwlock, cancel_and_unlock_that_meet_leave_it_free)
{
    for (int i = 0; i < 200; i++) {
        library l = {.data = 0};
        visitor v[3];
        hank_task t[3];
        int written = 0;
        hank_event_set(&l.closing); /* nobody stays */
        hank_rwlock_wrlock(&l.l);
        MUST(queue_up(&l, v, t, "wrw") == 0);
        MUST(hank_cancel(t[i % 3]) == 0);
        hank_rwlock_wrunlock(&l.l);
        for (int j = 0; j < 3; j++) {
            int rc = hank_await(t[j]);
            MUST(rc == 0 || (rc == -ECANCELED && j == i % 3));
            written += rc == 0 && j != 1;
        }
        MUST(l.data == written && hank_rwlock_trywrlock(&l.l));
        hank_rwlock_wrunlock(&l.l);
    }
    return 0;
}

/* --- many ------------------------------------------------------------------------------------ */

/* Two counters that only writers change, and that readers always see equal. */
typedef struct pair {
    hank_rwlock l;
    long a, b;
} pair;

static int mix(void *arg)
{
    pair *p = arg;
    for (int i = 0; i < 200; i++) {
        if (i % 4 == 0) {
            hank_rwlock_wrlock(&p->l);
            p->a++;
            (void)hank_yield();
            p->b++;
            hank_rwlock_wrunlock(&p->l);
        } else {
            hank_rwlock_rdlock(&p->l);
            CHECK(p->a == p->b);
            hank_rwlock_rdunlock(&p->l);
        }
    }
    return 0;
}

static void *mix_as_thread(void *arg)
{
    (void)mix(arg);
    return NULL;
}

BEHAVIOUR(rwlock, readers_never_see_half_of_what_a_writer_does)
{
    pair p = {.a = 0};
    hank_task tasks[6];
    pthread_t thread = start_thread(mix_as_thread, &p);
    for (int i = 0; i < 6; i++)
        tasks[i] = hank_spawn(mix, &p);
    MUST(hank_gather_n(tasks, 6, NULL) == 0);
    join_thread(thread);
    MUST(p.a == 7 * 50 && p.b == p.a);
    return 0;
}

/* --- panics ---------------------------------------------------------------------------------- */

static int rdunlock_it(void *l)
{
    hank_rwlock_rdunlock(l);
    return 0;
}

Test(rwlock, giving_back_what_nobody_reads_is_a_panic)
{
    hank_rwlock l = {{0}};
    culprit_must_panic(rdunlock_it, "rwlock", &l);
}

static int wrunlock_it(void *l)
{
    hank_rwlock_wrunlock(l);
    return 0;
}

static int another_writes(void *l)
{
    hank_rwlock_wrlock(l);
    return by_culprit(wrunlock_it, l);
}

Test(rwlock, giving_back_what_another_writes_is_a_panic)
{
    hank_rwlock l = {{0}};
    must_panic(another_writes, "rwlock", &l);
    culprit_must_panic(wrunlock_it, "rwlock", &l); /* nobody does */
}

static int write_and_read(void *l)
{
    hank_rwlock_wrlock(l);
    hank_rwlock_rdlock(l);
    return 0;
}

static int write_twice(void *l)
{
    hank_rwlock_wrlock(l);
    hank_rwlock_wrlock(l);
    return 0;
}

Test(rwlock, taking_what_one_writes_is_a_panic)
{
    hank_rwlock l = {{0}};
    culprit_must_panic(write_twice, "rwlock", &l);
    culprit_must_panic(write_and_read, "rwlock", &l);
}

/* --- everywhere ------------------------------------------------------------------------------ */

static void begin_walk(void *state)
{
    *(pair *)state = (pair){.a = 0};
}

static int read_and_write(void *state)
{
    pair *p = state;
    int rc = hank_rwlock_wrlock_stoppable(&p->l);
    if (rc < 0)
        return rc;
    p->a++;
    rc = hank_yield();
    p->b++;
    hank_rwlock_wrunlock(&p->l);
    if (rc < 0 || (rc = hank_rwlock_rdlock_stoppable(&p->l)) < 0)
        return rc;
    rc = p->a == p->b ? hank_yield() : -EPROTO;
    hank_rwlock_rdunlock(&p->l);
    return rc;
}

static bool is_free(void *state, int rc, bool stopped)
{
    pair *p = state;
    bool free = hank_rwlock_trywrlock(&p->l);
    if (free)
        hank_rwlock_wrunlock(&p->l);
    return free && p->a == p->b && rc != -EPROTO && (rc == 0 || stopped);
}

BEHAVIOUR(rwlock, stopped_at_any_wait_it_is_free_afterwards)
{
    pair p;
    everywhere_scenario s = {begin_walk, read_and_write, read_and_write, is_free, &p};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
