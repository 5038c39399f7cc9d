/* SPDX-License-Identifier: MIT */
/* parts.h - bytes in several pieces, as writev(2) takes them. */
#ifndef HK_BASE_PARTS_H
#define HK_BASE_PARTS_H

#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

/* Of all n together; the caller knows that this is a size. */
static inline size_t hk_parts_bytes(const struct iovec *parts, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += parts[i].iov_len;
    return bytes;
}

/* All of them, one behind the other. */
static inline void hk_parts_join(const struct iovec *parts, size_t n, char *ret_bytes)
{
    for (size_t i = 0; i < n; i++) {
        if (parts[i].iov_len > 0) /* else there may be no address */
            memcpy(ret_bytes, parts[i].iov_base, parts[i].iov_len);
        ret_bytes += parts[i].iov_len;
    }
}

#endif
