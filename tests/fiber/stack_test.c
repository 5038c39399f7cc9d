/* SPDX-License-Identifier: MIT */
/* stack_test.c - where stacks come from, go to, and what is below them. */
#include "fiber/stack.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/os.h"
#include "fiber/arena.h"

static hk_stack_cache cache;
static hk_fiber *stacks[2000];

static hk_stack_stats stats(void)
{
    hk_stack_stats s;
    hk_stack_get_stats(&s);
    return s;
}

static hk_fiber *take(int size_class)
{
    hk_fiber *f = NULL;
    cr_assert_eq(hk_stack_take(&cache, size_class, &f), 0);
    return f;
}

static void take_many(int n)
{
    for (int i = 0; i < n; i++)
        stacks[i] = take(2);
}

static void give_many(int n)
{
    for (int i = 0; i < n; i++)
        hk_stack_give(&cache, stacks[i]);
}

static long count_maps(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    long n = 0;
    for (int c; maps && (c = fgetc(maps)) != EOF;)
        n += c == '\n';
    if (maps)
        (void)fclose(maps);
    return n;
}

/* A write(2) of that byte, which reads it in the kernel. */
static ssize_t read_by_kernel(const char *byte)
{
    int fds[2];
    cr_assert_eq(hk_os_pipe(fds), 0);
    ssize_t rc = hk_os_write(fds[1], byte, 1);
    (void)hk_os_close(fds[0]);
    (void)hk_os_close(fds[1]);
    return rc;
}

static char *low_of_guard(const hk_fiber *f)
{
    return f->stack_low - hk_slot_guard_bytes(f->size_class);
}

/* Some places have no such guards: an emulator, Valgrind, an old kernel. */
static bool has_kernel_guards(void)
{
    hk_stack_give(&cache, take(0));
    return stats().guarded > 0;
}

Test(stack, classes_are_powers_of_two_from_16_kib_to_64_mib)
{
    cr_expect_eq(hk_stack_class(0), 0);
    cr_expect_eq(hk_stack_class(HK_STACK_MIN), 0);
    cr_expect_eq(hk_stack_class(HK_STACK_MIN + 1), 1);
    cr_expect_eq(hk_stack_class(HK_STACK_DEFAULT), 2);
    cr_expect_eq(hk_stack_class(HK_STACK_MAX), HK_STACK_CLASSES - 1);
    cr_expect_eq(hk_stack_class((size_t)HK_STACK_MAX + 1), -EINVAL);
    cr_expect_eq(hk_stack_class_bytes(HK_STACK_CLASSES - 1), HK_STACK_MAX);
}

Test(stack, every_class_has_a_usable_stack_of_about_its_size)
{
    for (int c = 0; c < HK_STACK_CLASSES; c++) {
        hk_fiber *f = take(c);
        size_t bytes = hk_stack_class_bytes(c);
        cr_expect_geq(f->stack_bytes, bytes - 1024 - 2 * HK_CACHE_LINE);
        cr_expect_eq((char *)f, f->stack_low + f->stack_bytes);
        memset((char *)f - 4096, 1, 4096);
        *f->stack_low = 1;
        hk_stack_give(&cache, f);
    }
}

Test(stack, the_latest_given_is_the_next_taken)
{
    hk_fiber *a = take(2), *b = take(2);
    hk_stack_give(&cache, a);
    hk_stack_give(&cache, b);
    cr_expect_eq(take(2), b);
    cr_expect_eq(take(2), a);
}

Test(stack, statistics_count_what_is_taken_wherever_the_rest_waits)
{
    uint64_t before = stats().live;
    take_many(300);
    cr_expect_eq(stats().live, before + 300);
    give_many(300);
    cr_expect_eq(stats().live, before);
    hk_stack_cache_drain(&cache);
    cr_expect_eq(stats().live, before);
    cr_expect_geq(stats().slots, 300);
    cr_expect_eq(stats().slots, stats().guarded + stats().protected_ + stats().canaried);
}

Test(stack, what_one_worker_gave_another_can_take)
{
    hk_stack_cache other = {0};
    take_many(200);
    give_many(200);
    hk_stack_cache_drain(&cache);
    uint64_t slots = stats().slots;
    for (int i = 0; i < 200; i++)
        cr_assert_eq(hk_stack_take(&other, 2, &stacks[i]), 0);
    cr_expect_eq(stats().slots, slots, "none was made anew");
    for (int i = 0; i < 200; i++)
        hk_stack_give(&other, stacks[i]);
    hk_stack_cache_drain(&other);
}

Test(stack, no_two_live_stacks_overlap)
{
    take_many(1000);
    for (int i = 0; i < 1000; i++)
        *(int *)(void *)((char *)stacks[i] - 64) = i;
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(*(int *)(void *)((char *)stacks[i] - 64), i);
    give_many(1000);
}

static void *churn(void *arg)
{
    hk_stack_cache mine = {0};
    hk_fiber *held[100];
    uintptr_t failures = 0;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 100; i++) {
            failures += hk_stack_take(&mine, 2, &held[i]) < 0;
            held[i]->owner = arg;
        }
        for (int i = 0; i < 100; i++) {
            failures += held[i]->owner != arg;
            hk_stack_give(&mine, held[i]);
        }
    }
    hk_stack_cache_drain(&mine);
    return (void *)failures;
}

Test(stack, threads_never_get_the_same_stack)
{
    pthread_t threads[4];
    uint64_t before = stats().live;
    for (uintptr_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *failures;
        cr_assert_eq(pthread_join(threads[i], &failures), 0);
        cr_expect_null(failures);
    }
    cr_expect_eq(stats().live, before);
}

Test(stack, a_system_call_into_the_guard_fails_and_next_to_it_does_not)
{
    if (!has_kernel_guards())
        cr_skip_test("no MADV_GUARD_INSTALL here");
    take_many(200);
    for (int i = 0; i < 200; i += 7) {
        cr_expect_eq(read_by_kernel(low_of_guard(stacks[i])), -EFAULT);
        cr_expect_eq(read_by_kernel(stacks[i]->stack_low - 1), -EFAULT);
        cr_expect_eq(read_by_kernel(stacks[i]->stack_low), 1);
    }
    give_many(200);
}

Test(stack, kernel_guards_cost_no_mappings)
{
    if (!has_kernel_guards())
        cr_skip_test("no MADV_GUARD_INSTALL here");
    take_many(64);
    long before = count_maps();
    take_many(2000);
    cr_expect_lt(count_maps(), before + 20);
}

Test(stack, without_kernel_guards_they_are_protected)
{
    hk_stack_force_guards(HK_GUARD_PROTECT);
    take_many(200);
    cr_expect_geq(stats().protected_, 200);
    cr_expect_eq(read_by_kernel(low_of_guard(stacks[5])), -EFAULT);
    cr_expect_eq(read_by_kernel(stacks[5]->stack_low - 1), -EFAULT);
    cr_expect_eq(read_by_kernel(stacks[5]->stack_low), 1);
    give_many(200);
}

Test(stack, beyond_the_budget_of_mappings_they_have_canaries)
{
    hk_stack_force_guards(HK_GUARD_PROTECT);
    hk_stack_force_protect_budget(100);
    take_many(400);
    cr_expect_eq(stats().protected_, 100);
    cr_expect_geq(stats().canaried, 300);
    cr_expect_not(stacks[0]->has_canary);
    cr_expect(stacks[399]->has_canary);
    give_many(400);
}

Test(stack, the_kernel_refusing_to_protect_is_a_budget_that_has_run_out)
{
#if HK_FAULTS
    hk_stack_force_guards(HK_GUARD_PROTECT);
    hk_fault_plan(HK_FAULT_PROTECT, 1, -ENOMEM);
    hk_fiber *f = take(2);
    hk_fault_clear();
    cr_expect(f->has_canary);
    hk_stack_give(&cache, f);
#endif
}

Test(stack, a_kernel_that_accepts_advice_and_does_nothing_is_found_out)
{
#if HK_FAULTS
    if (!has_kernel_guards())
        cr_skip_test("no MADV_GUARD_INSTALL here");
    hk_fault_plan(HK_FAULT_FUTEX, 1, 0); /* 0 faults nothing: this only counts the probes */
    take_many(2000);
    cr_expect_geq(hk_fault_count(HK_FAULT_FUTEX), 20, "one a batch");
    hk_fault_plan(HK_FAULT_FUTEX, 1, -EAGAIN); /* as if the word could be read */
    uint64_t guarded = stats().guarded;
    cr_assert_eq(hk_arena_reserve(2, 1000), 0);
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    cr_expect_eq(stats().guarded, guarded);
    cr_expect_geq(stats().protected_, 900);
#endif
}

Test(stack, an_overwritten_canary_is_noticed_when_the_stack_is_given_back, .signal = SIGABRT)
{
    hk_stack_force_guards(HK_GUARD_CANARY);
    hk_fiber *f = take(2);
    memset(f->stack_low, 0, 8);
    hk_stack_give(&cache, f);
}

Test(stack, giving_a_stack_twice_is_noticed, .signal = SIGABRT)
{
    hk_fiber *f = take(2);
    hk_stack_give(&cache, f);
    hk_stack_give(&cache, f);
}

#if HK_FAULTS
/* Take one of a class never used before, with the n-th call of a kind failing. */
static bool fails_cleanly(hk_fault kind, uint64_t nth, int size_class)
{
    hk_fiber *f = NULL;
    hk_stack_stats before = stats();
    hk_fault_plan(kind, nth, -ENOMEM);
    int rc = hk_stack_take(&cache, size_class, &f);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    if (!hit) {
        hk_stack_give(&cache, f);
        return false;
    }
    cr_expect_eq(rc, -ENOMEM);
    cr_expect_eq(stats().live, before.live);
    cr_expect_eq(stats().slots, before.slots);
    uint64_t mapped = stats().mapped_bytes;
    cr_expect_eq(hk_stack_take(&cache, size_class, &f), 0, "and the next one works");
    cr_expect_leq(mapped, stats().mapped_bytes);
    hk_stack_give(&cache, f);
    return true;
}
#endif

Test(stack, without_memory_nothing_is_taken_and_nothing_is_lost)
{
#if HK_FAULTS
    int size_class = 3;
    cr_expect(fails_cleanly(HK_FAULT_MAP, 1, size_class++));
    cr_expect(fails_cleanly(HK_FAULT_ALLOC, 1, size_class++));
    cr_expect(fails_cleanly(HK_FAULT_ADVISE, 1, size_class++), "huge pages");
    if (has_kernel_guards())
        cr_expect(fails_cleanly(HK_FAULT_ADVISE, 2, size_class++), "guards");
    cr_expect_not(fails_cleanly(HK_FAULT_ADVISE, 100, size_class++));
#endif
}

/* Whether the kernel says `flag` of the mapping around `address`; -1: it says nothing of flags. */
static int has_flag(const char *address, const char *flag)
{
    char line[512];
    unsigned long first, end;
    bool inside = false;
    int answer = -1;
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            inside = first <= (unsigned long)address && (unsigned long)address < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            answer = strstr(line, flag) != NULL;
    }
    if (maps)
        (void)fclose(maps);
    return answer;
}

/* Whatever this machine's setting is: "always" would make each stack 2 MiB. */
Test(stack, no_huge_page_is_ever_made_of_them)
{
    hk_fiber *f = take(2);
    if (has_flag(f->stack_low, "") < 0 || HK_EMULATED)
        cr_skip_test("no flags of mappings here");
    cr_expect_eq(has_flag(f->stack_low, " nh"), 1);
    hk_stack_give(&cache, f);
}

Test(stack, an_address_leads_to_its_fiber)
{
    bool is_guard = true;
    take_many(100);
    hk_fiber *f = stacks[50];
    cr_expect_eq(hk_stack_find(f->stack_low, &is_guard), f);
    cr_expect_not(is_guard);
    cr_expect_eq(hk_stack_find((char *)f - 1, &is_guard), f);
    cr_expect_eq(hk_stack_find(f, &is_guard), f);
    cr_expect_eq(hk_stack_find(f->stack_low - 1, &is_guard), f);
    cr_expect(is_guard);
    cr_expect_eq(hk_stack_find(low_of_guard(f), &is_guard), f);
    cr_expect_null(hk_stack_find(&is_guard, &is_guard));
    cr_expect_null(hk_stack_find(NULL, &is_guard));
    give_many(100);
}

Test(stack, a_slot_never_taken_leads_to_nobody)
{
    bool is_guard;
    hk_fiber *f = take(9); /* the first of a class's first chunk */
    size_t slot = hk_slot_bytes(9);
    cr_expect_null(hk_stack_find((char *)f + slot, &is_guard));
}

Test(stack, the_high_water_mark_is_the_lowest_page_touched)
{
    hk_fiber *f = take(2);
    size_t page = hk_os_page_bytes();
    cr_expect_leq(hk_stack_high_water(f), page);
    ((volatile char *)f)[-5 * (long)page] = 1;
    cr_expect_geq(hk_stack_high_water(f), 5 * page);
    cr_expect_lt(hk_stack_high_water(f), 7 * page);
    hk_stack_give(&cache, f);
}

static void trim_all(void)
{
    for (int i = 0; hk_stack_trim(&cache); i++)
        cr_assert_lt(i, 1000, "trimming must come to an end");
}

Test(stack, trimming_returns_the_pages_below_the_top)
{
    take_many(100);
    for (int i = 0; i < 100; i++)
        *stacks[i]->stack_low = 1;
    cr_expect_gt(hk_stack_high_water(stacks[0]), 32 * 1024);
    give_many(100);
    hk_stack_cache_drain(&cache);
    trim_all();
    for (int i = 0; i < 100; i++)
        cr_expect_leq(hk_stack_high_water(stacks[i]), hk_os_page_bytes());
    take_many(100);
    cr_expect_eq(read_by_kernel(stacks[0]->stack_low), 1);
}

Test(stack, trimmed_to_nothing_they_keep_their_guards_and_can_be_taken_again)
{
    take_many(2000);
    uint64_t slots = stats().slots, live = stats().live;
    for (int i = 0; i < 2000; i++)
        *stacks[i]->stack_low = 1;
    give_many(2000);
    hk_stack_cache_drain(&cache);
    trim_all();
    cr_expect_eq(stats().live, live - 2000);
    take_many(2000);
    cr_expect_eq(stats().slots, slots, "the same slots");
    cr_expect_eq(stats().live, live);
    for (int i = 0; stats().guarded == slots && i < 2000; i += 50)
        cr_expect_eq(read_by_kernel(stacks[i]->stack_low - 1), -EFAULT);
    give_many(2000);
}

static hk_fiber thread_fiber;

static void do_little(hk_fiber *self)
{
    hk_fiber_switch(self, &thread_fiber);
    hk_fiber_leave(self, &thread_fiber);
}

Test(stack, a_suspended_fiber_costs_one_page)
{
    hk_fiber_adopt_thread(&thread_fiber);
    hk_fiber *f = take(2);
    hk_fiber_make(f, do_little);
    hk_fiber_switch(&thread_fiber, f);
    size_t pages = HK_UCONTEXT || HK_ASAN || HK_TSAN ? 3 : 1;
    cr_expect_leq(hk_stack_high_water(f), pages * hk_os_page_bytes());
    hk_fiber_switch(&thread_fiber, f);
    hk_stack_give(&cache, f);
}
