/* SPDX-License-Identifier: MIT */
/* os_uring.c - those of liburing's functions that make system calls, which tell what failed as hank
 * does; and what makes a busy thread carry its requests on. What a ring is asked for is probed when
 * it is opened (reactor/rings.c), so an older kernel than liburing knows will do. */
#include "base/os.h"

#include <liburing.h>
#include <linux/membarrier.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fault.h"

enum { NS_PER_SECOND = 1000 * 1000 * 1000 };

/* Opens it and maps what it shares with the kernel. */
int hk_os_uring_open(unsigned entries, struct io_uring *ret_ring, struct io_uring_params *params)
{
    int fault = hk_fault_check(HK_FAULT_URING_SETUP);
    if (fault == 0)
        fault = hk_fault_check(HK_FAULT_MAP);
    return fault ? fault : io_uring_queue_init_params(entries, ret_ring, params);
}

void hk_os_uring_close(struct io_uring *ring)
{
    io_uring_queue_exit(ring);
}

int hk_os_uring_submit(struct io_uring *ring)
{
    int fault = hk_fault_check(HK_FAULT_URING_ENTER);
    return fault ? fault : io_uring_submit(ring);
}

int hk_os_uring_look(struct io_uring *ring)
{
    int fault = hk_fault_check(HK_FAULT_URING_ENTER);
    return fault ? fault : io_uring_get_events(ring);
}

int hk_os_uring_wait(struct io_uring *ring, int64_t timeout_ns)
{
    int fault = hk_fault_check(HK_FAULT_URING_ENTER);
    if (fault)
        return fault;
    struct __kernel_timespec timeout = {.tv_sec = timeout_ns / NS_PER_SECOND,
                                        .tv_nsec = timeout_ns % NS_PER_SECOND};
    struct io_uring_cqe *first;
    return io_uring_wait_cqes(ring, &first, 1, timeout_ns < 0 ? NULL : &timeout, NULL);
}

int hk_os_uring_probe(struct io_uring *ring, struct io_uring_probe *ret_answer, unsigned n)
{
    int fault = hk_fault_check(HK_FAULT_URING_REGISTER);
    return fault ? fault : io_uring_register_probe(ring, ret_answer, n);
}

int hk_os_uring_lend(struct io_uring *ring, struct io_uring_buf_reg *buffers)
{
    int fault = hk_fault_check(HK_FAULT_URING_REGISTER);
    return fault ? fault : io_uring_register_buf_ring(ring, buffers, 0);
}

int hk_os_uring_take_back(struct io_uring *ring, int group)
{
    int fault = hk_fault_check(HK_FAULT_URING_REGISTER);
    return fault ? fault : io_uring_unregister_buf_ring(ring, group);
}

int hk_os_uring_cancel(struct io_uring *ring, struct io_uring_sync_cancel_reg *what)
{
    int fault = hk_fault_check(HK_FAULT_URING_REGISTER);
    return fault ? fault : io_uring_register_sync_cancel(ring, what);
}

static hk_fault fault_of(unsigned operation)
{
    switch (operation) {
    case IORING_OP_OPENAT: return HK_FAULT_OPEN;
    case IORING_OP_READ: return HK_FAULT_FILE_READ;
    case IORING_OP_WRITE: return HK_FAULT_FILE_WRITE;
    case IORING_OP_FSYNC: return HK_FAULT_SYNC;
    default: return HK_FAULT_STAT;
    }
}

/* The same answers as HK_SYS_SHORT gives in base/os_call.h. */
int hk_os_uring_planned(unsigned operation, uint32_t *n)
{
    hk_fault kind = fault_of(operation);
    (void)kind; /* without faults */
    if (hk_fault_check(HK_FAULT_URING_REQUEST) != 0)
        return 1;
    int fault;
    do
        fault = hk_fault_check(kind);
    while (fault == -EINTR);
    if (fault > 0 && (uint32_t)fault < *n)
        *n = (uint32_t)fault;
    return fault < 0 ? fault : 0;
}

void hk_os_uring_stat(const void *answer, struct stat *ret_stat)
{
    const struct statx *a = answer;
    *ret_stat = (struct stat){
        .st_dev = makedev(a->stx_dev_major, a->stx_dev_minor),
        .st_ino = (ino_t)a->stx_ino,
        .st_mode = (mode_t)a->stx_mode,
        .st_nlink = (nlink_t)a->stx_nlink,
        .st_uid = a->stx_uid,
        .st_gid = a->stx_gid,
        .st_rdev = makedev(a->stx_rdev_major, a->stx_rdev_minor),
        .st_size = (off_t)a->stx_size,
        .st_blksize = (blksize_t)a->stx_blksize,
        .st_blocks = (blkcnt_t)a->stx_blocks,
        .st_atim = {.tv_sec = a->stx_atime.tv_sec, .tv_nsec = a->stx_atime.tv_nsec},
        .st_mtim = {.tv_sec = a->stx_mtime.tv_sec, .tv_nsec = a->stx_mtime.tv_nsec},
        .st_ctim = {.tv_sec = a->stx_ctime.tv_sec, .tv_nsec = a->stx_ctime.tv_nsec},
    };
}

/* A private expedited barrier interrupts every CPU that runs one of our threads. To ask for the
 * right to it may take milliseconds when there are threads already. */
void hk_os_interrupt_threads_prepare(void)
{
    /* Refused: then requests of a busy thread are carried on by its next tick. */
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

void hk_os_interrupt_threads(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return;
    hk_os_interrupt_threads_prepare(); /* the first time, of who has opened a ring late */
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}
