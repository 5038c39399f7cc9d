/* SPDX-License-Identifier: MIT */
/* become.h - being another user for a while: what root may do, others may not. */
#ifndef HK_TESTS_BECOME_H
#define HK_TESTS_BECOME_H

#include <criterion/criterion.h>

#include <sys/prctl.h>
#include <unistd.h>

/* Not the same one in two processes: what is on its way is counted by user. */
static inline uid_t somebody_else(void)
{
    return (uid_t)(60000 + getpid() % 5000);
}

static inline void need_root(void)
{
    if (geteuid() != 0)
        cr_skip_test("only root can become somebody else");
}

/* All threads of the process at once. */
static inline int become(uid_t user)
{
    int rc = setresuid(user, user, 0);
    (void)prctl(PR_SET_DUMPABLE, 1); /* or a sanitizer could not look for leaks */
    return rc;
}

#endif
