/* SPDX-License-Identifier: MIT */
/* chan.h - a channel as select.c sees it. */
#ifndef HK_SYNC_CHAN_H
#define HK_SYNC_CHAN_H

#include <stdbool.h>

#include <hank/chan.h>

#include "sync/store.h"
#include "sync/waitq.h"

/* Equation: sent == received + dropped + store.count.
 * receivers.lock guards everything; of the other two only the queue is used.
 *   unfinished  elements sent and not yet said to be done
 *   sender      who found somebody waiting to receive, last: a hint, maybe gone; so is receiver */
struct hank_chan {
    hk_waitq receivers;
    hk_waitq senders;
    hk_store store; /* what changes first: in one cache line with the queues */
    uint64_t unfinished;
    hk_waitq joiners;
    hk_sleeper *sender;
    hk_sleeper *receiver;
    bool closed;
};

/* Somebody else is in it: take the lock, but do not be in a hurry. */
void hk_chan_lock_slowly(hank_chan *c);

static inline void hk_chan_lock(hank_chan *c)
{
    if (HK_UNLIKELY(!hk_lock_try(&c->receivers.lock, HK_RANK_SYNC)))
        hk_chan_lock_slowly(c);
}

static inline void hk_chan_unlock(hank_chan *c)
{
    hk_waitq_unlock(&c->receivers);
}

/* Called with the lock held. 0: done, and *ret_served is to be run after unlocking; -EAGAIN: would
 * have to wait; -EPIPE; -ENOMEM. A waiter that was served finds its payload NULL. */
int hk_chan_send_now(hank_chan *c, const void *elem, hk_waiter **ret_served);
int hk_chan_recv_now(hank_chan *c, void *ret_elem, hk_waiter **ret_served);

#endif
