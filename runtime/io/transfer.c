/* SPDX-License-Identifier: MIT */
/* transfer.c - bytes from a file to a stream or a file, through the program only if need be.
 *
 * sendfile(2) reads the disk, so a thread that may block makes the call; it says how far it got
 * when the socket is full, and the task waits for room. What the system cannot do by itself for
 * these two (a layer over a stream, a file without pages, two file systems) is read and written. */
#include "io/transfer.h"

#include <hank/file.h>
#include <hank/system.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/os.h"
#include "io/file.h"
#include "sched/park.h"

bool hk_is_unsuited(ssize_t rc)
{
    return rc == -EINVAL || rc == -ENOSYS || rc == -EOPNOTSUPP || rc == -EXDEV || rc == -EOVERFLOW;
}

int hk_stream_write_all(hank_stream *s, const char *buf, size_t n)
{
    int rc = 0;
    for (size_t done = 0; rc >= 0 && done < n;) {
        ssize_t put = s->kind->write(s, buf + done, n - done);
        if (put < 0)
            return (int)put;
        done += (size_t)put;
        rc = done < n ? hk_checkpoint() : 0;
    }
    return rc;
}

/* --- from a file to a stream ----------------------------------------------------------------- */

typedef struct transfer {
    hk_fd *socket;   /* of sendfile's */
    hank_file *file; /* the same as `from` */
    int to;
    int from;
    int64_t offset;
    int64_t to_offset;
    size_t n;
    char *buffer;
    ssize_t result;
} transfer;

static ssize_t try_sendfile(int fd, void *arg)
{
    const transfer *t = arg;
    return hk_os_sendfile(fd, t->from, t->offset, t->n);
}

static int do_sendfile(void *arg)
{
    transfer *t = arg;
    t->result = hk_fd_try(t->socket, HK_OUT, try_sendfile, t);
    return 0;
}

/* One round: 1..n, 0 at the end of the file. */
static ssize_t sendfile_once(hank_stream *s, transfer *t)
{
    for (;;) {
        int rc = hank_blocking(do_sendfile, t);
        if (rc < 0)
            return rc;
        if (t->result > 0)
            hk_stream_touch(s);
        if (t->result != -EAGAIN)
            return t->result;
        rc = hk_fd_wait(&s->fd, HK_OUT, "sendfile");
        if (rc < 0)
            return rc;
    }
}

static ssize_t copy_once(hank_stream *s, transfer *t)
{
    if (!t->buffer)
        t->buffer = hk_alloc(HK_CHUNK_BYTES);
    if (!t->buffer)
        return -ENOMEM;
    t->n = hk_at_most(t->n, HK_CHUNK_BYTES);
    ssize_t got = hk_file_read_held(t->file, t->buffer, t->n, t->offset);
    if (got <= 0)
        return got;
    int rc = hk_stream_write_all(s, t->buffer, (size_t)got);
    if (rc < 0)
        s->torn = true; /* what followed would be read as the rest of this */
    return rc < 0 ? rc : got;
}

/* The direction is taken, `f` is held. */
static ssize_t send_file(hank_stream *s, hank_file *f, int64_t offset, size_t n)
{
    transfer t = {.socket = &s->fd, .file = f, .from = f->fd.fd};
    bool directly = s->kind->direct;
    size_t done = 0;
    ssize_t put = 0;
    s->fd.wait_first[HK_OUT] = false; /* what others have seen is old */
    while (done < n) {
        t.offset = offset + (int64_t)done;
        t.n = hk_at_most(n - done, HK_ROUND_BYTES);
        put = directly ? sendfile_once(s, &t) : copy_once(s, &t);
        if (directly && hk_is_unsuited(put)) {
            directly = false;
            put = 0;
            continue;
        }
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    hk_free(t.buffer, HK_CHUNK_BYTES);
    if (put < 0 && done > 0)
        s->torn = true;
    return put < 0 ? put : (ssize_t)done;
}

ssize_t hank_sendfile(hank_stream *s, hank_file *f, int64_t offset, size_t n)
{
    if (offset < 0 || n > (size_t)SSIZE_MAX)
        return -EINVAL;
    int rc = hk_stream_begin(s, HK_OUT);
    if (rc < 0)
        return rc;
    ssize_t put = hk_fd_hold(&f->fd);
    if (put == 0) {
        put = s->torn ? -EPIPE : hk_cork_flush(s);
        if (put == 0)
            put = send_file(s, f, offset, n);
        hk_fd_release(&f->fd);
    }
    hk_fd_end(&s->fd, HK_OUT);
    return put;
}

/* --- from a file to a file ------------------------------------------------------------------- */

/* Through memory of the pool's thread. */
static ssize_t copy_chunk(transfer *t, size_t done)
{
    if (!t->buffer)
        t->buffer = hk_alloc(HK_CHUNK_BYTES);
    if (!t->buffer)
        return -ENOMEM;
    size_t n = hk_at_most(t->n - done, HK_CHUNK_BYTES);
    ssize_t got = hk_file_read_all(t->from, t->buffer, n, t->offset + (int64_t)done);
    if (got <= 0)
        return got;
    int rc = hk_file_write_all(t->to, t->buffer, (size_t)got, t->to_offset + (int64_t)done);
    return rc < 0 ? rc : got;
}

static int do_copy(void *arg)
{
    transfer *t = arg;
    bool directly = true;
    ssize_t got = 1;
    size_t done = 0;
    while (got > 0 && done < t->n) {
        size_t n = t->n - done;
        got = directly
                  ? hk_os_copy_range(t->from, t->offset + (int64_t)done, t->to,
                                     t->to_offset + (int64_t)done, hk_at_most(n, HK_ROUND_BYTES))
                  : copy_chunk(t, done);
        if (directly && (hk_is_unsuited(got) || (got == 0 && done == 0))) {
            directly =
                false; /* 0: files without a size, as in /proc, are copied as they are read */
            got = 1;
        } else if (got > 0) {
            done += (size_t)got;
        }
    }
    hk_free(t->buffer, HK_CHUNK_BYTES);
    t->result = got < 0 ? got : (ssize_t)done;
    return 0;
}

ssize_t hank_copy_range(hank_file *from, int64_t from_offset, hank_file *to, int64_t to_offset,
                        size_t n)
{
    if (from_offset < 0 || to_offset < 0 || n > (size_t)SSIZE_MAX)
        return -EINVAL;
    ssize_t rc = hk_fd_hold(&from->fd);
    if (rc < 0)
        return rc;
    rc = hk_fd_hold(&to->fd);
    if (rc == 0) {
        transfer t = {.from = from->fd.fd,
                      .offset = from_offset,
                      .to = to->fd.fd,
                      .to_offset = to_offset,
                      .n = n};
        rc = hank_blocking(do_copy, &t);
        rc = rc < 0 ? rc : t.result;
        hk_fd_release(&to->fd);
    }
    hk_fd_release(&from->fd);
    return rc;
}
