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

#include "base/fault.h"

/* The value of `call`, or the error planned for it, or its own as a negative errno. */
#define HK_SYS(kind, call)                                                                         \
    __extension__({                                                                                \
        int fault_ = hk_fault_check(kind);                                                         \
        ssize_t value_ = fault_ < 0 ? fault_ : (ssize_t)(call);                                    \
        fault_ >= 0 && value_ == -1 ? -(ssize_t)errno : value_;                                    \
    })

/* The same, made again while a signal interrupts it. */
#define HK_SYS_RETRY(kind, call)                                                                   \
    __extension__({                                                                                \
        ssize_t again_;                                                                            \
        do                                                                                         \
            again_ = HK_SYS(kind, call);                                                           \
        while (again_ == -EINTR);                                                                  \
        again_;                                                                                    \
    })

/* The same for a call that moves at most `n` bytes, a variable: a planned "error" above 0 has it
 * move no more than so many. */
#define HK_SYS_SHORT(kind, n, call)                                                                \
    __extension__({                                                                                \
        ssize_t again_;                                                                            \
        do {                                                                                       \
            int fault_ = hk_fault_check(kind);                                                     \
            if (fault_ > 0 && (size_t)fault_ < (n))                                                \
                (n) = (__typeof__(n))fault_;                                                       \
            again_ = fault_ < 0 ? (ssize_t)fault_ : (ssize_t)(call);                               \
            if (fault_ >= 0 && again_ == -1)                                                       \
                again_ = -(ssize_t)errno;                                                          \
        } while (again_ == -EINTR);                                                                \
        again_;                                                                                    \
    })

#endif
