/* SPDX-License-Identifier: MIT */
/* deque_test.c - the deque on one thread: against an oracle, at the ends of its index, out of
 * memory. Two threads and more are tests/model/deque_model.c and tests/stress/deque_stress.c. */
#include "sched/deque.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "base/fault.h"
#include "base/os.h"

struct hk_task {
    int number;
};

enum { TASKS = 4096, STEPS = 200 * 1000 };

static struct hk_task tasks[TASKS];
static const uint64_t ends[] = {0, 1, INT64_MAX - 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};

static void begin_at(hk_deque *d, size_t slots, uint64_t index)
{
    *d = (hk_deque){0};
    cr_assert_eq(hk_deque_init(d, slots), 0);
    hk_store_relaxed(&d->top, index);
    hk_store_relaxed(&d->bottom, index);
    d->passed = index;
}

/* What a deque must be: an array with two ends. */
typedef struct oracle {
    struct hk_task *inside[TASKS];
    size_t oldest;
    size_t n;
} oracle;

static void oracle_push(oracle *o, struct hk_task *t)
{
    o->inside[(o->oldest + o->n++) % TASKS] = t;
}

static struct hk_task *oracle_take_youngest(oracle *o)
{
    return o->n == 0 ? NULL : o->inside[(o->oldest + --o->n) % TASKS];
}

static struct hk_task *oracle_take_oldest(oracle *o)
{
    if (o->n == 0)
        return NULL;
    o->n--;
    return o->inside[o->oldest++ % TASKS];
}

static bool oracle_take_if_oldest(oracle *o, const struct hk_task *t)
{
    return o->n > 0 && o->inside[o->oldest % TASKS] == t && oracle_take_oldest(o) != NULL;
}

static bool oracle_is_near_end(const oracle *o, const struct hk_task *t, size_t depth)
{
    for (size_t i = 1; i <= depth && i <= o->n; i++)
        if (o->inside[(o->oldest + o->n - i) % TASKS] == t)
            return true;
    return false;
}

static struct hk_task *steal(hk_deque *d)
{
    struct hk_task *t = NULL;
    hk_steal outcome = hk_deque_steal(d, &t);
    cr_assert_neq(outcome, HK_STEAL_LOST, "nobody else was there");
    cr_assert_eq(outcome == HK_STEAL_TAKEN, t != NULL);
    return t;
}

static uint64_t next(uint64_t *dice)
{
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    return *dice >> 11;
}

/* Long runs of pushes, then of takes, so that it grows and runs empty many times. */
static void play(uint64_t seed, size_t slots, uint64_t index)
{
    static oracle o;
    hk_deque d;
    uint64_t dice = seed * 2 + 1;
    o = (oracle){0};
    begin_at(&d, slots, index);
    for (int i = 0; i < STEPS; i++) {
        unsigned push_share = (unsigned)(i / 512 % 3 + 1);
        struct hk_task *t = &tasks[next(&dice) % TASKS];
        if (next(&dice) % 4 < push_share && o.n < TASKS) {
            cr_assert_eq(hk_deque_push(&d, t), 0);
            oracle_push(&o, t);
            continue;
        }
        const struct hk_task *oldest = o.inside[o.oldest % TASKS]; /* or was */
        const struct hk_task *wanted = next(&dice) % 4 == 0 ? t : oldest;
        bool is_newest = oracle_is_near_end(&o, t, 1);
        switch (next(&dice) % 8) {
        case 0: cr_assert_eq(steal(&d), oracle_take_oldest(&o)); break;
        case 1: cr_assert_eq(hk_deque_take_oldest(&d), oracle_take_oldest(&o)); break;
        case 2:
        case 3:
            cr_assert_eq(hk_deque_take_if_oldest(&d, wanted, i % 2 == 0),
                         oracle_take_if_oldest(&o, wanted));
            break;
        case 4:
            cr_assert_eq(hk_deque_take_if_youngest(&d, t, i % 2 == 0), is_newest);
            cr_assert(!is_newest || oracle_take_youngest(&o) == t);
            break;
        default: cr_assert_eq(hk_deque_pop(&d), oracle_take_youngest(&o)); break;
        }
        if (oracle_is_near_end(&o, t, 3)) /* or it was, and has been stolen */
            cr_assert(hk_deque_is_near_end(&d, t, 3));
        cr_assert_eq(hk_deque_size(&d), o.n, "seed %lu, step %d", (unsigned long)seed, i);
        hk_deque_check(&d);
    }
    hk_deque_done(&d);
}

Test(deque, agrees_with_an_array_of_two_ends_wherever_its_index_starts)
{
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        play(i, (size_t)1 << i % 4, ends[i]);
}

Test(deque, grows_while_its_index_comes_round)
{
    for (uint64_t before = 1; before < 8; before++) { /* of 8 tasks, in front of the end */
        hk_deque d;
        begin_at(&d, 8, 0 - before);
        for (int i = 0; i < 9; i++)
            cr_assert_eq(hk_deque_push(&d, &tasks[i]), 0);
        for (int i = 0; i < 9; i++)
            cr_assert_eq(steal(&d), &tasks[i]);
        hk_deque_done(&d);
    }
}

Test(deque, is_last_in_first_out_for_its_owner_and_first_in_first_out_for_thieves)
{
    hk_deque d;
    begin_at(&d, 8, 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(hk_deque_push(&d, &tasks[i]), 0);
    cr_expect_eq(hk_deque_pop(&d), &tasks[3]);
    cr_expect_eq(steal(&d), &tasks[0]);
    cr_expect_eq(hk_deque_take_oldest(&d), &tasks[1]);
    cr_expect_eq(hk_deque_pop(&d), &tasks[2]);
    cr_expect_null(hk_deque_pop(&d));
    hk_deque_done(&d);
}

Test(deque, stays_empty_when_taken_from_while_empty_at_every_end_of_its_index)
{
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        hk_deque d;
        begin_at(&d, 2, ends[i]);
        for (int round = 0; round < 3; round++) {
            d.passed = ends[i] + (uint64_t)round - 1; /* the owner does not know that it is empty */
            cr_expect_null(hk_deque_pop(&d));
            cr_expect_null(hk_deque_pop(&d));
            cr_expect_null(hk_deque_take_oldest(&d));
            cr_expect_null(steal(&d));
            cr_expect_eq(hk_deque_size(&d), 0);
            cr_expect_eq(hk_load_relaxed(&d.bottom), ends[i] + (uint64_t)round);
            cr_assert_eq(hk_deque_push(&d, &tasks[round]), 0);
            cr_expect_eq(hk_deque_size(&d), 1);
            cr_expect_eq(steal(&d), &tasks[round]);
        }
        hk_deque_done(&d);
    }
}

Test(deque, keeps_order_and_old_arrays_while_it_grows)
{
    hk_deque d;
    begin_at(&d, 2, UINT64_MAX - 2);
    for (int i = 0; i < TASKS; i++)
        cr_assert_eq(hk_deque_push(&d, &tasks[i]), 0);
    hk_deque_check(&d);
    int arrays = 0;
    for (hk_deque_array *a = hk_load_relaxed(&d.array); a; a = a->older)
        arrays++;
    cr_expect_eq(arrays, 12, "2, 4, ... 4096 slots");
    for (int i = 0; i < TASKS / 2; i++) {
        cr_assert_eq(steal(&d), &tasks[i]);
        cr_assert_eq(hk_deque_pop(&d), &tasks[TASKS - 1 - i]);
    }
    hk_deque_done(&d);
}

Test(deque, uses_freed_slots_again_before_it_grows)
{
    hk_deque d;
    begin_at(&d, 4, 0);
    hk_deque_array *first = hk_load_relaxed(&d.array);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(hk_deque_push(&d, &tasks[i]), 0);
        if (i >= 3)
            cr_assert_eq(steal(&d), &tasks[i - 3]);
    }
    cr_expect_eq(hk_load_relaxed(&d.array), first);
    hk_deque_done(&d);
}

Test(deque, can_be_done_twice_and_without_having_begun)
{
    hk_deque d = {0};
    hk_deque_done(&d);
    begin_at(&d, 4, 0);
    hk_deque_done(&d);
    hk_deque_done(&d);
}

#if HK_FAULTS
Test(deque, refuses_a_push_that_needs_memory_there_is_none_of_and_goes_on)
{
    hk_deque d;
    begin_at(&d, 2, 0);
    cr_assert_eq(hk_deque_push(&d, &tasks[0]), 0);
    cr_assert_eq(hk_deque_push(&d, &tasks[1]), 0);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    cr_expect_eq(hk_deque_push(&d, &tasks[2]), -ENOMEM);
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    hk_deque_check(&d);
    cr_expect_eq(hk_deque_size(&d), 2);
    cr_expect_eq(hk_deque_push(&d, &tasks[2]), 0, "there is memory again");
    cr_expect_eq(hk_deque_pop(&d), &tasks[2]);
    cr_expect_eq(hk_deque_pop(&d), &tasks[1]);
    cr_expect_eq(hk_deque_pop(&d), &tasks[0]);
    hk_deque_done(&d);
}

Test(deque, does_not_begin_without_memory)
{
    hk_deque d = {0};
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    cr_expect_eq(hk_deque_init(&d, 4), -ENOMEM);
    hk_fault_clear();
    hk_deque_done(&d);
}
#endif
