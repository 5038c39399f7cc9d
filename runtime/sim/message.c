/* SPDX-License-Identifier: MIT */
/* message.c - calls that move several pieces of memory, or several messages.
 *
 * Descriptors are not passed from socket to socket here, nor are credentials: whoever sends any is
 * refused. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/os.h"
#include "base/parts.h"
#include "sim/socket.h"

static size_t bytes_in(const struct msghdr *m)
{
    return hk_parts_bytes(m->msg_iov, m->msg_iovlen);
}

/* --- one message --------------------------------------------------------------------------- */

static ssize_t take_datagram(hk_sim_socket *s, struct msghdr *m, int flags)
{
    hk_sim_envelope envelope;
    ssize_t got = hk_sim_dgram_take(s, m->msg_iov, m->msg_iovlen, flags, &envelope);
    if (got < 0)
        return got;
    m->msg_flags = envelope.cut ? MSG_TRUNC : 0;
    socklen_t room = m->msg_namelen;
    m->msg_namelen = envelope.from.length;
    if (m->msg_name)
        memcpy(m->msg_name, &envelope.from.name, room < m->msg_namelen ? room : m->msg_namelen);
    return got;
}

/* A stream fills the first piece that has room; the rest is for the next call. */
static ssize_t take_bytes(int fd, struct msghdr *m, int flags)
{
    size_t i = 0;
    while (i + 1 < m->msg_iovlen && m->msg_iov[i].iov_len == 0)
        i++;
    m->msg_flags = 0;
    m->msg_namelen = 0;
    return hk_os_recv(fd, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len, flags);
}

static ssize_t take(int fd, struct msghdr *m, int flags)
{
    int error;
    hk_sim_socket *s = hk_sim_socket_of(fd, &error);
    if (!s)
        return error;
    m->msg_controllen = 0;
    if (s->type != SOCK_DGRAM)
        return m->msg_iovlen > 0 ? take_bytes(fd, m, flags) : 0;
    return take_datagram(s, m, flags);
}

static ssize_t put(int fd, const struct msghdr *m)
{
    int error;
    hk_sim_address to;
    hk_sim_socket *s = hk_sim_socket_of(fd, &error);
    if (!s)
        return error;
    if (m->msg_controllen > 0)
        return -EOPNOTSUPP;
    if (s->type != SOCK_DGRAM)
        return hk_os_writev(fd, m->msg_iov, (int)m->msg_iovlen);
    int rc = m->msg_name ? hk_sim_address_read(s->family, m->msg_name, m->msg_namelen, &to) : 0;
    return rc < 0 ? rc : hk_sim_dgram_send(s, m->msg_name ? &to : NULL, m->msg_iov, m->msg_iovlen);
}

ssize_t hk_os_recvmsg(int fd, struct msghdr *message, int flags)
{
    hk_sim_call();
    ssize_t rc = take(fd, message, flags);
    hk_sim_note("recvmsg", fd, rc);
    return rc;
}

ssize_t hk_os_sendmsg(int fd, const struct msghdr *message)
{
    hk_sim_call();
    ssize_t rc = put(fd, message);
    hk_sim_note("sendmsg", (int64_t)bytes_in(message), rc);
    return rc;
}

/* --- several ------------------------------------------------------------------------------- */

int hk_os_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    unsigned done = 0;
    ssize_t rc = 0;
    hk_sim_call();
    for (; done < n && (rc = take(fd, &messages[done].msg_hdr, flags)) >= 0; done++)
        messages[done].msg_len = (unsigned)rc;
    hk_sim_note("recvmmsg", fd, done > 0 ? (int)done : (int)rc);
    return done > 0 ? (int)done : (int)rc;
}

int hk_os_sendmmsg(int fd, struct mmsghdr *messages, unsigned n)
{
    unsigned done = 0;
    ssize_t rc = 0;
    hk_sim_call();
    for (; done < n && (rc = put(fd, &messages[done].msg_hdr)) >= 0; done++) {
        messages[done].msg_len = (unsigned)rc;
        if (hk_sim_chance(20)) { /* some of them, and the rest the next time */
            done++;
            break;
        }
    }
    hk_sim_note("sendmmsg", fd, done > 0 ? (int)done : (int)rc);
    return done > 0 ? (int)done : (int)rc;
}

/* --- streams that are no sockets ------------------------------------------------------------ */

ssize_t hk_os_write_quietly(int fd, const struct iovec *parts, int n)
{
    return hk_os_writev(fd, parts, n); /* there are no signals */
}

ssize_t hk_os_read_stream(int fd, void *buffer, size_t n)
{
    return hk_os_read(fd, buffer, n);
}
