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
    HK_URING_WANTED = 256,       /* words left by other threads between two waits */
    HK_URING_BUFFERS = 1024,     /* a power of two; HK_PIECE_BYTES each: 2 MiB a worker */
};

/* What a request is, in the low bits of its user_data: the address of an hk_send or, with all of
 * them set, an hk_request; or
 * [ generation : 32 | 0 : 7 | index : 22 | what : 3 ]. */
enum {
    HK_WHAT_SEND = 0, /* aligned, so its low bits are free */
    HK_WHAT_BYTES,
    HK_WHAT_CONNECTIONS,
    HK_WHAT_POLL_IN,
    HK_WHAT_POLL_OUT,
    HK_WHAT_WAKE,
    HK_WHAT_NOTHING,
    HK_WHAT_REQUEST,
    HK_WHAT_BITS = 3,
    HK_WHAT_MASK = (1 << HK_WHAT_BITS) - 1,
};

/* The source's key in user_data. */
static inline uint64_t hk_uring_key(uint64_t name)
{
    return (name & ~(uint64_t)UINT32_MAX) | (uint32_t)name >> HK_WHAT_BITS;
}

/* sq_*, entries        shared with the kernel; written by whoever holds `submitting`
 * cq_*, completions    shared with the kernel; read by the poller
 * buffers_*, filled    the ring of free buffers: the poller fills it and counts; others read the
 *                      count
 * wanted, wanted_n     guarded by submitting; wanted_n also read without: uring_ask.c
 * wake_watched         the poller's: the kernel tells of wake_fd
 * requests             constant: the kinds of hk_request that this kernel knows, bits
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
    uint32_t requests;
    HK_ATOMIC(uint32_t) filled;
    hk_lock submitting;
    HK_ATOMIC(uint32_t) wanted_n;
    uint64_t wanted[HK_URING_WANTED];

    void *rings;
    size_t rings_bytes;
    size_t entries_bytes;
} hk_uring;

/* 0; -ENOSYS: this kernel has not all that is needed; -EPERM: it is not allowed here. */
int hk_uring_open(hk_reactor *r);
void hk_uring_close(hk_reactor *r);

/* For hk_backend. */
int hk_uring_arm(hk_reactor *r, hk_source *s, hk_direction d);
void hk_uring_forget(hk_reactor *unused, hk_source *s);
bool hk_uring_send(hk_reactor *r, hk_send *send);
void hk_uring_nudge(hk_reactor *r);
bool hk_uring_request(hk_reactor *r, hk_request *q);
bool hk_uring_recall(hk_reactor *r, hk_request *q);

/* The operation that makes a call of this kind. */
unsigned hk_uring_operation(hk_request_kind kind);

/* What has come of the request of that user_data. The poller's. */
hk_ticket hk_uring_request_done(uint64_t name, int result);

/* Entries that the kernel has not taken yet, and having it take them. */
uint32_t hk_uring_pending(hk_uring *u);
int hk_uring_submit(hk_reactor *r);

/* Between lock and unlock, for who fills entries. A zeroed one, after which push must follow, or a
 * negative errno if the ring is full and the kernel takes none. */
void hk_uring_lock(hk_uring *u);
void hk_uring_unlock(hk_uring *u);
HK_MUST_CHECK int hk_uring_entry(hk_reactor *r, struct io_uring_sqe **ret_entry);
void hk_uring_push(hk_uring *u);

/* The same: have this entry taken at once, or take it back; and ask that the request of that name
 * be ended, without waiting for it. */
int hk_uring_ask(hk_reactor *r, const struct io_uring_sqe *wanted);
void hk_uring_ask_to_cancel(hk_reactor *r, uint64_t name);

/* Ask for what other threads have left word of. The poller's; those that fail are events. */
void hk_uring_ask_wanted(hk_reactor *r, hk_ready *ready, int max, int *n);

/* The ring is about to go: close the connections that nobody got to know. */
void hk_uring_let_go(hk_reactor *r);

int hk_uring_watch_wake(hk_reactor *r);             /* the poller's */
void hk_uring_cancel(hk_reactor *r, uint64_t name); /* any thread, a request by its user_data */

/* Give the kernel the buffers that readers have given back. The poller's. */
void hk_uring_refill(hk_reactor *r);

#endif
