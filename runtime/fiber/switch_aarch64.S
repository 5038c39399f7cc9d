/* SPDX-License-Identifier: MIT */
/* switch_aarch64.S - leave one stack, go on with another.
 *
 * A suspended fiber is this frame, and hk_fiber.sp points at its low end:
 *
 *      0 FPCR   8 errno   16 x19 .. x28   96 x29, x30   112 d8 .. d15   176 end
 *
 * From saving to restoring this code runs on one thread, which is what makes errno cheap: its
 * address is asked for once, the one value read and the other written through it.
 *
 * Called and left by `ret`, so that calls and returns stay in step for the predictor
 * (docs/decisions/0001-leaving-a-switch.md). x30 is not signed, for the signature would be bound
 * to the stack pointer of one stack and checked against another's; the note claims BTI only.
 *
 * Source: AAPCS64, 6.1 "Machine registers". */

#define FRAME 176

        .text

/* void hk_fiber_swap(hk_fiber *from, hk_fiber *to): sp is their first member. */
        .p2align 4
        .globl  hk_fiber_swap
        .hidden hk_fiber_swap
        .type   hk_fiber_swap, %function
hk_fiber_swap:
        .cfi_startproc
        hint    #34 /* bti c */
        sub     sp, sp, #FRAME
        .cfi_def_cfa_offset FRAME
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     x29, x30, [sp, #96]
        stp     d8, d9, [sp, #112]
        stp     d10, d11, [sp, #128]
        stp     d12, d13, [sp, #144]
        stp     d14, d15, [sp, #160]
        .cfi_offset x19, 16 - FRAME
        .cfi_offset x20, 24 - FRAME
        .cfi_offset x21, 32 - FRAME
        .cfi_offset x22, 40 - FRAME
        .cfi_offset x23, 48 - FRAME
        .cfi_offset x24, 56 - FRAME
        .cfi_offset x25, 64 - FRAME
        .cfi_offset x26, 72 - FRAME
        .cfi_offset x27, 80 - FRAME
        .cfi_offset x28, 88 - FRAME
        .cfi_offset x29, 96 - FRAME
        .cfi_offset x30, 104 - FRAME

        mov     x19, x0
        mov     x20, x1
        adrp    x8, :got:__errno_location
        ldr     x8, [x8, :got_lo12:__errno_location]
        blr     x8
        ldr     w9, [x0]
        mrs     x10, fpcr
        str     x10, [sp]
        str     w9, [sp, #8]

        mov     x11, sp
        str     x11, [x19]
        ldr     x11, [x20]
        mov     sp, x11

        ldr     w9, [sp, #8]
        str     w9, [x0]
        ldr     x11, [sp]
        cmp     x10, x11
        b.eq    .Lfpcr_is_right
        msr     fpcr, x11
.Lfpcr_is_right:
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x23, x24, [sp, #48]
        ldp     x25, x26, [sp, #64]
        ldp     x27, x28, [sp, #80]
        ldp     x29, x30, [sp, #96]
        ldp     d8, d9, [sp, #112]
        ldp     d10, d11, [sp, #128]
        ldp     d12, d13, [sp, #144]
        ldp     d14, d15, [sp, #160]
        add     sp, sp, #FRAME
        .cfi_def_cfa_offset 0
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_endproc
        .size   hk_fiber_swap, . - hk_fiber_swap

/* The bottom of every fiber: a first frame leads here, with the function in x20 and its argument
 * in x19. Debuggers and profilers stop here, for there is nowhere to return to. */
        .p2align 4
        .globl  hk_fiber_start
        .hidden hk_fiber_start
        .type   hk_fiber_start, %function
hk_fiber_start:
        .cfi_startproc
        .cfi_undefined x30
        hint    #34 /* bti c */
        mov     x0, x19
        blr     x20
        brk     #1
        .cfi_endproc
        .size   hk_fiber_start, . - hk_fiber_start

/* void hk_fiber_first_frame(hk_fiber *f, hk_fiber_entry *function): directly below f itself. */
        .p2align 4
        .globl  hk_fiber_first_frame
        .hidden hk_fiber_first_frame
        .type   hk_fiber_first_frame, %function
hk_fiber_first_frame:
        .cfi_startproc
        hint    #34 /* bti c */
        sub     x9, x0, #FRAME
        adrp    x10, hk_fiber_start
        add     x10, x10, :lo12:hk_fiber_start
        stp     xzr, xzr, [x9] /* FPCR 0 is round to nearest, nothing trapped */
        stp     x0, x1, [x9, #16]
        stp     xzr, xzr, [x9, #32]
        stp     xzr, xzr, [x9, #48]
        stp     xzr, xzr, [x9, #64]
        stp     xzr, xzr, [x9, #80]
        stp     xzr, x10, [x9, #96]
        stp     xzr, xzr, [x9, #112]
        stp     xzr, xzr, [x9, #128]
        stp     xzr, xzr, [x9, #144]
        stp     xzr, xzr, [x9, #160]
        str     x9, [x0]
        ret
        .cfi_endproc
        .size   hk_fiber_first_frame, . - hk_fiber_first_frame

        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5 /* name, description, NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000000, 4 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
        .long   1, 0          /* BTI (1) without PAC (2) */

        .section .note.GNU-stack, "", %progbits
