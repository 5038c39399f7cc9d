/* SPDX-License-Identifier: MIT */
/* ends_test.c - how streams begin and end: descriptors, options, aborts; and what travels over Unix
 * sockets. */
#include "io/net_support.h"

#include <hank/layer.h>
#include <hank/server.h>

#include <netinet/tcp.h>
#include <sys/socket.h>

/* --- abort ----------------------------------------------------------------------------------- */

OVER(abort, IS_TCP, the_other_end_of_a_connection_gets_a_reset)
{
    char byte;
    MUST(hank_write(e->a, "x", 1) == 0);
    MUST(hank_read_exact(e->b, &byte, 1) == 0);
    hank_abort(e->a);
    e->a = NULL;
    MUST(hank_read(e->b, &byte, 1) == -ECONNRESET);
    return 0;
}

OVER(abort, IS_UNIX, the_other_end_of_a_unix_socket_reads_the_end)
{
    char byte;
    hank_abort(e->a);
    e->a = NULL;
    MUST(hank_read(e->b, &byte, 1) == 0);
    return 0;
}

static int read_one(void *s)
{
    char byte;
    RETURN_WHEN_LET_IN(hank_read(s, &byte, 1));
}

OVER(abort, ANY, whoever_waits_gets_ebadf)
{
    char byte;
    hank_task reader = hank_spawn(read_one, e->b);
    UNTIL_TAKEN(hank_read(e->b, &byte, 0));
    hank_abort(e->b);
    e->b = NULL;
    MUST(hank_await(reader) == -EBADF);
    return 0;
}

/* What is a layer itself may not be able to tell. */
OVER(trywrite, ANY, writes_what_there_is_room_for)
{
    char buf[3];
    ssize_t put = hank_trywrite(e->a, "abc", 3);
    MUST(put == 3 || put == -ENOTSUP);
    MUST(put < 0 || (hank_read_exact(e->b, buf, 3) == 0 && memcmp(buf, "abc", 3) == 0));
    return 0;
}

static int greet_in_parts(hank_stream *s, void *arg)
{
    struct iovec parts[2] = {{(char[]){"he"}, 2}, {(char[]){"llo"}, 3}};
    char byte;
    (void)arg;
    MUST(hank_writev(s, parts, 2) == 0);
    MUST(hank_write_end(s) == 0);
    MUST(hank_read_exact(s, &byte, 1) == 0);
    return 0;
}

static int run_server(void *v)
{
    return hank_server_run(v, greet_in_parts, NULL);
}

ALONE(served, streams_are_written_in_parts_and_half_closed)
{
    hank_server *v;
    hank_stream *s;
    char name[128], buf[8];
    (void)arg;
    MUST(hank_server_open("tcp://127.0.0.1:0", NULL, &v) == 0);
    MUST(hank_server_name(v, name, sizeof name) == 0);
    hank_task running = hank_spawn(run_server, v);
    MUST(hank_connect(name, &s) == 0);
    MUST(hank_read_exact(s, buf, 5) == 0 && memcmp(buf, "hello", 5) == 0);
    MUST(hank_read(s, buf, 1) == 0);
    MUST(hank_write(s, "x", 1) == 0);
    hank_close(s);
    MUST(hank_server_stop(v, HANK_SEC(1)) == 0);
    MUST(hank_await(running) == 0);
    hank_server_free(v);
    return 0;
}

ALONE(abort, of_nothing_is_fine)
{
    (void)arg;
    hank_abort(NULL);
    return 0;
}

OVER(abort, IS_TCP, a_reset_while_writing_ends_the_write)
{
    static char block[1 << 20];
    hank_abort(e->b);
    e->b = NULL;
    int rc = 0;
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (rc == 0 && hank_now() < give_up)
        rc = hank_write(e->a, block, sizeof block);
    MUST(rc == -ECONNRESET || rc == -EPIPE);
    MUST(hank_write(e->a, "x", 1) < 0);
    return 0;
}

/* --- descriptors ----------------------------------------------------------------------------- */

OVER(pipe, IS_PIPE, has_one_direction)
{
    char byte;
    MUST(hank_read(e->a, &byte, 1) == -EBADF);
    MUST(hank_write(e->b, "x", 1) == -EBADF);
    MUST(hank_write_end(e->a) == -ENOTSUP);
    return 0;
}

OVER(pipe, IS_PIPE, its_end_is_the_end_of_the_writer)
{
    char buf[4];
    MUST(hank_write(e->a, "abc", 3) == 0);
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_read(e->b, buf, 4) == 3);
    MUST(hank_read(e->b, buf, 4) == 0);
    MUST(hank_read(e->b, buf, 4) == 0);
    return 0;
}

static bool is_nonblocking(int fd)
{
    return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

ALONE(from_fd, a_descriptor_that_is_taken_goes_with_the_stream)
{
    int fds[2];
    char byte;
    hank_stream *s;
    (void)arg;
    MUST(pipe(fds) == 0);
    MUST(hank_stream_from_fd(fds[0], 0, &s) == 0);
    MUST(is_nonblocking(fds[0]) && fcntl(fds[0], F_GETFD) == FD_CLOEXEC);
    MUST(write(fds[1], "x", 1) == 1);
    MUST(hank_read(s, &byte, 1) == 1 && byte == 'x');
    hank_close(s);
    MUST(fcntl(fds[0], F_GETFD) < 0);
    close(fds[1]);
    return 0;
}

ALONE(from_fd, one_that_is_kept_stays_as_it_was)
{
    int fds[2];
    char byte;
    hank_stream *s;
    (void)arg;
    MUST(pipe(fds) == 0);
    MUST(hank_stream_from_fd(fds[0], HANK_KEEP_FD, &s) == 0);
    MUST(!is_nonblocking(fds[0]));
    MUST(write(fds[1], "xy", 2) == 2);
    MUST(hank_read(s, &byte, 1) == 1 && byte == 'x');
    hank_close(s);
    MUST(read(fds[0], &byte, 1) == 1 && byte == 'y');
    close(fds[0]);
    close(fds[1]);
    return 0;
}

ALONE(from_fd, a_socket_that_is_kept_outlives_the_stream)
{
    int fds[2];
    hank_stream *s;
    (void)arg;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    MUST(hank_stream_from_fd(fds[0], HANK_KEEP_FD, &s) == 0);
    MUST(hank_write(s, "x", 1) == 0);
    hank_close(s);
    MUST(write(fds[0], "y", 1) == 1);
    char buf[2];
    MUST(read(fds[1], buf, 2) == 2 && memcmp(buf, "xy", 2) == 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

ALONE(from_fd, a_character_device_is_a_stream)
{
    char buf[4] = "xxx";
    hank_stream *s;
    (void)arg;
    int fd = open("/dev/zero", O_RDWR);
    MUST(hank_stream_from_fd(fd, 0, &s) == 0);
    MUST(hank_read_exact(s, buf, 4) == 0 && buf[0] == 0 && buf[3] == 0);
    MUST(hank_write(s, buf, 4) == 0);
    hank_close(s);
    return 0;
}

ALONE(from_fd, what_is_no_stream_is_refused_and_stays_the_callers)
{
    hank_stream *s;
    char path[] = "/tmp/hank-ends-XXXXXX";
    (void)arg;
    int file = mkstemp(path);
    (void)unlink(path);
    int dgram = socket(AF_INET, SOCK_DGRAM, 0);
    int dir = open("/tmp", O_RDONLY | O_DIRECTORY);
    MUST(hank_stream_from_fd(file, 0, &s) == -ENOTSUP);
    MUST(hank_stream_from_fd(dir, 0, &s) == -ENOTSUP);
    MUST(hank_stream_from_fd(dgram, 0, &s) == -EPROTOTYPE);
    MUST(hank_stream_from_fd(-1, 0, &s) == -EBADF);
    MUST(hank_stream_from_fd(99999, 0, &s) == -EBADF);
    MUST(hank_stream_from_fd(file, 2, &s) == -EINVAL);
    MUST(close(file) == 0 && close(dgram) == 0 && close(dir) == 0);
    return 0;
}

/* --- options --------------------------------------------------------------------------------- */

static int option_of(hank_stream *s, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(s->fd.fd, level, name, &value, &length) == 0 ? value : -1;
}

OVER(descriptor, ANY, of_a_stream_is_told)
{
    int fd = hank_stream_fd(e->a), other = hank_stream_fd(e->b);
    MUST(fd >= 0 && other >= 0 && fd != other);
    MUST(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    return 0;
}

OVER(descriptor, PLAIN, of_a_stream_carries_its_bytes)
{
    char byte;
    MUST(write(hank_stream_fd(e->a), "x", 1) == 1);
    MUST(hank_read(e->b, &byte, 1) == 1 && byte == 'x');
    return 0;
}

OVER(options, IS_TCP, are_set)
{
    hank_socket_options o = {.delay = true,
                             .keep_alive = true,
                             .keep_alive_idle = 30,
                             .keep_alive_interval = 5,
                             .keep_alive_count = 3,
                             .give_up_ms = 7000};
    MUST(option_of(e->a, IPPROTO_TCP, TCP_NODELAY) > 0);
    MUST(hank_stream_set_options(e->a, &o) == 0);
    MUST(option_of(e->a, IPPROTO_TCP, TCP_NODELAY) == 0);
    MUST(option_of(e->a, SOL_SOCKET, SO_KEEPALIVE) > 0);
    MUST(option_of(e->a, IPPROTO_TCP, TCP_KEEPIDLE) == 30);
    MUST(option_of(e->a, IPPROTO_TCP, TCP_KEEPINTVL) == 5);
    MUST(option_of(e->a, IPPROTO_TCP, TCP_KEEPCNT) == 3);
    MUST(option_of(e->a, IPPROTO_TCP, TCP_USER_TIMEOUT) == 7000);
    MUST(hank_stream_set_options(e->a, NULL) == 0); /* the defaults again */
    MUST(option_of(e->a, IPPROTO_TCP, TCP_NODELAY) > 0);
    MUST(option_of(e->a, SOL_SOCKET, SO_KEEPALIVE) == 0);
    return 0;
}

OVER(options, IS_SOCKET, set_the_sizes_of_buffers)
{
    hank_socket_options o = {.send_buffer = 20000, .receive_buffer = 30000};
    MUST(hank_stream_set_options(e->a, &o) == 0);
    MUST(option_of(e->a, SOL_SOCKET, SO_SNDBUF) == 40000); /* the kernel's own share is added */
    MUST(option_of(e->a, SOL_SOCKET, SO_RCVBUF) == 60000);
    return 0;
}

OVER(options, IS_UNIX, that_only_tcp_has_are_passed_over)
{
    MUST(hank_stream_set_options(e->a, &(hank_socket_options){.keep_alive = true, .delay = true}) ==
         0);
    return 0;
}

OVER(options, IS_SOCKET, out_of_range_are_refused)
{
    MUST(hank_stream_set_options(e->a, &(hank_socket_options){.reserved_ = {1}}) == -EINVAL);
    MUST(hank_stream_set_options(e->a, &(hank_socket_options){.send_buffer = ~0u}) == -EINVAL);
    return 0;
}

OVER(options, IS_PIPE, are_for_sockets)
{
    MUST(hank_stream_set_options(e->a, NULL) == -ENOTSOCK);
    return 0;
}

ALONE(options, say_from_where_to_connect)
{
    hank_listener *l;
    hank_stream *s, *t;
    char name[64], local[64], peer[64];
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    hank_connect_options o = {.local = "tcp://127.0.0.2:0", .socket = {.keep_alive = true}};
    MUST(hank_connect_opt(name, &o, &s) == 0);
    MUST(hank_accept(l, &t) == 0);
    MUST(hank_stream_local(s, local, sizeof local) == 0);
    MUST(strncmp(local, "tcp://127.0.0.2:", 16) == 0);
    MUST(hank_stream_peer(t, peer, sizeof peer) == 0 && strcmp(peer, local) == 0);
    MUST(option_of(s, SOL_SOCKET, SO_KEEPALIVE) > 0);
    hank_close(s);
    hank_close(t);
    o.local = name; /* the listener's */
    MUST(hank_connect_opt(name, &o, &s) == -EADDRINUSE);
    o.local = "tcp://localhost:0"; /* a name */
    MUST(hank_connect_opt(name, &o, &s) == -EINVAL);
    o.local = "tcp://[::1]:0"; /* another family */
    MUST(hank_connect_opt(name, &o, &s) == -EINVAL);
    o.local = "nonsense";
    MUST(hank_connect_opt(name, &o, &s) == -EINVAL);
    o.local = "tcp://192.0.2.1:0"; /* not ours */
    MUST(hank_connect_opt(name, &o, &s) == -EADDRNOTAVAIL);
    o = (hank_connect_options){.reserved_ = {1}};
    MUST(hank_connect_opt(name, &o, &s) == -EINVAL);
    hank_listener_close(l);
    return 0;
}

/* --- Unix ------------------------------------------------------------------------------------ */

OVER(fds, IS_UNIX, come_with_the_bytes_and_are_the_same_file)
{
    int fds[2], got[4], own[2];
    size_t count = 4;
    char buf[16];
    MUST(pipe2(fds, O_CLOEXEC) == 0);
    MUST(hank_send_fds(e->a, "here", 4, fds, 2) == 0);
    MUST(hank_recv_fds(e->b, buf, sizeof buf, got, &count) == 4 && memcmp(buf, "here", 4) == 0);
    MUST(count == 2);
    memcpy(own, got, sizeof own);
    MUST(write(own[1], "x", 1) == 1 && read(fds[0], buf, 1) == 1 && buf[0] == 'x');
    for (int i = 0; i < 2; i++) {
        MUST(fcntl(own[i], F_GETFD) == FD_CLOEXEC);
        close(own[i]);
        close(fds[i]);
    }
    return 0;
}

OVER(fds, IS_UNIX, without_room_are_closed)
{
    int fds[3] = {dup(0), dup(0), dup(0)}, got[1];
    size_t count = 1;
    char buf[4];
    MUST(hank_send_fds(e->a, "abc", 3, fds, 3) == 0);
    MUST(hank_recv_fds(e->b, buf, 4, got, &count) == 3 && count == 1);
    close(got[0]);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    return 0; /* the runner counts what is left */
}

OVER(fds, IS_UNIX, are_closed_by_a_plain_read)
{
    int fd = dup(0);
    char buf[4];
    MUST(hank_send_fds(e->a, "abc", 3, &fd, 1) == 0);
    MUST(hank_read(e->b, buf, 4) == 3);
    close(fd);
    return 0;
}

OVER(fds, IS_UNIX, most_of_the_kernels_limit_pass_at_once)
{
    int fds[HANK_FDS_MAX], got[HANK_FDS_MAX];
    size_t count = HANK_FDS_MAX;
    char byte;
    int one = dup(0);
    for (int i = 0; i < HANK_FDS_MAX; i++)
        fds[i] = one;
    MUST(hank_send_fds(e->a, "x", 1, fds, HANK_FDS_MAX) == 0);
    MUST(hank_recv_fds(e->b, &byte, 1, got, &count) == 1 && count == HANK_FDS_MAX);
    for (int i = 0; i < HANK_FDS_MAX; i++)
        close(got[i]);
    close(one);
    return 0;
}

OVER(fds, IS_UNIX, do_not_come_with_bytes_that_were_read_too_far)
{
    int got[1];
    size_t count = 1;
    char buf[8];
    MUST(hank_write(e->a, "line\nmore", 9) == 0);
    MUST(hank_read_line(e->b, buf, 8) == 5);
    MUST(hank_recv_fds(e->b, buf, 8, got, &count) == 4 && count == 0);
    return 0;
}

OVER(fds, IS_UNIX, the_bytes_wait_for_what_a_cork_holds)
{
    int fd = dup(0), got[1];
    size_t count = 1;
    char buf[8];
    MUST(hank_cork(e->a, 100, 0) == 0);
    MUST(hank_write(e->a, "first", 5) == 0);
    MUST(hank_send_fds(e->a, "x", 1, &fd, 1) == 0);
    MUST(hank_read_exact(e->b, buf, 5) == 0 && memcmp(buf, "first", 5) == 0);
    MUST(hank_recv_fds(e->b, buf, 8, got, &count) == 1 && count == 1);
    close(got[0]);
    close(fd);
    return 0;
}

OVER(fds, IS_UNIX, out_of_range_are_refused)
{
    int fds[1] = {0}, gone = 99999;
    size_t count = 1;
    char byte;
    MUST(hank_send_fds(e->a, "x", 0, fds, 1) == -EINVAL);
    MUST(hank_send_fds(e->a, "x", 1, fds, 0) == -EINVAL);
    MUST(hank_send_fds(e->a, "x", 1, fds, HANK_FDS_MAX + 1) == -EINVAL);
    MUST(hank_send_fds(e->a, "x", 1, &gone, 1) == -EBADF);
    MUST(hank_recv_fds(e->b, &byte, 0, fds, &count) == -EINVAL);
    MUST(hank_write(e->a, "y", 1) == 0); /* nothing was sent, nothing is broken */
    MUST(hank_read(e->b, &byte, 1) == 1 && byte == 'y');
    return 0;
}

OVER(fds, IS_TCP, do_not_travel_over_tcp)
{
    int fds[1] = {0};
    size_t count = 1;
    char byte;
    hank_credentials who;
    MUST(hank_send_fds(e->a, "x", 1, fds, 1) == -ENOTSUP);
    MUST(hank_recv_fds(e->b, &byte, 1, fds, &count) == -ENOTSUP);
    MUST(hank_peer_credentials(e->a, &who) == -ENOTSUP);
    return 0;
}

OVER(fds, IS_PIPE, do_not_travel_over_pipes)
{
    int fds[1] = {0};
    size_t count = 1;
    char byte;
    MUST(hank_send_fds(e->a, "x", 1, fds, 1) == -ENOTSUP);
    MUST(hank_recv_fds(e->b, &byte, 1, fds, &count) == -ENOTSUP);
    return 0;
}

OVER(credentials, IS_UNIX, say_who_is_there)
{
    hank_credentials a, b;
    MUST(hank_peer_credentials(e->a, &a) == 0 && hank_peer_credentials(e->b, &b) == 0);
    MUST(a.process == getpid() && a.user == getuid() && a.group == getgid());
    MUST(b.process == getpid() && b.user == getuid() && b.group == getgid());
    return 0;
}

ALONE(abstract, a_name_has_no_file_and_is_free_after_the_close)
{
    hank_listener *l, *second;
    hank_stream *s;
    char where[64], name[128];
    (void)arg;
    snprintf(where, sizeof where, "unix://@hank-ends-%d", (int)getpid());
    MUST(hank_listen(where, &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0 && strcmp(name, where) == 0);
    MUST(hank_listen(where, &second) == -EADDRINUSE);
    hank_listener_close(l);
    MUST(hank_connect(where, &s) == -ECONNREFUSED);
    MUST(hank_listen(where, &l) == 0);
    hank_listener_close(l);
    return 0;
}
