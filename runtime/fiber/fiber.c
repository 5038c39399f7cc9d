/* SPDX-License-Identifier: MIT */
/* fiber.c - what is the same on every CPU: making, leaving, and what the tools need to hear.
 *
 * A tool that follows the stack pointer takes a switch for a wild jump unless it is told:
 *
 *   AddressSanitizer  before and after each switch; the fake stack (where it keeps frames whose
 *                     use after return it wants to see) is put away and fetched, and freed on the
 *                     last switch. Poison left by frames that never returned is lifted on reuse.
 *   LeakSanitizer     looks for pointers on stacks in use only.
 *   ThreadSanitizer   thinks a fiber is a thread. Its own call stack is not cut back by a fiber
 *                     that is left for ever, so its fiber is made anew every so often (2 ms under
 *                     gcc, which is why not every time). The function that announces the switch
 *                     must be the one that switches.
 *   Valgrind          knows a registered stack by its bounds; is not asked about looks at stacks.
 *
 * This file is the only one that talks to them. Without them it is nearly empty: see fiber.h. */
#include "fiber/fiber.h"

#include <stddef.h>
#if HK_TSAN
#include <string.h>
#endif

#include "base/check.h"
#include "base/os.h"
#include "fiber/exceptions.h"

#if HK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if HK_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif

_Static_assert(offsetof(hk_fiber, sp) == 0, "switch_<cpu>.S reads it through the fiber's address");
_Static_assert(sizeof(hk_fiber) <= 2 * HK_CACHE_LINE, "it shares the top page with live frames");

enum { TSAN_MAKES_MAX = 1024 }; /* times a few frames each, of the 65536 it has room for */

/* --- the tools ----------------------------------------------------------------------------- */

#if HK_ASAN
/* A simulated thread is left on whatever stack it stands on: only the tool knows which. */
static hk_fiber *thread_left; /* always NULL but in the simulator, where all is one thread */

static void arrive_asan(void *fake)
{
    const void *low = NULL;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(fake, &low, &bytes);
    if (thread_left) {
        thread_left->stack_low = (char *)(uintptr_t)low;
        thread_left->stack_bytes = bytes;
        thread_left = NULL;
    }
}
#endif

#if HK_TSAN
static void tsan_fiber_new(hk_fiber *f)
{
    f->tsan = __tsan_create_fiber(0);
    f->tsan_makes = 0;
}

void hk_fiber_note_turn_begins(void *owned_by_worker)
{
    __tsan_acquire(owned_by_worker);
}

/* The tool puts a signal off until the fiber to which it came calls a function that the tool knows:
 * here, or the signal would wait for as long as the fiber does. */
void hk_fiber_note_turn_ends(void *owned_by_worker)
{
    const char *known = "";
    __asm__ volatile("" : "+r"(known)); /* for all that a compiler knows */
    __asm__ volatile("" : : "r"(strlen(known)));
    __tsan_release(owned_by_worker);
}
#endif

void hk_fiber_note_new(hk_fiber *f)
{
#if HK_TSAN
    tsan_fiber_new(f);
#endif
#ifdef VALGRIND_STACK_REGISTER
    f->valgrind_id = VALGRIND_STACK_REGISTER(f->stack_low, f->stack_low + f->stack_bytes);
#endif
    (void)f;
}

void hk_fiber_note_gone(hk_fiber *f)
{
#if HK_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
#ifdef VALGRIND_STACK_DEREGISTER
    VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#endif
    (void)f;
}

void hk_fiber_note_guess_begins(void)
{
#ifdef VALGRIND_DISABLE_ERROR_REPORTING
    VALGRIND_DISABLE_ERROR_REPORTING;
#endif
}

void hk_fiber_note_guess_ends(void *words, size_t bytes)
{
#ifdef VALGRIND_ENABLE_ERROR_REPORTING
    (void)VALGRIND_MAKE_MEM_DEFINED(words, bytes); /* only a tool's answer */
    VALGRIND_ENABLE_ERROR_REPORTING;
#endif
    (void)words, (void)bytes;
}

void hk_fiber_note_taken(hk_fiber *f)
{
#if HK_ASAN
    __lsan_register_root_region(f->stack_low, f->stack_bytes);
#endif
    (void)f;
}

void hk_fiber_note_given(hk_fiber *f)
{
#if HK_ASAN
    __lsan_unregister_root_region(f->stack_low, f->stack_bytes);
    __asan_unpoison_memory_region(f->stack_low, f->stack_bytes);
#endif
#if HK_TSAN
    __tsan_acquire(f); /* all that ran there is over: pairs with hk_fiber_leave */
#endif
    (void)f;
}

/* --- fibers -------------------------------------------------------------------------------- */

void hk_fiber_adopt_thread(hk_fiber *ret_thread)
{
    void *low = NULL;
    size_t bytes = 0;
    *ret_thread = (hk_fiber){.is_thread = true};
    if (hk_os_thread_stack(&low, &bytes) == 0) { /* else unknown: only the tools would miss it */
        ret_thread->stack_low = low;
        ret_thread->stack_bytes = bytes;
    }
#if HK_TSAN
    ret_thread->tsan = __tsan_get_current_fiber();
#endif
}

void hk_fiber_forget_thread(hk_fiber *thread)
{
    HK_CHECK(thread->is_thread);
    *thread = (hk_fiber){.is_thread = true};
}

#if HK_ASAN || HK_TSAN
/* The first thing a fiber does, when the tools want to hear that it has arrived. */
static void begin(hk_fiber *self)
{
#if HK_ASAN
    arrive_asan(NULL);
#endif
#if HK_TSAN
    __tsan_acquire(self); /* pairs with the first switch to us */
#endif
    self->entry(self);
    hk_panic("a fiber's entry returned");
}
#define FIRST_FUNCTION(entry) begin
#else
#define FIRST_FUNCTION(entry) (entry)
#endif

void hk_fiber_make(hk_fiber *f, hk_fiber_entry *entry)
{
    HK_DCHECK(!f->is_thread);
    HK_DCHECK((uintptr_t)f % 16 == 0);
#if HK_TSAN
    __tsan_acquire(f); /* made anew on the spot: pairs with hk_fiber_leave */
    f->is_fresh = true;
    if (++f->tsan_makes == TSAN_MAKES_MAX) {
        __tsan_destroy_fiber(f->tsan);
        tsan_fiber_new(f);
    }
#endif
#if HK_ASAN
    __asan_unpoison_memory_region(f->stack_low, f->stack_bytes);
#endif
    f->entry = entry;
    hk_fiber_first_frame(f, FIRST_FUNCTION(entry));
}

#if HK_TSAN
/* Unwatched, like the switch itself: what we read of `to` was published by other means, or belongs
 * to the thread we are on. */
HK_UNWATCHED static void depart_tsan(hk_fiber *to)
{
    if (to->is_fresh) {
        to->is_fresh = false;
        __tsan_release(to); /* pairs with begin */
    }
}
#define SWITCH_TSAN(to) __tsan_switch_to_fiber((to)->tsan, __tsan_switch_to_fiber_no_sync)
#endif

#if HK_ASAN || HK_TSAN
HK_UNWATCHED void hk_fiber_switch(hk_fiber *from, hk_fiber *to)
{
#if HK_ASAN
    __sanitizer_start_switch_fiber(&from->asan_fake, to->stack_low, to->stack_bytes);
#endif
#if HK_TSAN
    depart_tsan(to);
    SWITCH_TSAN(to);
#endif
    hk_fiber_swap(from, to);
#if HK_ASAN
    arrive_asan(from->asan_fake);
#endif
}
#endif

HK_UNWATCHED void hk_fiber_leave(hk_fiber *from, hk_fiber *to)
{
#if HK_ASAN
    __sanitizer_start_switch_fiber(NULL, to->stack_low, to->stack_bytes); /* frees the fake one */
#endif
#if HK_TSAN
    __tsan_release(from); /* pairs with giving back or making anew */
    depart_tsan(to);
    SWITCH_TSAN(to);
#endif
    hk_fiber_swap(from, to);
    hk_panic("a fiber was entered again after its last switch");
}

#if HK_SIM
void hk_fiber_switch_threads(hk_fiber *from, hk_fiber *to)
{
#if HK_ASAN
    thread_left = from;
    __sanitizer_start_switch_fiber(&from->asan_fake, to->stack_low, to->stack_bytes);
#endif
    hk_exceptions *exceptions = hk_exceptions_here(); /* of the one thread that plays them all */
    hk_exceptions mine = hk_exceptions_take(exceptions);
    hk_fiber_swap(from, to);
    *exceptions = mine;
#if HK_ASAN
    arrive_asan(from->asan_fake);
#endif
}
#endif

HK_NOINLINE size_t hk_fiber_headroom(const hk_fiber *f)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t low = (uintptr_t)f->stack_low;
    HK_DCHECK(here >= low && here - low <= f->stack_bytes);
    return here - low;
}
