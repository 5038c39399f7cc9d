/* SPDX-License-Identifier: MIT */
/* waiter_test.c - of everyone who would end a turn exactly one does, and only that turn. */
#include "base/waiter.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "base/os.h"

Test(waiter, the_word_keeps_turn_state_and_negative_results_apart)
{
    uint64_t word = hk_sleeper_pack(HK_TURN_MASK, HK_WAITING_FIRMLY, -ETIMEDOUT);
    cr_expect_eq(hk_word_turn(word), HK_TURN_MASK);
    cr_expect_eq(hk_word_state(word), HK_WAITING_FIRMLY);
    cr_expect_eq(hk_word_result(word), -ETIMEDOUT);
}

Test(waiter, the_first_claim_decides_the_result)
{
    hk_sleeper s = {0};
    hk_ticket t = hk_sleeper_begin(&s, HK_WAITING);
    cr_expect(hk_ticket_claim(t, HK_RETRY));
    cr_expect_not(hk_ticket_claim(t, -ECANCELED));
    cr_expect_eq(hk_sleeper_result(&s), HK_RETRY);
}

Test(waiter, a_ticket_of_an_earlier_turn_is_worth_nothing)
{
    hk_sleeper s = {0};
    hk_ticket old = hk_sleeper_begin(&s, HK_WAITING);
    cr_expect(hk_ticket_claim(old, 0));
    hk_ticket new = hk_sleeper_begin(&s, HK_WAITING);
    cr_expect_not(hk_ticket_claim(old, -ETIMEDOUT));
    cr_expect(hk_ticket_claim(new, 5));
    cr_expect_eq(hk_sleeper_result(&s), 5);
}

static bool stops(unsigned state, bool direct)
{
    hk_sleeper s = {0};
    (void)hk_sleeper_begin(&s, state);
    bool stopped = hk_sleeper_claim_stop(&s, hk_load_relaxed(&s.word), direct, -ECANCELED);
    cr_expect_eq(hk_sleeper_result(&s), stopped ? -ECANCELED : 0);
    return stopped;
}

Test(waiter, a_stop_ends_a_wait_but_not_a_firm_one)
{
    cr_expect(stops(HK_WAITING, false));
    cr_expect(stops(HK_WAITING, true));
    cr_expect_not(stops(HK_WAITING_FIRMLY, false));
    cr_expect_not(stops(HK_WAITING_FIRMLY, true));
}

Test(waiter, below_a_shield_only_a_stop_aimed_at_the_sleeper_itself_counts)
{
    cr_expect_not(stops(HK_WAITING_SELF, false));
    cr_expect(stops(HK_WAITING_SELF, true));
}

Test(waiter, a_shield_around_a_body_only_lets_a_stop_from_inside_through)
{
    cr_expect_not(stops(HK_WAITING_BODY, false));
    cr_expect(stops(HK_WAITING_BODY, true));
}

Test(waiter, a_stop_cannot_claim_who_is_awake)
{
    cr_expect_not(stops(HK_AWAKE, true));
}

Test(waiter, turns_wrap_round_without_touching_the_state)
{
    hk_sleeper s = {0};
    hk_store_relaxed(&s.word, hk_sleeper_pack(HK_TURN_MASK, HK_AWAKE, 0));
    hk_ticket t = hk_sleeper_begin(&s, HK_WAITING);
    cr_expect_eq(t.turn, 0);
    cr_expect_eq(hk_word_state(hk_load_relaxed(&s.word)), HK_WAITING);
    cr_expect(hk_ticket_claim(t, 0));
}

enum { CLAIMERS = 4, TURNS = 5000 };

static hk_sleeper shared;
static hk_ticket tickets[TURNS];
static HK_ATOMIC(int) published;
static HK_ATOMIC(int) won;

static void *claim_each(void *arg)
{
    for (int turn = 0; turn < TURNS; turn++) {
        while (hk_load_acquire(&published) <= turn) /* the ticket is there */
            hk_os_yield();
        if (hk_ticket_claim(tickets[turn], turn % 100))
            hk_add_acqrel(&won, 1); /* counted before the sleeper goes on */
    }
    return arg;
}

Test(waiter, among_racing_claimers_each_turn_has_one_winner)
{
    pthread_t threads[CLAIMERS];
    for (int i = 0; i < CLAIMERS; i++)
        cr_assert_eq(hk_os_thread_start(&threads[i], claim_each, NULL), 0);
    for (int turn = 0; turn < TURNS; turn++) {
        tickets[turn] = hk_sleeper_begin(&shared, HK_WAITING);
        hk_store_release(&published, turn + 1);
        while (hk_load_acquire(&won) <= turn)
            hk_os_yield();
        cr_assert_eq(hk_sleeper_result(&shared), turn % 100);
    }
    for (int i = 0; i < CLAIMERS; i++)
        cr_assert_eq(hk_os_thread_join(threads[i]), 0);
    cr_expect_eq(hk_load_acquire(&won), TURNS);
}
