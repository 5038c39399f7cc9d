/* SPDX-License-Identifier: MIT */
/* writer.c - several parts in one call, and small writes held back to go together.
 *
 * A corked stream has a buffer of `high` bytes:
 *
 *     held + new <= high   copied, nothing is sent
 *     else                 held and new are sent in one call, until `low` or less are left; these
 *                          are copied
 *
 * So a writer waits as soon as the other end is more than `high` behind, and goes on when it is
 * `low` behind. hk_cork.bytes[start .. end) are held; owned by the writer, as the cork is. */
#include "io/stream.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "sched/park.h"

enum { HIGH_DEFAULT = 64 * 1024, HIGH_MAX = 1 << 30, WINDOW = 32, PARTS_MAX = 1024 };

typedef struct hk_cork {
    size_t high;
    size_t low;
    size_t start;
    size_t end;
    char bytes[];
} hk_cork;

/* What a caller wants to have written: parts[0 .. n), of which `skip` bytes of the first have gone,
 * and `left` in all are still to go. */
typedef struct gather {
    const struct iovec *parts;
    int n;
    size_t skip;
    size_t left;
} gather;

static size_t held(const hk_cork *c)
{
    return c ? c->end - c->start : 0;
}

void hk_cork_free(hk_cork *cork)
{
    if (cork)
        hk_free(cork, sizeof *cork + cork->high);
}

/* -EINVAL: not a list of parts, or more than a call can count. */
static int gather_begin(gather *g, const struct iovec *parts, int n)
{
    *g = (gather){.parts = parts, .n = n};
    if (n < 0 || n > PARTS_MAX || (n > 0 && !parts))
        return -EINVAL;
    for (int i = 0; i < n; i++) {
        if (parts[i].iov_len > (size_t)SSIZE_MAX - g->left)
            return -EINVAL;
        g->left += parts[i].iov_len;
    }
    return 0;
}

static void gather_skip(gather *g, size_t n)
{
    g->left -= n;
    g->skip += n;
    while (g->n > 0 && g->skip >= g->parts->iov_len) {
        g->skip -= g->parts->iov_len;
        g->parts++;
        g->n--;
    }
}

/* What to send next, held bytes first: the number of parts. */
static int window(const hk_cork *c, const gather *g, struct iovec ret_parts[WINDOW])
{
    int n = 0;
    if (held(c) > 0)
        ret_parts[n++] = (struct iovec){(char *)(uintptr_t)c->bytes + c->start, held(c)};
    for (int i = 0; i < g->n && n < WINDOW; i++) {
        size_t skip = i == 0 ? g->skip : 0;
        size_t left = g->parts[i].iov_len - skip;
        if (left > 0)
            ret_parts[n++] = (struct iovec){(char *)g->parts[i].iov_base + skip, left};
    }
    return n;
}

static ssize_t send_once(hank_stream *s, const hk_cork *c, const gather *g)
{
    struct iovec parts[WINDOW];
    int n = window(c, g, parts);
    if (n > 1 && s->kind->writev)
        return s->kind->writev(s, parts, n);
    return s->kind->write(s, parts[0].iov_base, parts[0].iov_len);
}

/* Send until at most `keep` bytes are left. */
static int push(hank_stream *s, gather *g, size_t keep)
{
    hk_cork *c = s->cork;
    int rc = 0;
    while (rc >= 0 && held(c) + g->left > keep) {
        ssize_t put = send_once(s, c, g);
        if (put < 0)
            return (int)put;
        size_t old = (size_t)put < held(c) ? (size_t)put : held(c);
        if (old > 0)
            c->start += old;
        gather_skip(g, (size_t)put - old);
        rc = held(c) + g->left > keep ? hk_checkpoint() : 0;
    }
    return rc;
}

/* Copy what is left behind what is held; it fits. */
static void hold(hk_cork *c, const gather *g)
{
    if (c->start == c->end)
        c->start = c->end = 0;
    if (c->end + g->left > c->high) {
        memmove(c->bytes, c->bytes + c->start, held(c));
        c->end -= c->start;
        c->start = 0;
    }
    for (int i = 0; i < g->n; i++) {
        size_t skip = i == 0 ? g->skip : 0;
        size_t n = g->parts[i].iov_len - skip;
        if (n > 0)
            memcpy(c->bytes + c->end, (const char *)g->parts[i].iov_base + skip, n);
        c->end += n;
    }
}

/* All of g is sent or held, or a failure. */
static int put(hank_stream *s, gather *g)
{
    hk_cork *c = s->cork;
    size_t all = g->left, high = c ? c->high : 0;
    int rc = held(c) + all > high ? push(s, g, c ? c->low : 0) : 0;
    bool begun = g->left < all;
    bool stopped = rc == -ECANCELED || rc == -ETIMEDOUT;
    if (c && (rc == 0 || (stopped && begun && held(c) + g->left <= high))) {
        hold(c, g); /* stopped when it was as good as done: the next call will say so */
        return 0;
    }
    if (rc < 0 && begun)
        s->torn = true; /* what followed would be read as the rest of this */
    return rc;
}

int hk_cork_write(hank_stream *s, const struct iovec *parts, int n)
{
    gather g;
    int rc = gather_begin(&g, parts, n);
    return rc < 0 ? rc : put(s, &g);
}

ssize_t hk_cork_try_write(hank_stream *s, const void *buf, size_t n)
{
    hk_cork *c = s->cork;
    size_t room = c->high - held(c), some = n < room ? n : room;
    struct iovec part = {(void *)(uintptr_t)buf, some};
    hold(c, &(gather){.parts = &part, .n = 1, .left = some});
    return some > 0 || n == 0 ? (ssize_t)some : -EAGAIN;
}

ssize_t hk_cork_write_some(hank_stream *s, const void *buf, size_t n)
{
    if (n <= s->cork->high - held(s->cork))
        return hk_cork_try_write(s, buf, n);
    int rc = hk_cork_flush(s);
    return rc < 0 ? rc : s->kind->write(s, buf, n);
}

int hk_cork_flush(hank_stream *s)
{
    gather nothing = {0};
    if (!s->cork)
        return 0;
    return s->torn ? -EPIPE : push(s, &nothing, 0);
}

/* --- the calls ------------------------------------------------------------------------------ */

int hank_writev(hank_stream *s, const struct iovec *parts, int n)
{
    gather g;
    int rc = gather_begin(&g, parts, n);
    if (rc == 0)
        rc = hk_stream_begin(s, HK_OUT);
    if (rc < 0)
        return rc;
    rc = s->torn ? -EPIPE : put(s, &g);
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}

int hank_cork(hank_stream *s, size_t high, size_t low)
{
    if (high == 0)
        high = HIGH_DEFAULT;
    if (low > high || high > HIGH_MAX)
        return -EINVAL;
    int rc = hk_fd_begin(&s->fd, HK_OUT);
    if (rc < 0)
        return rc;
    rc = s->cork ? -EALREADY : 0;
    hk_cork *c = rc == 0 ? hk_alloc(sizeof *c + high) : NULL;
    if (c) {
        *c = (hk_cork){.high = high, .low = low};
        s->cork = c;
    } else if (rc == 0) {
        rc = -ENOMEM;
    }
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}

ssize_t hank_stream_held(hank_stream *s)
{
    int rc = hk_fd_begin(&s->fd, HK_OUT);
    if (rc < 0)
        return rc;
    size_t count = held(s->cork);
    hk_fd_end(&s->fd, HK_OUT);
    return (ssize_t)count;
}

int hank_flush(hank_stream *s)
{
    int rc = hk_stream_begin(s, HK_OUT);
    if (rc < 0)
        return rc;
    rc = hk_cork_flush(s);
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}

int hank_uncork(hank_stream *s)
{
    int rc = hk_stream_begin(s, HK_OUT);
    if (rc < 0)
        return rc;
    rc = hk_cork_flush(s);
    if (rc == 0) {
        hk_cork_free(s->cork);
        s->cork = NULL;
    }
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}
