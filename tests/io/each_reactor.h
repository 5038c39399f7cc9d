/* SPDX-License-Identifier: MIT */
/* each_reactor.h - a test with each reactor that is to be had here, by the option, and with what
 * who asks for none gets; with 1, 2 and 8 workers. */
#ifndef HK_TESTS_EACH_REACTOR_H
#define HK_TESTS_EACH_REACTOR_H

#include <criterion/criterion.h>
#include <errno.h>
#include <hank.h>
#include <stdlib.h>

#include "base/compiler.h"

/* What the body runs with. */
static hank_reactor reactor_now;
static bool ring_now; /* the kernel makes calls on files for it */
static unsigned workers_now;

static inline bool is_refused(int rc)
{
    return rc == -ENOSYS || rc == -EPERM;
}

static inline int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static inline void skip_without(hank_reactor reactor)
{
    if (is_refused(hank_run_with(nothing, NULL, .reactor = reactor)))
        cr_skip_test("this system has no such reactor for us");
}

/* Does the kernel make calls on files for who has that reactor? */
static inline bool has_ring(hank_reactor reactor)
{
    return reactor != HANK_EPOLL &&
           !is_refused(hank_run_with(nothing, NULL, .reactor = HANK_URING));
}

static inline void run_each(hank_fn app, hank_reactor reactor)
{
    static const unsigned sizes[] = {1, 2, 8};
    (void)unsetenv("HANK_REACTOR"); /* which would decide for who asks for none */
    if (HK_SIM && reactor == HANK_AUTO)
        cr_skip_test("the simulated machine has epoll and nothing beside it");
    skip_without(reactor);
    reactor_now = reactor;
    ring_now = has_ring(reactor);
    for (int i = 0; i < 3; i++) {
        workers_now = sizes[i];
        int rc = hank_run_with(app, NULL, .workers = sizes[i], .reactor = reactor);
        cr_assert_eq(rc, 0, "%u workers: %d, %s", sizes[i], rc, hank_strerror(rc));
    }
}

#define WITH_EACH_REACTOR(name)                                                                    \
    static int name(void *arg);                                                                    \
    Test(unasked, name, .timeout = 120)                                                            \
    {                                                                                              \
        run_each(name, HANK_AUTO);                                                                 \
    }                                                                                              \
    Test(on_epoll, name, .timeout = 120)                                                           \
    {                                                                                              \
        run_each(name, HANK_EPOLL);                                                                \
    }                                                                                              \
    Test(on_uring, name, .timeout = 120)                                                           \
    {                                                                                              \
        run_each(name, HANK_URING);                                                                \
    }                                                                                              \
    static int name(void *arg)

#endif
