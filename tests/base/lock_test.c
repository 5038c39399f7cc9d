/* SPDX-License-Identifier: MIT */
/* lock_test.c - one holder at a time, and ranks only rise. */
#include "base/lock.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "base/os.h"

enum { THREADS = 4, ROUNDS = 20 * 1000 };

static hk_lock guard;
static long counter; /* guarded by guard */

static void *count(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        hk_lock_take(&guard, HK_RANK_SYNC);
        counter++;
        hk_lock_drop(&guard);
    }
    return arg;
}

Test(lock, nothing_is_lost_between_threads)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(hk_os_thread_start(&threads[i], count, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(hk_os_thread_join(threads[i]), 0);
    cr_expect_eq(counter, (long)THREADS * ROUNDS);
}

Test(lock, trying_fails_while_it_is_held_and_works_after)
{
    hk_lock other = {0};
    cr_expect(hk_lock_try(&other, HK_RANK_SYNC));
    cr_expect_not(hk_lock_try(&other, HK_RANK_GROUP));
    hk_lock_drop(&other);
    cr_expect(hk_lock_try(&other, HK_RANK_SYNC));
    hk_lock_drop(&other);
}

Test(lock, rising_ranks_may_be_dropped_in_any_order)
{
    hk_lock low = {0}, high = {0};
    hk_lock_take(&low, HK_RANK_RUNTIME);
    hk_lock_take(&high, HK_RANK_STACK);
    hk_lock_drop(&low);
    hk_lock_drop(&high);
    hk_lock_take(&low, HK_RANK_RUNTIME);
    hk_lock_drop(&low);
}

#ifndef NDEBUG
Test(lock, a_falling_rank_panics, .signal = SIGABRT)
{
    hk_lock low = {0}, high = {0};
    hk_lock_take(&high, HK_RANK_STACK);
    hk_lock_take(&low, HK_RANK_RUNTIME);
}

Test(lock, two_of_one_rank_panic, .signal = SIGABRT)
{
    hk_lock one = {0}, other = {0};
    hk_lock_take(&one, HK_RANK_SYNC);
    hk_lock_take(&other, HK_RANK_SYNC);
}

Test(lock, dropping_what_is_not_held_panics, .signal = SIGABRT)
{
    hk_lock one = {0};
    hk_lock_drop(&one);
}
#endif
