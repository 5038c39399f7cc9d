/* SPDX-License-Identifier: MIT */
/* swap_x86_64.h - the way into switch_x86_64.S: by a jump, with the place to go on in a register.
 *
 * A call would leave an entry in the processor's stack of return addresses that no return ever
 * takes off, and every return after the switch would be predicted one off
 * (docs/decisions/0001-leaving-a-switch.md). Since nobody is called, nobody saves registers: they
 * are all declared lost, so that the compiler keeps what it still needs in its own frame, which is
 * less than the six that a callee would have to save.
 *
 * errno's place is asked for in C, although the assembler code could: a call of a function that
 * the compiler does not know may change any variable, also a static one whose address is nowhere
 * taken, while gcc believes that an asm statement cannot, and would keep such a one in a register
 * across the switch.
 *
 * Included by fiber.h, which declares hk_fiber. */
#ifndef HK_FIBER_SWAP_X86_64_H
#define HK_FIBER_SWAP_X86_64_H

#ifdef __AVX512F__ /* there are twice as many to lose */
#define HK_LOST_VECTORS                                                                            \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define HK_LOST_VECTORS
#endif

/* libc's own, without the promise that the answer is always the same. */
int *hk_errno_place(void) __asm__("__errno_location");

__attribute__((always_inline)) static inline void hk_fiber_swap(hk_fiber *from, hk_fiber *to)
{
    int *error = hk_errno_place();
    __asm__ volatile("leaq 1f(%%rip), %%rdx\n\t"
                     "jmp hk_fiber_swap_entry\n"
                     "1:\tendbr64"
                     : "+D"(from), "+S"(to), "+a"(error)
                     :
                     : "memory", "cc", "rcx", "rdx", "rbx", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
                       "st(7)", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15" HK_LOST_VECTORS);
}

#endif
