/* SPDX-License-Identifier: MIT */
/* batch_test.c - sends that go to the kernel together: each has its own result, none is lost. */
#include "reactor_support.h"

#include "reactor/uring.h"

ON_URING(a_batch_of_sends_is_one_system_call_and_each_has_its_own_result)
{
    enum { SENDS = 100 };
    static hk_sleeper sleepers[SENDS];
    static hk_send sends[SENDS];
    hk_ready ready[HK_READY_MAX];
    int fds[2];
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    for (int i = 0; i < SENDS; i++) {
        hk_ticket t = hk_sleeper_begin(&sleepers[i], HK_WAITING_FIRMLY);
        sends[i] = (hk_send){t, i % 10 == 9 ? 9999 : fds[0], "0123456789", (size_t)i % 10 + 1, 1};
        cr_assert(r->backend->send(r, &sends[i]));
    }
    hk_fault_plan(HK_FAULT_URING_ENTER, UINT64_MAX, -EIO); /* only counts */
    int done = 0;
    while (done < SENDS) {
        int n = hk_reactor_wait(r, 0, ready);
        cr_assert_gt(n, 0);
        done += n;
    }
    cr_expect_eq(hk_fault_count(HK_FAULT_URING_ENTER), 1);
    for (int i = 0; i < SENDS; i++)
        cr_expect_eq(sends[i].result, i % 10 == 9 ? -EBADF : i % 10 + 1);
    cr_expect_eq(drain(fds[1]), SENDS / 10 * 45);
}

ON_URING(a_send_that_finds_no_room_says_so_at_once)
{
    hk_ready ready[HK_READY_MAX];
    hk_sleeper sleeper = {0};
    int fds[2];
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    fill(fds[0]);
    hk_send send = {hk_sleeper_begin(&sleeper, HK_WAITING_FIRMLY), fds[0], "x", 1, 0};
    cr_assert(r->backend->send(r, &send));
    cr_assert_eq(hk_reactor_wait(r, 0, ready), 1);
    cr_expect_eq(send.result, -EAGAIN);
}

ON_URING(more_completions_than_the_ring_holds_are_each_handed_out_once)
{
    enum { SENDS = 3 * HK_URING_COMPLETIONS, FEW = 64 };
    static hk_sleeper sleepers[SENDS];
    static hk_send sends[SENDS];
    hk_ready ready[HK_READY_MAX];
    int fds[2], claimed = 0, begun = 0;
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    while (begun < SENDS) { /* asked for faster than it is looked at */
        hk_ticket t = hk_sleeper_begin(&sleepers[begun], HK_WAITING_FIRMLY);
        sends[begun] = (hk_send){t, fds[0], "x", 1, 0};
        if (r->backend->send(r, &sends[begun])) {
            begun++;
            continue;
        }
        for (int i = 0, n = r->backend->wait(r, 0, ready, FEW); i < n; i++)
            claimed += hk_ticket_claim(ready[i].ticket, ready[i].result);
        (void)drain(fds[1]);
    }
    cr_expect_gt(begun - claimed, HK_URING_COMPLETIONS, "it was no test");
    for (int64_t give_up = SOON; claimed < SENDS && hk_os_now() < give_up;)
        for (int i = 0, n = hk_reactor_wait(r, 0, ready); i < n; i++)
            claimed += hk_ticket_claim(ready[i].ticket, ready[i].result);
    cr_expect_eq(claimed, SENDS);
}

ON_URING(a_batch_that_the_kernel_refuses_is_kept_and_goes_with_the_next)
{
    hk_ready ready[HK_READY_MAX];
    hk_sleeper sleeper = {0};
    int fds[2];
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    hk_send send = {hk_sleeper_begin(&sleeper, HK_WAITING_FIRMLY), fds[0], "x", 1, 0};
    cr_assert(r->backend->send(r, &send));
    hk_fault_plan(HK_FAULT_URING_ENTER, 1, -ENOMEM);
    cr_expect_eq(hk_reactor_wait(r, 0, ready), -ENOMEM);
    cr_expect_eq(hk_reactor_wait(r, 0, ready), 1);
    cr_expect_eq(send.result, 1);
}
