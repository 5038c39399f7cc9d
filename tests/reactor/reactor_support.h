/* SPDX-License-Identifier: MIT */
/* reactor_support.h - what the reactor's tests share: a reactor, a pair of sockets, a wait.
 *
 * No test waits for something to happen by sleeping: it waits in the reactor, with SOON as the
 * time after which it has failed. */
#ifndef HK_TESTS_REACTOR_SUPPORT_H
#define HK_TESTS_REACTOR_SUPPORT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/os.h"
#include "reactor/reactor.h"

#define MS   INT64_C(1000000)
#define SOON (hk_os_now() + 10000 * MS)

/* Skips the test, visibly, where the kernel has no io_uring for us. */
static inline const hk_backend *uring_or_skip(void)
{
    static hk_reactor reactor;
    const hk_backend *uring = hk_reactor_backend("uring");
    int rc = uring ? hk_reactor_open(&reactor, uring) : -ENOSYS;
    if (rc < 0)
        cr_skip_test("io_uring: %s", hk_os_error_text(-rc));
    hk_reactor_close(&reactor);
    return uring;
}

/* A test for each backend, with `backend` as its parameter. */
#define ON_EACH_BACKEND(name)                                                                      \
    static void name(const hk_backend *backend);                                                   \
    Test(unasked, name, .timeout = 60)                                                             \
    {                                                                                              \
        name(hk_reactor_backend(""));                                                              \
    }                                                                                              \
    Test(epoll, name, .timeout = 60)                                                               \
    {                                                                                              \
        name(&hk_backend_epoll);                                                                   \
    }                                                                                              \
    Test(kqueue, name, .timeout = 60)                                                              \
    {                                                                                              \
        name(&hk_backend_kqueue);                                                                  \
    }                                                                                              \
    Test(uring, name, .timeout = 60)                                                               \
    {                                                                                              \
        name(uring_or_skip());                                                                     \
    }                                                                                              \
    static void name(const hk_backend *backend)

static inline hk_reactor *open_reactor(const hk_backend *backend)
{
    static hk_reactor reactor;
    cr_assert_eq(hk_reactor_open(&reactor, backend), 0);
    return &reactor;
}

/* Do descriptors come from epoll, whatever is beside it? */
static inline bool is_epoll(const hk_backend *backend)
{
    return backend->watch == hk_backend_epoll.watch;
}

/* Which call waits, pokes, and tells of a descriptor: for plans that make it fail. */
typedef struct calls {
    hk_fault wait, poke, attach, forget;
} calls;

static inline calls calls_of(const hk_backend *backend)
{
    if (is_epoll(backend))
        return (calls){HK_FAULT_EPOLL_WAIT, HK_FAULT_WRITE, HK_FAULT_EPOLL_CTL, HK_FAULT_EPOLL_CTL};
    if (backend == &hk_backend_kqueue)
        return (calls){HK_FAULT_KEVENT, HK_FAULT_KEVENT, HK_FAULT_KEVENT, HK_FAULT_KEVENT};
    return (calls){HK_FAULT_URING_ENTER, HK_FAULT_WRITE, HK_FAULT_URING_ENTER,
                   HK_FAULT_URING_REGISTER};
}

/* Wait a little, as the owner: a first wait does what a reactor does once. */
static inline void settle(hk_reactor *r)
{
    static hk_ready ready[HK_READY_MAX];
    hk_reactor_own(r);
    for (int i = 0; i < 2; i++) /* one uses an interrupt up */
        cr_assert_eq(hk_reactor_wait(r, hk_os_now() + MS, ready), 0);
}

/* Two connected stream sockets, of which one has a source. */
typedef struct pair {
    int fd;
    int peer;
    hk_source *source;
} pair;

static inline pair open_pair(void)
{
    int fds[2];
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    pair p = {fds[0], fds[1], hk_source_open(fds[0])};
    cr_assert_not_null(p.source);
    return p;
}

static inline void close_peer(pair *p)
{
    (void)hk_os_close(p->peer);
    p->peer = -1;
}

static inline void close_pair(pair p)
{
    hk_source_close(p.source);
    (void)hk_os_close(p.fd);
    if (p.peer >= 0)
        (void)hk_os_close(p.peer);
}

static inline void say(int fd, const char *text)
{
    cr_assert_eq(hk_os_send(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Read until EAGAIN or the end; how much it was. */
static inline ssize_t drain(int fd)
{
    static char buffer[65536];
    ssize_t sum = 0, n;
    while ((n = hk_os_read(fd, buffer, sizeof buffer)) > 0)
        sum += n;
    return sum;
}

static inline void fill(int fd)
{
    static const char zeros[65536];
    while (hk_os_send(fd, zeros, sizeof zeros) > 0)
        continue;
}

static inline int start(hk_reactor *r, hk_source *s, hk_direction d, hk_sleeper *sleeper)
{
    return hk_source_start(s, d, hk_sleeper_begin(sleeper, HK_WAITING), r);
}

/* The next ready entry, kept from a list if there were more; false: none until the deadline. */
static inline bool next_ready(hk_reactor *r, int64_t deadline, hk_ready *ret_ready)
{
    static hk_ready list[HK_READY_MAX];
    static int at, count;
    while (at == count) {
        at = 0;
        count = hk_reactor_wait(r, deadline, list);
        cr_assert_geq(count, 0);
        if (count == 0 && (deadline == 0 || hk_os_now() >= deadline))
            return false;
    }
    *ret_ready = list[at++];
    return true;
}

/* Begin to wait for something that is not so now: past stale readiness and what the kernel says
 * of a descriptor when it is new. */
static inline void wait_armed(hk_reactor *r, hk_source *s, hk_direction d, hk_sleeper *sleeper)
{
    while (start(r, s, d, sleeper) == HK_RETRY)
        continue;
}

/* As io does it: wait until something says that reading makes sense. */
static inline void wait_until_readable(hk_reactor *r, hk_source *s)
{
    hk_sleeper sleeper = {0};
    hk_ready got = {0};
    int rc = start(r, s, HK_IN, &sleeper);
    cr_assert_geq(rc, 0);
    if (rc == HK_RETRY)
        return;
    cr_assert(next_ready(r, SOON, &got), "the edge was lost");
    cr_assert_eq(got.ticket.sleeper, &sleeper);
}

/* Have the kernel make this call, waiting for it as `who`. False: it is not taken. */
static inline bool ask(hk_reactor *r, hk_request *q, hk_sleeper *who)
{
    hk_request_begin(q, hk_sleeper_begin(who, HK_WAITING));
    return r->backend->request(r, q);
}

/* The calling thread is the owner: it has waited before. */
static inline hk_reactor *open_settled(const hk_backend *backend)
{
    hk_reactor *r = open_reactor(backend);
    settle(r);
    return r;
}

static inline hk_reactor *open_uring(void)
{
    return open_settled(uring_or_skip());
}

/* Epoll with a ring beside it. */
static inline hk_reactor *open_beside(void)
{
    (void)uring_or_skip();
    return open_settled(&hk_backend_beside);
}

/* A test of that body on such a reactor. */
#define TEST_ON(suite, name, opened)                                                               \
    Test(suite, name, .timeout = 60)                                                               \
    {                                                                                              \
        name(opened);                                                                              \
    }

#define ON_URING(name)                                                                             \
    static void name(hk_reactor *r);                                                               \
    TEST_ON(uring_only, name, open_uring())                                                        \
    static void name(hk_reactor *r)

#define ON_BESIDE(name)                                                                            \
    static void name(hk_reactor *r);                                                               \
    TEST_ON(beside_only, name, open_beside())                                                      \
    static void name(hk_reactor *r)

#define ON_EACH_RING(name)                                                                         \
    static void name(hk_reactor *r);                                                               \
    TEST_ON(uring_only, name, open_uring())                                                        \
    TEST_ON(beside_only, name, open_beside())                                                      \
    static void name(hk_reactor *r)

#endif
