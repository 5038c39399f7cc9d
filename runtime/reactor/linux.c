/* SPDX-License-Identifier: MIT */
/* linux.c - what the backends of Linux share: the meaning of poll's events, and an eventfd to
 * interrupt a wait.
 *
 * The eventfd is never read: watched edge-triggered, each write is a new event, and the read would
 * double the price of a wake-up. Its counter is full after 2^64 wake-ups, and then emptied. */
#include <errno.h>
#include <sys/epoll.h>

#include "base/check.h"
#include "base/os.h"
#include "reactor/reactor.h"

unsigned hk_event_of_poll(uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLERR))
        return HK_EVENT_BROKEN;
    unsigned what = 0;
    if (events & (EPOLLRDHUP | EPOLLPRI)) /* a read stops short at an urgent mark too */
        what |= HK_EVENT_IN | HK_EVENT_HUNG_UP;
    if (events & EPOLLIN)
        what |= HK_EVENT_IN;
    if (events & EPOLLOUT)
        what |= HK_EVENT_OUT;
    return what;
}

void hk_reactor_write_eventfd(hk_reactor *r)
{
    uint64_t one = 1, count;
    ssize_t rc;
    /* Full: no event was made. Whoever else empties it in between writes after that. */
    while ((rc = hk_os_write(r->wake_fd, &one, sizeof one)) == -EAGAIN)
        (void)hk_os_read(r->wake_fd, &count, sizeof count); /* -EAGAIN: somebody was faster */
    HK_CHECK(rc == sizeof one);
}
