/* SPDX-License-Identifier: MIT */
/* epoll.c - readiness on Linux.
 *
 * A descriptor is registered once, edge-triggered, for everything, so that waiting for the other
 * direction costs no system call. The kernel is given a key (index and generation), never a
 * pointer: a registration lives as long as the *open file*, which a dup() or a child may keep after
 * our close.
 *
 * What edge triggering means here: any wake-up of the file reports all that is true of it at that
 * moment, so an event for input says again that output is possible; the first event of a fresh
 * socket says OUT; HUP and ERR come unasked.
 *
 * The eventfd is watched like any other. */
#include "reactor/epoll.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/os.h"

enum { EVENTS_MAX = HK_READY_MAX / 2 }; /* an event makes two entries at most */

enum { EVENTS_BYTES = EVENTS_MAX * sizeof(struct epoll_event) };

int hk_epoll_end_waits(hk_reactor *r, int fd)
{
    struct epoll_event interest = {.events = EPOLLIN | EPOLLET, .data.u64 = HK_KEY_WAKE};
    return hk_os_epoll_ctl(r->backend_fd, EPOLL_CTL_ADD, fd, &interest);
}

int hk_epoll_open(hk_reactor *r)
{
    int epoll = hk_os_epoll_create();
    if (epoll < 0)
        return epoll;
    int wake = hk_os_eventfd();
    int rc = wake;
    if (rc < 0)
        goto close_epoll;
    r->events = hk_alloc(EVENTS_BYTES); /* not on a stack: it would cost every parked task a page */
    rc = -ENOMEM;
    if (!r->events)
        goto close_wake;
    r->backend_fd = epoll;
    r->wake_fd = wake;
    rc = hk_epoll_end_waits(r, wake);
    if (rc < 0)
        goto free_events;
    return 0;

free_events:
    hk_free(r->events, EVENTS_BYTES);
    r->backend_fd = r->wake_fd = -1;
close_wake:
    (void)hk_os_close(wake); /* the first error is the one to report */
close_epoll:
    (void)hk_os_close(epoll);
    return rc;
}

void hk_epoll_close(hk_reactor *r)
{
    (void)hk_os_close(r->backend_fd); /* nothing was written: nothing can be lost */
    (void)hk_os_close(r->wake_fd);
    r->backend_fd = r->wake_fd = -1;
    hk_free(r->events, EVENTS_BYTES);
    r->events = NULL;
}

int hk_epoll_watch(hk_reactor *r, hk_source *s, unsigned before, unsigned wanted)
{
    uint32_t in = wanted & HK_WATCH(HK_IN) ? EPOLLIN | EPOLLPRI | EPOLLRDHUP : 0u;
    uint32_t out = wanted & HK_WATCH(HK_OUT) ? EPOLLOUT : 0u;
    struct epoll_event interest = {.events = in | out | EPOLLET, .data.u64 = hk_source_key(s)};
    int operation = before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    return hk_os_epoll_ctl(r->backend_fd, operation, s->fd, &interest);
}

void hk_epoll_forget(hk_reactor *r, hk_source *s)
{
    struct epoll_event ignored = {0}; /* kernels before 2.6.9 wanted one */
    /* Fails only if the descriptor was closed behind our back; then the generation has to do. */
    (void)hk_os_epoll_ctl(r->backend_fd, EPOLL_CTL_DEL, s->fd, &ignored);
}

int hk_epoll_wait(hk_reactor *r, int64_t timeout_ns, hk_ready *ready, int max)
{
    struct epoll_event *events = r->events;
    HK_DCHECK(max >= 2 && max / 2 <= EVENTS_MAX);
    int got = hk_os_epoll_wait(r->backend_fd, events, max / 2, timeout_ns);
    int n = 0;
    for (int i = 0; i < got; i++)
        hk_source_expect(events[i].data.u64);
    for (int i = 0; i < got; i++)
        if (events[i].data.u64 != HK_KEY_WAKE)
            hk_source_event(events[i].data.u64, hk_event_of_poll(events[i].events), ready, &n);
    return got < 0 ? got : n;
}

const hk_backend hk_backend_epoll = {
    .name = "epoll",
    .open = hk_epoll_open,
    .close = hk_epoll_close,
    .watch = hk_epoll_watch,
    .forget = hk_epoll_forget,
    .wait = hk_epoll_wait,
    .interrupt = hk_reactor_write_eventfd,
};
