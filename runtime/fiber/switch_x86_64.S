/* SPDX-License-Identifier: MIT */
/* switch_x86_64.S - leave one stack, go on with another.
 *
 * A suspended fiber is this frame, and hk_fiber.sp points at its low end:
 *
 *      0 MXCSR   4 x87 control   8 errno   16 (pad)
 *     24 r15   32 r14   40 r13   48 r12   56 rbx   64 rbp   72 where to go on
 *
 * From saving to restoring this code runs on one thread, which is what makes errno cheap: its
 * address is asked for once, the one value read and the other written through it.
 *
 * Left by `pop; jmp`, not `ret`: the processor predicts a return to the latest call, and that was
 * made on the other stack (docs/decisions/0001-leaving-a-switch.md). `notrack`, because the place
 * behind a call carries no landing pad. The note at the end claims indirect-branch tracking only:
 * a shadow stack would have to be switched as well, and we do not.
 *
 * The control words are stored always (cheap) and loaded only if they differ (dear); the sticky
 * exception flags in the low six bits of MXCSR are the caller's business and do not count.
 *
 * Source: System V ABI, AMD64 supplement, 3.2.1 "Registers and the stack frame". */

#define FRAME_FP      24 /* bytes below the six registers */
#define FRAME         80
#define MXCSR_CONTROL 0xffc0
#define MXCSR_DEFAULT 0x1f80
#define X87_DEFAULT   0x037f

        .text

/* void hk_fiber_swap(hk_fiber *from, hk_fiber *to): sp is their first member. */
        .p2align 4
        .globl  hk_fiber_swap
        .hidden hk_fiber_swap
        .type   hk_fiber_swap, @function
hk_fiber_swap:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        subq    $FRAME_FP, %rsp
        .cfi_adjust_cfa_offset FRAME_FP

        movq    %rdi, %rbx
        movq    %rsi, %rbp
        call    *__errno_location@GOTPCREL(%rip) /* not by way of the lazily bound table */
        movl    (%rax), %ecx
        movl    %ecx, 8(%rsp)
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movl    (%rsp), %ecx
        movzwl  4(%rsp), %edx

        movq    %rsp, (%rbx)
        movq    (%rbp), %rsp

        movl    8(%rsp), %esi
        movl    %esi, (%rax)
        xorl    (%rsp), %ecx
        testl   $MXCSR_CONTROL, %ecx
        jne     .Lload_mxcsr
.Lmxcsr_is_right:
        cmpw    4(%rsp), %dx
        jne     .Lload_x87
.Lx87_is_right:
        .cfi_remember_state
        addq    $FRAME_FP, %rsp
        .cfi_adjust_cfa_offset -FRAME_FP
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
#ifdef HK_SWITCH_BY_RET /* what the decision was measured against */
        ret
#else
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        notrack jmp *%rcx
#endif
        .cfi_restore_state

.Lload_mxcsr:
        ldmxcsr (%rsp)
        jmp     .Lmxcsr_is_right
.Lload_x87:
        fldcw   4(%rsp)
        jmp     .Lx87_is_right
        .cfi_endproc
        .size   hk_fiber_swap, . - hk_fiber_swap

/* The bottom of every fiber: a first frame leads here, with the function in r12 and its argument
 * in rbx. Debuggers and profilers stop here, for there is nowhere to return to. */
        .p2align 4
        .globl  hk_fiber_start
        .hidden hk_fiber_start
        .type   hk_fiber_start, @function
hk_fiber_start:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        movq    %rbx, %rdi
        call    *%r12
        ud2
        .cfi_endproc
        .size   hk_fiber_start, . - hk_fiber_start

/* void hk_fiber_first_frame(hk_fiber *f, hk_fiber_entry *function): directly below f itself. */
        .p2align 4
        .globl  hk_fiber_first_frame
        .hidden hk_fiber_first_frame
        .type   hk_fiber_first_frame, @function
hk_fiber_first_frame:
        .cfi_startproc
        endbr64
        leaq    -FRAME(%rdi), %rax
        leaq    hk_fiber_start(%rip), %rcx
        xorl    %edx, %edx
        movl    $MXCSR_DEFAULT, (%rax)
        movl    $X87_DEFAULT, 4(%rax)
        movl    %edx, 8(%rax)
        movq    %rdx, 24(%rax)
        movq    %rdx, 32(%rax)
        movq    %rdx, 40(%rax)
        movq    %rsi, 48(%rax)
        movq    %rdi, 56(%rax)
        movq    %rdx, 64(%rax)
        movq    %rcx, 72(%rax)
        movq    %rax, (%rdi)
        ret
        .cfi_endproc
        .size   hk_fiber_first_frame, . - hk_fiber_first_frame

        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5 /* name, description, NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000002, 4 /* GNU_PROPERTY_X86_FEATURE_1_AND */
        .long   1, 0          /* IBT (1) without SHSTK (2) */

        .section .note.GNU-stack, "", @progbits
