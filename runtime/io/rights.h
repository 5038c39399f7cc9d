/* SPDX-License-Identifier: MIT */
/* rights.h - descriptors in the control data of a message.
 *
 * Received descriptors come into memory that has room for the most the kernel passes in one
 * message, so that none is ever cut off unseen; what the caller has no room for is closed. */
#ifndef HK_IO_RIGHTS_H
#define HK_IO_RIGHTS_H

#include <stddef.h>
#include <sys/socket.h>

#include <hank/unix.h>

#include "base/compiler.h"

/* Memory for the control data of one message, aligned as CMSG_* want it. */
typedef struct hk_rights {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(HANK_FDS_MAX * sizeof(int))];
} hk_rights;

/* Have `m` carry 1 to HANK_FDS_MAX descriptors; kept in `memory` until it has been sent. */
void hk_rights_put(struct msghdr *m, hk_rights *memory, const int *fds, size_t count);

/* Let `m` receive any number of them. */
void hk_rights_expect(struct msghdr *m, hk_rights *memory);

/* What came with `m` to the caller: at most *count, which is set to how many. The rest is closed.
 * 0; -EMFILE the system had no numbers for all of them: those that it had are closed. */
HK_MUST_CHECK int hk_rights_take(struct msghdr *m, int *ret_fds, size_t *count);

#endif
