/* SPDX-License-Identifier: MIT */
/* uring.c - completion on Linux: io_uring. What has completed, and waiting for it; uring_ask.c is
 * the other half.
 *
 * Reading is asked for once: the kernel goes on (multishot) receiving into buffers that it picks
 * from a ring of ours, or accepting, until something ends it. So a message costs no system call of
 * its own to receive. Sends of one pass of the loop go to the kernel in one batch, each of them
 * MSG_DONTWAIT: the kernel is done with the sender's memory when the batch has been taken.
 *
 * What the kernel owns:
 *   buffers      only these are ever written to behind our back; from the ring to the completion
 *   a call's     what hk_request names, from the entry to the completion (rings_request.c)
 *   a request    names its source by index and generation. After a close a late completion meets
 *                another generation, and its buffer or connection is given back or closed
 *
 * The ring itself, and who may touch it: rings.h. */
#include "reactor/uring.h"

#include <errno.h>

#include "base/os.h"
#include "reactor/flow.h"

/* --- buffers ------------------------------------------------------------------------------- */

/* The poller's, as all below. Those that are put go to the kernel together. */
static void put_buffer(hk_reactor *r, uint32_t piece, uint32_t put_before)
{
    char *memory = r->pieces.memory + (size_t)piece * HK_PIECE_BYTES;
    io_uring_buf_ring_add(r->uring->buffers, memory, HK_PIECE_BYTES, (uint16_t)piece,
                          HK_URING_BUFFERS - 1, (int)put_before);
}

static void give_buffers(hk_uring *u, uint32_t n)
{
    hk_store_relaxed(&u->filled, hk_load_relaxed(&u->filled) + n); /* relaxed: a hint, ours alone */
    io_uring_buf_ring_advance(u->buffers, (int)n);
}

void hk_uring_refill(hk_reactor *r)
{
    uint32_t first = hk_pieces_take_back(&r->pieces), n = 0;
    if (first == 0)
        return;
    for (; first != 0; n++) {
        uint32_t piece = first - 1;
        first = hk_load_relaxed(&r->pieces.list[piece].next); /* see hk_piece */
        put_buffer(r, piece, n);
    }
    give_buffers(r->uring, n);
}

static void put_back_unread(hk_reactor *r, uint32_t piece)
{
    put_buffer(r, piece, 0);
    give_buffers(r->uring, 1);
}

/* --- what has completed -------------------------------------------------------------------- */

/* A slow reader: what has come stays, no more is taken. */
static void stop_flow(hk_reactor *r, uint64_t name, uint32_t depth)
{
    if (depth == HK_PIECES_MAX)
        hk_uring_cancel(r, name);
}

static void bytes_came(hk_reactor *r, const struct io_uring_cqe *done)
{
    uint64_t key = hk_uring_key(done->user_data);
    bool goes_on = done->flags & IORING_CQE_F_MORE;
    if (done->flags & IORING_CQE_F_BUFFER) {
        hk_uring *u = r->uring;
        uint32_t piece = done->flags >> IORING_CQE_BUFFER_SHIFT, depth = 0;
        hk_store_relaxed(&u->filled, hk_load_relaxed(&u->filled) - 1); /* relaxed: as above */
        r->pieces.list[piece].bytes = done->res > 0 ? (uint32_t)done->res : 0;
        if (done->res > 0 && hk_flow_arrived(key, r, piece, goes_on, &depth)) {
            if (goes_on)
                stop_flow(r, done->user_data, depth);
            return;
        }
        put_back_unread(r, piece);
    }
    if (goes_on)
        return;
    /* The end is told again by the system, and so is a lack of buffers, in its way. */
    bool told_once = done->res < 0 && done->res != -ENOBUFS && done->res != -ECANCELED &&
                     done->res != -EINTR && done->res != -EAGAIN;
    hk_flow_ended(key, HK_IN, told_once ? done->res : 0);
}

static void connection_came(hk_reactor *r, const struct io_uring_cqe *done)
{
    uint64_t key = hk_uring_key(done->user_data);
    bool goes_on = done->flags & IORING_CQE_F_MORE;
    uint32_t depth = 0;
    if (done->res < 0) { /* whatever it was, accept(2) will say it to whoever asks */
        if (!goes_on)
            hk_flow_ended(key, HK_IN, 0);
        return;
    }
    if (done->res < HK_SOURCES_MAX &&
        hk_flow_arrived(key, r, (uint32_t)done->res, goes_on, &depth)) {
        if (goes_on)
            stop_flow(r, done->user_data, depth);
        return;
    }
    (void)hk_os_close(done->res); /* nobody listens any more */
    if (!goes_on)
        hk_flow_ended(key, HK_IN, 0);
}

static void complete(hk_reactor *r, const struct io_uring_cqe *done, hk_ready *ready, int *n)
{
    uint64_t name = done->user_data;
    unsigned what = name & HK_WHAT_MASK;
    bool goes_on = done->flags & IORING_CQE_F_MORE;
    switch (what) {
    case HK_WHAT_SEND: {
        hk_send *send = (hk_send *)(uintptr_t)name;
        send->result = done->res;
        ready[(*n)++] = (hk_ready){send->ticket, 0};
        return;
    }
    case HK_WHAT_REQUEST:
        ready[(*n)++] = (hk_ready){hk_rings_request_done(name, done->res), 0};
        return;
    case HK_WHAT_BYTES: bytes_came(r, done); break;
    case HK_WHAT_CONNECTIONS: connection_came(r, done); break;
    case HK_WHAT_WAKE: r->uring->wake_watched = goes_on; return;
    case HK_WHAT_NOTHING: return;
    default:
        if (!goes_on)
            hk_flow_ended(hk_uring_key(name), what == HK_WHAT_POLL_OUT ? HK_OUT : HK_IN, 0);
        break;
    }
    unsigned events = what == HK_WHAT_POLL_OUT ? HK_EVENT_OUT : HK_EVENT_IN;
    if (what >= HK_WHAT_POLL_IN && done->res > 0)
        events = hk_event_of_poll((uint32_t)done->res);
    hk_source_event(hk_uring_key(name), events, ready, n);
}

/* --- waiting ------------------------------------------------------------------------------- */

/* What comes of this completion is in memory that nobody has looked at for a while. */
static void expect(const struct io_uring_cqe *done)
{
    unsigned what = done->user_data & HK_WHAT_MASK;
    if (what == HK_WHAT_SEND || what == HK_WHAT_REQUEST)
        HK_PREFETCH((const char *)(uintptr_t)done->user_data);
    else
        hk_source_expect(hk_uring_key(done->user_data));
}

static void reap(hk_reactor *r, hk_ready *ready, int max, int *n)
{
    hk_rings *rings = r->rings;
    uint32_t there = hk_rings_completed(rings), i = 0;
    for (; i < there && i < HK_READY_MAX; i++)
        expect(hk_rings_completion(rings, i));
    for (i = 0; i < there && *n + 2 <= max; i++) /* one makes two entries at most */
        complete(r, hk_rings_completion(rings, i), ready, n);
    hk_rings_advance(rings, i);
}

void hk_uring_let_go(hk_reactor *r)
{
    hk_rings *rings = r->rings;
    (void)hk_os_uring_look(&rings->liburing);   /* have it tell what it has put off */
    uint32_t there = hk_rings_completed(rings); /* nobody polls any more */
    for (uint32_t i = 0; i < there; i++) {
        const struct io_uring_cqe *done = hk_rings_completion(rings, i);
        if ((done->user_data & HK_WHAT_MASK) == HK_WHAT_CONNECTIONS)
            connection_came(r, done);
    }
    hk_rings_advance(rings, there);
}

/* Only ever by the owner, whose thread the request then belongs to: a helper does not wait. What
 * was written before would be told as if it were news, so it is read. */
static int watch_wake(hk_reactor *r)
{
    uint64_t count;
    (void)hk_os_read(r->wake_fd, &count, sizeof count); /* -EAGAIN: nothing was */
    int rc = hk_uring_watch_wake(r);
    r->uring->wake_watched = rc == 0;
    return rc;
}

static int uring_wait(hk_reactor *r, int64_t timeout_ns, hk_ready *ready, int max)
{
    int rc = timeout_ns != 0 && !r->uring->wake_watched ? watch_wake(r) : 0, n = 0;
    hk_uring_refill(r);
    hk_uring_ask_wanted(r, ready, max, &n);
    if (n > 0 || hk_load_acquire(&r->wake_pending)) /* [reactor:wake] acquire: maybe read above */
        timeout_ns = 0;
    if (rc == 0)
        rc = hk_rings_enter(r->rings, timeout_ns);
    reap(r, ready, max, &n);
    if (n > 0 || rc >= 0 || rc == -ETIME || rc == -EBUSY) /* busy: too much has completed */
        return n;
    return rc;
}

static bool uring_request(hk_reactor *r, hk_request *q)
{
    return hk_rings_request(r->rings, q);
}

static bool uring_recall(hk_reactor *r, hk_request *q)
{
    return hk_rings_recall(r->rings, q);
}

static void uring_nudge(hk_reactor *r)
{
    hk_rings_nudge(r->rings);
}

const hk_backend hk_backend_uring = {
    .name = "uring",
    .open = hk_uring_open,
    .close = hk_uring_close,
    .arm = hk_uring_arm,
    .forget = hk_uring_forget,
    .wait = uring_wait,
    .interrupt = hk_reactor_write_eventfd,
    .send = hk_uring_send,
    .request = uring_request,
    .recall = uring_recall,
    .nudge = uring_nudge,
};
