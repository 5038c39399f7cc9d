/* SPDX-License-Identifier: MIT */
/* dns_sockets.c - c-ares says which descriptors it waits for; all of them, and the time, are one
 * wait with one ticket, as in foreign.c. */
#include "io/dns_sockets.h"

#include <errno.h>
#include <poll.h>

#include "base/os.h"
#include "sched/park.h"
#include "sched/runtime.h"

enum { HEADER = 12 };

typedef hk_dns_socket watched;

/* --- what c-ares calls ----------------------------------------------------------------------- */

/* Functions for sockets, so that they are made and fail as all others of hank. */
static int to_errno(ssize_t rc)
{
    if (rc >= 0)
        return (int)rc;
    hk_os_set_errno((int)-rc);
    return -1;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
    (void)arg;
    return to_errno(hk_os_socket(family, type, protocol));
}

static int close_socket(ares_socket_t fd, void *arg)
{
    (void)arg;
    return to_errno(hk_os_close(fd));
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length,
                          void *arg)
{
    (void)arg;
    return to_errno(hk_os_connect(fd, address, length));
}

/* Over UDP the header tells whether there is an answer in it; over TCP it may come in pieces. That
 * it is to be believed is not said: the worst it does is to have a question asked again. */
static bool has_answer(const unsigned char *packet, size_t n, bool whole)
{
    return whole ? n >= HEADER && (packet[3] & 0x0f) == 0 && (packet[6] | packet[7]) != 0 : n > 0;
}

/* Connected sockets: the kernel lets in nothing from elsewhere, and c-ares compares the address. */
static ares_ssize_t receive(ares_socket_t fd, void *ret_buf, size_t n, int flags,
                            struct sockaddr *ret_from, ares_socklen_t *length, void *arg)
{
    hk_dns_sockets *s = arg;
    struct iovec part = {ret_buf, n};
    struct msghdr message = {.msg_name = ret_from,
                             .msg_namelen = length ? *length : 0,
                             .msg_iov = &part,
                             .msg_iovlen = 1};
    ssize_t got = hk_os_recvmsg(fd, &message, flags);
    if (got >= 0 && length)
        *length = message.msg_namelen;
    if (got > 0 && s->heard_ns == 0 && has_answer(ret_buf, (size_t)got, ret_from != NULL))
        s->heard_ns = hk_os_now();
    return to_errno(got);
}

static ares_ssize_t send_parts(ares_socket_t fd, const struct iovec *parts, int n, void *arg)
{
    (void)arg;
    return to_errno(hk_os_sendv(fd, parts, n));
}

static watched *find(hk_dns_sockets *s, int fd)
{
    watched *empty = NULL;
    for (int i = 0; i < HK_DNS_SOCKETS_MAX; i++) {
        if (s->list[i].source && s->list[i].fd == fd)
            return &s->list[i];
        if (!s->list[i].source)
            empty = &s->list[i];
    }
    return empty;
}

void hk_dns_on_socket_state(void *sockets, ares_socket_t fd, int readable, int writable)
{
    hk_dns_sockets *s = sockets;
    watched *w = find(s, fd);
    if (!w || (!w->source && !readable && !writable)) {
        if (readable || writable)
            s->error = -ENOMEM; /* more than c-ares says it has */
        return;
    }
    if (!readable && !writable) {
        hk_source_close(w->source);
        *w = (watched){0};
        return;
    }
    if (!w->source) {
        w->source = hk_source_open(fd);
        w->fd = fd;
        if (!w->source)
            s->error = -ENOMEM;
    }
    w->wants[HK_IN] = readable;
    w->wants[HK_OUT] = writable;
}

void hk_dns_sockets_attach(hk_dns_sockets *s, ares_channel channel)
{
    static const struct ares_socket_functions functions = {
        .asocket = open_socket,
        .aclose = close_socket,
        .aconnect = connect_socket,
        .arecvfrom = receive,
        .asendv = send_parts,
    };
    ares_set_socket_functions(channel, &functions, s);
}

/* --- waiting -------------------------------------------------------------------------------- */

int hk_dns_sockets_process(hk_dns_sockets *s, ares_channel channel)
{
    struct pollfd fds[HK_DNS_SOCKETS_MAX];
    int n = 0;
    for (int i = 0; i < HK_DNS_SOCKETS_MAX; i++) {
        const watched *w = &s->list[i];
        if (w->source)
            fds[n++] = (struct pollfd){.fd = w->fd,
                                       .events = (short)((w->wants[HK_IN] ? POLLIN : 0) |
                                                         (w->wants[HK_OUT] ? POLLOUT : 0))};
    }
    int ready = hk_os_poll(fds, (unsigned)n, 0);
    if (ready == -EINTR)
        return 0;
    for (int i = 0; i < n && ready > 0; i++) {
        bool in = fds[i].revents & (POLLIN | POLLERR | POLLHUP);
        bool out = fds[i].revents & (POLLOUT | POLLERR);
        ares_process_fd(channel, in ? fds[i].fd : ARES_SOCKET_BAD,
                        out ? fds[i].fd : ARES_SOCKET_BAD);
    }
    return ready;
}

static int arm(hk_dns_sockets *s, hk_ticket t)
{
    int rc = 0;
    for (int i = 0; i < HK_DNS_SOCKETS_MAX && rc == 0; i++) {
        watched *w = &s->list[i];
        for (int d = HK_IN; w->source && d <= HK_OUT && rc == 0; d++) {
            if (!w->wants[d])
                continue;
            rc = hk_source_start(w->source, (hk_direction)d, t, hk_runtime_reactor());
            w->armed[d] = rc == 0;
        }
    }
    return rc;
}

static void disarm(hk_dns_sockets *s)
{
    for (int i = 0; i < HK_DNS_SOCKETS_MAX; i++) {
        watched *w = &s->list[i];
        for (int d = HK_IN; w->source && d <= HK_OUT; d++)
            if (w->armed[d])
                hk_source_stop(w->source, (hk_direction)d); /* harmless if it has fired */
        w->armed[HK_IN] = w->armed[HK_OUT] = false;
    }
}

int hk_dns_sockets_wait(hk_dns_sockets *s, int64_t when)
{
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    int rc = arm(s, w.ticket);
    if (rc == 0 || !hk_park_abandon(&w)) {
        int claimed = hk_park(&w, when, "name server");
        rc = rc < 0 ? rc : claimed;
    }
    disarm(s);
    return rc < 0 ? rc : 0;
}
