/* SPDX-License-Identifier: MIT */
/* alloc.c - jemalloc, or the sanitizer's malloc under a sanitizer. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

#if HK_ASAN || HK_TSAN || defined(HK_NO_JEMALLOC)

void *hk_alloc(size_t bytes)
{
    return hk_fault_check(HK_FAULT_ALLOC) ? NULL : malloc(bytes);
}

void *hk_alloc_zeroed(size_t bytes)
{
    return hk_fault_check(HK_FAULT_ALLOC) ? NULL : calloc(1, bytes);
}

void *hk_alloc_aligned(size_t bytes, size_t alignment)
{
    void *memory = NULL;
    if (hk_fault_check(HK_FAULT_ALLOC) || posix_memalign(&memory, alignment, bytes) != 0)
        return NULL;
    return memset(memory, 0, bytes);
}

void hk_free(void *memory, size_t bytes)
{
    (void)bytes;
    free(memory);
}

void hk_free_aligned(void *memory, size_t bytes, size_t alignment)
{
    (void)alignment;
    hk_free(memory, bytes);
}

#else

#include <jemalloc/jemalloc.h>

static void *allocate(size_t bytes, int flags)
{
    return hk_fault_check(HK_FAULT_ALLOC) ? NULL : mallocx(bytes ? bytes : 1, flags);
}

void *hk_alloc(size_t bytes)
{
    return allocate(bytes, 0);
}

void *hk_alloc_zeroed(size_t bytes)
{
    return allocate(bytes, MALLOCX_ZERO);
}

void *hk_alloc_aligned(size_t bytes, size_t alignment)
{
    return allocate(bytes, MALLOCX_ZERO | MALLOCX_ALIGN(alignment));
}

void hk_free(void *memory, size_t bytes)
{
    if (memory)
        sdallocx(memory, bytes ? bytes : 1, 0);
}

void hk_free_aligned(void *memory, size_t bytes, size_t alignment)
{
    if (memory)
        sdallocx(memory, bytes ? bytes : 1, MALLOCX_ALIGN(alignment));
}

#endif
