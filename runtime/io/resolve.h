/* SPDX-License-Identifier: MIT */
/* resolve.h - from a name to addresses. */
#ifndef HK_IO_RESOLVE_H
#define HK_IO_RESOLVE_H

#include <hank/address.h>
#include <hank/layer.h>

#include "io/where.h"

enum { HK_ADDRESSES_MAX = HANK_RESOLVE_MAX }; /* tried for one name */

/* A lookup of which one family of addresses has not come yet: dns.h. */
typedef struct hk_dns_lookup hk_dns_lookup;

/* Put one more address at the end of a list of n, whose new length is returned. A full list drops
 * the last of the other family as long as that has more than its half: who connects tries both. */
int hk_addresses_add(hk_address list[HK_ADDRESSES_MAX], int n, const hk_address *one);

/* The addresses `where` means, in the order to try them: their number, at least 1; -ENOMEM,
 * -EAGAIN, a resolver's code (base/error.h), -ECANCELED, -ETIMEDOUT. Waits only if there is a name
 * to look up, and a stop ends that wait at once, whatever the name servers do. */
HK_MUST_CHECK int hk_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX]);

/* What a `where` of streams means: the number of its addresses, as hk_resolve(); 0 if it is of a
 * scheme of somebody else's, *ret_other; -EINVAL malformed; -EPROTONOSUPPORT nobody knows it. */
HK_MUST_CHECK int hk_resolve_text(const char *where, bool listening, const hank_scheme **ret_other,
                                  hk_address ret_list[HK_ADDRESSES_MAX]);

/* The same for who connects and can begin with a part of the addresses, as hk_dns_begin(). */
HK_MUST_CHECK int hk_resolve_begin(const char *where, const hank_scheme **ret_other,
                                   hk_address ret_list[HK_ADDRESSES_MAX], hk_dns_lookup **ret_late);

#endif
