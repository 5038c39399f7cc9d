/* SPDX-License-Identifier: MIT */
/* server.c - servers: acceptors, handlers, a watch, and an end in order.
 *
 *     OPEN --run--> RUNNING --stop, failure, or run is stopped--> CLOSED
 *      \___________________ stop ______________________________/
 *
 *     accept_loop, one a listener     in the group `acceptors`, which stop() cancels
 *     handle, one a connection        in the group `handlers`, cancelled when the drain is over
 *     watch, if there are timeouts    in the group `watchers`, until the handlers have ended
 *
 * hank_server_run() waits for the groups in this order, so it returns when nothing of the server is
 * left, and everything that anybody else does is to change `state` and to ring. */
#include <hank/group.h>
#include <hank/inspect.h>
#include <hank/scope.h>
#include <hank/server.h>
#include <hank/sync.h>
#include <hank/task.h>

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "io/serve.h"
#include "io/served.h"
#include "io/socket.h"
#include "sched/park.h"
#include "sched/runtime.h"

enum { ACCEPTORS_MAX = 1024, NS_PER_MS = 1000 * 1000 };

typedef enum state { OPEN, RUNNING, CLOSED } state;

typedef struct door {
    hank_server *server;
    hank_listener *listener;
} door;

/* lock     of live, clients, accepting, state, stopping and drain_until; `changed` rings for the
 *          last three
 * permits  one a connection, if there is a limit
 * the rest is constant while it runs */
struct hank_server {
    hank_server_options options;
    int (*handler)(hank_stream *s, void *arg);
    void *arg;
    hank_group acceptors;
    hank_group handlers;
    hank_group watchers;
    hank_sem permits;
    hank_mutex lock;
    hank_cond changed;
    hk_node live;
    int clients;
    bool accepting; /* it runs, and its doors are open */
    state state;
    bool stopping;
    bool tuned; /* options.socket says something */
    hank_ns drain_until;
    unsigned n;
    door doors[];
};

static size_t bytes_of(unsigned n)
{
    return sizeof(hank_server) + n * sizeof(door);
}

/* --- opening --------------------------------------------------------------------------------- */

static int check_options(const hank_server_options *o)
{
    bool bad = o->header_timeout < 0 || o->idle_timeout < 0;
    bad = bad || (o->acceptors > ACCEPTORS_MAX && o->acceptors != HANK_PER_WORKER);
    for (int i = 0; i < 4; i++)
        bad = bad || o->reserved_[i] != 0;
    return bad ? -EINVAL : 0;
}

static hank_server *server_new(const hank_server_options *options, unsigned n)
{
    hank_server *v = hk_alloc_zeroed(bytes_of(n));
    if (!v)
        return NULL;
    static const hank_socket_options untuned;
    v->options = *options;
    v->tuned = memcmp(&options->socket, &untuned, sizeof untuned) != 0;
    v->handlers.flags = HANK_KEEP_GOING | HANK_ALWAYS_START; /* they own a stream */
    v->permits.count = options->connections_max;
    v->drain_until = HK_FOREVER;
    v->n = n;
    hk_list_init(&v->live);
    for (unsigned i = 0; i < n; i++)
        v->doors[i].server = v;
    return v;
}

static int count_doors(const char *where, const hank_server_options *options, unsigned *ret_n)
{
    hank_stats stats;
    *ret_n = options->acceptors > 0 ? options->acceptors : 1;
    if (where && strncmp(where, "tcp://", 6) != 0)
        *ret_n = 1; /* Unix sockets share no address */
    int rc = hank_get_stats(&stats);
    if (rc == 0 && *ret_n == HANK_PER_WORKER)
        *ret_n = (unsigned)stats.workers;
    return rc;
}

/* What the system refuses, it refuses here; and buffers must be large before the handshake. */
static int tune(const hank_server *v, hank_listener *l)
{
    int family = l->address.socket.any.sa_family;
    return hk_socket_set_options(l->fd.fd, family, &v->options.socket);
}

/* All at one port, which the first may choose. */
static int open_doors(hank_server *v, const char *where)
{
    char name[HK_WHERE_MAX];
    hank_listen_options listen = v->options.listen;
    listen.reuse_port = listen.reuse_port || v->n > 1;
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < v->n; i++) {
        rc = hank_listen_opt(i == 0 ? where : name, &listen, &v->doors[i].listener);
        if (rc == 0 && v->tuned)
            rc = tune(v, v->doors[i].listener);
        if (rc == 0 && i == 0 && v->n > 1)
            rc = hank_server_name(v, name, sizeof name);
    }
    return rc;
}

int hank_server_open(const char *where, const hank_server_options *options, hank_server **ret)
{
    static const hank_server_options defaults;
    unsigned n = 0;
    if (!options)
        options = &defaults;
    int rc = check_options(options);
    if (rc == 0)
        rc = count_doors(where, options, &n);
    if (rc < 0)
        return rc;
    hank_server *v = server_new(options, n);
    if (!v)
        return -ENOMEM;
    rc = open_doors(v, where);
    if (rc < 0) {
        hank_server_free(v);
        return rc;
    }
    *ret = v;
    return 0;
}

int hank_server_adopt(hank_listener *l, const hank_server_options *options, hank_server **ret)
{
    static const hank_server_options defaults;
    if (!options)
        options = &defaults;
    int rc = l ? check_options(options) : -EINVAL;
    if (rc < 0)
        return rc;
    hank_server *v = server_new(options, 1);
    if (!v)
        return -ENOMEM;
    rc = v->tuned ? tune(v, l) : 0;
    if (rc < 0) {
        hank_server_free(v);
        return rc;
    }
    v->doors[0].listener = l;
    *ret = v;
    return 0;
}

int hank_server_name(hank_server *v, char *ret_name, size_t n)
{
    return hank_listener_name(v->doors[0].listener, ret_name, n);
}

static void close_doors(hank_server *v)
{
    for (unsigned i = 0; i < v->n; i++) {
        hank_listener_close(v->doors[i].listener);
        v->doors[i].listener = NULL;
    }
}

void hank_server_free(hank_server *v)
{
    if (!v)
        return;
    if (HK_UNLIKELY(v->state == RUNNING))
        hk_panic("server %p is freed while it runs", (void *)v);
    close_doors(v);
    hk_free(v, bytes_of(v->n));
}

/* --- connections ----------------------------------------------------------------------------- */

static void enlist(hank_server *v, hk_served *c)
{
    hank_mutex_lock(&v->lock);
    hk_list_push_back(&v->live, &c->link);
    v->clients++;
    hank_mutex_unlock(&v->lock);
}

static void give_back(hank_server *v)
{
    if (v->options.connections_max > 0)
        (void)hank_sem_release(&v->permits); /* never more than were taken: cannot overflow */
}

static void dismiss(hank_server *v, hk_served *c)
{
    hank_mutex_lock(&v->lock);
    hk_list_remove(&c->link);
    v->clients--;
    hank_cond_broadcast(&v->changed);
    hank_mutex_unlock(&v->lock);
    hank_close(c->top);
}

/* A member of `handlers`. */
static int handle(void *arg)
{
    hk_served *c = arg;
    hank_server *v = c->server;
    int rc = v->handler(c->top, v->arg);
    dismiss(v, c);
    give_back(v);
    hk_handler_report(rc);
    return rc;
}

/* Take one connection and start its task. */
static int serve_one(hank_server *v, hank_listener *l)
{
    hank_stream *s, *top;
    int rc = hk_accept(l, &hk_stream_served, &s, &top);
    if (rc < 0)
        return rc;
    hk_served *c = hk_container_of(s, hk_served, stream);
    c->top = top;
    hk_served_begin(c, v, v->options.header_timeout, v->options.idle_timeout);
    if (v->tuned)
        (void)hank_stream_set_options(s, &v->options.socket); /* the listener took them all */
    enlist(v, c);
    rc = hank_group_spawn(&v->handlers, handle, c);
    if (rc < 0)
        dismiss(v, c);
    return rc;
}

/* A member of `acceptors`. */
static int accept_loop(void *arg)
{
    door *d = arg;
    hank_server *v = d->server;
    int64_t pause_ns = 0;
    int rc = 0;
    while (rc >= 0) {
        if (v->options.connections_max > 0)
            rc = hank_sem_acquire(&v->permits);
        if (rc < 0)
            break;
        rc = serve_one(v, d->listener);
        if (rc >= 0)
            pause_ns = 0;
        else
            give_back(v);
        if (hk_is_shortage(rc))
            rc = hk_shortage_pause(&pause_ns);
    }
    return rc;
}

/* --- the watch ------------------------------------------------------------------------------- */

/* When to look again: no deadline that begins after now can be earlier. */
static hank_ns next_look(const hank_server_options *o, hank_ns now)
{
    hank_ns header = o->header_timeout, idle = o->idle_timeout;
    hank_ns shortest = header > 0 && (idle == 0 || header < idle) ? header : idle;
    return shortest < HK_FOREVER - now ? now + shortest : HK_FOREVER;
}

/* A member of `watchers`. */
static int watch(void *arg)
{
    hank_server *v = arg;
    int rc = 0;
    while (rc >= 0) {
        hank_ns now = hank_now();
        hank_ns next = next_look(&v->options, now);
        hank_mutex_lock(&v->lock);
        for (hk_node *at = v->live.next; at != &v->live; at = at->next) {
            hank_ns due = hk_served_look(hk_container_of(at, hk_served, link), now);
            next = due < next ? due : next;
        }
        hank_mutex_unlock(&v->lock);
        rc = hank_sleep(next - now > NS_PER_MS ? next - now : NS_PER_MS);
    }
    return rc;
}

static int end_clients(hank_server *v, hk_how_to_end how, int code)
{
    hank_mutex_lock(&v->lock);
    int n = v->clients;
    for (hk_node *at = v->live.next; at != &v->live; at = at->next)
        hk_served_end(hk_container_of(at, hk_served, link), how, code);
    hank_mutex_unlock(&v->lock);
    return n;
}

int hank_server_close_clients(hank_server *v)
{
    return end_clients(v, HK_END_BOTH, 0);
}

int hank_server_abort_clients(hank_server *v)
{
    return end_clients(v, HK_END_BROKEN, -ECONNABORTED);
}

int hank_server_clients(hank_server *v)
{
    hank_mutex_lock(&v->lock);
    int n = v->clients;
    hank_mutex_unlock(&v->lock);
    return n;
}

bool hank_server_is_serving(hank_server *v)
{
    hank_mutex_lock(&v->lock);
    bool serving = v->accepting && !v->stopping;
    hank_mutex_unlock(&v->lock);
    return serving;
}

/* --- running and stopping -------------------------------------------------------------------- */

/* True if it may run: nobody has run or stopped it. */
static int begin(hank_server *v)
{
    hank_mutex_lock(&v->lock);
    int rc = v->state == OPEN ? 0 : v->stopping && v->state == CLOSED ? 1 : -EBUSY;
    if (rc == 0) {
        v->state = RUNNING;
        v->accepting = true;
    }
    hank_mutex_unlock(&v->lock);
    return rc;
}

static void end_accepting(hank_server *v)
{
    hank_mutex_lock(&v->lock);
    v->accepting = false;
    hank_mutex_unlock(&v->lock);
    close_doors(v);
}

static void finish(hank_server *v)
{
    hank_mutex_lock(&v->lock);
    v->state = CLOSED;
    hank_cond_broadcast(&v->changed);
    hank_mutex_unlock(&v->lock);
}

/* Let handlers end by themselves while they may. */
static void drain(hank_server *v)
{
    hank_mutex_lock(&v->lock);
    for (;;) {
        hank_ns left = v->drain_until == HK_FOREVER ? HK_FOREVER : v->drain_until - hank_now();
        if (!v->stopping || v->clients == 0 || left <= 0 || hk_stop_reason() < 0)
            break;
        (void)hank_within(left, hank_cond_wait(&v->changed, &v->lock)); /* the loop looks why */
    }
    bool cancel = v->stopping || hk_stop_reason() < 0;
    hank_mutex_unlock(&v->lock);
    if (cancel)
        hank_group_cancel(&v->handlers);
    (void)hank_group_wait(&v->handlers); /* what a handler failed with is not the server's result */
}

int hank_server_run(hank_server *v, int (*handler)(hank_stream *s, void *arg), void *arg)
{
    int rc = handler ? hk_runtime_in_a_task() : -EINVAL;
    if (rc == 0)
        rc = begin(v);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    v->handler = handler;
    v->arg = arg;
    if (v->options.header_timeout > 0 || v->options.idle_timeout > 0)
        rc = hank_group_spawn(&v->watchers, watch, v);
    for (unsigned i = 0; rc == 0 && i < v->n; i++)
        rc = hank_group_spawn(&v->acceptors, accept_loop, &v->doors[i]);
    int failure = hank_group_wait(&v->acceptors);
    end_accepting(v);
    drain(v);
    hank_group_cancel(&v->watchers);
    (void)hank_group_wait(&v->watchers); /* they end by our cancel only */
    int stop = hk_stop_reason();
    finish(v);
    rc = rc == -ECANCELED ? 0 : rc; /* stopped before all had started */
    return stop < 0 ? stop : failure < 0 ? failure : rc;
}

static int wait_until_closed(hank_server *v)
{
    int rc = 0;
    while (v->state != CLOSED && rc == 0)
        rc = hank_cond_wait(&v->changed, &v->lock);
    return rc;
}

int hank_server_stop(hank_server *v, hank_ns drain_ns)
{
    hank_ns now = hank_now();
    hank_ns until = drain_ns < HK_FOREVER - now ? now + drain_ns : HK_FOREVER;
    hank_mutex_lock(&v->lock);
    v->drain_until = until < v->drain_until ? until : v->drain_until;
    v->stopping = true;
    if (v->state == OPEN)
        v->state = CLOSED;
    hank_cond_broadcast(&v->changed);
    bool running = v->state == RUNNING;
    hank_mutex_unlock(&v->lock);
    if (!running)
        return 0;
    hank_group_cancel(&v->acceptors);
    hank_mutex_lock(&v->lock);
    int rc = wait_until_closed(v);
    hank_mutex_unlock(&v->lock);
    return rc;
}

int hank_server_wait_closed(hank_server *v)
{
    hank_mutex_lock(&v->lock);
    int rc = wait_until_closed(v);
    hank_mutex_unlock(&v->lock);
    return rc;
}
