/* SPDX-License-Identifier: MIT */
/* fiber_ucontext.c - the portable switch, on <ucontext.h>; slow, and made of nothing but libc.
 *
 * A suspended fiber's context is a local of the switch that suspended it, on its own stack, so
 * there is nothing to allocate. A fresh one's lies between its stack and its hk_fiber; that place
 * is dead once it has been started. swapcontext(3) brings the signal mask along, two system calls
 * a switch, which is why this is not what a CPU with a switch of its own uses. */
#include <fenv.h>
#include <stdint.h>
#include <ucontext.h>

#include "base/check.h"
#include "base/os.h"
#include "fiber/fiber.h"

typedef struct first_frame {
    ucontext_t context;
    hk_fiber *fiber;
    hk_fiber_entry *function;
} first_frame;

/* errno after the switch is that of another thread, and the compiler must not know its address:
 * hence the two accessors, which are never inlined. */
HK_UNWATCHED void hk_fiber_swap(hk_fiber *from, hk_fiber *to)
{
    ucontext_t here;
    int error = hk_os_errno();
    from->sp = &here;
    HK_CHECK(swapcontext(&here, to->sp) == 0);
    hk_os_set_errno(error);
}

/* makecontext passes ints: a pointer arrives in two halves. */
HK_UNWATCHED static void start(unsigned high, unsigned low)
{
    first_frame *first = (first_frame *)((uintptr_t)high << 16 << 16 | low);
    (void)fesetenv(FE_DFL_ENV); /* not the maker's: cannot fail for this one */
    hk_os_set_errno(0);
    first->function(first->fiber);
    hk_panic("a fiber's entry returned");
}

void hk_fiber_first_frame(hk_fiber *f, hk_fiber_entry *function)
{
    uintptr_t place = ((uintptr_t)f - sizeof(first_frame)) & ~(uintptr_t)63;
    first_frame *first = (first_frame *)place;
    HK_CHECK(getcontext(&first->context) == 0);
    first->fiber = f;
    first->function = function;
    first->context.uc_stack.ss_sp = f->stack_low;
    first->context.uc_stack.ss_size = place - (uintptr_t)f->stack_low;
    first->context.uc_link = NULL;
    makecontext(&first->context, (void (*)(void))start, 2, (unsigned)(place >> 16 >> 16),
                (unsigned)place);
    f->sp = &first->context;
}
