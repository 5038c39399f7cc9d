/* SPDX-License-Identifier: MIT */
/* slab_test.c - slots are counted, made once, and stay readable after they are put back. */
#include "base/slab.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

#include "base/fault.h"

enum { MANY = 3 * HK_SLAB_CACHE_MAX };

struct thing {
    void *links[2];
    uint64_t stamp;
};

static void stamp(void *slot)
{
    ((struct thing *)slot)->stamp++;
}

static hk_slab things = {.bytes = sizeof(struct thing), .init = stamp};

static int count(void *slot, void *context)
{
    (void)slot;
    ++*(size_t *)context;
    return 1;
}

static size_t made(void)
{
    size_t n = 0;
    hk_slab_each(&things, count, &n);
    return n;
}

static void take_and_put(hk_slab_cache *cache)
{
    static void *slots[MANY];
    for (int i = 0; i < MANY; i++) {
        slots[i] = hk_slab_get(&things, cache);
        cr_assert_not_null(slots[i]);
        cr_assert_eq(((struct thing *)slots[i])->stamp, 1, "init runs once a slot");
    }
    for (int i = 0; i < MANY; i++)
        hk_slab_put(&things, cache, slots[i]);
}

Test(slab, slots_are_used_again_instead_of_made_anew)
{
    hk_slab_cache cache = {0};
    take_and_put(&cache);
    size_t before = made();
    cr_expect_geq(before, (size_t)MANY);
    for (int round = 0; round < 10; round++)
        take_and_put(&cache);
    cr_expect_eq(made(), before);
}

Test(slab, a_cache_keeps_a_bounded_number)
{
    hk_slab_cache cache = {0};
    take_and_put(&cache);
    cr_expect_leq(cache.count, (uint32_t)HK_SLAB_BATCH);
    hk_slab_drain(&things, &cache);
    cr_expect_eq(cache.count, 0u);
    cr_expect_null(cache.free);
    cr_expect_null(cache.full);
}

Test(slab, what_one_cache_gives_up_another_one_gets)
{
    hk_slab_cache one = {0}, other = {0};
    take_and_put(&one);
    hk_slab_drain(&things, &one);
    size_t before = made();
    take_and_put(&other);
    cr_expect_eq(made(), before);
}

Test(slab, threads_without_a_cache_share_the_depot)
{
    void *slot = hk_slab_get_shared(&things);
    cr_assert_not_null(slot);
    hk_slab_put_shared(&things, slot);
    cr_expect_eq(hk_slab_get_shared(&things), slot, "last in, first out");
}

#if HK_FAULTS
Test(slab, without_memory_there_is_no_slot_and_later_there_is_again)
{
    hk_slab_cache cache = {0};
    hk_fault_plan(HK_FAULT_MAP, 1, -ENOMEM);
    cr_expect_null(hk_slab_get(&things, &cache));
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    cr_expect_not_null(hk_slab_get(&things, &cache));
}
#endif
