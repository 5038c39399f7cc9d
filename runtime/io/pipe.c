/* SPDX-License-Identifier: MIT */
/* pipe.c - streams over pipes, terminals and other descriptors that have read(2) and write(2).
 *
 * Being non-blocking belongs to the open file, not to the descriptor: a shell whose terminal became
 * non-blocking behind its back would misbehave. So whoever keeps the descriptor gets a stream over
 * the same file opened once more, which Linux allows for all but sockets. */
#include <hank/unix.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/os.h"
#include "io/socket.h"
#include "io/stream.h"

static ssize_t try_read(int fd, void *what)
{
    struct iovec *memory = what;
    return hk_os_read_stream(fd, memory->iov_base, memory->iov_len);
}

static ssize_t pipe_read(hank_stream *s, void *ret_buf, size_t n)
{
    return hk_fd_attempt(&s->fd, HK_IN, try_read, &(struct iovec){ret_buf, n});
}

static ssize_t try_write(int fd, void *what)
{
    const hk_parts *p = what;
    return hk_os_write_quietly(fd, p->list, p->n);
}

static ssize_t pipe_writev(hank_stream *s, const struct iovec *list, int n)
{
    return hk_fd_attempt(&s->fd, HK_OUT, try_write, &(hk_parts){list, n});
}

static ssize_t pipe_write(hank_stream *s, const void *buf, size_t n)
{
    return pipe_writev(s, &(struct iovec){(void *)(uintptr_t)buf, n}, 1);
}

static ssize_t pipe_try_write(hank_stream *s, const void *buf, size_t n)
{
    return hk_os_write_quietly(s->fd.fd, &(struct iovec){(void *)(uintptr_t)buf, n}, 1);
}

static int pipe_write_end(hank_stream *s)
{
    (void)s;
    return -ENOTSUP; /* a pipe has one direction: its end is the end of the descriptor */
}

const hk_stream_kind hk_stream_pipe = {
    .bytes = sizeof(hank_stream),
    .direct = true,
    .read = pipe_read,
    .write = pipe_write,
    .writev = pipe_writev,
    .write_end = pipe_write_end,
    .try_write = pipe_try_write,
};

/* --- from descriptors ----------------------------------------------------------------------- */

/* A descriptor of our own for the file behind `fd`. */
static int copy_of(int fd, bool is_socket)
{
    if (is_socket)
        return hk_os_duplicate(fd);
    int mode = hk_os_access_mode(fd);
    return mode < 0 ? mode : hk_os_reopen(fd, mode | O_NONBLOCK | O_NOCTTY);
}

/* What is a child's by its number stays so: standard input, output and error. */
static int take(int fd)
{
    return fd <= 2 ? hk_os_set_nonblocking(fd) : hk_socket_take(fd);
}

int hank_stream_from_fd(int fd, unsigned flags, hank_stream **ret)
{
    struct stat file;
    if (flags & ~(unsigned)HANK_KEEP_FD)
        return -EINVAL;
    int rc = hk_os_fstat(fd, &file);
    if (rc < 0)
        return rc;
    bool is_socket = S_ISSOCK(file.st_mode);
    if (!is_socket && !S_ISFIFO(file.st_mode) && !S_ISCHR(file.st_mode))
        return -ENOTSUP;
    int family = is_socket ? hk_socket_family(fd, SOCK_STREAM) : 0;
    if (family < 0)
        return family;
    hank_stream *s = hk_stream_new(is_socket ? &hk_stream_socket : &hk_stream_pipe);
    if (!s)
        return -ENOMEM;
    int own = flags & HANK_KEEP_FD ? copy_of(fd, is_socket) : fd;
    rc = own < 0 ? own : take(own);
    if (rc < 0) {
        if (own >= 0 && own != fd)
            (void)hk_os_close(own); /* a mere copy */
        hank_close(s);
        return rc;
    }
    if (is_socket)
        hk_socket_adopt(s, own, family);
    else
        hk_fd_adopt(&s->fd, own, HK_INPUT_EVENTS, false);
    *ret = s;
    return 0;
}

/* Two streams of that kind for what `make` makes. */
static int two_streams(const hk_stream_kind *kind, int make(int ret_fds[2]), hank_stream *ret[2])
{
    int fds[2];
    ret[0] = hk_stream_new(kind);
    ret[1] = hk_stream_new(kind);
    int rc = ret[0] && ret[1] ? make(fds) : -ENOMEM;
    for (int i = 0; i < 2; i++) {
        if (rc < 0)
            hank_close(ret[i]);
        else
            hk_fd_adopt(&ret[i]->fd, fds[i], HK_INPUT_EVENTS, false);
    }
    return rc;
}

static int make_socketpair(int ret_fds[2])
{
    return hk_os_socketpair(AF_UNIX, SOCK_STREAM, ret_fds);
}

int hank_pipe(hank_stream **ret_read, hank_stream **ret_write)
{
    hank_stream *both[2];
    int rc = two_streams(&hk_stream_pipe, hk_os_pipe, both);
    if (rc < 0)
        return rc;
    *ret_read = both[0];
    *ret_write = both[1];
    return 0;
}

int hank_stream_pair(hank_stream **ret_a, hank_stream **ret_b)
{
    hank_stream *both[2];
    int rc = two_streams(&hk_stream_socket, make_socketpair, both);
    if (rc < 0)
        return rc;
    *ret_a = both[0];
    *ret_b = both[1];
    return 0;
}
