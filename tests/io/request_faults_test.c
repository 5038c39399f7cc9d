/* SPDX-License-Identifier: MIT */
/* request_faults_test.c - calls that the kernel makes, when one fails, when the ring does, and when
 * there is none: what a caller is told is what the pool would have said. */
#include "request_support.h"

#include "base/fault.h"

#if HK_FAULTS
/* Everything once; the first failure, but for the length: what a short call leaves is made up. */
static int use_a_file(void *arg)
{
    hank_file *f;
    struct stat about;
    char buf[16];
    (void)arg;
    int rc = make_file(0, &f);
    if (rc < 0)
        return rc;
    rc = hank_pwrite(f, "0123456789", 10, 0);
    ssize_t n = rc < 0 ? rc : hank_pread(f, buf, sizeof buf, 0);
    if (n >= 0 && (n != 10 || memcmp(buf, "0123456789", 10) != 0))
        n = -EPROTO;
    if (n >= 0)
        n = hank_fsync(f, true);
    if (n >= 0)
        n = hank_file_stat(f, &about);
    if (n >= 0)
        n = hank_stat("/dev/null", &about);
    hank_file_close(f);
    return (int)n;
}

static int run_with_fault(hank_fn fn, hank_reactor reactor, hk_fault kind, uint64_t nth, int error)
{
    hk_fault_plan(kind, nth, error);
    return hank_run_with(fn, NULL, .workers = 1, .reactor = reactor);
}

WITH_EACH_RING(are_told_as_the_pool_tells_them)
{
    static const hk_fault kinds[] = {HK_FAULT_OPEN, HK_FAULT_FILE_READ, HK_FAULT_FILE_WRITE,
                                     HK_FAULT_SYNC, HK_FAULT_STAT};
    static const int errors[] = {-EIO, -EAGAIN, -ECANCELED, -ENOSPC, 1, 9};
    enum { NTHS = 3, ERRORS = sizeof errors / sizeof *errors, ALL = 5 * ERRORS * NTHS };
    for (int i = 0; i < ALL; i++) {
        hk_fault kind = kinds[i / NTHS / ERRORS];
        int error = errors[i / NTHS % ERRORS], nth = 1 + i % NTHS;
        int by_pool = run_with_fault(use_a_file, HANK_EPOLL, kind, (uint64_t)nth, error);
        int by_kernel = run_with_fault(use_a_file, reactor, kind, (uint64_t)nth, error);
        cr_expect_eq(by_pool, by_kernel,
                     "kind %d, call %d, error %d: %d by the pool, %d by the kernel", (int)kind, nth,
                     error, by_pool, by_kernel);
    }
    hk_fault_clear();
}

WITH_EACH_RING(that_are_interruptions_are_made_again)
{
    static const hk_fault kinds[] = {HK_FAULT_OPEN, HK_FAULT_FILE_READ, HK_FAULT_FILE_WRITE,
                                     HK_FAULT_SYNC};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        cr_expect_eq(run_with_fault(use_a_file, reactor, kinds[k], 1, -EINTR), 0);
        cr_expect(hk_fault_hit());
    }
    hk_fault_clear();
}

/* Also the second half of a read that reaches the end of the file. */
WITH_EACH_RING(of_taking_a_call_leave_it_to_the_pool)
{
    bool more = true;
    for (uint64_t nth = 1; more; nth++) {
        cr_assert_leq(nth, 20);
        cr_expect_eq(run_with_fault(use_a_file, reactor, HK_FAULT_URING_REQUEST, nth, -EAGAIN), 0);
        more = hk_fault_hit();
    }
    hk_fault_clear();
}

static int have_only_the_pool(void *arg)
{
    char path[100];
    (void)arg;
    MUST_OK(use_each_call(path_of(path, "refused")));
    MUST(unlink(path) == 0);
    MUST(open_rings() == 0 && has_pool());
    return 0;
}

Test(faults, of_a_ring_that_nobody_has_asked_for_are_told_to_nobody, .timeout = 60)
{
    static const int errors[] = {-ENOSYS, -EPERM, -ENOMEM, -EMFILE, -EINVAL};
    skip_without(HANK_URING);
    (void)unsetenv("HANK_REACTOR");
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        cr_expect_eq(
            run_with_fault(have_only_the_pool, HANK_AUTO, HK_FAULT_URING_SETUP, 1, errors[e]), 0);
        cr_expect(hk_fault_hit());
    }
    hk_fault_clear();
}

Test(faults, do_not_come_from_a_ring_where_epoll_was_asked_for, .timeout = 60)
{
    cr_expect_eq(run_with_fault(have_only_the_pool, HANK_EPOLL, HK_FAULT_URING_SETUP, 1, -EPERM),
                 0);
    cr_expect_not(hk_fault_hit());
    cr_assert_eq(setenv("HANK_REACTOR", "epoll", 1), 0);
    cr_expect_eq(run_with_fault(have_only_the_pool, HANK_AUTO, HK_FAULT_URING_SETUP, 1, -EPERM), 0);
    cr_expect_not(hk_fault_hit());
    hk_fault_clear();
}

static int use_files_at_once(void *arg)
{
    enum { TASKS = 12 };
    hank_task tasks[TASKS];
    (void)arg;
    for (int i = 0; i < TASKS; i++)
        tasks[i] = hank_spawn(use_a_file, NULL);
    return hank_gather_n(tasks, TASKS, NULL);
}

WITH_EACH_RING(of_the_way_into_the_kernel_are_survived)
{
    static const int errors[] = {-EINTR, -EAGAIN, -EBUSY, -ENOMEM};
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++)
        for (uint64_t nth = 1; nth <= 12; nth++) {
            hk_fault_plan(HK_FAULT_URING_ENTER, nth, errors[e]);
            cr_expect_eq(hank_run_with(use_files_at_once, NULL, .workers = 2, .reactor = reactor),
                         0);
        }
    hk_fault_clear();
}

WITH_EACH_RING(of_memory_are_told_and_nothing_is_left)
{
    bool more = true;
    cr_assert_eq(hank_run_with(use_files_at_once, NULL, .workers = 2, .reactor = reactor), 0);
    int before = lasting_fds();
    for (uint64_t nth = 1; more && nth < 200; nth++) {
        hk_fault_plan(HK_FAULT_ALLOC, nth, -ENOMEM);
        int rc = hank_run_with(use_files_at_once, NULL, .workers = 2, .reactor = reactor);
        more = hk_fault_hit();
        cr_expect(rc == 0 || rc == -ENOMEM, "%d", rc);
    }
    hk_fault_clear();
    cr_expect_leq(lasting_fds(), before);
}
#endif
