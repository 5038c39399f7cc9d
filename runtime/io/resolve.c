/* SPDX-License-Identifier: MIT */
/* resolve.c - name lookups, and their reverse: by dns.c, or else by the system, in the pool's lane
 * for names.
 *
 * getaddrinfo blocks for as long as name servers like, needs 12 KiB of stack and cannot be
 * interrupted: never on a task. The lookup owns a copy of all it needs, so that a stopped caller
 * can leave it behind; it then frees itself when the name servers have given up. */
#include "io/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/os.h"
#include "io/address.h"
#include "io/blocking.h"
#include "io/dns.h"
#include "io/layer.h"
#include "sched/park.h"

/* --- addresses of a name --------------------------------------------------------------------- */

int hk_addresses_add(hk_address list[HK_ADDRESSES_MAX], int n, const hk_address *one)
{
    int of_others = 0, last = -1;
    for (int i = 0; i < n; i++) {
        if (list[i].socket.any.sa_family == one->socket.any.sa_family)
            continue;
        of_others++;
        last = i;
    }
    if (n == HK_ADDRESSES_MAX) {
        if (of_others <= HK_ADDRESSES_MAX / 2)
            return n;
        n--;
        memmove(&list[last], &list[last + 1], (size_t)(n - last) * sizeof *list);
    }
    list[n] = *one;
    return n + 1;
}

typedef struct lookup {
    hk_job job;
    char host[HK_HOST_MAX + 1];
    uint16_t port;
    int found_n;
    hk_address found[HK_ADDRESSES_MAX];
} lookup;

static void keep(lookup *l, const struct addrinfo *info)
{
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
        return;
    hk_address address = {.length = info->ai_addrlen};
    memcpy(&address.socket, info->ai_addr, info->ai_addrlen);
    hk_address_set_port(&address, l->port);
    l->found_n = hk_addresses_add(l->found, l->found_n, &address);
}

/* On a thread of the pool. The number of addresses, or why there is none. */
static int look_up(hk_job *job)
{
    lookup *l = hk_container_of(job, lookup, job);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = hk_os_getaddrinfo(l->host, NULL, &hints, &list);
    if (rc < 0)
        return rc;
    for (struct addrinfo *at = list; at; at = at->ai_next)
        keep(l, at);
    hk_os_freeaddrinfo(list);
    return l->found_n > 0 ? l->found_n : hk_error_of_resolver(EAI_NONAME);
}

static void lookup_free(hk_job *job)
{
    hk_free(hk_container_of(job, lookup, job), sizeof(lookup));
}

/* Asked of the system, on a thread. */
static int ask_system_for(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX])
{
    lookup *l = hk_alloc_zeroed(sizeof *l);
    if (!l)
        return -ENOMEM;
    l->job.run = look_up;
    l->job.abandoned = lookup_free;
    l->port = where->port;
    memcpy(l->host, where->host, sizeof l->host);

    int rc = hk_blocking_run(&l->job, HK_LANE_NAMES);
    if (rc < 0)
        return rc; /* and l is not ours any more */
    rc = l->job.result;
    if (rc > 0)
        memcpy(ret_list, l->found, (size_t)rc * sizeof l->found[0]);
    lookup_free(&l->job);
    return rc;
}

/* ret_late NULL: wait for all. */
static int resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX],
                   hk_dns_lookup **ret_late)
{
    if (where->host[0] == '\0') {
        ret_list[0] = where->address;
        return 1;
    }
    if (hk_dns_serves()) {
        int n = ret_late ? hk_dns_begin(where, ret_list, ret_late)
                         : hk_dns_resolve(where, ret_list);
        if (n != -EINVAL)
            return n;
    } /* it cannot be set up: the system may know better */
    return ask_system_for(where, ret_list);
}

int hk_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX])
{
    return resolve(where, ret_list, NULL);
}

/* 0: ret_place is to be looked up, unless *ret_other is set. */
static int parse_text(const char *where, bool listening, const hank_scheme **ret_other,
                      hk_where *ret_place)
{
    int rc = hk_where_parse(where, listening, ret_place);
    *ret_other = rc == -EPROTONOSUPPORT ? hk_scheme_find(where) : NULL;
    if (*ret_other)
        return 0;
    return rc < 0 ? rc : hk_checkpoint();
}

int hk_resolve_text(const char *where, bool listening, const hank_scheme **ret_other,
                    hk_address ret_list[HK_ADDRESSES_MAX])
{
    hk_where place;
    int rc = parse_text(where, listening, ret_other, &place);
    return rc < 0 || *ret_other ? rc : resolve(&place, ret_list, NULL);
}

int hk_resolve_begin(const char *where, const hank_scheme **ret_other,
                     hk_address ret_list[HK_ADDRESSES_MAX], hk_dns_lookup **ret_late)
{
    hk_where place;
    *ret_late = NULL;
    int rc = parse_text(where, false, ret_other, &place);
    return rc < 0 || *ret_other ? rc : resolve(&place, ret_list, ret_late);
}

int hank_resolve(const char *where, hank_address *ret_list, size_t n)
{
    hk_where place;
    hk_address list[HK_ADDRESSES_MAX];
    int rc = hk_where_parse_as(where, HK_TCP | HK_UDP | HK_UNIX, true, &place);
    if (rc == 0 && n == 0)
        rc = -EINVAL;
    if (rc == 0)
        rc = hk_checkpoint();
    int found = rc < 0 ? rc : hk_resolve(&place, list);
    if (found > 0 && (size_t)found > n)
        found = (int)n;
    for (int i = 0; i < found; i++)
        hk_address_set(&ret_list[i], &list[i], place.scheme);
    return found;
}

/* --- the name of an address ------------------------------------------------------------------ */

typedef struct naming {
    hk_job job;
    hk_address address;
    char host[HK_HOST_MAX + 1];
} naming;

/* On a thread of the pool. */
static int look_up_name(hk_job *job)
{
    naming *n = hk_container_of(job, naming, job);
    return hk_os_getnameinfo(&n->address.socket.any, n->address.length, n->host, sizeof n->host);
}

static void naming_free(hk_job *job)
{
    hk_free(hk_container_of(job, naming, job), sizeof(naming));
}

static int ask_system(const hk_address *address, char ret_host[HK_HOST_MAX + 1])
{
    naming *n = hk_alloc_zeroed(sizeof *n);
    if (!n)
        return -ENOMEM;
    n->job.run = look_up_name;
    n->job.abandoned = naming_free;
    n->address = *address;
    int rc = hk_blocking_run(&n->job, HK_LANE_NAMES);
    if (rc < 0)
        return rc; /* and n is not ours any more */
    rc = n->job.result;
    if (rc == 0)
        memcpy(ret_host, n->host, sizeof n->host);
    naming_free(&n->job);
    return rc;
}

int hank_resolve_name(const hank_address *address, char *ret_host, size_t n)
{
    char host[HK_HOST_MAX + 1];
    const hk_address *inside = hk_address_inside_const(address);
    int family = inside->socket.any.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    rc = hk_dns_serves() ? hk_dns_resolve_name(inside, host) : -EINVAL;
    if (rc == -EINVAL) /* as for hk_resolve() */
        rc = ask_system(inside, host);
    if (rc < 0)
        return rc;
    if (!hk_host_is_name(host)) /* whoever owns the address may write what they like */
        return hk_error_of_resolver(EAI_NONAME);
    size_t length = strlen(host);
    if (length >= n)
        return -ENOSPC;
    memcpy(ret_host, host, length + 1);
    return 0;
}
