/* SPDX-License-Identifier: MIT */
/* fiber_switch.c - what a bare switch between two stacks costs, in the shapes that differ.
 *
 *   two loops         two functions that do nothing but switch to each other
 *   four returns      the same, but each switch is four calls deep, and returns through them
 *   other returns     the same, but the two go through different functions
 *   ring of n         n fibers in turn: what fills the caches
 *
 * The least of many short rounds, because on a shared machine all others tell of the neighbours.
 * docs/decisions/0001-leaving-a-switch.md discusses the results. */
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"
#include "base/os.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"

enum { ROUNDS = 60, RING_MAX = 4096 };
enum { SWITCHES = HK_UCONTEXT ? 10 * 1000 : 300 * 1000 };

/* The asm keeps the call from becoming a jump; its text keeps the functions from being one. */
#define PASS_ON(name, next, text)                                                                  \
    __attribute__((noinline)) static void name(hk_fiber *from, hk_fiber *to)                       \
    {                                                                                              \
        next(from, to);                                                                            \
        __asm__ volatile(text ::: "memory");                                                       \
    }

PASS_ON(deep, hk_fiber_switch, "")
PASS_ON(deep2, deep, "")
PASS_ON(deep3, deep2, "")
PASS_ON(deep4, deep3, "")
PASS_ON(other, hk_fiber_switch, "nop")
PASS_ON(other2, other, "nop")
PASS_ON(other3, other2, "nop")
PASS_ON(other4, other3, "nop")

static hk_fiber thread_fiber;
static hk_fiber *ring[RING_MAX];
static long left;
static uintptr_t ring_size;

#define SWITCH_ALONG(name, by, to)                                                                 \
    static void name(hk_fiber *self)                                                               \
    {                                                                                              \
        while (left-- > 0)                                                                         \
            by(self, to);                                                                          \
        hk_fiber_leave(self, &thread_fiber);                                                       \
    }

SWITCH_ALONG(loop_0, hk_fiber_switch, ring[1])
SWITCH_ALONG(loop_1, hk_fiber_switch, ring[0])
SWITCH_ALONG(four_0, deep4, ring[1])
SWITCH_ALONG(four_1, deep4, ring[0])
SWITCH_ALONG(other_1, other4, ring[0])

static void round_robin(hk_fiber *self)
{
    uintptr_t next = ((uintptr_t)self->owner + 1) % ring_size;
    while (left-- > 0)
        hk_fiber_switch(self, ring[next]);
    hk_fiber_leave(self, &thread_fiber);
}

static double measure(hk_fiber_entry *even, hk_fiber_entry *odd, uintptr_t size)
{
    double least = 1e9;
    ring_size = size;
    for (int round = 0; round < ROUNDS; round++) {
        for (uintptr_t i = 0; i < size; i++) {
            ring[i]->owner = (void *)i;
            hk_fiber_make(ring[i], i % 2 ? odd : even);
        }
        left = SWITCHES;
        int64_t start = hk_os_now();
        hk_fiber_switch(&thread_fiber, ring[0]);
        double ns = (double)(hk_os_now() - start) / SWITCHES;
        least = ns < least ? ns : least;
    }
    return least;
}

int main(void)
{
    hk_fiber_adopt_thread(&thread_fiber);
    for (int i = 0; i < RING_MAX; i++)
        HK_CHECK(hk_stack_take(NULL, hk_stack_class(HK_STACK_DEFAULT), &ring[i]) == 0);
    printf("two loops      %6.1f ns\n", measure(loop_0, loop_1, 2));
    printf("four returns   %6.1f ns\n", measure(four_0, four_1, 2));
    printf("other returns  %6.1f ns\n", measure(four_0, other_1, 2));
    for (uintptr_t n = 8; n <= RING_MAX; n *= 8)
        printf("ring of %-5lu  %6.1f ns\n", (unsigned long)n, measure(round_robin, round_robin, n));
    return 0;
}
