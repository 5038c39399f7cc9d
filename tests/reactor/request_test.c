/* SPDX-License-Identifier: MIT */
/* request_test.c - calls that the kernel makes: their results, and what becomes of one whose wait
 * was stopped. The task is played by hand. */
#include "reactor_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "reactor/rings.h"
#include "reactor/uring.h"

static hk_sleeper sleeper, other;

/* The one ticket that is handed out next. */
static hk_ticket next_ticket(hk_reactor *r)
{
    static hk_ready ready[HK_READY_MAX];
    int n = 0;
    for (int64_t give_up = SOON; n == 0 && hk_os_now() < give_up;)
        n = hk_reactor_wait(r, hk_os_now() + MS, ready);
    cr_assert_eq(n, 1);
    return ready[0].ticket;
}

static int result_of(hk_reactor *r, hk_request *q)
{
    cr_assert(ask(r, q, &sleeper));
    cr_expect(hk_ticket_claim(next_ticket(r), 0));
    return q->result;
}

static int open_file(char path[100])
{
    (void)snprintf(path, 100, "/tmp/hank-reactor-request-%d", (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    return fd;
}

Test(request, only_a_ring_makes_calls)
{
    cr_expect_null(hk_backend_epoll.request);
    cr_expect_null(hk_backend_epoll.recall);
    cr_expect_eq(hk_reactor_backend("epoll"), &hk_backend_epoll);
    cr_expect_eq(hk_reactor_backend(""), &hk_backend_beside);
}

ON_EACH_RING(each_kind_of_call_is_made)
{
    char path[100], read[8] = "";
    _Alignas(8) char answer[HK_STAT_BYTES];
    struct stat about = {0};
    int fd = open_file(path);
    hk_request q = {.kind = HK_REQUEST_WRITE, .fd = fd, .memory = "hello", .n = 5, .offset = 2};
    cr_expect_eq(result_of(r, &q), 5);
    q = (hk_request){.kind = HK_REQUEST_READ, .fd = fd, .memory = read, .n = 8, .offset = 2};
    cr_expect_eq(result_of(r, &q), 5);
    cr_expect_str_eq(read, "hello");
    for (int data_only = 0; data_only <= 1; data_only++) {
        q = (hk_request){.kind = HK_REQUEST_SYNC, .fd = fd, .data_only = data_only};
        cr_expect_eq(result_of(r, &q), 0);
    }
    q = (hk_request){.kind = HK_REQUEST_STAT, .fd = fd, .memory = answer, .ret_stat = &about};
    cr_expect_eq(result_of(r, &q), 0);
    cr_expect_eq(about.st_size, 7);
    q = (hk_request){
        .kind = HK_REQUEST_STAT, .path = "/nowhere", .memory = answer, .ret_stat = &about};
    cr_expect_eq(result_of(r, &q), -ENOENT);
    cr_expect_eq(about.st_size, 7, "written only if it went well");
    q = (hk_request){.kind = HK_REQUEST_OPEN, .path = path, .flags = O_RDONLY};
    int again = result_of(r, &q);
    cr_expect_geq(again, 0);
    cr_expect_eq(fcntl(again, F_GETFD), FD_CLOEXEC);
    (void)close(again);
    (void)close(fd);
    (void)unlink(path);
}

ON_EACH_RING(one_that_has_not_begun_is_taken_back)
{
    hk_ready ready[HK_READY_MAX];
    char path[100];
    int fd = open_file(path);
    struct stat about;
    hk_request q[3];
    for (int i = 0; i < 3; i++) {
        q[i] = (hk_request){
            .kind = HK_REQUEST_WRITE, .fd = fd, .memory = "x", .n = 1, .offset = 10 * i};
        cr_assert(ask(r, &q[i], &sleeper));
    }
    cr_expect(r->backend->recall(r, &q[0])); /* neither the first nor the last of its batch */
    cr_expect(r->backend->recall(r, &q[2]));
    (void)next_ticket(r);
    cr_expect_eq(q[1].result, 1);
    cr_expect_eq(hk_reactor_wait(r, 0, ready), 0);
    cr_assert_eq(fstat(fd, &about), 0);
    cr_expect_eq(about.st_size, 11, "no more than the second was written");
    cr_expect_not(r->backend->recall(r, &q[1]), "it is over");
    (void)close(fd);
    (void)unlink(path);
}

ON_EACH_RING(one_that_has_begun_is_ended_and_told_to_who_waits_by_then)
{
    char path[100];
    hk_ready ready[HK_READY_MAX];
    (void)snprintf(path, sizeof path, "/tmp/hank-reactor-fifo-%d", (int)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    hk_request q = {.kind = HK_REQUEST_OPEN, .path = path, .flags = O_RDONLY};
    cr_assert(ask(r, &q, &sleeper));
    cr_assert_eq(hk_reactor_wait(r, 0, ready), 0);
    cr_expect_not(r->backend->recall(r, &q));
    hk_ticket second = hk_sleeper_begin(&other, HK_WAITING_FIRMLY);
    cr_assert(hk_request_move(&q, second));
    cr_expect_eq(next_ticket(r).sleeper, &other);
    cr_expect(q.result == -ECANCELED || q.result == -EINTR, "%d", q.result);
    (void)unlink(path);
}

ON_EACH_RING(one_that_has_ended_is_not_waited_for_again)
{
    char path[100], byte;
    int fd = open_file(path);
    hk_request q = {.kind = HK_REQUEST_READ, .fd = fd, .memory = &byte, .n = 1};
    cr_expect_eq(result_of(r, &q), 0);
    cr_expect_not(hk_request_move(&q, hk_sleeper_begin(&other, HK_WAITING_FIRMLY)));
    (void)close(fd);
    (void)unlink(path);
}

ON_EACH_RING(a_full_batch_goes_to_the_kernel_and_one_that_it_refuses_is_said_so)
{
    enum { READS = HK_URING_ENTRIES + 10 }; /* of the larger ring */
    static hk_request q[READS];
    static hk_sleeper sleepers[READS];
    static hk_ready ready[HK_READY_MAX];
    char path[100], byte;
    int fd = open_file(path), claimed = 0;
    hk_request one = {.kind = HK_REQUEST_READ, .fd = fd, .memory = &byte, .n = 1};
    for (int i = 0; i < READS; i++) {
        q[i] = one;
        cr_assert(ask(r, &q[i], &sleepers[i]));
        if (i != (int)r->rings->liburing.sq.ring_entries - 1)
            continue;
        hk_fault_plan(HK_FAULT_URING_ENTER, 1, -EAGAIN);
        cr_expect_not(ask(r, &one, &other));
        hk_fault_clear();
    }
    for (int64_t give_up = SOON; claimed < READS && hk_os_now() < give_up;)
        for (int i = 0, n = hk_reactor_wait(r, 0, ready); i < n; i++)
            claimed += hk_ticket_claim(ready[i].ticket, ready[i].result);
    cr_expect_eq(claimed, READS);
    (void)close(fd);
    (void)unlink(path);
}
