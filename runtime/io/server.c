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
#include "io/doors.h"
#include "io/listener.h"
#include "io/serve.h"
#include "io/served.h"
#include "io/socket.h"
#include "sched/park.h"
#include "sched/runtime.h"

enum { ACCEPTORS_MAX = 1024, NS_PER_MS = 1000 * 1000 };

typedef enum state { OPEN, RUNNING, CLOSED } state;

/* The argument of one that accepts. */
typedef struct door {
    hank_server *server;
    hank_listener *listener;
} door;

/* lock     of doors, live, clients, accepting, state, stopping and drain_until; `changed` rings for
 *          the last three
 * doors    the listeners, in the order in which they came
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
    hk_node doors;
    hk_node live;
    int clients;
    bool accepting; /* it runs, and its doors are open */
    state state;
    bool stopping;
    bool tuned; /* options.socket says something */
    hank_ns drain_until;
};

/* --- opening --------------------------------------------------------------------------------- */

static int check_options(const hank_server_options *o)
{
    if (!o)
        return 0;
    bool bad = o->header_timeout < 0 || o->idle_timeout < 0;
    bad = bad || (o->acceptors > ACCEPTORS_MAX && o->acceptors != HANK_PER_WORKER);
    for (int i = 0; i < 4; i++)
        bad = bad || o->reserved_[i] != 0;
    return bad ? -EINVAL : 0;
}

/* One that listens nowhere yet. */
static int server_new(const hank_server_options *options, hank_server **ret)
{
    static const hank_socket_options untuned;
    int rc = check_options(options);
    if (rc < 0)
        return rc;
    hank_server *v = hk_alloc_zeroed(sizeof *v);
    if (!v)
        return -ENOMEM;
    if (options)
        v->options = *options;
    v->tuned = memcmp(&v->options.socket, &untuned, sizeof untuned) != 0;
    v->handlers.flags = HANK_KEEP_GOING | HANK_ALWAYS_START; /* they own a stream */
    v->permits.count = v->options.connections_max;
    v->drain_until = HK_FOREVER;
    hk_list_init(&v->doors);
    hk_list_init(&v->live);
    *ret = v;
    return 0;
}

/* How many listeners share an address. */
static int count_acceptors(const hank_server *v, unsigned *ret_n)
{
    hank_stats stats;
    int rc = hank_get_stats(&stats);
    unsigned n = v->options.acceptors;
    *ret_n = n == HANK_PER_WORKER && rc == 0 ? (unsigned)stats.workers : n > 0 ? n : 1;
    return rc;
}

/* What the system refuses, it refuses here; and buffers must be large before the handshake. */
static int tune(const hank_server *v, hank_listener *l)
{
    int family = l->address.socket.any.sa_family;
    return v->tuned ? hk_socket_set_options(l->fd.fd, family, &v->options.socket) : 0;
}

static int tune_all(const hank_server *v)
{
    int rc = 0;
    for (hk_node *at = v->doors.next; rc == 0 && at != &v->doors; at = at->next)
        rc = tune(v, hk_container_of(at, hank_listener, link));
    return rc;
}

int hank_server_open(const char *where, const hank_server_options *options, hank_server **ret)
{
    hank_server *v;
    unsigned acceptors;
    int rc = server_new(options, &v);
    if (rc < 0)
        return rc;
    rc = count_acceptors(v, &acceptors);
    if (rc == 0)
        rc = hk_doors_open(&v->doors, where, &v->options.listen, acceptors);
    if (rc == 0)
        rc = tune_all(v);
    if (rc < 0)
        hank_server_free(v);
    else
        *ret = v;
    return rc;
}

int hank_server_add(hank_server *v, hank_listener *l)
{
    int rc = l ? tune(v, l) : -EINVAL;
    if (rc < 0)
        return rc;
    hank_mutex_lock(&v->lock);
    rc = v->state == OPEN ? 0 : -EBUSY;
    if (rc == 0)
        hk_list_push_back(&v->doors, &l->link);
    hank_mutex_unlock(&v->lock);
    return rc;
}

int hank_server_adopt(hank_listener *l, const hank_server_options *options, hank_server **ret)
{
    hank_server *v;
    int rc = server_new(options, &v);
    if (rc < 0)
        return rc;
    rc = hank_server_add(v, l);
    if (rc < 0)
        hank_server_free(v);
    else
        *ret = v;
    return rc;
}

hank_listener *hank_server_listener(hank_server *v, unsigned i)
{
    hank_mutex_lock(&v->lock);
    hk_node *at = v->doors.next;
    for (; i > 0 && at != &v->doors; i--)
        at = at->next;
    hank_listener *l = at == &v->doors ? NULL : hk_container_of(at, hank_listener, link);
    hank_mutex_unlock(&v->lock);
    return l;
}

int hank_server_name(hank_server *v, char *ret_name, size_t n)
{
    hank_listener *first = hank_server_listener(v, 0);
    return first ? hank_listener_name(first, ret_name, n) : -EBADF;
}

static void close_doors(hank_server *v)
{
    hank_mutex_lock(&v->lock);
    hk_doors_close(&v->doors);
    hank_mutex_unlock(&v->lock);
}

void hank_server_free(hank_server *v)
{
    if (!v)
        return;
    if (HK_UNLIKELY(v->state == RUNNING))
        hk_panic("server %p is freed while it runs", (void *)v);
    hk_doors_close(&v->doors);
    hk_free(v, sizeof *v);
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
    const door *d = arg;
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

/* Nobody changes the list while it runs. */
static int start_accepting(hank_server *v)
{
    int rc = 0;
    for (hk_node *at = v->doors.next; rc == 0 && at != &v->doors; at = at->next) {
        door d = {v, hk_container_of(at, hank_listener, link)};
        rc = hank_group_spawn_copy(&v->acceptors, accept_loop, &d, sizeof d);
    }
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
    if (rc == 0)
        rc = start_accepting(v);
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
