/* SPDX-License-Identifier: MIT */
/* chan_model.c - the real channel and select: each element is received once, by who sees what its
 * sender wrote; stops, closing and joining lose nothing and wake everybody. */
#include "sync/chan.h"

#include "model/mc.h"
#include "model/mc_park.h"

enum { NOTHING = -1 };

static hank_chan *c, *other;
static int note; /* plain: written by the sender, read by the receiver */
static int got[MC_THREADS_MAX];
static int results[MC_THREADS_MAX];

static void begin(size_t capacity)
{
    begin_parking();
    c = hank_chan_new(sizeof(int), capacity);
    other = hank_chan_new(sizeof(int), capacity);
    for (int i = 0; i < MC_THREADS_MAX; i++)
        got[i] = NOTHING;
    memset(results, 0, sizeof results);
    note = 0;
}

static void begin_empty(void)
{
    begin(1);
}

static void begin_rendezvous(void)
{
    begin(0);
}

static void begin_full(void)
{
    begin(1);
    MC_ASSERT(hank_chan_trysend(c, &(int){5}) == 0);
}

static void end(void)
{
    hank_chan_free(c);
    hank_chan_free(other);
}

/* --- threads --------------------------------------------------------------------------------- */

static void send(hank_chan *to, int value)
{
    MC_WRITE(&note, value);
    results[mc_self()] = hank_chan_send(to, &value);
}

static void send_7(void)
{
    send(c, 7);
}

static void send_7_and_8(void)
{
    for (int value = 7; value <= 8; value++) /* without a note: the first may not be read yet */
        MC_ASSERT(hank_chan_send(c, &value) == 0);
}

static void send_to_other(void)
{
    int value = 9;
    results[mc_self()] = hank_chan_send(other, &value);
}

static void receive(void)
{
    int me = mc_self();
    results[me] = hank_chan_recv(c, &got[me]);
    if (results[me] == 0)
        MC_ASSERT(MC_READ(&note) == got[me]);
}

static void receive_7_and_8(void)
{
    for (int value = 7; value <= 8; value++)
        MC_ASSERT(hank_chan_recv(c, &got[1]) == 0 && got[1] == value);
}

static void receive_5(void)
{
    MC_ASSERT(hank_chan_recv(c, &got[mc_self()]) == 0);
}

static void receive_5_and_finish(void)
{
    receive_5();
    MC_ASSERT(hank_chan_task_done(c) == 0);
}

static void join(void)
{
    results[mc_self()] = hank_chan_join(c);
}

static void close_it(void)
{
    hank_chan_close(c);
}

static void abort_it(void)
{
    (void)hank_chan_abort(c, NULL, NULL); /* how many depends on who was first */
}

static void cancel_1(void)
{
    cancel(1);
}

static void receive_either(void)
{
    int me = mc_self();
    hank_case cases[] = {{.chan = c, .recv = &got[me]}, {.chan = other, .recv = &got[me]}};
    results[me] = hank_select(cases, 2);
    if (results[me] >= 0)
        MC_ASSERT(cases[results[me]].result == 0);
}

/* --- checks ---------------------------------------------------------------------------------- */

static void received_or_still_there(void)
{
    int left = NOTHING;
    bool there = hank_chan_tryrecv(c, &left) == 0;
    MC_ASSERT(results[0] == 0 && (results[1] == 0) != there);
    MC_ASSERT(results[1] == 0 ? got[1] == 7 : results[1] == -ECANCELED && left == 7);
    end();
}

static void sent_if_received(void)
{
    MC_ASSERT((results[1] == 0) == (results[0] == 0));
    MC_ASSERT(results[1] == 0 || results[1] == -ECANCELED || results[1] == -EPIPE);
    MC_ASSERT(results[1] == 0 ? got[1] == 7 : got[1] == NOTHING);
    end();
}

static bool nobody_waits_at(hank_chan *at)
{
    return !hk_waitq_first(&at->receivers) && !hk_waitq_first(&at->senders);
}

static void five_then_seven(void)
{
    int left = NOTHING;
    MC_ASSERT(got[0] == 5 && results[1] == 0);
    MC_ASSERT(hank_chan_tryrecv(c, &left) == 0 && left == 7);
    end();
}

static void it_has_left(void)
{
    MC_ASSERT(results[1] == -ECANCELED && nobody_waits_at(c));
    end();
}

static void other_was_chosen(void)
{
    MC_ASSERT(results[1] == 1 && got[1] == 9);
    MC_ASSERT(nobody_waits_at(c) && nobody_waits_at(other));
    end();
}

static void sent_last_or_not(void)
{
    MC_ASSERT(nobody_waits_at(c));
    int left = NOTHING;
    MC_ASSERT(got[0] == 5);
    MC_ASSERT((hank_chan_tryrecv(c, &left) == 0) == (results[1] == 0));
    MC_ASSERT(results[1] == 0 ? left == 7 : results[1] == -ECANCELED);
    end();
}

static void all_is_done(void)
{
    MC_ASSERT(results[1] == 0 && got[0] == 5 && hank_chan_task_done(c) == -EINVAL);
    end();
}

/* 0 may have sent before the abort: then 1 has it, or it was dropped. */
static void none_is_left(void)
{
    MC_ASSERT(hank_chan_len(c) == 0);
    MC_ASSERT(results[1] == 0 ? got[1] == 7 && results[0] == 0 : results[1] == -EPIPE);
    end();
}

/* What was not chosen is still in its channel. */
static void one_was_chosen(void)
{
    int left = 0;
    MC_ASSERT(results[1] == 0 || results[1] == 1);
    MC_ASSERT(got[1] == (results[1] == 0 ? 7 : 9));
    MC_ASSERT(hank_chan_tryrecv(results[1] == 0 ? other : c, &left) == 0);
    MC_ASSERT(left == (results[1] == 0 ? 9 : 7));
    MC_ASSERT(hank_chan_len(c) == 0 && hank_chan_len(other) == 0);
    end();
}

static void chosen_or_still_there(void)
{
    MC_ASSERT(results[1] == 0 ? got[1] == 7 : results[1] == -ECANCELED);
    MC_ASSERT(hank_chan_len(c) == (results[1] == 0 ? 0 : 1));
    end();
}

static const mc_model models[] = {
    {.name = "chan: one element",
     .setup = begin_empty,
     .threads = {send_7, receive},
     .check = sent_if_received,
     .golden = 22},
    {.name = "chan: two elements in order through one slot",
     .setup = begin_empty,
     .threads = {send_7_and_8, receive_7_and_8},
     .check = end,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 4527},
    {.name = "chan: the receiver is stopped",
     .setup = begin_empty,
     .threads = {send_7, receive, cancel_1},
     .check = received_or_still_there,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 18696},
    {.name = "chan: stopped, and nobody else is there",
     .setup = begin_empty,
     .threads = {cancel_1, receive},
     .check = it_has_left,
     .golden = 6},
    {.name = "chan: the sender waits for room",
     .setup = begin_full,
     .threads = {receive_5, send_7},
     .check = five_then_seven,
     .golden = 22},
    {.name = "chan: the sender is stopped",
     .setup = begin_full,
     .threads = {receive_5, send_7, cancel_1},
     .check = sent_last_or_not,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 18696},
    {.name = "chan: a rendezvous, and a close",
     .setup = begin_rendezvous,
     .threads = {send_7, receive, close_it},
     .check = sent_if_received,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 164096},
    {.name = "chan: an abort",
     .setup = begin_empty,
     .threads = {send_7, receive, abort_it},
     .check = none_is_left,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 95743},
    {.name = "chan: joined until all is done",
     .setup = begin_full,
     .threads = {receive_5_and_finish, join, join},
     .check = all_is_done,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 610966},
    {.name = "select: two channels, a sender at the second",
     .setup = begin_empty,
     .threads = {send_to_other, receive_either},
     .check = other_was_chosen,
     .golden = 284},
    {.name = "select: two channels, a sender at each",
     .setup = begin_empty,
     .threads = {send_7, receive_either, send_to_other},
     .check = one_was_chosen,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 250508},
    {.name = "select: a rendezvous",
     .setup = begin_rendezvous,
     .threads = {send_7, receive_either},
     .check = sent_if_received,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 3720},
    {.name = "select: stopped",
     .setup = begin_empty,
     .threads = {send_7, receive_either, cancel_1},
     .check = chosen_or_still_there,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 26379},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
