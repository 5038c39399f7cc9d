/* SPDX-License-Identifier: MIT */
/* listener.h - a listening socket from inside. */
#ifndef HK_IO_LISTENER_H
#define HK_IO_LISTENER_H

#include <sys/types.h>

#include <hank/stream.h>

#include "io/fd.h"
#include "io/where.h"

/* address        as bound, the port filled in; constant
 * device, inode  of a Unix socket's file, to remove no other than ours; constant
 * turn           whose reactor looks after the next connection; whoever accepts */
struct hank_listener {
    hk_fd fd;
    hk_address address;
    dev_t device;
    ino_t inode;
    unsigned turn;
};

#endif
