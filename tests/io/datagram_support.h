/* SPDX-License-Identifier: MIT */
/* datagram_support.h - the same scenario over endpoints of UDP and of Unix sockets. */
#ifndef HK_TESTS_DATAGRAM_SUPPORT_H
#define HK_TESTS_DATAGRAM_SUPPORT_H

#include "io/net_support.h"

#include <hank/datagram.h>

#include "base/atomic.h"
#include "base/fault.h"
#include "io/fd.h"

/* A connected pair of endpoints of that family, which a test runs over. */
typedef struct two {
    hank_endpoint *a; /* connected to b */
    hank_endpoint *b; /* not connected */
    char b_name[128];
} two;

static const char *const locals[] = {"udp://127.0.0.1:0", "udp://[::1]:0", "unix://@hank-dg-%s-%d",
                                     "unix:///tmp/hank-dg-%s-%d"};

static inline int open_two(const char *form, two *t)
{
    char a[64], b[64];
    snprintf(a, sizeof a, form, "a", (int)getpid());
    snprintf(b, sizeof b, form, "b", (int)getpid());
    int rc = hank_endpoint_open(b, NULL, NULL, &t->b);
    if (rc == 0)
        rc = hank_endpoint_name(t->b, t->b_name, sizeof t->b_name);
    return rc == 0 ? hank_endpoint_open(a, t->b_name, NULL, &t->a) : rc;
}

typedef struct attempt {
    const char *form;
    int (*body)(two *t);
} attempt;

static inline int run_attempt(void *arg)
{
    attempt *at = arg;
    two t = {0};
    int rc = open_two(at->form, &t);
    if (rc == 0)
        rc = at->body(&t);
    hank_endpoint_close(t.a);
    hank_endpoint_close(t.b);
    return rc;
}

#define DATAGRAMS(suite, from, to, name)                                                           \
    static int suite##_##name(two *t);                                                             \
    Test(suite, name, .timeout = 170)                                                              \
    {                                                                                              \
        warm_up();                                                                                 \
        for (int i = from; i < to; i++) {                                                          \
            attempt at = {locals[i], suite##_##name};                                              \
            with_each_size(run_attempt, &at);                                                      \
        }                                                                                          \
    }                                                                                              \
    static int suite##_##name(two *t)

/* How many calls are inside `e`: it begins with its descriptor, whose word counts them above the
 * three flags, and the owner. */
static inline uint64_t users(hank_endpoint *e)
{
    return (hk_load_relaxed(&((hk_fd *)(void *)e)->word) >> 3) - 1;
}

#endif
