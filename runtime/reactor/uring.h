/* SPDX-License-Identifier: MIT */
/* uring.h - the rings of one reactor, mapped: uring_open.c makes them, uring.c turns them. */
#ifndef HK_REACTOR_URING_H
#define HK_REACTOR_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "reactor/reactor.h"

struct io_uring_sqe;
struct io_uring_cqe;
struct io_uring_buf;

enum {
    HK_URING_ENTRIES = 256,      /* asked for between two system calls */
    HK_URING_COMPLETIONS = 4096, /* more are kept by the kernel, at a price */
    HK_URING_BUFFERS = 1024,     /* a power of two; HK_PIECE_BYTES each: 2 MiB a worker */
};

/* sq_*, entries        shared with the kernel; written by whoever holds `submitting`
 * cq_*, completions    shared with the kernel; read by the poller
 * buffers_*, filled    the ring of free buffers: the poller fills it and counts; others read the
 *                      count
 * wake_watched         the poller's: the kernel tells of wake_fd
 * rings, rings_bytes, entries_bytes, buffers   mappings, constant */
typedef struct hk_uring {
    HK_ATOMIC(uint32_t) * sq_head;
    HK_ATOMIC(uint32_t) * sq_tail;
    HK_ATOMIC(uint32_t) * sq_flags;
    HK_ATOMIC(uint32_t) * cq_head;
    HK_ATOMIC(uint32_t) * cq_tail;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *completions;
    uint32_t sq_entries;
    uint32_t cq_entries;

    struct io_uring_buf *buffers;
    HK_ATOMIC(uint16_t) * buffers_end;
    uint16_t buffers_tail;
    bool wake_watched;
    HK_ATOMIC(uint32_t) filled;
    hk_lock submitting;

    void *rings;
    size_t rings_bytes;
    size_t entries_bytes;
} hk_uring;

/* 0; -ENOSYS: this kernel has not all that is needed; -EPERM: it is not allowed here. */
int hk_uring_open(hk_reactor *r);
void hk_uring_close(hk_reactor *r);

/* Give the kernel the buffers that readers have given back. The poller's. */
void hk_uring_refill(hk_reactor *r);

#endif
