/* SPDX-License-Identifier: MIT */
/* fault.h - make the n-th call of a kind fail, to walk every error path.
 *
 * Compiled in when HK_FAULTS is 1 (all presets but release); otherwise the check is a constant
 * and costs nothing. A plan names a kind of call, which occurrence fails, and how:
 *
 *     for (n = 1, more = true; more; n++) {
 *         hk_fault_plan(HK_FAULT_MAP, n, -ENOMEM);
 *         scenario();
 *         more = hk_fault_hit();
 *     }
 *
 * "Not now" and a short count of what can be waited for say more than that the call failed: the
 * kernel will tell when there is more, or room again. A planned one that is false would be waited
 * out for ever, so it is made good: whoever next waits for that direction of the descriptor is told
 * at once. */
#ifndef HK_BASE_FAULT_H
#define HK_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#ifndef HK_FAULTS
#define HK_FAULTS 0
#endif

typedef enum hk_fault {
    HK_FAULT_NONE,
    HK_FAULT_ALLOC,
    HK_FAULT_MAP,
    HK_FAULT_PROTECT,
    HK_FAULT_ADVISE,
    HK_FAULT_THREAD,
    HK_FAULT_FUTEX,
    HK_FAULT_CLOSE,
    HK_FAULT_READ,
    HK_FAULT_WRITE,
    HK_FAULT_FILE_READ,  /* of files and pipes: not of what the reactor wakes itself with */
    HK_FAULT_FILE_WRITE, /* likewise */
    HK_FAULT_OPEN,
    HK_FAULT_STAT,
    HK_FAULT_SYNC,
    HK_FAULT_DIRECTORY,
    HK_FAULT_SENDFILE,
    HK_FAULT_SPLICE,
    HK_FAULT_COPY_RANGE,
    HK_FAULT_POLL,
    HK_FAULT_SPAWN,
    HK_FAULT_PIDFD,
    HK_FAULT_WAITID,
    HK_FAULT_KILL,
    HK_FAULT_SOCKET,
    HK_FAULT_BIND,
    HK_FAULT_LISTEN,
    HK_FAULT_ACCEPT,
    HK_FAULT_CONNECT,
    HK_FAULT_RECV,
    HK_FAULT_SEND,
    HK_FAULT_SHUTDOWN,
    HK_FAULT_SOCKOPT,
    HK_FAULT_RESOLVE,
    HK_FAULT_EPOLL_CREATE,
    HK_FAULT_EPOLL_CTL,
    HK_FAULT_EPOLL_WAIT,
    HK_FAULT_EVENTFD,
    HK_FAULT_URING_SETUP,
    HK_FAULT_URING_ENTER,
    HK_FAULT_URING_REGISTER,
    HK_FAULT_URING_REQUEST, /* not taken by the ring */
    HK_FAULT_KQUEUE,
    HK_FAULT_KEVENT,
    HK_FAULT_KINDS
} hk_fault;

#if HK_FAULTS
/* Let occurrence `nth` (1 is the next) of `kind` fail with `error`; forgets the plan before it. An
 * `error` above 0 is a short count, for calls that can have one (base/os_call.h). */
void hk_fault_plan(hk_fault kind, uint64_t nth, int error);
/* The same of the caller's thread's calls alone, while other threads make some of this kind. */
void hk_fault_plan_here(hk_fault kind, uint64_t nth, int error);
void hk_fault_clear(void);
bool hk_fault_hit(void);                /* did the plan's occurrence come? */
uint64_t hk_fault_count(hk_fault kind); /* calls of this kind since the plan was made */

/* For the seams themselves: 0, or the error this call is to fail with. */
int hk_fault_check(hk_fault kind);
/* `fault` was said at the descriptor: news is owed if it was "not now" or a short count. */
void hk_fault_said(hk_fault kind, int fd, int fault);
/* For the reactor, when somebody is about to wait: is news owed? Once. */
bool hk_fault_owes(int fd, bool output);
/* For who has another way to make calls of a kind: is one of them to fail? Then it is in ours. */
bool hk_fault_is_planned(hk_fault kind);
#else
#define hk_fault_check(kind)           (0)
#define hk_fault_said(kind, fd, fault) ((void)(fd), (void)(fault))
#endif

#if !HK_FAULTS || defined HK_MODEL /* models have no descriptors */
#define hk_fault_owes(fd, output) (false)
#define hk_fault_is_planned(kind) (false)
#endif

#endif
