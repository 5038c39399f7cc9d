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

/* As hk_resolve(), for a `where` with a name. -ENOSYS: built without it. */
HK_MUST_CHECK int hk_dns_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX]);

/* The name that belongs to an address of the network, whatever it looks like: 0; as above. */
HK_MUST_CHECK int hk_dns_resolve_name(const hk_address *address, char ret_host[HK_HOST_MAX + 1]);

#endif
