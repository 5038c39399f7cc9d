/* SPDX-License-Identifier: MIT */
/* fiber.h - a stack one can leave and come back to.
 *
 * The contract is ucontext's: make (an entry on a given stack) and switch; unlike ucontext the hand-
 * written switches leave the signal mask alone, which saves two system calls. Two implementations
 * stand behind it: switch_<cpu>.S, and the portable one on <ucontext.h> (-DHANK_UCONTEXT=ON).
 *
 * A fiber lives at the top end of its own stack slot, on the page that is touched anyway:
 *
 *     low                                                             high
 *     | guard .............. | stack, grows down  <--------- | hk_fiber |
 *
 * It knows nothing of tasks. What the sanitizers, Valgrind and unwinders need to hear about a
 * switch is said in fiber.c, and only there. */
#ifndef HK_FIBER_FIBER_H
#define HK_FIBER_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"

typedef struct hk_fiber hk_fiber;
typedef void hk_fiber_entry(hk_fiber *self); /* must never return */

/* sp          where the switch saved the registers; the uc context under HK_UCONTEXT
 * stack_low   lowest usable byte; stack_bytes above it, up to this struct
 * owner       for whoever runs on it (sched/ keeps the suspended task here for dumps)
 * link        for whoever keeps it while it is idle (stack.c's caches) */
struct hk_fiber {
    void *sp;
    char *stack_low;
    size_t stack_bytes;
    hk_fiber_entry *entry;
    void *owner;
    hk_node link;
    uint8_t size_class;
    bool is_thread;       /* stands for a thread's own stack, not for a slot */
    void *asan_fake;      /* AddressSanitizer's fake stack while we are away */
    void *tsan;           /* ThreadSanitizer's fiber */
    unsigned valgrind_id; /* the registered stack */
    void *portable;       /* the ucontext, under HK_UCONTEXT */
};

/* Describe the calling thread's own stack, so that one can switch away from it and back.
 * Undone by hk_fiber_forget_thread on the same thread. */
void hk_fiber_adopt_thread(hk_fiber *ret_thread);
void hk_fiber_forget_thread(hk_fiber *thread);

/* Arrange that the next switch to `f`, an idle fiber from hk_stack_take, calls entry(f) on a fresh
 * frame with 16-byte alignment and default floating-point control. Cheap: a few stores. */
void hk_fiber_make(hk_fiber *f, hk_fiber_entry *entry);

/* Save here into `from` (which must be what runs), go on where `to` left off. errno and the
 * floating-point control words stay with the fiber. Returns when somebody switches back, maybe on
 * another thread: nothing read from thread-local storage before is valid after. */
void hk_fiber_switch(hk_fiber *from, hk_fiber *to);

/* The last switch away from `from`: nobody will come back to this frame, and once `to` runs, the
 * stack may be given back or made anew. */
HK_NORETURN void hk_fiber_leave(hk_fiber *from, hk_fiber *to);

/* Bytes between the caller's frame and the guard of `f`, which must be what runs. */
size_t hk_fiber_headroom(const hk_fiber *f);

/* For the fibers' own stack.c: tell the tools that a stack exists, or that it is going. */
void hk_fiber_note_new(hk_fiber *f);
void hk_fiber_note_gone(hk_fiber *f);

#endif
