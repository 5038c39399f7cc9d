/* SPDX-License-Identifier: MIT */
/* doors.h - listening at every address of a name, as one thing: all of it or nothing.
 *
 * An address that this machine has not is left out, as one of IPv6 where there is none: a name is
 * for all machines that share a list of hosts. Any other failure closes what was opened, so that
 * nobody serves a half of what was asked for.
 *
 * Port 0 is one port for all. The kernel finds one that is free at the first address only; where it
 * is taken at another, all are closed and it is asked again. Rejected: a port for each address, as
 * asyncio has it. A name has one port, and whoever is told of the server is told that name. */
#ifndef HK_IO_DOORS_H
#define HK_IO_DOORS_H

#include <hank/stream.h>

#include "base/compiler.h"
#include "base/list.h"

/* Put listeners at the end of `doors`, which is empty: `each` at every address that `where` means;
 * but one of a kind that cannot share it, a Unix socket's or another library's.
 * 0; else as hank_listen(), and `doors` is empty again. */
HK_MUST_CHECK int hk_doors_open(hk_node *doors, const char *where,
                                const hank_listen_options *options, unsigned each);

/* Close all that are in the list. */
void hk_doors_close(hk_node *doors);

#endif
