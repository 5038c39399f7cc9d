/* SPDX-License-Identifier: MIT */
/* frames.c - a walk along frame pointers. Why not by an unwinder's tables: docs/decisions/0013. */
#include "fiber/frames.h"

#include "base/compiler.h"

/* Do the two words that belong to a frame pointer lie within low .. high? A function that calls
 * nobody may have them right at its stack pointer. */
static bool is_frame(uintptr_t fp, uintptr_t low, uintptr_t high)
{
    uintptr_t first = fp + (uintptr_t)HK_FRAME_CALLER * sizeof(uintptr_t);
    return fp % sizeof(uintptr_t) == 0 && first >= low && first < high &&
           high - first >= 2 * sizeof(uintptr_t);
}

/* Unpoisoned: a frame pointer of code that has none may point anywhere in the stack. */
HK_UNPOISONED unsigned hk_frames_walk(const hk_os_place *place, uintptr_t high,
                                      void *ret_frames[HK_FRAMES_MAX])
{
    unsigned n = 0;
    uintptr_t fp = place->fp;
    ret_frames[n++] = (void *)place->pc;
    while (n < HK_FRAMES_MAX && is_frame(fp, place->sp, high)) {
        const uintptr_t *frame = (const uintptr_t *)fp;
        uintptr_t caller = frame[HK_FRAME_CALLER], from = frame[HK_FRAME_RETURN];
        if (from == 0)
            break;
        ret_frames[n++] = (void *)from;
        if (caller <= fp) /* callers are above */
            break;
        fp = caller;
    }
    return n;
}
