/* SPDX-License-Identifier: MIT */
/* waiter_model.c - the real waiter word: each turn has exactly one winner, and no stop is lost.
 *
 * A sleeper that waits spins on its word here: nothing but the word orders anything, as little as
 * any real way to sleep would. What a winner wrote before its claim is plain data, so a claim that
 * does not publish it is a data race. A lost stop leaves the sleeper spinning for ever. */
#include "base/waiter.h"
#include "model/mc.h"

#include <errno.h>

enum { DONE = 7, DONE_AGAIN = 8 };

static hk_sleeper sleeper;
static hk_ticket published; /* plain: guarded by `offered`, as by a queue's lock */
static int offered;         /* the turn whose ticket is published */
static int stop_flag;
static int note[3]; /* plain: what the winner leaves for the sleeper */
static int wins[3]; /* by turn */
static int results[3];

static void begin(void)
{
    memset(&sleeper, 0, sizeof sleeper);
    offered = stop_flag = 0;
    memset(note, 0, sizeof note);
    memset(wins, 0, sizeof wins);
    memset(results, 0, sizeof results);
    mc_name(&sleeper.word, "word");
    mc_name(&offered, "offered");
    mc_name(&stop_flag, "stop_flag");
}

/* The first turn is under way and its ticket known to all, before anybody runs. */
static void begin_waiting(void)
{
    begin();
    published = hk_sleeper_begin(&sleeper, HK_WAITING);
    offered = 1;
}

static void begin_waiting_firmly(void)
{
    begin();
    published = hk_sleeper_begin(&sleeper, HK_WAITING_FIRMLY);
    offered = 1;
}

static void begin_waiting_self(void)
{
    begin();
    published = hk_sleeper_begin(&sleeper, HK_WAITING_SELF);
    offered = 1;
}

/* The sleeper. */

static int wait_for_end(int turn)
{
    while (hk_word_state(hk_load_relaxed(&sleeper.word)) != HK_AWAKE)
        hk_spin_pause();
    results[turn] = hk_sleeper_result(&sleeper);
    return results[turn];
}

static void receive(void)
{
    int result = wait_for_end(1);
    int winner = result == DONE ? 0 : result == -ECANCELED ? 1 : 2;
    MC_ASSERT(MC_READ(&note[winner]) == result);
}

static hk_ticket offer(int turn, unsigned state)
{
    hk_ticket t = hk_sleeper_begin(&sleeper, state);
    MC_ASSERT(t.turn == (uint64_t)turn);
    MC_WRITE(&published, t);
    hk_store_release(&offered, turn);
    return t;
}

/* As hk_park does: a turn begins, its ticket goes where its waker will find it, and a stop that
 * was asked for before is looked for last. */
static void wait_unless_stopped(void)
{
    hk_ticket t = offer(1, HK_WAITING);
    if (hk_load_seqcst(&stop_flag) != 0 && hk_ticket_claim(t, -ECANCELED))
        wins[1]++;
    (void)wait_for_end(1);
}

static void wait_twice_unless_stopped(void)
{
    for (int turn = 1; turn <= 2; turn++) {
        hk_ticket t = offer(turn, HK_WAITING);
        if (hk_load_seqcst(&stop_flag) != 0 && hk_ticket_claim(t, -ECANCELED))
            (void)hk_add_relaxed(&wins[turn], 1);
        (void)wait_for_end(turn);
    }
}

static void wait_twice(void)
{
    for (int turn = 1; turn <= 2; turn++) {
        (void)offer(turn, HK_WAITING);
        (void)wait_for_end(turn);
    }
}

/* Those who end a turn. A stop is aimed at the sleeper itself, or at one it runs under. */

static void claim_with(int who, int result)
{
    MC_WRITE(&note[who], result);
    if (hk_ticket_claim(published, result))
        (void)hk_add_relaxed(&wins[1], 1);
}

static void complete(void)
{
    claim_with(0, DONE);
}

static void time_out(void)
{
    claim_with(2, -ETIMEDOUT);
}

static void stop(bool direct)
{
    MC_WRITE(&note[1], -ECANCELED);
    (void)hk_or_seqcst(&stop_flag, 1);
    uint64_t word = hk_load_seqcst(&sleeper.word);
    if (hk_sleeper_claim_stop(&sleeper, word, direct, -ECANCELED))
        (void)hk_add_relaxed(&wins[hk_word_turn(word)], 1);
}

static void cancel(void)
{
    stop(true);
}

static void cancel_from_above(void)
{
    stop(false);
}

static hk_ticket ticket_of(int turn)
{
    while (hk_load_acquire(&offered) < turn)
        hk_spin_pause();
    hk_ticket t = published;
    t.turn = (uint64_t)turn; /* the second offer writes the same but for the turn */
    return t;
}

static void complete_both(void)
{
    for (int turn = 1; turn <= 2; turn++)
        if (hk_ticket_claim(ticket_of(turn), turn == 1 ? DONE : DONE_AGAIN))
            (void)hk_add_relaxed(&wins[turn], 1);
}

/* Has the ticket of the first turn and comes at any time. */
static void come_late(void)
{
    if (hk_ticket_claim(ticket_of(1), -ETIMEDOUT))
        (void)hk_add_relaxed(&wins[1], 1);
}

/* What must hold at the end. */

static void one_won(void)
{
    MC_ASSERT(wins[1] == 1);
    MC_ASSERT(hk_word_turn(sleeper.word) == 1 && hk_word_state(sleeper.word) == HK_AWAKE);
}

static void stop_did_not_win(void)
{
    one_won();
    MC_ASSERT(results[1] == DONE || results[1] == -ETIMEDOUT);
}

static void each_turn_has_its_winner(void)
{
    MC_ASSERT(wins[1] == 1 && wins[2] == 1);
    MC_ASSERT(results[1] == DONE || results[1] == -ETIMEDOUT);
    MC_ASSERT(results[2] == DONE_AGAIN);
}

static void stop_ended_it(void)
{
    MC_ASSERT(wins[1] == 1 && results[1] == -ECANCELED);
}

static void both_turns_ended(void)
{
    MC_ASSERT(wins[1] == 1 && wins[2] == 1);
}

static void complete_first(void)
{
    if (hk_ticket_claim(ticket_of(1), DONE))
        (void)hk_add_relaxed(&wins[1], 1);
}

static const mc_model models[] = {
    {.name = "waiter: complete, cancel and time out, one turn",
     .setup = begin_waiting,
     .threads = {receive, complete, cancel, time_out},
     .check = one_won,
     .golden = 306},
    {.name = "waiter: a stop leaves a firm wait alone",
     .setup = begin_waiting_firmly,
     .threads = {receive, complete, cancel, time_out},
     .check = stop_did_not_win,
     .golden = 88},
    {.name = "waiter: a stop from above leaves a shielded wait alone",
     .setup = begin_waiting_self,
     .threads = {receive, complete, cancel_from_above, time_out},
     .check = stop_did_not_win,
     .golden = 88},
    {.name = "waiter: a stop of its own ends a shielded wait",
     .setup = begin_waiting_self,
     .threads = {receive, cancel},
     .check = stop_ended_it,
     .golden = 4},
    {.name = "waiter: a ticket of the first turn never ends the second",
     .setup = begin,
     .threads = {wait_twice, complete_both, come_late},
     .check = each_turn_has_its_winner,
     .golden = 28324},
    {.name = "waiter: no stop is lost",
     .setup = begin,
     .threads = {wait_unless_stopped, cancel},
     .check = stop_ended_it,
     .golden = 15},
    {.name = "waiter: no stop is lost between two turns",
     .setup = begin,
     .threads = {wait_twice_unless_stopped, complete_first, cancel},
     .check = both_turns_ended,
     .golden = 1827},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
