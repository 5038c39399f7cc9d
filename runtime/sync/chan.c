/* SPDX-License-Identifier: MIT */
/* chan.c - a store of elements and queues of those who wait.
 *
 * Invariant: receivers wait only while the store is empty and nobody waits to send; senders wait
 * only while it is full. So an element never overtakes another, and whoever comes serves whoever
 * waits, by copying straight into or out of the waiter's own memory: between its claim and its
 * running, that memory is ours.
 *
 * Two that work on two cores at the same pace find the channel empty, or full, for moments only.
 * Whoever has nothing else to run gives the other one these moments before it parks: MEASURED, to
 * be woken moves it to the other's worker, and both run there by turns while this one sleeps. */
#include "sync/chan.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sched/park.h"

enum { LOOKS = 8, PAUSES = 64 }; /* some microseconds in all */

/* MEASURED: two that work on two cores take the lock from each other at every element, and each
 * time the whole channel moves from one cache to the other, unless whoever finds it taken lets the
 * other one do a hundred first. */
void hk_chan_lock_slowly(hank_chan *c)
{
    for (int i = 0; i < LOOKS; i++) {
        hk_spin_pauses(PAUSES);
        if (hk_lock_try(&c->receivers.lock, HK_RANK_SYNC))
            return;
    }
    hk_waitq_lock(&c->receivers);
}

hank_chan *hank_chan_new_opt(size_t elem_size, size_t capacity, const hank_chan_options *options)
{
    hank_chan *c = hk_alloc_zeroed(sizeof *c);
    if (!c)
        return NULL;
    if (hk_store_init(&c->store, elem_size, capacity, options) < 0) {
        hk_free(c, sizeof *c);
        return NULL;
    }
    return c;
}

hank_chan *hank_chan_new(size_t elem_size, size_t capacity)
{
    return hank_chan_new_opt(elem_size, capacity, NULL);
}

void hank_chan_free(hank_chan *c)
{
    if (!c)
        return;
    hk_chan_lock(c);
    if (hk_waitq_first(&c->receivers) || hk_waitq_first(&c->senders) || hk_waitq_first(&c->joiners))
        hk_panic("channel %p is freed while somebody waits there", (void *)c);
    hk_chan_unlock(c);
    hk_store_done(&c->store);
    hk_free(c, sizeof *c);
}

/* --- called with the lock held ------------------------------------------------------------- */

HK_INLINE static int send_now(hank_chan *c, const void *elem, hk_waiter **ret_served)
{
    hk_store *s = &c->store;
    *ret_served = NULL;
    if (c->closed)
        return -EPIPE;
    if (s->count == 0 && (*ret_served = hk_waitq_claim_first(&c->receivers, 0)) != NULL) {
        hk_copy_elem((*ret_served)->payload, elem, s->elem_size);
        (*ret_served)->payload = NULL;
        c->unfinished++;
        return 0;
    }
    if (HK_UNLIKELY(s->count == s->capacity)) {
        if (!s->unbounded)
            return -EAGAIN;
        int rc = hk_store_grow(s);
        if (rc < 0)
            return rc;
    }
    hk_store_put(s, elem);
    c->unfinished++;
    return 0;
}

HK_INLINE static int recv_now(hank_chan *c, void *ret_elem, hk_waiter **ret_served)
{
    hk_store *s = &c->store;
    bool stored = s->count > 0;
    if (HK_LIKELY(stored))
        hk_store_take(s, ret_elem);
    hk_waiter *sender = *ret_served = hk_waitq_claim_first(&c->senders, 0);
    if (sender) {
        if (stored)
            hk_store_put(s, sender->payload);
        else /* a rendezvous */
            hk_copy_elem(ret_elem, sender->payload, s->elem_size);
        sender->payload = NULL;
        c->unfinished++;
    }
    if (stored || sender)
        return 0;
    return c->closed ? -EPIPE : -EAGAIN;
}

int hk_chan_send_now(hank_chan *c, const void *elem, hk_waiter **ret_served)
{
    return send_now(c, elem, ret_served);
}

int hk_chan_recv_now(hank_chan *c, void *ret_elem, hk_waiter **ret_served)
{
    return recv_now(c, ret_elem, ret_served);
}

/* Everybody in `q` is sent away. */
static void send_away(hk_waitq *q, hk_node *ret_claimed)
{
    (void)hk_waitq_claim_n(q, -EPIPE, SIZE_MAX, ret_claimed);
    for (hk_node *n = ret_claimed->next; n != ret_claimed; n = n->next)
        hk_container_of(n, hk_waiter, link)->payload = NULL;
}

/* `n` elements are finished. */
static void finish(hank_chan *c, uint64_t n, hk_node *ret_claimed)
{
    hk_list_init(ret_claimed);
    c->unfinished -= n;
    if (n > 0 && c->unfinished == 0)
        (void)hk_waitq_claim_n(&c->joiners, 0, SIZE_MAX, ret_claimed);
}

/* Drops the lock: wait in one of the queues. */
HK_NOINLINE static int wait_in(hank_chan *c, hk_waitq *q, void *payload, const char *why)
{
    hk_waiter w;
    hk_waitq_join(q, &w, payload, HK_WAITING);
    hk_chan_unlock(c);
    return hk_waitq_wait_joined(&c->receivers, &w, why);
}

/* --- sending and receiving ------------------------------------------------------------------- */

/* False: it is not worth it, and nothing was done. Otherwise the lock was dropped meanwhile. */
HK_NOINLINE static bool give_a_moment(hank_chan *c, hk_sleeper *other)
{
    if (!other || other == hk_park_self() || !hk_park_may_spin_for(other))
        return false;
    hk_chan_unlock(c);
    hk_spin_pauses(PAUSES);
    hk_chan_lock(c);
    return true;
}

/* Called with the lock held, drops it. Apart from the usual case, which needs no frame of its own.
 */
HK_NOINLINE static int send_slowly(hank_chan *c, const void *elem)
{
    hk_waiter *served;
    int rc;
    c->sender = hk_park_self();
    for (int look = 0; (rc = send_now(c, elem, &served)) == -EAGAIN; look++)
        if (hk_park_has_woken() || look == LOOKS || !give_a_moment(c, c->receiver))
            break;
    if (rc == -EAGAIN)
        return wait_in(c, &c->senders, (void *)(uintptr_t)elem, "channel to send");
    hk_chan_unlock(c);
    hk_waitq_run(served);
    return rc;
}

HK_NOINLINE static int recv_slowly(hank_chan *c, void *ret_elem)
{
    hk_waiter *served;
    int rc;
    c->receiver = hk_park_self();
    for (int look = 0; (rc = recv_now(c, ret_elem, &served)) == -EAGAIN; look++)
        if (hk_park_has_woken() || look == LOOKS || !give_a_moment(c, c->sender))
            break;
    if (rc == -EAGAIN)
        return wait_in(c, &c->receivers, ret_elem, "channel to receive");
    hk_chan_unlock(c);
    hk_waitq_run(served);
    return rc;
}

int hank_chan_send(hank_chan *c, const void *elem)
{
    int rc = hk_checkpoint();
    if (HK_UNLIKELY(rc < 0))
        return rc;
    hk_chan_lock(c);
    if (HK_UNLIKELY(c->closed || c->store.count == c->store.capacity ||
                    !hk_list_empty(&c->receivers.waiters)))
        return send_slowly(c, elem);
    hk_store_put(&c->store, elem);
    c->unfinished++;
    hk_chan_unlock(c);
    return 0;
}

int hank_chan_recv(hank_chan *c, void *ret_elem)
{
    int rc = hk_checkpoint();
    if (HK_UNLIKELY(rc < 0))
        return rc;
    hk_chan_lock(c);
    if (HK_UNLIKELY(c->store.count == 0 || !hk_list_empty(&c->senders.waiters)))
        return recv_slowly(c, ret_elem);
    hk_store_take(&c->store, ret_elem);
    hk_chan_unlock(c);
    return 0;
}

int hank_chan_trysend(hank_chan *c, const void *elem)
{
    hk_waiter *served;
    hk_chan_lock(c);
    int rc = hk_chan_send_now(c, elem, &served);
    hk_chan_unlock(c);
    hk_waitq_run(served);
    return rc;
}

int hank_chan_tryrecv(hank_chan *c, void *ret_elem)
{
    hk_waiter *served;
    hk_chan_lock(c);
    int rc = hk_chan_recv_now(c, ret_elem, &served);
    hk_chan_unlock(c);
    hk_waitq_run(served);
    return rc;
}

size_t hank_chan_len(hank_chan *c)
{
    hk_chan_lock(c);
    size_t n = c->store.count;
    hk_chan_unlock(c);
    return n;
}

/* --- ending ---------------------------------------------------------------------------------- */

void hank_chan_close(hank_chan *c)
{
    hk_node receivers, senders;
    hk_chan_lock(c);
    c->closed = true;
    send_away(&c->receivers, &receivers);
    send_away(&c->senders, &senders);
    hk_chan_unlock(c);
    hk_waitq_run_all(&receivers);
    hk_waitq_run_all(&senders);
}

size_t hank_chan_abort(hank_chan *c, void (*dispose)(void *elem, void *arg), void *arg)
{
    hk_node receivers, senders, joiners;
    hk_store dropped;
    hk_chan_lock(c);
    c->closed = true;
    hk_store_move(&c->store, &dropped);
    send_away(&c->receivers, &receivers);
    send_away(&c->senders, &senders);
    finish(c, dropped.count, &joiners);
    hk_chan_unlock(c);
    for (size_t i = 0; dispose && i < dropped.count; i++)
        dispose(hk_store_slot(&dropped, i), arg);
    hk_store_done(&dropped);
    hk_waitq_run_all(&receivers);
    hk_waitq_run_all(&senders);
    hk_waitq_run_all(&joiners);
    return dropped.count;
}

int hank_chan_task_done(hank_chan *c)
{
    hk_node joiners;
    hk_chan_lock(c);
    bool known = c->unfinished > c->store.count; /* what nobody has received is not done */
    finish(c, known ? 1 : 0, &joiners);
    hk_chan_unlock(c);
    hk_waitq_run_all(&joiners);
    return known ? 0 : -EINVAL;
}

int hank_chan_join(hank_chan *c)
{
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    hk_chan_lock(c);
    if (c->unfinished > 0)
        return wait_in(c, &c->joiners, NULL, "channel to be done");
    hk_chan_unlock(c);
    return 0;
}
