/* SPDX-License-Identifier: MIT */
/* connect.c - addresses, listeners, and how two sockets find each other.
 *
 * One network: every IP address is somebody's, and whoever is bound to an address and port, or to
 * the port on every address, is found there. A connection attempt takes its time; what it finds
 * then decides. A line that is full loses the attempt, which is made again after one, two, four ...
 * seconds. Unix sockets are found by their file, and at once. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/os.h"
#include "sim/socket.h"

enum { PORT_FIRST = 32768, PORTS = 28000, ATTEMPTS_MAX = 6, LINE_MAX_ = 4096 };
enum { ALL_NEWS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR };

static const int64_t SECOND = 1000 * 1000 * 1000;

static hk_node bound; /* sockets of the IP families that have an address */

/* --- addresses ----------------------------------------------------------------------------- */

int hk_sim_address_read(int family, const struct sockaddr *from, socklen_t n, hk_sim_address *ret)
{
    size_t needed = family == AF_INET    ? sizeof ret->name.in
                    : family == AF_INET6 ? sizeof ret->name.in6
                                         : sizeof(sa_family_t) + 1;
    if (n < needed || n > sizeof ret->name)
        return -EINVAL;
    if (from->sa_family != family)
        return -EAFNOSUPPORT;
    *ret = (hk_sim_address){.length = n};
    memcpy(&ret->name, from, n);
    return 0;
}

static void address_write(const hk_sim_address *from, struct sockaddr *ret, socklen_t *length)
{
    if (ret)
        memcpy(ret, &from->name, from->length < *length ? from->length : *length);
    if (length)
        *length = from->length;
}

static uint16_t *port_of(hk_sim_address *a)
{
    return a->name.any.sa_family == AF_INET6 ? &a->name.in6.sin6_port : &a->name.in.sin_port;
}

/* An IPv4 address inside an IPv6 one as what it is, so that the two can be compared. */
static hk_sim_address plain(const hk_sim_address *a)
{
    if (a->name.any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->name.in6.sin6_addr))
        return *a;
    hk_sim_address four = {.length = sizeof four.name.in};
    four.name.in.sin_family = AF_INET;
    four.name.in.sin_port = a->name.in6.sin6_port;
    memcpy(&four.name.in.sin_addr, &a->name.in6.sin6_addr.s6_addr[12], sizeof(struct in_addr));
    return four;
}

static bool is_any(const hk_sim_address *a)
{
    if (a->name.any.sa_family == AF_INET)
        return a->name.in.sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&a->name.in6.sin6_addr);
}

/* Would what is sent to `a` reach a socket that is bound to `of`? */
static bool reaches(const hk_sim_address *a, const hk_sim_address *of, bool only6)
{
    hk_sim_address to = plain(a), at = plain(of);
    if (*port_of(&to) != *port_of(&at))
        return false;
    bool same = to.name.any.sa_family == at.name.any.sa_family;
    if (is_any(&at))
        return same || (at.name.any.sa_family == AF_INET6 && !only6);
    if (!same)
        return false;
    if (to.name.any.sa_family == AF_INET)
        return to.name.in.sin_addr.s_addr == at.name.in.sin_addr.s_addr;
    return memcmp(&to.name.in6.sin6_addr, &at.name.in6.sin6_addr, sizeof(struct in6_addr)) == 0;
}

static bool is_taken(const hk_sim_socket *s, const hk_sim_address *a)
{
    if (hk_list_empty(&bound))
        return false;
    for (hk_node *at = bound.next; at != &bound; at = at->next) {
        const hk_sim_socket *other = hk_container_of(at, hk_sim_socket, bound_link);
        if (other->type == s->type && !(other->reuse_port && s->reuse_port) &&
            (reaches(a, &other->local, other->only6) || reaches(&other->local, a, s->only6)))
            return true;
    }
    return false;
}

hk_sim_socket *hk_sim_find_bound(const hk_sim_address *address, int type)
{
    hk_sim_socket *found = NULL;
    uint32_t candidates = 0;
    if (hk_list_empty(&bound))
        return NULL;
    for (hk_node *at = bound.next; at != &bound; at = at->next) {
        hk_sim_socket *s = hk_container_of(at, hk_sim_socket, bound_link);
        bool listens = type != SOCK_STREAM || s->state == HK_SIM_LISTENING;
        if (s->type == type && listens && reaches(address, &s->local, s->only6) &&
            (candidates++ == 0 || hk_sim_below(candidates) == 0))
            found = s;
    }
    return found;
}

/* --- binding ------------------------------------------------------------------------------- */

static int bind_ip(hk_sim_socket *s, hk_sim_address *a)
{
    uint16_t *port = port_of(a);
    if (*port == 0) {
        int tries = 0;
        do
            *port = htons((uint16_t)(PORT_FIRST + hk_sim_below(PORTS)));
        while (is_taken(s, a) && ++tries < PORTS);
    }
    if (is_taken(s, a))
        return -EADDRINUSE;
    s->local = *a;
    s->bound = true;
    hk_list_push_back(&bound, &s->bound_link);
    return 0;
}

static int bind_unix(hk_sim_socket *s, hk_sim_address *a)
{
    char *path = a->name.un.sun_path;
    if (a->length >= sizeof a->name.un)
        return -EINVAL;
    path[a->length - sizeof(sa_family_t)] = '\0';
    if (path[0] == '\0' || hk_sim_inode_find(path))
        return path[0] ? -EADDRINUSE : -EOPNOTSUPP;
    s->inode = hk_sim_inode_new(path, S_IFSOCK | 0777);
    s->inode->listener = s;
    s->local = *a;
    s->bound = true;
    return 0;
}

int hk_os_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int rc;
    hk_sim_address a;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &rc);
    if (s)
        rc = s->bound ? -EINVAL : hk_sim_address_read(s->family, address, length, &a);
    if (rc == 0)
        rc = s->family == AF_UNIX ? bind_unix(s, &a) : bind_ip(s, &a);
    hk_sim_note("bind", fd, rc);
    return rc;
}

void hk_sim_unbind(hk_sim_socket *s)
{
    if (s->inode) {
        s->inode->listener = NULL; /* its file stays */
        hk_sim_inode_drop(s->inode);
    } else if (hk_node_linked(&s->bound_link)) {
        hk_list_remove(&s->bound_link);
    }
}

/* An address to be seen by, for one that has none: that of the peer, with a port of its own. */
int hk_sim_name_sender(hk_sim_socket *s, const hk_sim_address *peer)
{
    if (s->bound || s->family == AF_UNIX)
        return 0;
    hk_sim_address own = *peer;
    *port_of(&own) = 0;
    return bind_ip(s, &own);
}

int hk_os_getsockname(int fd, struct sockaddr *ret_address, socklen_t *length)
{
    int rc;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &rc);
    if (s)
        address_write(&s->local, ret_address, length);
    return rc;
}

int hk_os_getpeername(int fd, struct sockaddr *ret_address, socklen_t *length)
{
    int rc;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &rc);
    if (s && s->state != HK_SIM_CONNECTED)
        return -ENOTCONN;
    if (s)
        address_write(&s->peer, ret_address, length);
    return rc;
}

/* --- listening ----------------------------------------------------------------------------- */

int hk_os_listen(int fd, int backlog)
{
    int rc;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &rc);
    hk_sim_note("listen", fd, backlog);
    if (!s)
        return rc;
    if (s->type != SOCK_STREAM)
        return -EOPNOTSUPP;
    if (!s->bound || (s->state != HK_SIM_FRESH && s->state != HK_SIM_LISTENING))
        return -EINVAL;
    s->backlog = backlog < 0 ? 0 : (unsigned)backlog < LINE_MAX_ ? (unsigned)backlog : LINE_MAX_;
    s->state = HK_SIM_LISTENING;
    return 0;
}

void hk_sim_leave_line(hk_sim_socket *s)
{
    if (!s->listener)
        return;
    hk_list_remove(&s->in_line);
    s->listener->line_n--;
    s->listener = NULL;
}

static hk_sim_socket *first_in_line(hk_sim_socket *s)
{
    hk_node *node = hk_list_first(&s->line);
    return node ? hk_container_of(node, hk_sim_socket, in_line) : NULL;
}

/* The listener closes: nobody will take these. */
void hk_sim_empty_line(hk_sim_socket *s)
{
    hk_sim_socket *waiting;
    while ((waiting = first_in_line(s)) != NULL) {
        hk_sim_leave_line(waiting);
        if (waiting->out)
            hk_sim_lane_reset(waiting->out);
        waiting->file.kind->gone(&waiting->file);
    }
}

static int fail_to_accept(hk_sim_socket *first)
{
    static const int shortages[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM};
    if (hk_sim_below(2))
        return shortages[hk_sim_below(4)];
    hk_sim_leave_line(first);
    if (first->out)
        hk_sim_lane_reset(first->out);
    first->file.kind->gone(&first->file);
    return -ECONNABORTED;
}

static int accept_first(hk_sim_socket *s, struct sockaddr *ret_address, socklen_t *length)
{
    hk_sim_socket *first = first_in_line(s);
    if (!first)
        return -EAGAIN;
    if (hk_sim_chance(hk_sim_options.accept))
        return fail_to_accept(first);
    int fd = hk_sim_install(&first->file);
    if (fd < 0)
        return fd;
    hk_sim_leave_line(first);
    if (length)
        address_write(&first->peer, ret_address, length);
    return fd;
}

int hk_os_accept(int fd, struct sockaddr *ret_address, socklen_t *length)
{
    int rc;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &rc);
    if (s)
        rc = s->state == HK_SIM_LISTENING ? accept_first(s, ret_address, length) : -EINVAL;
    hk_sim_note("accept", fd, rc);
    return rc;
}

/* --- connecting ---------------------------------------------------------------------------- */

/* A new socket in the listener's line, and the two are connected. */
static void meet(hk_sim_socket *s, hk_sim_socket *listener)
{
    hk_sim_socket *other = hk_sim_socket_new(listener->family, SOCK_STREAM);
    other->local = listener->family == AF_UNIX ? listener->local : s->peer;
    other->peer = s->local;
    other->bound = true;
    hk_sim_socket_join(s, other);
    other->listener = listener;
    hk_list_push_back(&listener->line, &other->in_line);
    listener->line_n++;
    hk_sim_changed(&listener->file, EPOLLIN);
    hk_sim_changed(&s->file, EPOLLOUT);
}

static void arrive(hk_sim_event *e)
{
    hk_sim_socket *s = hk_container_of(e, hk_sim_socket, step);
    hk_sim_socket *listener = hk_sim_find_bound(&s->peer, SOCK_STREAM);
    hk_sim_note("connected", listener != NULL, listener ? listener->line_n : 0);
    if (!listener) {
        hk_sim_socket_break(s, -ECONNREFUSED);
        return;
    }
    if (listener->line_n <= listener->backlog) {
        meet(s, listener);
        return;
    }
    if (s->attempts == ATTEMPTS_MAX)
        hk_sim_socket_break(s, -ETIMEDOUT);
    else
        hk_sim_plan(e, hk_sim_now() + (SECOND << s->attempts++), arrive);
}

static int connect_ip(hk_sim_socket *s)
{
    if (is_any(&s->peer)) { /* oneself */
        uint16_t port = *port_of(&s->peer);
        if (s->family == AF_INET)
            s->peer.name.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
            s->peer.name.in6.sin6_addr = in6addr_loopback;
        *port_of(&s->peer) = port;
    }
    int rc = hk_sim_name_sender(s, &s->peer);
    if (rc < 0)
        return rc;
    s->state = HK_SIM_CONNECTING;
    hk_sim_plan(&s->step, hk_sim_now() + 2 * hk_sim_lane_delay(true), arrive);
    return -EINPROGRESS;
}

static int connect_unix(hk_sim_socket *s)
{
    size_t end = s->peer.length - sizeof(sa_family_t);
    if (end < sizeof s->peer.name.un.sun_path)
        s->peer.name.un.sun_path[end] = '\0';
    hk_sim_inode *i = hk_sim_inode_find(s->peer.name.un.sun_path);
    if (!i)
        return -ENOENT;
    hk_sim_socket *listener = i->listener;
    if (!listener)
        return -ECONNREFUSED;
    if (s->type != listener->type)
        return -EPROTOTYPE;
    if (s->type == SOCK_DGRAM) {
        s->state = HK_SIM_CONNECTED;
        return 0;
    }
    if (listener->state != HK_SIM_LISTENING)
        return -ECONNREFUSED;
    if (listener->line_n > listener->backlog)
        return -EAGAIN;
    meet(s, listener);
    return 0;
}

static int begin_to_connect(hk_sim_socket *s, const struct sockaddr *address, socklen_t length)
{
    if (s->type == SOCK_STREAM && s->state != HK_SIM_FRESH)
        return s->state == HK_SIM_CONNECTING  ? -EALREADY
               : s->state == HK_SIM_CONNECTED ? -EISCONN
               : s->error                     ? hk_sim_socket_take_error(s)
                                              : -ECONNABORTED;
    int rc = hk_sim_address_read(s->family, address, length, &s->peer);
    if (rc < 0)
        return rc;
    if (s->family == AF_UNIX)
        return connect_unix(s);
    if (s->type == SOCK_STREAM)
        return connect_ip(s);
    rc = hk_sim_name_sender(s, &s->peer);
    s->state = rc == 0 ? HK_SIM_CONNECTED : s->state;
    return rc;
}

int hk_os_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int rc;
    hk_sim_call();
    hk_sim_socket *s = hk_sim_socket_of(fd, &rc);
    if (s)
        rc = begin_to_connect(s, address, length);
    hk_sim_note("connect", fd, rc);
    return rc;
}
