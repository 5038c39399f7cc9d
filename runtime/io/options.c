/* SPDX-License-Identifier: MIT */
/* options.c - how sockets behave: keep-alive, delays, buffers; and ends without manners. */
#include "io/socket.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>

#include "base/os.h"

#ifndef TCP_KEEPIDLE
#define TCP_KEEPIDLE TCP_KEEPALIVE
#endif

static int set_number(int fd, int level, int option, unsigned value)
{
    if (value > INT_MAX)
        return -EINVAL;
    int number = (int)value;
    return hk_os_setsockopt(fd, level, option, &number, sizeof number);
}

/* 0 means: leave it to the system. */
static int set_size(int fd, int level, int option, unsigned value)
{
    return value == 0 ? 0 : set_number(fd, level, option, value);
}

static int set_tcp(int fd, const hank_socket_options *o)
{
    int rc = set_number(fd, IPPROTO_TCP, TCP_NODELAY, !o->delay);
    if (rc == 0)
        rc = set_size(fd, IPPROTO_TCP, TCP_KEEPIDLE, o->keep_alive_idle);
    if (rc == 0)
        rc = set_size(fd, IPPROTO_TCP, TCP_KEEPINTVL, o->keep_alive_interval);
    if (rc == 0)
        rc = set_size(fd, IPPROTO_TCP, TCP_KEEPCNT, o->keep_alive_count);
#ifdef TCP_USER_TIMEOUT
    if (rc == 0)
        rc = set_size(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, o->give_up_ms);
#endif
    return rc;
}

int hk_socket_set_options(int fd, int family, const hank_socket_options *options)
{
    static const hank_socket_options defaults;
    const hank_socket_options *o = options ? options : &defaults;
    if (o->reserved_[0] != 0 || o->reserved_[1] != 0)
        return -EINVAL;
    int rc = set_size(fd, SOL_SOCKET, SO_SNDBUF, o->send_buffer);
    if (rc == 0)
        rc = set_size(fd, SOL_SOCKET, SO_RCVBUF, o->receive_buffer);
    if (rc < 0 || family == AF_UNIX)
        return rc;
    rc = set_number(fd, SOL_SOCKET, SO_KEEPALIVE, o->keep_alive);
    return rc < 0 ? rc : set_tcp(fd, o);
}

int hank_stream_set_options(hank_stream *s, const hank_socket_options *options)
{
    int rc = hk_fd_hold(&s->fd);
    if (rc < 0)
        return rc;
    hk_address address = {.length = sizeof address.socket};
    int fd = hk_stream_bottom(s)->fd.fd;
    rc = hk_os_getsockname(fd, &address.socket.any, &address.length);
    if (rc == 0)
        rc = hk_socket_set_options(fd, address.socket.any.sa_family, options);
    hk_fd_release(&s->fd);
    return rc;
}

int hank_stream_fd(hank_stream *s)
{
    int rc = hk_fd_hold(&s->fd);
    if (rc < 0)
        return rc;
    int fd = hk_stream_bottom(s)->fd.fd;
    hk_fd_release(&s->fd);
    return fd < 0 ? -EBADF : fd;
}

void hank_abort(hank_stream *s)
{
    if (!s)
        return;
    if (s->kind->abort)
        s->kind->abort(s); /* the descriptor is ours until hk_fd_close */
    if (s->kind->closing)
        s->kind->closing(s, false);
    hk_fd_close(&s->fd);
}
