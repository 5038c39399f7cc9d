/* SPDX-License-Identifier: MIT */
/* rings.c - entries into a ring and completions out of it.
 *
 * Written against the kernel's header and not liburing: of that hank would use the mapping of rings
 * and the system calls, which have to go through base/os.h in any case.
 * Source: Axboe, "Efficient IO with io_uring", 2019; io_uring_enter(2). */
#include "reactor/rings.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

#include "base/check.h"
#include "base/os.h"

/* --- entries: `submitting` is held --------------------------------------------------------- */

struct io_uring_sqe *hk_rings_free_entry(hk_rings *rings)
{
    uint32_t tail = hk_load_relaxed(rings->sq_tail); /* written under our lock only */
    if (tail - hk_load_acquire(rings->sq_head) ==
        rings->sq_entries) /* [rings:sq] acquire: was read */
        return NULL;
    struct io_uring_sqe *entry = &rings->entries[tail & (rings->sq_entries - 1)];
    memset(entry, 0, sizeof *entry);
    return entry;
}

void hk_rings_push(hk_rings *rings)
{
    /* [rings:sq] release, to the kernel: the entry is complete. */
    hk_store_release(rings->sq_tail, hk_load_relaxed(rings->sq_tail) + 1);
}

uint32_t hk_rings_pending(hk_rings *rings)
{
    return hk_load_relaxed(rings->sq_tail) -
           hk_load_acquire(rings->sq_head); /* [rings:sq] acquire */
}

static int submit(hk_rings *rings)
{
    uint32_t n;
    while ((n = hk_rings_pending(rings)) > 0) {
        int rc = hk_os_uring_enter(rings->fd, n, 0, 0);
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
    /* The kernel takes them in order: ours is the last. [rings:sq] release. */
    hk_store_release(rings->sq_tail, hk_load_relaxed(rings->sq_tail) - 1);
    return rc;
}

void hk_rings_ask_to_cancel(hk_rings *rings, uint64_t name)
{
    struct io_uring_sqe entry = {.opcode = IORING_OP_ASYNC_CANCEL,
                                 .flags = IOSQE_CQE_SKIP_SUCCESS,
                                 .addr = name,
                                 .user_data = HK_WHAT_NOTHING};
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
    HK_DCHECK(operation < 64);
    return rings->operations >> operation & 1;
}

/* The owner's thread carries its requests on when it enters the kernel, as it does when another
 * CPU interrupts it: that is what the barrier does to all of ours. */
void hk_rings_nudge(hk_rings *rings)
{
    if (hk_load_relaxed(rings->sq_flags) & IORING_SQ_TASKRUN) /* relaxed: a hint */
        hk_os_interrupt_threads();
}

/* --- completions --------------------------------------------------------------------------- */

uint32_t hk_rings_completed(hk_rings *rings)
{
    /* [rings:sq] acquire, through the kernel: what the callers wrote. */
    (void)hk_load_acquire(rings->sq_tail);
    /* [rings:cq] acquire: the completions. Head is the poller's own. */
    return hk_load_acquire(rings->cq_tail) - hk_load_relaxed(rings->cq_head);
}

const struct io_uring_cqe *hk_rings_completion(const hk_rings *rings, uint32_t i)
{
    uint32_t head = hk_load_relaxed(rings->cq_head); /* the poller's own */
    return &rings->completions[(head + i) & (rings->cq_entries - 1)];
}

void hk_rings_advance(hk_rings *rings, uint32_t n)
{
    /* [rings:cq] release, to the kernel: they were read. */
    hk_store_release(rings->cq_head, hk_load_relaxed(rings->cq_head) + n);
}

int hk_rings_enter(hk_rings *rings, int64_t timeout_ns)
{
    int rc = hk_rings_pending(rings) > 0 ? hk_rings_submit(rings) : 0; /* most complete at once */
    if (rc < 0 || hk_rings_completed(rings) > 0)
        return rc;
    if (timeout_ns != 0)
        return hk_os_uring_enter(rings->fd, 0, 1, timeout_ns);
    /* relaxed: a hint; what we do not see yet we see next time */
    if (hk_load_relaxed(rings->sq_flags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
        rc = hk_os_uring_enter(rings->fd, 0, 0, 0);
    return rc;
}
