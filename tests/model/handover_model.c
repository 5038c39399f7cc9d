/* SPDX-License-Identifier: MIT */
/* handover_model.c - the real channel over the real park.c and cancel: what is sent is received
 * once, in order, whoever is stopped.
 *
 * Everything below it is real as well: the queue of waiters, the lock, park.c. A send that was
 * stopped has sent nothing, a receive that was stopped has taken nothing. */
#include <hank/chan.h>

#include "model/mc_tasks.h"

enum { ITEMS_MAX = 4 };

static hank_chan *chan;
static int got_n[MC_THREADS_MAX]; /* by thread, as all that follows */
static int sent[MC_THREADS_MAX];  /* items it was told were sent */
static uint64_t received[MC_THREADS_MAX][ITEMS_MAX];

static void begin(size_t capacity)
{
    mt_begin();
    memset(got_n, 0, sizeof got_n);
    memset(sent, 0, sizeof sent);
    memset(received, 0, sizeof received);
    chan = hank_chan_new(sizeof(uint64_t), capacity);
}

static void begin_rendezvous(void)
{
    begin(0);
}

static void begin_one_slot(void)
{
    begin(1);
}

/* What thread i sends is 16 * i + 1, 16 * i + 2, ... */
static void send_n(int n)
{
    int self = mc_self();
    for (int i = 1; i <= n; i++) {
        uint64_t item = 16u * (unsigned)self + (unsigned)i;
        int rc = hank_chan_send(chan, &item);
        MC_ASSERT(rc == 0 || rc == -ECANCELED || rc == -EPIPE);
        if (rc < 0)
            return;
        sent[self]++;
    }
}

static void receive_n(int n)
{
    int self = mc_self();
    for (int i = 0; i < n; i++) {
        uint64_t item = 0;
        int rc = hank_chan_recv(chan, &item);
        MC_ASSERT(rc == 0 || rc == -ECANCELED || rc == -EPIPE);
        if (rc < 0) {
            MC_ASSERT(item == 0); /* nothing was taken */
            return;
        }
        received[self][got_n[self]++] = item;
    }
}

static void send_1(void)
{
    send_n(1);
}

static void send_2(void)
{
    send_n(2);
}

static void receive_1(void)
{
    receive_n(1);
}

static void receive_2(void)
{
    receive_n(2);
}

/* Whatever stops us: once more, where no stop counts. */
static void send_in_spite(int n)
{
    hank_scope shield;
    hank_shield_begin(&shield);
    uint64_t item = 16u * (unsigned)mc_self() + (unsigned)n;
    MC_ASSERT(hank_chan_send(chan, &item) == 0);
    sent[mc_self()]++;
    hank_shield_end(&shield);
}

static void send_2_in_spite(void)
{
    send_n(2);
    while (sent[mc_self()] < 2)
        send_in_spite(sent[mc_self()] + 1);
}

/* If it gets one it sends one, so that there is one for the other receiver in any case. */
static void receive_and_pass_on(void)
{
    receive_n(1);
    if (got_n[mc_self()] > 0)
        send_in_spite(1);
}

static void try_and_pass_on(void)
{
    uint64_t item;
    if (hank_chan_tryrecv(chan, &item) == 0) {
        received[mc_self()][got_n[mc_self()]++] = item;
        send_in_spite(1);
    }
}

static void close_it(void)
{
    hank_chan_close(chan);
}

static void cancel_0(void)
{
    (void)hk_task_cancel(&mt_tasks[0], MT_GENERATION);
}

/* What is still in the channel at the end, taken as thread 0. */
static int drain(void)
{
    uint64_t item;
    int n = 0;
    while (hank_chan_tryrecv(chan, &item) == 0)
        n++;
    hank_chan_free(chan);
    return n;
}

/* Each sender's items were received in the order it sent them in, none twice. */
static void nothing_is_lost(void)
{
    int in = 0, out = drain();
    for (int i = 0; i < MC_THREADS_MAX; i++)
        in += sent[i];
    for (int i = 0; i < MC_THREADS_MAX; i++) {
        uint64_t last[MC_THREADS_MAX] = {0};
        for (int j = 0; j < got_n[i]; j++) {
            uint64_t from = received[i][j] / 16, number = received[i][j] % 16;
            MC_ASSERT(from < MC_THREADS_MAX && number > last[from]);
            last[from] = number;
        }
        out += got_n[i];
    }
    MC_ASSERT(in == out);
}

static const mc_model models[] = {
    {.name = "handover: a rendezvous",
     .setup = begin_rendezvous,
     .threads = {receive_1, send_1},
     .check = nothing_is_lost,
     .golden = 22},
    {.name = "handover: two through one slot",
     .setup = begin_one_slot,
     .threads = {receive_2, send_2},
     .check = nothing_is_lost,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 24081},
    {.name = "handover: two senders meet one receiver",
     .setup = begin_rendezvous,
     .threads = {receive_2, send_1, send_1},
     .check = nothing_is_lost,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 48514},
    {.name = "handover: the receiver is stopped",
     .setup = begin_one_slot,
     .threads = {receive_1, send_1, cancel_0},
     .check = nothing_is_lost,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 8633},
    {.name = "handover: of two receivers one is stopped, and the other gets it",
     .setup = begin_rendezvous,
     .threads = {receive_and_pass_on, receive_1, send_1, cancel_0},
     .check = nothing_is_lost,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 579205},
    {.name = "handover: the sender is stopped",
     .setup = begin_one_slot,
     .threads = {send_2_in_spite, receive_2, cancel_0},
     .check = nothing_is_lost,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 5366},
    {.name = "handover: closed under who waits",
     .setup = begin_one_slot,
     .threads = {receive_2, send_1, close_it},
     .check = nothing_is_lost,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 16112},
    {.name = "handover: one receive makes room for who waits to send",
     .setup = begin_one_slot,
     .threads = {receive_1, send_2},
     .check = nothing_is_lost,
     .golden = 284},
    {.name = "handover: closed under who waits to send",
     .setup = begin_one_slot,
     .threads = {send_2, close_it},
     .check = nothing_is_lost,
     .golden = 284},
    {.name = "handover: many who only try",
     .setup = begin_one_slot,
     .threads = {try_and_pass_on, try_and_pass_on, send_1, receive_1},
     .check = nothing_is_lost,
     .search = MC_RANDOM,
     .bound = 3,
     .seed = 1,
     .executions_max = 100000},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
