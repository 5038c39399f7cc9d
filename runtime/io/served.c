/* SPDX-License-Identifier: MIT */
/* served.c - the kind of stream that servers hand to their handlers. */
#include "io/served.h"

#include <hank/base.h>
#include <hank/server.h>

#include <errno.h>

#include "base/os.h"
#include "io/layer.h"
#include "sched/park.h"

static hk_served *of(hank_stream *s)
{
    return hk_container_of(s, hk_served, stream);
}

static void served_touch(hank_stream *s)
{
    hk_served *c = of(s);
    if (c->idle_ns > 0)
        hk_store_relaxed(&c->touched, hank_now());
}

static ssize_t served_ended(hank_stream *s, hk_direction d, ssize_t rc)
{
    const hk_served *c = of(s);
    int ended = hk_load_relaxed(&c->ended);
    bool stopped = rc == -ECANCELED || rc == -ETIMEDOUT;
    if (d == HK_OUT && hk_load_relaxed(&c->deaf))
        return rc;
    if (ended)
        return ended;
    return !stopped && hk_load_relaxed(&c->closed) ? (d == HK_IN ? 0 : -EPIPE) : rc;
}

/* What a call of the handler answers. */
static ssize_t answer(hank_stream *s, hk_direction d, ssize_t done)
{
    if (done <= 0)
        return served_ended(s, d, done);
    served_touch(s);
    return done;
}

static ssize_t served_read(hank_stream *s, void *ret_buf, size_t n)
{
    int ended = hk_load_relaxed(&of(s)->ended);
    return ended ? ended : answer(s, HK_IN, hk_stream_socket.read(s, ret_buf, n));
}

static ssize_t served_write(hank_stream *s, const void *buf, size_t n)
{
    return answer(s, HK_OUT, hk_stream_socket.write(s, buf, n));
}

static ssize_t served_writev(hank_stream *s, const struct iovec *parts, int n)
{
    return answer(s, HK_OUT, hk_stream_socket.writev(s, parts, n));
}

static ssize_t served_try_write(hank_stream *s, const void *buf, size_t n)
{
    return hk_stream_socket.try_write(s, buf, n);
}

static int served_write_end(hank_stream *s)
{
    return hk_stream_socket.write_end(s);
}

static void served_abort(hank_stream *s)
{
    hk_stream_socket.abort(s);
}

const hk_stream_kind hk_stream_served = {
    .bytes = sizeof(hk_served),
    .direct = true,
    .touch = served_touch,
    .read = served_read,
    .write = served_write,
    .writev = served_writev,
    .write_end = served_write_end,
    .try_write = served_try_write,
    .abort = served_abort,
    .ended = served_ended,
};

/* --- deadlines and ends ---------------------------------------------------------------------- */

static int64_t later(int64_t now, int64_t ns)
{
    return ns > 0 && ns < HK_FOREVER - now ? now + ns : HK_FOREVER;
}

void hk_served_begin(hk_served *c, struct hank_server *v, int64_t header_ns, int64_t idle_ns)
{
    int64_t now = header_ns > 0 || idle_ns > 0 ? hank_now() : 0;
    c->server = v;
    c->header_ns = header_ns;
    c->idle_ns = idle_ns;
    hk_store_relaxed(&c->touched, now);
    hk_store_relaxed(&c->header_until, later(now, header_ns));
}

void hk_served_end(hk_served *c, hk_how_to_end how, int code)
{
    int fd = c->stream.fd.fd;
    if (hk_load_relaxed(&c->ended) && how == HK_END_READING)
        return;
    if (how == HK_END_BOTH)
        hk_layers_farewell(c->top);
    hk_store_relaxed(&c->deaf, how == HK_END_READING);
    hk_store_relaxed(&c->closed, code == 0);
    hk_store_relaxed(&c->ended, code);
    /* What fails here has been ended by the other side. */
    if (how != HK_END_BROKEN) {
        (void)hk_os_shutdown(fd, how == HK_END_READING ? SHUT_RD : SHUT_RDWR);
        return;
    }
    /* A connection is broken at once by connecting it to nowhere; a Unix socket knows no resets. */
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    if (hk_os_connect(fd, &nowhere, sizeof nowhere) < 0)
        (void)hk_os_shutdown(fd, SHUT_RDWR);
}

int64_t hk_served_look(hk_served *c, int64_t now)
{
    int64_t header = hk_load_relaxed(&c->header_until);
    int64_t idle = later(hk_load_relaxed(&c->touched), c->idle_ns);
    bool deaf = hk_load_relaxed(&c->deaf);
    if (hk_load_relaxed(&c->ended) && !deaf)
        return HK_FOREVER;
    if (idle <= now) {
        hk_served_end(c, HK_END_BOTH, -ETIMEDOUT);
        return HK_FOREVER;
    }
    if (header <= now && !deaf)
        hk_served_end(c, HK_END_READING, -ETIMEDOUT);
    return header <= now || idle < header ? idle : header;
}

static int set_header(hank_stream *top, bool begins)
{
    hank_stream *s = hk_stream_bottom(top);
    hk_served *c = of(s);
    if (s->kind != &hk_stream_served)
        return -ENOTSUP;
    hk_store_relaxed(&c->header_until, begins ? later(hank_now(), c->header_ns) : HK_FOREVER);
    return 0;
}

int hank_header_begin(hank_stream *s)
{
    return set_header(s, true);
}

int hank_header_end(hank_stream *s)
{
    return set_header(s, false);
}
