/* SPDX-License-Identifier: MIT */
/* source_test.c - one word a direction: who waits, what is ready, and nothing that is stale.
 *
 * Without a kernel: the backend here only counts, and events are made by hand. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>

#include "base/fault.h"
#include "reactor/reactor.h"

static int attached, forgotten, attach_result;
static unsigned was_watched, is_watched;
static hk_reactor home;
static hk_sleeper sleeper[2];

static int count_watch(hk_reactor *r, hk_source *s, unsigned before, unsigned wanted)
{
    (void)r, (void)s;
    was_watched = before;
    is_watched = wanted;
    attached++;
    return attach_result;
}

static void count_forget(hk_reactor *r, hk_source *s)
{
    (void)r, (void)s;
    forgotten++;
}

static const hk_backend counting = {
    .name = "counting", .watch = count_watch, .forget = count_forget};

static void setup(void)
{
    home.backend = &counting;
}

TestSuite(source, .init = setup);

static hk_ticket begin(hk_direction d)
{
    return hk_sleeper_begin(&sleeper[d], HK_WAITING);
}

/* The number of tickets that `what` hands out; the first into *ret_first. */
static int event(uint64_t key, unsigned what, hk_ready *ret_first)
{
    hk_ready ready[2];
    int n = 0;
    hk_source_event(key, what, ready, &n);
    if (n > 0 && ret_first)
        *ret_first = ready[0];
    return n;
}

Test(source, an_event_hands_out_the_ticket_that_was_armed)
{
    hk_source *s = hk_source_open(3);
    hk_ticket t = begin(HK_IN);
    hk_ready got = {0};
    cr_assert_eq(hk_source_start(s, HK_IN, t, &home), 0);
    cr_assert_eq(event(hk_source_key(s), HK_EVENT_IN, &got), 1);
    cr_expect_eq(got.result, HK_RETRY);
    cr_expect(hk_ticket_claim(got.ticket, got.result));
    cr_expect_eq(hk_sleeper_result(&sleeper[HK_IN]), HK_RETRY);
}

Test(source, an_event_is_handed_out_once)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_IN, NULL), 1);
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_IN, NULL), 0);
}

Test(source, handing_out_uses_the_readiness_up)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    (void)event(hk_source_key(s), HK_EVENT_IN, NULL);
    cr_expect_eq(hk_source_start(s, HK_IN, begin(HK_IN), &home), 0,
                 "else each wake-up would cost a second system call");
}

Test(source, an_event_before_the_wait_makes_it_try_again_once)
{
    hk_source *s = hk_source_open(3);
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_OUT, NULL), 0);
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_OUT, NULL), 0);
    cr_expect_eq(hk_source_start(s, HK_OUT, begin(HK_OUT), &home), HK_RETRY);
    cr_expect_eq(hk_source_start(s, HK_OUT, begin(HK_OUT), &home), 0);
}

/* The edge comes after EAGAIN's consumption but before the next wait: it must not be "cleared". */
Test(source, an_edge_after_the_hand_out_is_kept_for_the_next_wait)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    (void)event(hk_source_key(s), HK_EVENT_IN, NULL);
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_IN, NULL), 0);
    cr_expect_eq(hk_source_start(s, HK_IN, begin(HK_IN), &home), HK_RETRY);
}

Test(source, an_event_of_one_direction_leaves_the_other_waiting)
{
    hk_source *s = hk_source_open(3);
    hk_ticket in = begin(HK_IN), out = begin(HK_OUT);
    hk_ready got = {0};
    (void)hk_source_start(s, HK_IN, in, &home);
    (void)hk_source_start(s, HK_OUT, out, &home);
    cr_assert_eq(event(hk_source_key(s), HK_EVENT_OUT, &got), 1);
    cr_expect_eq(got.ticket.sleeper, &sleeper[HK_OUT]);
    cr_assert_eq(event(hk_source_key(s), HK_EVENT_IN, &got), 1);
    cr_expect_eq(got.ticket.sleeper, &sleeper[HK_IN]);
    cr_expect_not(hk_load_relaxed(&s->hung_up));
}

Test(source, a_broken_connection_wakes_both_directions)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    (void)hk_source_start(s, HK_OUT, begin(HK_OUT), &home);
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_BROKEN, NULL), 2);
    cr_expect(hk_load_relaxed(&s->hung_up));
}

Test(source, hung_up_stays_until_close_and_not_longer)
{
    hk_source *s = hk_source_open(3);
    (void)event(hk_source_key(s), HK_EVENT_IN | HK_EVENT_HUNG_UP, NULL);
    (void)event(hk_source_key(s), HK_EVENT_IN, NULL);
    cr_expect(hk_load_relaxed(&s->hung_up));
    hk_source_close(s);
    hk_source *again = hk_source_open(3);
    cr_assert_eq(again, s, "the freed slot is taken first");
    cr_expect_not(hk_load_relaxed(&again->hung_up));
}

Test(source, a_stopped_wait_is_not_handed_out_but_the_event_is_remembered)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    hk_source_stop(s, HK_IN);
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_IN, NULL), 0);
    cr_expect_eq(hk_source_start(s, HK_IN, begin(HK_IN), &home), HK_RETRY);
}

Test(source, stopping_without_an_event_leaves_nothing_ready)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    hk_source_stop(s, HK_IN);
    cr_expect_eq(hk_source_start(s, HK_IN, begin(HK_IN), &home), 0);
}

/* The ticket was handed out, but a timeout claimed the turn first: nobody made the system call, so
 * the readiness must not be lost with it. */
Test(source, readiness_that_lost_against_a_timeout_is_given_back_by_stop)
{
    hk_source *s = hk_source_open(3);
    hk_ticket t = begin(HK_IN);
    hk_ready got = {0};
    (void)hk_source_start(s, HK_IN, t, &home);
    (void)event(hk_source_key(s), HK_EVENT_IN, &got);
    cr_expect(hk_ticket_claim(t, -ETIMEDOUT));
    cr_expect_not(hk_ticket_claim(got.ticket, got.result));
    hk_source_stop(s, HK_IN);
    cr_expect_eq(hk_source_start(s, HK_IN, begin(HK_IN), &home), HK_RETRY);
}

Test(source, a_late_event_of_a_closed_source_reaches_nobody)
{
    hk_source *s = hk_source_open(3);
    uint64_t old = hk_source_key(s);
    hk_source_close(s);
    cr_assert_eq(hk_source_open(3), s);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    cr_expect_eq(event(old, HK_EVENT_BROKEN, NULL), 0);
    cr_expect_not(hk_load_relaxed(&s->hung_up));
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_IN, NULL), 1, "its own event does");
}

Test(source, events_for_what_never_existed_are_dropped)
{
    cr_expect_eq(event(HK_KEY_WAKE, HK_EVENT_BROKEN, NULL), 0);
    cr_expect_eq(event(HK_SOURCES_MAX, HK_EVENT_BROKEN, NULL), 0);
    cr_expect_eq(event(HK_SOURCES_MAX - 1, HK_EVENT_BROKEN, NULL), 0);
    cr_expect_null(hk_source_at(HK_SOURCES_MAX - 1));
}

Test(source, the_generation_may_wrap_and_never_makes_the_wake_key)
{
    hk_source *s = hk_source_open(3);
    hk_store_relaxed(&s->generation, UINT32_MAX);
    uint64_t last = hk_source_key(s);
    cr_expect_neq(last, HK_KEY_WAKE);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    cr_expect_eq(event(last, HK_EVENT_IN, NULL), 1);
    hk_source_close(s);
    cr_assert_eq(hk_source_open(3), s);
    cr_expect_eq(hk_load_relaxed(&s->generation), 0u);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    cr_expect_eq(event(last, HK_EVENT_IN, NULL), 0);
    cr_expect_eq(event(hk_source_key(s), HK_EVENT_IN, NULL), 1);
}

Test(source, the_sequence_may_wrap)
{
    hk_source *s = hk_source_open(3);
    hk_store_relaxed(&s->direction[HK_IN].word, UINT64_MAX & ~UINT64_C(3)); /* idle, the last one */
    for (int i = 0; i < 8; i++) {
        cr_expect_eq(hk_source_start(s, HK_IN, begin(HK_IN), &home), 0);
        cr_expect_eq(event(hk_source_key(s), HK_EVENT_IN, NULL), 1);
    }
    cr_expect_lt(hk_load_relaxed(&s->direction[HK_IN].word), UINT64_C(1) << 32, "it did wrap");
}

Test(source, closing_moves_the_words_so_that_a_slow_poller_fails)
{
    hk_source *s = hk_source_open(3);
    uint64_t seen_in = hk_load_relaxed(&s->direction[HK_IN].word);
    uint64_t seen_out = hk_load_relaxed(&s->direction[HK_OUT].word);
    hk_source_close(s);
    cr_assert_eq(hk_source_open(3), s);
    cr_expect_neq(hk_load_relaxed(&s->direction[HK_IN].word), seen_in);
    cr_expect_neq(hk_load_relaxed(&s->direction[HK_OUT].word), seen_out);
}

enum { BOTH = HK_WATCH(HK_IN) | HK_WATCH(HK_OUT) };

Test(source, a_direction_is_watched_from_its_first_wait_on)
{
    hk_reactor other = {.backend = NULL}; /* never asked: the first wait decided */
    hk_source *s = hk_source_open(3);
    cr_expect_eq(attached, 0, "nothing before the first wait");
    for (int i = 0; i < 2; i++) {
        (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
        cr_expect_eq(attached, 1);
        cr_expect(was_watched == 0 && is_watched == HK_WATCH(HK_IN));
        hk_source_stop(s, HK_IN);
    }
    cr_expect(hk_source_is_watched(s, HK_IN) && !hk_source_is_watched(s, HK_OUT));
    for (int i = 0; i < 2; i++) {
        (void)hk_source_start(s, HK_OUT, begin(HK_OUT), &other);
        cr_expect_eq(attached, 2);
        cr_expect(was_watched == HK_WATCH(HK_IN) && is_watched == BOTH);
        hk_source_stop(s, HK_OUT);
    }
    cr_expect(hk_source_is_watched(s, HK_OUT));
    hk_source_close(s);
    cr_expect_eq(forgotten, 1);
}

Test(source, that_is_shed_moves_with_all_its_directions)
{
    hk_reactor other = {.backend = &counting};
    hk_source *s = hk_source_open(3);
    cr_expect_not(hk_source_is_shed(s), "it is nobody's yet");
    (void)hk_source_start(s, HK_OUT, begin(HK_OUT), &home);
    hk_source_stop(s, HK_OUT);
    cr_expect_not(hk_source_is_shed(s));
    hk_store_relaxed(&home.sheds, true);
    cr_expect(hk_source_is_shed(s));
    hk_source_move(s, &other);
    cr_expect(was_watched == 0 && is_watched == BOTH && attached == 2 && forgotten == 1);
    cr_expect_eq(hk_load_relaxed(&s->reactor), &other);
    cr_expect_not(hk_source_is_shed(s));
    hk_source_close(s);
    cr_expect_eq(forgotten, 2);
}

static void cannot_move(hk_source *s, hk_reactor *to)
{
    hk_source_move(s, to);
    cr_expect_eq(hk_load_relaxed(&s->reactor), &home);
    cr_expect_eq(forgotten, 0);
}

Test(source, stays_where_it_is_if_the_other_reactor_cannot_have_it)
{
    static const hk_backend counting_too = {.watch = count_watch, .forget = count_forget};
    hk_reactor other = {.backend = &counting_too}, busy = {.backend = &counting, .sheds = true};
    hk_reactor free = {.backend = &counting};
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    hk_source_stop(s, HK_IN);
    cannot_move(s, NULL);
    cannot_move(s, &home);
    cannot_move(s, &other);
    cannot_move(s, &busy);
    attach_result = -ENOSPC;
    cannot_move(s, &free);
    hk_source_close(s);
}

Test(source, who_waits_to_write_first_is_watched_both_ways)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_OUT, begin(HK_OUT), &home);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    cr_expect_eq(attached, 1);
    cr_expect(was_watched == 0 && is_watched == BOTH);
    hk_source_stop(s, HK_IN);
    hk_source_stop(s, HK_OUT);
    hk_source_close(s);
    cr_expect_eq(forgotten, 1);
}

Test(source, the_next_user_of_a_slot_is_not_watched)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_OUT, begin(HK_OUT), &home);
    hk_source_stop(s, HK_OUT);
    hk_source_close(s);
    cr_assert_eq(hk_source_open(4), s);
    cr_expect(!hk_source_is_watched(s, HK_IN) && !hk_source_is_watched(s, HK_OUT));
}

Test(source, an_attachment_that_failed_is_tried_again)
{
    hk_source *s = hk_source_open(3);
    attach_result = -ENOSPC;
    cr_expect_eq(hk_source_start(s, HK_IN, begin(HK_IN), &home), -ENOSPC);
    attach_result = 0;
    cr_expect_eq(hk_source_start(s, HK_IN, begin(HK_IN), &home), 0);
    cr_expect_eq(attached, 2);
}

Test(source, what_was_never_attached_is_not_forgotten)
{
    hk_source_close(hk_source_open(3));
    cr_expect_eq(forgotten, 0);
}

Test(source, open_sources_have_slots_of_their_own)
{
    enum { COUNT = 2000 }; /* several chunks */
    static hk_source *s[COUNT];
    for (int i = 0; i < COUNT; i++) {
        s[i] = hk_source_open(i);
        cr_assert_not_null(s[i]);
        cr_assert_eq(hk_source_at(s[i]->index), s[i]);
    }
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(s[i]->fd, i, "nobody else took it");
    for (int i = 0; i < COUNT; i++)
        hk_source_close(s[i]);
    cr_expect_eq(hk_source_open(3), s[COUNT - 1], "closed slots are used before new memory");
}

Test(source, without_memory_open_says_so_and_works_afterwards)
{
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    cr_expect_null(hk_source_open(3));
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    cr_expect_not_null(hk_source_open(3));
}

Test(source, a_second_waiter_on_a_direction_is_refused_loudly, .signal = SIGABRT)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    (void)hk_source_start(s, HK_IN, begin(HK_OUT), &home);
}

Test(source, closing_under_a_waiter_is_refused_loudly, .signal = SIGABRT)
{
    hk_source *s = hk_source_open(3);
    (void)hk_source_start(s, HK_IN, begin(HK_IN), &home);
    hk_source_close(s);
}
