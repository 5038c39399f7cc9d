/* SPDX-License-Identifier: MIT */
/* frames.c - a walk along frame pointers. Why not by an unwinder's tables: docs/decisions/0013.
 *
 * A fiber's slot is never unmapped (arena.c), so a stack can be read by whoever has its address,
 * whatever has become of it. */
#include "fiber/frames.h"

#include "base/compiler.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"

enum { START_BYTES = 16 }; /* of hk_fiber_start's code, on every CPU */

/* Do the two words that belong to a frame pointer lie within low .. high? A function that calls
 * nobody may have them right at its stack pointer. */
static bool is_frame(uintptr_t fp, uintptr_t low, uintptr_t high)
{
    uintptr_t first = fp + (uintptr_t)HK_FRAME_CALLER * sizeof(uintptr_t);
    return fp % sizeof(uintptr_t) == 0 && first >= low && first < high &&
           high - first >= 2 * sizeof(uintptr_t);
}

/* Where the function returns to whose frame *fp points to, which becomes its caller's, or 0. 0:
 * there is no frame. Unpoisoned: a frame pointer of code that has none may point anywhere in the
 * stack. Unwatched: see hk_frames_parked. */
HK_UNPOISONED HK_UNWATCHED static uintptr_t leave_frame(uintptr_t *fp, uintptr_t low,
                                                        uintptr_t high)
{
    if (!is_frame(*fp, low, high))
        return 0;
    const uintptr_t *frame = (const uintptr_t *)*fp;
    uintptr_t caller = frame[HK_FRAME_CALLER], from = frame[HK_FRAME_RETURN];
    *fp = caller > *fp ? caller : 0; /* callers are above */
    return from;
}

unsigned hk_frames_walk(const hk_os_place *place, uintptr_t high, void *ret_frames[HK_FRAMES_MAX])
{
    unsigned n = 0;
    uintptr_t fp = place->fp, from;
    hk_fiber_note_guess_begins();
    ret_frames[n++] = (void *)place->pc;
    while (n < HK_FRAMES_MAX && (from = leave_frame(&fp, place->sp, high)) != 0)
        ret_frames[n++] = (void *)from;
    hk_fiber_note_guess_ends(ret_frames, n * sizeof *ret_frames);
    return n;
}

#if HK_UCONTEXT
/* The registers are somewhere in the system's ucontext_t. */
static bool read_registers(const hk_fiber *f, hk_os_place *ret_place)
{
    (void)f, (void)ret_place;
    return false;
}

static bool is_start(uintptr_t address)
{
    return address == 0;
}
#else
extern const char hk_fiber_start[]; /* code: the switch's, at the bottom of every fiber */

/* What the switch has saved. Unwatched: whoever runs on the stack next may be writing there. */
HK_UNPOISONED HK_UNWATCHED static bool read_registers(const hk_fiber *f, hk_os_place *ret_place)
{
    bool is_guard = true;
    uintptr_t sp = (uintptr_t)f->sp;
    bool is_its_own = hk_stack_find((void *)sp, &is_guard) == f && !is_guard && sp < (uintptr_t)f;
    if (!is_its_own || sp % sizeof(uintptr_t) != 0 || (uintptr_t)f - sp <= HK_SWITCH_PC)
        return false;
    const uintptr_t *saved = (const uintptr_t *)sp;
    *ret_place = (hk_os_place){.pc = saved[HK_SWITCH_PC / sizeof(uintptr_t)],
                               .sp = sp,
                               .fp = saved[HK_SWITCH_FP / sizeof(uintptr_t)]};
    return true;
}

static bool is_start(uintptr_t address)
{
    return address - (uintptr_t)hk_fiber_start <= START_BYTES;
}
#endif

/* The same as hk_frames_parked, of a fiber that is one. */
static unsigned walk_parked(const hk_fiber *f, void *ret_frames[HK_FRAMES_MAX])
{
    hk_os_place place;
    if (!read_registers(f, &place))
        return 0;
    unsigned n = 0;
    uintptr_t fp = place.fp, at = place.pc;
    for (; at != 0 && !is_start(at); at = leave_frame(&fp, place.sp, (uintptr_t)f))
        if (n < HK_FRAMES_MAX)
            ret_frames[n++] = (void *)at;
    return at != 0 ? n : 0;
}

unsigned hk_frames_parked(const hk_fiber *f, void *ret_frames[HK_FRAMES_MAX])
{
    bool is_guard;
    hk_fiber_note_guess_begins();
    unsigned n = hk_stack_find(f, &is_guard) == f ? walk_parked(f, ret_frames) : 0;
    hk_fiber_note_guess_ends(ret_frames, n * sizeof *ret_frames);
    return n;
}
