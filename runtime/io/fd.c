/* SPDX-License-Identifier: MIT */
/* fd.c - try, wait, try again: the only loop that does.
 *
 * A wait is published in two places: in the source, for the reactor, and in `waiting`, for close.
 * Close marks the word and then looks for waiters; a waiter publishes itself and then looks at the
 * mark. One of the two sees the other, whatever the order: [fd:closing], sequentially consistent
 * on both sides, because a store and a load of another word must not swap.
 *
 * A thread that is no worker has no reactor. It asks poll(2), which nothing in this process can
 * interrupt, in slices, and looks for a close or a stop in between. */
#include "io/fd.h"

#include <errno.h>
#include <poll.h>

#include "base/check.h"
#include "base/os.h"
#include "reactor/flow.h"
#include "sched/park.h"
#include "sched/runtime.h"

#include <hank/task.h>

enum { CLOSING = 1, TAKEN_SHIFT = 1, USER = 8 };

/* The kernel moves a little under 2 GiB a call: less than that is no sign of anything. */
enum { ATTEMPT_MAX_BYTES = 1 << 30 };

/* What is sent in a batch: more is better sent than postponed. */
enum { BATCHED_MAX_BYTES = 16 * 1024 };

enum { SLICE_MIN_NS = 1000 * 1000, SLICE_MAX_NS = 20 * 1000 * 1000 };

static uint64_t taken(hk_direction d)
{
    return UINT64_C(1) << TAKEN_SHIFT << d;
}

/* --- who is in ----------------------------------------------------------------------------- */

int hk_fd_init(hk_fd *f, void (*gone)(hk_fd *f))
{
    hk_source *source = hk_source_open(-1);
    if (!source)
        return -ENOMEM;
    *f = (hk_fd){.source = source, .gone = gone, .fd = -1};
    hk_store_relaxed(&f->word, (uint64_t)USER); /* relaxed: nobody else knows f yet */
    return 0;
}

void hk_fd_adopt(hk_fd *f, int fd, hk_input input, bool short_is_dry)
{
    HK_DCHECK(f->fd < 0 && fd >= 0);
    f->fd = f->source->fd = fd; /* not attached to any reactor before its first wait */
    f->source->input = (uint8_t)input;
    f->short_is_dry = short_is_dry;
    hk_store_relaxed(&f->source->user, ~(uintptr_t)f); /* a hint */
}

void hk_fd_is_connection(hk_fd *f)
{
    f->is_connection = true;
}

/* Give back `what`, which holds one use. */
static void leave(hk_fd *f, uint64_t what)
{
    /* [fd:word] release: what I did here is seen by the next user, and by the last. */
    uint64_t before = hk_sub_acqrel(&f->word, what);
    HK_DCHECK(before >= what);
    if (before / USER > 1)
        return;

    HK_DCHECK(before & CLOSING); /* only close gives back the owner's use */
    hk_source_close(f->source);  /* the reactor forgets the number before the kernel may reuse it */
    if (f->fd >= 0)
        (void)hk_os_close(f->fd); /* nobody is left to tell, and the number is gone even so */
    f->gone(f);
}

/* Become a user, and take the directions in `what`. */
static int enter(hk_fd *f, uint64_t what)
{
    uint64_t word = hk_load_relaxed(&f->word); /* relaxed: the CAS decides */
    do {
        if (word & CLOSING)
            return -EBADF;
        if (word & what)
            return -EBUSY;
        /* [fd:word] acquire: sees what the last user of this direction left. */
    } while (!hk_cas_acqrel(&f->word, &word, (word | what) + USER));
    return 0;
}

int hk_fd_begin(hk_fd *f, hk_direction d)
{
    return enter(f, taken(d));
}

void hk_fd_end(hk_fd *f, hk_direction d)
{
    leave(f, taken(d) + USER);
}

int hk_fd_hold(hk_fd *f)
{
    return enter(f, 0);
}

void hk_fd_release(hk_fd *f)
{
    leave(f, USER);
}

int hk_fd_number(hk_fd *f)
{
    int rc = hk_fd_hold(f);
    if (rc < 0)
        return rc;
    int fd = f->fd;
    hk_fd_release(f);
    return fd;
}

static void wake_waiter(hk_fd_waiter *w)
{
    hk_sleeper *sleeper = hk_load_seqcst(&w->sleeper); /* [fd:closing] after the mark */
    if (sleeper)
        (void)hk_wake((hk_ticket){sleeper, hk_load_relaxed(&w->turn)}, -EBADF); /* may be late */
}

void hk_fd_close(hk_fd *f)
{
    uint64_t before = hk_or_seqcst(&f->word, (uint64_t)CLOSING); /* [fd:closing] mark, then look */
    HK_CHECK(!(before & CLOSING));                               /* closed twice */
    wake_waiter(&f->waiting[HK_IN]);
    wake_waiter(&f->waiting[HK_OUT]);
    leave(f, USER);
}

/* --- waiting ------------------------------------------------------------------------------- */

static bool is_closing(hk_fd *f)
{
    return hk_load_seqcst(&f->word) & CLOSING; /* [fd:closing] after publishing the waiter */
}

/* For a thread that is no worker. */
static int wait_outside(hk_fd *f, hk_direction d)
{
    int64_t slice_ns = SLICE_MIN_NS;
    for (;;) {
        if (is_closing(f))
            return -EBADF;
        int rc = hk_stop_reason();
        if (rc < 0)
            return rc;
        struct pollfd one = {.fd = f->fd, .events = d == HK_IN ? POLLIN : POLLOUT};
        rc = hk_os_poll(&one, 1, slice_ns);
        if (rc > 0)
            return 0;
        if (rc < 0 && rc != -EINTR)
            return rc;
        if (slice_ns < SLICE_MAX_NS)
            slice_ns *= 2;
    }
}

int hk_fd_wait(hk_fd *f, hk_direction d, const char *why)
{
    hk_reactor *home = f->home ? f->home : hk_runtime_reactor();
    if (!home && !hk_source_is_watched(f->source, d))
        return wait_outside(f, d);
    if (HK_UNLIKELY(hk_source_is_shed(f->source)))
        hk_source_move(f->source, hk_runtime_reactor());

    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    hk_store_relaxed(&f->waiting[d].turn, w.ticket.turn); /* relaxed: published by the next one */
    hk_store_seqcst(&f->waiting[d].sleeper, w.ticket.sleeper); /* [fd:closing] publish, then look */

    int rc = is_closing(f) ? -EBADF : hk_source_start(f->source, d, w.ticket, home);
    if (rc == 0) {
        rc = hk_park(&w, HK_FOREVER, why);
        if (rc != HK_RETRY)
            hk_source_stop(f->source, d);
    } else if (!hk_park_abandon(&w)) {
        int claimed = hk_park(&w, HK_FOREVER, why); /* a close or a stop was faster */
        rc = claimed < 0 ? claimed : rc;
    }
    /* relaxed: a close that still sees it wakes a turn that is over */
    hk_store_relaxed(&f->waiting[d].sleeper, (hk_sleeper *)NULL);
    return rc == HK_RETRY ? 0 : rc;
}

/* --- how a connection ended ---------------------------------------------------------------- */

/* What the system says of a connection that is lost, and says once. Not -EPIPE: it is also said of
 * one whose other end closed properly. */
static bool is_loss(ssize_t rc)
{
    switch (rc) {
    case -ECONNRESET:
    case -ECONNABORTED:
    case -ETIMEDOUT:
    case -ENETUNREACH:
    case -EHOSTUNREACH: return true;
    default: return false;
    }
}

static void begin_send(hk_fd *f)
{
    /* [fd:broken] before the call. A reader that finds the end because of what this call was told
     * has had the system's lock on the socket after it: it sees this, or the store after. */
    hk_store_release(&f->sending, true);
}

static ssize_t end_send(hk_fd *f, ssize_t n)
{
    if (f->is_connection && is_loss(n))
        hk_store_relaxed(&f->broken, (int)n); /* relaxed: the next one publishes it */
    hk_store_release(&f->sending, false);     /* [fd:broken] release: broken */
    return n;
}

/* The end of a connection is only one if nobody was told otherwise, or is being told right now. */
static ssize_t end_recv(hk_fd *f, ssize_t n)
{
    if (!f->is_connection)
        return n;
    if (is_loss(n))
        hk_store_relaxed(&f->broken, (int)n);        /* relaxed: for this direction only */
    while (n == 0 && hk_load_acquire(&f->sending)) { /* [fd:broken] acquire: broken */
        int rc = hank_yield(); /* for no longer than a call that does not wait */
        if (rc < 0)
            return rc; /* the end can be read another time */
    }
    return n == 0 ? hk_load_relaxed(&f->broken) : n; /* relaxed: ordered by `sending` */
}

/* --- the loop ------------------------------------------------------------------------------ */

/* One attempt. *ret_dry: set if the next one would have to wait. */
typedef ssize_t attempt(hk_fd *f, const struct iovec *memory, bool *ret_dry);

static ssize_t until_done(hk_fd *f, hk_direction d, attempt *try_once, const struct iovec *memory)
{
    static const char *const why[2] = {[HK_IN] = "read", [HK_OUT] = "write"};
    for (;;) {
        if (!f->wait_first[d]) {
            bool is_dry = false;
            ssize_t n = try_once(f, memory, &is_dry);
            if (n != -EAGAIN) {
                f->wait_first[d] = is_dry;
                return n;
            }
        }
        /* Whatever ends this wait, the next thing to do is to try. */
        f->wait_first[d] = false;
        int rc = hk_fd_wait(f, d, why[d]);
        if (rc < 0)
            return rc;
    }
}

/* A call that did less than asked: the kernel has no more, unless the peer has hung up, whose news
 * may have come before this call and will not come again. */
static bool was_all(hk_fd *f, ssize_t n, const struct iovec *memory)
{
    /* relaxed: news that we do not see yet makes the source ready after this, and ends the next
     * wait */
    return n > 0 && (size_t)n < memory->iov_len && f->short_is_dry &&
           !hk_load_relaxed(&f->source->hung_up);
}

static size_t at_most(size_t n)
{
    return n < ATTEMPT_MAX_BYTES ? n : ATTEMPT_MAX_BYTES;
}

static ssize_t try_recv(hk_fd *f, const struct iovec *memory, bool *ret_dry)
{
    ssize_t n;
    if (hk_flow_answers(f->source) &&
        hk_flow_read(f->source, memory->iov_base, memory->iov_len, &n, ret_dry))
        return end_recv(f, n);
    n = hk_os_recv(f->fd, memory->iov_base, memory->iov_len, 0);
    *ret_dry = was_all(f, n, memory);
    return end_recv(f, n);
}

/* With the next batch of this worker's. False: there is none. */
static bool send_in_batch(hk_fd *f, const struct iovec *memory, ssize_t *ret_n)
{
    hk_reactor *r = hk_runtime_reactor();
    if (!r || !r->backend->send || memory->iov_len > BATCHED_MAX_BYTES)
        return false;
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING_FIRMLY); /* the kernel has our memory: no stop may end this */
    hk_send send = {w.ticket, f->fd, memory->iov_base, memory->iov_len, 0};
    if (r->backend->send(r, &send)) {
        (void)hk_park(&w, HK_FOREVER, "write"); /* the result is in send */
        *ret_n = send.result;
        return true;
    }
    (void)hk_park_abandon(&w); /* nobody knows of it */
    return false;
}

static ssize_t try_send(hk_fd *f, const struct iovec *memory, bool *ret_dry)
{
    ssize_t n;
    begin_send(f);
    if (!send_in_batch(f, memory, &n))
        n = hk_os_send(f->fd, memory->iov_base, memory->iov_len);
    *ret_dry = was_all(f, n, memory);
    return end_send(f, n);
}

/* A connection that broke while it stood in line is nobody's failure: take the next. The list is
 * accept(2)'s, which hands over network errors that are already pending on the new socket. */
static bool is_stillborn(ssize_t rc)
{
    switch (rc) {
    case -ECONNABORTED:
    case -EPROTO:
    case -ENOPROTOOPT:
    case -ENETDOWN:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -EHOSTUNREACH:
    case -ENONET: return true;
    default: return false;
    }
}

static ssize_t try_accept(hk_fd *f, const struct iovec *memory, bool *ret_dry)
{
    (void)memory;
    (void)ret_dry;
    int rc;
    if (hk_flow_answers(f->source) && hk_flow_accept(f->source, &rc))
        return rc;
    do
        rc = hk_os_accept(f->fd, NULL, NULL);
    while (is_stillborn(rc));
    return rc;
}

ssize_t hk_fd_recv(hk_fd *f, void *ret_buf, size_t n)
{
    return until_done(f, HK_IN, try_recv, &(struct iovec){ret_buf, at_most(n)});
}

ssize_t hk_fd_send(hk_fd *f, const void *buf, size_t n)
{
    struct iovec memory = {(void *)(uintptr_t)buf, at_most(n)};
    return until_done(f, HK_OUT, try_send, &memory);
}

int hk_fd_accept(hk_fd *f)
{
    return (int)until_done(f, HK_IN, try_accept, NULL);
}

ssize_t hk_fd_try(hk_fd *f, hk_direction d, hk_attempt *once, void *what)
{
    if (d == HK_IN)
        return end_recv(f, once(f->fd, what));
    begin_send(f);
    return end_send(f, once(f->fd, what));
}

ssize_t hk_fd_attempt(hk_fd *f, hk_direction d, hk_attempt *once, void *what)
{
    /* How much there was is not known here, so the next call has to look for itself. */
    f->wait_first[d] = false;
    for (;;) {
        ssize_t n = hk_fd_try(f, d, once, what);
        if (n != -EAGAIN)
            return n;
        int rc = hk_fd_wait(f, d, d == HK_IN ? "read" : "write");
        if (rc < 0)
            return rc;
    }
}

/* How a connection attempt that went on by itself has ended; -EINPROGRESS: not yet. */
static int connect_result(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    int rc = hk_os_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (rc < 0 || error != 0)
        return rc < 0 ? rc : -error;
    hk_address peer = {.length = sizeof peer.socket};
    rc = hk_os_getpeername(fd, &peer.socket.any, &peer.length);
    return rc == -ENOTCONN ? -EINPROGRESS : rc;
}

int hk_fd_connect(hk_fd *f, const hk_address *address)
{
    int rc = hk_os_connect(f->fd, &address->socket.any, address->length);
    while (rc == -EINPROGRESS) {
        rc = hk_fd_wait(f, HK_OUT, "connect");
        if (rc == 0)
            rc = connect_result(f->fd);
    }
    return rc;
}
