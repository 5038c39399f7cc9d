/* SPDX-License-Identifier: MIT */
/* datagram_fds_test.c - descriptors that travel with datagrams, and what becomes of those that
 * nobody takes. The runner counts what is left open after each test. */
#include "io/datagram_support.h"

#include <hank/unix.h>

#include <sys/resource.h>

DATAGRAMS(datagram_fds, 2, 4, come_with_the_datagram_and_are_the_same_file)
{
    int fds[2], got[4];
    size_t count = 4;
    char buf[16], name[128], want[128];
    hank_address from;
    hank_datagram in = {.data = buf, .size = sizeof buf, .address = &from, .segment = 9};
    MUST(pipe2(fds, O_CLOEXEC) == 0);
    MUST(hank_endpoint_send_fds(t->a, &(hank_datagram){.data = "here", .size = 4}, fds, 2) == 0);
    MUST(hank_endpoint_recv_fds(t->b, &in, got, &count) == 0);
    MUST(in.size == 4 && memcmp(buf, "here", 4) == 0 && in.segment == 0 && count == 2);
    MUST(hank_endpoint_name(t->a, want, sizeof want) == 0);
    MUST(hank_address_format(&from, name, sizeof name) == 0 && strcmp(name, want) == 0);
    MUST(write(got[1], "x", 1) == 1 && read(fds[0], buf, 1) == 1 && buf[0] == 'x');
    for (int i = 0; i < 2; i++) {
        MUST(fcntl(got[i], F_GETFD) == FD_CLOEXEC);
        close(got[i]);
        close(fds[i]);
    }
    return 0;
}

/* Descriptor 0, n times, with `text`, to an address or to where it is connected to. */
static int send_zeros(hank_endpoint *e, const char *text, size_t n, hank_address *to)
{
    static const int zeros[HANK_FDS_MAX + 1];
    hank_datagram d = {.data = (void *)(uintptr_t)text, .size = strlen(text), .address = to};
    return hank_endpoint_send_fds(e, &d, zeros, n);
}

/* Receive into `room` bytes, with room for that many descriptors, and close them: how many. */
static int receive_and_close(hank_endpoint *e, size_t room, size_t fds, size_t *ret_bytes)
{
    int got[HANK_FDS_MAX];
    char buf[64];
    hank_datagram in = {.data = buf, .size = room};
    size_t count = fds;
    int rc = hank_endpoint_recv_fds(e, &in, got, &count);
    MUST(count <= fds && (rc == 0 || count == 0));
    for (size_t i = 0; i < count; i++)
        close(got[i]);
    if (rc < 0)
        return rc;
    *ret_bytes = in.size;
    return (int)count;
}

DATAGRAMS(datagram_fds, 2, 4, may_come_with_nothing_else)
{
    size_t n = 1;
    MUST(send_zeros(t->a, "", 1, NULL) == 0);
    MUST(receive_and_close(t->b, 8, 1, &n) == 1 && n == 0);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, go_to_an_address)
{
    size_t n;
    hank_endpoint *e;
    hank_address to;
    char name[64];
    snprintf(name, sizeof name, "unix://@hank-dg-c-%d", (int)getpid());
    MUST(hank_address_parse(t->b_name, &to) == 0);
    MUST(hank_endpoint_open(name, NULL, NULL, &e) == 0);
    MUST(send_zeros(e, "x", 1, &to) == 0);
    MUST(receive_and_close(t->b, 8, 1, &n) == 1 && n == 1);
    hank_endpoint_close(e);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, without_room_are_closed)
{
    size_t n;
    MUST(send_zeros(t->a, "abc", 3, NULL) == 0 && send_zeros(t->a, "abc", 3, NULL) == 0);
    MUST(receive_and_close(t->b, 8, 1, &n) == 1 && n == 3);
    MUST(receive_and_close(t->b, 8, 0, &n) == 0 && n == 3);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, are_closed_by_who_does_not_ask_for_them)
{
    char buf[4];
    hank_datagram one = {.data = buf, .size = sizeof buf};
    MUST(send_zeros(t->a, "abc", 1, NULL) == 0 && send_zeros(t->a, "abc", 1, NULL) == 0);
    MUST(hank_endpoint_recv(t->b, buf, 4, NULL) == 3);
    MUST(hank_endpoint_recv_batch(t->b, &one, 1) == 1 && one.size == 3);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, stay_with_a_datagram_that_is_cut)
{
    size_t n;
    MUST(send_zeros(t->a, "0123456789", 2, NULL) == 0);
    MUST(receive_and_close(t->b, 3, 2, &n) == 2 && n == 10);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, do_not_come_with_a_datagram_that_has_none)
{
    size_t n;
    MUST(hank_endpoint_send(t->a, "xy", 2) == 0 && send_zeros(t->a, "z", 2, NULL) == 0);
    MUST(receive_and_close(t->b, 8, 2, &n) == 0 && n == 2);
    MUST(receive_and_close(t->b, 8, 2, &n) == 2 && n == 1);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, most_of_the_kernels_limit_pass_at_once)
{
    size_t n;
    MUST(send_zeros(t->a, "x", HANK_FDS_MAX, NULL) == 0);
    MUST(receive_and_close(t->b, 8, HANK_FDS_MAX, &n) == HANK_FDS_MAX && n == 1);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, out_of_range_are_refused)
{
    int gone = 99999;
    size_t n;
    hank_datagram d = {.data = "xy", .size = 2}, cut = {.data = "xy", .size = 2, .segment = 1};
    hank_address none = {{0}};
    MUST(send_zeros(t->a, "x", 0, NULL) == -EINVAL);
    MUST(send_zeros(t->a, "x", HANK_FDS_MAX + 1, NULL) == -EINVAL);
    MUST(hank_endpoint_send_fds(t->a, &cut, &(int){0}, 1) == -EINVAL);
    MUST(hank_endpoint_send_fds(t->a, &d, &gone, 1) == -EBADF);
    MUST(send_zeros(t->a, "x", 1, &none) == -EINVAL);
    int rc = send_zeros(t->b, "x", 1, NULL); /* not connected */
    MUST(rc == -EDESTADDRREQ || rc == -ENOTCONN);
    MUST(send_zeros(t->a, "y", 1, NULL) == 0); /* nothing was sent, nothing is broken */
    MUST(receive_and_close(t->b, 8, 1, &n) == 1 && n == 1);
    return 0;
}

DATAGRAMS(datagram_fds, 0, 2, do_not_travel_over_udp)
{
    int got[1];
    size_t count = 1;
    char buf[4];
    hank_datagram in = {.data = buf, .size = sizeof buf};
    MUST(send_zeros(t->a, "x", 1, NULL) == -ENOTSUP);
    MUST(hank_endpoint_recv_fds(t->b, &in, got, &count) == -ENOTSUP && count == 0);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, wait_while_the_receiver_is_full)
{
    size_t n;
    int sent = 0;
    hank_address to;
    MUST(hank_address_parse(t->b_name, &to) == 0);
    while (hank_within(HANK_MS(20), send_zeros(t->a, "x", 1, NULL)) == 0)
        sent++;
    MUST(sent > 0);
    MUST(hank_within(HANK_MS(5), send_zeros(t->a, "y", 1, &to)) == -ETIMEDOUT);
    for (int i = 0; i < sent; i++)
        MUST(receive_and_close(t->b, 8, 1, &n) == 1);
    MUST(hank_within(HANK_MS(5), receive_and_close(t->b, 8, 1, &n)) == -ETIMEDOUT);
    MUST(send_zeros(t->a, "z", 1, NULL) == 0); /* those that were stopped did not leave any */
    MUST(receive_and_close(t->b, 8, 1, &n) == 1);
    return 0;
}

static int receive(void *e)
{
    size_t n;
    return receive_and_close(e, 1, 1, &n);
}

DATAGRAMS(datagram_fds, 2, 4, are_waited_for_by_many)
{
    hank_task tasks[8];
    int results[8];
    for (int i = 0; i < 8; i++)
        tasks[i] = hank_spawn(receive, t->b);
    for (int i = 0; i < 8; i++)
        MUST(send_zeros(t->a, "x", 1, NULL) == 0);
    (void)hank_gather_n(tasks, 8, results);
    for (int i = 0; i < 8; i++)
        MUST(results[i] == 1);
    return 0;
}

DATAGRAMS(datagram_fds, 2, 4, are_not_waited_for_any_more_after_a_close)
{
    hank_task task = hank_spawn(receive, t->b);
    YIELD_UNTIL(users(t->b) == 2); /* it holds it, and waits */
    hank_endpoint_close(t->b);
    t->b = NULL;
    MUST(hank_await(task) == -EBADF);
    return 0;
}

/* --- when numbers run out -------------------------------------------------------------------- */

/* Let one more descriptor be opened; what the limit was before. */
static struct rlimit allow_one_more(void)
{
    struct rlimit before, now;
    int next = dup(0); /* the lowest that is free */
    close(next);
    (void)getrlimit(RLIMIT_NOFILE, &before);
    now = (struct rlimit){(rlim_t)next + 1, before.rlim_max};
    (void)setrlimit(RLIMIT_NOFILE, &now);
    return before;
}

DATAGRAMS(datagram_fds, 2, 4, that_have_no_numbers_are_closed_and_told_of)
{
    size_t n;
    MUST(send_zeros(t->a, "lost", 3, NULL) == 0 && send_zeros(t->a, "next", 1, NULL) == 0);
    struct rlimit before = allow_one_more();
    int rc = receive_and_close(t->b, 8, 3, &n);
    (void)setrlimit(RLIMIT_NOFILE, &before);
    MUST(rc == -EMFILE);
    MUST(receive_and_close(t->b, 8, 3, &n) == 1 && n == 4);
    return 0;
}

ALONE(stream_fds, that_have_no_numbers_are_closed_and_told_of)
{
    hank_stream *a, *b;
    int got[3];
    size_t count = 3;
    char buf[4];
    (void)arg;
    MUST(hank_stream_pair(&a, &b) == 0);
    MUST(hank_send_fds(a, "lost", 4, (int[3]){0}, 3) == 0);
    struct rlimit before = allow_one_more();
    ssize_t rc = hank_recv_fds(b, buf, sizeof buf, got, &count);
    (void)setrlimit(RLIMIT_NOFILE, &before);
    MUST(rc == -EMFILE && count == 0);
    count = 3;
    MUST(hank_send_fds(a, "next", 4, (int[1]){0}, 1) == 0);
    MUST(hank_recv_fds(b, buf, sizeof buf, got, &count) == 4 && count == 1);
    close(got[0]);
    hank_close(a);
    hank_close(b);
    return 0;
}
