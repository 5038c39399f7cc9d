/* SPDX-License-Identifier: MIT */
/* uring.h - what a reactor on io_uring has beside its ring: uring_open.c makes it, uring.c and
 * uring_ask.c turn the ring. */
#ifndef HK_REACTOR_URING_H
#define HK_REACTOR_URING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "reactor/reactor.h"
#include "reactor/rings.h"

enum {
    HK_URING_ENTRIES = 256,      /* asked for between two system calls */
    HK_URING_COMPLETIONS = 4096, /* more are kept by the kernel, at a price */
    HK_URING_WANTED = 256,       /* words left by other threads between two waits */
    HK_URING_BUFFERS = 1024,     /* a power of two; HK_PIECE_BYTES each: 2 MiB a worker */
};

/* The source's key in user_data. */
static inline uint64_t hk_uring_key(uint64_t name)
{
    return (name & ~(uint64_t)UINT32_MAX) | (uint32_t)name >> HK_WHAT_BITS;
}

/* buffers, filled      the ring of free buffers: the poller fills it and counts; others read the
 *                      count
 * wanted, wanted_n     guarded by the ring's submitting; wanted_n also read without: uring_ask.c
 * wake_watched         the poller's: the kernel tells of wake_fd */
typedef struct hk_uring {
    struct io_uring_buf_ring *buffers;
    bool wake_watched;
    HK_ATOMIC(uint32_t) filled;
    HK_ATOMIC(uint32_t) wanted_n;
    uint64_t wanted[HK_URING_WANTED];
} hk_uring;

/* 0; -ENOSYS: this kernel has not all that is needed; -EPERM: it is not allowed here. */
int hk_uring_open(hk_reactor *r);
void hk_uring_close(hk_reactor *r);

/* For hk_backend. */
int hk_uring_arm(hk_reactor *r, hk_source *s, hk_direction d);
void hk_uring_forget(hk_reactor *unused, hk_source *s);
bool hk_uring_send(hk_reactor *r, hk_send *send);
/* Ask for what other threads have left word of. The poller's; those that fail are events. */
void hk_uring_ask_wanted(hk_reactor *r, hk_ready *ready, int max, int *n);

/* The ring is about to go: close the connections that nobody got to know. */
void hk_uring_let_go(hk_reactor *r);

int hk_uring_watch_wake(hk_reactor *r);             /* the poller's */
void hk_uring_cancel(hk_reactor *r, uint64_t name); /* any thread, a request by its user_data */

/* Give the kernel the buffers that readers have given back. The poller's. */
void hk_uring_refill(hk_reactor *r);

#endif
