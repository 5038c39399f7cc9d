/* SPDX-License-Identifier: MIT */
/* chan_test.c - what <hank/chan.h> says, sentence by sentence, with 1, 2 and 8 workers. Many at
 * once and the oracle are in chan_crowd_test.c. */
#include "sync/sync_support.h"

#include "base/atomic.h"

enum { CROWD = 6, ROUNDS = 300, WALK = 5, UNTOUCHED = 0x5a5a };

typedef struct end {
    hank_chan *c;
    int value; /* to send, or received */
    HK_ATOMIC(bool) back;
} end;

static int send_it(void *arg)
{
    end *e = arg;
    int rc = hank_chan_send(e->c, &e->value);
    hk_store_release(&e->back, true); /* its value is not used any more */
    return rc;
}

static int recv_it(void *arg)
{
    end *e = arg;
    e->value = UNTOUCHED;
    return hank_chan_recv(e->c, &e->value);
}

static void *send_as_thread(void *arg)
{
    cr_expect_eq(send_it(arg), 0);
    return NULL;
}

static void *recv_as_thread(void *arg)
{
    cr_expect_eq(recv_it(arg), 0);
    return NULL;
}

/* --- alone ----------------------------------------------------------------------------------- */

Test(chan, sizes_out_of_their_limits_make_no_channel)
{
    cr_expect_null(hank_chan_new(0, 1));
    cr_expect_null(hank_chan_new(64 * 1024 + 1, 1));
    cr_expect_null(hank_chan_new(8, SIZE_MAX / 4));
    cr_expect_null(hank_chan_new(8, PTRDIFF_MAX / 8 + 1));
    cr_expect_null(hank_chan_new(0, HANK_UNBOUNDED));
    hank_chan_free(NULL);
    hank_chan *largest = hank_chan_new(64 * 1024, 1), *smallest = hank_chan_new(1, 1);
    cr_expect(largest && smallest);
    hank_chan_free(largest);
    hank_chan_free(smallest);
}

/* The sizes around the one that is copied without a call; bytes beyond are nobody's. */
static void copies(size_t elem_size)
{
    unsigned char in[16], out[17];
    hank_chan *c = hank_chan_new(elem_size, 3);
    cr_assert(c);
    for (unsigned round = 0; round < 5; round++) { /* and round the ring's end */
        memset(in, (int)round + 1, sizeof in);
        cr_expect_eq(hank_chan_trysend(c, in), 0);
        memset(in, 0xff, sizeof in); /* it was copied */
        cr_expect_eq(hank_chan_trysend(c, in), 0);
        memset(out, 0xee, sizeof out);
        cr_expect_eq(hank_chan_tryrecv(c, out), 0);
        for (size_t i = 0; i < sizeof out; i++)
            cr_expect_eq(out[i], i < elem_size ? round + 1 : 0xee);
        cr_expect_eq(hank_chan_tryrecv(c, out), 0);
    }
    hank_chan_free(c);
}

Test(chan, elements_of_any_size_are_copied_in_and_out_whole_and_no_further)
{
    static const size_t bytes[] = {1, 3, 4, 7, 8, 9, 16};
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
        copies(bytes[i]);
}

Test(chan, full_empty_and_closed_have_results_of_their_own)
{
    int value = 1, got = UNTOUCHED;
    hank_chan *c = hank_chan_new(sizeof value, 2);
    cr_assert(c);
    cr_expect_eq(hank_chan_tryrecv(c, &got), -EAGAIN);
    cr_expect_eq(hank_chan_trysend(c, &value), 0);
    value = 2;
    cr_expect_eq(hank_chan_send(c, &value), 0);
    cr_expect_eq(hank_chan_trysend(c, &value), -EAGAIN);
    cr_expect_eq(hank_within(HANK_MS(1), hank_chan_send(c, &value)), -ETIMEDOUT);
    cr_expect_eq(got, UNTOUCHED);
    hank_chan_close(c);
    hank_chan_close(c); /* twice is once */
    cr_expect_eq(hank_chan_trysend(c, &value), -EPIPE);
    cr_expect_eq(hank_chan_send(c, &value), -EPIPE);
    cr_expect(hank_chan_tryrecv(c, &got) == 0 && got == 1); /* what is in it stays */
    cr_expect(hank_chan_recv(c, &got) == 0 && got == 2);
    got = UNTOUCHED;
    cr_expect_eq(hank_chan_tryrecv(c, &got), -EPIPE);
    cr_expect_eq(hank_chan_recv(c, &got), -EPIPE);
    cr_expect_eq(got, UNTOUCHED);
    hank_chan_free(c);
}

Test(chan, freeing_takes_the_elements_still_in_it)
{
    hank_chan *c = hank_chan_new(8, 4);
    cr_assert(c);
    cr_expect_eq(hank_chan_trysend(c, "element"), 0);
    hank_chan_free(c);
}

Test(chan, an_unbounded_one_takes_all_and_keeps_their_order_as_it_grows)
{
    enum { MANY = 10000 };
    int next_out = 0, got;
    hank_chan *c = hank_chan_new(sizeof(int), HANK_UNBOUNDED);
    cr_assert(c);
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(i % 2 ? hank_chan_send(c, &i) : hank_chan_trysend(c, &i), 0);
        if (i % 3 == 0)
            cr_assert(hank_chan_tryrecv(c, &got) == 0 && got == next_out++);
    }
    while (hank_chan_tryrecv(c, &got) == 0)
        cr_assert_eq(got, next_out++);
    cr_expect_eq(next_out, MANY);
    hank_chan_free(c);
}

struct job {
    int number;
    char name[20];
};

Test(chan, the_typed_macros_make_send_and_receive)
{
    HANK_CHAN(struct job) jobs;
    struct job in = {3, "three"}, out = {0};
    cr_assert(hank_make(jobs, 1));
    cr_expect_eq(hank_send(jobs, &in), 0);
    cr_expect_eq(hank_recv(jobs, &out), 0);
    cr_expect(out.number == 3 && strcmp(out.name, "three") == 0);
    hank_chan_free(jobs.raw);
    cr_expect_null(hank_make(jobs, SIZE_MAX / 2));
}

/* --- who waits ------------------------------------------------------------------------------- */

/* Tasks and a thread wait to receive; each gets what is its turn's. */
static int receivers_in_order(void *arg)
{
    hank_chan *c = hank_chan_new(sizeof(int), *(size_t *)arg);
    end ends[CROWD];
    hank_task tasks[CROWD];
    pthread_t thread = {0};
    MUST(c);
    for (int i = 0; i < CROWD; i++) {
        ends[i] = (end){.c = c};
        if (i == 2)
            thread = start_thread(recv_as_thread, &ends[i]);
        else
            tasks[i] = hank_spawn(recv_it, &ends[i]);
        YIELD_UNTIL(waiting_to_recv(c) == i + 1);
    }
    for (int i = 0; i < CROWD; i++)
        MUST((i % 2 ? hank_chan_send(c, &i) : hank_chan_trysend(c, &i)) == 0);
    int got;
    MUST(hank_chan_tryrecv(c, &got) == -EAGAIN); /* nobody overtakes those who were served */
    for (int i = 0; i < CROWD; i++) {
        if (i == 2)
            join_thread(thread);
        else
            MUST(hank_await(tasks[i]) == 0);
        MUST(ends[i].value == i);
    }
    hank_chan_free(c);
    return 0;
}

static int senders_in_order(void *arg)
{
    size_t capacity = *(size_t *)arg;
    hank_chan *c = hank_chan_new(sizeof(int), capacity);
    end ends[CROWD];
    hank_task tasks[CROWD];
    pthread_t thread = {0};
    MUST(c);
    for (size_t i = 0; i < capacity; i++)
        MUST(hank_chan_trysend(c, &(int){-1}) == 0);
    for (int i = 0; i < CROWD; i++) {
        ends[i] = (end){.c = c, .value = i};
        if (i == 2)
            thread = start_thread(send_as_thread, &ends[i]);
        else
            tasks[i] = hank_spawn(send_it, &ends[i]);
        YIELD_UNTIL(waiting_to_send(c) == i + 1);
    }
    MUST(hank_chan_trysend(c, &(int){99}) == -EAGAIN);
    int got;
    for (size_t i = 0; i < capacity; i++)
        MUST(hank_chan_recv(c, &got) == 0 && got == -1);
    for (int i = 0; i < CROWD; i++) {
        MUST((i % 2 ? hank_chan_recv(c, &got) : hank_chan_tryrecv(c, &got)) == 0);
        MUST(got == i);
        if (i == 2)
            join_thread(thread);
        else
            MUST(hank_await(tasks[i]) == 0);
    }
    MUST(hank_chan_tryrecv(c, &got) == -EAGAIN);
    hank_chan_free(c);
    return 0;
}

Test(chan, receivers_and_senders_are_served_in_the_order_they_came)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        with_each_size(receivers_in_order, &capacity);
        with_each_size(senders_in_order, &capacity);
    }
}

static int rendezvous(void *arg)
{
    hank_chan *c = hank_chan_new(sizeof(int), 0);
    end e = {.c = c, .value = 5};
    int got;
    (void)arg;
    MUST(c);
    MUST(hank_chan_trysend(c, &(int){1}) == -EAGAIN); /* nobody waits to receive */
    hank_task t = hank_spawn(send_it, &e);
    YIELD_UNTIL(waiting_to_send(c) == 1);
    for (int i = 0; i < 100; i++)
        (void)hank_yield();
    MUST(!hk_load_acquire(&e.back)); /* a send ends when its element has been received */
    MUST(hank_chan_recv(c, &got) == 0 && got == 5);
    MUST(hank_await(t) == 0);
    t = hank_spawn(recv_it, &e);
    YIELD_UNTIL(waiting_to_recv(c) == 1);
    MUST(hank_chan_trysend(c, &(int){6}) == 0);
    MUST(hank_await(t) == 0 && e.value == 6);
    hank_chan_free(c);
    return 0;
}

Test(chan, without_capacity_a_send_ends_when_its_element_has_been_received)
{
    with_each_size(rendezvous, NULL);
}

static int close_on(void *arg, hank_fn what, int fill)
{
    hank_chan *c = hank_chan_new(sizeof(int), *(size_t *)arg);
    end ends[CROWD];
    hank_task tasks[CROWD];
    int results[CROWD], got;
    MUST(c);
    for (int i = 0; i < fill; i++)
        MUST(hank_chan_trysend(c, &i) == 0);
    for (int i = 0; i < CROWD; i++) {
        ends[i] = (end){.c = c, .value = UNTOUCHED};
        tasks[i] = hank_spawn(what, &ends[i]);
    }
    YIELD_UNTIL(waiting_to_recv(c) + waiting_to_send(c) == CROWD);
    hank_chan_close(c);
    MUST(hank_gather_n(tasks, CROWD, results) == -EPIPE);
    for (int i = 0; i < CROWD; i++)
        MUST(results[i] == -EPIPE && ends[i].value == UNTOUCHED);
    for (int i = 0; i < fill; i++)
        MUST(hank_chan_recv(c, &got) == 0 && got == i);
    MUST(hank_chan_recv(c, &got) == -EPIPE);
    hank_chan_free(c);
    return 0;
}

static int close_on_receivers(void *arg)
{
    return close_on(arg, recv_it, 0);
}

static int close_on_senders(void *arg)
{
    return close_on(arg, send_it, (int)*(size_t *)arg);
}

Test(chan, closing_wakes_all_who_wait_and_leaves_them_and_what_is_in_it_alone)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        with_each_size(close_on_receivers, &capacity);
        with_each_size(close_on_senders, &capacity);
    }
}

/* --- stopped --------------------------------------------------------------------------------- */

static int stopped_at_once(void *arg)
{
    hank_chan *c = hank_chan_new(sizeof(int), 2);
    hank_scope s;
    int got = UNTOUCHED;
    (void)arg;
    MUST(c && hank_chan_trysend(c, &(int){1}) == 0);
    hank_timeout_begin(&s, 0);
    MUST(hank_chan_recv(c, &got) == -ETIMEDOUT && got == UNTOUCHED);
    MUST(hank_chan_send(c, &(int){2}) == -ETIMEDOUT);
    MUST(hank_chan_trysend(c, &(int){3}) == 0); /* those never wait, and are never stopped */
    MUST(hank_chan_tryrecv(c, &got) == 0 && got == 1);
    MUST(hank_timeout_end(&s));
    MUST(hank_chan_tryrecv(c, &got) == 0 && got == 3);
    MUST(hank_chan_tryrecv(c, &got) == -EAGAIN);
    hank_chan_free(c);
    return 0;
}

/* A stop ends it, and nothing was sent or taken. */
static int stopped_while_waiting(void *arg)
{
    hank_chan *c = hank_chan_new(sizeof(int), *(size_t *)arg);
    int capacity = (int)*(size_t *)arg, got;
    end e = {.c = c, .value = 8};
    MUST(c);
    hank_task t = hank_spawn(recv_it, &e);
    YIELD_UNTIL(waiting_to_recv(c) == 1);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED && e.value == UNTOUCHED);
    for (int i = 0; i < capacity; i++)
        MUST(hank_chan_trysend(c, &i) == 0);
    MUST(hank_chan_trysend(c, &(int){77}) == -EAGAIN); /* nobody waits for it any more */
    t = hank_spawn(send_it, &e);
    YIELD_UNTIL(waiting_to_send(c) == 1);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    for (int i = 0; i < capacity; i++)
        MUST(hank_chan_tryrecv(c, &got) == 0 && got == i);
    MUST(hank_chan_tryrecv(c, &got) == -EAGAIN);
    hank_chan_free(c);
    return 0;
}

Test(chan, a_stop_means_that_nothing_was_sent_or_taken)
{
    with_each_size(stopped_at_once, NULL);
    for (size_t capacity = 0; capacity < 3; capacity++)
        with_each_size(stopped_while_waiting, &capacity);
}

static int recv_all(void *arg)
{
    end *e = arg;
    for (int i = 0, got; i < WALK; i++) {
        int rc = hank_chan_recv(e->c, &got);
        if (rc < 0)
            return rc;
        e->value = got;
    }
    return 0;
}

/* Cancel somebody at its n-th wait: it has n - 1 elements, and the n-th is another's. */
static int walk(void *arg)
{
    (void)arg;
    for (int n = 1; n <= WALK; n++) {
        hank_chan *c = hank_chan_new(sizeof(int), 1);
        end e = {.c = c};
        int got;
        MUST(c);
        hank_task t = hank_spawn(recv_all, &e);
        for (int i = 1; i < n; i++) {
            YIELD_UNTIL(waiting_to_recv(c) == 1);
            MUST(hank_chan_send(c, &i) == 0);
        }
        YIELD_UNTIL(waiting_to_recv(c) == 1);
        MUST(hank_cancel(t) == 0);
        MUST(hank_chan_send(c, &n) == 0); /* maybe before it has left */
        MUST(hank_await(t) == -ECANCELED && e.value == n - 1);
        MUST(hank_chan_tryrecv(c, &got) == 0 && got == n);
        hank_chan_free(c);
    }
    return 0;
}

Test(chan, recv_cancelled_at_its_nth_wait_leaves_the_element)
{
    with_each_size(walk, NULL);
}

static int send_cancelled(void *arg)
{
    (void)arg;
    for (int received_first = 0; received_first < 2; received_first++) {
        hank_chan *c = hank_chan_new(sizeof(int), 1);
        end one = {.c = c, .value = 1}, two = {.c = c, .value = 2};
        int got;
        MUST(c && hank_chan_trysend(c, &(int){0}) == 0);
        hank_task first = hank_spawn(send_it, &one);
        YIELD_UNTIL(waiting_to_send(c) == 1);
        hank_task second = hank_spawn(send_it, &two);
        YIELD_UNTIL(waiting_to_send(c) == 2);
        if (received_first)
            MUST(hank_chan_tryrecv(c, &got) == 0 && got == 0);
        MUST(hank_cancel(first) == 0);
        if (!received_first)
            MUST(hank_chan_tryrecv(c, &got) == 0 && got == 0);
        MUST(hank_await(first) == (received_first ? 0 : -ECANCELED));
        for (int expected = received_first ? 1 : 2; expected <= 2; expected++)
            MUST(hank_chan_tryrecv(c, &got) == 0 && got == expected);
        MUST(hank_await(second) == 0 && hank_chan_tryrecv(c, &got) == -EAGAIN);
        hank_chan_free(c);
    }
    return 0;
}

Test(chan, send_cancelled_as_it_is_received_has_sent_or_leaves_the_room_to_the_next)
{
    with_each_size(send_cancelled, NULL);
}

/* --- panics ---------------------------------------------------------------------------------- */

static int free_it(void *c)
{
    hank_chan_free(c);
    return 0;
}

static int free_with_waiters(void *c)
{
    end e = {.c = c};
    hank_task t = hank_spawn(recv_it, &e);
    YIELD_UNTIL(waiting_to_recv(c) == 1);
    (void)by_culprit(free_it, c);
    return hank_await(t);
}

static int free_with_a_sender(void *c)
{
    end e = {.c = c};
    MUST(hank_chan_trysend(c, &e.value) == 0);
    hank_task t = hank_spawn(send_it, &e);
    YIELD_UNTIL(waiting_to_send(c) == 1);
    (void)by_culprit(free_it, c);
    return hank_await(t);
}

static int select_it(void *c)
{
    int value;
    hank_case one = {.chan = c, .recv = &value};
    return hank_select(&one, 1);
}

static int free_with_who_selects(void *c)
{
    hank_task t = hank_spawn(select_it, c);
    YIELD_UNTIL(waiting_to_recv(c) == 1);
    (void)by_culprit(free_it, c);
    return hank_await(t);
}

Test(chan, freeing_it_while_somebody_waits_is_a_panic_that_names_channel_and_task)
{
    hank_chan *c = hank_chan_new(sizeof(int), 1);
    cr_assert(c);
    must_panic(free_with_waiters, "channel", c);
    must_panic(free_with_a_sender, "channel", c);
    must_panic(free_with_who_selects, "channel", c);
    hank_chan_free(c);
}
