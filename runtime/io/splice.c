/* SPDX-License-Identifier: MIT */
/* splice.c - bytes from a stream to a stream.
 *
 * splice(2) moves them if one of the two is a pipe, so between two sockets there is a pipe of our
 * own, from the first time that a whole buffer comes at once. Why, and what it gains, is in
 * docs/decisions/0015-copying-through-the-kernel.md. */
#include <hank/file.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "io/stream.h"
#include "io/transfer.h"
#include "reactor/flow.h"
#include "sched/park.h"
#include "sched/runtime.h"

/* splice(2) says that it would have to wait, not for which of the two. */
static int wait_for_either(hank_stream *from, hank_stream *to)
{
    struct pollfd both[2] = {{.fd = from->fd.fd, .events = POLLIN},
                             {.fd = to->fd.fd, .events = POLLOUT}};
    int rc = hk_os_poll(both, 2, 0);
    if (rc < 0 && rc != -EINTR)
        return rc;
    if (rc >= 0 && both[0].revents == 0)
        return hk_fd_wait(&from->fd, HK_IN, "splice");
    if (rc >= 0 && both[1].revents == 0)
        return hk_fd_wait(&to->fd, HK_OUT, "splice");
    return hk_checkpoint(); /* both are, by now */
}

typedef struct splicing {
    int from, to;
    size_t n;
} splicing;

static ssize_t try_splice(int fd, void *arg)
{
    const splicing *p = arg;
    (void)fd; /* one of the two */
    return hk_os_splice(p->from, p->to, p->n);
}

/* One of the two is a pipe, so a connection that is lost is the other. */
static ssize_t splice_once(hank_stream *from, hank_stream *to, size_t n)
{
    splicing all = {from->fd.fd, to->fd.fd, n};
    bool reads = to->kind == &hk_stream_pipe;
    /* What others have seen is old. */
    from->fd.wait_first[HK_IN] = to->fd.wait_first[HK_OUT] = false;
    for (;;) {
        ssize_t moved = reads ? hk_fd_try(&from->fd, HK_IN, try_splice, &all)
                              : hk_fd_try(&to->fd, HK_OUT, try_splice, &all);
        if (moved > 0) {
            hk_stream_touch(from);
            hk_stream_touch(to);
        }
        if (moved != -EAGAIN)
            return moved;
        int rc = wait_for_either(from, to);
        if (rc < 0)
            return rc;
    }
}

/* Through the program: what was read too far, then what comes. */
static ssize_t pass_once(hank_stream *from, hank_stream *to, char *buffer, size_t n)
{
    size_t unread = hk_unread_count(&from->unread);
    ssize_t got = (ssize_t)hk_at_most(hk_at_most(n, HK_CHUNK_BYTES), unread);
    if (unread > 0)
        hk_unread_take(&from->unread, buffer, (size_t)got);
    else
        got = from->kind->read(from, buffer, hk_at_most(n, HK_CHUNK_BYTES));
    if (got <= 0)
        return got;
    int rc = hk_stream_write_all(to, buffer, (size_t)got);
    if (rc < 0)
        to->torn = true;
    return rc < 0 ? rc : got;
}

/* May the reactor have taken bytes ahead of being asked, or take some while we wait? */
static bool is_taken_ahead(const hank_stream *s)
{
    const hk_reactor *r = hk_runtime_reactor();
    return s->fd.source->input != HK_INPUT_EVENTS &&
           (!r || r->backend->arm || hk_flow_answers(s->fd.source));
}

/* A way for bytes; both its directions are taken.
 * direct  splice(2) may do it alone; whoever learns that it cannot clears it, as the next
 * relays  there may be a pipe between the two
 * pipe    ours, from -1 on; empty but within a relay
 * buffer  NULL until something passes through the program */
typedef struct route {
    hank_stream *from, *to;
    bool direct;
    bool relays;
    int pipe[2];
    char *buffer;
} route;

enum { PIPE_BYTES = 256 * 1024 };

static void route_begin(route *r, hank_stream *from, hank_stream *to)
{
    bool plain = from->kind->direct && to->kind->direct && !is_taken_ahead(from);
    *r = (route){.from = from, .to = to, .pipe = {-1, -1}};
    r->direct = plain && (from->kind == &hk_stream_pipe || to->kind == &hk_stream_pipe);
    r->relays = plain && !r->direct;
}

static void close_pipe(route *r)
{
    for (int i = 0; i < 2; i++)
        if (r->pipe[i] >= 0)
            (void)hk_os_close(r->pipe[i]); /* a pipe has nothing to tell */
    r->pipe[0] = r->pipe[1] = -1;
}

static void route_end(route *r)
{
    close_pipe(r);
    hk_free(r->buffer, HK_CHUNK_BYTES);
}

/* What is in the pipe, through the program. */
static int empty_pipe(route *r, size_t n)
{
    int rc = 0;
    while (rc >= 0 && n > 0) {
        ssize_t got = hk_os_read(r->pipe[0], r->buffer, hk_at_most(n, HK_CHUNK_BYTES));
        if (got <= 0)
            return got < 0 ? (int)got : -EIO; /* nobody else reads it */
        n -= (size_t)got;
        rc = hk_stream_write_all(r->to, r->buffer, (size_t)got);
    }
    return rc;
}

/* n bytes are in the pipe. */
static int relay_out(route *r, size_t n)
{
    while (n > 0) {
        splicing out = {r->pipe[0], r->to->fd.fd, n};
        ssize_t put = hk_fd_attempt(&r->to->fd, HK_OUT, try_splice, &out);
        if (hk_is_unsuited(put)) {
            r->relays = false;
            return empty_pipe(r, n);
        }
        if (put < 0)
            return (int)put;
        hk_stream_touch(r->to);
        n -= (size_t)put;
    }
    return 0;
}

static ssize_t relay_once(route *r, size_t n)
{
    splicing in = {r->from->fd.fd, r->pipe[1], hk_at_most(n, PIPE_BYTES)};
    ssize_t got = hk_fd_attempt(&r->from->fd, HK_IN, try_splice, &in);
    if (got <= 0)
        return got;
    hk_stream_touch(r->from);
    int rc = relay_out(r, (size_t)got);
    if (rc < 0)
        r->to->torn = true; /* what followed would be read as what is lost with the pipe */
    return rc < 0 ? rc : got;
}

/* Past the program; -ENOSYS: not this time. */
static ssize_t move_past(route *r, size_t n)
{
    if (!r->direct && r->pipe[0] < 0)
        return -ENOSYS;
    ssize_t moved =
        r->direct ? splice_once(r->from, r->to, hk_at_most(n, HK_ROUND_BYTES)) : relay_once(r, n);
    if (hk_is_unsuited(moved))
        r->direct = r->relays = false;
    if (!r->relays)
        close_pipe(r);
    return moved;
}

/* A pipe for what comes in bulk. A process that may have no more descriptors, or no more memory in
 * pipes, does without. */
static void open_pipe(route *r)
{
    int both[2];
    r->relays = hk_os_pipe_with(both, PIPE_BYTES) == 0;
    if (r->relays)
        memcpy(r->pipe, both, sizeof both);
}

/* The next bytes, by the quickest way there is. 0: the end. */
static ssize_t move_once(route *r, size_t n)
{
    ssize_t moved = hk_unread_count(&r->from->unread) > 0 ? -ENOSYS : move_past(r, n);
    if (!hk_is_unsuited(moved))
        return moved;
    if (!r->buffer)
        r->buffer = hk_alloc(HK_CHUNK_BYTES);
    if (!r->buffer)
        return -ENOMEM;
    moved = pass_once(r->from, r->to, r->buffer, n);
    if (moved == HK_CHUNK_BYTES && r->relays && r->pipe[0] < 0)
        open_pipe(r);
    return moved;
}

static ssize_t splice_all(hank_stream *from, hank_stream *to, size_t n)
{
    route r;
    size_t done = 0;
    ssize_t moved = 1;
    route_begin(&r, from, to);
    while (moved > 0 && done < n) {
        moved = move_once(&r, n - done);
        if (moved > 0)
            done += (size_t)moved;
        int rc = moved > 0 && done < n ? hk_checkpoint() : 0;
        moved = rc < 0 ? rc : moved;
    }
    route_end(&r);
    return moved < 0 ? moved : (ssize_t)done;
}

ssize_t hank_splice(hank_stream *from, hank_stream *to, size_t n)
{
    if (n > (size_t)SSIZE_MAX)
        return -EINVAL;
    ssize_t moved = hk_stream_begin(from, HK_IN);
    if (moved < 0)
        return moved;
    moved = hk_fd_begin(&to->fd, HK_OUT);
    if (moved == 0) {
        moved = to->torn ? -EPIPE : hk_cork_flush(to);
        if (moved == 0)
            moved = splice_all(from, to, n);
        hk_fd_end(&to->fd, HK_OUT);
    }
    hk_fd_end(&from->fd, HK_IN);
    return moved;
}
