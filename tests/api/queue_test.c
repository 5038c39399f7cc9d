/* SPDX-License-Identifier: MIT */
/* queue_test.c - channels as queues: dropping, waiting until all is done; with 1, 2 and 8
 * workers. Sending and receiving itself is in chan_test.c. */
#include "sync/sync_support.h"

#include "api/everywhere.h"
#include "base/atomic.h"

enum { CROWD = 4 };

/* of equal urgency are told apart by their name */
typedef struct job {
    int urgency;
    int name;
} job;

typedef HANK_CHAN(job) jobs;

static int by_urgency(const void *a, const void *b)
{
    const job *x = a, *y = b;
    return (x->urgency > y->urgency) - (x->urgency < y->urgency);
}

static const hank_chan_options by_priority = {.order = HANK_PRIORITY, .compare = by_urgency};

static int fill(jobs q, const int *urgencies, int n)
{
    for (int i = 0; i < n; i++)
        MUST(hank_trysend(q, &((job){urgencies[i], i})) == 0);
    return 0;
}

static int send_job(void *arg)
{
    jobs *q = arg;
    return hank_send(*q, &((job){0, 99}));
}

/* --- dropping -------------------------------------------------------------------------------- */

typedef struct dropped {
    int n;
    int sum;
} dropped;

static void drop(void *elem, void *arg)
{
    dropped *d = arg;
    d->n++;
    d->sum += ((job *)elem)->urgency;
}

BEHAVIOUR(queue, an_abort_drops_what_is_in_it_each_once)
{
    jobs q;
    job got;
    dropped d = {0, 0};
    MUST(hank_make(q, 8));
    MUST(fill(q, (int[]){1, 2, 4, 8}, 4) == 0);
    MUST(hank_tryrecv(q, &got) == 0); /* the ring does not begin at its beginning */
    MUST(hank_chan_abort(q.raw, drop, &d) == 3);
    MUST(d.n == 3 && d.sum == 14 && hank_chan_len(q.raw) == 0);
    MUST(hank_chan_abort(q.raw, drop, &d) == 0 && d.n == 3);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, after_an_abort_nothing_is_sent_or_received)
{
    jobs q;
    job got = {7, 7};
    MUST(hank_make(q, 8));
    MUST(fill(q, (int[]){1, 2}, 2) == 0);
    MUST(hank_chan_abort(q.raw, NULL, NULL) == 2);
    MUST(hank_recv(q, &got) == -EPIPE && hank_tryrecv(q, &got) == -EPIPE && got.urgency == 7);
    MUST(hank_send(q, &got) == -EPIPE && hank_trysend(q, &got) == -EPIPE);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, a_close_keeps_what_is_in_it_an_abort_after_it_does_not)
{
    jobs q;
    job got;
    MUST(hank_make(q, 8));
    MUST(fill(q, (int[]){1, 2, 3}, 3) == 0);
    hank_chan_close(q.raw);
    MUST(hank_recv(q, &got) == 0 && got.urgency == 1);
    MUST(hank_chan_abort(q.raw, NULL, NULL) == 2);
    MUST(hank_recv(q, &got) == -EPIPE);
    hank_chan_close(q.raw);
    hank_chan_free(q.raw);
    return 0;
}

static int recv_job(void *arg)
{
    jobs *q = arg;
    job got;
    return hank_recv(*q, &got);
}

BEHAVIOUR(queue, an_abort_sends_receivers_away)
{
    jobs q;
    hank_task tasks[CROWD];
    MUST(hank_make(q, 2));
    for (int i = 0; i < CROWD; i++)
        tasks[i] = hank_spawn(recv_job, &q);
    YIELD_UNTIL(waiting_to_recv(q.raw) == CROWD);
    MUST(hank_chan_abort(q.raw, NULL, NULL) == 0);
    for (int i = 0; i < CROWD; i++)
        MUST(hank_await(tasks[i]) == -EPIPE);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, an_abort_sends_senders_away_and_does_not_count_what_they_had)
{
    jobs q;
    hank_task tasks[CROWD];
    dropped d = {0, 0};
    MUST(hank_make(q, 2));
    MUST(fill(q, (int[]){1, 2}, 2) == 0);
    for (int i = 0; i < CROWD; i++)
        tasks[i] = hank_spawn(send_job, &q);
    YIELD_UNTIL(waiting_to_send(q.raw) == CROWD);
    MUST(hank_chan_abort(q.raw, drop, &d) == 2 && d.n == 2);
    for (int i = 0; i < CROWD; i++)
        MUST(hank_await(tasks[i]) == -EPIPE);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, an_abort_drops_by_priority_too)
{
    jobs q;
    dropped d = {0, 0};
    MUST(hank_make_opt(q, HANK_UNBOUNDED, &by_priority));
    for (int i = 0; i < 100; i++)
        MUST(hank_send(q, &((job){i, i})) == 0);
    MUST(hank_chan_abort(q.raw, drop, &d) == 100 && d.sum == 4950);
    hank_chan_free(q.raw);
    return 0;
}

/* --- until all is done ----------------------------------------------------------------------- */

BEHAVIOUR(queue, one_to_which_nothing_was_sent_is_done)
{
    jobs q;
    MUST(hank_make(q, 2));
    MUST(hank_chan_join(q.raw) == 0);
    MUST(hank_chan_task_done(q.raw) == -EINVAL);
    hank_chan_free(q.raw);
    return 0;
}

static int join_it(void *arg)
{
    jobs *q = arg;
    return hank_chan_join(q->raw);
}

BEHAVIOUR(queue, a_join_waits_for_what_was_received_to_be_done)
{
    jobs q;
    job got;
    MUST(hank_make(q, 4));
    MUST(fill(q, (int[]){1, 2, 3}, 3) == 0);
    hank_task t = hank_spawn(join_it, &q);
    YIELD_UNTIL(waiting_to_join(q.raw) == 1);
    for (int i = 0; i < 3; i++)
        MUST(hank_recv(q, &got) == 0);
    MUST(waiting_to_join(q.raw) == 1);
    MUST(hank_chan_task_done(q.raw) == 0 && hank_chan_task_done(q.raw) == 0);
    MUST(waiting_to_join(q.raw) == 1);
    MUST(hank_chan_task_done(q.raw) == 0);
    MUST(hank_await(t) == 0);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, more_can_not_be_done_than_was_received)
{
    jobs q;
    job got;
    MUST(hank_make(q, 4));
    MUST(fill(q, (int[]){1, 2}, 2) == 0);
    MUST(hank_chan_task_done(q.raw) == -EINVAL); /* both are still in it */
    MUST(hank_recv(q, &got) == 0);
    MUST(hank_chan_task_done(q.raw) == 0 && hank_chan_task_done(q.raw) == -EINVAL);
    MUST(hank_recv(q, &got) == 0 && hank_chan_task_done(q.raw) == 0);
    MUST(hank_chan_task_done(q.raw) == -EINVAL);
    MUST(hank_chan_join(q.raw) == 0);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, all_who_join_go_on_together_and_it_can_be_joined_again)
{
    jobs q;
    job got;
    hank_task tasks[CROWD];
    MUST(hank_make(q, 4));
    for (int round = 0; round < 3; round++) {
        MUST(fill(q, (int[]){1}, 1) == 0);
        for (int i = 0; i < CROWD; i++)
            tasks[i] = hank_spawn(join_it, &q);
        YIELD_UNTIL(waiting_to_join(q.raw) == CROWD);
        MUST(hank_recv(q, &got) == 0 && hank_chan_task_done(q.raw) == 0);
        MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    }
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, what_an_abort_drops_counts_as_done)
{
    jobs q;
    MUST(hank_make(q, 4));
    MUST(fill(q, (int[]){1, 2, 3}, 3) == 0);
    hank_task t = hank_spawn(join_it, &q);
    YIELD_UNTIL(waiting_to_join(q.raw) == 1);
    MUST(hank_chan_abort(q.raw, NULL, NULL) == 3);
    MUST(hank_await(t) == 0);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, after_an_abort_a_join_still_waits_for_what_had_been_received)
{
    jobs q;
    job got;
    MUST(hank_make(q, 4));
    MUST(fill(q, (int[]){1, 2, 3}, 3) == 0);
    MUST(hank_recv(q, &got) == 0);
    MUST(hank_chan_abort(q.raw, NULL, NULL) == 2);
    hank_task t = hank_spawn(join_it, &q);
    YIELD_UNTIL(waiting_to_join(q.raw) == 1);
    MUST(hank_chan_task_done(q.raw) == 0);
    MUST(hank_await(t) == 0);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, a_close_leaves_those_who_join_waiting)
{
    jobs q;
    job got;
    MUST(hank_make(q, 4));
    MUST(fill(q, (int[]){1}, 1) == 0);
    hank_task t = hank_spawn(join_it, &q);
    YIELD_UNTIL(waiting_to_join(q.raw) == 1);
    hank_chan_close(q.raw);
    MUST(waiting_to_join(q.raw) == 1);
    MUST(hank_recv(q, &got) == 0 && hank_chan_task_done(q.raw) == 0);
    MUST(hank_await(t) == 0);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, who_is_stopped_while_it_joins_leaves_it_as_it_was)
{
    jobs q;
    MUST(hank_make(q, 4));
    MUST(fill(q, (int[]){1}, 1) == 0);
    hank_task t = hank_spawn(join_it, &q);
    YIELD_UNTIL(waiting_to_join(q.raw) == 1);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    MUST(hank_within(HANK_US(100), hank_chan_join(q.raw)) == -ETIMEDOUT);
    MUST(waiting_to_join(q.raw) == 0 && hank_chan_len(q.raw) == 1);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, what_is_handed_over_directly_counts_as_well)
{
    jobs q;
    MUST(hank_make(q, 0));
    hank_task receiver = hank_spawn(recv_job, &q);
    YIELD_UNTIL(waiting_to_recv(q.raw) == 1);
    MUST(hank_trysend(q, &((job){1, 1})) == 0);
    MUST(hank_await(receiver) == 0);
    hank_task sender = hank_spawn(send_job, &q);
    YIELD_UNTIL(waiting_to_send(q.raw) == 1);
    job got;
    MUST(hank_tryrecv(q, &got) == 0 && hank_await(sender) == 0);
    MUST(hank_chan_task_done(q.raw) == 0 && hank_chan_task_done(q.raw) == 0);
    MUST(hank_chan_task_done(q.raw) == -EINVAL && hank_chan_join(q.raw) == 0);
    hank_chan_free(q.raw);
    return 0;
}

static int work_off(void *arg)
{
    jobs *q = arg;
    job got;
    int n = 0;
    while (hank_recv(*q, &got) == 0) {
        (void)hank_yield();
        CHECK(hank_chan_task_done(q->raw) == 0);
        n++;
    }
    return n;
}

/* asyncio's worker pool: send, join, shut down. */
BEHAVIOUR(queue, workers_do_all_and_end_when_it_is_closed)
{
    jobs q;
    hank_task workers[CROWD];
    int n = 0;
    MUST(hank_make(q, 3));
    for (int i = 0; i < CROWD; i++)
        workers[i] = hank_spawn(work_off, &q);
    for (int i = 0; i < 200; i++)
        MUST(hank_send(q, &((job){i, i})) == 0);
    MUST(hank_chan_join(q.raw) == 0);
    MUST(hank_chan_len(q.raw) == 0);
    hank_chan_close(q.raw);
    for (int i = 0; i < CROWD; i++)
        n += hank_await(workers[i]);
    MUST(n == 200);
    hank_chan_free(q.raw);
    return 0;
}

/* --- panics and stops ------------------------------------------------------------------------ */

static int free_it(void *c)
{
    hank_chan_free(c);
    return 0;
}

static int join_raw(void *c)
{
    return hank_chan_join(c);
}

static int free_while_joined(void *c)
{
    MUST(hank_chan_trysend(c, &(job){1, 1}) == 0);
    hank_task t = hank_spawn(join_raw, c);
    YIELD_UNTIL(waiting_to_join(c) == 1);
    leave(t);
    return by_culprit(free_it, c);
}

Test(queue, freeing_it_while_somebody_joins_is_a_panic)
{
    hank_chan *c = hank_chan_new(sizeof(job), 2);
    cr_assert(c);
    must_panic(free_while_joined, "channel", c);
    hank_chan_free(c);
}

/* sent      as their senders know
 * received  bit by bit: number i was, by which it is known that none comes twice */
typedef struct walk {
    size_t capacity;
    const hank_chan_options *options;
    jobs q;
    unsigned sent, received;
} walk;

static void begin_walk(void *state)
{
    walk *w = state;
    w->sent = w->received = 0;
    (void)hank_make_opt(w->q, w->capacity, w->options); /* NULL crashes the walk */
}

static int send_three(void *state)
{
    walk *w = state;
    for (int i = 0; i < 3; i++) {
        int rc = hank_send(w->q, &((job){i, i}));
        if (rc < 0)
            return rc;
        w->sent |= 1U << i;
    }
    return hank_chan_join(w->q.raw);
}

static void note_received(walk *w, int number)
{
    CHECK(number >= 0 && number < 3 && !(w->received & 1U << number));
    w->received |= 1U << number;
}

static int receive_three(void *state)
{
    walk *w = state;
    job got;
    for (int i = 0; i < 3; i++) {
        int rc = hank_recv(w->q, &got);
        if (rc < 0)
            return rc;
        note_received(w, got.urgency);
        CHECK(hank_chan_task_done(w->q.raw) == 0);
    }
    return 0;
}

static bool none_is_lost(void *state, int rc, bool stopped)
{
    walk *w = state;
    job got;
    bool right = (rc == 0 || stopped) && waiting_to_join(w->q.raw) == 0;
    while (hank_tryrecv(w->q, &got) == 0)
        note_received(w, got.urgency);
    hank_chan_free(w->q.raw);
    return right && w->sent == w->received;
}

static int by_number(const void *a, const void *b)
{
    return ((const job *)a)->urgency - ((const job *)b)->urgency;
}

BEHAVIOUR(queue, of_any_kind_stopped_at_any_wait_no_element_is_lost_or_doubled)
{
    static const hank_chan_options newest = {.order = HANK_LIFO};
    static const hank_chan_options least = {.order = HANK_PRIORITY, .compare = by_number};
    static const walk kinds[] = {
        {.capacity = 1},
        {.capacity = 0},
        {.capacity = HANK_UNBOUNDED},
        {.capacity = 2, .options = &newest},
        {.capacity = HANK_UNBOUNDED, .options = &newest},
        {.capacity = 2, .options = &least},
        {.capacity = HANK_UNBOUNDED, .options = &least},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        walk w = kinds[i];
        everywhere_scenario s = {begin_walk, send_three, receive_three, none_is_lost, &w};
        everywhere_scenario back = {begin_walk, receive_three, send_three, none_is_lost, &w};
        MUST(everywhere(&s) == 0);
        MUST(everywhere_stops() > 0);
        MUST(everywhere(&back) == 0);
        MUST(everywhere_stops() > 0);
    }
    return 0;
}
