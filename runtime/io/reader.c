/* SPDX-License-Identifier: MIT */
/* reader.c - reading up to a mark: lines, separators; dropping up to one; looking without taking.
 *
 * All of them search the bytes in `unread` and read more behind them until they find what they
 * look for. What a failed or stopped call has read stays there: nothing is lost. */
#include "io/stream.h"

#include <hank/lines.h>

#include <errno.h>
#include <string.h>

#include "sched/park.h"

/* What to look for. */
typedef struct search {
    const hank_separator *separators;
    size_t n;
    size_t longest; /* bytes, the separator included */
    size_t margin;  /* the longest separator, less one: so much may be looked at twice */
} search;

/* Move the first n unread bytes to the caller, as a string. */
static ssize_t hand_out(hk_unread *u, char *ret_buf, size_t n)
{
    if (n == 0)
        return 0;
    hk_unread_take(u, ret_buf, n);
    ret_buf[n] = '\0';
    if (hk_unread_count(u) == 0 && u->size > HK_UNREAD_BYTES)
        hk_unread_free(u); /* a long line was an exception: idle streams are small */
    return (ssize_t)n;
}

/* Read more bytes behind the unread ones. Their number, 0 at the end. */
static ssize_t read_ahead(hank_stream *s)
{
    hk_unread *u = &s->unread;
    int rc = hk_unread_make_room(u);
    if (rc < 0)
        return rc;
    ssize_t got = s->kind->read(s, u->bytes + u->end, u->size - u->end);
    if (got > 0)
        u->end += (uint32_t)got;
    return got;
}

/* Where the separator that ends first ends, in bytes[from .. n); 0: there is none. */
static size_t first_end(const search *what, const char *bytes, size_t from, size_t n)
{
    size_t best = 0;
    for (size_t i = 0; i < what->n && from < n; i++) {
        const hank_separator *separator = &what->separators[i];
        const char *at = memmem(bytes + from, n - from, separator->bytes, separator->size);
        if (!at)
            continue;
        best = n = (size_t)(at - bytes) + separator->size; /* later ones do not matter any more */
    }
    return best;
}

/* Wait for a separator. >= 0: *ret_length bytes may be taken, and it ends there if the result is 1;
 * 0: the stream has ended before. Looks at hardly any byte twice, however slowly they come. */
static int find(hank_stream *s, const search *what, size_t *ret_length)
{
    hk_unread *u = &s->unread;
    size_t looked_at = 0;
    for (;;) {
        size_t count = hk_unread_count(u);
        size_t from = looked_at > what->margin ? looked_at - what->margin : 0;
        size_t end = count > 0 ? first_end(what, u->bytes + u->start, from, count) : 0;
        *ret_length = end > 0 ? end : count;
        if (*ret_length > what->longest)
            return -EMSGSIZE;
        if (end > 0)
            return 1;
        looked_at = count;
        ssize_t got = read_ahead(s);
        if (got <= 0)
            return (int)got;
    }
}

static size_t at_most(size_t room, const hank_stream *s)
{
    size_t limit = hk_unread_limit(&s->unread);
    return room < limit ? room : limit;
}

ssize_t hank_read_line(hank_stream *s, char *ret_buf, size_t n)
{
    static const hank_separator newline = {"\n", 1};
    size_t length;
    if (n < 2)
        return -EINVAL;
    int rc = hk_stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    search what = {.separators = &newline, .n = 1, .longest = at_most(n - 1, s)};
    rc = find(s, &what, &length);
    ssize_t got = rc < 0 ? rc : hand_out(&s->unread, ret_buf, length);
    hk_fd_end(&s->fd, HK_IN);
    return got;
}

/* The margin for these separators, or -EINVAL. */
static int check_separators(const hank_separator *separators, size_t n)
{
    size_t longest = 0;
    if (n == 0 || n > HANK_SEPARATORS_MAX || !separators)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        const hank_separator *one = &separators[i];
        if (!one->bytes || one->size == 0 || one->size > HANK_LINE_MAX)
            return -EINVAL;
        if (one->size > longest)
            longest = one->size;
    }
    return (int)longest - 1;
}

ssize_t hank_read_until_any(hank_stream *s, char *ret_buf, size_t n,
                            const hank_separator *separators, size_t count)
{
    size_t length;
    int margin = check_separators(separators, count);
    if (margin < 0 || n < 2)
        return -EINVAL;
    int rc = hk_stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    search what = {.separators = separators,
                   .n = count,
                   .longest = at_most(n - 1, s),
                   .margin = (size_t)margin};
    rc = find(s, &what, &length);
    if (rc == 0 && length > 0)
        rc = -EPIPE; /* the rest is no message */
    ssize_t got = rc < 0 ? rc : hand_out(&s->unread, ret_buf, length);
    hk_fd_end(&s->fd, HK_IN);
    return got;
}

ssize_t hank_read_until(hank_stream *s, char *ret_buf, size_t n, const char *separator)
{
    if (!separator)
        return -EINVAL;
    hank_separator one = {separator, strlen(separator)};
    return hank_read_until_any(s, ret_buf, n, &one, 1);
}

/* Drop up to and including a separator, or to the end. Between two calls only that is kept which a
 * separator may begin with, so the buffer never grows. */
static ssize_t skip(hank_stream *s, const search *what)
{
    hk_unread *u = &s->unread;
    ssize_t dropped = 0, got;
    do {
        size_t count = hk_unread_count(u);
        size_t end = count > 0 ? first_end(what, u->bytes + u->start, 0, count) : 0;
        size_t past = count > what->margin ? count - what->margin : 0;
        hk_unread_drop(u, end > 0 ? end : past);
        dropped += (ssize_t)(end > 0 ? end : past);
        if (end > 0)
            return dropped;
        got = hk_checkpoint(); /* a fast sender must not own the worker */
        if (got == 0)
            got = read_ahead(s);
    } while (got > 0);
    if (got < 0)
        return got;
    dropped += (ssize_t)hk_unread_count(u);
    hk_unread_drop(u, hk_unread_count(u));
    return dropped;
}

ssize_t hank_skip_until(hank_stream *s, const char *separator)
{
    hk_unread *u = &s->unread;
    if (!separator)
        return -EINVAL;
    hank_separator one = {separator, strlen(separator)};
    int margin = check_separators(&one, 1);
    if (margin < 0)
        return margin;
    int rc = hk_stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    search what = {.separators = &one, .n = 1, .margin = (size_t)margin};
    ssize_t dropped = one.size > hk_unread_limit(u) ? -EMSGSIZE : skip(s, &what);
    if (hk_unread_count(u) == 0 && u->size > HK_UNREAD_BYTES)
        hk_unread_free(u); /* as after a long line */
    hk_fd_end(&s->fd, HK_IN);
    return dropped;
}

ssize_t hank_stream_unread(hank_stream *s)
{
    int rc = hk_fd_begin(&s->fd, HK_IN);
    if (rc < 0)
        return rc;
    size_t count = hk_unread_count(&s->unread);
    hk_fd_end(&s->fd, HK_IN);
    return (ssize_t)count;
}

ssize_t hank_peek(hank_stream *s, void *ret_buf, size_t n)
{
    hk_unread *u = &s->unread;
    int rc = hk_stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    ssize_t got = n > hk_unread_limit(u) ? -EMSGSIZE : 1;
    while (got > 0 && hk_unread_count(u) < n)
        got = read_ahead(s);
    if (got >= 0) {
        size_t count = hk_unread_count(u);
        got = (ssize_t)(count < n ? count : n);
        if (got > 0)
            memcpy(ret_buf, u->bytes + u->start, (size_t)got);
    }
    hk_fd_end(&s->fd, HK_IN);
    return got;
}

int hank_stream_set_limit(hank_stream *s, size_t bytes)
{
    if (bytes > HANK_LIMIT_MAX)
        return -EINVAL;
    int rc = hk_fd_begin(&s->fd, HK_IN);
    if (rc < 0)
        return rc;
    s->unread.limit = (uint32_t)bytes;
    hk_fd_end(&s->fd, HK_IN);
    return 0;
}
