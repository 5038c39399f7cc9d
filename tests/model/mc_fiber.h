/* SPDX-License-Identifier: MIT */
/* mc_fiber.h - a model thread's own stack, and the switch from one to another.
 *
 * Not runtime/fiber: the checker must not lean on what it may be asked to check, and it abandons
 * thousands of fibers a second in the middle of whatever they did. */
#ifndef HK_MODEL_MC_FIBER_H
#define HK_MODEL_MC_FIBER_H

#include <stddef.h>

typedef struct mc_fiber {
    void *context; /* saved stack pointer, or a ucontext where there is no switch of our own */
    char *stack;
    size_t stack_bytes;
} mc_fiber;

/* Aim `f` at `entry`, from the top of its stack, forgetting whatever it was doing. `entry` must
 * not return. A fiber without a stack only receives what mc_fiber_switch saves. */
void mc_fiber_make(mc_fiber *f, void (*entry)(void));

/* Save the caller in `from` and continue `to`. */
void mc_fiber_switch(mc_fiber *from, mc_fiber *to);

#endif
