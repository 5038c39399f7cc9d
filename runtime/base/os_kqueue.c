/* SPDX-License-Identifier: MIT */
/* os_kqueue.c - kqueue(2), where there is one; the part of os.c that only BSD and macOS compile.
 *
 * A file of its own, so that os.c has no third platform in it and a build with the emulation of
 * tests/shim differs from a real one by an include path only. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <unistd.h>

#include "base/fault.h"

enum { NS_PER_SECOND = 1000 * 1000 * 1000 };

int hk_os_kqueue(void)
{
    int fault = hk_fault_check(HK_FAULT_KQUEUE);
    if (fault)
        return fault;
    int queue = kqueue();
    if (queue < 0)
        return -errno;
    /* A child of fork() does not inherit it; a program started by exec() alone would. */
    (void)fcntl(queue, F_SETFD, FD_CLOEXEC); /* cannot fail: the descriptor is ours and valid */
    return queue;
}

int hk_os_kevent_change(int queue, const struct kevent *changes, int n)
{
    int fault = hk_fault_check(HK_FAULT_KEVENT);
    if (fault)
        return fault;
    return kevent(queue, changes, n, NULL, 0, NULL) < 0 ? -errno : 0;
}

int hk_os_kevent_receipts(int queue, const struct kevent *changes, int n,
                          struct kevent *ret_receipts)
{
    static const struct timespec now = {0, 0};
    int fault = hk_fault_check(HK_FAULT_KEVENT);
    if (fault)
        return fault;
    int got = kevent(queue, changes, n, ret_receipts, n, &now);
    return got < 0 ? -errno : got;
}

int hk_os_kevent_wait(int queue, struct kevent *ret_events, int max, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_SECOND),
                               .tv_nsec = (long)(timeout_ns % NS_PER_SECOND)};
    int fault = hk_fault_check(HK_FAULT_KEVENT);
    if (fault)
        return fault;
    int got = kevent(queue, NULL, 0, ret_events, max, timeout_ns < 0 ? NULL : &timeout);
    return got < 0 ? -errno : got;
}
