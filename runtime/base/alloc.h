/* SPDX-License-Identifier: MIT */
/* alloc.h - where hank's memory comes from: jemalloc, as a shared library.
 *
 * Shared and without link-time optimisation, because a task may free on another thread than the
 * one it allocated on *between two instructions of one function*, and only an opaque call keeps
 * the compiler from holding an address of a thread's cache across that switch. Sanitizer builds
 * use the sanitizer's malloc, which sees what jemalloc would hide. */
#ifndef HK_BASE_ALLOC_H
#define HK_BASE_ALLOC_H

#include <stddef.h>

#include "base/compiler.h"

/* NULL: no memory. hk_alloc's memory is not initialised; hk_alloc_zeroed's is. */
HK_MUST_CHECK void *hk_alloc(size_t bytes);
HK_MUST_CHECK void *hk_alloc_zeroed(size_t bytes);
HK_MUST_CHECK void *hk_alloc_aligned(size_t bytes, size_t alignment); /* zeroed */

/* `bytes` as it was asked for; NULL is fine. hk_free_aligned for hk_alloc_aligned's. */
void hk_free(void *memory, size_t bytes);
void hk_free_aligned(void *memory, size_t bytes, size_t alignment);

#endif
