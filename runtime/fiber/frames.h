/* SPDX-License-Identifier: MIT */
/* frames.h - who called whom, by the frame pointers on a fiber's stack.
 *
 * Nothing is believed: a frame that is not within the bounds given, or not above the one before it,
 * ends the list. So whatever code without frame pointers has left in that register, nothing is read
 * that is not the stack's. */
#ifndef HK_FIBER_FRAMES_H
#define HK_FIBER_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/os.h"

struct hk_fiber;

enum { HK_FRAMES_MAX = 32 };

/* place->pc and the return addresses of its callers, whose frames lie from place->sp up to `high`.
 * How many, at least 1. Async-signal-safe. */
unsigned hk_frames_walk(const hk_os_place *place, uintptr_t high, void *ret_frames[HK_FRAMES_MAX]);

/* The same of a fiber that nobody runs on: where it will go on, and the callers of that. How many;
 * 0 if frame pointers do not lead to where the fiber began, for then some of the code has none and
 * what was found could be anything.
 *
 * `f` may be any address, and the fiber may be run meanwhile: then the answer means nothing, which
 * is for the caller to find out, but no harm is done. */
unsigned hk_frames_parked(const struct hk_fiber *f, void *ret_frames[HK_FRAMES_MAX]);

#endif
