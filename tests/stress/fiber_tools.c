/* SPDX-License-Identifier: MIT */
/* fiber_tools.c - what sanitizers have to be told of fibers, done so often that they would run out
 * of whatever they keep of one: fibers that never ran, that are left for ever in the middle of
 * calls, that switch to and fro. Without them it is nothing but quick; tests/mutants.txt takes the
 * tellings out one by one. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/stack.h"
#include "stress/proc.h"

enum {
    UNBORN = 600,          /* at a time: more than are kept when idle */
    ROUNDS = 20,           /* of those */
    LIVES = 40 * 1000,     /* times the calls that each leaves, more than its stack of them holds */
    SWITCHES = 100 * 1000, /* the same */
    FRAMES = 1000,         /* that AddressSanitizer has made a fake stack for */
    GROWTH_KIB_MAX = 64 * 1024,
};

static hk_fiber thread_fiber;

static hk_fiber *take(void)
{
    hk_fiber *f = NULL;
    HK_CHECK(hk_stack_take(NULL, hk_stack_class(HK_STACK_DEFAULT), &f) == 0);
    return f;
}

static HK_NORETURN void never(hk_fiber *self)
{
    hk_panic("%p was not to run", (void *)self);
}

/* Fibers that are given up, and their stacks with them, before they ran. */
static void forget_some(void)
{
    static hk_fiber *fibers[UNBORN];
    for (int i = 0; i < UNBORN; i++)
        hk_fiber_make(fibers[i] = take(), never);
    for (int i = 0; i < UNBORN; i++)
        hk_stack_give(NULL, fibers[i]);
    while (hk_stack_trim(NULL))
        continue;
}

static HK_NOINLINE void leave(hk_fiber *self)
{
    hk_fiber_leave(self, &thread_fiber);
}

static HK_NOINLINE void leave_within(hk_fiber *self)
{
    leave(self);
}

static HK_NOINLINE void leave_in_the_middle(hk_fiber *self)
{
    leave_within(self);
}

static long written;

/* What the maker of a fiber wrote before the first switch to it is read there. */
static void read_what_was_written(hk_fiber *self)
{
    HK_CHECK(*(long *)self->owner == written);
    leave_in_the_middle(self);
}

/* One stack, and many lives on it. */
static void live_often(hk_fiber *f)
{
    f->owner = &written;
    for (int i = 0; i < LIVES; i++) {
        hk_fiber_make(f, i % 2 == 0 ? leave_in_the_middle : read_what_was_written);
        written++; /* the life before this one is over: who makes a fiber anew sees that */
        hk_fiber_switch(&thread_fiber, f);
    }
}

static void return_for_ever(hk_fiber *self)
{
    for (;;)
        hk_fiber_switch(self, &thread_fiber);
}

static void go_to_and_fro(hk_fiber *f)
{
    hk_fiber_make(f, return_for_ever);
    for (int i = 0; i < SWITCHES; i++)
        hk_fiber_switch(&thread_fiber, f);
}

/* A frame whose end AddressSanitizer watches. */
static void leave_a_frame(hk_fiber *self)
{
    char frame[64];
    __asm__ volatile("" : : "r"(frame) : "memory");
    hk_fiber_leave(self, &thread_fiber);
}

static long address_space(void)
{
    return read_proc_kib("/proc/self/status", "VmSize:");
}

/* Of memory that nobody gives back. */
static bool is_growing(long since, const char *by)
{
    long grown = address_space() - since;
    printf("%s: %ld KiB more of addresses\n", by, grown);
    return grown > GROWTH_KIB_MAX;
}

static void leave_frames(hk_fiber *f)
{
    for (int i = 0; i < FRAMES; i++) {
        hk_fiber_make(f, leave_a_frame);
        hk_fiber_switch(&thread_fiber, f);
    }
}

/* Only this fiber's stack leads to what it holds, when the program ends. */
static void hold(hk_fiber *self)
{
    char *held = malloc(100);
    HK_CHECK(held != NULL);
    __asm__ volatile("" : : "r"(held) : "memory");
    hk_fiber_switch(self, &thread_fiber);
    free(held);
}

int main(void)
{
    hk_fiber_adopt_thread(&thread_fiber);
    forget_some(); /* the tools, too, get what they keep */
    long before = address_space();
    for (int i = 0; i < ROUNDS; i++)
        forget_some();
    bool fine = !is_growing(before, "fibers that never ran");
    hk_fiber *f = take();
    live_often(f);
    go_to_and_fro(f);
    before = address_space();
    leave_frames(f);
    fine = !is_growing(before, "frames left for ever") && fine;
    hk_fiber_make(f, hold);
    hk_fiber_switch(&thread_fiber, f);
    return fine ? 0 : 1;
}
