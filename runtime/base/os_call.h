/* SPDX-License-Identifier: MIT */
/* os_call.h - how base/os*.c make a system call: behind the fault check of its kind, and with a
 * failure as a value.
 *
 * For those files only. errno is read in the same expression as the call, so that no task switch
 * can come between the two. */
#ifndef HK_BASE_OS_CALL_H
#define HK_BASE_OS_CALL_H

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/fault.h"

enum { NO_FD = -1 };

/* What the C library says of `call`, its failure as a value. */
#define HK_SYS_VALUE(call)                                                                         \
    __extension__({                                                                                \
        ssize_t value_ = (ssize_t)(call);                                                          \
        value_ == -1 ? -(ssize_t)errno : value_;                                                   \
    })

/* The same, or the error planned for it. */
#define HK_SYS(kind, call) HK_SYS_AT(kind, NO_FD, call)

/* The same of a call that may say "not now" of what is waited for. */
#define HK_SYS_AT(kind, fd, call)                                                                  \
    __extension__({                                                                                \
        int fault_ = hk_fault_check(kind);                                                         \
        hk_fault_said(kind, fd, fault_);                                                           \
        fault_ < 0 ? (ssize_t)fault_ : HK_SYS_VALUE(call);                                         \
    })

/* The same, made again while a signal interrupts it. */
#define HK_SYS_RETRY(kind, call) HK_SYS_RETRY_AT(kind, NO_FD, call)
#define HK_SYS_RETRY_AT(kind, fd, call)                                                            \
    __extension__({                                                                                \
        ssize_t again_;                                                                            \
        do                                                                                         \
            again_ = HK_SYS_AT(kind, fd, call);                                                    \
        while (again_ == -EINTR);                                                                  \
        again_;                                                                                    \
    })

/* Of a call whose failure is a value and that moves at most `n` bytes, a variable; with NO_FD,
 * of what is not waited for: a planned "error" above 0 has it move no more than so many. Made
 * again while a signal interrupts it. */
#define HK_SYS_MOVE(kind, fd, n, call)                                                             \
    __extension__({                                                                                \
        ssize_t again_;                                                                            \
        do {                                                                                       \
            int fault_ = hk_fault_check(kind);                                                     \
            if (fault_ > 0 && (size_t)fault_ < (n))                                                \
                (n) = (__typeof__(n))fault_;                                                       \
            hk_fault_said(kind, fd, fault_);                                                       \
            again_ = fault_ < 0 ? (ssize_t)fault_ : (ssize_t)(call);                               \
        } while (again_ == -EINTR);                                                                \
        again_;                                                                                    \
    })
#define HK_SYS_SHORT(kind, n, call) HK_SYS_MOVE(kind, NO_FD, n, HK_SYS_VALUE(call))

#ifdef __linux__
/* recvfrom or sendto straight into the kernel, whose failures are values; with no address. To the C
 * library these are places where a thread may be cancelled, which none of ours is, and with threads
 * about each costs two locked instructions before and after; its syscall() is a function that moves
 * seven registers, and after a system call little of it is in a cache. */
static inline long hk_kernel_move(long number, long fd, long memory, long n, long flags)
{
#if defined __x86_64__ && defined __LP64__
    register long r10 __asm__("r10") = flags;
    register long r8 __asm__("r8") = 0;
    register long r9 __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(fd), "S"(memory), "d"(n), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
#elif defined __aarch64__
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = fd;
    register long x1 __asm__("x1") = memory;
    register long x2 __asm__("x2") = n;
    register long x3 __asm__("x3") = flags;
    register long x4 __asm__("x4") = 0;
    register long x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
#else
    return HK_SYS_VALUE(syscall(number, fd, memory, n, flags, 0L, 0L));
#endif
}
#endif

#endif
