/* SPDX-License-Identifier: MIT */
/* uring_open.c - what a reactor on io_uring needs beside the ring: buffers, and what wakes it.
 *
 * Receiving that goes on (multishot) came to the kernel in 6.0 and has no flag of its own to ask
 * for. IORING_OP_SEND_ZC, which is of the same release and not used here, has: a kernel that knows
 * it knows the rest. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/os.h"
#include "reactor/flow.h"
#include "reactor/uring.h"

_Static_assert((HK_URING_BUFFERS & (HK_URING_BUFFERS - 1)) == 0, "a position is a mask away");

static size_t ring_bytes(void)
{
    return HK_URING_BUFFERS * sizeof(struct io_uring_buf);
}

static size_t memory_bytes(void)
{
    return (size_t)HK_URING_BUFFERS * HK_PIECE_BYTES;
}

/* The ring of buffers, which begins full. */
static int make_buffers(hk_reactor *r)
{
    hk_uring *u = r->uring;
    void *ring, *memory;
    int rc = hk_os_map(ring_bytes(), &ring);
    if (rc < 0)
        return rc;
    rc = hk_os_map(memory_bytes(), &memory);
    if (rc < 0)
        goto unmap_ring;
    rc = -ENOMEM;
    r->pieces.list = hk_alloc_zeroed(HK_URING_BUFFERS * sizeof(hk_piece));
    if (!r->pieces.list)
        goto unmap_memory;
    struct io_uring_buf_reg group = {.ring_addr = (uint64_t)(uintptr_t)ring,
                                     .ring_entries = HK_URING_BUFFERS};
    rc = hk_os_uring_lend(&r->rings->liburing, &group);
    if (rc < 0)
        goto free_list;
    r->pieces.memory = memory;
    u->buffers = ring;
    io_uring_buf_ring_init(u->buffers);
    for (uint32_t i = 0; i < HK_URING_BUFFERS; i++)
        hk_store_relaxed(&r->pieces.list[i].next, i + 1 < HK_URING_BUFFERS ? i + 2 : 0); /* new */
    hk_store_relaxed(&r->pieces.given_back, 1u); /* all of them */
    hk_uring_refill(r);
    return 0;

free_list:
    hk_free(r->pieces.list, HK_URING_BUFFERS * sizeof(hk_piece));
unmap_memory:
    (void)hk_os_unmap(memory, memory_bytes()); /* ours: cannot fail */
unmap_ring:
    (void)hk_os_unmap(ring, ring_bytes());
    return rc;
}

static void free_buffers(hk_reactor *r)
{
    /* From here on no receive can pick one, not even one whose cancelling is under way. */
    (void)hk_os_uring_take_back(&r->rings->liburing, 0);
    hk_free(r->pieces.list, HK_URING_BUFFERS * sizeof(hk_piece));
    (void)hk_os_unmap(r->pieces.memory, memory_bytes()); /* ours: cannot fail */
    (void)hk_os_unmap(r->uring->buffers, ring_bytes());
    r->pieces.list = NULL;
}

static int open_ring(hk_reactor *r)
{
    int rc = hk_rings_open(HK_URING_ENTRIES, HK_URING_COMPLETIONS, &r->rings);
    if (rc < 0)
        return rc;
    rc = hk_rings_knows(r->rings, IORING_OP_SEND_ZC) ? make_buffers(r) : -ENOSYS;
    if (rc < 0)
        hk_rings_close(r->rings);
    else
        r->backend_fd = r->rings->liburing.ring_fd;
    return rc;
}

int hk_uring_open(hk_reactor *r)
{
    r->uring = hk_alloc_zeroed(sizeof *r->uring);
    if (!r->uring)
        return -ENOMEM;
    int rc = hk_os_eventfd();
    if (rc < 0)
        goto free_uring;
    r->wake_fd = rc;
    rc = open_ring(r);
    if (rc < 0)
        goto close_wake;
    hk_os_interrupt_threads_prepare();
    return 0;

close_wake:
    (void)hk_os_close(r->wake_fd); /* the first error is the one to report */
    r->wake_fd = -1;
free_uring:
    hk_free(r->uring, sizeof *r->uring);
    r->uring = NULL;
    return rc;
}

void hk_uring_close(hk_reactor *r)
{
    hk_uring_let_go(r);
    free_buffers(r);
    hk_rings_close(r->rings);
    (void)hk_os_close(r->wake_fd); /* nothing was written: nothing can be lost */
    r->backend_fd = r->wake_fd = -1;
    hk_free(r->uring, sizeof *r->uring);
    r->uring = NULL;
}
