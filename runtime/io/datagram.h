/* SPDX-License-Identifier: MIT */
/* datagram.h - what an endpoint is, for those who send and receive with more than one buffer.
 *
 * Sending and receiving a datagram is one call of the system, so tasks need not keep out of each
 * other's way to make it. Only to wait they do, as a descriptor has one waiter a direction: `turn`
 * has one permit each, and whoever has it waits, while the others queue for it in their order.
 *
 *     try -> EAGAIN -> take the turn -> try, wait, try ... -> give it on */
#ifndef HK_IO_DATAGRAM_H
#define HK_IO_DATAGRAM_H

#include <stdbool.h>
#include <sys/socket.h>

#include <hank/datagram.h>
#include <hank/sync.h>

#include "base/atomic.h"
#include "io/address.h"
#include "io/fd.h"
#include "io/unix_file.h"

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

/* To `a`, or to where the endpoint is connected to: NULL. */
static inline void hk_message_to(struct msghdr *m, const hank_address *a)
{
    m->msg_name = a ? (void *)(uintptr_t)&hk_address_inside_const(a)->socket : NULL;
    m->msg_namelen = a ? hk_address_inside_const(a)->length : 0;
}

/* Room for who sent it. */
static inline void hk_message_from(struct msghdr *m, hank_address *a)
{
    *a = (hank_address){{0}};
    m->msg_name = &hk_address_inside(a)->socket;
    m->msg_namelen = sizeof hk_address_inside(a)->socket;
}

/* What can be received at once, or -EAGAIN; with `wait`, what can be then. */
HK_MUST_CHECK ssize_t hk_endpoint_receive(hank_endpoint *e, bool wait, hk_attempt *once,
                                          void *what);

/* Send when there is room. `to` is where, NULL if where e is connected to. */
HK_MUST_CHECK ssize_t hk_endpoint_send(hank_endpoint *e, const hank_address *to, hk_attempt *once,
                                       void *what);

#endif
