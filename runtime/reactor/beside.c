/* SPDX-License-Identifier: MIT */
/* beside.c - epoll for descriptors, and a ring beside it for calls on files, which epoll has
 * nothing to say about. This is what a program on Linux gets that asks for nothing.
 *
 * The ring is opened by the first call that a worker has made, and watched by its epoll: a call
 * that takes longer ends the wait when it is done. Calls go to the kernel with the next look, all
 * of them in one system call, and what is in memory is done when that returns.
 *
 *       request   the owner's thread: an entry           (opens the ring, once)
 *       wait      submit; take what has completed; epoll; take what has completed meanwhile
 *
 * Invariant: a wait that blocks has left no completion behind, so the next one is an edge.
 *
 * A ring may be refused: by an old kernel, by the administrator (io_uring_disabled, seccomp), for
 * want of memory or descriptors. Then the worker does without for good, and the pool makes the
 * calls: no caller is told. */
#include <errno.h>

#include "reactor/epoll.h"
#include "reactor/rings.h"

/* hk_reactor.beside */
enum { UNASKED = 0, OPEN, REFUSED };

/* Only calls are in it, and most have completed when the kernel has taken them. */
enum { ENTRIES = 64, COMPLETIONS = 256 };

enum { RETRY_NS = 1000 * 1000 }; /* a batch that the kernel refused */

static bool is_open(hk_reactor *r)
{
    return hk_load_acquire(&r->beside) == OPEN; /* [beside:open] acquire: the ring */
}

static int open_ring(hk_reactor *r)
{
    int rc = hk_rings_open(ENTRIES, COMPLETIONS, &r->rings);
    if (rc < 0)
        return rc;
    rc = hk_epoll_end_waits(r, r->rings->liburing.ring_fd);
    if (rc < 0)
        hk_rings_close(r->rings);
    return rc;
}

static bool beside_request(hk_reactor *r, hk_request *q)
{
    /* [beside:open] release: a helper that polls sees the ring. Nobody else writes it. */
    if (hk_load_relaxed(&r->beside) == UNASKED)
        hk_store_release(&r->beside, open_ring(r) < 0 ? REFUSED : OPEN);
    return is_open(r) && hk_rings_request(r->rings, q);
}

static bool beside_recall(hk_reactor *r, hk_request *q)
{
    return hk_rings_recall(r->rings, q);
}

static void beside_close(hk_reactor *r)
{
    if (is_open(r))
        hk_rings_close(r->rings);
    hk_epoll_close(r);
}

static void beside_nudge(hk_reactor *r)
{
    if (is_open(r))
        hk_rings_nudge(r->rings);
}

/* Each is a call, or the cancelling of one, of which nobody wants to know. */
static void reap(hk_rings *rings, hk_ready *ready, int max, int *n)
{
    uint32_t there = hk_rings_completed(rings), i = 0;
    for (; i < there && *n < max; i++) {
        const struct io_uring_cqe *done = hk_rings_completion(rings, i);
        if ((done->user_data & HK_WHAT_MASK) == HK_WHAT_REQUEST)
            ready[(*n)++] = (hk_ready){hk_rings_request_done(done->user_data, done->res), 0};
    }
    hk_rings_advance(rings, i);
}

/* To wait at all there must be nothing left to do: n tickets, or a batch that did not go. */
static int64_t time_to_wait(int64_t timeout_ns, int n, int refusal)
{
    if (n > 0)
        return 0;
    bool is_long = timeout_ns < 0 || timeout_ns > RETRY_NS;
    return refusal < 0 && is_long ? RETRY_NS : timeout_ns;
}

static int beside_wait(hk_reactor *r, int64_t timeout_ns, hk_ready *ready, int max)
{
    if (!is_open(r))
        return hk_epoll_wait(r, timeout_ns, ready, max);
    int n = 0;
    int refusal = hk_rings_enter(r->rings, 0);
    reap(r->rings, ready, max / 2, &n); /* the rest is for epoll */
    int events = hk_epoll_wait(r, time_to_wait(timeout_ns, n, refusal), ready + n, max - n);
    n += events > 0 ? events : 0;
    reap(r->rings, ready, max, &n);
    return n > 0 || events >= 0 ? n : events;
}

const hk_backend hk_backend_beside = {
    .name = "auto",
    .open = hk_epoll_open,
    .close = beside_close,
    .watch = hk_epoll_watch,
    .forget = hk_epoll_forget,
    .wait = beside_wait,
    .interrupt = hk_reactor_write_eventfd,
    .request = beside_request,
    .recall = beside_recall,
    .nudge = beside_nudge,
};
