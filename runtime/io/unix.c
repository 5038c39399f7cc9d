/* SPDX-License-Identifier: MIT */
/* unix.c - descriptors that travel over Unix sockets, and who is at the other end. */
#include <hank/unix.h>

#include <errno.h>

#include "base/os.h"
#include "io/datagram.h"
#include "io/rights.h"
#include "io/stream.h"
#include "sched/park.h"

static bool is_unix(hank_stream *s)
{
    hk_address address = {.length = sizeof address.socket};
    return s->kind->direct &&
           hk_os_getsockname(s->fd.fd, &address.socket.any, &address.length) == 0 &&
           address.socket.any.sa_family == AF_UNIX;
}

/* --- sending -------------------------------------------------------------------------------- */

static ssize_t try_sendmsg(int fd, void *what)
{
    return hk_os_sendmsg(fd, what);
}

/* The first bytes, which the descriptors travel with: how many have gone. */
static ssize_t send_with_fds(hank_stream *s, struct iovec *part, const int *fds, size_t count)
{
    hk_rights memory;
    struct msghdr message = {.msg_iov = part, .msg_iovlen = 1};
    hk_rights_put(&message, &memory, fds, count);
    return hk_fd_attempt(&s->fd, HK_OUT, try_sendmsg, &message);
}

/* The direction is taken. */
static int send_fds(hank_stream *s, struct iovec part, const int *fds, size_t count)
{
    int rc = s->torn ? -EPIPE : is_unix(s) ? hk_cork_flush(s) : -ENOTSUP;
    if (rc < 0)
        return rc;
    ssize_t put = send_with_fds(s, &part, fds, count);
    if (put < 0)
        return (int)put;
    hk_stream_touch(s);
    size_t done = (size_t)put;
    while (rc >= 0 && done < part.iov_len) {
        put = s->kind->write(s, (const char *)part.iov_base + done, part.iov_len - done);
        if (put > 0)
            done += (size_t)put;
        rc = put < 0 ? (int)put : done < part.iov_len ? hk_checkpoint() : 0;
    }
    if (rc < 0)
        s->torn = true; /* what followed would be read as the rest of this */
    return rc;
}

int hank_send_fds(hank_stream *s, const void *buf, size_t n, const int *fds, size_t count)
{
    if (n == 0 || count == 0 || count > HANK_FDS_MAX)
        return -EINVAL;
    int rc = hk_stream_begin(s, HK_OUT);
    if (rc < 0)
        return rc;
    rc = send_fds(s, (struct iovec){(void *)(uintptr_t)buf, n}, fds, count);
    hk_fd_end(&s->fd, HK_OUT);
    return rc;
}

/* --- receiving ------------------------------------------------------------------------------ */

static ssize_t try_recvmsg(int fd, void *what)
{
    return hk_os_recvmsg(fd, what, 0);
}

/* The direction is taken. */
static ssize_t recv_fds(hank_stream *s, struct iovec part, int *ret_fds, size_t *count)
{
    size_t room = *count;
    *count = 0;
    if (!is_unix(s))
        return -ENOTSUP;
    size_t unread = hk_unread_count(&s->unread);
    if (unread > 0) { /* these came without, or what came with them was closed */
        size_t n = unread < part.iov_len ? unread : part.iov_len;
        hk_unread_take(&s->unread, part.iov_base, n);
        return (ssize_t)n;
    }
    hk_rights memory;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    hk_rights_expect(&message, &memory);
    ssize_t got = hk_fd_attempt(&s->fd, HK_IN, try_recvmsg, &message);
    if (got < 0)
        return got;
    hk_stream_touch(s);
    *count = room;
    int rc = hk_rights_take(&message, ret_fds, count);
    return rc < 0 ? rc : got;
}

ssize_t hank_recv_fds(hank_stream *s, void *ret_buf, size_t n, int *ret_fds, size_t *count)
{
    if (n == 0)
        return -EINVAL;
    int rc = hk_stream_begin(s, HK_IN);
    if (rc < 0)
        return rc;
    ssize_t got = recv_fds(s, (struct iovec){ret_buf, n}, ret_fds, count);
    hk_fd_end(&s->fd, HK_IN);
    return got;
}

/* --- datagrams ------------------------------------------------------------------------------ */

int hank_endpoint_send_fds(hank_endpoint *e, const hank_datagram *d, const int *fds, size_t count)
{
    hk_rights memory;
    struct iovec part = {d->data, d->size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (d->segment != 0 || count == 0 || count > HANK_FDS_MAX ||
        (d->address && hk_address_inside_const(d->address)->length == 0))
        return -EINVAL;
    if (e->family != AF_UNIX)
        return -ENOTSUP;
    hk_message_to(&message, d->address);
    hk_rights_put(&message, &memory, fds, count);
    ssize_t put = hk_endpoint_send(e, d->address, try_sendmsg, &message);
    return put < 0 ? (int)put : 0;
}

static ssize_t try_recvmsg_whole(int fd, void *what)
{
    return hk_os_recvmsg(fd, what, MSG_TRUNC); /* its length, even if it is cut */
}

int hank_endpoint_recv_fds(hank_endpoint *e, hank_datagram *d, int *ret_fds, size_t *count)
{
    hk_rights memory;
    size_t room = *count;
    struct iovec part = {d->data, d->size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    *count = 0;
    if (e->family != AF_UNIX)
        return -ENOTSUP;
    if (d->address)
        hk_message_from(&message, d->address);
    hk_rights_expect(&message, &memory);
    ssize_t got = hk_endpoint_receive(e, true, try_recvmsg_whole, &message);
    if (got < 0)
        return (int)got;
    *count = room;
    int rc = hk_rights_take(&message, ret_fds, count);
    if (rc < 0)
        return rc;
    d->size = (size_t)got;
    d->segment = 0;
    if (d->address)
        hk_address_inside(d->address)->length = message.msg_namelen;
    return 0;
}

/* --- who ------------------------------------------------------------------------------------ */

int hank_peer_credentials(hank_stream *s, hank_credentials *ret)
{
    int rc = hk_fd_hold(&s->fd);
    if (rc < 0)
        return rc;
    rc = -ENOTSUP;
#ifdef SO_PEERCRED
    struct ucred who;
    socklen_t length = sizeof who;
    if (is_unix(s))
        rc = hk_os_getsockopt(s->fd.fd, SOL_SOCKET, SO_PEERCRED, &who, &length);
    if (rc == 0)
        *ret = (hank_credentials){.process = who.pid, .user = who.uid, .group = who.gid};
#endif
    hk_fd_release(&s->fd);
    return rc;
}
