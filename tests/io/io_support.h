/* SPDX-License-Identifier: MIT */
/* io_support.h - what the tests of this room share: a runtime of each size, connected pairs, and
 * counts that must come back to where they were. */
#ifndef HK_TESTS_IO_SUPPORT_H
#define HK_TESTS_IO_SUPPORT_H

#include <criterion/criterion.h>
#include <hank.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "leftovers.h"

/* Run `app` to the end with 1, 2 and 8 workers; each time it must return 0. */
static inline void run_with_each_size(hank_fn app, void *arg)
{
    static const unsigned sizes[] = {1, 2, 8};
    for (int i = 0; i < 3; i++) {
        int rc = hank_run_with(app, arg, .workers = sizes[i]);
        cr_assert_eq(rc, 0, "%u workers: %d, %s", sizes[i], rc, hank_strerror(rc));
    }
}

/* In a task: note a failed expectation and let the task return it. */
#define MUST(condition)                                                                   \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            cr_log_error("%s:%d: not so: %s", __FILE__, __LINE__, #condition);            \
            return -EPROTO;                                                               \
        }                                                                                 \
    } while (0)

/* The same for a result that must be 0 (or a count). */
#define MUST_OK(call)                                                                     \
    do {                                                                                  \
        int64_t rc_ = (call);                                                             \
        if (rc_ < 0) {                                                                    \
            cr_log_error("%s:%d: %s: %s", __FILE__, __LINE__, #call,                      \
                         hank_strerror((int)rc_));                                        \
            return (int)rc_;                                                              \
        }                                                                                 \
    } while (0)

typedef struct pair {
    hank_listener *listener;
    hank_stream *client;
    hank_stream *server;
} pair;

/* A connection to oneself. `where` as for hank_listen. */
static inline int pair_open(const char *where, pair *ret)
{
    char name[200];
    *ret = (pair){0};
    int rc = hank_listen(where, &ret->listener);
    if (rc == 0)
        rc = hank_listener_name(ret->listener, name, sizeof name);
    if (rc == 0)
        rc = hank_connect(name, &ret->client);
    if (rc == 0)
        rc = hank_accept(ret->listener, &ret->server);
    return rc;
}

static inline void pair_close(pair *p)
{
    hank_close(p->client);
    hank_close(p->server);
    hank_listener_close(p->listener);
}

/* A test whose body is a task with a connected pair `p`. */
#define PAIR_TEST(suite, name, where)                                                     \
    static int name##_body(pair *p);                                                      \
    static int name##_app(void *arg)                                                      \
    {                                                                                     \
        (void)arg;                                                                        \
        pair p;                                                                           \
        int rc = pair_open(where, &p);                                                    \
        if (rc == 0)                                                                      \
            rc = name##_body(&p);                                                         \
        pair_close(&p);                                                                   \
        return rc;                                                                        \
    }                                                                                     \
    Test(suite, name, .timeout = 60)                                                      \
    {                                                                                     \
        run_with_each_size(name##_app, NULL);                                             \
    }                                                                                     \
    static int name##_body(pair *p)

/* Yield until `condition`, which another task is about to make true; gives up after 10 s. */
#define YIELD_UNTIL(condition)                                                            \
    do {                                                                                  \
        hank_ns give_up_ = hank_now() + HANK_SEC(10);                                     \
        while (!(condition)) {                                                            \
            MUST(hank_now() < give_up_);                                                  \
            (void)hank_yield();                                                           \
        }                                                                                 \
    } while (0)

#endif
