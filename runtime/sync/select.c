/* SPDX-License-Identifier: MIT */
/* select.c - wait at several channels, and do exactly one thing.
 *
 * One turn, and a waiter with its ticket in each channel's queue: whoever claims the turn has
 * chosen the case, and every other channel finds that it cannot be claimed. No two channels are
 * ever locked together. When a channel turns out to be ready while we go round, we must not be
 * chosen elsewhere any more: so first our own turn is ended, by ourselves, and only then somebody
 * who waits at this channel is claimed. If everybody there has left by then, we begin again.
 *
 * The memory of the waiters is in the cases: nothing is allocated. */
#include <errno.h>
#include <limits.h>

#include "base/check.h"
#include "sched/park.h"
#include "sync/chan.h"

_Static_assert(sizeof(hk_waiter) <= sizeof(((hank_case *)NULL)->opaque_), "hank_case is too small");

enum { NOBODY_CHOSEN = INT_MIN };

static hk_waiter *waiter_of(hank_case *k)
{
    return (hk_waiter *)(void *)k->opaque_;
}

static hk_waitq *queue_of(hank_case *k)
{
    return k->send ? &k->chan->senders : &k->chan->receivers;
}

static int check(hank_case *cases, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (cases[i].chan && (cases[i].send != NULL) == (cases[i].recv != NULL))
            return -EINVAL;
        any = any || cases[i].chan;
    }
    return any && n <= INT_MAX ? 0 : -EINVAL;
}

/* Called with the channel's lock held, drops it. -EAGAIN: it would have to wait. */
static int do_now_and_unlock(hank_case *k)
{
    hk_waiter *served;
    int rc = k->send ? hk_chan_send_now(k->chan, k->send, &served)
                     : hk_chan_recv_now(k->chan, k->recv, &served);
    hk_chan_unlock(k->chan);
    hk_waitq_run(served);
    return rc;
}

int hank_tryselect(hank_case *cases, size_t n)
{
    int rc = check(cases, n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (!cases[i].chan)
            continue;
        hk_chan_lock(cases[i].chan);
        int result = do_now_and_unlock(&cases[i]);
        if (result == -EAGAIN)
            continue;
        cases[i].result = result;
        return (int)i;
    }
    return rc < 0 ? rc : -EAGAIN;
}

/* Somebody else than `me` in the queue? */
static bool others_wait(hk_waitq *q, hk_sleeper *me)
{
    hk_waiter *w = hk_waitq_first(q);
    for (; w && w->ticket.sleeper == me;
         w = w->link.next == &q->waiters ? NULL : hk_container_of(w->link.next, hk_waiter, link))
        ;
    return w != NULL;
}

/* Called with the channel's lock held: is it worth ending our turn? */
static bool seems_ready(hank_case *k, hk_sleeper *me)
{
    hank_chan *c = k->chan;
    if (c->closed)
        return true;
    if (k->send)
        return c->store.unbounded || c->store.count < c->store.capacity ||
               others_wait(&c->receivers, me);
    return c->store.count > 0 || others_wait(&c->senders, me);
}

/* Leave the queues of the first n cases. */
static void leave(hank_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!cases[i].chan)
            continue;
        hk_chan_lock(cases[i].chan);
        if (hk_node_linked(&waiter_of(&cases[i])->link))
            hk_list_remove(&waiter_of(&cases[i])->link);
        hk_chan_unlock(cases[i].chan);
    }
}

static int chosen(hank_case *cases, size_t n, int result)
{
    for (size_t i = 0; i < n; i++) {
        if (cases[i].chan && waiter_of(&cases[i])->payload == NULL) { /* who claimed us said so */
            cases[i].result = result;
            return (int)i;
        }
    }
    hk_panic("select was woken by no channel");
}

/* Join the queue of a case, unless it need not wait: true, and *ret_result is what came of it, or
 * -EAGAIN if we have begun for nothing. */
static bool join_or_do(hank_case *k, hk_waiter *turn, int *ret_result)
{
    hk_waiter *w = waiter_of(k);
    *w = (hk_waiter){.ticket = turn->ticket,
                     .payload = k->send ? (void *)(uintptr_t)k->send : k->recv,
                     .asked = turn->asked};
    hk_chan_lock(k->chan);
    if (!seems_ready(k, turn->ticket.sleeper)) {
        hk_list_push_back(&queue_of(k)->waiters, &w->link);
        hk_chan_unlock(k->chan);
        return false;
    }
    if (hk_park_abandon(turn)) {
        *ret_result = do_now_and_unlock(k);
        return true;
    }
    hk_chan_unlock(k->chan); /* chosen elsewhere: hk_park says by whom */
    return false;
}

/* The index of what happened; why it was stopped; or NOBODY_CHOSEN: go round once more. */
static int wait_once(hank_case *cases, size_t n)
{
    hk_waiter turn;
    hk_park_begin(&turn, HK_WAITING);
    for (size_t i = 0; i < n; i++) {
        int result;
        if (!cases[i].chan || !join_or_do(&cases[i], &turn, &result))
            continue;
        leave(cases, i);
        if (result == -EAGAIN)
            return NOBODY_CHOSEN;
        cases[i].result = result;
        return (int)i;
    }
    int rc = hk_park(&turn, HK_FOREVER, "select");
    leave(cases, n);
    return hk_waitq_was_stopped(rc) ? rc : chosen(cases, n, rc);
}

int hank_select(hank_case *cases, size_t n)
{
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    do {
        rc = hank_tryselect(cases, n);
        if (rc == -EAGAIN)
            rc = wait_once(cases, n);
    } while (rc == NOBODY_CHOSEN);
    return rc;
}
