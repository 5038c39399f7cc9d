/* SPDX-License-Identifier: MIT */
/* check_test.c - a broken fact ends the process with a message and the hook's word. */
#include "base/check.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <unistd.h>

#include "base/os.h"

static int evaluated;

static int count(void)
{
    return ++evaluated;
}

Test(check, a_true_fact_costs_nothing_but_itself)
{
    HK_CHECK(count() == 1);
    cr_expect_eq(evaluated, 1);
}

Test(check, a_false_fact_aborts, .signal = SIGABRT)
{
    HK_CHECK(1 + 1 == 3);
}

#ifdef NDEBUG
Test(check, a_debug_fact_is_not_even_evaluated_in_a_release)
{
    HK_DCHECK(count() == 7);
    cr_expect_eq(evaluated, 0);
}
#else
Test(check, a_false_debug_fact_aborts_too, .signal = SIGABRT)
{
    HK_DCHECK(1 + 1 == 3);
}
#endif

/* The hook ends the test well; without it the abort would fail it. */
static void leave(int fd)
{
    (void)hk_os_write(fd, "hook\n", 5);
    _exit(42);
}

Test(check, the_hook_has_the_last_word, .exit_code = 42)
{
    hk_panic_set_hook(leave);
    hk_panic("no %s", "more");
}

static void panic_again(int fd)
{
    hk_panic("again on %d", fd);
}

Test(check, a_panic_in_the_hook_does_not_come_back, .signal = SIGABRT)
{
    hk_panic_set_hook(panic_again);
    hk_panic("once");
}

Test(check, a_message_longer_than_the_line_is_cut, .signal = SIGABRT)
{
    static char text[4096];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = 'x';
    hk_panic("%s", text);
}
