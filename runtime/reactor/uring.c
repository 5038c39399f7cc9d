/* SPDX-License-Identifier: MIT */
/* uring.c - completion on Linux: io_uring.
 *
 * Reading is asked for once: the kernel goes on (multishot) receiving into buffers that it picks
 * from a ring of ours, or accepting, until something ends it. So a message costs no system call of
 * its own to receive. Sends of one pass of the loop go to the kernel in one batch, each of them
 * MSG_DONTWAIT: the kernel is done with the sender's memory when the batch has been taken.
 *
 * What the kernel owns:
 *   buffers      only these are ever written to behind our back; from the ring to the completion
 *   a request    names its source by index and generation. After a close a late completion meets
 *                another generation, and its buffer or connection is given back or closed
 *
 * Who may touch the rings:
 *   completions  whoever polls (hk_reactor.polling)
 *   submissions  under `submitting`, which is held from the entry to the system call that takes it,
 *                except for sends, which wait for the next one. So an entry that the kernel refused
 *                can be taken back
 *
 * Requests belong to the thread that submits them, and are carried on by it, whenever it enters the
 * kernel (COOP_TASKRUN). So each worker arms on its own ring, at once, and a helper submits nothing
 * that lives on. The deferred mode of a single issuer would forbid helping and saves no more.
 *
 * Written against the kernel's header and not liburing: of that hank would use the mapping of rings
 * and the system calls, which have to go through base/os.h in any case.
 * Source: Axboe, "Efficient IO with io_uring", 2019; io_uring_enter(2). */
#include "reactor/uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/os.h"
#include "reactor/flow.h"
#include "reactor/reactor.h"

/* What a request is, in the low bits of its user_data: the address of an hk_send, or
 * [ generation : 32 | 0 : 7 | index : 22 | what : 3 ]. */
enum {
    WHAT_SEND = 0, /* aligned, so its low bits are free */
    WHAT_BYTES,
    WHAT_CONNECTIONS,
    WHAT_POLL_IN,
    WHAT_POLL_OUT,
    WHAT_WAKE,
    WHAT_NOTHING,
    WHAT_BITS = 3,
    WHAT_MASK = (1 << WHAT_BITS) - 1,
};

enum {
    FEW_BUFFERS = HK_URING_BUFFERS / 8
}; /* in the ring: then who waits only asks for an event */

static uint64_t label(const hk_source *s, unsigned what)
{
    uint64_t key = hk_source_key(s);
    return (key & ~(uint64_t)UINT32_MAX) | (uint64_t)(uint32_t)key << WHAT_BITS | what;
}

static uint64_t key_of(uint64_t label)
{
    return (label & ~(uint64_t)UINT32_MAX) | (uint32_t)label >> WHAT_BITS;
}

/* --- asking -------------------------------------------------------------------------------- */

/* A zeroed entry, to be filled before push. NULL: full. `submitting` is held, here and below. */
static struct io_uring_sqe *next_entry(hk_uring *u)
{
    uint32_t tail = hk_load_relaxed(u->sq_tail);             /* written under our lock only */
    if (tail - hk_load_acquire(u->sq_head) == u->sq_entries) /* [uring:sq] acquire: it was read */
        return NULL;
    struct io_uring_sqe *entry = &u->entries[tail & (u->sq_entries - 1)];
    memset(entry, 0, sizeof *entry);
    return entry;
}

static void push(hk_uring *u)
{
    /* [uring:sq] release, to the kernel: the entry is complete. */
    hk_store_release(u->sq_tail, hk_load_relaxed(u->sq_tail) + 1);
}

/* Entries that the kernel has not taken. */
static uint32_t pending(hk_uring *u)
{
    return hk_load_relaxed(u->sq_tail) - hk_load_acquire(u->sq_head); /* [uring:sq] acquire */
}

static int submit(hk_reactor *r)
{
    while (pending(r->uring) > 0) {
        int rc = hk_os_uring_enter(r->backend_fd, pending(r->uring), 0, 0);
        if (rc <= 0)
            return rc < 0 ? rc : -EAGAIN;
    }
    return 0;
}

/* Fill an entry and have it taken at once, or take it back. */
static int ask(hk_reactor *r, const struct io_uring_sqe *wanted)
{
    hk_uring *u = r->uring;
    int rc = 0;
    hk_lock_take(&u->submitting, HK_RANK_SUBMIT);
    struct io_uring_sqe *entry = next_entry(u);
    if (!entry && (rc = submit(r)) == 0)
        entry = next_entry(u);
    if (entry) {
        *entry = *wanted;
        push(u);
        do
            rc = submit(r);
        while (rc == -EINTR);
        if (rc < 0 && pending(u) > 0) /* the kernel takes them in order: ours is the last one */
            hk_store_release(u->sq_tail, hk_load_relaxed(u->sq_tail) - 1); /* [uring:sq] */
        else
            rc = 0;
    }
    hk_lock_drop(&u->submitting);
    return rc;
}

static int watch(hk_reactor *r, int fd, uint32_t events, bool for_ever, uint64_t name)
{
    struct io_uring_sqe entry = {.opcode = IORING_OP_POLL_ADD,
                                 .fd = fd,
                                 .len = for_ever ? IORING_POLL_ADD_MULTI : 0,
                                 .user_data = name};
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    events = events << 16 | events >> 16; /* the kernel's words are swapped there */
#endif
    entry.poll32_events = events;
    return ask(r, &entry);
}

static int receive(hk_reactor *r, hk_source *s)
{
    struct io_uring_sqe entry = {.opcode = IORING_OP_RECV,
                                 .flags = IOSQE_BUFFER_SELECT,
                                 .ioprio = IORING_RECV_MULTISHOT | IORING_RECVSEND_POLL_FIRST,
                                 .fd = s->fd,
                                 .user_data = label(s, WHAT_BYTES)};
    return ask(r, &entry);
}

static int accept_more(hk_reactor *r, hk_source *s)
{
    struct io_uring_sqe entry = {.opcode = IORING_OP_ACCEPT,
                                 .ioprio = IORING_ACCEPT_MULTISHOT,
                                 .fd = s->fd,
                                 .accept_flags = SOCK_NONBLOCK | SOCK_CLOEXEC,
                                 .user_data = label(s, WHAT_CONNECTIONS)};
    return ask(r, &entry);
}

static bool has_buffers(hk_uring *u)
{
    return hk_load_relaxed(&u->filled) >= FEW_BUFFERS; /* relaxed: if wrong, only slower */
}

static unsigned what_to_ask(hk_uring *u, const hk_source *s, hk_direction d)
{
    if (d == HK_OUT)
        return WHAT_POLL_OUT;
    if (s->input == HK_INPUT_BYTES && has_buffers(u))
        return WHAT_BYTES;
    return s->input == HK_INPUT_CONNECTIONS ? WHAT_CONNECTIONS : WHAT_POLL_IN;
}

static int uring_arm(hk_reactor *r, hk_source *s, hk_direction d)
{
    int rc = hk_flow_arm(s, d, r);
    if (rc != 0)
        return rc == HK_FLOW_RUNS ? 0 : rc;
    unsigned what = what_to_ask(r->uring, s, d);
    s->asked[d] = (uint8_t)what;
    /* Of bytes that we read ourselves one event: then maybe there are buffers again. */
    bool for_ever = d == HK_IN && s->input == HK_INPUT_EVENTS;
    switch (what) {
    case WHAT_BYTES: rc = receive(r, s); break;
    case WHAT_CONNECTIONS: rc = accept_more(r, s); break;
    case WHAT_POLL_IN:
        rc = watch(r, s->fd, POLLIN | POLLPRI | POLLRDHUP, for_ever, label(s, what));
        break;
    default: rc = watch(r, s->fd, POLLOUT, false, label(s, what)); break;
    }
    if (rc < 0)
        hk_flow_ended(hk_source_key(s), d, 0);
    return rc;
}

/* The owner's thread carries its requests on when it enters the kernel, as it does when another
 * CPU interrupts it: that is what the barrier does to all of ours. */
static void uring_nudge(hk_reactor *r)
{
    if (hk_load_relaxed(r->uring->sq_flags) & IORING_SQ_TASKRUN) /* relaxed: a hint */
        hk_os_interrupt_threads();
}

/* Any thread. Cancelled is what is found; what is not has ended, and its completion is on its way.
 * Then the owner's thread lets go of the file, the next time it enters the kernel. */
static void cancel(hk_reactor *r, uint64_t name)
{
    struct io_uring_sync_cancel_reg what = {
        .addr = name, .fd = -1, .timeout = {.tv_sec = -1, .tv_nsec = -1}};
    int rc = hk_os_uring_register(r->backend_fd, IORING_REGISTER_SYNC_CANCEL, &what, 1);
    if (rc == 0 || rc == -ENOENT)
        return;
    /* Not to be had at the moment: the long way. If that fails too, the request lives until there
     * is something for it or its ring is closed, and its completion is thrown away. */
    struct io_uring_sqe entry = {.opcode = IORING_OP_ASYNC_CANCEL,
                                 .flags = IOSQE_CQE_SKIP_SUCCESS,
                                 .addr = name,
                                 .user_data = WHAT_NOTHING};
    (void)ask(r, &entry);
}

/* Its completion is to be, and soon: a request holds the file, so until it ends a peer does not see
 * us go and the port of a listener stays taken. */
static void end(hk_source *s, hk_direction d, uint64_t name)
{
    hk_reactor *r = s->flow[d].at;
    if ((name & WHAT_MASK) == WHAT_CONNECTIONS)
        (void)hk_os_shutdown(s->fd, SHUT_RDWR); /* at once; what it says changes nothing */
    cancel(r, name);
    uring_nudge(r);
}

static void uring_forget(hk_reactor *unused, hk_source *s)
{
    (void)unused;
    for (int d = HK_IN; d <= HK_OUT; d++) {
        uint64_t name = label(s, s->asked[d]);
        if (hk_flow_close(s, (hk_direction)d))
            end(s, (hk_direction)d, name);
    }
}

static bool uring_send(hk_reactor *r, hk_send *send)
{
    hk_uring *u = r->uring;
    hk_lock_take(&u->submitting, HK_RANK_SUBMIT);
    struct io_uring_sqe *entry = next_entry(u);
    if (entry) {
        entry->opcode = IORING_OP_SEND;
        entry->fd = send->fd;
        entry->addr = (uint64_t)(uintptr_t)send->bytes;
        entry->len = (uint32_t)send->n;
        entry->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
        entry->user_data = (uint64_t)(uintptr_t)send;
        push(u);
    }
    hk_lock_drop(&u->submitting);
    return entry != NULL;
}

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
        first = r->pieces.list[piece].next;
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
        cancel(r, name);
}

static void bytes_came(hk_reactor *r, const struct io_uring_cqe *done)
{
    uint64_t key = key_of(done->user_data);
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
    uint64_t key = key_of(done->user_data);
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
    unsigned what = name & WHAT_MASK;
    bool goes_on = done->flags & IORING_CQE_F_MORE;
    switch (what) {
    case WHAT_SEND: {
        hk_send *send = (hk_send *)(uintptr_t)name;
        send->result = done->res;
        ready[(*n)++] = (hk_ready){send->ticket, 0};
        return;
    }
    case WHAT_BYTES: bytes_came(r, done); break;
    case WHAT_CONNECTIONS: connection_came(r, done); break;
    case WHAT_WAKE: r->uring->wake_watched = goes_on; return;
    case WHAT_NOTHING: return;
    default:
        if (!goes_on)
            hk_flow_ended(key_of(name), what == WHAT_POLL_OUT ? HK_OUT : HK_IN, 0);
        break;
    }
    unsigned events = what == WHAT_POLL_OUT ? HK_EVENT_OUT : HK_EVENT_IN;
    if (what >= WHAT_POLL_IN && done->res > 0)
        events = hk_event_of_poll((uint32_t)done->res);
    hk_source_event(key_of(name), events, ready, n);
}

/* --- waiting ------------------------------------------------------------------------------- */

static bool have_completions(hk_uring *u)
{
    /* [uring:cq] acquire: the entries. Head is the poller's own. */
    return hk_load_acquire(u->cq_tail) != hk_load_relaxed(u->cq_head);
}

static int reap(hk_reactor *r, hk_ready *ready, int max)
{
    hk_uring *u = r->uring;
    uint32_t head = hk_load_relaxed(u->cq_head); /* the poller's own */
    uint32_t tail = hk_load_acquire(u->cq_tail); /* [uring:cq] acquire: the entries */
    int n = 0;
    while (head != tail && n + 2 <= max) /* one makes two entries at most */
        complete(r, &u->completions[head++ & (u->cq_entries - 1)], ready, &n);
    hk_store_release(u->cq_head, head); /* [uring:cq] release, to the kernel: they were read */
    return n;
}

/* Only ever by the owner, whose thread the request then belongs to: a helper does not wait. What
 * was written before would be told as if it were news, so it is read, and the caller must look at
 * wake_pending again. */
static int watch_wake(hk_reactor *r)
{
    uint64_t count;
    (void)hk_os_read(r->wake_fd, &count, sizeof count); /* -EAGAIN: nothing was */
    int rc = watch(r, r->wake_fd, POLLIN, true, WHAT_WAKE);
    r->uring->wake_watched = rc == 0;
    return rc;
}

/* Into the kernel, if there is a reason to. */
static int enter(hk_reactor *r, int64_t timeout_ns)
{
    hk_uring *u = r->uring;
    int rc = 0;
    if (pending(u) > 0) { /* sends: they complete at once */
        hk_lock_take(&u->submitting, HK_RANK_SUBMIT);
        rc = submit(r);
        hk_lock_drop(&u->submitting);
    }
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
    hk_uring_refill(r);
    int rc = 0;
    if (timeout_ns != 0 && !r->uring->wake_watched) {
        rc = watch_wake(r);
        if (hk_load_acquire(&r->wake_pending)) /* [reactor:wake] acquire: its poke may be read */
            timeout_ns = 0;
    }
    if (rc == 0)
        rc = enter(r, timeout_ns);
    int n = reap(r, ready, max);
    if (n > 0 || rc >= 0 || rc == -ETIME || rc == -EBUSY) /* busy: too much has completed */
        return n;
    return rc;
}

const hk_backend hk_backend_uring = {
    .name = "uring",
    .open = hk_uring_open,
    .close = hk_uring_close,
    .arm = uring_arm,
    .forget = uring_forget,
    .wait = uring_wait,
    .interrupt = hk_reactor_write_eventfd,
    .send = uring_send,
    .nudge = uring_nudge,
};
