/* SPDX-License-Identifier: MIT */
/* select_test.c - one of several channels, exactly once; with 1, 2 and 8 workers. */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

enum { ROUNDS = 200 };

typedef HANK_CHAN(int) numbers;

/* Two channels, and what a task that selects from them got. */
typedef struct pair {
    numbers a, b;
    int got, sent;
    int index;
    int result;
} pair;

static int make_pair(pair *p, size_t capacity)
{
    *p = (pair){.got = -1, .index = -1};
    MUST(hank_make(p->a, capacity) && hank_make(p->b, capacity));
    return 0;
}

static void free_pair(pair *p)
{
    hank_chan_free(p->a.raw);
    hank_chan_free(p->b.raw);
}

static int recv_either(void *arg)
{
    pair *p = arg;
    hank_case cases[] = {HANK_CASE_RECV(p->a, &p->got), HANK_CASE_RECV(p->b, &p->got)};
    int i = hank_select(cases, 2);
    p->index = i;
    p->result = i >= 0 ? cases[i].result : i;
    return i;
}

static int send_either(void *arg)
{
    pair *p = arg;
    hank_case cases[] = {HANK_CASE_SEND(p->a, &p->sent), HANK_CASE_SEND(p->b, &p->sent)};
    int i = hank_select(cases, 2);
    p->index = i;
    p->result = i >= 0 ? cases[i].result : i;
    return i;
}

static int wait_to_recv(pair *p, hank_task *t)
{
    *t = hank_spawn(recv_either, p);
    YIELD_UNTIL(waiting_to_recv(p->a.raw) == 1 && waiting_to_recv(p->b.raw) == 1);
    return 0;
}

static int wait_to_send(pair *p, hank_task *t)
{
    *t = hank_spawn(send_either, p);
    YIELD_UNTIL(waiting_to_send(p->a.raw) == 1 && waiting_to_send(p->b.raw) == 1);
    return 0;
}

static bool nobody_waits(pair *p)
{
    return waiting_to_recv(p->a.raw) + waiting_to_recv(p->b.raw) + waiting_to_send(p->a.raw) +
               waiting_to_send(p->b.raw) ==
           0;
}

/* --- without waiting ------------------------------------------------------------------------- */

BEHAVIOUR(select, it_takes_what_is_there)
{
    pair p;
    MUST(make_pair(&p, 2) == 0);
    MUST(hank_trysend(p.b, &((int){7})) == 0);
    MUST(recv_either(&p) == 1 && p.result == 0 && p.got == 7);
    MUST(hank_chan_len(p.b.raw) == 0);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, of_several_it_does_the_first_that_it_can)
{
    pair p;
    MUST(make_pair(&p, 2) == 0);
    MUST(hank_trysend(p.a, &((int){1})) == 0 && hank_trysend(p.b, &((int){2})) == 0);
    MUST(recv_either(&p) == 0 && p.got == 1);
    MUST(hank_chan_len(p.b.raw) == 1); /* and nothing else */
    MUST(recv_either(&p) == 1 && p.got == 2);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, it_sends_where_there_is_room)
{
    pair p;
    int got;
    MUST(make_pair(&p, 1) == 0);
    p.sent = 5;
    MUST(send_either(&p) == 0);
    p.sent = 6;
    MUST(send_either(&p) == 1);
    MUST(hank_tryrecv(p.a, &got) == 0 && got == 5);
    MUST(hank_tryrecv(p.b, &got) == 0 && got == 6);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, sends_and_receives_can_be_mixed)
{
    pair p;
    int got = 0, sent = 9;
    MUST(make_pair(&p, 1) == 0);
    hank_case cases[] = {HANK_CASE_RECV(p.a, &got), HANK_CASE_SEND(p.b, &sent)};
    MUST(hank_select(cases, 2) == 1 && cases[1].result == 0);
    MUST(hank_trysend(p.a, &((int){3})) == 0);
    MUST(hank_select(cases, 2) == 0 && got == 3);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, a_try_says_when_it_would_have_to_wait)
{
    pair p;
    MUST(make_pair(&p, 1) == 0);
    hank_case cases[] = {HANK_CASE_RECV(p.a, &p.got), HANK_CASE_RECV(p.b, &p.got)};
    MUST(hank_tryselect(cases, 2) == -EAGAIN && nobody_waits(&p));
    MUST(hank_trysend(p.b, &((int){4})) == 0);
    MUST(hank_tryselect(cases, 2) == 1 && p.got == 4);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, a_case_without_a_channel_never_happens)
{
    pair p;
    MUST(make_pair(&p, 1) == 0);
    MUST(hank_trysend(p.a, &((int){1})) == 0);
    hank_case cases[] = {{.recv = &p.got}, HANK_CASE_RECV(p.a, &p.got)};
    MUST(hank_select(cases, 2) == 1);
    MUST(hank_within(HANK_US(100), hank_select(cases, 2)) == -ETIMEDOUT);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, to_wait_for_nothing_at_all_is_invalid)
{
    pair p;
    MUST(make_pair(&p, 1) == 0);
    hank_case none[] = {{.recv = &p.got}}, both = HANK_CASE_RECV(p.a, &p.got),
              neither = {.chan = p.a.raw};
    both.send = &p.sent;
    MUST(hank_select(NULL, 0) == -EINVAL && hank_tryselect(NULL, 0) == -EINVAL);
    MUST(hank_select(none, 1) == -EINVAL);
    MUST(hank_select(&both, 1) == -EINVAL && hank_select(&neither, 1) == -EINVAL);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, a_closed_channel_makes_its_case_happen)
{
    pair p;
    MUST(make_pair(&p, 1) == 0);
    hank_chan_close(p.b.raw);
    MUST(recv_either(&p) == 1 && p.result == -EPIPE);
    MUST(hank_trysend(p.a, &((int){1})) == 0);
    MUST(send_either(&p) == 1 && p.result == -EPIPE); /* the first one is full */
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, a_stopped_task_does_nothing_of_it)
{
    pair p;
    hank_scope s;
    MUST(make_pair(&p, 1) == 0);
    MUST(hank_trysend(p.a, &((int){1})) == 0);
    hank_timeout_begin(&s, 0);
    MUST(recv_either(&p) == -ETIMEDOUT);
    MUST(hank_timeout_end(&s) && hank_chan_len(p.a.raw) == 1);
    free_pair(&p);
    return 0;
}

/* --- waiting --------------------------------------------------------------------------------- */

BEHAVIOUR(select, it_waits_at_all_and_is_served_by_any)
{
    for (int which = 0; which < 2; which++) {
        pair p;
        hank_task t;
        MUST(make_pair(&p, 1) == 0);
        MUST(wait_to_recv(&p, &t) == 0);
        numbers c = which == 0 ? p.a : p.b;
        MUST(hank_trysend(c, &((int){which + 10})) == 0);
        MUST(hank_await(t) == which && p.result == 0 && p.got == which + 10);
        MUST(nobody_waits(&p) && hank_chan_len(p.a.raw) + hank_chan_len(p.b.raw) == 0);
        free_pair(&p);
    }
    return 0;
}

BEHAVIOUR(select, what_it_has_to_send_goes_to_the_first_who_receives)
{
    for (int which = 0; which < 2; which++) {
        pair p;
        hank_task t;
        int got = 0;
        MUST(make_pair(&p, 0) == 0);
        p.sent = 33;
        MUST(wait_to_send(&p, &t) == 0);
        numbers c = which == 0 ? p.a : p.b, other = which == 0 ? p.b : p.a;
        MUST(hank_tryrecv(c, &got) == 0 && got == 33);
        MUST(hank_tryrecv(other, &got) == -EAGAIN); /* it is sent once */
        MUST(hank_await(t) == which && nobody_waits(&p));
        free_pair(&p);
    }
    return 0;
}

BEHAVIOUR(select, closing_one_of_its_channels_ends_the_wait)
{
    pair p;
    hank_task t;
    MUST(make_pair(&p, 1) == 0);
    MUST(wait_to_recv(&p, &t) == 0);
    hank_chan_close(p.b.raw);
    MUST(hank_await(t) == 1 && p.result == -EPIPE && nobody_waits(&p));
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, aborting_one_of_its_channels_ends_the_wait)
{
    pair p;
    hank_task t;
    MUST(make_pair(&p, 0) == 0);
    MUST(wait_to_send(&p, &t) == 0);
    MUST(hank_chan_abort(p.a.raw, NULL, NULL) == 0);
    MUST(hank_await(t) == 0 && p.result == -EPIPE && nobody_waits(&p));
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, a_timeout_ends_the_wait_and_it_has_left_all)
{
    pair p;
    MUST(make_pair(&p, 1) == 0);
    MUST(hank_within(HANK_US(100), recv_either(&p)) == -ETIMEDOUT);
    MUST(nobody_waits(&p) && p.got == -1);
    MUST(hank_trysend(p.a, &((int){1})) == 0 && hank_chan_len(p.a.raw) == 1);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, who_is_cancelled_has_left_all_and_taken_nothing)
{
    pair p;
    hank_task t;
    MUST(make_pair(&p, 1) == 0);
    MUST(wait_to_recv(&p, &t) == 0);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    MUST(nobody_waits(&p));
    MUST(hank_trysend(p.a, &((int){1})) == 0 && hank_chan_len(p.a.raw) == 1);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, who_was_served_before_it_was_cancelled_has_it)
{
    pair p;
    hank_task t;
    MUST(make_pair(&p, 1) == 0);
    MUST(wait_to_recv(&p, &t) == 0);
    MUST(hank_trysend(p.b, &((int){8})) == 0);
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == 1 && p.got == 8);
    free_pair(&p);
    return 0;
}

static int recv_plainly(void *arg)
{
    pair *p = arg;
    return hank_recv(p->a, &p->got);
}

BEHAVIOUR(select, it_stands_in_the_queue_like_everybody_else)
{
    pair p;
    hank_task t;
    MUST(make_pair(&p, 1) == 0);
    pair second = p;
    MUST(wait_to_recv(&p, &t) == 0);
    hank_task behind = hank_spawn(recv_plainly, &second);
    YIELD_UNTIL(waiting_to_recv(p.a.raw) == 2);
    MUST(hank_trysend(p.a, &((int){1})) == 0 && hank_trysend(p.a, &((int){2})) == 0);
    MUST(hank_await(t) == 0 && p.got == 1);
    MUST(hank_await(behind) == 0 && second.got == 2);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, one_that_was_served_elsewhere_gives_its_place_to_the_next)
{
    pair p;
    hank_task t;
    MUST(make_pair(&p, 1) == 0);
    pair second = p;
    MUST(wait_to_recv(&p, &t) == 0);
    hank_task behind = hank_spawn(recv_plainly, &second);
    YIELD_UNTIL(waiting_to_recv(p.a.raw) == 2);
    MUST(hank_trysend(p.b, &((int){1})) == 0); /* it is served there, and still queues here */
    MUST(hank_trysend(p.a, &((int){2})) == 0);
    MUST(hank_await(behind) == 0 && second.got == 2);
    MUST(hank_await(t) == 1 && p.got == 1);
    free_pair(&p);
    return 0;
}

BEHAVIOUR(select, two_cases_may_be_of_one_channel_and_it_does_not_serve_itself)
{
    pair p;
    int sent = 5, got = 0;
    MUST(make_pair(&p, 0) == 0);
    hank_case cases[] = {HANK_CASE_RECV(p.a, &got), HANK_CASE_SEND(p.a, &sent)};
    MUST(hank_within(HANK_US(100), hank_select(cases, 2)) == -ETIMEDOUT);
    MUST(got == 0 && nobody_waits(&p));
    free_pair(&p);
    return 0;
}

static int recv_a_send_b(void *arg)
{
    pair *p = arg;
    hank_case cases[] = {HANK_CASE_RECV(p->a, &p->got), HANK_CASE_SEND(p->b, &p->sent)};
    return p->index = hank_select(cases, 2);
}

static int recv_b_send_a(void *arg)
{
    pair *p = arg;
    hank_case cases[] = {HANK_CASE_RECV(p->b, &p->got), HANK_CASE_SEND(p->a, &p->sent)};
    return p->index = hank_select(cases, 2);
}

/* Each could serve the other twice over: exactly one element passes. */
BEHAVIOUR(select, two_that_select_meet_each_other_once)
{
    for (int i = 0; i < ROUNDS; i++) {
        pair p;
        MUST(make_pair(&p, 0) == 0);
        pair q = p;
        p.sent = 1;
        q.sent = 2;
        hank_task tasks[] = {hank_spawn(recv_a_send_b, &p), hank_spawn(recv_b_send_a, &q)};
        MUST(hank_await(tasks[0]) >= 0 && hank_await(tasks[1]) >= 0);
        MUST(p.index != q.index); /* one received what the other sent */
        MUST(p.index == 0 ? p.got == 2 && q.got == -1 : q.got == 1 && p.got == -1);
        MUST(nobody_waits(&p));
        free_pair(&p);
    }
    return 0;
}

typedef struct feed {
    pair *pair;
    numbers c;
    int from;
    flag done;
} feed;

static int feed_it(void *arg)
{
    feed *f = arg;
    for (int i = f->from; i < f->from + ROUNDS; i++) {
        int rc = hank_send(f->c, &i);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void *feed_as_thread(void *arg)
{
    feed *f = arg;
    cr_expect_eq(feed_it(arg), 0);
    set(&f->done);
    return NULL;
}

typedef struct drain {
    long sum;
    pair *pair;
} drain;

static int drain_both(void *arg)
{
    drain *d = arg;
    int got;
    hank_case cases[] = {HANK_CASE_RECV(d->pair->a, &got), HANK_CASE_RECV(d->pair->b, &got)};
    for (int open = 2; open > 0;) {
        int i = hank_select(cases, 2);
        if (i < 0)
            return i;
        if (cases[i].result == 0) {
            d->sum += got;
        } else {
            cases[i].chan = NULL;
            open--;
        }
    }
    return 0;
}

BEHAVIOUR(select, everything_sent_is_received_once_by_those_who_select)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        pair p;
        hank_task tasks[4];
        long sum = 0;
        MUST(make_pair(&p, capacity) == 0);
        drain drains[3] = {{0, &p}, {0, &p}, {0, &p}};
        feed feeds[2] = {{.pair = &p, .c = p.a}, {.pair = &p, .c = p.b, .from = 1000}};
        for (int i = 0; i < 3; i++)
            tasks[i] = hank_spawn(drain_both, &drains[i]);
        tasks[3] = hank_spawn(feed_it, &feeds[0]);
        pthread_t thread = start_thread(feed_as_thread, &feeds[1]);
        MUST(hank_await(tasks[3]) == 0);
        YIELD_UNTIL(is_set(&feeds[1].done)); /* a join would hold up those it sends to */
        join_thread(thread);
        hank_chan_close(p.a.raw);
        hank_chan_close(p.b.raw);
        MUST(hank_gather_n(tasks, 3, NULL) == 0);
        for (int i = 0; i < 3; i++)
            sum += drains[i].sum;
        MUST(sum == 2L * (ROUNDS * (ROUNDS - 1) / 2) + 1000L * ROUNDS);
        free_pair(&p);
    }
    return 0;
}

/* --- everywhere ------------------------------------------------------------------------------ */

static void begin_walk(void *state)
{
    if (make_pair(state, 0) < 0)
        *(pair *)state = (pair){.got = -2};
}

static int exchange(void *state)
{
    pair *p = state;
    int rc = recv_either(p);
    return rc < 0 ? rc : p->result;
}

static int offer(void *state)
{
    pair *p = state;
    int rc = hank_send(p->b, &((int){4}));
    p->sent = rc == 0;
    return rc;
}

static bool received_if_sent(void *state, int rc, bool stopped)
{
    pair *p = state;
    bool right = (p->got == 4) == (p->sent == 1) && (rc == 0) == (p->got == 4) &&
                 (rc == 0 || stopped) && nobody_waits(p);
    free_pair(p);
    return right;
}

BEHAVIOUR(select, stopped_at_any_wait_it_has_received_what_was_sent_or_nothing)
{
    pair p;
    everywhere_scenario s = {begin_walk, exchange, offer, received_if_sent, &p};
    MUST(everywhere(&s) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}
