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

enum { HK_FRAMES_MAX = 32 };

/* place->pc and the return addresses of its callers, whose frames lie from place->sp up to `high`.
 * How many, at least 1. Async-signal-safe. */
unsigned hk_frames_walk(const hk_os_place *place, uintptr_t high, void *ret_frames[HK_FRAMES_MAX]);

#endif
