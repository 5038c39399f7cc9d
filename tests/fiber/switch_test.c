/* SPDX-License-Identifier: MIT */
/* switch_test.c - what a fiber finds again when it is gone back to. */
#include "fiber/fiber.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <stdint.h>

#include "fiber/stack.h"

enum { SWITCHES = 1000 * 1000 };

static hk_fiber thread_fiber;
static hk_fiber *first, *second;
static int steps[8];
static int step_count;

static void note(int step)
{
    steps[step_count++] = step;
}

static hk_fiber *take(void)
{
    hk_fiber *f = NULL;
    cr_assert_eq(hk_stack_take(NULL, hk_stack_class(HK_STACK_DEFAULT), &f), 0);
    return f;
}

static void setup(void)
{
    hk_fiber_adopt_thread(&thread_fiber);
    first = take();
    second = take();
}

static void teardown(void)
{
    hk_stack_give(NULL, first);
    hk_stack_give(NULL, second);
    hk_fiber_forget_thread(&thread_fiber);
}

TestSuite(fiber_switch, .init = setup, .fini = teardown);

static void note_twice(hk_fiber *self)
{
    note(1);
    hk_fiber_switch(self, &thread_fiber);
    note(3);
    hk_fiber_leave(self, &thread_fiber);
}

Test(fiber_switch, goes_on_where_it_left_off)
{
    hk_fiber_make(first, note_twice);
    note(0);
    hk_fiber_switch(&thread_fiber, first);
    note(2);
    hk_fiber_switch(&thread_fiber, first);
    note(4);
    for (int i = 0; i < 5; i++)
        cr_expect_eq(steps[i], i);
    cr_expect_eq(step_count, 5);
}

/* More values than there are registers to keep them in, and none that the compiler can know. */
static bool __attribute__((noinline)) survives(hk_fiber *self, hk_fiber *other, uint64_t seed)
{
    uint64_t n[14];
    double d[10];
    for (unsigned i = 0; i < 14; i++)
        n[i] = seed * (i + 3);
    for (unsigned i = 0; i < 10; i++)
        d[i] = (double)seed / (i + 3);
    uint64_t a = n[0], b = n[1], c = n[2], e = n[3], f = n[4], g = n[5], h = n[6];
    double x = d[0], y = d[1], z = d[2], w = d[3];
    hk_fiber_switch(self, other);
    bool same = a == n[0] && b == n[1] && c == n[2] && e == n[3] && f == n[4] && g == n[5] &&
                h == n[6] && x == d[0] && y == d[1] && z == d[2] && w == d[3];
    for (unsigned i = 0; i < 14; i++)
        same = same && n[i] == seed * (i + 3);
    for (unsigned i = 0; i < 10; i++)
        same = same && d[i] == (double)seed / (i + 3);
    return same;
}

static int broken;

static void survive_first(hk_fiber *self)
{
    for (uint64_t i = 1; i < 1000; i++)
        broken += !survives(self, second, i);
    hk_fiber_leave(self, &thread_fiber);
}

static void survive_second(hk_fiber *self)
{
    for (uint64_t i = 1; i < 1000; i++)
        broken += !survives(self, first, ~i);
    hk_fiber_leave(self, &thread_fiber);
}

Test(fiber_switch, values_in_registers_survive)
{
    hk_fiber_make(first, survive_first);
    hk_fiber_make(second, survive_second);
    hk_fiber_switch(&thread_fiber, first);
    cr_expect_eq(broken, 0);
}

static int counter; /* its address is taken nowhere: a compiler may think nobody else changes it */

static void count_first(hk_fiber *self)
{
    while (counter < SWITCHES) {
        counter++;
        hk_fiber_switch(self, second);
    }
    hk_fiber_leave(self, &thread_fiber);
}

static void count_second(hk_fiber *self)
{
    while (counter < SWITCHES) {
        counter++;
        hk_fiber_switch(self, first);
    }
    hk_fiber_leave(self, &thread_fiber);
}

Test(fiber_switch, a_million_switches_share_one_static_variable)
{
    hk_fiber_make(first, count_first);
    hk_fiber_make(second, count_second);
    hk_fiber_switch(&thread_fiber, first);
    cr_expect_eq(counter, SWITCHES);
}

static int error_seen[3];

static void keep_errno(hk_fiber *self)
{
    error_seen[0] = errno;
    errno = EDOM;
    hk_fiber_switch(self, &thread_fiber);
    error_seen[1] = errno;
    hk_fiber_leave(self, &thread_fiber);
}

Test(fiber_switch, errno_stays_with_its_fiber)
{
    hk_fiber_make(first, keep_errno);
    errno = ERANGE;
    hk_fiber_switch(&thread_fiber, first);
    cr_expect_eq(errno, ERANGE);
    errno = EILSEQ;
    hk_fiber_switch(&thread_fiber, first);
    cr_expect_eq(errno, EILSEQ);
    cr_expect_eq(error_seen[0], 0, "a fresh fiber has no error");
    cr_expect_eq(error_seen[1], EDOM);
}

static int rounding_seen[2];
static volatile double one = 1, three = 3;

static void keep_rounding(hk_fiber *self)
{
    rounding_seen[0] = fegetround();
    (void)fesetround(FE_DOWNWARD);
    hk_fiber_switch(self, &thread_fiber);
    rounding_seen[1] = fegetround();
    hk_fiber_leave(self, &thread_fiber);
}

Test(fiber_switch, floating_point_control_stays_with_its_fiber)
{
    hk_fiber_make(first, keep_rounding);
    (void)fesetround(FE_UPWARD);
    double up = one / three;
    hk_fiber_switch(&thread_fiber, first);
    cr_expect_eq(fegetround(), FE_UPWARD);
    cr_expect(one / three == up, "the unit that divides must agree with the register");
    (void)fesetround(FE_TOWARDZERO);
    hk_fiber_switch(&thread_fiber, first);
    cr_expect_eq(fegetround(), FE_TOWARDZERO);
    cr_expect_eq(rounding_seen[0], FE_TONEAREST, "a fresh fiber has the default");
    cr_expect_eq(rounding_seen[1], FE_DOWNWARD);
    (void)fesetround(FE_TONEAREST);
}

static uintptr_t frame_seen;
static hk_fiber *self_seen;
static size_t headroom_seen;

static void look_around(hk_fiber *self)
{
    _Alignas(16) char aligned[16];
    __asm__ volatile("" : : "r"(aligned) : "memory");
    frame_seen = (uintptr_t)aligned;
    self_seen = self;
    headroom_seen = hk_fiber_headroom(self);
    hk_fiber_leave(self, &thread_fiber);
}

Test(fiber_switch, a_fresh_frame_is_aligned_and_gets_its_fiber)
{
    hk_fiber_make(first, look_around);
    hk_fiber_switch(&thread_fiber, first);
    cr_expect_eq(frame_seen % 16, 0);
    cr_expect_eq(self_seen, first);
}

Test(fiber_switch, a_fresh_frame_has_nearly_the_whole_stack_left)
{
    hk_fiber_make(first, look_around);
    hk_fiber_switch(&thread_fiber, first);
    cr_expect_lt(headroom_seen, first->stack_bytes);
    cr_expect_gt(headroom_seen, first->stack_bytes - 8 * 1024); /* ucontext's own is large */
}

static void leave_at_once(hk_fiber *self)
{
    hk_fiber_leave(self, &thread_fiber);
}

Test(fiber_switch, a_fiber_that_was_left_can_be_made_anew)
{
    for (int i = 0; i < 5000; i++) {
        hk_fiber_make(first, i % 2 ? leave_at_once : look_around);
        self_seen = NULL;
        hk_fiber_switch(&thread_fiber, first);
        cr_assert_eq(self_seen, i % 2 ? NULL : first);
    }
}

/* A fiber that starts on one thread and ends on another, by way of their joins and starts. */
static hk_fiber other_thread;
static hk_fiber *back_to;
static pthread_t threads_seen[2];

/* Not inlined: a compiler may remember who we were before the switch. */
static pthread_t __attribute__((noinline)) who_runs(void)
{
    __asm__ volatile("" ::: "memory");
    return pthread_self();
}

static void wander(hk_fiber *self)
{
    threads_seen[0] = who_runs();
    errno = EDOM;
    hk_fiber_switch(self, back_to);
    threads_seen[1] = who_runs();
    hk_fiber_leave(self, back_to);
}

static void *go_on_here(void *unused)
{
    hk_fiber_adopt_thread(&other_thread);
    back_to = &other_thread;
    errno = ERANGE;
    hk_fiber_switch(&other_thread, first);
    int mine = errno;
    hk_fiber_forget_thread(&other_thread);
    (void)unused;
    return (void *)(intptr_t)mine;
}

Test(fiber_switch, a_fiber_goes_on_on_another_thread)
{
    pthread_t thread;
    void *error = NULL;
    back_to = &thread_fiber;
    hk_fiber_make(first, wander);
    hk_fiber_switch(&thread_fiber, first);
    cr_assert_eq(pthread_create(&thread, NULL, go_on_here, NULL), 0);
    cr_assert_eq(pthread_join(thread, &error), 0);
    cr_expect(pthread_equal(threads_seen[0], pthread_self()));
    cr_expect(pthread_equal(threads_seen[1], thread));
    cr_expect_eq((intptr_t)error, ERANGE, "the thread's own errno came back with it");
}
