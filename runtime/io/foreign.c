/* SPDX-License-Identifier: MIT */
/* foreign.c - waiting for descriptors that belong to other libraries.
 *
 * Borrowed for one wait: hank keeps nothing about them. The wait is for a *duplicate* of the
 * descriptor, which has a registration of its own: two tasks may wait for the same descriptor, and
 * its owner may close it and get the number again the moment the call has returned.
 *
 * What is ready is asked of poll(2), before the first wait and after each: level semantics, and the
 * reactor need only say that something has changed. */
#include <hank/system.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include "base/os.h"
#include "reactor/reactor.h"
#include "sched/park.h"
#include "sched/runtime.h"

enum { SLICE_MIN_NS = 1000 * 1000, SLICE_MAX_NS = 20 * 1000 * 1000 };

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
static int wait_outside(int fd, int wanted)
{
    int64_t slice_ns = SLICE_MIN_NS;
    for (;;) {
        int rc = hk_stop_reason();
        if (rc == 0)
            rc = look(fd, wanted, slice_ns);
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
static int wait_once(hk_source *s, int wanted)
{
    bool armed[2] = {false, false};
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    int rc = start(s, wanted, w.ticket, armed);
    if (rc == 0 || !hk_park_abandon(&w)) {
        int claimed = hk_park(&w, HK_FOREVER, "descriptor");
        rc = rc < 0 ? rc : claimed;
    }
    for (int d = HK_IN; d <= HK_OUT; d++)
        if (armed[d])
            hk_source_stop(s, (hk_direction)d); /* harmless if it was the one that fired */
    return rc < 0 ? rc : 0;
}

static int wait_inside(int fd, int wanted)
{
    int copy = hk_os_duplicate(fd);
    if (copy < 0)
        return copy;
    int rc = -ENOMEM;
    hk_source *s = hk_source_open(copy);
    if (!s)
        goto close;
    do
        rc = wait_once(s, wanted);
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
    if (rc == 0)
        rc = look(fd, events, 0);
    if (rc != 0)
        return rc;
    return hk_runtime_reactor() ? wait_inside(fd, events) : wait_outside(fd, events);
}
