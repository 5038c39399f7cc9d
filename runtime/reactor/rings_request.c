/* SPDX-License-Identifier: MIT */
/* rings_request.c - system calls that the kernel makes: on files, where no readiness tells when one
 * would not wait.
 *
 * A request lies in the batch until the worker's next look, as a send does. What is in memory the
 * kernel does there and then, on the worker's thread; for the rest it has threads of its own, of
 * which it limits the number (four a CPU and worker). A copy that would hold the worker up goes to
 * them at once. So does an open: tried on the worker's thread it would be made as if with
 * O_NONBLOCK, which for a FIFO and some devices means something else.
 *
 * Nothing here waits for a request to end; who made it does. So when a ring is closed, which
 * happens after the last task, none is under way. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>

#include "base/check.h"
#include "base/os.h"
#include "reactor/reactor.h"
#include "reactor/rings.h"

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif

enum { INLINE_MAX_BYTES = 64 * 1024 }; /* some 8 us to copy: to hand it over costs as much */

/* What the kernel has for a call that is to be made again, and shows to nobody else. */
enum { RESTART_FIRST = 512, RESTART_LAST = 516 };

_Static_assert(HK_WHAT_REQUEST == HK_WHAT_MASK, "all bits set: taken off by a subtraction");
_Static_assert(_Alignof(hk_request) > HK_WHAT_MASK, "its low bits are free");
_Static_assert(sizeof(struct statx) == HK_STAT_BYTES, "there is room for the answer");

static uint64_t name_of(const hk_request *q)
{
    return (uint64_t)(uintptr_t)q | HK_WHAT_REQUEST;
}

/* The one that makes a call of this kind. */
static unsigned operation_of(hk_request_kind kind)
{
    static const uint8_t operations[HK_REQUESTS] = {
        [HK_REQUEST_OPEN] = IORING_OP_OPENAT, [HK_REQUEST_READ] = IORING_OP_READ,
        [HK_REQUEST_WRITE] = IORING_OP_WRITE, [HK_REQUEST_SYNC] = IORING_OP_FSYNC,
        [HK_REQUEST_STAT] = IORING_OP_STATX,
    };
    return operations[kind];
}

static void describe(struct io_uring_sqe *entry, const hk_request *q)
{
    uint64_t memory = (uint64_t)(uintptr_t)q->memory;
    entry->opcode = (uint8_t)operation_of(q->kind);
    entry->fd = q->path ? AT_FDCWD : q->fd;
    entry->user_data = name_of(q);
    switch (q->kind) {
    case HK_REQUEST_OPEN:
        entry->addr = (uint64_t)(uintptr_t)q->path;
        entry->len = q->mode;
        entry->open_flags = (uint32_t)q->flags | O_CLOEXEC;
        entry->flags = q->flags & O_NONBLOCK ? 0 : IOSQE_ASYNC;
        break;
    case HK_REQUEST_SYNC: entry->fsync_flags = q->data_only ? IORING_FSYNC_DATASYNC : 0; break;
    case HK_REQUEST_STAT:
        entry->addr = (uint64_t)(uintptr_t)(q->path ? q->path : "");
        entry->len = STATX_BASIC_STATS;
        entry->off = memory;
        entry->statx_flags = q->path ? 0 : AT_EMPTY_PATH;
        break;
    default:
        entry->addr = memory;
        entry->len = q->n;
        entry->off = (uint64_t)q->offset;
        entry->flags = q->n > INLINE_MAX_BYTES ? IOSQE_ASYNC : 0;
        break;
    }
}

bool hk_rings_request(hk_rings *rings, hk_request *q)
{
    unsigned operation = operation_of(q->kind);
    int planned = hk_os_uring_planned(operation, &q->n);
    if (!hk_rings_knows(rings, operation) || planned > 0) /* it may be forbidden here */
        return false;
    hk_rings_lock(rings);
    struct io_uring_sqe *entry;
    bool taken = hk_rings_entry(rings, &entry) == 0;
    if (taken) {
        q->planned = planned;
        describe(entry, q);
        if (planned < 0)
            entry->opcode = IORING_OP_NOP;
        q->place = hk_load_relaxed(rings->sq_tail); /* written under our lock only */
        hk_rings_push(rings);
    }
    hk_rings_unlock(rings);
    return taken;
}

/* If the kernel has not taken its entry yet, that becomes one of nothing. */
bool hk_rings_recall(hk_rings *rings, hk_request *q)
{
    hk_rings_lock(rings);
    uint32_t taken =
        hk_load_acquire(rings->sq_head); /* [rings:sq] acquire: up to there it was read */
    bool is_ours = (int32_t)(q->place - taken) >= 0;
    if (is_ours)
        rings->entries[q->place & (rings->sq_entries - 1)] = (struct io_uring_sqe){
            .opcode = IORING_OP_NOP, .flags = IOSQE_CQE_SKIP_SUCCESS, .user_data = HK_WHAT_NOTHING};
    else
        hk_rings_ask_to_cancel(rings, name_of(q));
    hk_rings_unlock(rings);
    return is_ours;
}

/* The kernel has, without a system call that would have told a tool which watches memory. */
static void note_written(void *memory, size_t n)
{
#ifdef VALGRIND_MAKE_MEM_DEFINED
    (void)VALGRIND_MAKE_MEM_DEFINED(memory, n);
#else
    (void)memory, (void)n;
#endif
}

hk_ticket hk_rings_request_done(uint64_t name, int result)
{
    hk_request *q = (hk_request *)(uintptr_t)(name - HK_WHAT_REQUEST);
    if (q->planned < 0)
        result = q->planned;
    else if (result >= -RESTART_LAST && result <= -RESTART_FIRST)
        result = -EINTR;
    if (q->kind == HK_REQUEST_READ && result > 0)
        note_written(q->memory, (size_t)result);
    if (q->kind == HK_REQUEST_STAT && result == 0) {
        note_written(q->memory, HK_STAT_BYTES);
        hk_os_uring_stat(q->memory, q->ret_stat);
    }
    return hk_request_end(q, result);
}
