/* SPDX-License-Identifier: MIT */
/* overflow_test.c - the last words of a process whose fiber ran out of stack.
 *
 * Each death happens in a child, which writes to a pipe instead of its standard error. */
#include <criterion/criterion.h>
#include <errno.h>
#include <hank.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/os.h"
#include "fiber/stack.h"

enum { PREVIOUS_WAS_HERE = 7, PAINT = 0xa5 };

#if HK_ASAN
/* We want to see the signal itself. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0";
}
#endif

static hk_fiber thread_fiber;
static char said[4096];

static void describe(hk_fiber *f, int fd)
{
    const char *name = f->owner;
    (void)hk_os_write(fd, "task ", 5);
    (void)hk_os_write(fd, name, strlen(name));
}

/* Run `scene` in a child, collect what it says; its wait status. */
static int watch(void (*scene)(void))
{
    int fds[2], status = -1;
    size_t length = 0;
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(fds[1], 2);
        scene();
        _exit(0);
    }
    (void)close(fds[1]);
    for (ssize_t n; length < sizeof said - 1; length += (size_t)n)
        if ((n = read(fds[0], said + length, sizeof said - 1 - length)) <= 0)
            break;
    said[length] = '\0';
    (void)close(fds[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

static bool killed_by(int status, int signo)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == signo;
}

static void run_on_fiber(hk_fiber_entry *entry)
{
    hk_fiber *f = NULL;
    hk_fiber_adopt_thread(&thread_fiber);
    if (hk_stack_take(NULL, hk_stack_class(HK_STACK_DEFAULT), &f) < 0)
        _exit(99);
    f->owner = (void *)(uintptr_t) "Gilgamesh";
    hk_fiber_make(f, entry);
    hk_fiber_switch(&thread_fiber, f);
}

static volatile int sink;

/* Frames that are where the stack pointer is: AddressSanitizer would keep them elsewhere. */
#define REAL_FRAME __attribute__((noinline, no_sanitize("address")))

static int REAL_FRAME recurse(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    sink = depth;
    return sink < 0 ? 0 : recurse(depth + 1) + frame[0]; /* never, but gcc need not know */
}

static void recurse_for_ever(hk_fiber *self)
{
    (void)recurse(0);
    hk_fiber_leave(self, &thread_fiber);
}

/* One frame of 40 KiB, of which only the low end is touched, from near the end of the stack. To
 * prove anything this file must be compiled without -fstack-clash-protection. */
static void REAL_FRAME jump(void)
{
    volatile char frame[40 * 1024];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it is wanted */
    frame[0] = 1;
    sink = frame[0];
}

static void REAL_FRAME jump_from_low(hk_fiber *self)
{
    volatile char frame[256];
    frame[0] = 1;
    if (hk_fiber_headroom(self) > 4096)
        jump_from_low(self);
    else
        jump();
    sink = frame[0];
}

static void jump_over(hk_fiber *self)
{
    jump_from_low(self);
    hk_fiber_leave(self, &thread_fiber);
}

static void watch_or_exit(void)
{
    if (hk_stack_watch_overflow(describe) < 0)
        _exit(98);
}

static void overflow_by_recursion(void)
{
    watch_or_exit();
    run_on_fiber(recurse_for_ever);
}

Test(overflow, names_the_task_and_dies_of_the_fault)
{
    int status = watch(overflow_by_recursion);
    cr_expect(killed_by(status, SIGSEGV), "status %x", status);
    cr_expect_not_null(strstr(said, "hank: stack overflow: 0x"), "%s", said);
    cr_expect_not_null(strstr(said, "task Gilgamesh"), "%s", said);
}

static void overflow_by_jump(void)
{
    watch_or_exit();
    run_on_fiber(jump_over);
}

Test(overflow, a_frame_of_40_kib_does_not_jump_the_guard)
{
    int status = watch(overflow_by_jump);
    cr_expect(killed_by(status, SIGSEGV), "status %x", status);
    cr_expect_not_null(strstr(said, "task Gilgamesh"), "%s", said);
}

static void *overflow_on_thread(void *unused)
{
    if (hk_stack_thread_enter() < 0)
        _exit(97);
    run_on_fiber(recurse_for_ever);
    return unused;
}

static void overflow_elsewhere(void)
{
    pthread_t thread;
    watch_or_exit();
    if (pthread_create(&thread, NULL, overflow_on_thread, NULL) == 0)
        (void)pthread_join(thread, NULL);
}

Test(overflow, is_caught_on_every_thread_that_entered)
{
    int status = watch(overflow_elsewhere);
    cr_expect(killed_by(status, SIGSEGV), "status %x", status);
    cr_expect_not_null(strstr(said, "task Gilgamesh"), "%s", said);
}

static void previous(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    _exit(info->si_addr ? PREVIOUS_WAS_HERE : 96);
}

static void overflow_with_a_handler_before_ours(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = previous;
    (void)sigaction(SIGSEGV, &action, NULL);
    overflow_by_recursion();
}

Test(overflow, the_handler_that_was_there_before_gets_the_signal)
{
    int status = watch(overflow_with_a_handler_before_ours);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == PREVIOUS_WAS_HERE, "status %x", status);
    cr_expect_not_null(strstr(said, "task Gilgamesh"), "%s", said);
}

static stack_t painted;

static void half_of_it_is_left(int signo, siginfo_t *info, void *context)
{
    const unsigned char *low = painted.ss_sp;
    size_t untouched = 0;
    (void)signo, (void)info, (void)context;
    while (untouched < painted.ss_size && low[untouched] == PAINT)
        untouched++;
    _exit(untouched >= painted.ss_size / 2 ? PREVIOUS_WAS_HERE : 95);
}

static int paint_and_overflow(void *arg)
{
    (void)arg;
    if (sigaltstack(NULL, &painted) < 0 || painted.ss_flags & SS_DISABLE)
        return 94;
    memset(painted.ss_sp, PAINT, painted.ss_size);
    return recurse(0);
}

static void overflow_in_a_task(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = half_of_it_is_left;
    (void)sigaction(SIGSEGV, &action, NULL);
    _exit(hank_run_with(paint_and_overflow, NULL, .workers = 1));
}

/* All that a program says when a task of it overflows, and its own handler after that. */
Test(overflow, leaves_half_of_the_alternate_stack_untouched)
{
    int status = watch(overflow_in_a_task);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == PREVIOUS_WAS_HERE, "status %x", status);
    cr_expect_not_null(strstr(said, "hank: stack overflow: 0x"), "%s", said);
}

static char *volatile nowhere = (char *)8;

static void fault_elsewhere(void)
{
    watch_or_exit();
    *nowhere = 1;
}

Test(overflow, another_fault_is_none_of_our_business)
{
    int status = watch(fault_elsewhere);
    cr_expect(killed_by(status, SIGSEGV), "status %x", status);
    cr_expect_null(strstr(said, "hank"), "%s", said);
}

static void sent_by_kill(void)
{
    watch_or_exit();
    (void)kill(getpid(), SIGSEGV);
    (void)pause();
}

Test(overflow, a_signal_that_was_sent_still_kills)
{
    int status = watch(sent_by_kill);
    cr_expect(killed_by(status, SIGSEGV), "status %x", status);
}

static stack_t current_alternate(void)
{
    stack_t now;
    cr_assert_eq(sigaltstack(NULL, &now), 0);
    return now;
}

Test(overflow, entering_gives_a_big_alternate_stack_and_leaving_takes_it_back)
{
    char mine[16 * 1024];
    stack_t before = {.ss_sp = mine, .ss_size = sizeof mine};
    cr_assert_eq(sigaltstack(&before, NULL), 0);
    cr_assert_eq(hk_stack_thread_enter(), 0);
    cr_assert_eq(hk_stack_thread_enter(), 0, "twice");
    cr_expect_geq(current_alternate().ss_size, 64 * 1024);
    hk_stack_thread_leave();
    cr_expect_geq(current_alternate().ss_size, 64 * 1024, "still entered once");
    hk_stack_thread_leave();
    cr_expect_eq(current_alternate().ss_sp, before.ss_sp);
    stack_t none = {.ss_flags = SS_DISABLE};
    cr_assert_eq(sigaltstack(&none, NULL), 0);
}

Test(overflow, without_memory_nothing_is_entered)
{
#if HK_FAULTS
    stack_t small = {.ss_flags = SS_DISABLE};
    cr_assert_eq(sigaltstack(&small, NULL), 0);
    hk_fault_plan(HK_FAULT_MAP, 1, -ENOMEM);
    cr_expect_eq(hk_stack_thread_enter(), -ENOMEM);
    hk_fault_plan(HK_FAULT_PROTECT, 1, -ENOMEM);
    cr_expect_eq(hk_stack_watch_overflow(describe), -ENOMEM);
    hk_fault_clear();
    cr_expect(current_alternate().ss_flags & SS_DISABLE);
    cr_expect_eq(hk_stack_watch_overflow(describe), 0);
    cr_expect_not(current_alternate().ss_flags & SS_DISABLE);
#endif
}
