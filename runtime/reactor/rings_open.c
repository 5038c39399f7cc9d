/* SPDX-License-Identifier: MIT */
/* rings_open.c - a ring: asked for, probed, mapped, and unmapped.
 *
 * What is needed came to the kernel over the years, last of all in 5.19 the flags below that one
 * which does not know them refuses. */
#include <errno.h>
#include <linux/io_uring.h>

#include "base/os.h"
#include "reactor/rings.h"

enum { NEEDED = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG };

enum { OPERATIONS_MAX = 64 }; /* that are asked about: bits in hk_rings.operations */

static int probe(hk_rings *rings)
{
    _Alignas(
        struct io_uring_probe) char memory[sizeof(struct io_uring_probe) +
                                           OPERATIONS_MAX * sizeof(struct io_uring_probe_op)] = {0};
    struct io_uring_probe *answer = (struct io_uring_probe *)memory;
    int rc = hk_os_uring_register(rings->fd, IORING_REGISTER_PROBE, answer, OPERATIONS_MAX);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < OPERATIONS_MAX; i++) /* of those it has never heard of, nothing */
        if (answer->ops[i].flags & IO_URING_OP_SUPPORTED)
            rings->operations |= UINT64_C(1) << i;
    return 0;
}

static HK_ATOMIC(uint32_t) * word_at(hk_rings *rings, uint32_t offset)
{
    return (HK_ATOMIC(uint32_t) *)(void *)((char *)rings->shared + offset);
}

static int map(hk_rings *rings, const struct io_uring_params *p)
{
    size_t sq_bytes = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    size_t cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    rings->shared_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    rings->entries_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    int rc = hk_os_uring_map(rings->fd, IORING_OFF_SQ_RING, rings->shared_bytes, &rings->shared);
    if (rc < 0)
        return rc;
    void *entries;
    rc = hk_os_uring_map(rings->fd, IORING_OFF_SQES, rings->entries_bytes, &entries);
    if (rc < 0) {
        (void)hk_os_unmap(rings->shared, rings->shared_bytes); /* ours: cannot fail */
        return rc;
    }
    rings->entries = entries;
    rings->sq_head = word_at(rings, p->sq_off.head);
    rings->sq_tail = word_at(rings, p->sq_off.tail);
    rings->sq_flags = word_at(rings, p->sq_off.flags);
    rings->cq_head = word_at(rings, p->cq_off.head);
    rings->cq_tail = word_at(rings, p->cq_off.tail);
    rings->completions = (struct io_uring_cqe *)(void *)((char *)rings->shared + p->cq_off.cqes);
    rings->sq_entries = p->sq_entries;
    rings->cq_entries = p->cq_entries;
    for (uint32_t i = 0; i < p->sq_entries; i++) /* entries are taken in the order of the ring */
        hk_store_relaxed(word_at(rings, p->sq_off.array) + i, i); /* the tail publishes them */
    return 0;
}

int hk_rings_open(hk_rings *rings, uint32_t entries, uint32_t completions)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                                         IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                                         IORING_SETUP_TASKRUN_FLAG,
                                .cq_entries = completions};
    int rc = hk_os_uring_setup(entries, &p);
    if (rc < 0)
        return rc == -EINVAL ? -ENOSYS : rc; /* a flag that it does not know */
    rings->fd = rc;
    rc = (p.features & NEEDED) == NEEDED ? probe(rings) : -ENOSYS;
    if (rc == 0)
        rc = map(rings, &p);
    if (rc < 0)
        (void)hk_os_close(rings->fd); /* the first error is the one to report */
    return rc;
}

void hk_rings_close(hk_rings *rings)
{
    (void)hk_os_unmap(rings->entries, rings->entries_bytes); /* ours: cannot fail */
    (void)hk_os_unmap(rings->shared, rings->shared_bytes);
    (void)hk_os_close(rings->fd); /* nothing was written: nothing can be lost */
}
