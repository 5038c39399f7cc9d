/* SPDX-License-Identifier: MIT */
/* resolve.c - name lookups: by dns.c, or else by the system, in the pool's lane for names.
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
#include "io/blocking.h"
#include "io/dns.h"
#include "io/layer.h"
#include "sched/park.h"

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
    hk_address *address = &l->found[l->found_n++];
    address->length = info->ai_addrlen;
    memcpy(&address->socket, info->ai_addr, info->ai_addrlen);
    hk_address_set_port(address, l->port);
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
    for (struct addrinfo *at = list; at && l->found_n < HK_ADDRESSES_MAX; at = at->ai_next)
        keep(l, at);
    hk_os_freeaddrinfo(list);
    return l->found_n > 0 ? l->found_n : hk_error_of_resolver(EAI_NONAME);
}

static void lookup_free(hk_job *job)
{
    hk_free(hk_container_of(job, lookup, job), sizeof(lookup));
}

int hk_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX])
{
    if (where->host[0] == '\0') {
        ret_list[0] = where->address;
        return 1;
    }
    if (hk_dns_serves()) {
        int n = hk_dns_resolve(where, ret_list);
        if (n != -EINVAL)
            return n;
    } /* it cannot be set up: the system may know better */
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

int hk_resolve_text(const char *where, bool listening, const hank_scheme **ret_other,
                    hk_address ret_list[HK_ADDRESSES_MAX])
{
    hk_where place;
    int rc = hk_where_parse(where, listening, &place);
    const hank_scheme *other = rc == -EPROTONOSUPPORT ? hk_scheme_find(where) : NULL;
    if (other) {
        *ret_other = other;
        return 0;
    }
    if (rc == 0)
        rc = hk_checkpoint();
    return rc < 0 ? rc : hk_resolve(&place, ret_list);
}
