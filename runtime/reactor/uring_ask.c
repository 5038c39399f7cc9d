/* SPDX-License-Identifier: MIT */
/* uring_ask.c - what the kernel is asked for: to go on with a direction, to send, to stop.
 *
 * A request belongs to the thread that submits it: that thread carries it on, and if it is another
 * than the ring's owner, every message wakes both. So who arms a direction on another worker's ring
 * leaves word there (`wanted`) and interrupts; the owner asks when it next waits. A helper that
 * finds such a word asks for one event only, which is over with it.
 *
 *       who arms                    owner                          closer
 *       running                     [ under submitting:            next generation
 *       word in wanted                take the word                [ submitting: through it ]
 *       interrupt                     same generation? submit ]    cancel what was running
 *
 * Either the owner sees the next generation and asks for nothing, or its request is found by the
 * cancelling; never is a descriptor's number used after the close that frees it. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/fault.h"
#include "base/os.h"
#include "reactor/flow.h"
#include "reactor/uring.h"

enum {
    FEW_BUFFERS = HK_URING_BUFFERS / 8, /* in the ring: then who waits asks for one event only */
    DIRECTION_BITS = HK_WHAT_MASK,      /* of a word in `wanted`, in place of what is asked for */
};

/* --- to go on ------------------------------------------------------------------------------ */

static uint64_t label(const hk_source *s, unsigned what)
{
    uint64_t key = hk_source_key(s);
    return (key & ~(uint64_t)UINT32_MAX) | (uint64_t)(uint32_t)key << HK_WHAT_BITS | what;
}

static unsigned what_to_ask(hk_uring *u, const hk_source *s, hk_direction d, bool briefly)
{
    if (d == HK_OUT)
        return HK_WHAT_POLL_OUT;
    if (briefly || s->input == HK_INPUT_EVENTS)
        return HK_WHAT_POLL_IN;
    if (s->input == HK_INPUT_CONNECTIONS)
        return HK_WHAT_CONNECTIONS;
    /* relaxed: if wrong, only slower */
    return hk_load_relaxed(&u->filled) >= FEW_BUFFERS ? HK_WHAT_BYTES : HK_WHAT_POLL_IN;
}

/* `submitting` is held, the direction is said to be running. */
static int ask_to_go_on(hk_reactor *r, hk_source *s, hk_direction d, bool briefly)
{
    unsigned what = what_to_ask(r->uring, s, d, briefly);
    struct io_uring_sqe entry = {0};
    const unsigned events = POLLIN | POLLPRI | POLLRDHUP;
    switch (what) {
    case HK_WHAT_BYTES:
        io_uring_prep_recv_multishot(&entry, s->fd, NULL, 0, 0);
        io_uring_sqe_set_flags(&entry, IOSQE_BUFFER_SELECT);
        entry.ioprio |= IORING_RECVSEND_POLL_FIRST;
        break;
    case HK_WHAT_CONNECTIONS:
        io_uring_prep_multishot_accept(&entry, s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
    case HK_WHAT_POLL_IN:
        if (s->input == HK_INPUT_EVENTS && !briefly)
            io_uring_prep_poll_multishot(&entry, s->fd, events);
        else
            io_uring_prep_poll_add(&entry, s->fd, events);
        break;
    default: io_uring_prep_poll_add(&entry, s->fd, POLLOUT); break;
    }
    io_uring_sqe_set_data64(&entry, label(s, what));
    s->asked[d] = (uint8_t)what;
    return hk_rings_ask(r->rings, &entry);
}

static bool is_owner(hk_reactor *r)
{
    /* relaxed: if it is us, we wrote it */
    return hk_load_relaxed(&r->owner) == (uintptr_t)hk_os_thread_self();
}

static bool leave_word(hk_reactor *r, const hk_source *s, hk_direction d)
{
    hk_uring *u = r->uring;
    hk_rings_lock(r->rings);
    uint32_t n = hk_load_relaxed(&u->wanted_n); /* written under our lock */
    bool has_room = n < HK_URING_WANTED;
    if (has_room) {
        u->wanted[n] = label(s, d);
        hk_store_relaxed(&u->wanted_n, n + 1);
    }
    hk_rings_unlock(r->rings);
    return has_room;
}

int hk_uring_arm(hk_reactor *r, hk_source *s, hk_direction d)
{
    int rc = hk_flow_arm(s, d, r);
    if (rc != 0)
        return rc == HK_FLOW_RUNS ? 0 : rc;
    if (!is_owner(r) && leave_word(r, s, d)) {
        hk_reactor_interrupt(r);
        return 0;
    }
    hk_rings_lock(r->rings);
    rc = ask_to_go_on(r, s, d, false);
    hk_rings_unlock(r->rings);
    if (rc < 0)
        hk_flow_ended(hk_source_key(s), d, 0);
    return rc;
}

/* One word of `wanted`. `submitting` is held. */
static void ask_as_wanted(hk_reactor *r, uint64_t word, hk_ready *ready, int *n)
{
    uint64_t key = hk_uring_key(word);
    hk_direction d = (hk_direction)(word & DIRECTION_BITS);
    hk_source *s = hk_source_at((uint32_t)key);
    /* [flow:word] acquire: who armed it. Closed since: that generation is over. */
    if (!s || hk_load_acquire(&s->flow[d].word) >> HK_FLOW_GENERATION_SHIFT != key >> 32)
        return;
    if (ask_to_go_on(r, s, d, !is_owner(r)) == 0)
        return;
    hk_flow_ended(key, d, 0); /* whoever waits tries again, and is told if that fails too */
    hk_source_event(key, d == HK_IN ? HK_EVENT_IN : HK_EVENT_OUT, ready, n);
}

void hk_uring_ask_wanted(hk_reactor *r, hk_ready *ready, int max, int *n)
{
    hk_uring *u = r->uring;
    if (hk_load_relaxed(&u->wanted_n) == 0) /* relaxed: an interrupt follows the word */
        return;
    hk_rings_lock(r->rings);
    uint32_t left = hk_load_relaxed(&u->wanted_n); /* written under our lock */
    while (left > 0 && *n < max)
        ask_as_wanted(r, u->wanted[--left], ready, n);
    hk_store_relaxed(&u->wanted_n, left);
    hk_rings_unlock(r->rings);
}

int hk_uring_watch_wake(hk_reactor *r)
{
    struct io_uring_sqe entry = {0};
    io_uring_prep_poll_multishot(&entry, r->wake_fd, POLLIN);
    io_uring_sqe_set_data64(&entry, HK_WHAT_WAKE);
    hk_rings_lock(r->rings);
    int rc = hk_rings_ask(r->rings, &entry);
    hk_rings_unlock(r->rings);
    return rc;
}

/* --- to send ------------------------------------------------------------------------------- */

bool hk_uring_send(hk_reactor *r, hk_send *send)
{
    if (hk_fault_is_planned(HK_FAULT_SEND))
        return false;
    hk_rings_lock(r->rings);
    struct io_uring_sqe *entry = hk_rings_free_entry(r->rings);
    if (entry) {
        io_uring_prep_send(entry, send->fd, send->bytes, send->n, MSG_DONTWAIT | MSG_NOSIGNAL);
        io_uring_sqe_set_data64(entry, (uint64_t)(uintptr_t)send);
        hk_rings_push(r->rings);
    }
    hk_rings_unlock(r->rings);
    return entry != NULL;
}

/* --- to stop ------------------------------------------------------------------------------- */

/* Cancelled is what is found; what is not has ended, and its completion is on its way. Then the
 * owner's thread lets go of the file, the next time it enters the kernel. */
void hk_uring_cancel(hk_reactor *r, uint64_t name)
{
    struct io_uring_sync_cancel_reg what = {
        .addr = name, .fd = -1, .timeout = {.tv_sec = -1, .tv_nsec = -1}};
    int rc = hk_os_uring_cancel(&r->rings->liburing, &what);
    if (rc == 0 || rc == -ENOENT)
        return;
    /* Not to be had at the moment: the long way. If that fails too, the request lives until there
     * is something for it or its ring is closed, and its completion is thrown away. */
    hk_rings_lock(r->rings);
    hk_rings_ask_to_cancel(r->rings, name);
    hk_rings_unlock(r->rings);
}

/* A request holds the file: until it ends a peer does not see us go, and the port of a listener
 * stays taken. So it is ended now. */
static void stop_direction(hk_source *s, hk_direction d)
{
    hk_reactor *r = s->flow[d].at;
    hk_rings_lock(r->rings); /* whoever was about to submit it has, or sees that it is over */
    uint64_t name = label(s, s->asked[d]);
    hk_rings_unlock(r->rings);
    if (s->asked[d] == HK_WHAT_CONNECTIONS)
        (void)hk_os_shutdown(s->fd, SHUT_RDWR); /* at once; what it says changes nothing */
    hk_uring_cancel(r, name);
    hk_rings_nudge(r->rings);
}

void hk_uring_forget(hk_reactor *unused, hk_source *s)
{
    (void)unused;
    for (int d = HK_IN; d <= HK_OUT; d++)
        if (hk_flow_close(s, (hk_direction)d))
            stop_direction(s, (hk_direction)d);
}
