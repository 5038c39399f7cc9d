/* SPDX-License-Identifier: MIT */
/* file.h - a file from inside. */
#ifndef HK_IO_FILE_H
#define HK_IO_FILE_H

#include <hank/file.h>

#include "io/fd.h"

/* No reactor hears of fd: only its word is used, so that a close waits for the calls inside.
 *
 * has_positions  constant once open */
struct hank_file {
    hk_fd fd;
    bool has_positions;
};

/* hank_pread() for who holds f. */
HK_MUST_CHECK ssize_t hk_file_read_held(hank_file *f, char *ret_buf, size_t n, int64_t offset);

/* The pieces, for threads that may block. What pread(2) and pwrite(2) do, until all is done. */
ssize_t hk_file_read_all(int fd, char *ret_buf, size_t n, int64_t offset); /* less at the end */
int hk_file_write_all(int fd, const char *buf, size_t n, int64_t offset);

#endif
