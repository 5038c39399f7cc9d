/* SPDX-License-Identifier: MIT */
/* batch.c - many datagrams with few calls of the system.
 *
 * Where the kernel or the device has no GSO, and for Unix sockets, entries of a batch are
 * cut here. */
#include "io/datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/os.h"

enum { BATCH = 12 }; /* at a time: it lies on the stack */

typedef struct control {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
} control;

typedef struct batch {
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    control controls[BATCH];
    unsigned n;
} batch;

static void add_segment(struct msghdr *m, control *memory, unsigned segment)
{
#ifdef UDP_SEGMENT
    uint16_t bytes = (uint16_t)segment;
    *memory = (control){.bytes = {0}};
    m->msg_control = memory->bytes;
    m->msg_controllen = CMSG_SPACE(sizeof bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof bytes);
    memcpy(CMSG_DATA(c), &bytes, sizeof bytes);
#else
    (void)m, (void)memory, (void)segment;
#endif
}

static bool is_cut_here(hank_endpoint *e, const hank_datagram *d)
{
    return d->segment > 0 && d->segment < d->size && !hk_load_relaxed(&e->cuts);
}

/* The next entries for one call of the system: their number, 0 if the first must be cut here. */
static unsigned fill(hank_endpoint *e, const hank_datagram *list, size_t n, batch *b)
{
    b->n = 0;
    while (b->n < n && b->n < BATCH && !is_cut_here(e, &list[b->n])) {
        const hank_datagram *d = &list[b->n];
        struct msghdr *m = &b->messages[b->n].msg_hdr;
        b->parts[b->n] = (struct iovec){d->data, d->size};
        *m = (struct msghdr){.msg_iov = &b->parts[b->n], .msg_iovlen = 1};
        hk_message_to(m, d->address);
        if (d->segment > 0 && d->segment < d->size)
            add_segment(m, &b->controls[b->n], d->segment);
        b->n++;
    }
    return b->n;
}

static ssize_t try_send_batch(int fd, void *what)
{
    batch *b = what;
    return hk_os_sendmmsg(fd, b->messages, b->n);
}

static int send_cut(hank_endpoint *e, const hank_datagram *d)
{
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < d->size; at += d->segment) {
        size_t n = d->size - at < d->segment ? d->size - at : d->segment;
        const char *part = (const char *)d->data + at;
        rc = d->address ? hank_endpoint_send_to(e, part, n, d->address)
                        : hank_endpoint_send(e, part, n);
    }
    return rc;
}

ssize_t hank_endpoint_send_batch(hank_endpoint *e, const hank_datagram *list, size_t n)
{
    size_t done = 0;
    ssize_t put = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].segment > UINT16_MAX)
            return -EINVAL;
    while (put >= 0 && done < n) {
        batch b;
        unsigned tried = fill(e, list + done, n - done, &b);
        put = tried > 0 ? hk_endpoint_send(e, list[done].address, try_send_batch, &b)
                        : send_cut(e, &list[done]);
        if (put == -EIO && list[done].segment > 0 && hk_load_relaxed(&e->cuts)) {
            hk_store_relaxed(&e->cuts, false); /* the way there cannot do it */
            put = 0;
            continue;
        }
        if (put >= 0)
            done += tried > 0 ? (size_t)put : 1;
        if (tried > 0 && put >= 0 && put < (ssize_t)tried)
            break; /* the next would wait, or fail: the caller's next call */
    }
    return done > 0 ? (ssize_t)done : put;
}

static ssize_t try_receive_batch(int fd, void *what)
{
    batch *b = what;
    return hk_os_recvmmsg(fd, b->messages, b->n, MSG_TRUNC); /* msg_len: as it was sent */
}

static unsigned segment_of(struct msghdr *m)
{
    int bytes = 0;
#ifdef UDP_GRO
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
            memcpy(&bytes, CMSG_DATA(c), sizeof bytes);
#else
    (void)m;
#endif
    return bytes > 0 ? (unsigned)bytes : 0;
}

/* What came: to the entries. */
static void deliver(batch *b, hank_datagram *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct msghdr *m = &b->messages[i].msg_hdr;
        list[i].size = b->messages[i].msg_len;
        list[i].segment = segment_of(m);
        if (list[i].address)
            hk_address_inside(list[i].address)->length = m->msg_namelen;
    }
}

/* Room for what the kernel joined, but not for descriptors: without it, they are closed. */
static void make_room(batch *b, hank_endpoint *e, const hank_datagram *list, size_t n)
{
    b->n = n < BATCH ? (unsigned)n : BATCH;
    for (unsigned i = 0; i < b->n; i++) {
        struct msghdr *m = &b->messages[i].msg_hdr;
        b->parts[i] = (struct iovec){list[i].data, list[i].size};
        *m = (struct msghdr){.msg_iov = &b->parts[i], .msg_iovlen = 1};
        if (e->family != AF_UNIX) {
            m->msg_control = b->controls[i].bytes;
            m->msg_controllen = sizeof b->controls[i].bytes;
        }
        if (list[i].address)
            hk_message_from(m, list[i].address);
    }
}

ssize_t hank_endpoint_recv_batch(hank_endpoint *e, hank_datagram *list, size_t n)
{
    size_t done = 0;
    ssize_t got = 0;
    bool more = n > 0;
    while (more) {
        batch b;
        make_room(&b, e, list + done, n - done);
        got = hk_endpoint_receive(e, done == 0, try_receive_batch, &b);
        if (got > 0) {
            deliver(&b, list + done, (size_t)got);
            done += (size_t)got;
        }
        more = got == BATCH && done < n;
    }
    return done > 0 ? (ssize_t)done : got;
}
