/* SPDX-License-Identifier: MIT */
/* adopt_test.c - listeners and endpoints out of sockets that somebody else has made. */
#include "io/net_support.h"

#include <hank/datagram.h>

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fault.h"

/* A socket of IPv4 at a port of the system's choice; not closed on exec, and blocking. */
static int bound_socket(int type)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type, 0);
    CHECK(bind(fd, (struct sockaddr *)(void *)&any, sizeof any) == 0);
    return fd;
}

/* A Unix socket at `path`. */
static int bound_unix(int type, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    (void)unlink(path);
    CHECK(bind(fd, (struct sockaddr *)(void *)&un, sizeof un) == 0);
    return fd;
}

static const char *path_of(char *ret, size_t n, const char *what)
{
    (void)snprintf(ret, n, "/tmp/hank-adopt-%s-%d", what, (int)getpid());
    return ret;
}

static bool was_prepared(int fd)
{
    return fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* A byte from a client of `l`, which is closed. */
static int serve_one(hank_listener *l)
{
    hank_stream *a, *b;
    char name[200], byte = 0;
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    MUST(hank_connect(name, &a) == 0 && hank_accept(l, &b) == 0);
    MUST(hank_write(a, "x", 1) == 0 && hank_read_exact(b, &byte, 1) == 0 && byte == 'x');
    hank_close(a);
    hank_close(b);
    hank_listener_close(l);
    return 0;
}

ALONE(listener_from, a_listening_socket_accepts)
{
    hank_listener *l;
    int fd = bound_socket(SOCK_STREAM);
    (void)arg;
    MUST(listen(fd, 5) == 0 && hank_listener_from_fd(fd, &l) == 0);
    MUST(hank_listener_fd(l) == fd && was_prepared(fd));
    return serve_one(l);
}

ALONE(listener_from, the_file_of_a_unix_socket_stays)
{
    hank_listener *l;
    char path[64];
    int fd = bound_unix(SOCK_STREAM, path_of(path, sizeof path, "l"));
    (void)arg;
    MUST(listen(fd, 5) == 0 && hank_listener_from_fd(fd, &l) == 0);
    MUST(serve_one(l) == 0);
    return unlink(path);
}

/* They are still the caller's. */
static void close_both(const int fds[2])
{
    CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
}

ALONE(listener_from, what_does_not_listen_is_refused_and_stays_the_callers)
{
    hank_listener *l;
    int fds[2] = {bound_socket(SOCK_STREAM), bound_socket(SOCK_DGRAM)};
    (void)arg;
    MUST(hank_listener_from_fd(fds[0], &l) == -EPROTOTYPE);
    MUST(hank_listener_from_fd(fds[1], &l) == -EPROTOTYPE);
    close_both(fds);
    MUST(pipe(fds) == 0);
    MUST(hank_listener_from_fd(fds[0], &l) == -EPROTOTYPE);
    close_both(fds);
    MUST(hank_listener_from_fd(-1, &l) == -EBADF);
    return 0;
}

/* What is sent to its name is received. */
static int receive_one(hank_endpoint *e)
{
    hank_endpoint *other;
    char name[200], byte = 0;
    MUST(hank_endpoint_name(e, name, sizeof name) == 0);
    MUST(hank_endpoint_open(NULL, name, NULL, &other) == 0);
    MUST(hank_endpoint_send(other, "x", 1) == 0);
    MUST(hank_endpoint_recv(e, &byte, 1, NULL) == 1 && byte == 'x');
    hank_endpoint_close(other);
    hank_endpoint_close(e);
    return 0;
}

ALONE(endpoint_from, a_bound_socket_receives)
{
    hank_endpoint *e;
    int fd = bound_socket(SOCK_DGRAM);
    (void)arg;
    MUST(hank_endpoint_from_fd(fd, &e) == 0);
    MUST(hank_endpoint_fd(e) == fd && was_prepared(fd));
    return receive_one(e);
}

ALONE(endpoint_from, the_file_of_a_unix_socket_stays)
{
    hank_endpoint *e;
    char path[64];
    (void)arg;
    MUST(hank_endpoint_from_fd(bound_unix(SOCK_DGRAM, path_of(path, sizeof path, "d")), &e) == 0);
    MUST(receive_one(e) == 0);
    return unlink(path);
}

ALONE(endpoint_from, connected_sockets_talk_to_each_other)
{
    hank_endpoint *a, *b;
    char buf[8];
    int fds[2];
    (void)arg;
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
    MUST(hank_endpoint_from_fd(fds[0], &a) == 0 && hank_endpoint_from_fd(fds[1], &b) == 0);
    MUST(hank_endpoint_send(a, "over", 4) == 0);
    MUST(hank_endpoint_recv(b, buf, sizeof buf, NULL) == 4);
    MUST(hank_within(HANK_MS(2), hank_endpoint_recv(b, buf, sizeof buf, NULL)) == -ETIMEDOUT);
    hank_endpoint_close(a);
    hank_endpoint_close(b);
    return 0;
}

ALONE(endpoint_from, a_batch_is_cut_as_by_any_other)
{
    hank_endpoint *a, *b;
    char name[64], buf[8];
    hank_address to;
    hank_datagram d = {.data = (void *)"aabb", .size = 4, .segment = 2, .address = &to};
    (void)arg;
    MUST(hank_endpoint_from_fd(bound_socket(SOCK_DGRAM), &a) == 0);
    MUST(hank_endpoint_from_fd(bound_socket(SOCK_DGRAM), &b) == 0);
    MUST(hank_endpoint_name(b, name, sizeof name) == 0 && hank_address_parse(name, &to) == 0);
    MUST(hank_endpoint_send_batch(a, &d, 1) == 1);
    MUST(hank_endpoint_recv(b, buf, sizeof buf, NULL) == 2);
    MUST(hank_endpoint_recv(b, buf, sizeof buf, NULL) == 2);
    hank_endpoint_close(a);
    hank_endpoint_close(b);
    return 0;
}

ALONE(endpoint_from, what_is_no_datagram_socket_is_refused_and_stays_the_callers)
{
    hank_endpoint *e;
    int fds[2];
    (void)arg;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    MUST(hank_endpoint_from_fd(fds[0], &e) == -EPROTOTYPE);
    close_both(fds);
    MUST(pipe(fds) == 0);
    MUST(hank_endpoint_from_fd(fds[0], &e) == -EPROTOTYPE);
    close_both(fds);
    MUST(hank_endpoint_from_fd(-1, &e) == -EBADF);
    return 0;
}

#if HK_FAULTS
static int without_memory(void *arg)
{
    hank_endpoint *e;
    hank_listener *l;
    int fds[2] = {bound_socket(SOCK_DGRAM), bound_socket(SOCK_STREAM)};
    (void)arg;
    MUST(listen(fds[1], 5) == 0);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    int rc = hank_endpoint_from_fd(fds[0], &e);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    int its = hank_listener_from_fd(fds[1], &l);
    hk_fault_clear();
    MUST(rc == -ENOMEM && its == -ENOMEM);
    close_both(fds);
    return 0;
}

Test(endpoint_from, without_memory_the_socket_stays_the_callers)
{
    with_workers(1, without_memory, NULL); /* nobody else may run into the fault */
}

static int adopt_endpoint(int fd)
{
    hank_endpoint *e;
    int rc = hank_endpoint_from_fd(fd, &e);
    if (rc == 0)
        hank_endpoint_close(e);
    return rc;
}

static int adopt_listener(int fd)
{
    hank_listener *l;
    int rc = hank_listener_from_fd(fd, &l);
    if (rc == 0)
        hank_listener_close(l);
    return rc;
}

/* Whichever call of the system is refused. */
static int refuse_each(void *arg)
{
    static const hk_fault calls[] = {HK_FAULT_SOCKOPT, HK_FAULT_OPEN};
    (void)arg;
    for (int i = 0; i < 4; i++) {
        int rc = -1;
        for (uint64_t nth = 1; rc < 0; nth++) {
            int fd = bound_socket(i % 2 ? SOCK_STREAM : SOCK_DGRAM);
            MUST(i % 2 == 0 || listen(fd, 5) == 0);
            MUST(nth < 10);
            hk_fault_plan(calls[i / 2], nth, -ENOBUFS);
            rc = i % 2 ? adopt_listener(fd) : adopt_endpoint(fd);
            hk_fault_clear();
            MUST(rc == 0 || rc == -ENOBUFS || rc == -EPROTOTYPE);
            if (rc < 0)
                MUST(close(fd) == 0); /* it is still ours */
        }
    }
    return 0;
}

Test(from, whatever_is_refused_the_socket_stays_the_callers)
{
    with_workers(1, refuse_each, NULL);
}
#endif
