/* SPDX-License-Identifier: MIT */
/* dns.c - c-ares asks the name servers, a reactor waits for them.
 *
 * A lookup is a channel of its own, on its task's stack: no lock, other ports and identifiers each
 * time (which is what makes forged answers hard), and a stop just destroys it. c-ares says which
 * descriptors it waits for and until when; all of them, and the time, are one wait with one ticket,
 * as in foreign.c. Packets are c-ares' to read; hank reads the addresses it has found.
 *
 * c-ares knows /etc/hosts and DNS. Where the system is told to ask others too, they are asked
 * through getaddrinfo (resolve.c): two resolvers that disagree would be worse than a slow one.
 *
 * Rejected: one channel for all (a lock around every packet; c-ares 1.18 has none of its own). */
#include "io/dns.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/os.h"
#include "reactor/reactor.h"
#include "sched/park.h"
#include "sched/runtime.h"

enum { SOCKETS_MAX = ARES_GETSOCK_MAXNUM, NS_PER_US = 1000, US_PER_S = 1000 * 1000 };

/* One descriptor that c-ares waits for. source NULL: free. */
typedef struct watched {
    hk_source *source;
    int fd;
    bool wants[2];
    bool armed[2];
} watched;

/* All of it belongs to the one task. */
typedef struct lookup {
    ares_channel channel;
    watched sockets[SOCKETS_MAX];
    int error; /* a descriptor could not be watched */
    bool done;
    int result;
    uint16_t port;
    hk_address *found;
    char *host; /* of HK_HOST_MAX + 1 bytes */
} lookup;

/* --- what c-ares calls ----------------------------------------------------------------------- */

/* Functions for sockets, so that they are made and fail as all others of hank. */
static int to_errno(ssize_t rc)
{
    if (rc >= 0)
        return (int)rc;
    hk_os_set_errno((int)-rc);
    return -1;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
    (void)arg;
    return to_errno(hk_os_socket(family, type, protocol));
}

static int close_socket(ares_socket_t fd, void *arg)
{
    (void)arg;
    return to_errno(hk_os_close(fd));
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length,
                          void *arg)
{
    (void)arg;
    return to_errno(hk_os_connect(fd, address, length));
}

/* Connected sockets: the kernel lets in nothing from elsewhere, and c-ares compares the address. */
static ares_ssize_t receive(ares_socket_t fd, void *ret_buf, size_t n, int flags,
                            struct sockaddr *ret_from, ares_socklen_t *length, void *arg)
{
    (void)arg;
    struct iovec part = {ret_buf, n};
    struct msghdr message = {.msg_name = ret_from,
                             .msg_namelen = length ? *length : 0,
                             .msg_iov = &part,
                             .msg_iovlen = 1};
    ssize_t got = hk_os_recvmsg(fd, &message, flags);
    if (got >= 0 && length)
        *length = message.msg_namelen;
    return to_errno(got);
}

static ares_ssize_t send_parts(ares_socket_t fd, const struct iovec *parts, int n, void *arg)
{
    (void)arg;
    return to_errno(hk_os_sendv(fd, parts, n));
}

static watched *find(lookup *l, int fd)
{
    watched *empty = NULL;
    for (int i = 0; i < SOCKETS_MAX; i++) {
        if (l->sockets[i].source && l->sockets[i].fd == fd)
            return &l->sockets[i];
        if (!l->sockets[i].source)
            empty = &l->sockets[i];
    }
    return empty;
}

/* From now on wait for this, or no more: then it is about to be closed. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    lookup *l = arg;
    watched *w = find(l, fd);
    if (!w || (!w->source && !readable && !writable)) {
        if (readable || writable)
            l->error = -ENOMEM; /* more than c-ares says it has */
        return;
    }
    if (!readable && !writable) {
        hk_source_close(w->source);
        *w = (watched){0};
        return;
    }
    if (!w->source) {
        w->source = hk_source_open(fd);
        w->fd = fd;
        if (!w->source)
            l->error = -ENOMEM;
    }
    w->wants[HK_IN] = readable;
    w->wants[HK_OUT] = writable;
}

static int to_result(int status)
{
    switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
#ifdef EAI_NODATA
        return hk_error_of_resolver(EAI_NODATA);
#endif
    case ARES_ENOTFOUND:
    case ARES_EBADNAME: return hk_error_of_resolver(EAI_NONAME);
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
    case ARES_ESERVFAIL: return hk_error_of_resolver(EAI_AGAIN);
    case ARES_ENOMEM: return -ENOMEM;
    default: return hk_error_of_resolver(EAI_FAIL);
    }
}

/* Keep the addresses of one answer, in their order, as far as there is room. Their number. */
static int keep(const struct ares_addrinfo *list, uint16_t port, hk_address *ret_found)
{
    int n = 0;
    for (const struct ares_addrinfo_node *at = list->nodes; at; at = at->ai_next) {
        size_t length = at->ai_addrlen;
        bool known = (at->ai_family == AF_INET && length == sizeof(struct sockaddr_in)) ||
                     (at->ai_family == AF_INET6 && length == sizeof(struct sockaddr_in6));
        if (!known || n == HK_ADDRESSES_MAX)
            continue;
        ret_found[n].length = (socklen_t)length;
        memcpy(&ret_found[n].socket, at->ai_addr, length);
        hk_address_set_port(&ret_found[n++], port);
    }
    return n;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
    lookup *l = arg;
    (void)timeouts;
    l->done = true;
    int n = status == ARES_SUCCESS && list ? keep(list, l->port, l->found) : 0;
    l->result = n > 0 ? n : to_result(status);
    if (list)
        ares_freeaddrinfo(list);
}

static void on_name(void *arg, int status, int timeouts, char *node, char *service)
{
    lookup *l = arg;
    (void)timeouts;
    (void)service;
    l->done = true;
    size_t length = status == ARES_SUCCESS && node ? strlen(node) : 0;
    if (length == 0 || length > HK_HOST_MAX) {
        l->result = to_result(status == ARES_SUCCESS ? ARES_EBADNAME : status);
        return;
    }
    memcpy(l->host, node, length + 1);
    l->result = 0;
}

/* --- waiting -------------------------------------------------------------------------------- */

/* Have c-ares read and write what is ready. Whether anything was; or a failure. */
static int process_ready(lookup *l)
{
    struct pollfd fds[SOCKETS_MAX];
    int n = 0;
    for (int i = 0; i < SOCKETS_MAX; i++) {
        const watched *w = &l->sockets[i];
        if (w->source)
            fds[n++] = (struct pollfd){.fd = w->fd,
                                       .events = (short)((w->wants[HK_IN] ? POLLIN : 0) |
                                                         (w->wants[HK_OUT] ? POLLOUT : 0))};
    }
    int ready = hk_os_poll(fds, (unsigned)n, 0);
    if (ready == -EINTR)
        return 0;
    for (int i = 0; i < n && ready > 0; i++) {
        bool in = fds[i].revents & (POLLIN | POLLERR | POLLHUP);
        bool out = fds[i].revents & (POLLOUT | POLLERR);
        ares_process_fd(l->channel, in ? fds[i].fd : ARES_SOCKET_BAD,
                        out ? fds[i].fd : ARES_SOCKET_BAD);
    }
    return ready;
}

static int64_t next_timeout(lookup *l)
{
    struct timeval left;
    if (!ares_timeout(l->channel, NULL, &left))
        return HK_FOREVER;
    return hk_os_now() + ((int64_t)left.tv_sec * US_PER_S + left.tv_usec) * NS_PER_US;
}

static int arm(lookup *l, hk_ticket t)
{
    int rc = 0;
    for (int i = 0; i < SOCKETS_MAX && rc == 0; i++) {
        watched *w = &l->sockets[i];
        for (int d = HK_IN; w->source && d <= HK_OUT && rc == 0; d++) {
            if (!w->wants[d])
                continue;
            rc = hk_source_start(w->source, (hk_direction)d, t, hk_runtime_reactor());
            w->armed[d] = rc == 0;
        }
    }
    return rc;
}

static void disarm(lookup *l)
{
    for (int i = 0; i < SOCKETS_MAX; i++) {
        watched *w = &l->sockets[i];
        for (int d = HK_IN; w->source && d <= HK_OUT; d++)
            if (w->armed[d])
                hk_source_stop(w->source, (hk_direction)d); /* harmless if it has fired */
        w->armed[HK_IN] = w->armed[HK_OUT] = false;
    }
}

/* Wait until something is ready or c-ares wants to be called. 0, or a stop or failure. */
static int wait_once(lookup *l)
{
    hk_waiter w = {0};
    hk_park_begin(&w, HK_WAITING);
    int rc = arm(l, w.ticket);
    if (rc == 0 || !hk_park_abandon(&w)) {
        int claimed = hk_park(&w, next_timeout(l), "name server");
        rc = rc < 0 ? rc : claimed;
    }
    disarm(l);
    return rc < 0 ? rc : 0;
}

static int run(lookup *l)
{
    while (!l->done && l->error == 0) {
        int ready = process_ready(l);
        if (ready < 0)
            return ready;
        if (ready > 0 || l->done)
            continue;
        int rc = wait_once(l);
        if (rc < 0)
            return rc;
        ares_process_fd(l->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* those that are late */
    }
    return l->error < 0 ? l->error : l->result;
}

/* --- the lookup ------------------------------------------------------------------------------ */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready_to_use;

static void set_up_library(void)
{
    ready_to_use = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
}

static int open_channel(lookup *l)
{
    static const struct ares_socket_functions functions = {
        .asocket = open_socket,
        .aclose = close_socket,
        .aconnect = connect_socket,
        .arecvfrom = receive,
        .asendv = send_parts,
    };
    struct ares_options options = {.sock_state_cb = on_socket_state, .sock_state_cb_data = l};
    int status = ares_init_options(&l->channel, &options, ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
        return to_result(status);
    ares_set_socket_functions(l->channel, &functions, NULL);
    const char *servers = hk_os_trusted_environment("HANK_DNS_SERVERS");
    if (servers)
        status = ares_set_servers_ports_csv(l->channel, servers);
    if (status == ARES_SUCCESS)
        return 0;
    ares_destroy(l->channel);
    return -EINVAL;
}

static int begin(lookup *l)
{
    int fault = hk_fault_check(HK_FAULT_RESOLVE);
    if (fault)
        return fault;
    (void)pthread_once(&once, set_up_library); /* cannot fail */
    return ready_to_use ? open_channel(l) : -ENOMEM;
}

static int run_to_end(lookup *l)
{
    int rc = run(l);
    ares_destroy(l->channel); /* closes what is open, and answers what is not answered */
    for (int i = 0; i < SOCKETS_MAX; i++)
        HK_DCHECK(!l->sockets[i].source);
    return rc;
}

int hk_dns_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX])
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                                     .ai_socktype = SOCK_STREAM};
    lookup l = {.port = where->port, .found = ret_list};
    int rc = begin(&l);
    if (rc < 0)
        return rc;
    ares_getaddrinfo(l.channel, where->host, NULL, &hints, on_answer, &l);
    return run_to_end(&l);
}

int hk_dns_resolve_name(const hk_address *address, char ret_host[HK_HOST_MAX + 1])
{
    lookup l = {.host = ret_host};
    int rc = begin(&l);
    if (rc < 0)
        return rc;
    ares_getnameinfo(l.channel, &address->socket.any, (ares_socklen_t)address->length,
                     ARES_NI_LOOKUPHOST | ARES_NI_NAMEREQD, on_name, &l);
    return run_to_end(&l);
}

/* --- whom the system would ask ---------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool hk_dns_suffices(const char *configuration)
{
    static const char key[] = "hosts:";
    const char *at = configuration;
    while (at && strncmp(at, key, sizeof key - 1) != 0) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return true; /* the default is files and DNS */
    at += sizeof key - 1;
    for (;;) {
        while (is_space(*at))
            at++;
        size_t n = strcspn(at, " \t\r\n#");
        if (n == 0)
            return true;
        bool files = n == 5 && strncmp(at, "files", n) == 0;
        bool dns = n == 3 && strncmp(at, "dns", n) == 0;
        if (!files && !dns)
            return false; /* another source, or a rule about one */
        at += n;
    }
}

enum { ASK_UNKNOWN, ASK_SERVERS, ASK_SYSTEM, CONFIGURATION_MAX = 16 * 1024 };

/* No answer is ASK_SYSTEM, which is always right. */
static int read_configuration(void)
{
    const char *wish = hk_os_trusted_environment("HANK_RESOLVER");
    if (wish)
        return strcmp(wish, "dns") == 0 ? ASK_SERVERS : ASK_SYSTEM;
    int fd = hk_os_open("/etc/nsswitch.conf", 0);
    if (fd < 0)
        return fd == -ENOENT ? ASK_SERVERS : ASK_SYSTEM;
    int answer = ASK_SYSTEM;
    char *text = hk_alloc(CONFIGURATION_MAX);
    ssize_t n = text ? hk_os_read(fd, text, CONFIGURATION_MAX - 1) : -ENOMEM;
    (void)hk_os_close(fd); /* it was only read */
    if (n >= 0 && n < CONFIGURATION_MAX - 1) {
        text[n] = '\0';
        answer = hk_dns_suffices(text) ? ASK_SERVERS : ASK_SYSTEM;
    }
    hk_free(text, CONFIGURATION_MAX);
    return answer;
}

bool hk_dns_serves(void)
{
    static HK_ATOMIC(int) known;
    if (!hk_runtime_reactor())
        return false;
    int answer = hk_load_relaxed(&known); /* relaxed: the word is all there is to know */
    if (answer == ASK_UNKNOWN) {
        answer = read_configuration(); /* two at once find the same */
        hk_store_relaxed(&known, answer);
    }
    return answer == ASK_SERVERS;
}
