/* SPDX-License-Identifier: MIT */
/* system.c - what a system call answers, asked of the simulator and of the real system, about
 * descriptors, files, pipes and sockets. What both say here a program may rely on in a simulation.
 *
 * Short counts and interruptions may come at any call: each goes on until it is done. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/os.h"

#include "sim/sim_support.h"

enum { NOWHERE = 9999 }; /* no descriptor */

static char name_of_file[64], name_of_socket[64];

static void name_files(void)
{
    int me = (int)hk_os_process_id();
    (void)snprintf(name_of_file, sizeof name_of_file, "/tmp/hank-system-%d", me);
    (void)snprintf(name_of_socket, sizeof name_of_socket, "/tmp/hank-system-%d.socket", me);
}

static int poll_all(struct pollfd *fds, unsigned n, int64_t timeout_ns)
{
    int rc;
    do
        rc = hk_os_poll(fds, n, timeout_ns);
    while (rc == -EINTR);
    return rc;
}

static ssize_t write_all(int fd, const char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = hk_os_write(fd, bytes + done, n - done);
        if (put < 0 && put != -EINTR && put != -EAGAIN)
            return put;
        done += put > 0 ? (size_t)put : 0;
    }
    return (ssize_t)n;
}

/* Until there is something, or the end. */
static ssize_t read_some(int fd, char *ret, size_t n)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    for (;;) {
        ssize_t got = hk_os_read(fd, ret, n);
        if (got != -EINTR && got != -EAGAIN)
            return got;
        (void)poll_all(&wanted, 1, -1);
    }
}

static bool reads(int fd, const char *text)
{
    char seen[64];
    size_t n = strlen(text), done = 0;
    while (done < n) {
        ssize_t got = read_some(fd, seen + done, n - done);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return memcmp(seen, text, n) == 0;
}

static int no_descriptor(void)
{
    char c;
    struct stat about;
    struct pollfd wanted[2] = {{.fd = NOWHERE, .events = POLLIN}, {.fd = -1}};
    struct epoll_event event = {.events = EPOLLIN};
    MUST(hk_os_read(NOWHERE, &c, 1) == -EBADF);
    MUST(hk_os_write(NOWHERE, &c, 1) == -EBADF);
    MUST(hk_os_duplicate(NOWHERE) == -EBADF);
    MUST(hk_os_set_nonblocking(NOWHERE) == -EBADF);
    MUST(hk_os_set_cloexec(NOWHERE) == -EBADF);
    MUST(hk_os_access_mode(NOWHERE) == -EBADF);
    MUST(hk_os_fstat(NOWHERE, &about) == -EBADF);
    MUST(hk_os_listen(NOWHERE, 1) == -EBADF);
    MUST(poll_all(wanted, 2, 0) == 1);
    MUST(wanted[0].revents == POLLNVAL && wanted[1].revents == 0);
    int epoll = hk_os_epoll_create();
    MUST(epoll >= 0);
    MUST(hk_os_epoll_ctl(epoll, EPOLL_CTL_ADD, NOWHERE, &event) == -EBADF);
    MUST(hk_os_epoll_wait(NOWHERE, &event, 1, 0) == -EBADF);
    MUST(hk_os_close(epoll) == 0);
    MUST(hk_os_close(NOWHERE) == -EBADF);
    return 0;
}

static int files(void)
{
    struct stat about;
    char byte;
    MUST(hk_os_open("/tmp/hank-system-not-there", O_RDONLY) == -ENOENT);
    MUST(hk_os_stat("/tmp/hank-system-not-there", &about) == -ENOENT);
    MUST(hk_os_unlink("/tmp/hank-system-not-there") == -ENOENT);
    int fd = hk_os_open_mode(name_of_file, O_RDWR | O_CREAT | O_EXCL, 0600);
    MUST(fd >= 0);
    MUST(hk_os_open_mode(name_of_file, O_RDWR | O_CREAT | O_EXCL, 0600) == -EEXIST);
    MUST(hk_os_access_mode(fd) == O_RDWR && hk_os_has_positions(fd));
    MUST(write_all(fd, "hello", 5) == 5);
    MUST(read_some(fd, &byte, 1) == 0); /* it stands at the end */
    MUST(hk_os_fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size == 5);
    MUST(hk_os_stat_target(name_of_file, &about) == 0 && about.st_size == 5);
    int reader = hk_os_open(name_of_file, O_RDONLY);
    MUST(reader >= 0 && hk_os_access_mode(reader) == O_RDONLY);
    MUST(reads(reader, "hel"));
    MUST(hk_os_write(reader, "x", 1) == -EBADF);
    int again = hk_os_duplicate(reader); /* with the same place */
    MUST(again >= 0 && hk_os_close(reader) == 0);
    MUST(reads(again, "lo") && read_some(again, &byte, 1) == 0);
    int appender = hk_os_open(name_of_file, O_WRONLY | O_APPEND);
    MUST(appender >= 0 && hk_os_access_mode(appender) == O_WRONLY);
    MUST(write_all(appender, "!", 1) == 1);
    MUST(hk_os_read(appender, &byte, 1) == -EBADF);
    MUST(reads(again, "!"));
    MUST(hk_os_unlink(name_of_file) == 0);
    MUST(hk_os_fstat(fd, &about) == 0 && about.st_size == 6); /* until the last one is closed */
    return hk_os_close(fd) | hk_os_close(again) | hk_os_close(appender);
}

static int pipes(void)
{
    int fds[2];
    char byte;
    struct stat about;
    struct pollfd seen = {.events = POLLIN | POLLOUT};
    struct iovec parts[] = {{"wri", 3}, {NULL, 0}, {"tten", 4}};
    MUST(hk_os_pipe(fds) == 0);
    MUST(hk_os_set_nonblocking(fds[0]) == 0 && hk_os_set_cloexec(fds[0]) == 0);
    MUST(hk_os_access_mode(fds[0]) == O_RDONLY && hk_os_access_mode(fds[1]) == O_WRONLY);
    MUST(!hk_os_has_positions(fds[0]));
    MUST(hk_os_fstat(fds[0], &about) == 0 && S_ISFIFO(about.st_mode));
    MUST(hk_os_read(fds[1], &byte, 1) == -EBADF);
    MUST(hk_os_writev(fds[1], parts, 0) == 0);
    ssize_t put = hk_os_writev(fds[1], parts, 3);
    MUST(put > 0);
    MUST(write_all(fds[1], &"written"[put], (size_t)(7 - put)) == 7 - put);
    MUST(reads(fds[0], "written"));
    seen.fd = fds[1];
    MUST(poll_all(&seen, 1, -1) == 1 && seen.revents == POLLOUT);
    int other = hk_os_reopen(fds[1], O_WRONLY);
    MUST(other >= 0 && hk_os_close(fds[1]) == 0);
    MUST(hk_os_read(fds[0], &byte, 1) == -EAGAIN); /* there is another writer */
    MUST(hk_os_close(other) == 0);
    MUST(read_some(fds[0], &byte, 1) == 0);
    seen.fd = fds[0];
    MUST(poll_all(&seen, 1, -1) == 1 && seen.revents & POLLHUP);
    return hk_os_close(fds[0]);
}

static int number_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;
    int rc = hk_os_getsockopt(fd, level, option, &value, &length);
    return rc < 0 ? rc : value;
}

static int socket_pairs(void)
{
    int fds[2];
    char bytes[8];
    struct ucred who = {0};
    socklen_t length = sizeof who;
    struct iovec parts[] = {{"ab", 2}, {"cd", 2}};
    MUST(hk_os_socketpair(AF_INET, SOCK_STREAM, fds) == -EOPNOTSUPP);
    MUST(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds) == 0);
    MUST(number_of(fds[0], SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
    MUST(number_of(fds[0], SOL_SOCKET, SO_DOMAIN) == AF_UNIX);
    MUST(number_of(fds[0], SOL_SOCKET, SO_ACCEPTCONN) == 0);
    MUST(hk_os_getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &who, &length) == 0);
    MUST(who.pid == (pid_t)hk_os_process_id());
    ssize_t put = hk_os_sendv(fds[0], parts, 2);
    MUST(put > 0 && write_all(fds[0], &"abcd"[put], (size_t)(4 - put)) == 4 - put);
    MUST(reads(fds[1], "abcd"));
    MUST(hk_os_shutdown(fds[0], SHUT_WR) == 0);
    MUST(hk_os_write_quietly(fds[0], parts, 1) == -EPIPE);
    MUST(read_some(fds[1], bytes, 1) == 0);
    MUST(hk_os_close(fds[0]) == 0 && hk_os_close(fds[1]) == 0);
    MUST(hk_os_socketpair(AF_UNIX, SOCK_DGRAM, fds) == 0);
    MUST(hk_os_send(fds[0], "one", 3) == 3);
    MUST(read_some(fds[1], bytes, sizeof bytes) == 3);
    MUST(hk_os_recv(fds[1], bytes, sizeof bytes, 0) == -EAGAIN);
    return hk_os_close(fds[0]) | hk_os_close(fds[1]);
}

static int unix_sockets(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int listener = hk_os_socket(AF_UNIX, SOCK_STREAM, 0);
    int client = hk_os_socket(AF_UNIX, SOCK_STREAM, 0);
    int datagrams = hk_os_socket(AF_UNIX, SOCK_DGRAM, 0);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", name_of_socket);
    const struct sockaddr *where = (const struct sockaddr *)&at;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(at.sun_path));
    MUST(listener >= 0 && client >= 0 && datagrams >= 0);
    MUST(hk_os_connect(client, where, length) == -ENOENT);
    MUST(hk_os_bind(listener, where, length) == 0);
    MUST(hk_os_connect(client, where, length) == -ECONNREFUSED); /* nobody listens */
    MUST(hk_os_bind(client, where, length) == -EADDRINUSE);
    MUST(hk_os_listen(listener, 4) == 0);
    MUST(number_of(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    MUST(hk_os_accept(listener, NULL, NULL) == -EAGAIN);
    MUST(hk_os_connect(datagrams, where, length) == -EPROTOTYPE);
    MUST(hk_os_connect(client, where, length) == 0);
    MUST(hk_os_connect(client, where, length) == -EISCONN);
    int served = hk_os_accept(listener, NULL, NULL);
    MUST(served >= 0);
    MUST(write_all(client, "hi", 2) == 2 && reads(served, "hi"));
    MUST(hk_os_unlink(name_of_socket) == 0);
    return hk_os_close(served) | hk_os_close(client) | hk_os_close(datagrams) |
           hk_os_close(listener);
}

static int tcp_sockets(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in at = any;
    socklen_t length = sizeof at;
    const struct sockaddr *where = (const struct sockaddr *)&at;
    char byte;
    int listener = hk_os_socket(AF_INET, SOCK_STREAM, 0);
    int client = hk_os_socket(AF_INET, SOCK_STREAM, 0);
    MUST(listener >= 0 && client >= 0);
    MUST(hk_os_recv(client, &byte, 1, 0) == -ENOTCONN);
    MUST(hk_os_send(client, "x", 1) == -EPIPE);
    MUST(hk_os_getpeername(client, (struct sockaddr *)&at, &length) == -ENOTCONN);
    MUST(hk_os_bind(listener, (const struct sockaddr *)&any, sizeof any) == 0);
    MUST(hk_os_bind(listener, (const struct sockaddr *)&any, sizeof any) == -EINVAL);
    length = sizeof at;
    MUST(hk_os_getsockname(listener, (struct sockaddr *)&at, &length) == 0 && at.sin_port != 0);
    MUST(hk_os_bind(client, where, sizeof at) == -EADDRINUSE);
    MUST(hk_os_listen(listener, 4) == 0);
    int rc = hk_os_connect(client, where, sizeof at);
    MUST(rc == 0 || rc == -EINPROGRESS);
    struct pollfd seen = {.fd = listener, .events = POLLIN};
    MUST(poll_all(&seen, 1, -1) == 1);
    int served = hk_os_accept(listener, (struct sockaddr *)&at, &length);
    MUST(served >= 0 && at.sin_family == AF_INET && length == sizeof at);
    seen = (struct pollfd){.fd = client, .events = POLLOUT};
    MUST(poll_all(&seen, 1, -1) == 1);
    MUST(number_of(client, SOL_SOCKET, SO_ERROR) == 0);
    MUST(hk_os_getsockname(listener, (struct sockaddr *)&at, &length) == 0);
    rc = hk_os_connect(client, where, sizeof at); /* 0 once, from the system, after it waited */
    MUST(rc == 0 || rc == -EISCONN);
    MUST(hk_os_connect(client, where, sizeof at) == -EISCONN);
    MUST(write_all(client, "hello", 5) == 5 && reads(served, "hello"));
    struct linger none = {.l_onoff = 1};
    MUST(hk_os_setsockopt(served, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0);
    MUST(hk_os_close(served) == 0);
    MUST(read_some(client, &byte, 1) == -ECONNRESET);
    return hk_os_close(client) | hk_os_close(listener);
}

static int datagrams(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in at = any;
    socklen_t length = sizeof at;
    char bytes[2][8];
    int to = hk_os_socket(AF_INET, SOCK_DGRAM, 0), from = hk_os_socket(AF_INET, SOCK_DGRAM, 0);
    MUST(to >= 0 && from >= 0);
    MUST(hk_os_send(from, "x", 1) == -EDESTADDRREQ);
    MUST(hk_os_bind(to, (const struct sockaddr *)&any, sizeof any) == 0);
    MUST(hk_os_getsockname(to, (struct sockaddr *)&at, &length) == 0);
    MUST(hk_os_connect(from, (const struct sockaddr *)&at, sizeof at) == 0);
    struct iovec out[2] = {{"one", 3}, {"three", 5}}, in[2] = {{bytes[0], 8}, {bytes[1], 8}};
    struct mmsghdr sent[2] = {{.msg_hdr = {.msg_iov = &out[0], .msg_iovlen = 1}},
                              {.msg_hdr = {.msg_iov = &out[1], .msg_iovlen = 1}}};
    struct mmsghdr got[2] = {{.msg_hdr = {.msg_iov = &in[0], .msg_iovlen = 1}},
                             {.msg_hdr = {.msg_iov = &in[1], .msg_iovlen = 1}}};
    int n = hk_os_sendmmsg(from, sent, 2);
    MUST(n >= 1 && n <= 2 && sent[0].msg_len == 3);
    MUST(n == 2 || hk_os_send(from, "three", 5) == 5);
    struct pollfd seen = {.fd = to, .events = POLLIN};
    MUST(poll_all(&seen, 1, HANK_SEC(1)) >= 0);
    n = hk_os_recvmmsg(to, got, 2, 0);
    MUST(n == -EAGAIN || (n >= 1 && n <= 2)); /* none need arrive */
    for (int i = 0; i < n; i++)
        MUST(got[i].msg_len == 3 || got[i].msg_len == 5);
    return hk_os_close(to) | hk_os_close(from);
}

static int system_calls(void *arg)
{
    static int (*const all[])(void) = {no_descriptor, files,       pipes,    socket_pairs,
                                       unix_sockets,  tcp_sockets, datagrams};
    (void)arg;
    name_files();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int rc = all[i]();
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* In a task, as all of hank's own calls are. */
static int program(void *arg)
{
    return hank_run(system_calls, arg);
}

int main(void)
{
#if HK_SIM
    passes("system calls", program, NULL, NULL, 100);
    return failures != 0;
#else
    return program(NULL) != 0;
#endif
}
