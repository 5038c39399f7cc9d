/* SPDX-License-Identifier: MIT */
/* chan_items.h - what does it cost to hand an item from one task to another?
 *
 * So many tasks send numbers through one channel of 1024, as many receive them; n items in all. */
#ifndef BENCH_CHAN_ITEMS_H
#define BENCH_CHAN_ITEMS_H

#include "bench.h"

#include <hank.h>

enum { BENCH_PAIRS_MAX = 4, BENCH_CHAN_CAPACITY = 1024 };

struct items {
    HANK_CHAN(long) chan;
    long each;
    long sum;
};

static int send_items(void *arg)
{
    struct items *items = arg;
    for (long i = 0; i < items->each; i++) {
        int rc = hank_send(items->chan, &i);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int recv_items(void *arg)
{
    struct items *items = arg;
    long item;
    int rc;
    while ((rc = hank_recv(items->chan, &item)) == 0)
        items->sum += item;
    return rc == -EPIPE ? 0 : rc;
}

static double chan_items(long n, int pairs)
{
    struct items sent = {.each = n / pairs}, received[BENCH_PAIRS_MAX];
    hank_task senders[BENCH_PAIRS_MAX], receivers[BENCH_PAIRS_MAX];
    long sum = 0;
    if (!hank_make(sent.chan, BENCH_CHAN_CAPACITY))
        return -ENOMEM;
    int64_t start = bench_now();
    for (int i = 0; i < pairs; i++) {
        received[i] = sent;
        senders[i] = hank_spawn(send_items, &sent);
        receivers[i] = hank_spawn(recv_items, &received[i]);
    }
    int rc = hank_gather_n(senders, (size_t)pairs, NULL);
    hank_chan_close(sent.chan.raw);
    int received_all = hank_gather_n(receivers, (size_t)pairs, NULL);
    double spent = (double)(bench_now() - start) / (double)n;
    hank_chan_free(sent.chan.raw);
    for (int i = 0; i < pairs; i++)
        sum += received[i].sum;
    if (rc < 0 || received_all < 0)
        return rc < 0 ? rc : received_all;
    return sum == pairs * (sent.each * (sent.each - 1) / 2) ? spent : -EPROTO;
}

#endif
