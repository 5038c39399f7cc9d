/* SPDX-License-Identifier: MIT */
/* dgram.c - datagrams: each goes its own way, so that one may overtake another, come twice or not
 * at all. Those of Unix sockets do none of this. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "base/parts.h"
#include "sim/socket.h"

enum { MAIL_BYTES_MAX = 208 * 1024, DATAGRAM_MAX = 65507 };

static void free_datagram(hk_sim_datagram *d)
{
    hk_sim_unplan(&d->arrival);
    hk_sim_free(d, sizeof *d + d->n);
}

static void deliver(hk_sim_datagram *d)
{
    hk_sim_socket *s = d->to;
    if (hk_node_linked(&d->link))
        hk_list_remove(&d->link);
    if (s->mail_bytes + d->n > MAIL_BYTES_MAX) { /* nobody reads: lost */
        free_datagram(d);
        return;
    }
    s->mail_bytes += d->n;
    hk_list_push_back(&s->mail, &d->link);
    hk_sim_changed(&s->file, EPOLLIN);
}

static void on_arrival(hk_sim_event *e)
{
    deliver((hk_sim_datagram *)(void *)e);
}

static void post(hk_sim_socket *s, hk_sim_socket *to, const struct iovec *parts, size_t n)
{
    size_t bytes = hk_parts_bytes(parts, n);
    hk_sim_datagram *d = hk_sim_new(sizeof *d + bytes);
    d->to = to;
    d->from = s->local;
    d->n = bytes;
    hk_parts_join(parts, n, d->bytes);
    if (s->family == AF_UNIX) {
        deliver(d);
        return;
    }
    hk_list_push_back(&to->coming, &d->link);
    hk_sim_plan(&d->arrival, hk_sim_now() + hk_sim_lane_delay(true), on_arrival);
}

static hk_sim_socket *unix_receiver(const hk_sim_socket *s, const hk_sim_address *to)
{
    if (!to && s->partner)
        return s->partner;
    hk_sim_inode *i = hk_sim_inode_find((to ? to : &s->peer)->name.un.sun_path);
    return i ? i->listener : NULL;
}

ssize_t hk_sim_dgram_send(hk_sim_socket *s, const hk_sim_address *to, const struct iovec *parts,
                          size_t n)
{
    size_t bytes = hk_parts_bytes(parts, n);
    if (s->error)
        return hk_sim_socket_take_error(s);
    if (!to && s->state != HK_SIM_CONNECTED)
        return s->family == AF_UNIX ? -ENOTCONN : -EDESTADDRREQ;
    if (bytes > DATAGRAM_MAX)
        return -EMSGSIZE;
    if (s->family == AF_UNIX) {
        hk_sim_socket *receiver = unix_receiver(s, to);
        if (!receiver)
            return -ECONNREFUSED;
        if (receiver->mail_bytes + bytes > MAIL_BYTES_MAX)
            return -EAGAIN;
        post(s, receiver, parts, n);
        return (ssize_t)bytes;
    }
    const hk_sim_address *address = to ? to : &s->peer;
    int rc = hk_sim_name_sender(s, address);
    if (rc < 0)
        return rc;
    hk_sim_socket *receiver = hk_sim_find_bound(address, SOCK_DGRAM);
    if (!receiver) {
        if (!to) /* a connected one is told, the next time it asks */
            s->error = -ECONNREFUSED;
        return (ssize_t)bytes;
    }
    if (hk_sim_chance(hk_sim_options.loss))
        return (ssize_t)bytes;
    post(s, receiver, parts, n);
    if (hk_sim_chance(hk_sim_options.duplicate))
        post(s, receiver, parts, n);
    return (ssize_t)bytes;
}

ssize_t hk_sim_dgram_take(hk_sim_socket *s, const struct iovec *parts, size_t n, int flags,
                          hk_sim_envelope *ret)
{
    if (s->error)
        return hk_sim_socket_take_error(s);
    hk_node *node = hk_list_first(&s->mail);
    if (!node)
        return s->read_ended ? 0 : -EAGAIN;
    hk_sim_datagram *d = hk_container_of(node, hk_sim_datagram, link);
    size_t at = 0;
    for (size_t i = 0; i < n && at < d->n; i++) {
        size_t left = d->n - at;
        size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        if (part > 0)
            memcpy(parts[i].iov_base, d->bytes + at, part);
        at += part;
    }
    *ret = (hk_sim_envelope){.from = d->from, .cut = at < d->n};
    ssize_t got = (ssize_t)(flags & MSG_TRUNC ? d->n : at);
    if (flags & MSG_PEEK)
        return got;
    hk_list_remove(node);
    s->mail_bytes -= d->n;
    free_datagram(d);
    return got;
}

void hk_sim_dgram_drop_all(hk_sim_socket *s)
{
    hk_node *node;
    while ((node = hk_list_pop_front(&s->mail)) != NULL ||
           (node = hk_list_pop_front(&s->coming)) != NULL)
        free_datagram(hk_container_of(node, hk_sim_datagram, link));
    if (s->partner) {
        s->partner->partner = NULL;
        s->partner->state = HK_SIM_BROKEN;
        hk_sim_changed(&s->partner->file, EPOLLIN | EPOLLOUT | EPOLLHUP);
    }
}
