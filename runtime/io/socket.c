/* SPDX-License-Identifier: MIT */
/* socket.c - streams over TCP and Unix sockets, and how to connect one.
 *
 * Of the addresses of a name the first to answer wins (eyeballs.c). TCP_NODELAY is always on: a
 * program that writes messages means them to go, and one that wants fewer packets writes larger
 * ones. */
#include "io/socket.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "base/os.h"
#include "io/dns.h"
#include "io/eyeballs.h"
#include "io/resolve.h"
#include "sched/park.h"
#include "sched/runtime.h"

#include <hank/scope.h>
#include <hank/task.h>

/* --- the kind ------------------------------------------------------------------------------ */

static ssize_t socket_read(hank_stream *s, void *ret_buf, size_t n)
{
    return hk_fd_recv(&s->fd, ret_buf, n);
}

static ssize_t socket_write(hank_stream *s, const void *buf, size_t n)
{
    return hk_fd_send(&s->fd, buf, n);
}

static ssize_t try_send(int fd, void *what)
{
    const struct iovec *part = what;
    return hk_os_send(fd, part->iov_base, part->iov_len);
}

static ssize_t socket_try_write(hank_stream *s, const void *buf, size_t n)
{
    return hk_fd_try(&s->fd, HK_OUT, try_send, &(struct iovec){(void *)(uintptr_t)buf, n});
}

static ssize_t try_sendv(int fd, void *what)
{
    const hk_parts *p = what;
    return hk_os_sendv(fd, p->list, p->n);
}

static ssize_t socket_writev(hank_stream *s, const struct iovec *list, int n)
{
    return hk_fd_attempt(&s->fd, HK_OUT, try_sendv, &(hk_parts){list, n});
}

static int socket_write_end(hank_stream *s)
{
    return hk_os_shutdown(s->fd.fd, SHUT_WR);
}

static void socket_abort(hank_stream *s)
{
    struct linger now = {.l_onoff = 1}; /* for no time at all: a reset. Unix sockets ignore it */
    (void)hk_os_setsockopt(s->fd.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* else: an end */
}

const hk_stream_kind hk_stream_socket = {
    .bytes = sizeof(hank_stream),
    .direct = true,
    .read = socket_read,
    .write = socket_write,
    .writev = socket_writev,
    .write_end = socket_write_end,
    .try_write = socket_try_write,
    .abort = socket_abort,
};

int hk_socket_family(int fd, int type)
{
    int its_type = 0;
    socklen_t length = sizeof its_type;
    hk_address local = {.length = sizeof local.socket};
    int rc = hk_os_getsockopt(fd, SOL_SOCKET, SO_TYPE, &its_type, &length);
    if (rc == 0)
        rc = hk_os_getsockname(fd, &local.socket.any, &local.length);
    if (rc < 0)
        return rc;
    return its_type == type ? local.socket.any.sa_family : -EPROTOTYPE;
}

int hk_socket_take(int fd)
{
    int rc = hk_os_set_nonblocking(fd);
    return rc < 0 ? rc : hk_os_set_cloexec(fd);
}

int hk_socket_enable(int fd, int level, int option)
{
    int on = 1;
    return hk_os_setsockopt(fd, level, option, &on, sizeof on);
}

void hk_socket_adopt(hank_stream *s, int fd, int family)
{
    bool tcp = family != AF_UNIX;
    if (tcp)
        (void)hk_socket_enable(fd, IPPROTO_TCP, TCP_NODELAY); /* without it: slower, not wrong */
    /* Bytes that are taken ahead of being asked come without the descriptors they travel with. */
    hk_fd_adopt(&s->fd, fd, tcp ? HK_INPUT_BYTES : HK_INPUT_EVENTS, tcp);
    hk_fd_is_connection(&s->fd);
}

/* --- connecting ---------------------------------------------------------------------------- */

enum { PAUSE_MIN_NS = 50 * 1000, PAUSE_MAX_NS = 100 * 1000 * 1000 };

int hk_pause(int64_t *pause_ns)
{
    if (*pause_ns == 0)
        *pause_ns = PAUSE_MIN_NS;
    else if (*pause_ns < PAUSE_MAX_NS)
        *pause_ns *= 2;
    return hank_sleep(*pause_ns);
}

/* A Unix listener whose line is full answers EAGAIN, and nothing tells when it has room. */
static int connect_patiently(hk_fd *f, const hk_address *address)
{
    int64_t pause_ns = 0;
    for (;;) {
        int rc = hk_fd_connect(f, address);
        if (rc != -EAGAIN)
            return rc;
        rc = hk_pause(&pause_ns);
        if (rc < 0)
            return rc;
    }
}

/* Options, and the address to connect from. */
static int prepare(int fd, const hk_address *address, const hank_connect_options *options)
{
    hk_where local;
    int family = address->socket.any.sa_family;
    int rc = hk_socket_set_options(fd, family, &options->socket);
    if (rc < 0 || !options->local)
        return rc;
    rc = hk_where_parse(options->local, true, &local);
    if (rc < 0)
        return rc;
    if (local.host[0] != '\0' || local.address.socket.any.sa_family != family)
        return -EINVAL; /* of the other family: this address cannot be reached from there */
    return hk_os_bind(fd, &local.address.socket.any, local.address.length);
}

static int connect_to(const hk_address *address, const hank_connect_options *options,
                      hank_stream **ret)
{
    int family = address->socket.any.sa_family;
    hank_stream *s = hk_stream_new(&hk_stream_socket);
    if (!s)
        return -ENOMEM;
    int rc = hk_os_socket(family, SOCK_STREAM, 0);
    if (rc < 0)
        goto close;
    hk_socket_adopt(s, rc, family);
    rc = options ? prepare(s->fd.fd, address, options) : 0;
    if (rc == 0)
        rc = hk_fd_begin(&s->fd, HK_OUT);
    if (rc < 0)
        goto close;
    rc = connect_patiently(&s->fd, address);
    hk_fd_end(&s->fd, HK_OUT);
    if (rc < 0)
        goto close;
    *ret = s;
    return 0;

close:
    hank_close(s);
    return rc;
}

/* The addresses that the name servers were late with. */
static int wait_for_rest(void *arg, hk_address ret_list[HK_ADDRESSES_MAX])
{
    return hk_dns_rest(arg, ret_list);
}

int hank_connect(const char *where, hank_stream **ret)
{
    return hank_connect_opt(where, NULL, ret);
}

int hank_connect_opt(const char *where, const hank_connect_options *options, hank_stream **ret)
{
    const hank_scheme *other;
    hk_dns_lookup *late;
    hk_address list[HK_ADDRESSES_MAX];
    for (int i = 0; options && i < 3; i++)
        if (options->reserved_[i] != 0)
            return -EINVAL;
    if (options && options->attempts)
        options->attempts->n = 0;
    int n = hk_resolve_begin(where, &other, list, &late);
    if (n < 0)
        return n;
    if (n == 0)
        return other->connect(where, options, ret);
    hk_candidates all = {.list = list, .n = n, .more = late ? wait_for_rest : NULL, .arg = late};
    int rc = hk_connect_any(&all, connect_to, options, ret);
    hk_dns_end(late);
    return rc;
}

/* --- names --------------------------------------------------------------------------------- */

typedef int ask_name(int fd, struct sockaddr *ret_address, socklen_t *length);

static int stream_name(hank_stream *s, ask_name *ask, char *ret_name, size_t n)
{
    int rc = hk_fd_hold(&s->fd);
    if (rc < 0)
        return rc;
    hk_address address = {.length = sizeof address.socket};
    rc = ask(hk_stream_bottom(s)->fd.fd, &address.socket.any, &address.length);
    hk_fd_release(&s->fd);
    return rc < 0 ? rc : hk_where_format(&address, ret_name, n);
}

int hank_stream_peer(hank_stream *s, char *ret_name, size_t n)
{
    return stream_name(s, hk_os_getpeername, ret_name, n);
}

int hank_stream_local(hank_stream *s, char *ret_name, size_t n)
{
    return stream_name(s, hk_os_getsockname, ret_name, n);
}
