/* SPDX-License-Identifier: MIT */
/* listener.h - a listening socket from inside. */
#ifndef HK_IO_LISTENER_H
#define HK_IO_LISTENER_H

#include <hank/stream.h>

#include "base/list.h"
#include "io/fd.h"
#include "io/unix_file.h"
#include "io/where.h"

/* address        as bound, the port filled in; constant
 * wrapper, arg   what is put over each connection; NULL: nothing. Written with the direction to
 *                accept taken
 * file           of a Unix socket, to remove no other than ours; constant
 * turn           whose reactor looks after the next connection; whoever accepts
 * link           in the list of a server, whose lock guards it */
struct hank_listener {
    hk_fd fd;
    hk_address address;
    const struct hank_wrapper *wrapper;
    void *arg;
    hk_unix_file file;
    unsigned turn;
    hk_node link;
};

/* One without a descriptor. NULL: no memory. */
HK_MUST_CHECK hank_listener *hk_listener_new(void);

#endif
