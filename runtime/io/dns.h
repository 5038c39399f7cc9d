/* SPDX-License-Identifier: MIT */
/* dns.h - name lookups that wait in a reactor instead of on a thread. */
#ifndef HK_IO_DNS_H
#define HK_IO_DNS_H

#include "io/resolve.h"

/* Whether such a configuration (nsswitch.conf) has host names come from files and DNS alone. */
bool hk_dns_suffices(const char *configuration);

/* Whether this program may ask name servers itself: in a task, where the system's list of sources
 * for host names (nsswitch.conf) holds none but files and DNS. */
bool hk_dns_serves(void);

/* Addresses of a `where` with a name, as far as they are there without waiting for a family that
 * is behind the other: their number, as hk_resolve(); -ENOSYS: built without it. *ret_late: where
 * hk_dns_rest() waits for that family, to be given to hk_dns_end(); NULL: these are all. */
HK_MUST_CHECK int hk_dns_begin(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX],
                               hk_dns_lookup **ret_late);

/* The addresses of the family that was late, once: their number; 0 there are none, or it takes a
 * second longer than the other; a stop or a failure. In any task, one at a time. */
HK_MUST_CHECK int hk_dns_rest(hk_dns_lookup *late, hk_address ret_list[HK_ADDRESSES_MAX]);

/* NULL is fine. */
void hk_dns_end(hk_dns_lookup *late);

/* The same in one piece: hk_resolve(), for a `where` with a name. */
HK_MUST_CHECK int hk_dns_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX]);

/* The name that belongs to an address of the network, whatever it looks like: 0; as above. */
HK_MUST_CHECK int hk_dns_resolve_name(const hk_address *address, char ret_host[HK_HOST_MAX + 1]);

#endif
