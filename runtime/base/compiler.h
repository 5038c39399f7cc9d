/* SPDX-License-Identifier: MIT */
/* compiler.h - what the compiler can be told: hints, layout, and who runs under which sanitizer.
 *
 * With os.c the only place that asks which compiler or platform this is. */
#ifndef HK_BASE_COMPILER_H
#define HK_BASE_COMPILER_H

#include <stddef.h>

/* The library that plays every thread, clock and socket from a seed: runtime/sim/. */
#ifndef HK_SIM
#define HK_SIM 0
#endif

#define HK_LIKELY(x)   __builtin_expect(!!(x), 1)
#define HK_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define HK_COLD     __attribute__((cold, noinline))
#define HK_NOINLINE __attribute__((noinline))

/* Behind the last call of a function that is to be seen on the stack of who waits in that. */
#define HK_STAY_ON_STACK() __asm__ volatile("")

/* For the few functions on the way of every switch and wait, where a call and its saved registers
 * are a good part of the work. */
#define HK_INLINE inline __attribute__((always_inline))

/* A function that touches what belongs to the running thread: thread-local storage, errno. Never
 * inlined, because a compiler remembers where that is across a switch to another thread; and not
 * watched by ThreadSanitizer, which takes the fibers that use it in turn for so many threads. */
#define HK_THREAD_ACCESSOR __attribute__((noinline)) HK_UNWATCHED
#define HK_UNWATCHED       __attribute__((no_sanitize("thread")))

/* A function that reads memory of which AddressSanitizer would say that it is nobody's. */
#define HK_UNPOISONED __attribute__((no_sanitize("address")))

/* Where a frame pointer points: the words, counted from there, that hold the caller's frame pointer
 * and the address that the function returns to. */
#if defined(__riscv)
#define HK_FRAME_CALLER (-2)
#define HK_FRAME_RETURN (-1)
#else
#define HK_FRAME_CALLER 0
#define HK_FRAME_RETURN 1
#endif

/* What switch_<cpu>.S leaves at a suspended fiber's sp: at which byte the frame pointer is, and at
 * which the address where it goes on. The portable switch has no such frame. */
#if defined(__x86_64__)
#define HK_SWITCH_FP 16
#define HK_SWITCH_PC 24
#elif defined(__aarch64__)
#define HK_SWITCH_FP 96
#define HK_SWITCH_PC 104
#elif defined(__riscv)
#define HK_SWITCH_FP 24
#define HK_SWITCH_PC 16
#endif

/* A variable of which each thread has its own, zeroed at first: static, or declared in its file's
 * header. The simulator plays all threads on one, so there it is a plain variable in a section of
 * its own, whose contents are exchanged when another thread has its turn. */
#if HK_SIM
#define HK_THREAD_LOCAL __attribute__((section("hk_thread")))
#else
#define HK_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) _Thread_local
#endif

/* result = the pointer in thread-local storage that the linker calls `symbol`, read here and now:
 * in assembly, or a compiler would remember where it is across a switch to another thread;
 * volatile, or it would remember the pointer. Where there is no such assembly, accessors do. */
#if defined(__x86_64__) && defined(__LP64__) && !HK_SIM
#define HK_READ_THREAD_POINTER(result, symbol)                                                     \
    __asm__ volatile("movq " symbol "@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(result))
#endif

/* Have it at hand soon, to be written. Any address will do, also one where nothing is. */
#define HK_PREFETCH(address) __builtin_prefetch((address), 1)

#define HK_MUST_CHECK          __attribute__((warn_unused_result))
#define HK_WEAK                __attribute__((weak))
#define HK_NORETURN            __attribute__((noreturn))
#define HK_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Names the lock that protects a field: read by people and by tests/tidy.py. */
#define HK_GUARDED_BY(lock)

/* Two lines, because x86 fetches them in pairs. */
enum { HK_CACHE_LINE = 64, HK_NO_SHARING = 128 };

#define hk_container_of(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HK_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define HK_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define HK_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HK_ASAN 1
#endif

/* The portable context switch is asked for (CMake's HANK_UCONTEXT), or the CPU has one that is
 * jumped to instead of called. */
#ifndef HK_UCONTEXT
#define HK_UCONTEXT 0
#endif
#if defined(__x86_64__) && !HK_UCONTEXT
#define HK_JUMPED_SWAP 1
#else
#define HK_JUMPED_SWAP 0
#endif

#ifndef HK_TSAN
#define HK_TSAN 0
#endif
#ifndef HK_ASAN
#define HK_ASAN 0
#endif

#endif
