/* SPDX-License-Identifier: MIT */
/* address.h - addresses as values: read, written, compared. */
#ifndef HANK_ADDRESS_H
#define HANK_ADDRESS_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a datagram comes from or goes to. May be copied and kept. */
typedef struct hank_address {
    uint64_t opaque_[15];
} hank_address;

/* Read an address: "udp://1.2.3.4:53", "udp://[::1]:53", "unix:///path", "unix://@name". Names are
 * not looked up.
 *
 *   ret         written if the result is 0
 *   result      0; -EINVAL malformed, or a name; -EPROTONOSUPPORT
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_address_parse(const char *text, hank_address *ret);

/* Write an address as hank_address_parse() reads it.
 *
 *   ret_text    written and ended by a NUL if the result is 0; "unix://" for a nameless sender
 *   n           its size in bytes
 *   result      0; -ENOSPC it does not fit; -EAFNOSUPPORT no address: it is zeroed
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_address_format(const hank_address *address, char *ret_text, size_t n);

/* Whether two addresses are the same: family, host and port, or path.
 *
 *   result      true or false
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API bool hank_address_equal(const hank_address *a, const hank_address *b);

#ifdef __cplusplus
}
#endif
#endif
