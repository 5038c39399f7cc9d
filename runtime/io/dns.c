/* SPDX-License-Identifier: MIT */
/* dns.c - c-ares asks the name servers, a reactor waits for them.
 *
 * A lookup is a channel of its own: no lock, other ports and identifiers each time (which is what
 * makes forged answers hard), and a stop just destroys it. Packets are c-ares' to read; hank reads
 * the addresses it has found.
 *
 * Addresses of both families are asked for in one question, as c-ares then puts them in order, and
 * answers when both have come. Some name servers answer one family and drop the other: when one has
 * been answered and the other is silent for a moment, each is asked for alone as well, and what has
 * come by then can be used. So the moment costs nobody else a packet.
 *
 * Rejected: one channel for all (a lock around every packet; c-ares 1.18 has none of its own). */
#include "io/dns.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <sys/time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/os.h"
#include "io/dns_sockets.h"

enum { NS_PER_US = 1000, US_PER_S = 1000 * 1000 };

/* RFC 8305, section 3: how long the second family may be behind without holding up the first; and
 * for how long it is waited for at all. */
enum { DELAY_NS = 50 * 1000 * 1000, LATE_MAX_NS = 1000 * 1000 * 1000 };

/* Addresses that one question has found; n 0: none, or not yet. */
typedef struct found {
    hk_address list[HK_ADDRESSES_MAX];
    int n;
    bool done;
} found;

/* All of it belongs to one task at a time.
 *
 * done, result  of the question for everything
 * alone         of those for IPv6 and for IPv4 by itself
 * first         the one of them that has found something first, at first_ns; NULL: none */
struct hk_dns_lookup {
    ares_channel channel;
    hk_dns_sockets sockets;
    bool done;
    bool asked_alone;
    int result;
    uint16_t port;
    int64_t first_ns;
    const found *first;
    found alone[2];
    found all;
    char *host; /* hk_dns_resolve_name(): of HK_HOST_MAX + 1 bytes */
    char name[HK_HOST_MAX + 1];
};

typedef hk_dns_lookup lookup;

/* --- what c-ares calls ----------------------------------------------------------------------- */

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

/* Keep the addresses of one answer, in their order, as far as there is room for their family. */
static void keep(const struct ares_addrinfo *list, uint16_t port, found *ret)
{
    for (const struct ares_addrinfo_node *at = list->nodes; at; at = at->ai_next) {
        size_t length = at->ai_addrlen;
        bool known = (at->ai_family == AF_INET && length == sizeof(struct sockaddr_in)) ||
                     (at->ai_family == AF_INET6 && length == sizeof(struct sockaddr_in6));
        if (!known)
            continue;
        hk_address address = {.length = (socklen_t)length};
        memcpy(&address.socket, at->ai_addr, length);
        hk_address_set_port(&address, port);
        ret->n = hk_addresses_add(ret->list, ret->n, &address);
    }
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
    lookup *l = arg;
    (void)timeouts;
    l->done = true;
    if (status == ARES_SUCCESS && list)
        keep(list, l->port, &l->all);
    l->result = l->all.n > 0 ? l->all.n : to_result(status);
    if (list)
        ares_freeaddrinfo(list);
}

static void on_one_family(lookup *l, found *its, int status, struct ares_addrinfo *list)
{
    its->done = true;
    if (status == ARES_SUCCESS && list)
        keep(list, l->port, its);
    if (its->n > 0 && !l->first) {
        l->first = its;
        l->first_ns = hk_os_now();
    }
    if (list)
        ares_freeaddrinfo(list);
}

static void on_ipv6(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
    lookup *l = arg;
    (void)timeouts;
    on_one_family(l, &l->alone[0], status, list);
}

static void on_ipv4(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
    lookup *l = arg;
    (void)timeouts;
    on_one_family(l, &l->alone[1], status, list);
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

/* When each family is to be asked for alone, as nothing more is heard of both. */
static int64_t alone_at(const lookup *l)
{
    bool due = l->sockets.heard_ns != 0 && !l->asked_alone && !l->host;
    return due ? l->sockets.heard_ns + DELAY_NS : HANK_FOREVER;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_timeout(const lookup *l)
{
    int64_t when = l->first ? sooner(alone_at(l), l->first_ns + LATE_MAX_NS) : alone_at(l);
    struct timeval left;
    if (!ares_timeout(l->channel, NULL, &left))
        return when;
    int64_t left_us = (int64_t)left.tv_sec * US_PER_S + left.tv_usec;
    return sooner(when, hk_os_now() + left_us * NS_PER_US);
}

static void ask_alone(lookup *l)
{
    static const struct ares_addrinfo_hints ipv6 = {.ai_family = AF_INET6,
                                                    .ai_socktype = SOCK_STREAM};
    static const struct ares_addrinfo_hints ipv4 = {.ai_family = AF_INET,
                                                    .ai_socktype = SOCK_STREAM};
    l->asked_alone = true;
    ares_getaddrinfo(l->channel, l->name, NULL, &ipv6, on_ipv6, l);
    ares_getaddrinfo(l->channel, l->name, NULL, &ipv4, on_ipv4, l);
}

/* Whether nothing more will come, or nobody should wait for it any longer. */
static bool is_complete(const lookup *l)
{
    return l->done || (l->first && ((l->alone[0].done && l->alone[1].done) ||
                                    hk_os_now() - l->first_ns >= LATE_MAX_NS));
}

/* Until everything has come, or, if `one_will_do`, the addresses of one family: 0; or a stop or a
 * failure. */
static int run(lookup *l, bool one_will_do)
{
    while (!is_complete(l) && !(one_will_do && l->first) && l->sockets.error == 0) {
        int ready = hk_dns_sockets_process(&l->sockets, l->channel);
        if (ready < 0)
            return ready;
        if (ready > 0 || l->done)
            continue;
        int rc = hk_dns_sockets_wait(&l->sockets, next_timeout(l));
        if (rc < 0)
            return rc;
        ares_process_fd(l->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* those that are late */
        if (hk_os_now() >= alone_at(l))
            ask_alone(l);
    }
    return l->sockets.error;
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
    struct ares_options options = {.sock_state_cb = hk_dns_on_socket_state,
                                   .sock_state_cb_data = &l->sockets};
    int status = ares_init_options(&l->channel, &options, ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
        return to_result(status);
    hk_dns_sockets_attach(&l->sockets, l->channel);
    const char *servers = hk_os_trusted_environment("HANK_DNS_SERVERS");
    if (servers)
        status = ares_set_servers_ports_csv(l->channel, servers);
    if (status == ARES_SUCCESS)
        return 0;
    ares_destroy(l->channel);
    return status == ARES_ENOMEM ? -ENOMEM : -EINVAL; /* which leaves it to the system */
}

static int begin(lookup **ret)
{
    int fault = hk_fault_check(HK_FAULT_RESOLVE);
    if (fault)
        return fault;
    (void)pthread_once(&once, set_up_library); /* cannot fail */
    lookup *l = ready_to_use ? hk_alloc_zeroed(sizeof *l) : NULL;
    if (!l)
        return -ENOMEM;
    int rc = open_channel(l);
    if (rc < 0) {
        hk_free(l, sizeof *l);
        return rc;
    }
    *ret = l;
    return 0;
}

void hk_dns_end(hk_dns_lookup *l)
{
    if (!l)
        return;
    ares_destroy(l->channel); /* closes what is open, and answers what is not answered */
    for (int i = 0; i < HK_DNS_SOCKETS_MAX; i++)
        HK_DCHECK(!l->sockets.list[i].source);
    hk_free(l, sizeof *l);
}

static int copy(const found *from, hk_address ret_list[HK_ADDRESSES_MAX])
{
    memcpy(ret_list, from->list, (size_t)from->n * sizeof from->list[0]);
    return from->n;
}

/* All there is by now: in c-ares' order, or else first what came first. Their number, or why there
 * is none. */
static int copy_all(const lookup *l, hk_address ret_list[HK_ADDRESSES_MAX])
{
    if (l->all.n > 0)
        return copy(&l->all, ret_list);
    if (!l->first)
        return l->result;
    int n = copy(l->first, ret_list);
    const found *other = &l->alone[l->first == &l->alone[0]];
    for (int i = 0; i < other->n; i++)
        n = hk_addresses_add(ret_list, n, &other->list[i]);
    return n;
}

int hk_dns_begin(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX], hk_dns_lookup **ret)
{
    static const struct ares_addrinfo_hints both = {.ai_family = AF_UNSPEC,
                                                    .ai_socktype = SOCK_STREAM};
    lookup *l;
    int rc = begin(&l);
    if (rc < 0)
        return rc;
    l->port = where->port;
    memcpy(l->name, where->host, sizeof l->name);
    ares_getaddrinfo(l->channel, l->name, NULL, &both, on_answer, l);
    rc = run(l, true);
    if (rc == 0)
        rc = copy_all(l, ret_list);
    if (rc < 0 || is_complete(l)) {
        hk_dns_end(l);
        l = NULL;
    }
    *ret = l;
    return rc;
}

int hk_dns_rest(hk_dns_lookup *l, hk_address ret_list[HK_ADDRESSES_MAX])
{
    int rc = run(l, false);
    if (rc < 0)
        return rc;
    hk_address list[HK_ADDRESSES_MAX];
    int n = copy_all(l, list), kept = 0;
    for (int i = 0; i < n; i++)
        if (list[i].socket.any.sa_family != l->first->list[0].socket.any.sa_family)
            ret_list[kept++] = list[i];
    return kept;
}

int hk_dns_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX])
{
    lookup *l;
    int n = hk_dns_begin(where, ret_list, &l);
    if (n < 0 || !l)
        return n;
    int rc = run(l, false);
    n = rc < 0 ? rc : copy_all(l, ret_list);
    hk_dns_end(l);
    return n;
}

int hk_dns_resolve_name(const hk_address *address, char ret_host[HK_HOST_MAX + 1])
{
    lookup *l;
    int rc = begin(&l);
    if (rc < 0)
        return rc;
    l->host = ret_host;
    ares_getnameinfo(l->channel, &address->socket.any, (ares_socklen_t)address->length,
                     ARES_NI_LOOKUPHOST | ARES_NI_NAMEREQD, on_name, l);
    rc = run(l, false);
    if (rc == 0)
        rc = l->result;
    hk_dns_end(l);
    return rc;
}
