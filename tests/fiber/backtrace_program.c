/* SPDX-License-Identifier: MIT */
/* backtrace_program.c - something for a debugger to stop in (gdb_test.sh). */
#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"

void stop_here(void);

static hk_fiber thread_fiber;

__attribute__((noinline)) void stop_here(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void inner(hk_fiber *self)
{
    stop_here();
    hk_fiber_switch(self, &thread_fiber);
    stop_here();
    __asm__ volatile("" ::: "memory"); /* not the last thing here, so not a jump */
}

static void outer(hk_fiber *self)
{
    inner(self);
    hk_fiber_leave(self, &thread_fiber);
}

int main(void)
{
    hk_fiber *f;
    hk_fiber_adopt_thread(&thread_fiber);
    HK_CHECK(hk_stack_take(NULL, 2, &f) == 0);
    hk_fiber_make(f, outer);
    hk_fiber_switch(&thread_fiber, f);
    hk_fiber_switch(&thread_fiber, f);
    hk_stack_give(NULL, f);
    return 0;
}
