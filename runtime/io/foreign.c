/* SPDX-License-Identifier: MIT */
/* foreign.c - waiting for descriptors that belong to other libraries.
 *
 * Borrowed for one call: hank keeps nothing about them. The wait is for a *duplicate* of the
 * descriptor, which has a registration of its own: two tasks may wait for the same descriptor, and
 * its owner may close it and get the number again the moment the call has returned. Whoever closes
 * it with hank_fd_close need not wait for that: it finds the calls on the shelf of their number.
 *
 * What is ready is asked of poll(2), before the first wait and after each: level semantics, and the
 * reactor need only say that something has changed. */
#include <hank/system.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/os.h"
#include "reactor/reactor.h"
#include "sched/park.h"
#include "sched/runtime.h"

enum { SLICE_MIN_NS = 1000 * 1000, SLICE_MAX_NS = 20 * 1000 * 1000 };

/* --- who has borrowed what ------------------------------------------------------------------- */

/* A call that waits for a descriptor, on its caller's stack; guarded by the shelf's lock. */
typedef struct borrowing {
    hk_node link;
    int fd;
    bool closed;      /* by hank_fd_close */
    hk_ticket ticket; /* of its wait; no sleeper: it has begun none */
    struct borrowing *next_claimed;
} borrowing;

enum { SHELVES = 64 };

typedef struct shelf {
    _Alignas(HK_CACHE_LINE) hk_lock lock;
    hk_node borrowings;
} shelf;

static shelf shelves[SHELVES];

static void freeze(void)
{
    for (int i = 0; i < SHELVES; i++)
        hk_lock_freeze(&shelves[i].lock);
}

static void thaw(void)
{
    for (int i = 0; i < SHELVES; i++)
        hk_lock_thaw(&shelves[i].lock);
}

/* In a fork's child nobody waits: its one thread has just made a call of its own. */
static void forget(void)
{
    for (int i = 0; i < SHELVES; i++)
        hk_list_init(&shelves[i].borrowings);
    thaw();
}

static void watch_forks(void)
{
    (void)hk_os_at_fork(freeze, thaw, forget); /* no memory: children are on their own */
}

static shelf *take_shelf(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks); /* cannot fail */
    shelf *s = &shelves[(unsigned)fd % SHELVES];
    hk_lock_take(&s->lock, HK_RANK_BORROWED);
    return s;
}

static void borrow(borrowing *b, int fd)
{
    *b = (borrowing){.fd = fd};
    shelf *s = take_shelf(fd);
    hk_list_push_back(&s->borrowings, &b->link);
    hk_lock_drop(&s->lock);
}

/* Before each wait, which `t` ends; with no sleeper, to ask. False: the descriptor was closed. */
static bool is_open(borrowing *b, hk_ticket t)
{
    shelf *s = take_shelf(b->fd);
    bool open = !b->closed;
    b->ticket = t;
    hk_lock_drop(&s->lock);
    return open;
}

/* The call's result: what it has seen of a descriptor that was closed is of no use. */
static int give_back(borrowing *b, int rc)
{
    shelf *s = take_shelf(b->fd);
    hk_list_remove(&b->link);
    hk_lock_drop(&s->lock);
    return b->closed ? -EBADF : rc;
}

/* End the waits for fd; those that somebody has to wake, linked. The shelf's lock is held. */
static borrowing *end_borrowings(shelf *s, int fd)
{
    borrowing *claimed = NULL;
    hk_node *end = &s->borrowings;
    for (hk_node *node = hk_list_first(end); node && node != end; node = node->next) {
        borrowing *b = hk_container_of(node, borrowing, link);
        if (b->fd != fd)
            continue;
        b->closed = true;
        if (b->ticket.sleeper && hk_ticket_claim(b->ticket, -EBADF)) {
            b->next_claimed = claimed;
            claimed = b;
        }
    }
    return claimed;
}

/* Under one lock the waits are ended and the number becomes free, or who came in between would wait
 * for ever. What closing may take long for happens without it, at a second copy; so does waking:
 * this is the last lock that anybody takes, so a fork may take it at any time. */
int hank_fd_close(int fd)
{
    if (fd < 0)
        return -EBADF;
    int copy = hk_os_duplicate(fd);
    shelf *s = take_shelf(fd);
    borrowing *claimed = end_borrowings(s, fd);
    int rc = hk_os_close(fd);
    hk_lock_drop(&s->lock);
    while (claimed) {
        hk_sleeper *sleeper = claimed->ticket.sleeper;
        claimed = claimed->next_claimed; /* it is gone with its sleeper */
        hk_wake_claimed(sleeper);
    }
    int last = copy < 0 ? 0 : hk_os_close(copy);
    return rc < 0 ? rc : last;
}

/* --- waiting --------------------------------------------------------------------------------- */

/* The events of `wanted` that are true, 0 if none. An error makes all of them true: whichever call
 * is made next will tell it. */
static int look(int fd, int wanted, int64_t timeout_ns)
{
    struct pollfd one = {.fd = fd};
    if (wanted & HANK_READABLE)
        one.events |= POLLIN | POLLPRI | POLLRDHUP;
    if (wanted & HANK_WRITABLE)
        one.events |= POLLOUT;
    int rc = hk_os_poll(&one, 1, timeout_ns);
    if (rc == -EINTR)
        return 0;
    if (rc <= 0)
        return rc;
    if (one.revents & POLLNVAL)
        return -EBADF;
    if (one.revents & (POLLERR | POLLHUP))
        return wanted;
    int ready = 0;
    if (one.revents & (POLLIN | POLLPRI | POLLRDHUP))
        ready |= HANK_READABLE;
    if (one.revents & POLLOUT)
        ready |= HANK_WRITABLE;
    return ready;
}

/* A thread that is no worker blocks, in slices: nothing can interrupt poll(2) for a stop. */
static int wait_outside(borrowing *b, int wanted)
{
    int64_t slice_ns = SLICE_MIN_NS;
    for (;;) {
        int rc = hk_stop_reason();
        if (rc == 0 && !is_open(b, (hk_ticket){0}))
            rc = -EBADF;
        if (rc == 0)
            rc = look(b->fd, wanted, slice_ns);
        if (rc != 0)
            return rc;
        if (slice_ns < SLICE_MAX_NS)
            slice_ns *= 2;
    }
}

static int start(hk_source *s, int wanted, hk_ticket t, bool armed[2])
{
    static const int event_of[2] = {[HK_IN] = HANK_READABLE, [HK_OUT] = HANK_WRITABLE};
    int rc = 0;
    for (int d = HK_IN; d <= HK_OUT && rc == 0; d++) {
        if (!(wanted & event_of[d]))
            continue;
        rc = hk_source_start(s, (hk_direction)d, t, hk_runtime_reactor());
        armed[d] = rc == 0;
    }
    return rc;
}

/* One ticket, armed for one direction or both. 0: something has changed. */
static int wait_once(borrowing *b, hk_source *s, int wanted)
{
    bool armed[2] = {false, false};
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    int rc = is_open(b, w.ticket) ? start(s, wanted, w.ticket, armed) : -EBADF;
    if (rc == 0 || !hk_park_abandon(&w)) {
        int claimed = hk_park(&w, HK_FOREVER, "descriptor");
        rc = rc < 0 ? rc : claimed;
    }
    for (int d = HK_IN; d <= HK_OUT; d++)
        if (armed[d])
            hk_source_stop(s, (hk_direction)d); /* harmless if it was the one that fired */
    return rc < 0 ? rc : 0;
}

static int wait_inside(borrowing *b, int wanted)
{
    int copy = hk_os_duplicate(b->fd);
    if (copy < 0)
        return copy;
    int rc = -ENOMEM;
    hk_source *s = hk_source_open(copy);
    if (!s)
        goto close;
    do
        rc = wait_once(b, s, wanted);
    while (rc == 0 && (rc = look(copy, wanted, 0)) == 0);
    hk_source_close(s);

close:
    (void)hk_os_close(copy); /* a mere copy */
    return rc;
}

int hank_fd_wait(int fd, int events)
{
    int both = HANK_READABLE | HANK_WRITABLE;
    if ((events & both) == 0 || (events & ~both) != 0)
        return -EINVAL;
    if (fd < 0)
        return -EBADF; /* poll(2) would pass over it */
    int rc = hk_checkpoint();
    if (rc != 0)
        return rc;
    borrowing b;
    borrow(&b, fd);
    rc = look(fd, events, 0);
    if (rc == 0)
        rc = hk_runtime_reactor() ? wait_inside(&b, events) : wait_outside(&b, events);
    return give_back(&b, rc);
}
