/* SPDX-License-Identifier: MIT */
/* socket_test.c - connecting, listening, accepting, and the names of it all. */
#include "io/socket.h"

#include "io/io_support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/os.h"
#include "io/listener.h"

#define TCP "tcp://127.0.0.1:0"

#define APP_TEST(name)                                                                             \
    static int name##_app(void *arg);                                                              \
    Test(socket, name, .timeout = 60)                                                              \
    {                                                                                              \
        run_with_each_size(name##_app, NULL);                                                      \
    }                                                                                              \
    static int name##_app(void *arg)

/* A fresh path for a Unix socket, as a where string. */
static const char *unix_where(char buf[64])
{
    static HK_ATOMIC(int) n;
    snprintf(buf, 64, "unix:///tmp/hank-test-%d-%d", (int)getpid(), hk_add_relaxed(&n, 1));
    return buf;
}

static const char *path_of(const char *where)
{
    return where + sizeof "unix://" - 1;
}

/* --- where to -------------------------------------------------------------------------------- */

APP_TEST(a_malformed_place_is_refused_by_connect_and_listen)
{
    (void)arg;
    hank_stream *s = NULL;
    hank_listener *l = NULL;
    MUST(hank_connect("127.0.0.1:80", &s) == -EINVAL);
    MUST(hank_connect("tcp://127.0.0.1:0", &s) == -EINVAL);
    MUST(hank_connect("tcp://:80", &s) == -EINVAL);
    MUST(hank_connect(NULL, &s) == -EINVAL);
    MUST(hank_listen("tcp://127.0.0.1", &l) == -EINVAL);
    MUST(hank_connect("carrier-pigeon://a:1", &s) == -EPROTONOSUPPORT);
    MUST(s == NULL && l == NULL);
    return 0;
}

APP_TEST(nobody_there_is_econnrefused)
{
    (void)arg;
    char name[64];
    hank_listener *l;
    hank_stream *s = NULL;
    MUST_OK(hank_listen(TCP, &l));
    MUST_OK(hank_listener_name(l, name, sizeof name));
    hank_listener_close(l);
    MUST(hank_connect(name, &s) == -ECONNREFUSED);
    MUST(s == NULL);
    return 0;
}

APP_TEST(a_port_in_use_is_eaddrinuse)
{
    (void)arg;
    char name[64];
    hank_listener *l, *other = NULL;
    MUST_OK(hank_listen(TCP, &l));
    MUST_OK(hank_listener_name(l, name, sizeof name));
    MUST(hank_listen(name, &other) == -EADDRINUSE);
    hank_listener_close(l);
    MUST_OK(hank_listen(name, &other)); /* free at once */
    hank_listener_close(other);
    return 0;
}

APP_TEST(options_of_a_later_version_are_refused)
{
    (void)arg;
    hank_listener *l = NULL;
    hank_listen_options strange = {.reserved_ = {0, 1}};
    MUST(hank_listen_opt(TCP, &strange, &l) == -EINVAL);
    return 0;
}

APP_TEST(ipv6_works_where_there_is_ipv6)
{
    (void)arg;
    pair p;
    char name[64];
    int rc = pair_open("tcp://[::1]:0", &p);
    if (rc == 0) {
        MUST_OK(hank_stream_peer(p.client, name, sizeof name));
        MUST(strncmp(name, "tcp://[::1]:", 12) == 0);
    }
    pair_close(&p);
    return rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT ? 0 : rc;
}

/* --- names ----------------------------------------------------------------------------------- */

APP_TEST(both_ends_agree_on_their_names)
{
    (void)arg;
    pair p;
    char listener[64], peer[64], local[64];
    MUST_OK(pair_open(TCP, &p));
    MUST_OK(hank_listener_name(p.listener, listener, sizeof listener));
    MUST_OK(hank_stream_peer(p.client, peer, sizeof peer));
    MUST(strcmp(peer, listener) == 0);
    MUST_OK(hank_stream_local(p.client, local, sizeof local));
    MUST_OK(hank_stream_peer(p.server, peer, sizeof peer));
    MUST(strcmp(peer, local) == 0);
    MUST(hank_stream_peer(p.server, peer, 10) == -ENOSPC);
    MUST(hank_stream_local(p.server, peer, 10) == -ENOSPC);
    MUST(strcmp(peer, local) == 0); /* untouched */
    pair_close(&p);
    return 0;
}

APP_TEST(a_name_is_looked_up)
{
    (void)arg;
    char name[64], by_name[64];
    hank_listener *l;
    hank_stream *s;
    MUST_OK(hank_listen(TCP, &l));
    MUST_OK(hank_listener_name(l, name, sizeof name));
    snprintf(by_name, sizeof by_name, "tcp://localhost%s", strrchr(name, ':'));
    MUST_OK(hank_connect(by_name, &s)); /* also if localhost is ::1 first: the next is tried */
    hank_close(s);
    hank_listener_close(l);
    return 0;
}

#if HK_FAULTS
APP_TEST(a_name_nobody_knows_is_a_resolver_code)
{
    (void)arg;
    hank_stream *s = NULL;
    int nobody = hk_error_of_resolver(2);
    hk_fault_plan(HK_FAULT_RESOLVE, 1, nobody);
    int rc = hank_connect("tcp://localhost:9", &s);
    hk_fault_clear();
    MUST(rc == nobody && rc < -4095);
    return 0;
}

APP_TEST(an_address_needs_no_thread)
{
    (void)arg;
    pair p;
    hk_fault_plan(HK_FAULT_THREAD, 1, -EAGAIN);
    int rc = pair_open(TCP, &p);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    pair_close(&p);
    MUST_OK(rc);
    MUST(!hit);
    return 0;
}
#endif

/* --- Unix sockets ---------------------------------------------------------------------------- */

APP_TEST(a_unix_socket_is_a_stream_too)
{
    (void)arg;
    char where[64], name[200], buf[8];
    pair p;
    MUST_OK(pair_open(unix_where(where), &p));
    MUST_OK(hank_write(p.client, "abc", 3));
    MUST_OK(hank_read_exact(p.server, buf, 3));
    MUST_OK(hank_stream_peer(p.client, name, sizeof name));
    MUST(strcmp(name, where) == 0);
    MUST_OK(hank_stream_peer(p.server, name, sizeof name));
    MUST(strcmp(name, "unix://") == 0);
    pair_close(&p);
    MUST(access(path_of(where), F_OK) != 0); /* the file went with the listener */
    return 0;
}

APP_TEST(a_socket_file_that_was_left_behind_is_replaced)
{
    (void)arg;
    char where[64];
    hank_listener *l;
    unix_where(where);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path_of(where));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    MUST(bind(fd, (struct sockaddr *)&un, sizeof un) == 0);
    MUST(listen(fd, 1) == 0);
    MUST(hank_listen(where, &l) == -EADDRINUSE); /* somebody is there */
    close(fd);
    MUST_OK(hank_listen(where, &l)); /* nobody is */
    hank_listener_close(l);
    return 0;
}

APP_TEST(a_file_that_is_no_socket_is_left_alone)
{
    (void)arg;
    char where[64];
    hank_listener *l = NULL;
    int fd = open(path_of(unix_where(where)), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    MUST(fd >= 0);
    close(fd);
    int rc = hank_listen(where, &l);
    bool there = access(path_of(where), F_OK) == 0;
    (void)unlink(path_of(where));
    MUST(rc == -EADDRINUSE && there);
    return 0;
}

APP_TEST(closing_removes_no_file_but_its_own)
{
    (void)arg;
    char where[64];
    hank_listener *old, *fresh;
    MUST_OK(hank_listen(unix_where(where), &old));
    MUST(unlink(path_of(where)) == 0);
    MUST_OK(hank_listen(where, &fresh));
    hank_listener_close(old);
    bool there = access(path_of(where), F_OK) == 0;
    hank_listener_close(fresh);
    MUST(there);
    return 0;
}

static int connect_late(void *arg)
{
    hank_stream *s;
    int rc = hank_connect(arg, &s);
    if (rc == 0)
        hank_close(s);
    return rc;
}

APP_TEST(a_unix_listener_whose_line_is_full_makes_connect_wait)
{
    (void)arg;
    char where[64];
    hank_listener *l;
    hank_stream *s[3];
    hank_listen_options tiny = {.backlog = 1};
    MUST_OK(hank_listen_opt(unix_where(where), &tiny, &l));
    MUST_OK(hank_connect(where, &s[0]));
    MUST_OK(hank_connect(where, &s[1])); /* the kernel takes backlog + 1 */
    MUST(hank_within(HANK_MS(10), hank_connect(where, &s[2])) == -ETIMEDOUT);
    hank_task late = hank_spawn(connect_late, where);
    (void)hank_yield();
    MUST_OK(hank_accept(l, &s[2]));
    MUST_OK(hank_await(late));
    for (int i = 0; i < 3; i++)
        hank_close(s[i]);
    hank_listener_close(l);
    return 0;
}

/* --- accepting ------------------------------------------------------------------------------- */

static int accept_one(void *arg)
{
    hank_stream *s;
    int rc;
    while ((rc = hank_accept(arg, &s)) == -EBUSY) /* who looks after us is in */
        (void)hank_yield();
    if (rc == 0)
        hank_close(s);
    return rc;
}

static bool is_accepting(hank_listener *l)
{
    if (hk_fd_begin(&l->fd, HK_IN) < 0)
        return true;
    hk_fd_end(&l->fd, HK_IN);
    return false;
}

APP_TEST(an_accept_that_is_stopped_leaves_the_connection_in_line)
{
    (void)arg;
    char name[64], byte;
    hank_listener *l;
    hank_stream *client, *s = NULL;
    MUST_OK(hank_listen(TCP, &l));
    MUST_OK(hank_listener_name(l, name, sizeof name));
    MUST(hank_within(HANK_MS(5), hank_accept(l, &s)) == -ETIMEDOUT);
    for (int i = 0; i < 50; i++) {
        hank_task acceptor = hank_spawn(accept_one, l);
        if (i % 2)
            YIELD_UNTIL(is_accepting(l));
        hank_cancel(acceptor);
        MUST_OK(hank_connect(name, &client));
        MUST_OK(hank_write(client, "x", 1));
        int rc = hank_await(acceptor);
        MUST(rc == 0 || rc == -ECANCELED);
        if (rc < 0) { /* then it is still there for the next */
            MUST_OK(hank_accept(l, &s));
            MUST(hank_read(s, &byte, 1) == 1);
            hank_close(s);
        }
        hank_close(client);
    }
    hank_listener_close(l);
    return 0;
}

APP_TEST(a_second_acceptor_is_refused)
{
    (void)arg;
    hank_listener *l;
    hank_stream *s = NULL;
    MUST_OK(hank_listen(TCP, &l));
    hank_task acceptor = hank_spawn(accept_one, l);
    YIELD_UNTIL(is_accepting(l));
    MUST(hank_accept(l, &s) == -EBUSY);
    hank_listener_close(l);
    MUST(hank_await(acceptor) == -EBADF); /* and closing woke the first */
    return 0;
}

/* --- many ------------------------------------------------------------------------------------ */

/* One connection after the other, so that numbers are used again at once: each carries its own
 * bytes, and nobody may see another's. */
static int one_after_the_other(const char *where, int times)
{
    char name[200];
    hank_listener *l;
    MUST_OK(hank_listen(where, &l));
    MUST_OK(hank_listener_name(l, name, sizeof name));
    int fds = lasting_fds();
    for (uint32_t i = 0; i < (uint32_t)times; i++) {
        hank_stream *client, *server;
        uint32_t seen = 0;
        MUST_OK(hank_connect(name, &client));
        MUST_OK(hank_accept(l, &server));
        if (i % 3 == 0)
            MUST(hank_within(0, hank_read(server, &seen, sizeof seen)) == -ETIMEDOUT);
        MUST_OK(hank_write(client, &i, sizeof i));
        MUST_OK(hank_read_exact(server, &seen, sizeof seen));
        MUST(seen == i);
        hank_close(i % 2 ? client : server);
        MUST(hank_read(i % 2 ? server : client, &seen, sizeof seen) == 0);
        hank_close(i % 2 ? server : client);
    }
    MUST(lasting_fds() <= fds);
    hank_listener_close(l);
    return 0;
}

static int ten_thousand_app(void *arg)
{
    char where[64];
    MUST_OK(one_after_the_other(unix_where(where), 9000));
    return one_after_the_other(TCP, *(int *)arg);
}

Test(socket, ten_thousand_connections_leave_no_descriptor_and_mix_no_bytes, .timeout = 100)
{
    int tcp = 1000; /* fewer of these: each leaves a port in TIME_WAIT */
    run_with_each_size(ten_thousand_app, &tcp);
}

/* --- every failure --------------------------------------------------------------------------- */

#if HK_FAULTS
static int answer(void *arg)
{
    char buf[8];
    hank_stream *s;
    int rc = hank_accept(arg, &s);
    if (rc < 0)
        return rc;
    rc = (int)hank_read_line(s, buf, sizeof buf);
    if (rc > 0)
        rc = hank_write(s, "pong", 4);
    if (rc == 0)
        rc = hank_write_end(s);
    hank_close(s);
    return rc;
}

static int ask(void *arg)
{
    char buf[8];
    hank_stream *s;
    int rc = hank_connect(arg, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, "ping\n", 5);
    if (rc == 0)
        rc = hank_read_exact(s, buf, 4);
    hank_close(s);
    return rc;
}

/* A whole life by name: listen, look up, connect, send, receive, close. */
static int whole_life(void *arg)
{
    const char *where = arg;
    char name[200], by_name[64];
    hank_listener *l;
    int rc = hank_listen(where, &l);
    if (rc < 0)
        return rc;
    rc = hank_listener_name(l, name, sizeof name);
    snprintf(by_name, sizeof by_name, "tcp://localhost%s", strrchr(name, ':'));
    hank_task tasks[2] = {hank_spawn(answer, l), hank_spawn(ask, name[0] == 't' ? by_name : name)};
    rc = hank_within(HANK_SEC(10), hank_gather_n(tasks, 2, NULL));
    hank_listener_close(l);
    return rc;
}

static void fail_each(const char *where, hk_fault kind, int error)
{
    (void)hank_run_with(whole_life, (void *)(uintptr_t)where, .workers = 2); /* what stays, is */
    int fds = lasting_fds();
    uint64_t n = 0;
    bool hit;
    do {
        hk_fault_plan(kind, ++n, error);
        int rc = hank_run_with(whole_life, (void *)(uintptr_t)where, .workers = 2);
        hit = hk_fault_hit();
        hk_fault_clear();
        cr_assert_neq(rc, -ETIMEDOUT, "kind %d, call %d: it hung", (int)kind, (int)n);
        cr_assert(rc <= 0);
        cr_assert_eq(lasting_fds(), fds, "kind %d, call %d: descriptors", (int)kind, (int)n);
    } while (hit && n < 400);
    cr_assert_gt(n, 0u);
    cr_assert_lt(n, 400u);
}

/* Kinds that a connection's life meets; the runtime's own are its own tests' business. */
static const struct {
    hk_fault kind;
    int error;
} failures[] = {
    {HK_FAULT_SOCKET, -EMFILE},       {HK_FAULT_BIND, -EACCES},
    {HK_FAULT_LISTEN, -EADDRINUSE},   {HK_FAULT_ACCEPT, -EMFILE},
    {HK_FAULT_ACCEPT, -ECONNABORTED}, {HK_FAULT_CONNECT, -ENETUNREACH},
    {HK_FAULT_RECV, -ECONNRESET},     {HK_FAULT_SEND, -EPIPE},
    {HK_FAULT_SHUTDOWN, -ENOTCONN},   {HK_FAULT_SOCKOPT, -ENOPROTOOPT},
    {HK_FAULT_CLOSE, -EIO},           {HK_FAULT_EPOLL_CTL, -ENOSPC},
    {HK_FAULT_RESOLVE, -4098},        {HK_FAULT_OPEN, -ENOENT},
    {HK_FAULT_URING_ENTER, -EAGAIN},  {HK_FAULT_URING_REGISTER, -ENOMEM},
    {HK_FAULT_ALLOC, -ENOMEM},        {HK_FAULT_THREAD, -EAGAIN},
};

Test(socket, every_failing_call_in_a_life_over_tcp_is_reported_and_leaks_nothing, .timeout = 120)
{
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        fail_each(TCP, failures[i].kind, failures[i].error);
}

Test(socket, every_failing_call_in_a_life_over_unix_is_reported_and_leaks_nothing, .timeout = 120)
{
    char where[64];
    unix_where(where);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        fail_each(where, failures[i].kind, failures[i].error);
    (void)unlink(path_of(where)); /* a failing unlink leaves it */
}
#endif
