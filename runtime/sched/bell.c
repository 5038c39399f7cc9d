/* SPDX-License-Identifier: MIT */
/* bell.c - tasks that wait for signals.
 *
 * A wish is a watch (signal.h) with somebody who waits for what it is told. Deliveries that come
 * while nobody does are kept for the next wait. */
#include <hank/process.h>

#include <errno.h>
#include <limits.h>

#include "base/check.h"
#include "base/lock.h"
#include "sched/park.h"
#include "sched/signal.h"

/* What hank_signal really is.
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

int hank_signal_begin(hank_signal *opaque, int signo)
{
    signal_wish *s = (signal_wish *)opaque;
    *s = (signal_wish){0};
    return hk_signal_watch_begin(&s->watch, signo, tell_wish);
}

int hank_signal_next(hank_signal *opaque)
{
    signal_wish *s = (signal_wish *)opaque;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    if (s->watch.signo == 0)
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

    rc = hk_park(&w, HK_FOREVER, "signal");

    wish_lock(s);
    s->waiting = false;
    n = take_pending(s);
    hk_lock_drop(&s->lock);
    return n > 0 ? n : rc;
}

void hank_signal_end(hank_signal *opaque)
{
    signal_wish *s = (signal_wish *)opaque;
    if (HK_UNLIKELY(s->waiting))
        hk_panic("signal %p is ended while somebody waits with it", (void *)opaque);
    hk_signal_watch_end(&s->watch);
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
