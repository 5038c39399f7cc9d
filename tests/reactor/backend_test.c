/* SPDX-License-Identifier: MIT */
/* backend_test.c - opening and attaching when the kernel refuses, and what is epoll's own. */
#include "reactor_support.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include "leftovers.h"

static const hk_fault kinds[] = {HK_FAULT_EPOLL_CREATE,   HK_FAULT_EVENTFD, HK_FAULT_EPOLL_CTL,
                                 HK_FAULT_KQUEUE,         HK_FAULT_KEVENT,  HK_FAULT_URING_SETUP,
                                 HK_FAULT_URING_REGISTER, HK_FAULT_MAP,     HK_FAULT_ALLOC};
enum { KINDS = sizeof kinds / sizeof *kinds };

ON_EACH_BACKEND(opening_leaks_no_descriptor_whichever_call_fails)
{
    hk_reactor r;
    cr_assert_eq(hk_reactor_open(&r, backend), 0); /* once, for what a process opens once */
    hk_reactor_close(&r);
    int before = open_fds(), hits = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        for (uint64_t nth = 1;; nth++) {
            hk_fault_plan(kinds[kind], nth, -EMFILE);
            int rc = hk_reactor_open(&r, backend);
            bool hit = hk_fault_hit();
            if (rc == 0)
                hk_reactor_close(&r);
            cr_expect_eq(open_fds(), before);
            if (!hit)
                break;
            cr_expect_eq(rc, kinds[kind] == HK_FAULT_ALLOC ? -ENOMEM : -EMFILE);
            hits++;
        }
    }
    hk_fault_clear();
    int expected = is_epoll(backend) ? 4 : backend == &hk_backend_kqueue ? 2 : 10;
    cr_expect_eq(hits, expected);
}

ON_EACH_BACKEND(opening_and_closing_leaves_nothing_open)
{
    hk_reactor r;
    cr_assert_eq(hk_reactor_open(&r, backend), 0);
    hk_reactor_close(&r);
    int before = open_fds();
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(hk_reactor_open(&r, backend), 0);
        hk_reactor_close(&r);
    }
    cr_expect_eq(open_fds(), before);
}

ON_EACH_BACKEND(descriptors_of_a_reactor_are_closed_by_exec)
{
    hk_reactor *r = open_reactor(backend);
    cr_expect(fcntl(r->backend_fd, F_GETFD) & FD_CLOEXEC);
    cr_expect(r->wake_fd < 0 || fcntl(r->wake_fd, F_GETFD) & FD_CLOEXEC);
}

ON_EACH_BACKEND(a_wait_that_could_not_be_attached_fails_and_works_later)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    settle(r);
    hk_fault_plan(calls_of(backend).attach, 1, -ENOSPC);
    cr_expect_eq(start(r, p.source, HK_IN, &sleeper), -ENOSPC);
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    say(p.peer, "x");
    wait_until_readable(r, p.source);
    close_pair(p);
}

/* Refused, or told at once to make the call, which then says why. */
ON_EACH_BACKEND(a_descriptor_that_cannot_be_waited_for_does_not_wait)
{
    hk_reactor *r = open_reactor(backend);
    bool refuses = backend->watch != NULL;
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    int file = hk_os_open("/proc/self/exe", O_RDONLY);
    hk_source *s = hk_source_open(file);
    cr_expect_eq(start(r, s, HK_IN, &sleeper), refuses ? -EPERM : 0, "the blocking pool's");
    cr_expect(refuses || next_ready(r, SOON, &got));
    hk_source_close(s);
    (void)hk_os_close(file);
    s = hk_source_open(file);
    cr_expect_eq(start(r, s, HK_IN, &sleeper), refuses ? -EBADF : 0);
    cr_expect(refuses || next_ready(r, SOON, &got));
    hk_source_close(s);
}

ON_EACH_BACKEND(a_source_may_be_closed_although_forgetting_fails)
{
    hk_reactor *r = open_reactor(backend);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    wait_armed(r, p.source, HK_IN, &sleeper);
    hk_source_stop(p.source, HK_IN);
    hk_fault_plan(calls_of(backend).forget, 1, -ENOMEM);
    close_pair(p);
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    cr_expect_not(next_ready(r, 0, &got));
}

/* io_uring takes a source along each time it is asked for something anyway. */
ON_EACH_BACKEND(a_source_that_moves_is_told_of_by_the_other_reactor)
{
    hk_reactor *before = open_reactor(backend), after;
    if (!backend->watch)
        return;
    cr_assert_eq(hk_reactor_open(&after, backend), 0);
    hk_reactor_own(&after);
    pair p = open_pair();
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    wait_armed(before, p.source, HK_IN, &sleeper);
    hk_source_stop(p.source, HK_IN);
    say(p.peer, "x"); /* before it moves: told of all the same */
    hk_source_move(p.source, &after);
    cr_assert_eq(start(&after, p.source, HK_IN, &sleeper), 0);
    cr_expect(next_ready(&after, SOON, &got));
    cr_expect_not(next_ready(before, 0, &got));
    close_pair(p);
    hk_reactor_close(&after);
}

/* --- epoll's own --------------------------------------------------------------------------- */

/* The counter is full, and the event of that was seen already: the next write makes none. */
Test(epoll_only, a_full_eventfd_loses_no_interrupt)
{
    hk_reactor *r = open_reactor(&hk_backend_epoll);
    hk_ready ready[HK_READY_MAX];
    uint64_t almost = UINT64_MAX - 1;
    cr_assert_eq(hk_os_write(r->wake_fd, &almost, sizeof almost), 8);
    cr_assert_eq(hk_reactor_wait(r, 0, ready), 0);
    hk_reactor_interrupt(r);
    struct epoll_event event;
    cr_expect_eq(hk_os_epoll_wait(r->backend_fd, &event, 1, 1000 * MS), 1, "the wake-up was lost");
}

Test(epoll_only, an_interrupt_that_finds_the_counter_full_by_chance_is_made_again)
{
    hk_reactor *r = open_reactor(&hk_backend_epoll);
    hk_fault_plan(HK_FAULT_WRITE, 1, -EAGAIN);
    hk_reactor_interrupt(r);
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    struct epoll_event event;
    cr_expect_eq(hk_os_epoll_wait(r->backend_fd, &event, 1, 1000 * MS), 1);
}

Test(epoll_only, without_nanoseconds_a_wait_is_rounded_up_to_milliseconds)
{
    hk_reactor *r = open_reactor(&hk_backend_epoll);
    hk_ready ready[HK_READY_MAX];
    for (int i = 0; i < 2; i++) { /* the second one does not ask the kernel again */
        hk_fault_plan(HK_FAULT_EPOLL_WAIT, 1, -ENOSYS);
        if (i == 1)
            hk_fault_clear();
        int64_t deadline = hk_os_now() + 1200 * 1000;
        cr_expect_eq(hk_reactor_wait(r, deadline, ready), 0);
        cr_expect_geq(hk_os_now(), deadline);
    }
}

/* The facts about the kernel that epoll.c is built on. */
Test(epoll_only, the_kernel_does_what_we_rely_on)
{
    int epoll = hk_os_epoll_create(), wake = hk_os_eventfd(), fds[2];
    struct epoll_event interest = {.events = EPOLLIN | EPOLLET}, got[2];
    uint64_t one = 1;
    cr_assert_eq(hk_os_epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &interest), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(hk_os_write(wake, &one, sizeof one), 8);
        cr_expect_eq(hk_os_epoll_wait(epoll, got, 2, 0), 1, "each write of an eventfd is an edge");
        cr_expect_eq(hk_os_epoll_wait(epoll, got, 2, 0), 0);
    }

    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    interest.events = EPOLLOUT | EPOLLET;
    cr_assert_eq(hk_os_epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &interest), 0);
    cr_assert_eq(hk_os_epoll_wait(epoll, got, 2, 0), 1);
    cr_expect_eq(got[0].events, (uint32_t)EPOLLOUT, "a fresh socket reports OUT");
    (void)hk_os_close(fds[1]);
    cr_assert_eq(hk_os_epoll_wait(epoll, got, 2, 0), 1);
    cr_expect(got[0].events & EPOLLHUP, "HUP comes unasked");

    int duplicate = dup(fds[0]);
    cr_expect_eq(hk_os_epoll_ctl(epoll, EPOLL_CTL_DEL, fds[0], &interest), 0);
    (void)hk_os_close(fds[0]);
    (void)hk_os_shutdown(duplicate, SHUT_RDWR);
    cr_expect_eq(hk_os_epoll_wait(epoll, got, 2, 0), 0, "DEL before close silences duplicates");
}
