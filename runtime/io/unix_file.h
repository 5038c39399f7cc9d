/* SPDX-License-Identifier: MIT */
/* unix_file.h - the files of Unix sockets, which outlive those who bound them.
 *
 * One that nobody is behind any more (connecting is refused) is replaced; any other file, or a
 * socket with somebody behind it, is -EADDRINUSE. On close the file goes, if it is still ours. */
#ifndef HK_IO_UNIX_FILE_H
#define HK_IO_UNIX_FILE_H

#include <sys/types.h>

#include "io/where.h"

/* Which file it was when it was bound; zeroed: none. */
typedef struct hk_unix_file {
    dev_t device;
    ino_t inode;
} hk_unix_file;

/* Bind `fd`, a socket of that type, and remember the file. For any family. 0, or why not. */
HK_MUST_CHECK int hk_unix_file_bind(int fd, int type, const hk_address *address,
                                    hk_unix_file *ret_file);

/* Remove the file if it is still that one. */
void hk_unix_file_remove(const hk_unix_file *file, const hk_address *address);

#endif
