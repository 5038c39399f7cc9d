/* SPDX-License-Identifier: MIT */
/* kqueue.c - readiness on BSD and macOS.
 *
 * Honestly: no BSD kernel has run this file. It is compiled against an emulation on Linux
 * (tests/shim) and passes the same tests there as epoll.c; what the emulation gets wrong, this file
 * may get wrong too.
 *
 * A descriptor has two filters, both with EV_CLEAR (an event is reported once, then again when
 * something changes). `udata` carries the key (index and generation), never a pointer. EV_EOF on
 * the reading side is a peer that sends no more: data may still be there. EV_EOF on the writing
 * side, or with an error in fflags, is the end of the connection, which concerns both directions.
 *
 * An interrupt is a trigger of EVFILT_USER, which the kernel coalesces; there is no descriptor for
 * it and nothing to empty. (OpenBSD has had that filter since 7.7, NetBSD since 10.) */
#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

#include <sys/event.h>

#include "base/check.h"
#include "base/os.h"
#include "reactor/reactor.h"

enum { EVENTS_MAX = 32 }; /* 32 bytes each, on the stack */

_Static_assert(sizeof(((struct kevent *)0)->udata) >= sizeof(uint64_t), "a key must fit");

static void describe(struct kevent *ret_change, int fd, int filter, unsigned flags, uint64_t key)
{
    EV_SET(ret_change, (uintptr_t)fd, (short)filter, (unsigned short)flags, 0, 0,
           (void *)(uintptr_t)key);
}

static int kqueue_open(hk_reactor *r)
{
    int queue = hk_os_kqueue();
    if (queue < 0)
        return queue;
    struct kevent wake;
    describe(&wake, 0, EVFILT_USER, EV_ADD | EV_CLEAR, HK_KEY_WAKE);
    int rc = hk_os_kevent_change(queue, &wake, 1);
    if (rc < 0)
        goto close_queue;
    r->backend_fd = queue;
    return 0;

close_queue:
    (void)hk_os_close(queue); /* the first error is the one to report */
    return rc;
}

static void kqueue_close(hk_reactor *r)
{
    (void)hk_os_close(r->backend_fd); /* nothing was written: nothing can be lost */
    r->backend_fd = -1;
}

/* Have the filters of these directions added or deleted. The number of receipts, or -errno. */
static int change_filters(hk_reactor *r, hk_source *s, unsigned directions, unsigned flags,
                          struct kevent *ret_receipts)
{
    struct kevent changes[2];
    uint64_t key = hk_source_key(s);
    int n = 0;
    if (directions & HK_WATCH(HK_IN))
        describe(&changes[n++], s->fd, EVFILT_READ, flags | EV_RECEIPT, key);
    if (directions & HK_WATCH(HK_OUT))
        describe(&changes[n++], s->fd, EVFILT_WRITE, flags | EV_RECEIPT, key);
    return hk_os_kevent_receipts(r->backend_fd, changes, n, ret_receipts);
}

static void kqueue_forget(hk_reactor *r, hk_source *s)
{
    struct kevent receipts[2];
    unsigned both = HK_WATCH(HK_IN) | HK_WATCH(HK_OUT);
    /* Fails for a filter that is not there: never watched, or the descriptor was closed behind our
     * back; then the generation has to do. */
    (void)change_filters(r, s, both, EV_DELETE, receipts);
}

static int kqueue_watch(hk_reactor *r, hk_source *s, unsigned before, unsigned wanted)
{
    struct kevent receipts[2];
    unsigned fresh = wanted & ~before;
    int rc = change_filters(r, s, fresh, EV_ADD | EV_CLEAR, receipts);
    for (int i = 0; i < rc; i++) {
        int error = (int)receipts[i].data;
        /* EPIPE: a pipe whose other end is closed has no writing filter, and needs none. */
        if (error != 0 && error != EPIPE)
            rc = -error;
    }
    if (rc >= 0)
        return 0;
    (void)change_filters(r, s, fresh, EV_DELETE, receipts); /* the one that was accepted */
    return rc;
}

static unsigned translate(const struct kevent *event)
{
    bool is_end = event->flags & EV_EOF;
    if (event->flags & EV_ERROR || (is_end && event->fflags != 0))
        return HK_EVENT_BROKEN;
    if (event->filter == EVFILT_READ)
        return is_end ? HK_EVENT_IN | HK_EVENT_HUNG_UP : HK_EVENT_IN;
    return is_end ? HK_EVENT_BROKEN : HK_EVENT_OUT;
}

static int kqueue_wait(hk_reactor *r, int64_t timeout_ns, hk_ready *ready, int max)
{
    struct kevent events[EVENTS_MAX];
    HK_DCHECK(max >= 2 * EVENTS_MAX); /* an event makes two entries at most */
    (void)max;
    int got = hk_os_kevent_wait(r->backend_fd, events, EVENTS_MAX, timeout_ns);
    int n = 0;
    for (int i = 0; i < got; i++)
        hk_source_expect((uint64_t)(uintptr_t)events[i].udata);
    for (int i = 0; i < got; i++)
        if (events[i].filter != EVFILT_USER)
            hk_source_event((uint64_t)(uintptr_t)events[i].udata, translate(&events[i]), ready, &n);
    return got < 0 ? got : n;
}

static void kqueue_interrupt(hk_reactor *r)
{
    struct kevent poke;
    EV_SET(&poke, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0, (void *)(uintptr_t)HK_KEY_WAKE);
    int rc;
    do
        rc = hk_os_kevent_change(r->backend_fd, &poke, 1);
    while (rc == -EINTR);
    HK_CHECK(rc == 0);
}

const hk_backend hk_backend_kqueue = {
    .name = "kqueue",
    .open = kqueue_open,
    .close = kqueue_close,
    .watch = kqueue_watch,
    .forget = kqueue_forget,
    .wait = kqueue_wait,
    .interrupt = kqueue_interrupt,
};
