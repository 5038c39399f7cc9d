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

static unsigned by_size(const hk_request *q)
{
    return q->n > INLINE_MAX_BYTES ? IOSQE_ASYNC : 0;
}

static void describe(struct io_uring_sqe *entry, const hk_request *q)
{
    uint64_t offset = (uint64_t)q->offset;
    unsigned flags = 0;
    switch (q->kind) {
    case HK_REQUEST_OPEN:
        io_uring_prep_openat(entry, AT_FDCWD, q->path, q->flags | O_CLOEXEC, q->mode);
        flags = q->flags & O_NONBLOCK ? 0 : IOSQE_ASYNC;
        break;
    case HK_REQUEST_SYNC:
        io_uring_prep_fsync(entry, q->fd, q->data_only ? IORING_FSYNC_DATASYNC : 0);
        break;
    case HK_REQUEST_STAT:
        io_uring_prep_statx(entry, q->path ? AT_FDCWD : q->fd, q->path ? q->path : "",
                            q->path ? 0 : AT_EMPTY_PATH, STATX_BASIC_STATS, q->memory);
        break;
    case HK_REQUEST_READ:
        io_uring_prep_read(entry, q->fd, q->memory, q->n, offset);
        flags = by_size(q);
        break;
    default:
        io_uring_prep_write(entry, q->fd, q->memory, q->n, offset);
        flags = by_size(q);
        break;
    }
    io_uring_sqe_set_flags(entry, flags);
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
        if (planned < 0)
            io_uring_prep_nop(entry);
        else
            describe(entry, q);
        io_uring_sqe_set_data64(entry, name_of(q));
        q->place = hk_rings_place(rings);
        hk_rings_push(rings);
    }
    hk_rings_unlock(rings);
    return taken;
}

bool hk_rings_recall(hk_rings *rings, hk_request *q)
{
    hk_rings_lock(rings);
    bool is_ours = hk_rings_take_back(rings, q->place);
    if (!is_ours)
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
