/* SPDX-License-Identifier: MIT */
/* listener.c - listening sockets: bind, accept, close.
 *
 * "tcp://[::]:port" takes IPv4 connections too, whatever the system's default is. */
#include "io/listener.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "io/resolve.h"
#include "io/serve.h"
#include "io/socket.h"
#include "sched/park.h"
#include "sched/runtime.h"

enum { SCHEME_MAX = 7 };

/* --- life ---------------------------------------------------------------------------------- */

static void listener_gone(hk_fd *f)
{
    hank_listener *l = hk_container_of(f, hank_listener, fd);
    if (l->wrapper && l->wrapper->release)
        l->wrapper->release(l->arg);
    hk_free(l, sizeof *l);
}

hank_listener *hk_listener_new(void)
{
    hank_listener *l = hk_alloc_zeroed(sizeof *l);
    if (l && hk_fd_init(&l->fd, listener_gone) < 0) {
        hk_free(l, sizeof *l);
        return NULL;
    }
    return l;
}

static int set_options(int fd, const hk_address *address, const hank_listen_options *options)
{
    int family = address->socket.any.sa_family;
    int rc = 0;
    if (family != AF_UNIX)
        rc = hk_socket_enable(fd, SOL_SOCKET, SO_REUSEADDR);
    if (rc == 0 && options->reuse_port)
        rc = hk_socket_enable(fd, SOL_SOCKET, SO_REUSEPORT);
    if (rc == 0 && family == AF_INET6) {
        int only6 = !IN6_IS_ADDR_UNSPECIFIED(&address->socket.in6.sin6_addr);
        rc = hk_os_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof only6);
    }
    return rc;
}

static int bind_and_listen(hank_listener *l, const hank_listen_options *options)
{
    int fd = l->fd.fd;
    hk_address *address = &l->address;
    int rc = set_options(fd, address, options);
    if (rc < 0)
        return rc;
    rc = hk_unix_file_bind(fd, SOCK_STREAM, address, &l->file);
    if (rc < 0)
        return rc;
    unsigned backlog = options->backlog;
    rc = hk_os_listen(fd, backlog == 0 || backlog > INT_MAX ? INT_MAX : (int)backlog);
    if (rc == 0 && address->socket.any.sa_family != AF_UNIX)
        rc = hk_os_getsockname(fd, &address->socket.any, &address->length); /* which port */
    return rc;
}

static int listen_at(const hk_address *address, const hank_listen_options *options,
                     hank_listener **ret)
{
    hank_listener *l = hk_listener_new();
    if (!l)
        return -ENOMEM;
    l->address = *address;
    int rc = hk_os_socket(address->socket.any.sa_family, SOCK_STREAM, 0);
    if (rc < 0)
        goto close;
    hk_fd_adopt(&l->fd, rc, HK_INPUT_CONNECTIONS, false);
    rc = bind_and_listen(l, options);
    if (rc < 0)
        goto close;
    *ret = l;
    return 0;

close:
    hank_listener_close(l);
    return rc;
}

int hank_listen_opt(const char *where, const hank_listen_options *options, hank_listener **ret)
{
    static const hank_listen_options defaults;
    const hank_scheme *other;
    hk_address list[HK_ADDRESSES_MAX];
    if (!options)
        options = &defaults;
    if (options->reserved_[0] != 0 || options->reserved_[1] != 0)
        return -EINVAL;
    int n = hk_resolve_text(where, true, &other, list);
    if (n == 0)
        return other->listen(where, options, ret);
    if (n < 0)
        return n;
    int rc = -EADDRNOTAVAIL;
    for (int i = 0; i < n && rc != 0; i++)
        rc = listen_at(&list[i], options, ret);
    return rc;
}

int hank_listen(const char *where, hank_listener **ret)
{
    return hank_listen_opt(where, NULL, ret);
}

/* 0; -EBADF; -EPROTOTYPE. */
static int check_listening(int fd)
{
    int type = 0, listening = 0;
    socklen_t length = sizeof type;
    int rc = hk_os_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
    if (rc == 0 && type == SOCK_STREAM) {
        length = sizeof listening;
        rc = hk_os_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
    }
    return rc == -EBADF ? rc : rc == 0 && listening ? 0 : -EPROTOTYPE;
}

int hank_listener_from_fd(int fd, hank_listener **ret)
{
    int rc = check_listening(fd);
    if (rc < 0)
        return rc;
    hank_listener *l = hk_listener_new();
    if (!l)
        return -ENOMEM;
    l->address.length = sizeof l->address.socket;
    rc = hk_socket_take(fd);
    if (rc == 0)
        rc = hk_os_getsockname(fd, &l->address.socket.any, &l->address.length);
    if (rc < 0) {
        hank_listener_close(l); /* without the descriptor, which stays the caller's */
        return rc;
    }
    hk_fd_adopt(&l->fd, fd, HK_INPUT_CONNECTIONS, false);
    *ret = l;
    return 0;
}

int hank_listener_name(hank_listener *l, char *ret_name, size_t n)
{
    char text[HK_WHERE_MAX];
    int rc = hk_where_format(&l->address, text, sizeof text);
    if (rc < 0)
        return rc;
    const char *rest =
        l->wrapper && l->address.socket.any.sa_family != AF_UNIX ? strstr(text, "://") : text;
    int length = snprintf(ret_name, n, "%s%s", rest == text ? "" : l->wrapper->scheme, rest);
    return (size_t)length < n ? 0 : -ENOSPC;
}

int hank_listener_fd(hank_listener *l)
{
    return hk_fd_number(&l->fd);
}

int hank_listener_wrap(hank_listener *l, const hank_wrapper *wrapper, void *arg)
{
    if (!wrapper || !wrapper->scheme || !wrapper->wrap || strlen(wrapper->scheme) > SCHEME_MAX)
        return -EINVAL;
    int rc = hk_fd_begin(&l->fd, HK_IN);
    if (rc < 0)
        return rc;
    rc = l->wrapper ? -EALREADY : 0;
    if (rc == 0) {
        l->wrapper = wrapper;
        l->arg = arg;
    }
    hk_fd_end(&l->fd, HK_IN);
    return rc;
}

void hank_listener_close(hank_listener *l)
{
    if (!l)
        return;
    hk_unix_file_remove(&l->file, &l->address);
    hk_fd_close(&l->fd);
}

/* --- accepting ----------------------------------------------------------------------------- */

/* Make a stream of the connection `fd`, with the listener's layer over it. */
static int finish(hank_listener *l, int fd, hank_stream *s, hank_stream **ret_top)
{
    hk_socket_adopt(s, fd, l->address.socket.any.sa_family);
    /* Spread here, they need not be stolen one by one, message by message. */
    s->fd.home = hk_runtime_next_reactor(&l->turn);
    if (l->wrapper)
        return l->wrapper->wrap(l->arg, s, ret_top);
    *ret_top = s;
    return 0;
}

int hk_accept(hank_listener *l, const hk_stream_kind *kind, hank_stream **ret,
              hank_stream **ret_top)
{
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    rc = hk_fd_begin(&l->fd, HK_IN);
    if (rc < 0)
        return rc;
    /* Made first: when there is no memory for it, the connection stays in line. */
    hank_stream *s = hk_stream_new(kind);
    rc = s ? hk_fd_accept(&l->fd) : -ENOMEM;
    if (rc >= 0)
        rc = finish(l, rc, s, ret_top);
    hk_fd_end(&l->fd, HK_IN);
    if (rc < 0)
        hank_close(s);
    else
        *ret = s;
    return rc < 0 ? rc : 0;
}

int hank_accept(hank_listener *l, hank_stream **ret)
{
    hank_stream *bottom;
    return hk_accept(l, &hk_stream_socket, &bottom, ret);
}
