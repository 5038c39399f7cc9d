/* SPDX-License-Identifier: MIT */
/* batch.c - many datagrams with few calls of the system.
 *
 * An entry with `segment` is many datagrams. The kernel cuts them (GSO), but no more at a time than
 * it likes, so an entry goes to it in pieces:
 *
 *     entry    |---------------- size ----------------|
 *     pieces   |-- 64 segments --|-- 64 segments --|--|    a message each
 *
 * Where the kernel, the device or the way there cannot, and for Unix sockets, a piece is one
 * segment: then they are cut here. */
#include "io/datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/os.h"

enum { BATCH = 12 }; /* at a time: it lies on the stack */

/* What every kernel with GSO takes in one message: UDP_MAX_SEGMENTS before it grew, and what fits
 * into a packet of IPv4. */
enum { CUT_SEGMENTS_MAX = 64, CUT_BYTES_MAX = 65507 };

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

/* How far a batch has come: `done` entries, and of the next one the bytes before `at`. */
typedef struct progress {
    size_t done;
    size_t at;
    bool by_hand; /* the kernel would not cut the rest of this entry */
} progress;

/* What of the next entry goes into a message of its own. */
static size_t piece_of(hank_endpoint *e, const hank_datagram *d, const progress *p)
{
    size_t segments = 1, left = d->size - p->at;
    if (d->segment == 0 || d->segment >= left)
        return left;
    if (hk_load_relaxed(&e->cuts) && !p->by_hand)
        segments = CUT_BYTES_MAX / d->segment;
    if (segments > CUT_SEGMENTS_MAX)
        segments = CUT_SEGMENTS_MAX;
    size_t bytes = (segments > 0 ? segments : 1) * d->segment;
    return bytes < left ? bytes : left;
}

static void pass(progress *p, const hank_datagram *list, size_t bytes)
{
    p->at += bytes;
    if (p->at == list[p->done].size)
        *p = (progress){.done = p->done + 1};
}

/* The next pieces, for one call of the system. */
static void fill(hank_endpoint *e, const hank_datagram *list, size_t n, progress p, batch *b)
{
    for (b->n = 0; p.done < n && b->n < BATCH; b->n++) {
        const hank_datagram *d = &list[p.done];
        struct msghdr *m = &b->messages[b->n].msg_hdr;
        size_t bytes = piece_of(e, d, &p);
        char *from = bytes > 0 ? (char *)d->data + p.at : NULL;
        b->parts[b->n] = (struct iovec){from, bytes};
        *m = (struct msghdr){.msg_iov = &b->parts[b->n], .msg_iovlen = 1};
        hk_message_to(m, d->address);
        if (d->segment > 0 && d->segment < bytes)
            add_segment(m, &b->controls[b->n], d->segment);
        pass(&p, list, bytes);
    }
}

static ssize_t try_send_batch(int fd, void *what)
{
    batch *b = what;
    return hk_os_sendmmsg(fd, b->messages, b->n);
}

/* Was it the cutting that failed? What a device cannot do, it never can; what is too much for the
 * way there may be so for this entry alone. */
static bool is_left_to_us(hank_endpoint *e, const batch *b, ssize_t rc)
{
    if (b->messages[0].msg_hdr.msg_controllen == 0)
        return false; /* the kernel was not to cut anything */
    if (rc == -EIO)
        hk_store_relaxed(&e->cuts, false);
    return rc == -EIO || rc == -EINVAL || rc == -EMSGSIZE;
}

ssize_t hank_endpoint_send_batch(hank_endpoint *e, const hank_datagram *list, size_t n)
{
    progress p = {0};
    ssize_t put = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].segment > UINT16_MAX)
            return -EINVAL;
    while (put >= 0 && p.done < n) {
        batch b;
        fill(e, list, n, p, &b);
        put = hk_endpoint_send(e, list[p.done].address, try_send_batch, &b);
        for (ssize_t i = 0; i < put; i++)
            pass(&p, list, b.parts[i].iov_len);
        if (put < 0 && is_left_to_us(e, &b, put)) {
            p.by_hand = true;
            put = 0;
        } else if (put < (ssize_t)b.n && p.at == 0) {
            break; /* the next would wait, or fail: the caller's next call */
        }
    }
    return p.done > 0 ? (ssize_t)p.done : put;
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
