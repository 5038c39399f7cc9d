/* SPDX-License-Identifier: MIT */
/* mc_fiber.c - the checker's context switch: by hand on x86-64, else by swapcontext.
 *
 * swapcontext makes two system calls for the signal mask; a search makes millions of switches. */
#include "model/mc_fiber.h"

#include <stdint.h>

#if defined(__x86_64__) && !defined(MC_UCONTEXT)

/* Callee-saved registers on the old stack, its pointer to *save, then the same backwards. Leaving
 * by pop and jmp keeps the return predictor out of it. */
void mc_switch_stacks(void **save, void *to);

__asm__(".text\n"
        ".p2align 4\n"
        ".globl mc_switch_stacks\n"
        ".type mc_switch_stacks, @function\n"
        "mc_switch_stacks:\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    popq %rcx\n"
        "    jmp *%rcx\n"
        ".size mc_switch_stacks, . - mc_switch_stacks\n");

enum { SAVED_REGISTERS = 6 };

void mc_fiber_make(mc_fiber *f, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)f->stack + f->stack_bytes) & ~(uintptr_t)63;
    uintptr_t *sp = (uintptr_t *)top;
    *--sp = 0; /* entry finds the stack as a call would leave it: a return address below a */
    *--sp = 0; /* multiple of 16 */
    *--sp = 0;
    *--sp = (uintptr_t)entry;
    for (int i = 0; i < SAVED_REGISTERS; i++)
        *--sp = 0;
    f->context = sp;
}

void mc_fiber_switch(mc_fiber *from, mc_fiber *to)
{
    mc_switch_stacks(&from->context, to->context);
}

#else

#include <stdlib.h>
#include <ucontext.h>

static ucontext_t *context_of(mc_fiber *f)
{
    if (!f->context)
        f->context = calloc(1, sizeof(ucontext_t));
    return f->context;
}

void mc_fiber_make(mc_fiber *f, void (*entry)(void))
{
    ucontext_t *context = context_of(f);
    (void)getcontext(context); /* cannot fail: fills the structure */
    context->uc_stack.ss_sp = f->stack;
    context->uc_stack.ss_size = f->stack_bytes;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
}

void mc_fiber_switch(mc_fiber *from, mc_fiber *to)
{
    (void)swapcontext(context_of(from), context_of(to)); /* only fails for a bad stack */
}

#endif
