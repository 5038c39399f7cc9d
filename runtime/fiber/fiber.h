/* SPDX-License-Identifier: MIT */
/* fiber.h - a stack one can leave and come back to.
 *
 * The contract is ucontext's: make (an entry on a given stack) and switch; unlike ucontext, the
 * hand-written switches leave the signal mask alone, which saves two system calls. Two
 * implementations stand behind it: switch_<cpu>.S, and the portable one on <ucontext.h>
 * (-DHANK_UCONTEXT=ON).
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

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/list.h"

typedef struct hk_fiber hk_fiber;
typedef void hk_fiber_entry(hk_fiber *self); /* must never return */

/* Plain fields belong to who owns the fiber: what runs on it, or who keeps it while it is idle.
 *
 * sp          where the switch saved the registers, the uc context under HK_UCONTEXT; first, as
 *             the assembler code expects
 * stack_low   lowest usable byte; stack_bytes above it, up to this struct
 * owner       for whoever runs on it (sched/ keeps the suspended task here for dumps)
 * link        for whoever keeps it while it is idle (stack.c's caches)
 * ready       set once the fields above hold; read by who found this struct by an address */
struct hk_fiber {
    void *sp;
    char *stack_low;
    size_t stack_bytes;
    hk_fiber_entry *entry;
    void *owner;
    hk_node link;
    HK_ATOMIC(bool) ready;
    uint8_t size_class;
    bool is_thread;       /* stands for a thread's own stack, not for a slot */
    bool has_canary;      /* instead of a guard */
    bool is_fresh;        /* made and not yet switched to; kept for ThreadSanitizer */
    unsigned tsan_makes;  /* how often `tsan` was started from the top */
    unsigned valgrind_id; /* the registered stack */
    void *asan_fake;      /* AddressSanitizer's fake stack while we are away */
    void *tsan;           /* ThreadSanitizer's fiber */
};

/* Describe the calling thread's own stack, so that one can switch away from it and back.
 * Undone by hk_fiber_forget_thread on the same thread. */
void hk_fiber_adopt_thread(hk_fiber *ret_thread);
void hk_fiber_forget_thread(hk_fiber *thread);

/* Arrange that the next switch to `f`, an idle fiber from hk_stack_take, calls entry(f) on a fresh
 * frame with 16-byte alignment and default floating-point control. Cheap: a few stores. */
void hk_fiber_make(hk_fiber *f, hk_fiber_entry *entry);

/* The bare switch, and the frame that the first one finds: switch_<cpu>.S or fiber_ucontext.c. */
#if HK_JUMPED_SWAP
#include "fiber/swap_x86_64.h"
#else
void hk_fiber_swap(hk_fiber *from, hk_fiber *to);
#endif
void hk_fiber_first_frame(hk_fiber *f, hk_fiber_entry *function);

/* Save here into `from` (which must be what runs), go on where `to` left off. errno and the
 * floating-point control words stay with the fiber. Returns when somebody switches back, maybe on
 * another thread: nothing read from thread-local storage before is valid after.
 *
 * To ThreadSanitizer a switch orders nothing between the two, except that a first switch shows
 * the new fiber what its maker wrote, and giving back or making anew sees all that was done up to
 * hk_fiber_leave. So it checks that whoever hands a fiber on does publish it. */
#if HK_ASAN || HK_TSAN
void hk_fiber_switch(hk_fiber *from, hk_fiber *to);
#else
static inline void hk_fiber_switch(hk_fiber *from, hk_fiber *to)
{
    hk_fiber_swap(from, to);
}
#endif

/* The last switch away from `from`: nobody will come back to this frame, and once `to` runs, the
 * stack may be given back or made anew. */
HK_NORETURN void hk_fiber_leave(hk_fiber *from, hk_fiber *to);

#if HK_SIM
/* The same between simulated threads: `from` is no fiber but a place to keep what is needed to go
 * on with whatever fiber it is that runs; so is `to`, or it is one that was just made. */
void hk_fiber_switch_threads(hk_fiber *from, hk_fiber *to);
#endif

/* Bytes between the caller's frame and the guard of `f`, which must be what runs. */
size_t hk_fiber_headroom(const hk_fiber *f);

/* For the fibers' own stack.c: tell the tools that a stack exists, is in use (a leak checker looks
 * for pointers on it), is idle, or is going. */
void hk_fiber_note_new(hk_fiber *f);
void hk_fiber_note_taken(hk_fiber *f);
void hk_fiber_note_given(hk_fiber *f);
void hk_fiber_note_gone(hk_fiber *f);

/* That from here on this thread reads of stacks what nobody may have written, or what is nobody's
 * any more; and that these words are good, whatever they were made of. */
void hk_fiber_note_guess_begins(void);
void hk_fiber_note_guess_ends(void *words, size_t bytes);

/* And that what belongs to one worker passes, in turn, from fiber to fiber of that worker. */
#if HK_TSAN
void hk_fiber_note_turn_begins(void *owned_by_worker);
void hk_fiber_note_turn_ends(void *owned_by_worker);
#else
#define hk_fiber_note_turn_begins(owned_by_worker) ((void)(owned_by_worker))
#define hk_fiber_note_turn_ends(owned_by_worker)   ((void)(owned_by_worker))
#endif

#endif
