/* SPDX-License-Identifier: MIT */
/* beside_test.c - the ring beside epoll: when it is there, who is told of it, and that it and the
 * descriptors do not keep each other waiting. What it does with a call is request_test.c's. */
#include "reactor_support.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "leftovers.h"
#include "reactor/rings.h"

/* A read that has nothing to wait for: there is no more in the file than that. */
static hk_request read_nothing(void)
{
    static char byte;
    static int fd = -1;
    if (fd < 0)
        fd = hk_os_open("/dev/null", O_RDONLY);
    return (hk_request){.kind = HK_REQUEST_READ, .fd = fd, .memory = &byte, .n = 1, .result = -1};
}

static void expect_done(hk_reactor *r, const hk_request *q, const hk_sleeper *who)
{
    hk_ready got = {0};
    cr_assert(next_ready(r, SOON, &got));
    cr_expect_eq(got.ticket.sleeper, who);
    cr_expect_eq(q->result, 0);
}

ON_BESIDE(a_ring_is_there_from_the_first_call_on)
{
    hk_request q = read_nothing();
    hk_sleeper sleeper;
    pair p = open_pair();
    hk_sleeper reader = {0};
    wait_armed(r, p.source, HK_IN, &reader);
    cr_expect_eq(open_rings(), 0, "a program without files has none");
    for (int i = 0; i < 3; i++) {
        cr_assert(ask(r, &q, &sleeper));
        cr_expect_eq(open_rings(), 1);
        expect_done(r, &q, &sleeper);
    }
    cr_expect(fcntl(r->rings->liburing.ring_fd, F_GETFD) & FD_CLOEXEC);
    hk_source_stop(p.source, HK_IN);
    close_pair(p);
    hk_reactor_close(r);
    cr_expect_eq(open_rings(), 0);
}

/* What the pool makes of that is io/request_test.c's. */
ON_BESIDE(a_ring_that_is_refused_is_asked_for_once_and_leaves_nothing)
{
    static const hk_fault kinds[] = {HK_FAULT_URING_SETUP, HK_FAULT_URING_REGISTER, HK_FAULT_MAP,
                                     HK_FAULT_EPOLL_CTL};
    static const int refusals[] = {1, 1, 1, 1}; /* calls that are made of each */
    hk_request q = read_nothing();
    hk_sleeper sleeper;
    hk_reactor_close(r);
    int before = open_fds();
    for (int kind = 0; kind < 4; kind++)
        for (int nth = 1; nth <= refusals[kind]; nth++) {
            (void)open_settled(&hk_backend_beside);
            hk_fault_plan(kinds[kind], (uint64_t)nth, -EPERM);
            cr_expect_not(ask(r, &q, &sleeper));
            cr_expect(hk_fault_hit());
            cr_expect_not(ask(r, &q, &sleeper), "once");
            hk_reactor_close(r);
            cr_expect_eq(open_fds(), before);
        }
    hk_fault_clear();
}

static void *open_for_writing(void *path)
{
    return (void *)(intptr_t)open(path, O_WRONLY | O_CLOEXEC);
}

ON_BESIDE(a_call_that_takes_longer_ends_the_wait)
{
    char path[100];
    pthread_t writer;
    hk_ready ready[HK_READY_MAX];
    hk_sleeper sleeper;
    (void)snprintf(path, sizeof path, "/tmp/hank-reactor-beside-%d", (int)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    hk_request q = {.kind = HK_REQUEST_OPEN, .path = path, .flags = O_RDONLY};
    cr_assert(ask(r, &q, &sleeper));
    cr_assert_eq(hk_reactor_wait(r, 0, ready), 0, "nobody has answered");
    struct pollfd epoll = {.fd = r->backend_fd, .events = POLLIN};
    cr_expect_eq(poll(&epoll, 1, 0), 0);
    cr_assert_eq(hk_os_thread_start(&writer, open_for_writing, path), 0);
    cr_expect_eq(poll(&epoll, 1, 10 * 1000), 1, "who waits is not told");
    cr_expect_eq(hk_reactor_wait(r, INT64_MAX, ready), 1);
    cr_expect_eq(ready[0].ticket.sleeper, &sleeper);
    cr_expect_geq(q.result, 0);
    (void)hk_os_thread_join(writer);
    (void)unlink(path);
}

/* The kernel has not taken it, so it will not tell either. More than once: what is left of a ring
 * that was closed before may interrupt a wait. */
ON_BESIDE(who_waits_hands_in_what_was_refused_before)
{
    hk_ready ready[HK_READY_MAX];
    for (int i = 0; i < 3; i++) {
        hk_request q = read_nothing();
        hk_sleeper sleeper;
        cr_assert(ask(r, &q, &sleeper));
        hk_fault_plan(HK_FAULT_URING_ENTER, 1, -ENOMEM);
        int n = 0;
        for (int looks = 0; n == 0 && looks < 3; looks++)
            n = hk_reactor_wait(r, INT64_MAX, ready);
        cr_expect(hk_fault_hit());
        hk_fault_clear();
        cr_expect_eq(n, 1);
        cr_expect_eq(q.result, 0);
    }
}

static void *help_once(void *arg)
{
    hk_ready ready[HK_READY_MAX];
    return (void *)(intptr_t)hk_reactor_help(arg, ready);
}

ON_BESIDE(a_helper_hands_in_and_out_for_a_thread_that_only_computes)
{
    hk_request q = read_nothing();
    hk_sleeper sleeper;
    pthread_t helper;
    void *n;
    cr_assert(ask(r, &q, &sleeper));
    cr_assert_eq(hk_os_thread_start(&helper, help_once, r), 0);
    cr_assert_eq(pthread_join(helper, &n), 0);
    cr_expect_eq((intptr_t)n, 1);
    cr_expect_eq(q.result, 0);
}

/* More have completed than are told at once, and than the ring has room for. */
ON_BESIDE(a_crowd_of_calls_lets_a_descriptor_through)
{
    enum { CALLS = 2 * HK_READY_MAX };
    static hk_request crowd[CALLS];
    static hk_sleeper sleepers[CALLS];
    hk_ready ready[HK_READY_MAX];
    hk_sleeper reader = {0};
    pair p = open_pair();
    wait_armed(r, p.source, HK_IN, &reader);
    say(p.peer, "x");
    for (int i = 0; i < CALLS; i++) {
        crowd[i] = read_nothing();
        cr_assert(ask(r, &crowd[i], &sleepers[i]));
    }
    int done = 0, n = hk_reactor_wait(r, 0, ready);
    bool is_told = false;
    for (int i = 0; i < n; i++)
        is_told = is_told || ready[i].ticket.sleeper == &reader;
    cr_expect(is_told, "in the first look");
    for (int64_t give_up = SOON; done < CALLS + 1 && hk_os_now() < give_up;) {
        done += n;
        n = hk_reactor_wait(r, 0, ready);
    }
    cr_expect_eq(done, CALLS + 1);
    close_pair(p);
}
