/* SPDX-License-Identifier: MIT */
/* socket.c - sockets and pipes: what one is, what is ready, reading, writing, closing.
 *
 * Who finds whom is in connect.c, how bytes travel in stream.c, datagrams are in dgram.c. */
#include "sim/socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/os.h"

enum { ALL_NEWS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR };
enum { CUT_MIN_NS = 10 * 1000 };
#define CUT_MAX_NS INT64_C(20000000000) /* the latest that a connection which is cut is cut */

/* --- life ---------------------------------------------------------------------------------- */

hk_sim_socket *hk_sim_socket_new(int family, int type)
{
    hk_sim_socket *s = hk_sim_new(sizeof *s);
    s->file.kind = &hk_sim_sockets;
    s->family = family;
    s->type = type;
    s->local = (hk_sim_address){.length = sizeof(sa_family_t)};
    s->local.name.any.sa_family = (sa_family_t)family;
    s->peer = s->local;
    hk_list_init(&s->line);
    hk_list_init(&s->mail);
    hk_list_init(&s->coming);
    return s;
}

hk_sim_socket *hk_sim_socket_of_file(hk_sim_file *f)
{
    return f && f->kind == &hk_sim_sockets ? (hk_sim_socket *)f : NULL;
}

hk_sim_socket *hk_sim_socket_of(int fd, int *ret_error)
{
    hk_sim_file *f = hk_sim_file_of(fd);
    hk_sim_socket *s = hk_sim_socket_of_file(f);
    *ret_error = s ? 0 : f ? -ENOTSOCK : -EBADF;
    return s;
}

static bool is_far(const hk_sim_socket *s)
{
    return s->family != AF_UNIX;
}

static void cut_now(hk_sim_event *e)
{
    hk_sim_socket *s = hk_container_of(e, hk_sim_socket, step);
    hk_sim_note("cut", s->state, 0);
    if (s->state != HK_SIM_CONNECTED)
        return;
    if (s->out)
        hk_sim_lane_reset(s->out);
    hk_sim_socket_break(s, -ECONNRESET);
}

void hk_sim_socket_join(hk_sim_socket *a, hk_sim_socket *b)
{
    a->out = b->in = hk_sim_lane_new(&a->file, &b->file, is_far(a));
    b->out = a->in = hk_sim_lane_new(&b->file, &a->file, is_far(a));
    a->state = b->state = HK_SIM_CONNECTED;
    if (is_far(a) && hk_sim_chance(hk_sim_options.reset))
        hk_sim_plan(&a->step, hk_sim_now() + hk_sim_skewed(CUT_MIN_NS, CUT_MAX_NS), cut_now);
}

void hk_sim_socket_break(hk_sim_socket *s, int error)
{
    if (!s || s->state == HK_SIM_BROKEN)
        return;
    s->state = HK_SIM_BROKEN;
    s->error = error;
    if (s->out)
        s->out->cut = true; /* nothing goes out any more */
    hk_sim_changed(&s->file, ALL_NEWS);
}

int hk_sim_socket_take_error(hk_sim_socket *s)
{
    int error = s->error;
    s->error = 0;
    return error;
}

/* A socket that is closed with bytes in it that nobody read tells the other side so. */
static void close_stream(hk_sim_socket *s)
{
    bool unread = s->in && s->in->used > 0;
    if (s->in)
        hk_sim_lane_leave(s->in, &s->file);
    if (!s->out)
        return;
    if (s->state == HK_SIM_CONNECTED && (unread || s->aborts))
        hk_sim_lane_reset(s->out);
    else
        hk_sim_lane_end(s->out);
    hk_sim_lane_leave(s->out, &s->file);
}

static void socket_gone(hk_sim_file *f)
{
    hk_sim_socket *s = (hk_sim_socket *)f;
    hk_sim_unplan(&s->step);
    hk_sim_unbind(s);
    hk_sim_leave_line(s);
    hk_sim_empty_line(s);
    close_stream(s);
    hk_sim_dgram_drop_all(s);
    hk_sim_free(s, sizeof *s);
}

int hk_os_socket(int family, int type, int protocol)
{
    hk_sim_call();
    (void)protocol;
    if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return -EPROTONOSUPPORT;
    hk_sim_socket *s = hk_sim_socket_new(family, type);
    int fd = hk_sim_install(&s->file);
    if (fd < 0)
        socket_gone(&s->file);
    hk_sim_note("socket", family, fd);
    return fd;
}

static int install_two(hk_sim_file *a, hk_sim_file *b, int ret_fds[2])
{
    int first = hk_sim_install(a);
    int second = first < 0 ? first : hk_sim_install(b);
    hk_sim_note("pair", first, second);
    if (second < 0) {
        b->kind->gone(b);
        if (first < 0)
            a->kind->gone(a);
        else
            (void)hk_os_close(first); /* just made */
        return second;
    }
    ret_fds[0] = first;
    ret_fds[1] = second;
    return 0;
}

int hk_os_socketpair(int family, int type, int ret_fds[2])
{
    hk_sim_call();
    if (family != AF_UNIX)
        return -EOPNOTSUPP;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return -EPROTONOSUPPORT;
    hk_sim_socket *a = hk_sim_socket_new(family, type), *b = hk_sim_socket_new(family, type);
    if (type == SOCK_STREAM) {
        hk_sim_socket_join(a, b);
    } else {
        a->partner = b;
        b->partner = a;
        a->state = b->state = HK_SIM_CONNECTED;
    }
    return install_two(&a->file, &b->file, ret_fds);
}

/* --- what is ready ------------------------------------------------------------------------- */

static unsigned stream_ready(const hk_sim_socket *s)
{
    unsigned bits = 0;
    bool at_end = s->read_ended || !s->in || s->in->ended;
    if (at_end || s->in->arrived > 0)
        bits |= EPOLLIN;
    if (at_end)
        bits |= EPOLLRDHUP;
    if (at_end && s->write_ended)
        bits |= EPOLLHUP;
    if (s->write_ended || s->out->cut || s->out->used < s->out->size)
        bits |= EPOLLOUT;
    return bits;
}

static unsigned socket_ready(hk_sim_file *f)
{
    const hk_sim_socket *s = (hk_sim_socket *)f;
    unsigned error = s->error ? (unsigned)EPOLLERR : 0;
    if (s->type == SOCK_DGRAM)
        return EPOLLOUT | (hk_list_empty(&s->mail) ? 0u : (unsigned)EPOLLIN) | error;
    switch (s->state) {
    case HK_SIM_FRESH: return EPOLLOUT | EPOLLHUP;
    case HK_SIM_LISTENING: return s->line_n > 0 ? EPOLLIN : 0;
    case HK_SIM_CONNECTING: return 0;
    case HK_SIM_CONNECTED: return stream_ready(s) | error;
    case HK_SIM_BROKEN:
    default: return (unsigned)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP) | error;
    }
}

/* --- reading and writing -------------------------------------------------------------------- */

static ssize_t stream_recv(hk_sim_socket *s, void *buffer, size_t n, bool peek)
{
    if (!s->in)
        return s->state == HK_SIM_BROKEN && s->error ? hk_sim_socket_take_error(s) : -ENOTCONN;
    if (n == 0)
        return 0;
    ssize_t got = s->read_ended ? 0 : hk_sim_lane_take(s->in, buffer, n, peek);
    if (got > 0)
        return got;
    if (s->error)
        return hk_sim_socket_take_error(s);
    bool over = s->read_ended || s->in->ended || s->state == HK_SIM_BROKEN;
    return over ? 0 : -EAGAIN;
}

static ssize_t stream_send(hk_sim_socket *s, const void *buffer, size_t n)
{
    if (!s->out && !s->error)
        return s->family == AF_UNIX ? -ENOTCONN : -EPIPE;
    if (s->error)
        return hk_sim_socket_take_error(s);
    if (s->write_ended || s->out->cut)
        return -EPIPE;
    if (!s->out->reader && !s->out->far)
        return -EPIPE; /* a near one knows at once */
    return hk_sim_lane_put(s->out, buffer, n);
}

static ssize_t socket_recv(hk_sim_socket *s, void *buffer, size_t n, int flags)
{
    hk_sim_envelope ignored;
    if (s->type == SOCK_DGRAM)
        return hk_sim_dgram_take(s, &(struct iovec){buffer, n}, 1, flags, &ignored);
    return stream_recv(s, buffer, n, flags & MSG_PEEK);
}

static ssize_t socket_send(hk_sim_socket *s, const void *buffer, size_t n)
{
    if (s->type == SOCK_DGRAM)
        return hk_sim_dgram_send(s, NULL, &(struct iovec){(void *)(uintptr_t)buffer, n}, 1);
    return stream_send(s, buffer, n);
}

static ssize_t socket_read(hk_sim_file *f, void *buffer, size_t n)
{
    return socket_recv((hk_sim_socket *)f, buffer, n, 0);
}

static ssize_t socket_write(hk_sim_file *f, const void *buffer, size_t n)
{
    return socket_send((hk_sim_socket *)f, buffer, n);
}

const hk_sim_kind hk_sim_sockets = {socket_read, socket_write, socket_ready, socket_gone};

ssize_t hk_os_recv(int fd, void *buffer, size_t n, int flags)
{
    int error;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &error);
    ssize_t rc = s ? socket_recv(s, buffer, n, flags) : error;
    hk_sim_note("recv", fd, rc);
    return rc;
}

ssize_t hk_os_send(int fd, const void *buffer, size_t n)
{
    int error;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &error);
    ssize_t rc = s ? socket_send(s, buffer, n) : error;
    hk_sim_note("send", fd, rc);
    return rc;
}

ssize_t hk_os_sendv(int fd, const struct iovec *parts, int n)
{
    return hk_os_writev(fd, parts, n);
}

int hk_os_shutdown(int fd, int how)
{
    int error;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &error);
    hk_sim_note("shutdown", fd, how);
    if (!s)
        return error;
    if (s->state != HK_SIM_CONNECTED)
        return -ENOTCONN;
    s->read_ended = s->read_ended || how != SHUT_WR;
    if (how != SHUT_RD && !s->write_ended && s->out) {
        s->write_ended = true;
        hk_sim_lane_end(s->out);
    }
    hk_sim_changed(&s->file, ALL_NEWS);
    return 0;
}

/* --- options ------------------------------------------------------------------------------- */

int hk_os_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    int error, flag = 0;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &error);
    if (!s)
        return error;
    if (length >= sizeof flag)
        memcpy(&flag, value, sizeof flag);
    if (level == IPPROTO_UDP)
        return -ENOPROTOOPT; /* nothing here cuts or joins datagrams */
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        s->only6 = flag;
    if (level == SOL_SOCKET && name == SO_LINGER) /* on, for no time: l_onoff comes first */
        s->aborts = flag && ((const struct linger *)value)->l_linger == 0;
    if (level == SOL_SOCKET && name == SO_REUSEPORT)
        s->reuse_port = flag;
    return 0; /* the others change nothing that could be seen */
}

/* Everybody is the same process. */
static int tell_who(void *ret_value, socklen_t *length)
{
    const struct ucred who = {.pid = 1};
    *length = *length < sizeof who ? *length : (socklen_t)sizeof who;
    memcpy(ret_value, &who, *length);
    return 0;
}

int hk_os_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *length)
{
    int error, value = 0;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &error);
    if (!s)
        return error;
    if (*length < sizeof value)
        return -EINVAL;
    if (level == SOL_SOCKET && name == SO_PEERCRED)
        return tell_who(ret_value, length);
    if (level == SOL_SOCKET && name == SO_ERROR)
        value = -hk_sim_socket_take_error(s);
    else if (level == SOL_SOCKET && name == SO_TYPE)
        value = s->type;
    else if (level == SOL_SOCKET && name == SO_DOMAIN)
        value = s->family;
    else if (level == SOL_SOCKET && name == SO_ACCEPTCONN)
        value = s->state == HK_SIM_LISTENING;
    else if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        value = s->only6;
    memcpy(ret_value, &value, sizeof value);
    *length = sizeof value;
    return 0;
}

/* --- pipes --------------------------------------------------------------------------------- */

typedef struct pipe_end {
    hk_sim_file file;
    hk_sim_lane *lane;
    bool writes;
} pipe_end;

static ssize_t pipe_read(hk_sim_file *f, void *buffer, size_t n)
{
    pipe_end *p = (pipe_end *)f;
    ssize_t got = hk_sim_lane_take(p->lane, buffer, n, false);
    return got > 0 || n == 0 || p->lane->ended ? got : -EAGAIN;
}

static ssize_t pipe_write(hk_sim_file *f, const void *buffer, size_t n)
{
    pipe_end *p = (pipe_end *)f;
    return p->lane->reader ? hk_sim_lane_put(p->lane, buffer, n) : -EPIPE;
}

static unsigned pipe_ready(hk_sim_file *f)
{
    const pipe_end *p = (pipe_end *)f;
    const hk_sim_lane *l = p->lane;
    if (p->writes)
        return (!l->reader ? EPOLLERR : 0u) | (l->used < l->size ? EPOLLOUT : 0u);
    return (l->arrived > 0 ? EPOLLIN : 0u) | (l->ended ? EPOLLHUP : 0u);
}

static void pipe_gone(hk_sim_file *f)
{
    pipe_end *p = (pipe_end *)f;
    hk_sim_lane *l = p->lane;
    if (p->writes)
        hk_sim_lane_end(l);
    hk_sim_file *other = p->writes ? NULL : l->writer;
    hk_sim_lane_leave(l, f);
    if (other)
        hk_sim_changed(other, EPOLLERR | EPOLLOUT);
    hk_sim_free(p, sizeof *p);
}

static const hk_sim_kind reading_ends = {pipe_read, NULL, pipe_ready, pipe_gone};
static const hk_sim_kind writing_ends = {NULL, pipe_write, pipe_ready, pipe_gone};

bool hk_sim_is_pipe(const hk_sim_file *f)
{
    return f->kind == &reading_ends || f->kind == &writing_ends;
}

int hk_os_pipe(int ret_fds[2])
{
    hk_sim_call();
    pipe_end *from = hk_sim_new(sizeof *from), *to = hk_sim_new(sizeof *to);
    from->file.kind = &reading_ends;
    to->file.kind = &writing_ends;
    to->writes = true;
    from->lane = to->lane = hk_sim_lane_new(&to->file, &from->file, false);
    return install_two(&from->file, &to->file, ret_fds);
}
