/* SPDX-License-Identifier: MIT */
/* error_test.c - every result has words, and they are the right kind of words. */
#include "base/error.h"

#include <criterion/criterion.h>
#include <hank/base.h>

#include <limits.h>
#include <netdb.h>
#include <string.h>

Test(error, success_and_counts_are_success)
{
    cr_assert_str_eq(hank_strerror(0), "success");
    cr_assert_str_eq(hank_strerror(42), "success");
    cr_assert_str_eq(hank_strerror(INT_MAX), "success");
}

Test(error, an_errno_has_the_systems_words)
{
    cr_assert_str_eq(hank_strerror(-ECONNREFUSED), strerrordesc_np(ECONNREFUSED));
}

Test(error, an_errno_with_a_meaning_of_hanks_own_has_hanks_words)
{
    cr_assert(strstr(hank_strerror(-ESTALE), "task handle") != NULL);
    cr_assert(strstr(hank_strerror(-EPIPE), "other end") != NULL);
}

Test(error, a_failed_lookup_is_below_every_errno_and_has_words)
{
    int rc = hk_error_of_resolver(EAI_NONAME);
    cr_assert_lt(rc, -4095);
    cr_assert_str_eq(hank_strerror(rc), "no such host");
    cr_assert_eq(hk_error_of_resolver(0), 0);
}

Test(error, a_stranger_is_an_unknown_error)
{
    cr_assert_str_eq(hank_strerror(-4000), "unknown error");
    cr_assert_str_eq(hank_strerror(INT_MIN), "name lookup failed");
}
