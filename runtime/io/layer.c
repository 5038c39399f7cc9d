/* SPDX-License-Identifier: MIT */
/* layer.c - streams made by others: over another stream, or over nothing.
 *
 * A layer holds the stream under it (io/fd.h) from open to its own end. So hank_close() may close
 * the one under at once, which is what wakes a task that waits down there, while its memory stays
 * for whoever is still inside the layer. */
#include "io/layer.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "io/stream.h"

/* said  the farewell has been called, by who closes or by who ends what is below, whoever was
 * first; the rest is constant */
typedef struct layered {
    hank_stream stream;
    const hank_layer *layer;
    void *self;
    HK_ATOMIC(bool) said;
    HK_ATOMIC(bool) closed;
} layered;

static layered *layered_of(hank_stream *s)
{
    return hk_container_of(s, layered, stream);
}

/* A layer knows that what is below it has ended, but not that this was the server's wish. */
static ssize_t answer(hank_stream *s, hk_direction d, ssize_t rc)
{
    hank_stream *bottom = hk_stream_bottom(s);
    /* relaxed: set before all that a close does to a call in here */
    if (rc < 0 && hk_load_relaxed(&layered_of(s)->closed))
        return -EBADF;
    return rc <= 0 && bottom->kind->ended ? bottom->kind->ended(bottom, d, rc) : rc;
}

static ssize_t layer_read(hank_stream *s, void *ret_buf, size_t n)
{
    return answer(s, HK_IN, layered_of(s)->layer->read(layered_of(s)->self, ret_buf, n));
}

static ssize_t layer_write(hank_stream *s, const void *buf, size_t n)
{
    return answer(s, HK_OUT, layered_of(s)->layer->write(layered_of(s)->self, buf, n));
}

static int layer_write_end(hank_stream *s)
{
    const layered *l = layered_of(s);
    return l->layer->write_end ? l->layer->write_end(l->self) : -ENOTSUP;
}

static void layer_abort(hank_stream *s)
{
    if (s->under && s->under->kind->abort)
        s->under->kind->abort(s->under);
}

static void say_farewell(hank_stream *s)
{
    layered *l = layered_of(s);
    /* relaxed: the two that may come here do not come at the same time */
    if (!l->layer->farewell || hk_load_relaxed(&l->said))
        return;
    hk_store_relaxed(&l->said, true);
    l->layer->farewell(l->self);
}

static void layer_closing(hank_stream *s, bool politely)
{
    hk_store_relaxed(&layered_of(s)->closed, true);
    if (politely)
        say_farewell(s);
    hank_close(s->under); /* wakes whoever waits in there; our hold keeps the memory */
}

static void layer_close(hank_stream *s)
{
    const layered *l = layered_of(s);
    if (l->layer && l->layer->release)
        l->layer->release(l->self);
    if (s->under)
        hk_fd_release(&s->under->fd);
}

static const hk_stream_kind layer_kind = {
    .bytes = sizeof(layered),
    .read = layer_read,
    .write = layer_write,
    .write_end = layer_write_end,
    .abort = layer_abort,
    .closing = layer_closing,
    .close = layer_close,
};

void hk_layers_farewell(hank_stream *top)
{
    for (hank_stream *s = top; s->under; s = s->under)
        if (s->kind == &layer_kind)
            say_farewell(s);
}

int hank_layer_open(const hank_layer *layer, void *self, hank_stream *under, hank_stream **ret)
{
    if (!layer || !layer->read || !layer->write)
        return -EINVAL;
    hank_stream *s = hk_stream_new(&layer_kind);
    if (!s)
        return -ENOMEM;
    int rc = under ? hk_fd_hold(&under->fd) : 0;
    if (rc < 0) {
        hk_fd_close(&s->fd); /* knows no layer yet: nothing is released */
        return rc;
    }
    layered_of(s)->layer = layer;
    layered_of(s)->self = self;
    s->under = under;
    *ret = s;
    return 0;
}

void *hank_layer_self(hank_stream *s, const hank_layer *layer)
{
    return s->kind == &layer_kind && layered_of(s)->layer == layer ? layered_of(s)->self : NULL;
}

ssize_t hank_trywrite(hank_stream *s, const void *buf, size_t n)
{
    int rc = hk_fd_begin(&s->fd, HK_OUT);
    if (rc < 0)
        return rc;
    ssize_t put = s->torn ? -EPIPE : s->cork || s->kind->try_write ? 0 : -ENOTSUP;
    if (put == 0 && n > 0)
        put = s->cork ? hk_cork_try_write(s, buf, n) : s->kind->try_write(s, buf, n);
    hk_fd_end(&s->fd, HK_OUT);
    return put;
}

/* --- schemes --------------------------------------------------------------------------------- */

enum { SCHEMES_MAX = 8 };

static HK_ATOMIC(const hank_scheme *) schemes[SCHEMES_MAX]; /* from the front, never taken out */

static bool is_called(const hank_scheme *scheme, const char *name, size_t length)
{
    return strlen(scheme->name) == length && memcmp(scheme->name, name, length) == 0;
}

int hank_scheme_add(const hank_scheme *scheme)
{
    if (!scheme || !scheme->name || !scheme->connect || !scheme->listen)
        return -EINVAL;
    for (int i = 0; i < SCHEMES_MAX; i++) {
        const hank_scheme *there = NULL;
        /* [scheme:added] release: whoever finds it sees what it says. */
        if (hk_cas_acqrel(&schemes[i], &there, scheme) || there == scheme)
            return 0;
        if (is_called(there, scheme->name, strlen(scheme->name)))
            return -EEXIST;
    }
    return -ENOSPC;
}

const hank_scheme *hk_scheme_find(const char *where)
{
    const char *end = strstr(where, "://");
    for (int i = 0; end && i < SCHEMES_MAX; i++) {
        const hank_scheme *scheme = hk_load_acquire(&schemes[i]); /* [scheme:added] acquire */
        if (!scheme)
            break;
        if (is_called(scheme, where, (size_t)(end - where)))
            return scheme;
    }
    return NULL;
}
