/* SPDX-License-Identifier: MIT */
/* datagram.c - endpoints: open, send, receive, one by one and in batches.
 *
 * Sending and receiving a datagram is one call of the system, so tasks need not keep out of each
 * other's way to make it. Only to wait they do, as a descriptor has one waiter a direction: `turn`
 * has one permit each, and whoever has it waits, while the others queue for it in their order.
 *
 *     try -> EAGAIN -> take the turn -> try, wait, try ... -> give it on
 *
 * Where the kernel or the device has no GSO, and for Unix sockets, entries of a batch are
 * cut here. */
#include <hank/datagram.h>
#include <hank/sync.h>

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "io/fd.h"
#include "io/resolve.h"
#include "io/socket.h"
#include "io/unix_file.h"
#include "sched/park.h"

/* fd, turn  see above
 * file      of a Unix socket; constant once open, as the rest is
 * local     of a Unix socket: to find the file
 * cuts      the kernel knows GSO */
struct hank_endpoint {
    hk_fd fd;
    hank_sem turn[2];
    hk_unix_file file;
    hk_address local;
    int family;
    HK_ATOMIC(bool) cuts; /* relaxed: whoever sees it late tries in vain once more */
};

_Static_assert(sizeof(hk_address) <= sizeof(hank_address), "an address fits");

/* --- addresses ------------------------------------------------------------------------------- */

static hk_address *inside(hank_address *a)
{
    return (hk_address *)(void *)a;
}

static const hk_address *inside_const(const hank_address *a)
{
    return (const hk_address *)(const void *)a;
}

int hank_address_parse(const char *text, hank_address *ret)
{
    hk_where where;
    int rc = hk_where_parse_as(text, HK_UDP | HK_UNIX, false, &where);
    if (rc == 0 && where.host[0] != '\0')
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    *ret = (hank_address){{0}};
    *inside(ret) = where.address;
    return 0;
}

int hank_address_format(const hank_address *address, char *ret_text, size_t n)
{
    return hk_where_format_as(inside_const(address), HK_UDP, ret_text, n);
}

bool hank_address_equal(const hank_address *a, const hank_address *b)
{
    const hk_address *x = inside_const(a), *y = inside_const(b);
    return x->length == y->length && memcmp(&x->socket, &y->socket, x->length) == 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static void endpoint_gone(hk_fd *f)
{
    hank_endpoint *e = hk_container_of(f, hank_endpoint, fd);
    hk_free(e, sizeof *e);
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
#ifdef UDP_SEGMENT
    int none = 0;
    bool cuts = hk_os_setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
    hk_store_relaxed(&e->cuts, cuts);
#endif
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

void hank_endpoint_close(hank_endpoint *e)
{
    if (!e)
        return;
    hk_unix_file_remove(&e->file, &e->local);
    hk_fd_close(&e->fd);
}

/* --- trying and waiting ---------------------------------------------------------------------- */

/* `once` until it does not answer -EAGAIN; e is held. */
static ssize_t wait_in_turn(hank_endpoint *e, hk_direction d, hk_attempt *once, void *what)
{
    int rc = hank_sem_acquire(&e->turn[d]);
    if (rc < 0)
        return rc;
    ssize_t done = hk_fd_begin(&e->fd, d);
    if (done == 0) {
        done = hk_fd_attempt(&e->fd, d, once, what);
        hk_fd_end(&e->fd, d); /* not the last: e is held */
    }
    (void)hank_sem_release(&e->turn[d]); /* at most one permit: cannot overflow */
    return done;
}

/* What can be done at once, or -EAGAIN; with `wait`, what can be done then. */
static ssize_t do_or_wait(hank_endpoint *e, hk_direction d, bool wait, hk_attempt *once, void *what)
{
    int rc = hk_checkpoint();
    if (rc == 0)
        rc = hk_fd_hold(&e->fd);
    if (rc < 0)
        return rc;
    ssize_t done = once(e->fd.fd, what);
    if (done == -EAGAIN && wait)
        done = wait_in_turn(e, d, once, what);
    hk_fd_release(&e->fd);
    return done;
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

static void set_address(struct msghdr *m, const hank_address *a)
{
    m->msg_name = a ? (void *)(uintptr_t)&inside_const(a)->socket : NULL;
    m->msg_namelen = a ? inside_const(a)->length : 0;
}

static int send_one(hank_endpoint *e, struct iovec part, const hank_address *to)
{
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    set_address(&message, to);
    ssize_t put = do_or_wait(e, HK_OUT, true, try_send, &message);
    return put < 0 ? (int)put : 0;
}

int hank_endpoint_send(hank_endpoint *e, const void *buf, size_t n)
{
    return send_one(e, (struct iovec){(void *)(uintptr_t)buf, n}, NULL);
}

int hank_endpoint_send_to(hank_endpoint *e, const void *buf, size_t n, const hank_address *to)
{
    if (!to || inside_const(to)->length == 0)
        return -EINVAL;
    return send_one(e, (struct iovec){(void *)(uintptr_t)buf, n}, to);
}

ssize_t hank_endpoint_recv(hank_endpoint *e, void *ret_buf, size_t n, hank_address *ret_from)
{
    struct iovec part = {ret_buf, n};
    hank_address from = {{0}};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_name = &inside(&from)->socket,
                             .msg_namelen = sizeof inside(&from)->socket};
    ssize_t got = do_or_wait(e, HK_IN, true, try_receive, &message);
    if (got < 0)
        return got;
    inside(&from)->length = message.msg_namelen;
    if (ret_from)
        *ret_from = from;
    return got;
}

/* --- batches --------------------------------------------------------------------------------- */

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
        set_address(m, d->address);
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
        rc = send_one(e, (struct iovec){(char *)d->data + at, n}, d->address);
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
        put =
            tried > 0 ? do_or_wait(e, HK_OUT, true, try_send_batch, &b) : send_cut(e, &list[done]);
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
            inside(list[i].address)->length = m->msg_namelen;
    }
}

static void make_room(batch *b, const hank_datagram *list, size_t n)
{
    b->n = n < BATCH ? (unsigned)n : BATCH;
    for (unsigned i = 0; i < b->n; i++) {
        struct msghdr *m = &b->messages[i].msg_hdr;
        b->parts[i] = (struct iovec){list[i].data, list[i].size};
        *m = (struct msghdr){.msg_iov = &b->parts[i],
                             .msg_iovlen = 1,
                             .msg_control = b->controls[i].bytes,
                             .msg_controllen = sizeof b->controls[i].bytes};
        if (list[i].address) {
            *list[i].address = (hank_address){{0}};
            m->msg_name = &inside(list[i].address)->socket;
            m->msg_namelen = sizeof inside(list[i].address)->socket;
        }
    }
}

ssize_t hank_endpoint_recv_batch(hank_endpoint *e, hank_datagram *list, size_t n)
{
    size_t done = 0;
    ssize_t got = 0;
    bool more = n > 0;
    while (more) {
        batch b;
        make_room(&b, list + done, n - done);
        got = do_or_wait(e, HK_IN, done == 0, try_receive_batch, &b);
        if (got > 0) {
            deliver(&b, list + done, (size_t)got);
            done += (size_t)got;
        }
        more = got == BATCH && done < n;
    }
    return done > 0 ? (ssize_t)done : got;
}
