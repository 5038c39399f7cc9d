/* SPDX-License-Identifier: MIT */
/* serve.c - a task for each connection, until stopped; server.c is the same with a life of its own.
 *
 * When descriptors or memory run out, accepting pauses: the connection stays in the kernel's line,
 * and asking again at once would only burn the time that those who hold descriptors need to give
 * them back. The pause doubles while it does not help. Rejected: a spare descriptor that is given
 * up to accept and close at once. In a program of many threads another one takes the number first,
 * and a client that is turned away comes back at once, while one in line waits.
 *
 * On a stop the handlers are cancelled and joined. When the listener is closed or fails, they end
 * in their own time. */
#include "io/serve.h"

#include <hank/group.h>
#include <hank/scope.h>
#include <hank/stream.h>
#include <hank/task.h>

#include <errno.h>
#include <stdbool.h>

#include "io/fd.h"
#include "sched/park.h"
#include "sched/runtime.h"

enum { PAUSE_MIN_NS = 10 * 1000 * 1000, PAUSE_MAX_NS = 1000 * 1000 * 1000 };

typedef struct connection {
    int (*handler)(hank_stream *s, void *arg);
    void *arg;
    hank_stream *stream;
} connection;

/* A member of the server's group. */
static int handle(void *arg)
{
    connection *c = arg;
    int rc = c->handler(c->stream, c->arg);
    hank_close(c->stream);
    hk_handler_report(rc);
    return rc;
}

void hk_handler_report(int rc)
{
    bool asked_to = rc == -ECANCELED && hk_stop_reason() < 0;
    if (rc < 0 && !asked_to)
        hk_runtime_report(NULL, "connection handler", rc);
}

bool hk_is_shortage(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

int hk_shortage_pause(int64_t *pause_ns)
{
    int64_t ns = *pause_ns ? *pause_ns : PAUSE_MIN_NS;
    *pause_ns = ns < PAUSE_MAX_NS / 2 ? ns * 2 : PAUSE_MAX_NS;
    return hank_sleep(ns);
}

/* Take one connection and start its task. */
static int serve_one(hank_listener *l, hank_group *handlers, connection *c)
{
    int rc = hank_accept(l, &c->stream);
    if (rc < 0)
        return rc;
    rc = hank_group_spawn_copy(handlers, handle, c, sizeof *c);
    if (rc < 0)
        hank_close(c->stream); /* nobody else will */
    return rc;
}

int hank_serve(hank_listener *l, int (*handler)(hank_stream *s, void *arg), void *arg)
{
    int rc = handler ? hk_runtime_in_a_task() : -EINVAL;
    if (rc < 0)
        return rc;
    hank_group handlers = {.flags = HANK_KEEP_GOING | HANK_ALWAYS_START}; /* they own a stream */
    connection c = {.handler = handler, .arg = arg};
    int64_t pause_ns = 0;
    /* For the whole loop: whoever closes the listener while we are between two accepts must not
     * free it under us. */
    rc = hk_fd_hold(&l->fd);
    if (rc < 0)
        return rc;
    do {
        rc = serve_one(l, &handlers, &c);
        if (rc >= 0)
            pause_ns = 0;
        else if (hk_is_shortage(rc))
            rc = hk_shortage_pause(&pause_ns);
    } while (rc >= 0);
    hk_fd_release(&l->fd); /* not after the handlers: if it was closed, nobody may queue there */

    if (hk_stop_reason() < 0)
        hank_group_cancel(&handlers);
    (void)hank_group_wait(&handlers); /* what a handler failed with is not the server's result */
    int stop = hk_stop_reason();
    return stop < 0 ? stop : rc;
}
