/* SPDX-License-Identifier: MIT */
/* bell.c - tasks that wait for signals, and for what signal handlers of the program tell.
 *
 * A wish is a watch (signal.h) with somebody who waits for what it is told. Deliveries that come
 * while nobody does are kept for the next wait. A bell is a wish with a counter of its own.
 *
 *     hank_bell_ring:   rings++, hk_signal_ring()              async-signal-safe, no lock
 *     the thread:       reads it, tells the wish, which wakes who waits
 *
 * Rejected: an eventfd a bell. It costs a descriptor, which may not be to be had, and a forked
 * child would share it. */
#include <hank/process.h>

#include <errno.h>
#include <limits.h>

#include "base/check.h"
#include "base/lock.h"
#include "base/os.h"
#include "sched/park.h"
#include "sched/signal.h"

/* What hank_signal really is, and the first part of what hank_bell is.
 * pending, waiting, ticket  guarded by lock */
typedef struct signal_wish {
    hk_signal_watch watch;
    hk_lock lock;
    uint32_t pending;
    bool waiting;
    hk_ticket ticket;
} signal_wish;

_Static_assert(sizeof(signal_wish) <= sizeof(hank_signal), "a hank_signal has room for it");

static void wish_lock(signal_wish *s)
{
    hk_lock_take(&s->lock, HK_RANK_SYNC);
}

static void tell_wish(hk_signal_watch *w, uint32_t deliveries)
{
    signal_wish *s = hk_container_of(w, signal_wish, watch);
    wish_lock(s);
    s->pending += deliveries;
    bool waiting = s->waiting;
    hk_ticket ticket = s->ticket;
    hk_lock_drop(&s->lock);
    if (waiting)
        (void)hk_wake(ticket, 0); /* false: stopped or told before, it looks at `pending` anyway */
}

/* How many are pending, and none afterwards. The lock is held. */
static int take_pending(signal_wish *s)
{
    int n = s->pending < INT_MAX ? (int)s->pending : INT_MAX;
    s->pending = 0;
    return n;
}

static int wish_next(signal_wish *s, const char *why)
{
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    if (s->watch.count == NULL)
        return -ESHUTDOWN; /* over since a fork */
    wish_lock(s);
    int n = s->waiting ? -EBUSY : take_pending(s);
    if (n != 0) {
        hk_lock_drop(&s->lock);
        return n;
    }
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    s->ticket = w.ticket;
    s->waiting = true;
    hk_lock_drop(&s->lock);

    rc = hk_park(&w, HK_FOREVER, why);

    wish_lock(s);
    s->waiting = false;
    n = take_pending(s);
    hk_lock_drop(&s->lock);
    return n > 0 ? n : rc;
}

static void wish_end(signal_wish *s, const char *what)
{
    if (HK_UNLIKELY(s->waiting))
        hk_panic("%s %p is ended while somebody waits with it", what, (void *)s);
    hk_signal_watch_end(&s->watch);
}

/* --- signals --------------------------------------------------------------------------------- */

int hank_signal_begin(hank_signal *opaque, int signo)
{
    signal_wish *s = (signal_wish *)opaque;
    *s = (signal_wish){0};
    return hk_signal_watch_begin(&s->watch, signo, tell_wish);
}

int hank_signal_next(hank_signal *opaque)
{
    return wish_next((signal_wish *)opaque, "signal");
}

void hank_signal_end(hank_signal *opaque)
{
    wish_end((signal_wish *)opaque, "signal");
}

int hank_signal_wait(int signo)
{
    hank_signal s;
    int rc = hk_checkpoint();
    if (rc == 0)
        rc = hank_signal_begin(&s, signo);
    if (rc < 0)
        return rc;
    rc = hank_signal_next(&s);
    hank_signal_end(&s);
    return rc;
}

/* --- bells ----------------------------------------------------------------------------------- */

/* rings  added to by anyone, in handlers too; read by the thread for signals */
typedef struct hk_bell {
    signal_wish wish;
    HK_ATOMIC(uint32_t) rings;
} hk_bell;

_Static_assert(sizeof(hk_bell) <= sizeof(hank_bell), "a hank_bell has room for it");

int hank_bell_begin(hank_bell *opaque)
{
    hk_bell *b = (hk_bell *)opaque;
    *b = (hk_bell){0};
    return hk_signal_watch_count(&b->wish.watch, &b->rings, tell_wish);
}

void hank_bell_ring(hank_bell *opaque)
{
    int error = hk_os_errno();
    /* [signal:count] release: who is told of it sees what was done before. */
    (void)hk_add_acqrel(&((hk_bell *)opaque)->rings, 1u);
    hk_signal_ring();
    hk_os_set_errno(error);
}

int hank_bell_next(hank_bell *opaque)
{
    return wish_next(&((hk_bell *)opaque)->wish, "bell");
}

void hank_bell_end(hank_bell *opaque)
{
    wish_end(&((hk_bell *)opaque)->wish, "bell");
}
