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
 *   a call's     what hk_request names, from the entry to the completion (uring_request.c)
 *   a request    names its source by index and generation. After a close a late completion meets
 *                another generation, and its buffer or connection is given back or closed
 *
 * Who may touch the rings:
 *   completions  whoever polls (hk_reactor.polling)
 *   submissions  under `submitting`, which is held from the entry to the system call that takes it,
 *                except for sends and calls, which wait for the next one. So an entry that the
 *                kernel refused can be taken back
 *
 * Requests belong to the thread that submits them, and are carried on by it, whenever it enters the
 * kernel (COOP_TASKRUN). The deferred mode of a single issuer would forbid helping and saves no
 * more.
 *
 * Written against the kernel's header and not liburing: of that hank would use the mapping of rings
 * and the system calls, which have to go through base/os.h in any case.
 * Source: Axboe, "Efficient IO with io_uring", 2019; io_uring_enter(2). */
#include "reactor/uring.h"

#include <errno.h>
#include <linux/io_uring.h>

#include "base/os.h"
#include "reactor/flow.h"

/* --- buffers ------------------------------------------------------------------------------- */

/* The poller's, as all below. */
static void put_buffer(hk_uring *u, hk_pieces *p, uint32_t piece)
{
    struct io_uring_buf *slot = &u->buffers[u->buffers_tail++ & (HK_URING_BUFFERS - 1)];
    slot->addr = (uint64_t)(uintptr_t)(p->memory + (size_t)piece * HK_PIECE_BYTES);
    slot->len = HK_PIECE_BYTES;
    slot->bid = (uint16_t)piece; /* not the whole slot: the first one holds the tail too */
}

void hk_uring_refill(hk_reactor *r)
{
    hk_uring *u = r->uring;
    uint32_t first = hk_pieces_take_back(&r->pieces), n = 0;
    if (first == 0)
        return;
    for (; first != 0; n++) {
        uint32_t piece = first - 1;
        first = hk_load_relaxed(&r->pieces.list[piece].next); /* see hk_piece */
        put_buffer(u, &r->pieces, piece);
    }
    hk_store_relaxed(&u->filled, hk_load_relaxed(&u->filled) + n);
    hk_store_release(u->buffers_end, u->buffers_tail); /* release: the kernel acquires */
}

static void put_back_unread(hk_reactor *r, uint32_t piece)
{
    hk_uring *u = r->uring;
    put_buffer(u, &r->pieces, piece);
    hk_store_relaxed(&u->filled, hk_load_relaxed(&u->filled) + 1); /* relaxed: a hint, ours alone */
    hk_store_release(u->buffers_end, u->buffers_tail); /* release: the kernel acquires */
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
        ready[(*n)++] = (hk_ready){hk_uring_request_done(name, done->res), 0};
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

static bool have_completions(hk_uring *u)
{
    /* [uring:cq] acquire: the entries. Head is the poller's own. */
    return hk_load_acquire(u->cq_tail) != hk_load_relaxed(u->cq_head);
}

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
    hk_uring *u = r->uring;
    uint32_t head = hk_load_relaxed(u->cq_head); /* the poller's own */
    uint32_t tail = hk_load_acquire(u->cq_tail); /* [uring:cq] acquire: the entries */
    uint32_t mask = u->cq_entries - 1;
    (void)hk_load_acquire(u->sq_tail); /* [uring:sq] acquire, through the kernel: the hk_sends */
    for (uint32_t i = 0; i < tail - head && i < HK_READY_MAX; i++)
        expect(&u->completions[(head + i) & mask]);
    while (head != tail && *n + 2 <= max) /* one makes two entries at most */
        complete(r, &u->completions[head++ & mask], ready, n);
    hk_store_release(u->cq_head, head); /* [uring:cq] release, to the kernel: they were read */
}

void hk_uring_let_go(hk_reactor *r)
{
    hk_uring *u = r->uring;
    (void)hk_os_uring_enter(r->backend_fd, 0, 0, 0); /* have it tell what it has put off */
    uint32_t head = hk_load_relaxed(u->cq_head);     /* nobody polls any more */
    uint32_t tail = hk_load_acquire(u->cq_tail);     /* [uring:cq] acquire: the entries */
    for (; head != tail; head++) {
        const struct io_uring_cqe *done = &u->completions[head & (u->cq_entries - 1)];
        if ((done->user_data & HK_WHAT_MASK) == HK_WHAT_CONNECTIONS)
            connection_came(r, done);
    }
    hk_store_release(u->cq_head, head); /* [uring:cq] release, to the kernel: they were read */
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

/* Into the kernel, if there is a reason to. */
static int enter(hk_reactor *r, int64_t timeout_ns)
{
    hk_uring *u = r->uring;
    int rc = hk_uring_pending(u) > 0 ? hk_uring_submit(r) : 0; /* sends complete at once */
    if (rc < 0 || have_completions(u))
        return rc;
    if (timeout_ns != 0)
        return hk_os_uring_enter(r->backend_fd, 0, 1, timeout_ns);
    /* relaxed: a hint; what we do not see yet we see next time */
    if (hk_load_relaxed(u->sq_flags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
        rc = hk_os_uring_enter(r->backend_fd, 0, 0, 0);
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
        rc = enter(r, timeout_ns);
    reap(r, ready, max, &n);
    if (n > 0 || rc >= 0 || rc == -ETIME || rc == -EBUSY) /* busy: too much has completed */
        return n;
    return rc;
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
    .request = hk_uring_request,
    .recall = hk_uring_recall,
    .nudge = hk_uring_nudge,
};
