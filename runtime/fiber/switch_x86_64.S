/* SPDX-License-Identifier: MIT */
/* switch_x86_64.S - leave one stack, go on with another.
 *
 * A suspended fiber is this frame, and hk_fiber.sp points at its low end:
 *
 *      0 MXCSR   4 x87 control   8 errno   16 rbp   24 where to go on   32 red zone   160 end
 *
 * The other registers were given up by who jumped here (swap_x86_64.h). From saving to restoring
 * one thread runs this, which is what makes errno cheap: its address is asked for once, the one
 * value read and the other written through it.
 *
 * Jumped to and left by a jump, so that the processor's stack of return addresses stays in step
 * with the calls that were made (docs/decisions/0001-leaving-a-switch.md). The note at the end
 * claims indirect-branch tracking only: a shadow stack would have to be switched as well.
 *
 * The control words are stored always (cheap) and loaded only if they differ (dear); the sticky
 * exception flags in the low six bits of MXCSR are the caller's business and do not count.
 *
 * Source: System V ABI, AMD64 supplement, 3.2.1 "Registers and the stack frame". */

#define RED_ZONE      128 /* below the caller's stack pointer, and the caller's */
#define FP            16  /* control words, errno */
#define FRAME         (FP + 16 + RED_ZONE)
#define MXCSR_CONTROL 0xffc0
#define MXCSR_DEFAULT 0x1f80
#define X87_DEFAULT   0x037f

        .text

/* Jumped to with from in rdi, to in rsi (sp is their first member), errno's address in rax and
 * where to go on in rdx. Of the registers only rsp and rbp matter to who jumps here. */
        .p2align 4
        .globl  hk_fiber_swap_entry
        .hidden hk_fiber_swap_entry
        .type   hk_fiber_swap_entry, @function
hk_fiber_swap_entry:
        .cfi_startproc
        .cfi_def_cfa rsp, 0
        .cfi_register rip, rdx
        endbr64
        leaq    -RED_ZONE(%rsp), %rsp
        .cfi_adjust_cfa_offset RED_ZONE
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rip, 0
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        subq    $FP, %rsp
        .cfi_adjust_cfa_offset FP

        movl    (%rax), %ecx
        movl    %ecx, 8(%rsp)
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movl    (%rsp), %ecx
        movzwl  4(%rsp), %edx

        movq    %rsp, (%rdi)
        movq    (%rsi), %rsp

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
        movq    FP(%rsp), %rbp
        .cfi_restore rbp
        movq    FP + 8(%rsp), %rdx
        .cfi_register rip, rdx
        leaq    FRAME(%rsp), %rsp
        .cfi_def_cfa_offset 0
        jmp     *%rdx
        .cfi_restore_state

.Lload_mxcsr:
        ldmxcsr (%rsp)
        jmp     .Lmxcsr_is_right
.Lload_x87:
        fldcw   4(%rsp)
        jmp     .Lx87_is_right
        .cfi_endproc
        .size   hk_fiber_swap_entry, . - hk_fiber_swap_entry

/* The bottom of every fiber: a first frame leads here, with the function and its argument on the
 * stack. Debuggers and profilers stop here, for there is nowhere to return to. */
        .p2align 4
        .globl  hk_fiber_start
        .hidden hk_fiber_start
        .type   hk_fiber_start, @function
hk_fiber_start:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        popq    %rax
        popq    %rdi
        call    *%rax
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
        leaq    -16 - FRAME(%rdi), %rax
        leaq    hk_fiber_start(%rip), %rcx
        movl    $MXCSR_DEFAULT, (%rax)
        movl    $X87_DEFAULT, 4(%rax)
        movl    $0, 8(%rax)
        movq    $0, FP(%rax)
        movq    %rcx, FP + 8(%rax)
        movq    %rsi, FRAME(%rax)
        movq    %rdi, FRAME + 8(%rax)
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
