/* SPDX-License-Identifier: MIT */
/* chan.c - a ring of elements and two queues of waiters.
 *
 * Invariant: receivers wait only while the ring is empty and nobody waits to send; senders wait
 * only while it is full. So an element never overtakes another, and whoever comes serves whoever
 * waits, by copying straight into or out of the waiter's own memory: between its claim and its
 * running, that memory is ours. */
#include <hank/chan.h>

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sched/park.h"
#include "sync/waitq.h"

enum { ELEM_MAX = 64 * 1024, FIRST_UNBOUNDED = 16 };

/* Equation: sent == received + count, 0 <= count <= capacity.
 * receivers.lock guards everything; senders uses its queue only */
struct hank_chan {
    hk_waitq receivers;
    hk_waitq senders;
    size_t elem_size;
    size_t capacity; /* of the ring now */
    size_t first;
    size_t count;
    char *ring;
    bool unbounded;
    bool closed;
};

static void lock(hank_chan *c)
{
    hk_waitq_lock(&c->receivers);
}

static void unlock(hank_chan *c)
{
    hk_waitq_unlock(&c->receivers);
}

hank_chan *hank_chan_new(size_t elem_size, size_t capacity)
{
    bool unbounded = capacity == HANK_UNBOUNDED;
    size_t slots = unbounded ? FIRST_UNBOUNDED : capacity;
    size_t bytes;
    if (elem_size == 0 || elem_size > ELEM_MAX || __builtin_mul_overflow(elem_size, slots, &bytes))
        return NULL;
    if (bytes > PTRDIFF_MAX)
        return NULL;
    hank_chan *c = hk_alloc_zeroed(sizeof *c);
    if (!c)
        return NULL;
    c->ring = bytes ? hk_alloc(bytes) : NULL;
    if (bytes && !c->ring) {
        hk_free(c, sizeof *c);
        return NULL;
    }
    c->elem_size = elem_size;
    c->capacity = slots;
    c->unbounded = unbounded;
    return c;
}

void hank_chan_free(hank_chan *c)
{
    if (!c)
        return;
    lock(c);
    if (!hk_list_empty(&c->receivers.waiters) || !hk_list_empty(&c->senders.waiters))
        hk_panic("channel %p is freed while somebody waits there", (void *)c);
    unlock(c);
    hk_free(c->ring, c->elem_size * c->capacity);
    hk_free(c, sizeof *c);
}

/* --- the ring; called with the lock held --------------------------------------------------- */

static void copy(void *to, const void *from, size_t n)
{
    if (n == sizeof(uint64_t)) /* pointers and numbers: the usual element, without a call */
        memcpy(to, from, sizeof(uint64_t));
    else
        memcpy(to, from, n);
}

static char *slot(hank_chan *c, size_t index)
{
    size_t i = c->first + index;
    return c->ring + (i >= c->capacity ? i - c->capacity : i) * c->elem_size;
}

static void put(hank_chan *c, const void *elem)
{
    copy(slot(c, c->count), elem, c->elem_size);
    c->count++;
}

static void take(hank_chan *c, void *ret_elem)
{
    copy(ret_elem, slot(c, 0), c->elem_size);
    c->first = c->first + 1 == c->capacity ? 0 : c->first + 1;
    c->count--;
}

/* Twice the slots for an unbounded channel that is full. */
static int grow(hank_chan *c)
{
    size_t bytes;
    if (__builtin_mul_overflow(c->elem_size, 2 * c->capacity, &bytes))
        return -ENOMEM;
    char *ring = hk_alloc(bytes);
    if (!ring)
        return -ENOMEM;
    for (size_t i = 0; i < c->count; i++)
        memcpy(ring + i * c->elem_size, slot(c, i), c->elem_size);
    hk_free(c->ring, c->elem_size * c->capacity);
    c->ring = ring;
    c->capacity *= 2;
    c->first = 0;
    return 0;
}

/* 0: done, and *ret_served is to be run after unlocking; -EAGAIN: would have to wait. */
static int send_now(hank_chan *c, const void *elem, hk_waiter **ret_served)
{
    *ret_served = NULL;
    if (c->closed)
        return -EPIPE;
    if (c->count == 0 && (*ret_served = hk_waitq_claim_first(&c->receivers, 0)) != NULL) {
        copy((*ret_served)->payload, elem, c->elem_size);
        return 0;
    }
    if (c->unbounded && c->count == c->capacity) {
        int rc = grow(c);
        if (rc < 0)
            return rc;
    }
    if (c->count == c->capacity)
        return -EAGAIN;
    put(c, elem);
    return 0;
}

static int recv_now(hank_chan *c, void *ret_elem, hk_waiter **ret_served)
{
    *ret_served = NULL;
    if (c->count > 0) {
        take(c, ret_elem);
        *ret_served = hk_waitq_claim_first(&c->senders, 0);
        if (*ret_served)
            put(c, (*ret_served)->payload);
        return 0;
    }
    *ret_served = hk_waitq_claim_first(&c->senders, 0); /* a rendezvous */
    if (*ret_served) {
        copy(ret_elem, (*ret_served)->payload, c->elem_size);
        return 0;
    }
    return c->closed ? -EPIPE : -EAGAIN;
}

/* --- waiting ------------------------------------------------------------------------------- */

/* Called with the lock held, drops it: wait in one of the two queues. */
static int wait_in(hank_chan *c, hk_waitq *q, void *payload, const char *why)
{
    hk_waiter w;
    hk_waitq_join(q, &w, payload, HK_WAITING);
    unlock(c);
    int rc = hk_park(&w, HK_FOREVER, why);
    if (rc != -ECANCELED && rc != -ETIMEDOUT)
        return rc;
    lock(c);
    if (hk_node_linked(&w.link))
        hk_list_remove(&w.link);
    unlock(c);
    return rc;
}

int hank_chan_send(hank_chan *c, const void *elem)
{
    hk_waiter *served;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    lock(c);
    rc = send_now(c, elem, &served);
    if (rc == -EAGAIN)
        return wait_in(c, &c->senders, (void *)(uintptr_t)elem, "channel to send");
    unlock(c);
    hk_waitq_run(served);
    return rc;
}

int hank_chan_recv(hank_chan *c, void *ret_elem)
{
    hk_waiter *served;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    lock(c);
    rc = recv_now(c, ret_elem, &served);
    if (rc == -EAGAIN)
        return wait_in(c, &c->receivers, ret_elem, "channel to receive");
    unlock(c);
    hk_waitq_run(served);
    return rc;
}

int hank_chan_trysend(hank_chan *c, const void *elem)
{
    hk_waiter *served;
    lock(c);
    int rc = send_now(c, elem, &served);
    unlock(c);
    hk_waitq_run(served);
    return rc;
}

int hank_chan_tryrecv(hank_chan *c, void *ret_elem)
{
    hk_waiter *served;
    lock(c);
    int rc = recv_now(c, ret_elem, &served);
    unlock(c);
    hk_waitq_run(served);
    return rc;
}

void hank_chan_close(hank_chan *c)
{
    hk_node receivers, senders;
    lock(c);
    c->closed = true;
    hk_waitq_claim_all(&c->receivers, -EPIPE, &receivers);
    hk_waitq_claim_all(&c->senders, -EPIPE, &senders);
    unlock(c);
    hk_waitq_run_all(&receivers);
    hk_waitq_run_all(&senders);
}
