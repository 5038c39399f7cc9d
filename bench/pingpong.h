/* SPDX-License-Identifier: MIT */
/* pingpong.h - two tasks, two channels of one element, and a number that goes to and fro. */
#ifndef HK_BENCH_PINGPONG_H
#define HK_BENCH_PINGPONG_H

#include <hank.h>

#include <errno.h>

struct table {
    hank_chan *there, *back;
};

static inline int pong(void *arg)
{
    struct table *t = arg;
    long n;
    while (hank_chan_recv(t->there, &n) == 0) {
        int rc = hank_chan_send(t->back, &n);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static inline int ping(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        long seen = -1;
        int rc = hank_chan_send(t->there, &i);
        if (rc == 0)
            rc = hank_chan_recv(t->back, &seen);
        if (rc < 0 || seen != i)
            return rc < 0 ? rc : -EPROTO;
    }
    return 0;
}

#endif
