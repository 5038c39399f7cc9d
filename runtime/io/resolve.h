/* SPDX-License-Identifier: MIT */
/* resolve.h - from a name to addresses. */
#ifndef HK_IO_RESOLVE_H
#define HK_IO_RESOLVE_H

#include "io/where.h"

enum { HK_ADDRESSES_MAX = 8 }; /* tried for one name */

/* The addresses `where` means, in the order to try them: their number, at least 1; -ENOMEM,
 * -EAGAIN, a resolver's code (base/error.h), -ECANCELED, -ETIMEDOUT. Waits only if there is a name
 * to look up, and a stop ends that wait at once, whatever the name servers do. */
HK_MUST_CHECK int hk_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX]);

#endif
