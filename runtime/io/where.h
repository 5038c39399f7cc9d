/* SPDX-License-Identifier: MIT */
/* where.h - what a `where` string says: "tcp://host:port", "udp://host:port", "unix:///path" or
 * "unix://@name".
 *
 * A pure function of its input, and strict: what is not clearly right is -EINVAL, because the rest
 * of hank believes the result. No system call, no name lookup, no allocation. */
#ifndef HK_IO_WHERE_H
#define HK_IO_WHERE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <hank/address.h>

#include "base/compiler.h"

/* RFC 1035, as text without the last dot. */
enum { HK_HOST_MAX = HANK_HOST_MAX, HK_LABEL_MAX = 63 };

/* A socket address of any kind that hank speaks. */
typedef struct hk_address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } socket;
} hk_address;

enum { HK_TCP = 1, HK_UDP = 2, HK_UNIX = 4 }; /* schemes */

/* scheme   one of the above
 * host     a name to look up; "" if the address is known already
 * address  complete if host is ""; else only meaningless */
typedef struct hk_where {
    int scheme;
    uint16_t port;
    char host[HK_HOST_MAX + 1];
    hk_address address;
} hk_where;

/* Read `text`. Port 0 is for listeners: `listening` says whether it may appear. `schemes` are those
 * the caller can use, or-ed.
 * 0; -EINVAL malformed; -EPROTONOSUPPORT a scheme that hank, or the caller, does not know. */
HK_MUST_CHECK int hk_where_parse_as(const char *text, int schemes, bool listening,
                                    hk_where *ret_where);

/* The same for streams: TCP and Unix. */
HK_MUST_CHECK int hk_where_parse(const char *text, bool listening, hk_where *ret_where);

/* Whether a name may stand in a `where`, and so be looked up: not one that is an address. */
bool hk_host_is_name(const char *host);

/* Longest result of hk_where_format, NUL included. */
enum { HK_WHERE_MAX = sizeof "unix://" + sizeof(struct sockaddr_un) };

/* The string for an address, such that it can be read back; "unix://" for a nameless socket, and
 * for one whose abstract name no string can say. 0, or -ENOSPC: it does not fit into n bytes. */
HK_MUST_CHECK int hk_where_format_as(const hk_address *address, int scheme, char *ret_text,
                                     size_t n);
HK_MUST_CHECK int hk_where_format(const hk_address *address, char *ret_text, size_t n); /* TCP */

/* The port of an address, in host order; meaningless for others than IPv4 and IPv6. */
void hk_address_set_port(hk_address *address, uint16_t port);
uint16_t hk_address_port(const hk_address *address); /* 0 of others */

/* The same family, host and port, or path. */
bool hk_address_equal(const hk_address *a, const hk_address *b);

#endif
