/* SPDX-License-Identifier: MIT */
/* fault_test.c - a plan fails exactly the call it names, and only that one. */
#include "base/fault.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "base/os.h"

#if HK_FAULTS

Test(fault, without_a_plan_nothing_fails)
{
    void *memory = hk_alloc(16);
    cr_expect_not_null(memory);
    hk_free(memory, 16);
    cr_expect_not(hk_fault_hit());
}

Test(fault, only_the_nth_call_of_the_kind_fails)
{
    hk_fault_plan(HK_FAULT_ALLOC, 2, -ENOMEM);
    void *first = hk_alloc(16);
    void *second = hk_alloc_zeroed(16);
    void *third = hk_alloc_aligned(64, 64);
    cr_expect_not_null(first);
    cr_expect_null(second);
    cr_expect_not_null(third);
    cr_expect(hk_fault_hit());
    cr_expect_eq(hk_fault_count(HK_FAULT_ALLOC), 3);
    hk_fault_clear();
    hk_free(first, 16);
    hk_free_aligned(third, 64, 64);
}

static void *open_one(void *ret_fd)
{
    *(int *)ret_fd = hk_os_eventfd();
    return NULL;
}

Test(fault, another_thread_is_left_alone_if_the_plan_is_for_this_one)
{
    int theirs;
    pthread_t thread;
    hk_fault_plan_here(HK_FAULT_EVENTFD, 1, -EMFILE);
    cr_assert_eq(pthread_create(&thread, NULL, open_one, &theirs), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(hk_os_close(theirs), 0);
    cr_expect_not(hk_fault_hit());
    cr_expect_eq(hk_os_eventfd(), -EMFILE);
    cr_expect(hk_fault_hit());
    hk_fault_plan(HK_FAULT_EVENTFD, 1, -EMFILE);
    cr_assert_eq(pthread_create(&thread, NULL, open_one, &theirs), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(theirs, -EMFILE, "forgotten with its plan");
    hk_fault_clear();
}

/* Of a socket that has a byte: what a plan says of it, and what is owed then. */
Test(fault, what_is_not_so_now_is_told_to_who_waits_for_it)
{
    static const int lies[] = {-EAGAIN, 1};
    int fds[2];
    char two[2];
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(hk_os_send(fds[1], "ab", 2), 2);
        hk_fault_plan(HK_FAULT_RECV, 1, lies[i]);
        cr_expect_eq(hk_os_recv(fds[0], two, 2, 0), lies[i]);
        cr_expect_not(hk_fault_owes(fds[0], true), "for output");
        cr_expect_not(hk_fault_owes(fds[1], false), "for another");
        cr_expect(hk_fault_owes(fds[0], false));
        cr_expect_not(hk_fault_owes(fds[0], false), "twice");
        cr_expect_eq(hk_os_recv(fds[0], two, 2, 0), 2 - i);
    }
    hk_fault_plan(HK_FAULT_SEND, 1, 1);
    cr_expect_eq(hk_os_sendv(fds[0], (struct iovec[]){{two, 2}, {two, 2}}, 2), 1);
    cr_expect(hk_fault_owes(fds[0], true));
    hk_fault_plan(HK_FAULT_SEND, 1, -ECONNRESET);
    cr_expect_eq(hk_os_send(fds[0], two, 2), -ECONNRESET);
    cr_expect_not(hk_fault_owes(fds[0], true), "it is no promise");
    hk_fault_plan(HK_FAULT_RECV, 1, -EAGAIN);
    cr_expect_eq(hk_os_recv(fds[1], two, 2, 0), -EAGAIN);
    hk_fault_clear();
    cr_expect_not(hk_fault_owes(fds[1], false), "forgotten with its plan");
    cr_expect_eq(hk_os_close(fds[0]), 0);
    cr_expect_eq(hk_os_close(fds[1]), 0);
}

Test(fault, another_kind_is_left_alone)
{
    hk_fault_plan(HK_FAULT_SOCKET, 1, -EMFILE);
    int fd = hk_os_eventfd();
    cr_expect_geq(fd, 0);
    cr_expect_not(hk_fault_hit());
    hk_fault_clear();
    cr_expect_eq(hk_os_close(fd), 0);
}

Test(fault, the_planned_error_is_what_the_caller_gets)
{
    hk_fault_plan(HK_FAULT_SOCKET, 1, -EMFILE);
    int fds[2] = {-7, -7};
    cr_expect_eq(hk_os_pipe(fds), -EMFILE);
    cr_expect_eq(fds[0], -7, "nothing may be written on failure");
    hk_fault_clear();
    cr_expect_eq(hk_os_pipe(fds), 0);
    cr_expect_eq(hk_os_close(fds[0]), 0);
    cr_expect_eq(hk_os_close(fds[1]), 0);
}

#endif
