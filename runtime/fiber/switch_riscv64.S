/* SPDX-License-Identifier: MIT */
/* switch_riscv64.S - leave one stack, go on with another.
 *
 * A suspended fiber is this frame, and hk_fiber.sp points at its low end:
 *
 *      0 frm   8 errno   16 ra   24 s0 .. s11   120 fs0 .. fs11   216 (pad)   224 end
 *
 * From saving to restoring this code runs on one thread, which is what makes errno cheap: its
 * address is asked for once, the one value read and the other written through it.
 *
 * Called and left by `ret`, so that calls and returns stay in step for the predictor
 * (docs/decisions/0001-leaving-a-switch.md).
 *
 * Source: RISC-V ELF psABI, "Register convention" (lp64d). */

#define FRAME 224

        .text

/* void hk_fiber_swap(hk_fiber *from, hk_fiber *to): sp is their first member. */
        .p2align 2
        .globl  hk_fiber_swap
        .hidden hk_fiber_swap
        .type   hk_fiber_swap, @function
hk_fiber_swap:
        .cfi_startproc
        addi    sp, sp, -FRAME
        .cfi_def_cfa_offset FRAME
        sd      ra, 16(sp)
        .cfi_offset ra, 16 - FRAME
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sd      s\n, 24 + 8 * \n(sp)
        .cfi_offset s\n, 24 + 8 * \n - FRAME
        fsd     fs\n, 120 + 8 * \n(sp)
        .endr

        mv      s0, a0
        mv      s1, a1
        call    __errno_location
        lw      t0, 0(a0)
        frrm    t2
        sd      t0, 8(sp)
        sd      t2, 0(sp)

        sd      sp, 0(s0)
        ld      sp, 0(s1)

        ld      t0, 8(sp)
        sw      t0, 0(a0)
        ld      t1, 0(sp)
        beq     t1, t2, .Lfrm_is_right
        fsrm    t1
.Lfrm_is_right:
        ld      ra, 16(sp)
        .cfi_restore ra
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        ld      s\n, 24 + 8 * \n(sp)
        .cfi_restore s\n
        fld     fs\n, 120 + 8 * \n(sp)
        .endr
        addi    sp, sp, FRAME
        .cfi_def_cfa_offset 0
        ret
        .cfi_endproc
        .size   hk_fiber_swap, . - hk_fiber_swap

/* The bottom of every fiber: a first frame leads here, with the function in s1 and its argument
 * in s0. Debuggers and profilers stop here, for there is nowhere to return to. */
        .p2align 2
        .globl  hk_fiber_start
        .hidden hk_fiber_start
        .type   hk_fiber_start, @function
hk_fiber_start:
        .cfi_startproc
        .cfi_undefined ra
        mv      a0, s0
        li      s0, 0 /* also the frame pointer */
        jalr    s1
        unimp
        .cfi_endproc
        .size   hk_fiber_start, . - hk_fiber_start

/* void hk_fiber_first_frame(hk_fiber *f, hk_fiber_entry *function): directly below f itself. */
        .p2align 2
        .globl  hk_fiber_first_frame
        .hidden hk_fiber_first_frame
        .type   hk_fiber_first_frame, @function
hk_fiber_first_frame:
        .cfi_startproc
        addi    t0, a0, -FRAME
        lla     t1, hk_fiber_start
        sd      zero, 0(t0) /* frm 0 is round to nearest */
        sd      zero, 8(t0)
        sd      t1, 16(t0)
        sd      a0, 24(t0)
        sd      a1, 32(t0)
        .irp    n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sd      zero, 24 + 8 * \n(t0)
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sd      zero, 120 + 8 * \n(t0)
        .endr
        sd      t0, 0(a0)
        ret
        .cfi_endproc
        .size   hk_fiber_first_frame, . - hk_fiber_first_frame

        .section .note.GNU-stack, "", @progbits
