/* SPDX-License-Identifier: MIT */
/* uring_open.c - rings: asked for, probed, mapped, and unmapped.
 *
 * What is needed came to the kernel over the years, last of all receiving that goes on (multishot)
 * in 6.0, which has no flag of its own to ask for. IORING_OP_SEND_ZC, which is of the same release
 * and not used here, has: a kernel that knows it knows the rest. */
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/os.h"
#include "reactor/flow.h"
#include "reactor/uring.h"

enum { NEEDED = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG };

_Static_assert((HK_URING_BUFFERS & (HK_URING_BUFFERS - 1)) == 0, "a position is a mask away");

static size_t ring_bytes(void)
{
    return HK_URING_BUFFERS * sizeof(struct io_uring_buf);
}

static size_t memory_bytes(void)
{
    return (size_t)HK_URING_BUFFERS * HK_PIECE_BYTES;
}

/* The kinds of hk_request that this kernel makes, bits. */
static uint32_t requests_of(const struct io_uring_probe *answer)
{
    uint32_t kinds = 0;
    for (unsigned kind = 0; kind < HK_REQUESTS; kind++) {
        unsigned operation = hk_uring_operation((hk_request_kind)kind);
        if (answer->ops[operation].flags & IO_URING_OP_SUPPORTED)
            kinds |= 1u << kind;
    }
    return kinds;
}

static int probe(int ring, uint32_t *ret_requests)
{
    enum { OPS = IORING_OP_SEND_ZC + 1 };
    _Alignas(struct io_uring_probe) char
        memory[sizeof(struct io_uring_probe) + OPS * sizeof(struct io_uring_probe_op)] = {0};
    struct io_uring_probe *answer = (struct io_uring_probe *)memory;
    int rc = hk_os_uring_register(ring, IORING_REGISTER_PROBE, answer, OPS);
    if (rc < 0)
        return rc;
    bool knows = answer->last_op >= IORING_OP_SEND_ZC &&
                 answer->ops[IORING_OP_SEND_ZC].flags & IO_URING_OP_SUPPORTED;
    if (!knows)
        return -ENOSYS;
    *ret_requests = requests_of(answer); /* all, but for what may be forbidden here */
    return 0;
}

static HK_ATOMIC(uint32_t) * word_at(hk_uring *u, uint32_t offset)
{
    return (HK_ATOMIC(uint32_t) *)(void *)((char *)u->rings + offset);
}

static int map_rings(hk_uring *u, int ring, const struct io_uring_params *p)
{
    size_t sq_bytes = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    size_t cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    u->rings_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    u->entries_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    int rc = hk_os_uring_map(ring, IORING_OFF_SQ_RING, u->rings_bytes, &u->rings);
    if (rc < 0)
        return rc;
    void *entries;
    rc = hk_os_uring_map(ring, IORING_OFF_SQES, u->entries_bytes, &entries);
    if (rc < 0) {
        (void)hk_os_unmap(u->rings, u->rings_bytes); /* ours: cannot fail */
        return rc;
    }
    u->entries = entries;
    u->sq_head = word_at(u, p->sq_off.head);
    u->sq_tail = word_at(u, p->sq_off.tail);
    u->sq_flags = word_at(u, p->sq_off.flags);
    u->cq_head = word_at(u, p->cq_off.head);
    u->cq_tail = word_at(u, p->cq_off.tail);
    u->completions = (struct io_uring_cqe *)(void *)((char *)u->rings + p->cq_off.cqes);
    u->sq_entries = p->sq_entries;
    u->cq_entries = p->cq_entries;
    for (uint32_t i = 0; i < p->sq_entries; i++) /* entries are taken in the order of the ring */
        hk_store_relaxed(word_at(u, p->sq_off.array) + i, i); /* the tail publishes them */
    return 0;
}

static void unmap_rings(hk_uring *u)
{
    (void)hk_os_unmap(u->entries, u->entries_bytes); /* ours: cannot fail */
    (void)hk_os_unmap(u->rings, u->rings_bytes);
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
    rc = hk_os_uring_register(r->backend_fd, IORING_REGISTER_PBUF_RING, &group, 1);
    if (rc < 0)
        goto free_list;
    r->pieces.memory = memory;
    u->buffers = ring;
    u->buffers_end = (HK_ATOMIC(uint16_t) *)(void *)&((struct io_uring_buf_ring *)ring)->tail;
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
    struct io_uring_buf_reg group = {.bgid = 0};
    /* From here on no receive can pick one, not even one whose cancelling is under way. */
    (void)hk_os_uring_register(r->backend_fd, IORING_UNREGISTER_PBUF_RING, &group, 1);
    hk_free(r->pieces.list, HK_URING_BUFFERS * sizeof(hk_piece));
    (void)hk_os_unmap(r->pieces.memory, memory_bytes()); /* ours: cannot fail */
    (void)hk_os_unmap(r->uring->buffers, ring_bytes());
    r->pieces.list = NULL;
}

static int open_ring(hk_reactor *r)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                                         IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                                         IORING_SETUP_TASKRUN_FLAG,
                                .cq_entries = HK_URING_COMPLETIONS};
    int rc = hk_os_uring_setup(HK_URING_ENTRIES, &p);
    if (rc < 0)
        return rc == -EINVAL ? -ENOSYS : rc; /* a flag that it does not know */
    r->backend_fd = rc;
    rc = (p.features & NEEDED) == NEEDED ? probe(r->backend_fd, &r->uring->requests) : -ENOSYS;
    if (rc == 0)
        rc = map_rings(r->uring, r->backend_fd, &p);
    if (rc < 0)
        goto close_ring;
    rc = make_buffers(r);
    if (rc < 0)
        goto unmap_rings;
    return 0;

unmap_rings:
    unmap_rings(r->uring);
close_ring:
    (void)hk_os_close(r->backend_fd); /* the first error is the one to report */
    r->backend_fd = -1;
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
    unmap_rings(r->uring);
    (void)hk_os_close(r->backend_fd); /* nothing was written: nothing can be lost */
    (void)hk_os_close(r->wake_fd);
    r->backend_fd = r->wake_fd = -1;
    hk_free(r->uring, sizeof *r->uring);
    r->uring = NULL;
}
