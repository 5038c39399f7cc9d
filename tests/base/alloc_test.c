/* SPDX-License-Identifier: MIT */
/* alloc_test.c - memory is zeroed and aligned where that is promised. */
#include "base/alloc.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

static bool all_zero(const char *bytes, size_t n)
{
    while (n > 0 && bytes[n - 1] == 0)
        n--;
    return n == 0;
}

Test(alloc, zeroed_memory_is_zero_even_when_it_was_used_before)
{
    for (int round = 0; round < 100; round++) {
        char *memory = hk_alloc_zeroed(1000);
        cr_assert_not_null(memory);
        cr_assert(all_zero(memory, 1000));
        memset(memory, 0xa5, 1000);
        hk_free(memory, 1000);
    }
}

Test(alloc, aligned_memory_is_aligned_and_zero)
{
    for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
        char *memory = hk_alloc_aligned(3 * alignment, alignment);
        cr_assert_not_null(memory);
        cr_assert_eq((uintptr_t)memory % alignment, 0);
        cr_assert(all_zero(memory, 3 * alignment));
        hk_free_aligned(memory, 3 * alignment, alignment);
    }
}

Test(alloc, freeing_nothing_is_fine)
{
    hk_free(NULL, 0);
    hk_free_aligned(NULL, 64, 64);
}

Test(alloc, zero_bytes_can_be_freed)
{
    void *memory = hk_alloc(0);
    hk_free(memory, 0);
}
