/* SPDX-License-Identifier: MIT */
/* timers_test.c - deadlines fire in order, exactly once, whatever they are. */
#include "reactor/timers.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/os.h"
#include "reactor/reactor.h"

static hk_timers heap;

/* The tickets of these tests are never claimed: the turn tells which timer it was. */
static hk_ticket ticket(uint64_t number)
{
    static hk_sleeper nobody;
    return (hk_ticket){&nobody, number};
}

static int expire(int64_t now, hk_ready *ready, int max)
{
    int n = 0;
    hk_timers_expire(&heap, now, ready, &n, max);
    return n;
}

static void setup(void)
{
    hk_timers_init(&heap);
}

TestSuite(timers, .init = setup);

Test(timers, an_empty_heap_has_nothing_due_however_late_it_is)
{
    hk_ready ready[1];
    cr_expect_eq(expire(INT64_MAX, ready, 1), 0);
    cr_expect_eq(hk_load_relaxed(&heap.earliest), INT64_MAX);
    hk_timers_check(&heap);
}

Test(timers, add_is_true_only_for_a_new_earliest)
{
    hk_timer t[4] = {0};
    cr_expect(hk_timers_add(&heap, &t[0], 100, ticket(0)));
    cr_expect_not(hk_timers_add(&heap, &t[1], 200, ticket(1)));
    cr_expect_not(hk_timers_add(&heap, &t[2], 100, ticket(2)),
                  "equal: the owner wakes then anyway");
    cr_expect(hk_timers_add(&heap, &t[3], 50, ticket(3)));
    cr_expect_eq(hk_load_relaxed(&heap.earliest), 50);
    hk_timers_check(&heap);
}

Test(timers, expire_hands_out_what_is_due_and_no_more)
{
    hk_timer t[5] = {0};
    for (int i = 0; i < 5; i++)
        (void)hk_timers_add(&heap, &t[i], 10 * (i + 1), ticket((uint64_t)i));
    hk_ready ready[8];
    cr_assert_eq(expire(30, ready, 8), 3);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(ready[i].ticket.turn, (uint64_t)i);
        cr_expect_eq(ready[i].result, -ETIMEDOUT);
    }
    cr_expect_eq(hk_load_relaxed(&heap.earliest), 40);
    cr_expect_eq(expire(39, ready, 8), 0);
    hk_timers_check(&heap);
}

Test(timers, expire_appends_and_stops_at_max)
{
    hk_timer t[5] = {0};
    for (int i = 0; i < 5; i++)
        (void)hk_timers_add(&heap, &t[i], 1, ticket((uint64_t)i));
    hk_ready ready[4] = {{ticket(77), 0}};
    int n = 1;
    hk_timers_expire(&heap, 1, ready, &n, 4);
    cr_expect_eq(n, 4);
    cr_expect_eq(ready[0].ticket.turn, 77u);
    cr_expect_eq(expire(1, ready, 4), 2);
}

Test(timers, an_expired_timer_may_be_removed_in_vain_and_added_again)
{
    hk_timer t = {0};
    hk_ready ready[1];
    cr_expect_not(hk_timers_remove(&t), "idle");
    (void)hk_timers_add(&heap, &t, 1, ticket(1));
    cr_assert_eq(expire(1, ready, 1), 1);
    cr_expect_not(hk_timers_remove(&t), "it was due");
    (void)hk_timers_add(&heap, &t, 2, ticket(2));
    cr_expect(hk_timers_remove(&t));
    cr_expect_not(hk_timers_remove(&t));
    cr_expect_eq(expire(INT64_MAX, ready, 1), 0);
}

Test(timers, removing_the_earliest_makes_the_next_one_earliest)
{
    hk_timer t[3] = {0};
    for (int i = 0; i < 3; i++)
        (void)hk_timers_add(&heap, &t[i], 10 + i, ticket((uint64_t)i));
    cr_expect(hk_timers_remove(&t[0]));
    cr_expect_eq(hk_load_relaxed(&heap.earliest), 11);
    cr_expect(hk_timers_remove(&t[1]));
    cr_expect(hk_timers_remove(&t[2]));
    cr_expect_eq(hk_load_relaxed(&heap.earliest), INT64_MAX);
    hk_timers_check(&heap);
}

Test(timers, the_ends_of_time_are_deadlines_like_others)
{
    static const int64_t deadlines[] = {INT64_MAX, INT64_MIN, 0, -1, INT64_MAX - 1, INT64_MAX};
    static const int64_t sorted[] = {INT64_MIN, -1, 0, INT64_MAX - 1, INT64_MAX, INT64_MAX};
    hk_timer t[6] = {0};
    for (int i = 0; i < 6; i++)
        (void)hk_timers_add(&heap, &t[i], deadlines[i], ticket((uint64_t)i));
    hk_timers_check(&heap);
    hk_ready ready[6];
    cr_expect_eq(expire(INT64_MAX - 1, ready, 6), 4, "for ever is not due the moment before");
    for (int i = 0; i < 4; i++)
        cr_expect_eq(deadlines[ready[i].ticket.turn], sorted[i]);
    cr_expect_eq(expire(INT64_MAX, ready, 6), 2);
}

/* All within one tick, so that the heap gets them all and the first expiry meets a root with a
 * million children: a merge that recursed would overflow. */
Test(timers, a_million_children_of_one_root_merge_without_recursion)
{
    enum { COUNT = 1000 * 1000 };
    hk_timer *t = calloc(COUNT, sizeof *t);
    cr_assert_not_null(t);
    for (int i = 0; i < COUNT; i++)
        (void)hk_timers_add(&heap, &t[i], i, ticket((uint64_t)i));
    hk_ready ready[128];
    int64_t expected = 0;
    for (int n; (n = expire(INT64_MAX, ready, 128)) > 0;)
        for (int i = 0; i < n; i++)
            cr_assert_eq((int64_t)ready[i].ticket.turn, expected++);
    cr_expect_eq(expected, COUNT);
    free(t);
}

/* --- against an oracle --------------------------------------------------------------------- */

/* The oracle: the deadlines by timer, and how many of them are armed. What expires must be a
 * sorted run of exactly those that are due; checked by counting, because a slower oracle could not
 * keep up with a million operations. */
enum { TIMERS = 2048, OPERATIONS = 1000 * 1000, CHECK_EVERY = 1009 };

static struct {
    hk_timer timers[TIMERS];
    int64_t deadline[TIMERS];
    bool is_armed[TIMERS];
    uint64_t random;
    int64_t now;
} model;

static uint64_t next_random(void)
{
    model.random ^= model.random << 13;
    model.random ^= model.random >> 7;
    model.random ^= model.random << 17;
    return model.random;
}

/* Of any size up to `bits`, small ones as likely as large ones. */
static int64_t random_span(unsigned bits)
{
    return (int64_t)(next_random() >> (64 - bits) >> next_random() % bits);
}

static int64_t random_deadline(void)
{
    enum { TICK = 1 << 20 };
    switch (next_random() % 8) {
    case 0: return INT64_MAX - random_span(3);
    case 1: return 0;
    case 2: return model.now - random_span(30);
    case 3: return model.now;
    case 4: return model.now / TICK * TICK + TICK; /* many equal ones, at the edge of a slot */
    case 5: return (model.now / (64 * TICK) + 1) * (64 * TICK) - 1 + random_span(2);
    case 6: return model.now + (INT64_C(1) << 31) - 1 + random_span(2);
    default: return model.now + random_span(40);
    }
}

static int64_t oracle_earliest(void)
{
    int64_t earliest = INT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        if (model.is_armed[i] && model.deadline[i] < earliest)
            earliest = model.deadline[i];
    return earliest;
}

static void step_expire(void)
{
    model.now += random_span(next_random() % 64 == 0 ? 42 : 24);
    hk_ready ready[16];
    int max = 1 + (int)(next_random() % 16), n = 0;
    int64_t last = INT64_MIN;
    do /* a call may stop early to let others at the lock; it says so by `earliest` */
        hk_timers_expire(&heap, model.now, ready, &n, max);
    while (n < max && hk_load_relaxed(&heap.earliest) <= model.now);
    for (int i = 0; i < n; i++) {
        uint64_t who = ready[i].ticket.turn;
        cr_assert(model.is_armed[who]);
        cr_assert_geq(model.deadline[who], last, "out of order");
        cr_assert_leq(model.deadline[who], model.now, "too early");
        last = model.deadline[who];
        model.is_armed[who] = false;
    }
    int64_t earliest = oracle_earliest();
    cr_assert_geq(earliest, last, "a later one went first");
    cr_assert(n == max || earliest > model.now, "one that was due was left");
    cr_assert_leq(hk_load_relaxed(&heap.earliest), earliest, "it would be slept through");
}

static void step_toggle(void)
{
    size_t who = next_random() % TIMERS;
    if (model.is_armed[who]) {
        cr_assert(hk_timers_remove(&model.timers[who]));
        model.is_armed[who] = false;
        return;
    }
    cr_assert_not(hk_timers_remove(&model.timers[who]));
    int64_t deadline = random_deadline();
    int64_t before = hk_load_relaxed(&heap.earliest);
    bool is_earlier = hk_timers_add(&heap, &model.timers[who], deadline, ticket(who));
    cr_assert_eq(is_earlier, hk_load_relaxed(&heap.earliest) < before);
    cr_assert_leq(hk_load_relaxed(&heap.earliest), deadline);
    model.deadline[who] = deadline;
    model.is_armed[who] = true;
}

Test(timers, a_million_random_operations_agree_with_a_sorted_oracle)
{
    uint64_t seed = hk_os_random() | 1;
    const char *replay = getenv("HK_SEED");
    if (replay)
        seed = strtoull(replay, NULL, 0);
    cr_log_info("HK_SEED=%llu", (unsigned long long)seed);
    model.random = seed;
    model.now = random_span(62);
    for (int i = 0; i < OPERATIONS; i++) {
        if (next_random() % 16 == 0)
            step_expire();
        else
            step_toggle();
        if (i % CHECK_EVERY == 0)
            hk_timers_check(&heap);
    }
}

static uint32_t rounds_until_nothing_is_due(int64_t now, hk_ready *ready, int *n, int max)
{
    uint32_t rounds = 0;
    do
        hk_timers_expire(&heap, now, ready, n, max);
    while (rounds++, *n < max && hk_load_relaxed(&heap.earliest) <= now);
    return rounds;
}

/* Days of virtual time in one step: nothing wraps, nothing is skipped. */
Test(timers, a_jump_of_the_clock_fires_everything_before_it_in_order)
{
    enum { DAY_SECONDS = 86400, DAYS = 1000 };
    hk_timer *t = calloc(DAYS, sizeof *t);
    cr_assert_not_null(t);
    int64_t day = INT64_C(1000000000) * DAY_SECONDS;
    for (int i = 0; i < DAYS; i++) { /* 7919 is prime to 1000: each day once, in a wild order */
        int which = i * 7919 % DAYS;
        (void)hk_timers_add(&heap, &t[i], day * which, ticket((uint64_t)which));
    }
    hk_ready ready[DAYS];
    int n = 0;
    (void)rounds_until_nothing_is_due(day * 499, ready, &n, DAYS);
    cr_assert_eq(n, 500);
    for (int i = 0; i < 500; i++)
        cr_assert_eq(ready[i].ticket.turn, (uint64_t)i);
    hk_timers_check(&heap);
    (void)rounds_until_nothing_is_due(day * DAYS, ready, &n, DAYS);
    cr_assert_eq(n, DAYS);
    free(t);
}

/* A hundred thousand far timers come near at once. Sorting them in one go would hold the lock for
 * milliseconds; a call does a part, and says that there is more. */
Test(timers, a_crowd_is_sorted_in_parts_and_meanwhile_can_be_removed)
{
    enum { COUNT = 100 * 1000, MANY = COUNT / 1000 };
    hk_timer *t = calloc(COUNT, sizeof *t);
    cr_assert_not_null(t);
    int64_t minute = INT64_C(60) * 1000 * 1000 * 1000;
    for (int i = 0; i < COUNT; i++)
        (void)hk_timers_add(&heap, &t[i], minute + COUNT - i, ticket((uint64_t)i));
    hk_ready ready[1];
    int n = 0;
    hk_timers_expire(&heap, minute, ready, &n, 1);
    cr_expect_leq(hk_load_relaxed(&heap.earliest), minute, "not finished: come back at once");
    for (int i = 0; i < COUNT; i += 2)
        cr_assert(hk_timers_remove(&t[i]));
    hk_timers_check(&heap);
    cr_expect_gt(rounds_until_nothing_is_due(minute, ready, &n, 1), MANY);
    cr_expect_eq(n, 0, "none was due yet");
    cr_expect_eq(hk_load_relaxed(&heap.earliest), minute + 1, "exact, once sorted");
    free(t);
}

/* What is in the heap already is not held up by a crowd that is being sorted behind it. */
Test(timers, what_is_due_before_a_crowd_is_handed_out_while_that_is_sorted)
{
    enum { COUNT = 100 * 1000 };
    hk_timer *t = calloc(COUNT, sizeof *t), soon = {0};
    cr_assert_not_null(t);
    int64_t minute = INT64_C(60) * 1000 * 1000 * 1000;
    (void)hk_timers_add(&heap, &soon, 1, ticket(77));
    for (int i = 0; i < COUNT; i++)
        (void)hk_timers_add(&heap, &t[i], minute, ticket(1));
    hk_ready ready[1];
    cr_expect_eq(expire(minute, ready, 1), 1);
    cr_expect_eq(ready[0].ticket.turn, 77u);
    free(t);
}

Test(timers, a_far_timer_in_a_crowd_does_not_call_for_the_owner_now)
{
    enum { CROWD = 1000 };
    static hk_timer t[CROWD], far;
    int64_t second = INT64_C(1000) * 1000 * 1000, hour = 3600 * second;
    for (int i = 0; i < CROWD; i++)
        (void)hk_timers_add(&heap, &t[i], 3 * hour, ticket(0));
    cr_expect_eq(expire(hour, (hk_ready[1]){{ticket(0), 0}}, 1), 0);
    (void)hk_timers_add(&heap, &far, hour + 10 * second, ticket(1));
    cr_expect_gt(hk_load_relaxed(&heap.earliest), hour);
    cr_expect_leq(hk_load_relaxed(&heap.earliest), hour + 10 * second);
}
