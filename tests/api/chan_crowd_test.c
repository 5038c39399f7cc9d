/* SPDX-License-Identifier: MIT */
/* chan_crowd_test.c - channels under many hands: against an oracle, and with everybody at once. */
#include "sync/sync_support.h"

#include <stdlib.h>

#include "base/atomic.h"

/* --- the oracle ------------------------------------------------------------------------------
 *
 * One task at a time does something random; the oracle, three plain queues, says before what must
 * come of it and who ends by it. So every result, value and place in a queue is predicted. */

enum { HANDS = 12, ELEMENTS_MAX = 64, UNTOUCHED = -1 };

typedef enum role { NOBODY, SENDER, RECEIVER } role;

/* wanted_*  what the oracle says it ends with */
typedef struct hand {
    hank_chan *c;
    hank_task task;
    role role;
    int value;
    int wanted_result;
    int wanted_value;
} hand;

typedef struct oracle {
    hank_chan *c;
    size_t capacity;
    bool closed;
    int elements[ELEMENTS_MAX];
    size_t elements_n;
    hand *senders[HANDS], *receivers[HANDS];
    int senders_n, receivers_n;
    hand hands[HANDS];
    int next_value;
    uint64_t dice;
} oracle;

static unsigned roll(oracle *o, unsigned n)
{
    o->dice = o->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(o->dice >> 33) % n;
}

static int hand_body(void *arg)
{
    hand *h = arg;
    return h->role == SENDER ? hank_chan_send(h->c, &h->value) : hank_chan_recv(h->c, &h->value);
}

static hand *pop_hand(hand **queue, int *n, int index)
{
    hand *h = queue[index];
    memmove(queue + index, queue + index + 1, (size_t)(--*n - index) * sizeof *queue);
    return h;
}

/* It must end, and like this. */
static int must_end(hand *h, int result, int value)
{
    h->wanted_result = result;
    h->wanted_value = value;
    int rc = hank_await(h->task);
    MUST(rc == result);
    MUST(h->value == value);
    h->role = NOBODY;
    return 0;
}

/* A send of `value` arrives: what must come of it; -EAGAIN: it has to wait. */
static int predict_send(oracle *o, int value, hand **ret_served)
{
    *ret_served = NULL;
    if (o->closed)
        return -EPIPE;
    if (o->receivers_n > 0) {
        *ret_served = pop_hand(o->receivers, &o->receivers_n, 0);
        return 0;
    }
    if (o->elements_n == o->capacity)
        return -EAGAIN;
    o->elements[o->elements_n++] = value;
    return 0;
}

static int predict_recv(oracle *o, int *ret_value, hand **ret_served)
{
    *ret_served = o->senders_n > 0 ? pop_hand(o->senders, &o->senders_n, 0) : NULL;
    if (o->elements_n == 0) {
        if (!*ret_served)
            return o->closed ? -EPIPE : -EAGAIN;
        *ret_value = (*ret_served)->value;
        return 0;
    }
    *ret_value = o->elements[0];
    memmove(o->elements, o->elements + 1, --o->elements_n * sizeof o->elements[0]);
    if (*ret_served)
        o->elements[o->elements_n++] = (*ret_served)->value;
    return 0;
}

static int try_send(oracle *o)
{
    hand *served;
    int value = o->next_value++;
    if (o->elements_n == ELEMENTS_MAX)
        return 0;
    int wanted = predict_send(o, value, &served);
    MUST(hank_chan_trysend(o->c, &value) == wanted);
    return served ? must_end(served, 0, value) : 0;
}

static int try_recv(oracle *o)
{
    hand *served;
    int wanted_value = UNTOUCHED, value = UNTOUCHED;
    int wanted = predict_recv(o, &wanted_value, &served);
    MUST(hank_chan_tryrecv(o->c, &value) == wanted && value == wanted_value);
    return served ? must_end(served, 0, served->value) : 0;
}

static hand *free_hand(oracle *o, role its, int value)
{
    for (int i = 0; i < HANDS; i++) {
        hand *h = &o->hands[i];
        if (h->role != NOBODY)
            continue;
        *h = (hand){.c = o->c, .role = its, .value = value};
        h->task = hank_spawn(hand_body, h);
        return h;
    }
    return NULL;
}

static int spawn_sender(oracle *o)
{
    hand *served, *h;
    int value = o->next_value++;
    if (o->elements_n == ELEMENTS_MAX || !(h = free_hand(o, SENDER, value)))
        return 0;
    int wanted = predict_send(o, value, &served);
    if (wanted == -EAGAIN) {
        o->senders[o->senders_n++] = h;
        YIELD_UNTIL(waiting_to_send(o->c) == o->senders_n);
        return 0;
    }
    MUST(must_end(h, wanted, value) == 0);
    return served ? must_end(served, 0, value) : 0;
}

static int spawn_receiver(oracle *o)
{
    hand *served, *h = free_hand(o, RECEIVER, UNTOUCHED);
    int value = UNTOUCHED;
    if (!h)
        return 0;
    int wanted = predict_recv(o, &value, &served);
    if (wanted == -EAGAIN) {
        o->receivers[o->receivers_n++] = h;
        YIELD_UNTIL(waiting_to_recv(o->c) == o->receivers_n);
        return 0;
    }
    MUST(must_end(h, wanted, value) == 0);
    return served ? must_end(served, 0, served->value) : 0;
}

static int cancel_somebody(oracle *o)
{
    int n = o->senders_n + o->receivers_n;
    if (n == 0)
        return 0;
    int i = (int)roll(o, (unsigned)n);
    hand *h = i < o->senders_n ? pop_hand(o->senders, &o->senders_n, i)
                               : pop_hand(o->receivers, &o->receivers_n, i - o->senders_n);
    MUST(hank_cancel(h->task) == 0);
    return must_end(h, -ECANCELED, h->role == SENDER ? h->value : UNTOUCHED);
}

static int close_it(oracle *o)
{
    hank_chan_close(o->c);
    o->closed = true;
    while (o->senders_n > 0) {
        hand *h = pop_hand(o->senders, &o->senders_n, 0);
        MUST(must_end(h, -EPIPE, h->value) == 0);
    }
    while (o->receivers_n > 0)
        MUST(must_end(pop_hand(o->receivers, &o->receivers_n, 0), -EPIPE, UNTOUCHED) == 0);
    return 0;
}

static int open_another(oracle *o)
{
    static const size_t capacities[] = {0, 1, 2, 5, HANK_UNBOUNDED};
    if (o->c)
        MUST(close_it(o) == 0);
    hank_chan_free(o->c);
    uint64_t dice = o->dice;
    *o = (oracle){.dice = dice};
    o->capacity = capacities[roll(o, 5)];
    o->c = hank_chan_new(sizeof(int), o->capacity);
    MUST(o->c);
    return 0;
}

static int one_step(oracle *o)
{
    unsigned n = roll(o, 1000);
    if (n < 2)
        return open_another(o);
    if (n < 4)
        return close_it(o);
    if (n < 150)
        return cancel_somebody(o);
    if (n < 360)
        return try_send(o);
    if (n < 570)
        return try_recv(o);
    return n < 785 ? spawn_sender(o) : spawn_receiver(o);
}

typedef struct search {
    uint64_t seed;
    int steps;
} search;

static int ask_the_oracle(void *arg)
{
    search *s = arg;
    oracle *o = calloc(1, sizeof *o);
    MUST(o);
    o->dice = s->seed;
    int rc = open_another(o);
    int step = 0;
    for (; step < s->steps && rc == 0; step++)
        rc = one_step(o);
    if (rc < 0)
        cr_log_error("seed %llu, step %d", (unsigned long long)s->seed, step);
    if (rc == 0)
        rc = close_it(o);
    if (rc == 0) { /* else its hands may still be in it */
        hank_chan_free(o->c);
        free(o);
    }
    return rc;
}

/* HANK_SEED=... repeats a run. */
Test(chan_crowd, every_result_is_what_a_plain_queue_predicts, .timeout = 120)
{
    const char *given = getenv("HANK_SEED");
    search s = {.seed = given ? strtoull(given, NULL, 10) : hk_os_random(), .steps = 100 * 1000};
    cr_log_info("HANK_SEED=%llu", (unsigned long long)s.seed);
    cr_assert_eq(hank_run_with(ask_the_oracle, &s, .workers = 1), 0);
    s.steps = 10 * 1000;
    cr_assert_eq(hank_run_with(ask_the_oracle, &s, .workers = 2), 0);
    cr_assert_eq(hank_run_with(ask_the_oracle, &s, .workers = 8), 0);
}

/* --- everybody at once ----------------------------------------------------------------------- */

enum { SIDES = 4, EACH = 400, SENT_MAX = (SIDES + 1) * EACH };

/* seen[producer * EACH + number]  how often that was received; the last producer is a thread */
typedef struct market {
    hank_chan *c;
    HK_ATOMIC(int) seen[SENT_MAX];
    HK_ATOMIC(int) sent[SENT_MAX];
    HK_ATOMIC(bool) disorder;
    HK_ATOMIC(int) producers;
} market;

typedef struct stall {
    market *market;
    int number;
} stall;

/* Each element until it is sent, with timeouts that often strike. */
static int produce(void *arg)
{
    stall *s = arg;
    int rc = 0;
    for (int i = 0; i < EACH; i++) {
        int value = s->number * EACH + i;
        hank_ns patience = HANK_US(i % 7);
        do {
            patience = 2 * patience + HANK_US(1);
            rc = hank_within(patience, hank_chan_send(s->market->c, &value));
        } while (rc == -ETIMEDOUT);
        if (rc < 0)
            break;
        (void)hk_add_relaxed(&s->market->sent[value], 1); /* read after all have ended */
    }
    if (hk_sub_acqrel(&s->market->producers, 1) == 1) /* the last closes: all have sent */
        hank_chan_close(s->market->c);
    return rc;
}

static int consume(void *arg)
{
    market *m = arg;
    int last[SIDES + 1], value, rc;
    for (int i = 0; i <= SIDES; i++)
        last[i] = -1;
    for (int turn = 0;; turn++) {
        rc = hank_within(HANK_US(turn % 5 * 20), hank_chan_recv(m->c, &value));
        if (rc == -ETIMEDOUT)
            continue;
        if (rc < 0)
            return rc == -EPIPE ? 0 : rc;
        (void)hk_add_relaxed(&m->seen[value], 1); /* read after all have ended */
        if (value % EACH <= last[value / EACH])
            hk_store_relaxed(&m->disorder, true); /* the same */
        last[value / EACH] = value % EACH;
    }
}

static void *produce_as_thread(void *arg)
{
    cr_expect_eq(produce(arg), 0);
    return NULL;
}

static void *consume_as_thread(void *arg)
{
    cr_expect_eq(consume(arg), 0);
    return NULL;
}

static int trade(void *arg)
{
    market *m = calloc(1, sizeof *m);
    stall stalls[SIDES + 1];
    hank_task tasks[2 * SIDES];
    MUST(m);
    m->c = hank_chan_new(sizeof(int), *(size_t *)arg);
    MUST(m->c);
    hk_store_relaxed(&m->producers, SIDES + 1); /* nobody else is here yet */
    for (int i = 0; i <= SIDES; i++)
        stalls[i] = (stall){m, i};
    pthread_t threads[2] = {start_thread(produce_as_thread, &stalls[SIDES]),
                            start_thread(consume_as_thread, m)};
    for (int i = 0; i < SIDES; i++) {
        tasks[i] = hank_spawn(produce, &stalls[i]);
        tasks[SIDES + i] = hank_spawn(consume, m);
    }
    MUST(hank_gather_n(tasks, 2 * SIDES, NULL) == 0);
    join_thread(threads[0]);
    join_thread(threads[1]);
    for (int i = 0; i < SENT_MAX; i++)
        MUST(m->seen[i] == 1 && m->sent[i] == 1);
    MUST(!m->disorder);
    hank_chan_free(m->c);
    free(m);
    return 0;
}

Test(chan_crowd, what_is_sent_is_received_once_and_in_order_whoever_times_out, .timeout = 120)
{
    static size_t capacities[] = {0, 1, 7};
    for (int i = 0; i < 3; i++)
        with_each_size(trade, &capacities[i]);
}
