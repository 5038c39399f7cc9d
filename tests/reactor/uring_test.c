/* SPDX-License-Identifier: MIT */
/* uring_test.c - what completion adds: bytes and connections that were taken ahead, and their end.
 *
 * The reader here does by hand what io/fd.c does: ask the flow, then the system, then wait. */
#include "reactor_support.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>

#include "reactor/flow.h"
#include "reactor/uring.h"

/* --- hands --------------------------------------------------------------------------------- */

static pair open_stream_pair(void)
{
    pair p = open_pair();
    p.source->input = HK_INPUT_BYTES;
    return p;
}

static int listen_anywhere(struct sockaddr_in *ret_address)
{
    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof *ret_address;
    int fd = hk_os_socket(AF_INET, SOCK_STREAM, 0), on = 1;
    cr_assert_eq(hk_os_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    cr_assert_eq(hk_os_bind(fd, (struct sockaddr *)ret_address, length), 0);
    cr_assert_eq(hk_os_listen(fd, 512), 0);
    cr_assert_eq(hk_os_getsockname(fd, (struct sockaddr *)ret_address, &length), 0);
    return fd;
}

static int connect_to(const struct sockaddr_in *address)
{
    int fd = hk_os_socket(AF_INET, SOCK_STREAM, 0);
    int rc = hk_os_connect(fd, (const struct sockaddr *)address, sizeof *address);
    cr_assert(rc == 0 || rc == -EINPROGRESS);
    return fd;
}

static ssize_t try_once(hk_source *s, void *ret_buf, size_t n)
{
    ssize_t got;
    bool is_dry;
    if (hk_flow_answers(s) && hk_flow_read(s, ret_buf, n, &got, &is_dry))
        return got;
    return hk_os_recv(s->fd, ret_buf, n, 0);
}

static ssize_t read_some(hk_reactor *r, hk_source *s, void *ret_buf, size_t n)
{
    ssize_t got;
    while ((got = try_once(s, ret_buf, n)) == -EAGAIN)
        wait_until_readable(r, s);
    return got;
}

static int accept_one(hk_reactor *r, hk_source *s)
{
    int fd;
    for (;;) {
        if (!hk_flow_answers(s) || !hk_flow_accept(s, &fd))
            fd = hk_os_accept(s->fd, NULL, NULL);
        if (fd != -EAGAIN)
            return fd;
        wait_until_readable(r, s);
    }
}

/* Nobody waits: what comes now comes into the flow. */
static void arm(hk_reactor *r, hk_source *s)
{
    hk_sleeper nobody = {0};
    wait_armed(r, s, HK_IN, &nobody);
    hk_source_stop(s, HK_IN);
}

static bool is_running(hk_source *s)
{
    return hk_load_acquire(&s->flow[HK_IN].word) & HK_FLOW_RUNNING; /* as flow.c does */
}

/* Poll until `condition`. */
#define POLL_UNTIL(r, condition)                                                                   \
    do {                                                                                           \
        static hk_ready list_[HK_READY_MAX];                                                       \
        int64_t give_up_ = SOON;                                                                   \
        while (!(condition)) {                                                                     \
            cr_assert_lt(hk_os_now(), give_up_, "never came true: %s", #condition);                \
            (void)hk_reactor_wait(r, hk_os_now() + MS, list_);                                     \
        }                                                                                          \
    } while (0)

static char letter(size_t i)
{
    return (char)('a' + i % 23);
}

/* Send up to n bytes of the sequence, from its i-th, in parts of at most `part`. How many went. */
static size_t say_sequence(int fd, size_t i, size_t n, size_t part)
{
    static char bytes[4096];
    size_t sent = 0;
    while (sent < n) {
        size_t count = n - sent < part ? n - sent : part;
        for (size_t k = 0; k < count; k++)
            bytes[k] = letter(i + sent + k);
        ssize_t put = hk_os_send(fd, bytes, count);
        if (put < 0)
            break;
        sent += (size_t)put;
    }
    return sent;
}

static void expect_sequence(hk_reactor *r, hk_source *s, size_t i, size_t n)
{
    static char bytes[10000];
    for (size_t done = 0; done < n;) {
        size_t most = n - done < sizeof bytes ? n - done : sizeof bytes;
        ssize_t got = read_some(r, s, bytes, most);
        cr_assert_gt(got, 0);
        for (size_t k = 0; k < (size_t)got; k++)
            cr_assert_eq(bytes[k], letter(i + done + k), "byte %zu", i + done + k);
        done += (size_t)got;
    }
}

/* --- bytes --------------------------------------------------------------------------------- */

ON_URING(what_comes_is_taken_before_anybody_asks_and_read_without_a_system_call)
{
    pair p = open_stream_pair();
    char bytes[16];
    arm(r, p.source);
    say(p.peer, "hello");
    POLL_UNTIL(r, hk_load_relaxed(&p.source->flow[HK_IN].word) & HK_FLOW_PIECES);
    cr_expect_eq(hk_os_recv(p.fd, bytes, sizeof bytes, 0), -EAGAIN, "the socket is empty");
    cr_expect_eq(try_once(p.source, bytes, 2), 2);
    cr_expect_eq(try_once(p.source, bytes + 2, sizeof bytes - 2), 3);
    cr_expect_eq(memcmp(bytes, "hello", 5), 0);
    cr_expect_eq(try_once(p.source, bytes, sizeof bytes), -EAGAIN);
    close_pair(p);
}

ON_URING(pieces_are_read_in_the_order_in_which_they_came)
{
    pair p = open_stream_pair();
    arm(r, p.source);
    size_t sent = 0;
    for (int i = 0; i < 5; i++)
        sent += say_sequence(p.peer, sent, 7, 7);
    expect_sequence(r, p.source, 0, sent);
    close_pair(p);
}

ON_URING(a_slow_reader_loses_nothing_and_does_not_take_everybodys_buffers)
{
    pair p = open_stream_pair();
    size_t sent = 0;
    arm(r, p.source);
    POLL_UNTIL(r, (sent += say_sequence(p.peer, sent, 1000, 100), !is_running(p.source)));
    uint32_t missing = HK_URING_BUFFERS - hk_load_relaxed(&r->uring->filled);
    cr_expect_geq(missing, HK_PIECES_MAX);
    cr_expect_leq(missing, HK_URING_BUFFERS / 2);
    sent += say_sequence(p.peer, sent, 100 * 1000, 1000);
    expect_sequence(r, p.source, 0, sent);
    for (int round = 0; round < 100; round++) { /* and it flows again */
        size_t more = say_sequence(p.peer, sent, 50, 50);
        expect_sequence(r, p.source, sent, more);
        sent += more;
    }
    POLL_UNTIL(r, hk_load_relaxed(&r->uring->filled) == HK_URING_BUFFERS);
    close_pair(p);
}

ON_URING(when_all_buffers_are_full_of_unread_bytes_everybody_still_gets_his)
{
    enum { PAIRS = 2 * HK_URING_BUFFERS / HK_PIECES_MAX, PARTS = 40, PART = 10 };
    static pair p[PAIRS];
    size_t sent[PAIRS] = {0};
    for (int i = 0; i < PAIRS; i++) {
        p[i] = open_stream_pair();
        arm(r, p[i].source);
    }
    for (int part = 0; part < PARTS; part++) {
        for (int i = 0; i < PAIRS; i++)
            sent[i] += say_sequence(p[i].peer, sent[i], PART, PART);
        settle(r);
    }
    cr_expect_lt(hk_load_relaxed(&r->uring->filled), HK_URING_BUFFERS / 4, "it was no test");
    for (int i = 0; i < PAIRS; i++) {
        cr_assert_eq(sent[i], (size_t)PARTS * PART);
        expect_sequence(r, p[i].source, 0, sent[i]);
    }
    for (int i = 0; i < PAIRS; i++)
        close_pair(p[i]);
    POLL_UNTIL(r, hk_load_relaxed(&r->uring->filled) == HK_URING_BUFFERS);
}

ON_URING(closing_with_bytes_in_flight_gives_every_buffer_back)
{
    for (int i = 0; i < 3000; i++) {
        pair p = open_stream_pair();
        arm(r, p.source);
        say(p.peer, "x");
        if (i % 3 == 0)
            settle(r); /* it lies in the flow */
        say(p.peer, "y");
        close_pair(p);
        if (i % 50 == 0)
            settle(r);
    }
    POLL_UNTIL(r, hk_load_relaxed(&r->uring->filled) == HK_URING_BUFFERS);
}

ON_URING(bytes_of_a_connection_that_was_closed_never_reach_the_next_one)
{
    for (int i = 0; i < 2000; i++) {
        pair old = open_stream_pair();
        arm(r, old.source);
        say(old.peer, "old");
        close_pair(old); /* its completion has not been looked at */
        pair new = open_stream_pair();
        cr_assert_eq(new.source, old.source, "the same slot");
        arm(r, new.source);
        say(new.peer, "new");
        char bytes[16];
        cr_assert_eq(read_some(r, new.source, bytes, sizeof bytes), 3);
        cr_assert_eq(memcmp(bytes, "new", 3), 0);
        close_pair(new);
    }
}

ON_URING(a_peer_sees_the_end_at_once_when_a_stream_that_was_read_is_closed)
{
    pair p = open_stream_pair();
    arm(r, p.source);
    hk_source_close(p.source);
    (void)hk_os_close(p.fd);
    char byte;
    cr_expect_eq(hk_os_recv(p.peer, &byte, 1, 0), 0, "the request would have held the file");
    (void)hk_os_close(p.peer);
}

ON_URING(the_end_comes_after_the_last_byte)
{
    pair p = open_stream_pair();
    char bytes[16];
    arm(r, p.source);
    say(p.peer, "bye");
    close_peer(&p);
    cr_expect_eq(read_some(r, p.source, bytes, sizeof bytes), 3);
    cr_expect_eq(read_some(r, p.source, bytes, sizeof bytes), 0);
    cr_expect_eq(read_some(r, p.source, bytes, sizeof bytes), 0, "and stays");
    close_pair(p);
}

ON_URING(a_reset_is_told_once_and_then_it_is_the_end)
{
    struct sockaddr_in address;
    int listener = listen_anywhere(&address);
    pair p = {.peer = connect_to(&address)};
    while ((p.fd = hk_os_accept(listener, NULL, NULL)) == -EAGAIN)
        hk_os_yield();
    p.source = hk_source_open(p.fd);
    p.source->input = HK_INPUT_BYTES;
    arm(r, p.source);
    struct linger abort_it = {.l_onoff = 1, .l_linger = 0};
    cr_assert_eq(hk_os_setsockopt(p.peer, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it), 0);
    close_peer(&p);
    char byte;
    cr_expect_eq(read_some(r, p.source, &byte, 1), -ECONNRESET);
    cr_expect_eq(read_some(r, p.source, &byte, 1), 0);
    close_pair(p);
    (void)hk_os_close(listener);
}

/* --- connections --------------------------------------------------------------------------- */

ON_URING(a_crowd_of_connections_is_accepted_each_once_and_in_order)
{
    enum { CROWD = 10 * HK_PIECES_MAX };
    static int client[CROWD];
    struct sockaddr_in address;
    int fd = listen_anywhere(&address);
    hk_source *s = hk_source_open(fd);
    s->input = HK_INPUT_CONNECTIONS;
    arm(r, s);
    for (int i = 0; i < CROWD; i++) {
        client[i] = connect_to(&address);
        if (i % 40 == 0)
            settle(r);
    }
    for (int i = 0; i < CROWD; i++) {
        struct sockaddr_in theirs, ours;
        socklen_t length = sizeof theirs;
        int accepted = accept_one(r, s);
        cr_assert_geq(accepted, 0);
        cr_expect(fcntl(accepted, F_GETFD) & FD_CLOEXEC);
        cr_expect(fcntl(accepted, F_GETFL) & O_NONBLOCK);
        cr_assert_eq(hk_os_getpeername(accepted, (struct sockaddr *)&theirs, &length), 0);
        cr_assert_eq(hk_os_getsockname(client[i], (struct sockaddr *)&ours, &length), 0);
        cr_expect_eq(theirs.sin_port, ours.sin_port, "connection %d", i);
        (void)hk_os_close(accepted);
        (void)hk_os_close(client[i]);
    }
    hk_source_close(s);
    (void)hk_os_close(fd);
}

/* Whoever is at the other end of `client` goes, soon. */
static void expect_hung_up(int client)
{
    struct pollfd one = {.fd = client, .events = POLLIN};
    cr_assert_eq(hk_os_poll(&one, 1, 10000 * MS), 1);
    char byte;
    cr_expect_leq(hk_os_recv(client, &byte, 1, 0), 0);
    cr_expect_neq(hk_os_recv(client, &byte, 1, 0), -EAGAIN);
}

static hk_source *listen_ahead(hk_reactor *r, struct sockaddr_in *ret_address)
{
    hk_source *s = hk_source_open(listen_anywhere(ret_address));
    s->input = HK_INPUT_CONNECTIONS;
    arm(r, s);
    return s;
}

static void close_listener(hk_source *s)
{
    int fd = s->fd;
    hk_source_close(s);
    (void)hk_os_close(fd);
}

ON_URING(closing_a_listener_hangs_up_on_those_who_were_taken_for_nobody_and_frees_the_port)
{
    struct sockaddr_in address;
    hk_source *s = listen_ahead(r, &address);
    int client = connect_to(&address);
    POLL_UNTIL(r, hk_load_relaxed(&s->flow[HK_IN].word) & HK_FLOW_PIECES);
    close_listener(s);
    expect_hung_up(client);
    (void)hk_os_close(client);

    int again = hk_os_socket(AF_INET, SOCK_STREAM, 0), on = 1;
    cr_assert_eq(hk_os_setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    cr_expect_eq(hk_os_bind(again, (struct sockaddr *)&address, sizeof address), 0);
    cr_expect_eq(hk_os_listen(again, 1), 0);
    (void)hk_os_close(again);
}

ON_URING(closing_it_hangs_up_on_those_of_whom_nobody_has_heard)
{
    struct sockaddr_in address;
    hk_source *s = listen_ahead(r, &address);
    int client = connect_to(&address);
    close_listener(s); /* the kernel has taken the connection, and nobody looks */
    hk_reactor_close(r);
    expect_hung_up(client);
    (void)hk_os_close(client);
}

/* --- a busy owner -------------------------------------------------------------------------- */

static struct {
    hk_reactor *reactor;
    hk_source *source;
    hk_sleeper sleeper;
    HK_ATOMIC(bool) is_armed;
    HK_ATOMIC(bool) may_end;
} busy;

static void *arm_and_compute(void *arg)
{
    settle(busy.reactor); /* it is the owner now */
    if (busy.source)
        wait_armed(busy.reactor, busy.source, HK_IN, &busy.sleeper);
    hk_store_release(&busy.is_armed, true); /* [test:armed] */
    while (!hk_load_acquire(&busy.may_end)) /* [test:end] without a system call */
        continue;
    return arg;
}

static pthread_t begin_computing(hk_reactor *r, hk_source *s)
{
    pthread_t thread;
    busy.reactor = r;
    busy.source = s;
    cr_assert_eq(hk_os_thread_start(&thread, arm_and_compute, NULL), 0);
    while (!hk_load_acquire(&busy.is_armed)) /* [test:armed] */
        hk_os_yield();
    return thread;
}

static void end_computing(pthread_t thread)
{
    hk_store_release(&busy.may_end, true); /* [test:end] */
    (void)hk_os_thread_join(thread);
}

static bool help_until_ready(hk_reactor *r, hk_sleeper *sleeper)
{
    hk_ready ready[HK_READY_MAX];
    int n = 0;
    for (int64_t give_up = SOON; n == 0 && hk_os_now() < give_up;)
        n = hk_reactor_help(r, ready);
    return n == 1 && ready[0].ticket.sleeper == sleeper;
}

ON_URING(a_helper_sees_what_came_for_a_thread_that_only_computes)
{
    pair p = open_stream_pair();
    pthread_t thread = begin_computing(r, p.source);
    say(p.peer, "x");
    cr_expect(help_until_ready(r, &busy.sleeper));
    end_computing(thread);
    close_pair(p);
}

/* The helper asks for one event only: the request is its own, and would wake it for ever. */
ON_URING(who_arms_on_the_ring_of_a_thread_that_only_computes_is_told_by_a_helper)
{
    pair p = open_stream_pair();
    hk_sleeper sleeper = {0};
    pthread_t thread = begin_computing(r, NULL);
    wait_armed(r, p.source, HK_IN, &sleeper);
    cr_expect_eq(hk_load_relaxed(&r->uring->wanted_n), 1u);
    say(p.peer, "x");
    cr_expect(help_until_ready(r, &sleeper));
    cr_expect_not(is_running(p.source));
    cr_expect_eq(drain(p.fd), 1, "nobody took it ahead");
    end_computing(thread);
    close_pair(p);
}

ON_URING(who_closes_before_the_owner_has_asked_is_asked_for_nothing)
{
    pair p = open_stream_pair();
    hk_sleeper sleeper = {0};
    pthread_t thread = begin_computing(r, NULL);
    wait_armed(r, p.source, HK_IN, &sleeper);
    hk_source_stop(p.source, HK_IN);
    hk_source_close(p.source);
    int fd = p.fd, fds[2];
    close_peer(&p);
    (void)hk_os_close(fd);
    cr_assert_eq(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    cr_assert(fds[0] == fd || fds[1] == fd, "the number is used again");
    say(fds[0] == fd ? fds[1] : fds[0], "x");
    hk_ready ready[HK_READY_MAX];
    for (int i = 0; i < 3; i++)
        cr_expect_eq(hk_reactor_help(r, ready), 0);
    cr_expect_eq(drain(fd), 1, "the byte of another was taken");
    end_computing(thread);
}

ON_URING(what_another_thread_arms_on_our_ring_flows_as_what_we_arm)
{
    pair p = open_stream_pair();
    hk_store_relaxed(&r->owner, (uintptr_t)1); /* as if we were another */
    arm(r, p.source);
    settle(r);
    say(p.peer, "x");
    POLL_UNTIL(r, hk_load_relaxed(&p.source->flow[HK_IN].word) & HK_FLOW_PIECES);
    cr_expect(is_running(p.source));
    close_pair(p);
}

/* Half of what came is read, and no more comes: nothing will tell of the other half. */
ON_URING(a_request_that_only_tells_of_events_answers_no_read)
{
    pair p = open_stream_pair();
    char byte;
    p.source->input = HK_INPUT_EVENTS;
    arm(r, p.source);
    settle(r);
    say(p.peer, "xy");
    wait_until_readable(r, p.source);
    for (int i = 0; i < 2; i++) {
        cr_expect(is_running(p.source) && !hk_flow_answers(p.source));
        cr_expect_eq(try_once(p.source, &byte, 1), 1);
    }
    cr_expect_eq(try_once(p.source, &byte, 1), -EAGAIN);
    close_pair(p);
}
