/* SPDX-License-Identifier: MIT */
/* stream.c - reading and writing, whole or by lines, whatever kind of stream it is.
 *
 * Nothing is buffered unless lines are read: hank_read() gives the kernel the caller's memory. A
 * line's end can only be found by reading too far, so lines come through `unread`, which is
 * allocated by the first hank_read_line() and which every other read empties first. What a failed
 * or stopped call has read stays there: nothing is lost. */
#include "io/stream.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sched/park.h"

/* Enough for the lines people write; grows by doubling, and shrinks back once it is empty. */
enum { UNREAD_BYTES = 2048, UNREAD_BYTES_MAX = HANK_LINE_MAX + 1 };

/* --- bytes that were read too far ---------------------------------------------------------- */

static size_t unread_count(const hk_unread *u)
{
    HK_DCHECK(u->start <= u->end && u->end <= u->size);
    return u->end - u->start;
}

static void unread_free(hk_unread *u)
{
    hk_free(u->bytes, u->size);
    *u = (hk_unread){0};
}

static void unread_take(hk_unread *u, void *ret_buf, size_t n)
{
    HK_DCHECK(n <= unread_count(u));
    if (n > 0)
        memcpy(ret_buf, u->bytes + u->start, n);
    u->start += (uint32_t)n;
    if (u->start == u->end)
        u->start = u->end = 0;
}

/* Make room for at least one more byte. 0; -ENOMEM, and nothing has changed. */
static int unread_make_room(hk_unread *u)
{
    if (u->end < u->size)
        return 0;
    if (u->start > 0) {
        memmove(u->bytes, u->bytes + u->start, u->end - u->start);
        u->end -= u->start;
        u->start = 0;
        return 0;
    }
    uint32_t size = u->size == 0 ? UNREAD_BYTES : u->size * 2;
    if (size > UNREAD_BYTES_MAX)
        size = UNREAD_BYTES_MAX;
    HK_CHECK(size > u->size); /* a longer line has been refused before */
    char *bytes = hk_alloc(size);
    if (!bytes)
        return -ENOMEM;
    size_t count = u->end;
    if (count > 0)
        memcpy(bytes, u->bytes, count);
    unread_free(u);
    *u = (hk_unread){.bytes = bytes, .end = (uint32_t)count, .size = size};
    return 0;
}

/* --- life ---------------------------------------------------------------------------------- */

static void stream_gone(hk_fd *f)
{
    hank_stream *s = hk_container_of(f, hank_stream, fd);
    if (s->kind->close)
        s->kind->close(s);
    unread_free(&s->unread);
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
    if (s)
        hk_fd_close(&s->fd);
}

/* Ask whether to stop, then take the direction. In this order: who is stopped finds out without
 * having been in the way of anybody. */
static int stream_begin(hank_stream *s, hk_direction d)
{
    int rc = hk_checkpoint();
    return rc < 0 ? rc : hk_fd_begin(&s->fd, d);
}

/* --- reading ------------------------------------------------------------------------------- */

/* The direction is taken. What was read too far comes first. */
static ssize_t read_some(hank_stream *s, void *ret_buf, size_t n)
{
    size_t count = unread_count(&s->unread);
    if (n == 0)
        return 0;
    if (count == 0)
        return s->kind->read(s, ret_buf, n);
    if (count > n)
        count = n;
    unread_take(&s->unread, ret_buf, count);
    if (unread_count(&s->unread) == 0)
        unread_free(&s->unread); /* the lines are over, it seems */
    return (ssize_t)count;
}

ssize_t hank_read(hank_stream *s, void *ret_buf, size_t n)
{
    int rc = stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    ssize_t got = read_some(s, ret_buf, n);
    hk_fd_end(&s->fd, HK_IN);
    return got;
}

int hank_read_exact(hank_stream *s, void *ret_buf, size_t n)
{
    int rc = stream_begin(s, HK_IN);
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

/* Move the first n unread bytes to the caller, as a string. */
static ssize_t hand_out_line(hk_unread *u, char *ret_buf, size_t n)
{
    if (n == 0)
        return 0;
    unread_take(u, ret_buf, n);
    ret_buf[n] = '\0';
    if (unread_count(u) == 0 && u->size > UNREAD_BYTES)
        unread_free(u); /* a long line was an exception: idle streams are small */
    return (ssize_t)n;
}

/* Read more bytes behind the unread ones. Their number, 0 at the end. */
static ssize_t read_ahead(hank_stream *s)
{
    hk_unread *u = &s->unread;
    int rc = unread_make_room(u);
    if (rc < 0)
        return rc;
    ssize_t got = s->kind->read(s, u->bytes + u->end, u->size - u->end);
    if (got > 0)
        u->end += (uint32_t)got;
    return got;
}

/* A line of at most `longest` bytes. Looks at every byte once, however slowly they come. */
static ssize_t read_line(hank_stream *s, char *ret_buf, size_t longest)
{
    hk_unread *u = &s->unread;
    size_t looked_at = 0;
    for (;;) {
        size_t count = unread_count(u);
        const char *first = count ? u->bytes + u->start : NULL;
        const char *newline =
            count > looked_at ? memchr(first + looked_at, '\n', count - looked_at) : NULL;
        size_t length = newline ? (size_t)(newline - first) + 1 : count;
        if (length > longest)
            return -EMSGSIZE;
        if (newline)
            return hand_out_line(u, ret_buf, length);
        looked_at = count;

        ssize_t got = read_ahead(s);
        if (got < 0)
            return got;
        if (got == 0)
            return hand_out_line(u, ret_buf, count);
    }
}

ssize_t hank_read_line(hank_stream *s, char *ret_buf, size_t n)
{
    if (n < 2)
        return -EINVAL;
    int rc = stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    ssize_t got = read_line(s, ret_buf, n - 1 < HANK_LINE_MAX ? n - 1 : HANK_LINE_MAX);
    hk_fd_end(&s->fd, HK_IN);
    return got;
}

/* --- writing ------------------------------------------------------------------------------- */

int hank_write(hank_stream *s, const void *buf, size_t n)
{
    int rc = stream_begin(s, HK_OUT);
    if (rc < 0)
        return rc;
    if (s->torn)
        rc = -EPIPE;
    size_t done = 0;
    while (rc >= 0 && done < n) {
        ssize_t put = s->kind->write(s, (const char *)buf + done, n - done);
        if (put > 0)
            done += (size_t)put;
        rc = put < 0 ? (int)put : done < n ? hk_checkpoint() : 0;
    }
    if (rc < 0 && done > 0)
        s->torn = true; /* what followed would be read as the rest of this */
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}

int hank_write_end(hank_stream *s)
{
    int rc = hk_fd_begin(&s->fd, HK_OUT);
    if (rc < 0)
        return rc;
    rc = s->kind->write_end(s);
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}
