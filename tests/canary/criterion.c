/* SPDX-License-Identifier: MIT */
/* criterion.c - a failing assertion must fail the run, or no assertion does. */
#include <criterion/criterion.h>

Test(canary, a_false_assertion_fails)
{
    cr_assert(false);
}
