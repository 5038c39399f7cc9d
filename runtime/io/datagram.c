/* SPDX-License-Identifier: MIT */
/* datagram.c - endpoints: open, and send and receive one by one. */
#include "io/datagram.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "io/resolve.h"
#include "io/socket.h"
#include "sched/park.h"

/* --- life ------------------------------------------------------------------------------------ */

static void endpoint_gone(hk_fd *f)
{
    hank_endpoint *e = hk_container_of(f, hank_endpoint, fd);
    hk_free(e, sizeof *e);
}

/* Whether the kernel cuts datagrams by itself. */
static void ask_for_cuts(hank_endpoint *e)
{
#ifdef UDP_SEGMENT
    int none = 0;
    bool cuts = e->family != AF_UNIX &&
                hk_os_setsockopt(e->fd.fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
    hk_store_relaxed(&e->cuts, cuts);
#endif
}

static int set_options(hank_endpoint *e, const hank_endpoint_options *o)
{
    int fd = e->fd.fd;
    hank_socket_options buffers = {.send_buffer = o->send_buffer,
                                   .receive_buffer = o->receive_buffer};
    int rc = hk_socket_set_options(fd, AF_UNIX, &buffers); /* those that every socket has */
    if (rc == 0 && o->reuse_port)
        rc = hk_socket_enable(fd, SOL_SOCKET, SO_REUSEPORT);
    if (rc == 0 && o->broadcast)
        rc = hk_socket_enable(fd, SOL_SOCKET, SO_BROADCAST);
    if (rc < 0 || e->family == AF_UNIX)
        return rc;
    ask_for_cuts(e);
#ifdef UDP_GRO
    if (o->coalesce)
        (void)hk_socket_enable(fd, IPPROTO_UDP, UDP_GRO); /* if it can */
#endif
    return 0;
}

static hank_endpoint *endpoint_new(int family)
{
    hank_endpoint *e = hk_alloc_zeroed(sizeof *e);
    if (!e)
        return NULL;
    if (hk_fd_init(&e->fd, endpoint_gone) < 0) {
        hk_free(e, sizeof *e);
        return NULL;
    }
    e->family = family;
    e->turn[HK_IN].count = e->turn[HK_OUT].count = 1;
    return e;
}

/* Either address may be NULL, not both. */
static int open_at(const hk_address *local, const hk_address *remote,
                   const hank_endpoint_options *options, hank_endpoint **ret)
{
    int family = (local ? local : remote)->socket.any.sa_family;
    if (remote && remote->socket.any.sa_family != family)
        return -EINVAL;
    hank_endpoint *e = endpoint_new(family);
    if (!e)
        return -ENOMEM;
    int rc = hk_os_socket(family, SOCK_DGRAM, 0);
    if (rc < 0)
        goto close;
    hk_fd_adopt(&e->fd, rc, HK_INPUT_EVENTS, false);
    rc = set_options(e, options);
    if (rc == 0 && local) {
        e->local = *local;
        rc = hk_unix_file_bind(e->fd.fd, SOCK_DGRAM, local, &e->file);
    }
    if (rc == 0 && remote) {
        do
            rc = hk_os_connect(e->fd.fd, &remote->socket.any, remote->length);
        while (rc == -EINPROGRESS); /* interrupted: there is nothing to wait for */
    }
    if (rc < 0)
        goto close;
    *ret = e;
    return 0;

close:
    hank_endpoint_close(e);
    return rc;
}

/* NULL is no address: 0. */
HK_NOINLINE static int look_up(const char *text, bool local, hk_address ret_list[HK_ADDRESSES_MAX])
{
    hk_where where;
    if (!text)
        return 0;
    int rc = hk_where_parse_as(text, HK_UDP | HK_UNIX, local, &where);
    return rc < 0 ? rc : hk_resolve(&where, ret_list);
}

int hank_endpoint_open(const char *local, const char *remote, const hank_endpoint_options *options,
                       hank_endpoint **ret)
{
    static const hank_endpoint_options defaults;
    hk_address here[HK_ADDRESSES_MAX], there[HK_ADDRESSES_MAX];
    if (!options)
        options = &defaults;
    for (int i = 0; i < 4; i++)
        if (options->reserved_[i] != 0)
            return -EINVAL;
    int rc = local || remote ? hk_checkpoint() : -EINVAL;
    if (rc < 0)
        return rc;
    int n_here = look_up(local, true, here);
    int n_there = n_here < 0 ? n_here : look_up(remote, false, there);
    if (n_there < 0)
        return n_there;
    rc = -EINVAL;
    for (int i = 0; rc != 0 && i < (n_there ? n_there : 1); i++)
        for (int k = 0; rc != 0 && k < (n_here ? n_here : 1); k++)
            rc = open_at(n_here ? &here[k] : NULL, n_there ? &there[i] : NULL, options, ret);
    return rc;
}

/* The family of a datagram socket; -EBADF; -EPROTOTYPE. */
static int family_of(int fd)
{
    int family = hk_socket_family(fd, SOCK_DGRAM);
    bool known = family == AF_INET || family == AF_INET6 || family == AF_UNIX;
    return known || family == -EBADF ? family : -EPROTOTYPE;
}

int hank_endpoint_from_fd(int fd, hank_endpoint **ret)
{
    int family = family_of(fd);
    if (family < 0)
        return family;
    hank_endpoint *e = endpoint_new(family);
    if (!e)
        return -ENOMEM;
    int rc = hk_socket_take(fd);
    if (rc < 0) {
        hank_endpoint_close(e); /* without the descriptor, which stays the caller's */
        return rc;
    }
    hk_fd_adopt(&e->fd, fd, HK_INPUT_EVENTS, false);
    ask_for_cuts(e);
    *ret = e;
    return 0;
}

int hank_endpoint_name(hank_endpoint *e, char *ret_name, size_t n)
{
    int rc = hk_fd_hold(&e->fd);
    if (rc < 0)
        return rc;
    hk_address address = {.length = sizeof address.socket};
    rc = hk_os_getsockname(e->fd.fd, &address.socket.any, &address.length);
    hk_fd_release(&e->fd);
    return rc < 0 ? rc : hk_where_format_as(&address, HK_UDP, ret_name, n);
}

int hank_endpoint_fd(hank_endpoint *e)
{
    return hk_fd_number(&e->fd);
}

void hank_endpoint_close(hank_endpoint *e)
{
    if (!e)
        return;
    hk_unix_file_remove(&e->file, &e->local);
    hk_fd_close(&e->fd);
}

/* --- trying and waiting ---------------------------------------------------------------------- */

typedef enum waiting { FOR_DATAGRAM, FOR_ROOM, FOR_ROOM_ELSEWHERE, NOT_AT_ALL } waiting;

/* The system tells of room where a Unix socket is connected to, not where else it sends to: there
 * each failed attempt looks like news. */
static ssize_t attempt_patiently(hk_fd *f, hk_attempt *once, void *what)
{
    int64_t pause_ns = 0;
    for (;;) {
        ssize_t n = hk_fd_try(f, HK_OUT, once, what);
        if (n != -EAGAIN)
            return n;
        int rc = hk_pause(&pause_ns);
        if (rc == 0)
            rc = hk_fd_hold(f); /* no close has come meanwhile */
        if (rc < 0)
            return rc;
        hk_fd_release(f);
    }
}

/* `once` until it does not answer -EAGAIN; e is held. */
static ssize_t wait_in_turn(hank_endpoint *e, waiting w, hk_attempt *once, void *what)
{
    hk_direction d = w == FOR_DATAGRAM ? HK_IN : HK_OUT;
    int rc = hank_sem_acquire(&e->turn[d]);
    if (rc < 0)
        return rc;
    ssize_t done = hk_fd_begin(&e->fd, d);
    if (done == 0) {
        done = w == FOR_ROOM_ELSEWHERE ? attempt_patiently(&e->fd, once, what)
                                       : hk_fd_attempt(&e->fd, d, once, what);
        hk_fd_end(&e->fd, d); /* not the last: e is held */
    }
    (void)hank_sem_release(&e->turn[d]); /* at most one permit: cannot overflow */
    return done;
}

static ssize_t do_or_wait(hank_endpoint *e, waiting w, hk_attempt *once, void *what)
{
    int rc = hk_checkpoint();
    if (rc == 0)
        rc = hk_fd_hold(&e->fd);
    if (rc < 0)
        return rc;
    ssize_t done = once(e->fd.fd, what);
    if (done == -EAGAIN && w != NOT_AT_ALL)
        done = wait_in_turn(e, w, once, what);
    hk_fd_release(&e->fd);
    return done;
}

ssize_t hk_endpoint_receive(hank_endpoint *e, bool wait, hk_attempt *once, void *what)
{
    return do_or_wait(e, wait ? FOR_DATAGRAM : NOT_AT_ALL, once, what);
}

ssize_t hk_endpoint_send(hank_endpoint *e, const hank_address *to, hk_attempt *once, void *what)
{
    bool elsewhere = to && e->family == AF_UNIX;
    return do_or_wait(e, elsewhere ? FOR_ROOM_ELSEWHERE : FOR_ROOM, once, what);
}

/* --- one by one ------------------------------------------------------------------------------ */

static ssize_t try_send(int fd, void *message)
{
    return hk_os_sendmsg(fd, message);
}

static ssize_t try_receive(int fd, void *message)
{
    return hk_os_recvmsg(fd, message, MSG_TRUNC);
}

static int send_one(hank_endpoint *e, struct iovec part, const hank_address *to)
{
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    hk_message_to(&message, to);
    ssize_t put = hk_endpoint_send(e, to, try_send, &message);
    return put < 0 ? (int)put : 0;
}

int hank_endpoint_send(hank_endpoint *e, const void *buf, size_t n)
{
    return send_one(e, (struct iovec){(void *)(uintptr_t)buf, n}, NULL);
}

int hank_endpoint_send_to(hank_endpoint *e, const void *buf, size_t n, const hank_address *to)
{
    if (!to || hk_address_inside_const(to)->length == 0)
        return -EINVAL;
    return send_one(e, (struct iovec){(void *)(uintptr_t)buf, n}, to);
}

ssize_t hank_endpoint_recv(hank_endpoint *e, void *ret_buf, size_t n, hank_address *ret_from)
{
    struct iovec part = {ret_buf, n};
    hank_address from;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    hk_message_from(&message, &from);
    ssize_t got = hk_endpoint_receive(e, true, try_receive, &message);
    if (got < 0)
        return got;
    hk_address_inside(&from)->length = message.msg_namelen;
    if (ret_from)
        *ret_from = from;
    return got;
}
