/* SPDX-License-Identifier: MIT */
/* os_test.c - the promises the seam adds to the calls of its names. */
#include "base/fault.h"
#include "base/os.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

Test(os, a_failure_is_a_negative_errno)
{
    char byte;
    cr_expect_eq(hk_os_read(-1, &byte, 1), -EBADF);
    cr_expect_eq(hk_os_close(-1), -EBADF);
    cr_expect_eq(hk_os_listen(-1, 1), -EBADF);
}

static bool has_flags(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK);
}

Test(os, descriptors_are_born_close_on_exec_and_non_blocking)
{
    int pair[2], ends[2];
    int tcp = hk_os_socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(tcp, 0);
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    cr_assert_eq(hk_os_pipe(ends), 0);
    int all[] = {tcp, pair[0], pair[1], ends[0], ends[1]};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        cr_expect(has_flags(all[i]));
        cr_expect_eq(hk_os_close(all[i]), 0);
    }
}

Test(os, mapped_memory_is_zero_and_protected_when_asked)
{
    void *base;
    size_t page = hk_os_page_bytes();
    cr_assert_eq(hk_os_map(2 * page, &base), 0);
    char *bytes = base;
    cr_expect_eq(bytes[0], 0);
    cr_expect_eq(hk_os_protect_none(bytes + page, page), 0);
    int ends[2];
    cr_assert_eq(hk_os_pipe(ends), 0);
    cr_expect_eq(hk_os_write(ends[1], bytes + page, 1), -EFAULT);
    cr_expect_eq(hk_os_unmap(base, 2 * page), 0);
    cr_expect_eq(hk_os_close(ends[0]), 0);
    cr_expect_eq(hk_os_close(ends[1]), 0);
}

Test(os, many_ranges_are_advised_in_one_call)
{
    void *base;
    size_t page = hk_os_page_bytes();
    cr_assert_eq(hk_os_map(4 * page, &base), 0);
    char *bytes = base;
    memset(bytes, 1, 4 * page);
    struct iovec ranges[] = {{bytes, page}, {bytes + 2 * page, page}};
    ssize_t done = hk_os_advise_many(ranges, 2, MADV_COLD);
    cr_expect(done == (ssize_t)(2 * page) || done == -EPERM || done == -ENOSYS || done == -EINVAL);
    cr_expect_eq(bytes[0], 1);
    cr_expect_eq(hk_os_unmap(base, 4 * page), 0);
}

Test(os, a_futex_whose_word_has_changed_does_not_sleep)
{
    HK_ATOMIC(uint32_t) word = 1;
    cr_expect_eq(hk_os_futex_wait(&word, 0, -1), 0);
}

Test(os, a_futex_gives_up_at_its_timeout)
{
    HK_ATOMIC(uint32_t) word = 0;
    int64_t start = hk_os_now();
    cr_expect_eq(hk_os_futex_wait(&word, 0, 2 * 1000 * 1000), -ETIMEDOUT);
    cr_expect_geq(hk_os_now() - start, 2 * 1000 * 1000);
}

Test(os, writing_to_a_closed_socket_is_an_error_and_not_a_signal)
{
    int pair[2];
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    cr_assert_eq(hk_os_close(pair[1]), 0);
    cr_expect_eq(hk_os_send(pair[0], "x", 1), -EPIPE);
    struct iovec part = {(char[]){'x'}, 1};
    cr_expect_eq(hk_os_sendv(pair[0], &part, 1), -EPIPE);
    cr_expect_eq(hk_os_close(pair[0]), 0);
}

#ifdef __linux__
/* --- a reader that goes while a call moves bytes --------------------------------------------- */

enum { LONG = 1 << 20, DEPARTURES = 1000 };

static HK_ATOMIC(unsigned) signals;

static void count_signal(int number)
{
    (void)number;
    (void)hk_add_relaxed(&signals, 1U);
}

/* Goes as soon as something has come. */
static void *leave(void *arg)
{
    struct pollfd first = {.fd = *(int *)arg, .events = POLLIN};
    while (hk_os_poll(&first, 1, 0) == 0)
        continue; /* to be awake when it does */
    cr_expect_eq(hk_os_close(first.fd), 0);
    return NULL;
}

static void splice_while_a_reader_leaves(void)
{
    static const char bytes[LONG];
    int pipe[2], ends[2];
    pthread_t reader;
    cr_assert_eq(hk_os_pipe_with(pipe, LONG), 0);
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, ends), 0);
    cr_assert_gt(hk_os_write(pipe[1], bytes, LONG), 0);
    cr_assert_eq(pthread_create(&reader, NULL, leave, &ends[0]), 0);
    ssize_t moved = hk_os_splice(pipe[0], ends[1], LONG);
    cr_expect_gt(moved, 0, "%zd", moved);
    cr_assert_eq(pthread_join(reader, NULL), 0);
    ssize_t after = hk_os_splice(pipe[0], ends[1], LONG);
    cr_expect(after == -EPIPE || after == -ECONNRESET, "%zd", after);
    const int all[] = {pipe[0], pipe[1], ends[1]};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cr_expect_eq(hk_os_close(all[i]), 0);
}

Test(os, a_reader_that_goes_in_the_middle_of_a_call_raises_no_signal)
{
    const struct sigaction counting = {.sa_handler = count_signal};
    cr_assert_eq(sigaction(SIGPIPE, &counting, NULL), 0);
    for (unsigned i = 0; i < DEPARTURES; i++)
        splice_while_a_reader_leaves();
    cr_expect_eq(hk_load_relaxed(&signals), 0, "%u", hk_load_relaxed(&signals));
}

#if HK_FAULTS
/* As kernels before 6.18 answer, which have no flag against the signal. */
static ssize_t write_without_a_flag(int fd)
{
    struct iovec parts[] = {{(char[]){'x'}, 1}, {(char[]){'y'}, 1}};
    hk_fault_plan(HK_FAULT_FILE_WRITE, 1, -EOPNOTSUPP);
    ssize_t put = hk_os_write_quietly(fd, parts, 2);
    cr_expect(hk_fault_hit());
    hk_fault_clear();
    return put;
}

Test(os, without_a_flag_against_it_a_write_to_nobody_raises_no_signal)
{
    const struct sigaction counting = {.sa_handler = count_signal};
    int pipe[2];
    cr_assert_eq(sigaction(SIGPIPE, &counting, NULL), 0);
    cr_assert_eq(hk_os_pipe(pipe), 0);
    cr_expect_eq(write_without_a_flag(pipe[1]), 2);
    cr_expect_eq(hk_os_close(pipe[0]), 0);
    cr_expect_eq(write_without_a_flag(pipe[1]), -EPIPE);
    cr_expect_eq(hk_load_relaxed(&signals), 0);
    cr_expect_eq(raise(SIGPIPE), 0);
    cr_expect_eq(hk_load_relaxed(&signals), 1, "the program's own signals come as before");
    cr_expect_eq(hk_os_close(pipe[1]), 0);
}
#endif
#endif

Test(os, waiting_for_events_ends_at_its_timeout)
{
    int epoll = hk_os_epoll_create();
    cr_assert_geq(epoll, 0);
    struct epoll_event event;
    int64_t start = hk_os_now();
    cr_expect_eq(hk_os_epoll_wait(epoll, &event, 1, 0), 0);
    cr_expect_eq(hk_os_epoll_wait(epoll, &event, 1, 1000 * 1000), 0);
    cr_expect_geq(hk_os_now() - start, 1000 * 1000);
    cr_expect_eq(hk_os_close(epoll), 0);
}

Test(os, chance_does_not_repeat_itself)
{
    uint64_t first = hk_os_random();
    cr_expect(first != hk_os_random() || first != hk_os_random());
}

Test(os, code_is_described_by_its_function_its_module_or_at_least_its_address)
{
    char line[256], brief[16], exact[32];
    const void *code = (const void *)(uintptr_t)&getenv;
    (void)snprintf(exact, sizeof exact, " [%p]\n", code);
    size_t n = hk_os_describe_code(code, line, sizeof line);
    cr_expect_eq(n, strlen(line));
    cr_expect(strncmp(line, "    ", 4) == 0 && strstr(line, "(getenv+0x0)"), "%s", line);
    cr_expect(strstr(line, exact) && line[n - 1] == '\n', "%s", line);

    n = hk_os_describe_code(line, line, sizeof line); /* what is on a stack is nobody's */
    cr_expect(strstr(line, "?(+0x"), "%s", line);

    n = hk_os_describe_code(code, brief, sizeof brief); /* cut off, but still a line */
    cr_expect_eq(n, sizeof brief - 1);
    cr_expect_eq(brief[n - 1], '\n');
    cr_expect_eq(brief[n], '\0');
}
