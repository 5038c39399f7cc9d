/* SPDX-License-Identifier: MIT */
/* priority_test.c - channels whose elements come out by priority, or last in first out; with 1, 2
 * and 8 workers. */
#include "sync/sync_support.h"

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
static const hank_chan_options last_first = {.order = HANK_LIFO};

static int fill(jobs q, const int *urgencies, int n)
{
    for (int i = 0; i < n; i++)
        MUST(hank_trysend(q, &((job){urgencies[i], i})) == 0);
    return 0;
}

/* Everything in `q` comes out in this order of urgency. */
static int empties_as(jobs q, const int *urgencies, int n)
{
    job got;
    for (int i = 0; i < n; i++)
        MUST(hank_tryrecv(q, &got) == 0 && got.urgency == urgencies[i]);
    MUST(hank_tryrecv(q, &got) == -EAGAIN);
    return 0;
}

BEHAVIOUR(queue, by_priority_the_least_comes_out_first)
{
    jobs q;
    MUST(hank_make_opt(q, 8, &by_priority));
    MUST(fill(q, (int[]){5, 1, 4, 2, 3}, 5) == 0);
    MUST(empties_as(q, (int[]){1, 2, 3, 4, 5}, 5) == 0);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, of_equal_priority_the_oldest_comes_out_first)
{
    jobs q;
    job got;
    MUST(hank_make_opt(q, 16, &by_priority));
    MUST(fill(q, (int[]){2, 1, 2, 1, 2, 1, 1, 2}, 8) == 0);
    static const int names[] = {1, 3, 5, 6, 0, 2, 4, 7};
    for (int i = 0; i < 8; i++)
        MUST(hank_tryrecv(q, &got) == 0 && got.name == names[i]);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, priorities_hold_between_sends_and_receives)
{
    jobs q;
    job got;
    unsigned dice = 7;
    int in_it[64] = {0}, n = 0;
    MUST(hank_make_opt(q, 64, &by_priority));
    for (int i = 0; i < 2000; i++) {
        dice = dice * 1103515245u + 12345u;
        if (n == 0 || (n < 64 && (dice >> 16 & 1))) {
            int urgency = (int)(dice >> 18 & 63);
            MUST(hank_trysend(q, &((job){urgency, i})) == 0);
            in_it[urgency]++;
            n++;
        } else {
            MUST(hank_tryrecv(q, &got) == 0);
            for (int less = 0; less < got.urgency; less++)
                MUST(in_it[less] == 0);
            in_it[got.urgency]--;
            n--;
        }
    }
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, an_unbounded_one_by_priority_grows_and_keeps_its_order)
{
    jobs q;
    job got;
    MUST(hank_make_opt(q, HANK_UNBOUNDED, &by_priority));
    for (int i = 0; i < 500; i++)
        MUST(hank_send(q, &((job){(i * 7919) % 500, i})) == 0);
    for (int i = 0; i < 500; i++)
        MUST(hank_recv(q, &got) == 0 && got.urgency == i);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, last_in_first_out_is_a_stack)
{
    jobs q;
    MUST(hank_make_opt(q, 4, &last_first));
    MUST(fill(q, (int[]){1, 3, 2}, 3) == 0);
    MUST(empties_as(q, (int[]){2, 3, 1}, 3) == 0);
    MUST(fill(q, (int[]){7, 8}, 2) == 0);
    MUST(empties_as(q, (int[]){8, 7}, 2) == 0);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, an_unbounded_stack_grows)
{
    jobs q;
    job got;
    MUST(hank_make_opt(q, HANK_UNBOUNDED, &last_first));
    for (int i = 0; i < 300; i++)
        MUST(hank_send(q, &((job){i, i})) == 0);
    for (int i = 299; i >= 0; i--)
        MUST(hank_recv(q, &got) == 0 && got.urgency == i);
    hank_chan_free(q.raw);
    return 0;
}

Test(queue, elements_of_odd_sizes_are_kept_whole_by_priority)
{
    unsigned char elem[77], got[77];
    hank_chan_options bytes = {.order = HANK_PRIORITY,
                               .compare = (int (*)(const void *, const void *))strcmp};
    hank_chan *c = hank_chan_new_opt(sizeof elem, 8, &bytes);
    cr_assert(c);
    for (int i = 6; i > 0; i--) {
        memset(elem, i, sizeof elem);
        elem[sizeof elem - 1] = 0;
        cr_expect_eq(hank_chan_trysend(c, elem), 0);
    }
    for (int i = 1; i <= 6; i++) {
        cr_expect_eq(hank_chan_tryrecv(c, got), 0);
        for (size_t j = 0; j + 1 < sizeof got; j++)
            cr_expect_eq(got[j], i);
    }
    hank_chan_free(c);
}

Test(queue, an_order_that_cannot_be_makes_no_channel)
{
    hank_chan_options no_compare = {.order = HANK_PRIORITY}, unknown = {.order = 3},
                      negative = {.order = -1};
    cr_expect_null(hank_chan_new_opt(4, 4, &no_compare));
    cr_expect_null(hank_chan_new_opt(4, 4, &unknown));
    cr_expect_null(hank_chan_new_opt(4, 4, &negative));
    cr_expect_null(hank_chan_new_opt(sizeof(job), 0, &by_priority));
    cr_expect_null(hank_chan_new_opt(sizeof(job), 0, &last_first));
    hank_chan *usual = hank_chan_new_opt(4, 0, NULL);
    cr_expect(usual);
    hank_chan_free(usual);
}

static int send_job(void *arg)
{
    jobs *q = arg;
    return hank_send(*q, &((job){0, 99}));
}

BEHAVIOUR(queue, what_waits_to_be_sent_is_in_no_order_yet)
{
    jobs q;
    job got;
    MUST(hank_make_opt(q, 2, &by_priority));
    MUST(fill(q, (int[]){2, 1}, 2) == 0);
    hank_task t = hank_spawn(send_job, &q);
    YIELD_UNTIL(waiting_to_send(q.raw) == 1);
    MUST(hank_recv(q, &got) == 0 && got.urgency == 1); /* the most urgent of those in it */
    MUST(hank_await(t) == 0);
    MUST(hank_recv(q, &got) == 0 && got.urgency == 0);
    hank_chan_free(q.raw);
    return 0;
}

BEHAVIOUR(queue, its_length_is_what_can_be_received_at_once)
{
    jobs q;
    job got;
    MUST(hank_make(q, 3));
    for (int i = 0; i < 3; i++) {
        MUST(hank_chan_len(q.raw) == (size_t)i);
        MUST(hank_trysend(q, &((job){i, i})) == 0);
    }
    MUST(hank_trysend(q, &((job){3, 3})) == -EAGAIN && hank_chan_len(q.raw) == 3);
    MUST(hank_tryrecv(q, &got) == 0 && hank_chan_len(q.raw) == 2);
    hank_chan_free(q.raw);
    return 0;
}
