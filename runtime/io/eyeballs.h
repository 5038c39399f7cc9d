/* SPDX-License-Identifier: MIT */
/* eyeballs.h - one connection out of several addresses, the fastest way. */
#ifndef HK_IO_EYEBALLS_H
#define HK_IO_EYEBALLS_H

#include <hank/stream.h>

#include "io/resolve.h"
#include "io/where.h"

/* Connect to one address: 0 or a negative errno. Called by several tasks at once. */
typedef int hk_connect_one(const hk_address *address, const hank_connect_options *options,
                           hank_stream **ret);

/* Wait for addresses that are not there yet, in a task of its own: their number; 0: there are no
 * more; a stop or a failure. */
typedef int hk_more_addresses(void *arg, hk_address ret_list[HK_ADDRESSES_MAX]);

/* What to try: n >= 1 addresses, and those that `more` gives, once; NULL: there are no others. */
typedef struct hk_candidates {
    const hk_address *list;
    int n;
    hk_more_addresses *more;
    void *arg;
} hk_candidates;

/* Try addresses until one answers: the next is tried when the last one has failed or has said
 * nothing for a quarter of a second, families in turn; the first connection wins. 0; the failure of
 * the address that failed last; a stop. Any task; a thread tries those that are there, one after
 * the other. */
HK_MUST_CHECK int hk_connect_any(const hk_candidates *all, hk_connect_one *connect_one,
                                 const hank_connect_options *options, hank_stream **ret);

#endif
