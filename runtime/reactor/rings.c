/* SPDX-License-Identifier: MIT */
/* rings.c - entries into a ring and completions out of it.
 *
 * What is needed came to the kernel over the years, last of all in 5.19 the flags of open_ring,
 * which one that does not know them refuses.
 *
 * Two things liburing has no word for. Whoever polls asks whether something is pending without the
 * lock, for which its counts are no shared words: `asked` is one. And an entry that is not to be is
 * made one of nothing, where it lies: to take its place back would be at odds with what liburing
 * remembers of the end that it has shown the kernel.
 * Source: Axboe, "Efficient IO with io_uring", 2019; io_uring_enter(2). */
#include "reactor/rings.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/os.h"

enum { NEEDED = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG };

enum { OPERATIONS_MAX = 64 }; /* that are asked about: bits in hk_rings.operations */

/* --- life ---------------------------------------------------------------------------------- */

static int probe(hk_rings *rings)
{
    _Alignas(
        struct io_uring_probe) char memory[sizeof(struct io_uring_probe) +
                                           OPERATIONS_MAX * sizeof(struct io_uring_probe_op)] = {0};
    struct io_uring_probe *answer = (struct io_uring_probe *)memory;
    int rc = hk_os_uring_probe(&rings->liburing, answer, OPERATIONS_MAX);
    if (rc < 0)
        return rc;
    for (int i = 0; i < OPERATIONS_MAX; i++)
        if (io_uring_opcode_supported(answer, i))
            rings->operations |= UINT64_C(1) << i;
    return 0;
}

static int open_ring(hk_rings *rings, uint32_t entries, uint32_t completions)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                                         IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                                         IORING_SETUP_TASKRUN_FLAG,
                                .cq_entries = completions};
    int rc = hk_os_uring_open(entries, &rings->liburing, &p);
    if (rc < 0)
        return rc == -EINVAL ? -ENOSYS : rc; /* a flag that it does not know */
    rc = (p.features & NEEDED) == NEEDED ? probe(rings) : -ENOSYS;
    if (rc < 0)
        hk_os_uring_close(&rings->liburing); /* the first error is the one to report */
    return rc;
}

int hk_rings_open(uint32_t entries, uint32_t completions, hk_rings **ret_rings)
{
    hk_rings *rings = hk_alloc_zeroed(sizeof *rings);
    if (!rings)
        return -ENOMEM;
    int rc = open_ring(rings, entries, completions);
    if (rc < 0)
        hk_free(rings, sizeof *rings);
    else
        *ret_rings = rings;
    return rc;
}

void hk_rings_close(hk_rings *rings)
{
    hk_os_uring_close(&rings->liburing); /* nothing was written: nothing can be lost */
    hk_free(rings, sizeof *rings);
}

/* --- entries: `submitting` is held --------------------------------------------------------- */

/* Words that are shared with the kernel. */
static HK_ATOMIC(uint32_t) * shared(uint32_t *word)
{
    return (HK_ATOMIC(uint32_t) *)word;
}

struct io_uring_sqe *hk_rings_free_entry(hk_rings *rings)
{
    return io_uring_get_sqe(&rings->liburing);
}

void hk_rings_push(hk_rings *rings)
{
    /* [rings:asked] release: what the caller wrote, for who is told that it is done. */
    hk_store_release(&rings->asked, rings->liburing.sq.sqe_tail);
}

/* How many entries the kernel has read. */
static uint32_t taken(hk_rings *rings)
{
    return hk_load_acquire(shared(rings->liburing.sq.khead)); /* acquire: the kernel releases */
}

uint32_t hk_rings_pending(hk_rings *rings)
{
    return hk_load_relaxed(&rings->asked) - taken(rings); /* relaxed: how many, not which */
}

static int submit(hk_rings *rings)
{
    while (hk_rings_pending(rings) > 0) {
        int rc = hk_os_uring_submit(&rings->liburing);
        if (rc <= 0)
            return rc < 0 ? rc : -EAGAIN;
    }
    return 0;
}

int hk_rings_entry(hk_rings *rings, struct io_uring_sqe **ret_entry)
{
    struct io_uring_sqe *entry = hk_rings_free_entry(rings);
    if (!entry) {
        int rc = submit(rings);
        if (rc < 0)
            return rc;
        entry = hk_rings_free_entry(rings); /* all of them were taken */
    }
    *ret_entry = entry;
    return 0;
}

/* Nobody wants to know what comes of it. */
static void leave_unnamed(struct io_uring_sqe *entry)
{
    io_uring_sqe_set_flags(entry, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(entry, HK_WHAT_NOTHING);
}

static void make_nothing(struct io_uring_sqe *entry)
{
    io_uring_prep_nop(entry);
    leave_unnamed(entry);
}

int hk_rings_ask(hk_rings *rings, const struct io_uring_sqe *wanted)
{
    struct io_uring_sqe *entry;
    int rc = hk_rings_entry(rings, &entry);
    if (rc < 0)
        return rc;
    *entry = *wanted;
    hk_rings_push(rings);
    do
        rc = submit(rings);
    while (rc == -EINTR);
    if (rc == 0 || hk_rings_pending(rings) == 0)
        return 0;
    make_nothing(entry); /* the kernel takes them in order: ours is the last */
    return rc;
}

uint32_t hk_rings_place(const hk_rings *rings)
{
    return rings->liburing.sq.sqe_tail - 1;
}

bool hk_rings_take_back(hk_rings *rings, uint32_t place)
{
    if ((int32_t)(place - taken(rings)) < 0)
        return false;
    const struct io_uring_sq *sq = &rings->liburing.sq;
    make_nothing(&sq->sqes[place & sq->ring_mask]);
    return true;
}

void hk_rings_ask_to_cancel(hk_rings *rings, uint64_t name)
{
    struct io_uring_sqe entry = {0};
    io_uring_prep_cancel64(&entry, name, 0);
    leave_unnamed(&entry);
    (void)hk_rings_ask(rings, &entry); /* refused: then it ends by itself */
}

/* --- anybody ------------------------------------------------------------------------------- */

void hk_rings_lock(hk_rings *rings)
{
    hk_lock_take(&rings->submitting, HK_RANK_SUBMIT);
}

void hk_rings_unlock(hk_rings *rings)
{
    hk_lock_drop(&rings->submitting);
}

int hk_rings_submit(hk_rings *rings)
{
    hk_rings_lock(rings);
    int rc = submit(rings);
    hk_rings_unlock(rings);
    return rc;
}

bool hk_rings_knows(const hk_rings *rings, unsigned operation)
{
    HK_DCHECK(operation < OPERATIONS_MAX);
    return rings->operations >> operation & 1;
}

/* The owner's thread carries its requests on when it enters the kernel, as it does when another
 * CPU interrupts it: that is what the barrier does to all of ours. */
void hk_rings_nudge(hk_rings *rings)
{
    if (hk_load_relaxed(shared(rings->liburing.sq.kflags)) &
        IORING_SQ_TASKRUN) /* relaxed: a hint */
        hk_os_interrupt_threads();
}

/* --- completions --------------------------------------------------------------------------- */

uint32_t hk_rings_completed(hk_rings *rings)
{
    (void)hk_load_acquire(&rings->asked); /* [rings:asked] acquire, through the kernel */
    return io_uring_cq_ready(&rings->liburing);
}

const struct io_uring_cqe *hk_rings_completion(const hk_rings *rings, uint32_t i)
{
    const struct io_uring_cq *cq = &rings->liburing.cq;
    return &cq->cqes[(*cq->khead + i) & cq->ring_mask]; /* the head is the poller's own */
}

void hk_rings_advance(hk_rings *rings, uint32_t n)
{
    io_uring_cq_advance(&rings->liburing, n);
}

int hk_rings_enter(hk_rings *rings, int64_t timeout_ns)
{
    int rc = hk_rings_pending(rings) > 0 ? hk_rings_submit(rings) : 0; /* most complete at once */
    if (rc < 0 || hk_rings_completed(rings) > 0)
        return rc;
    if (timeout_ns != 0)
        return hk_os_uring_wait(&rings->liburing, timeout_ns);
    /* relaxed: a hint; what we do not see yet we see next time */
    uint32_t flags = hk_load_relaxed(shared(rings->liburing.sq.kflags));
    if (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
        rc = hk_os_uring_look(&rings->liburing);
    return rc;
}
