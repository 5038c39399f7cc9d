/* SPDX-License-Identifier: MIT */
/* stream.c - reading and writing whatever kind of stream it is.
 *
 * Nothing is buffered unless lines are read or the stream is corked: hank_read() and hank_write()
 * give the kernel the caller's memory. Lines come through `unread` (reader.c), which every other
 * read empties first. */
#include "io/stream.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sched/park.h"

/* --- life ---------------------------------------------------------------------------------- */

static void stream_gone(hk_fd *f)
{
    hank_stream *s = hk_container_of(f, hank_stream, fd);
    if (s->kind->close)
        s->kind->close(s);
    hk_cork_free(s->cork);
    hk_unread_free(&s->unread);
    hk_free(s, s->kind->bytes);
}

hank_stream *hk_stream_new(const hk_stream_kind *kind)
{
    hank_stream *s = hk_alloc_zeroed(kind->bytes);
    if (!s)
        return NULL;
    if (hk_fd_init(&s->fd, stream_gone) < 0) {
        hk_free(s, kind->bytes);
        return NULL;
    }
    s->kind = kind;
    return s;
}

void hank_close(hank_stream *s)
{
    if (!s)
        return;
    if (s->kind->closing)
        s->kind->closing(s, true);
    hk_fd_close(&s->fd);
}

int hk_stream_begin(hank_stream *s, hk_direction d)
{
    int rc = hk_checkpoint();
    return rc < 0 ? rc : hk_fd_begin(&s->fd, d);
}

/* --- reading ------------------------------------------------------------------------------- */

/* The direction is taken. What was read too far comes first. */
static ssize_t read_some(hank_stream *s, void *ret_buf, size_t n)
{
    size_t count = hk_unread_count(&s->unread);
    if (n == 0)
        return 0;
    if (count == 0)
        return s->kind->read(s, ret_buf, n);
    if (count > n)
        count = n;
    hk_unread_take(&s->unread, ret_buf, count);
    if (hk_unread_count(&s->unread) == 0)
        hk_unread_free(&s->unread); /* the lines are over, it seems */
    return (ssize_t)count;
}

ssize_t hank_read(hank_stream *s, void *ret_buf, size_t n)
{
    int rc = hk_stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    ssize_t got = read_some(s, ret_buf, n);
    hk_fd_end(&s->fd, HK_IN);
    return got;
}

int hank_read_exact(hank_stream *s, void *ret_buf, size_t n)
{
    int rc = hk_stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    size_t done = 0;
    while (rc >= 0 && done < n) {
        ssize_t got = read_some(s, (char *)ret_buf + done, n - done);
        if (got > 0)
            done += (size_t)got;
        /* A fast sender must not own the worker: ask between parts too. */
        rc = got < 0 ? (int)got : got == 0 ? -EPIPE : done < n ? hk_checkpoint() : 0;
    }
    hk_fd_end(&s->fd, HK_IN);
    return rc;
}

/* --- writing ------------------------------------------------------------------------------- */

static int write_all(hank_stream *s, const void *buf, size_t n)
{
    int rc = 0;
    size_t done = 0;
    while (rc >= 0 && done < n) {
        ssize_t put = s->kind->write(s, (const char *)buf + done, n - done);
        if (put > 0)
            done += (size_t)put;
        rc = put < 0 ? (int)put : done < n ? hk_checkpoint() : 0;
    }
    if (rc < 0 && done > 0)
        s->torn = true; /* what followed would be read as the rest of this */
    return rc;
}

int hank_write(hank_stream *s, const void *buf, size_t n)
{
    int rc = hk_stream_begin(s, HK_OUT);
    if (rc < 0)
        return rc;
    struct iovec part = {(void *)(uintptr_t)buf, n};
    if (s->torn)
        rc = -EPIPE;
    else if (HK_UNLIKELY(s->cork != NULL))
        rc = hk_cork_write(s, &part, 1);
    else
        rc = write_all(s, buf, n);
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}

ssize_t hank_write_some(hank_stream *s, const void *buf, size_t n)
{
    int rc = hk_stream_begin(s, HK_OUT);
    if (rc < 0)
        return rc;
    ssize_t put = s->torn ? -EPIPE : 0;
    if (put == 0 && n > 0)
        put = s->cork ? hk_cork_write_some(s, buf, n) : s->kind->write(s, buf, n);
    hk_fd_end(&s->fd, HK_OUT);
    return put;
}

int hank_write_end(hank_stream *s)
{
    int rc = hk_fd_begin(&s->fd, HK_OUT);
    if (rc < 0)
        return rc;
    rc = hk_cork_flush(s);
    if (rc == 0)
        rc = s->kind->write_end(s);
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}
