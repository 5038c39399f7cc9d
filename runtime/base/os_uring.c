/* SPDX-License-Identifier: MIT */
/* os_uring.c - the three system calls of io_uring, which the C library does not wrap, its mapping,
 * and what makes a busy thread carry its requests on; the part of os.c that needs the kernel's own
 * headers.
 *
 * A header older than the kernel is enough: what a ring is asked for is probed when it is opened
 * (reactor/uring.c). */
#include "base/os.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <linux/membarrier.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fault.h"

enum { NS_PER_SECOND = 1000 * 1000 * 1000 };

int hk_os_uring_setup(unsigned entries, struct io_uring_params *params)
{
    int fault = hk_fault_check(HK_FAULT_URING_SETUP);
    if (fault)
        return fault;
    long fd = syscall(SYS_io_uring_setup, entries, params); /* close-on-exec by itself */
    return fd < 0 ? -errno : (int)fd;
}

int hk_os_uring_map(int ring, uint64_t what, size_t bytes, void **ret_base)
{
    int fault = hk_fault_check(HK_FAULT_MAP);
    if (fault)
        return fault;
    void *base =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, (off_t)what);
    if (base == MAP_FAILED)
        return -errno;
    *ret_base = base;
    return 0;
}

int hk_os_uring_enter(int ring, unsigned submit, unsigned wait_for, int64_t timeout_ns)
{
    int fault = hk_fault_check(HK_FAULT_URING_ENTER);
    if (fault)
        return fault;
    struct __kernel_timespec timeout = {.tv_sec = timeout_ns / NS_PER_SECOND,
                                        .tv_nsec = timeout_ns % NS_PER_SECOND};
    struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)&timeout};
    bool timed = wait_for > 0 && timeout_ns >= 0;
    unsigned flags = IORING_ENTER_GETEVENTS | (timed ? IORING_ENTER_EXT_ARG : 0u);
    long done = syscall(SYS_io_uring_enter, ring, submit, wait_for, flags, timed ? &arg : NULL,
                        timed ? sizeof arg : 0);
    return done < 0 ? -errno : (int)done;
}

int hk_os_uring_register(int ring, unsigned what, void *arg, unsigned n)
{
    int fault = hk_fault_check(HK_FAULT_URING_REGISTER);
    if (fault)
        return fault;
    long rc = syscall(SYS_io_uring_register, ring, what, arg, n);
    return rc < 0 ? -errno : (int)rc;
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
