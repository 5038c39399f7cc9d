/* SPDX-License-Identifier: MIT */
/* dns_sockets.h - the sockets of one c-ares channel: made as all others of hank, and waited for
 * together. */
#ifndef HK_IO_DNS_SOCKETS_H
#define HK_IO_DNS_SOCKETS_H

#include <ares.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "reactor/reactor.h"

enum { HK_DNS_SOCKETS_MAX = ARES_GETSOCK_MAXNUM };

/* One descriptor that c-ares waits for. source NULL: free. */
typedef struct hk_dns_socket {
    hk_source *source;
    int fd;
    bool wants[2];
    bool armed[2];
} hk_dns_socket;

/* All of it belongs to one task at a time.
 *
 * error     a descriptor could not be watched
 * heard_ns  when there first was an answer with something in it, whatever it was worth; 0: never */
typedef struct hk_dns_sockets {
    hk_dns_socket list[HK_DNS_SOCKETS_MAX];
    int error;
    int64_t heard_ns;
} hk_dns_sockets;

/* Have `channel` use them. Before, hk_dns_on_socket_state() must have been among its options. */
void hk_dns_sockets_attach(hk_dns_sockets *s, ares_channel channel);

/* For c-ares: from now on wait for this, or no more: then it is about to be closed. */
void hk_dns_on_socket_state(void *sockets, ares_socket_t fd, int readable, int writable);

/* Have c-ares read and write what is ready. Whether anything was; or a failure. */
HK_MUST_CHECK int hk_dns_sockets_process(hk_dns_sockets *s, ares_channel channel);

/* Wait until something is ready, or until `when`. 0, or a stop or failure. */
HK_MUST_CHECK int hk_dns_sockets_wait(hk_dns_sockets *s, int64_t when);

#endif
