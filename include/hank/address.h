/* SPDX-License-Identifier: MIT */
/* address.h - addresses as values: read, written, compared; and the names that belong to them.
 *
 * hank_connect(), hank_listen() and hank_endpoint_open() look up names themselves. To do it apart
 * is for programs that choose among the addresses in a way of their own:
 *
 *     hank_address list[HANK_RESOLVE_MAX];
 *     int n = hank_resolve("tcp://example.org:80", list, HANK_RESOLVE_MAX);
 *     ... hank_address_format(&list[i], text, sizeof text), hank_connect(text, &s) */
#ifndef HANK_ADDRESS_H
#define HANK_ADDRESS_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HANK_RESOLVE_MAX = 8, /* addresses of one name that hank looks at */
    HANK_HOST_MAX = 253,  /* bytes of a name, without the NUL */
};

/* Of an end of a connection, or of where a datagram comes from or goes to. May be copied and kept.
 * Zeroed it is no address. */
typedef struct hank_address {
    uint64_t opaque_[15];
} hank_address;

/* Read an address: "udp://1.2.3.4:53", "tcp://[::1]:80", "unix:///path", "unix://@name". Names are
 * not looked up.
 *
 *   ret         written if the result is 0
 *   result      0; -EINVAL malformed, or a name; -EPROTONOSUPPORT
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_address_parse(const char *text, hank_address *ret);

/* Write an address as hank_address_parse() reads it: with "tcp://" if it was read or looked up so,
 * else with "udp://".
 *
 *   ret_text    written and ended by a NUL if the result is 0; "unix://" for a nameless sender
 *   n           its size in bytes
 *   result      0; -ENOSPC it does not fit; -EAFNOSUPPORT no address: it is zeroed
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_address_format(const hank_address *address, char *ret_text, size_t n);

/* Whether two addresses are the same: family, host and port, or path, whatever they are for.
 *
 *   result      true or false
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API bool hank_address_equal(const hank_address *a, const hank_address *b);

/* Look up the addresses of a host, in the order to try them.
 *
 *   where       "tcp://host:port" or "udp://host:port"; port 0 if none is meant. What is an address
 *               already, a Unix socket's too, is the one result
 *   ret_list    n addresses; as many are written as the result says
 *   result      1 to n; -EINVAL malformed, or n == 0; -EPROTONOSUPPORT another scheme; -ENOMEM;
 *               -EAGAIN no thread to be had to ask on; a number below -4095: the lookup failed;
 *               -ECANCELED; -ETIMEDOUT
 *   waits       for the answer, if there is a name to look up
 *   if stopped  at once, whatever the name servers do
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   source      RFC 6724, by the system's resolver or c-ares */
HANK_API int hank_resolve(const char *where, hank_address *ret_list, size_t n);

/* Look up the name of the host that has an address. Who owns the address says what it is, and
 * nobody vouches for it: to trust it, look it up in turn.
 *
 *   address     its port does not matter
 *   ret_host    written and ended by a NUL if the result is 0: a name that may stand in a `where`
 *   n           its size in bytes; HANK_HOST_MAX + 1 is enough for any
 *   result      0; -ENOSPC it does not fit; -EAFNOSUPPORT a Unix socket's address, or none;
 *               -ENOMEM; -EAGAIN no thread to be had to ask on; a number below -4095: the lookup
 *               failed, or there is no name, or one that no host may have; -ECANCELED; -ETIMEDOUT
 *   waits       for the answer
 *   if stopped  at once, whatever the name servers do
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_resolve_name(const hank_address *address, char *ret_host, size_t n);

#ifdef __cplusplus
}
#endif
#endif
