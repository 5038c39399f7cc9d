/* SPDX-License-Identifier: MIT */
/* names.c - host names: "localhost" is where it always is, any other name has an address of its own
 * in 10.0.0.0/8, always the same one, and every lookup takes its time. The other way, an address
 * there has a name of its own, "h0a0b0c.sim", which leads back to it. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "sim/socket.h"

enum { TEN = 10 << 24, LOOPBACK = 0x7f000001, NAME_BYTES = sizeof "h0a0b0c.sim" - 1 };
enum { LOOKUP_MIN_NS = 100 * 1000, LOOKUP_MAX_NS = 100 * 1000 * 1000 };

typedef struct entry {
    struct addrinfo info; /* first */
    hk_sim_address address;
} entry;

static uint32_t address_of(const char *host)
{
    if (strcmp(host, "localhost") == 0)
        return LOOPBACK;
    unsigned last = 0;
    int length = 0;
    if (sscanf(host, "h%6x.sim%n", &last, &length) == 1 && length == NAME_BYTES && !host[length])
        return TEN | last;
    uint32_t hash = 2166136261u;
    for (; *host; host++)
        hash = (hash ^ (unsigned char)*host) * 16777619u;
    return TEN | (hash >> 8 ? hash >> 8 : 1);
}

/* Wait for a name server: 0, or what it says. */
static int ask(const char *what, bool unknown)
{
    hk_sim_call();
    int64_t until = hk_sim_now() + hk_sim_skewed(LOOKUP_MIN_NS, LOOKUP_MAX_NS);
    (void)hk_sim_wait(hk_sim_self(), "a name server", until);
    bool fails = hk_sim_chance(hk_sim_options.resolve);
    hk_sim_note(what, fails, unknown);
    if (fails || unknown)
        return hk_error_of_resolver(fails && hk_sim_below(2) ? EAI_AGAIN : EAI_NONAME);
    return 0;
}

int hk_os_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                      struct addrinfo **ret_list)
{
    (void)service; /* ports are the caller's */
    bool unknown = hints && hints->ai_family == AF_INET6;
    int rc = ask("getaddrinfo", unknown);
    if (rc < 0)
        return rc;
    entry *e = hk_sim_new(sizeof *e);
    e->address.length = sizeof e->address.name.in;
    e->address.name.in.sin_family = AF_INET;
    e->address.name.in.sin_addr.s_addr = htonl(address_of(host));
    e->info = (struct addrinfo){.ai_family = AF_INET,
                                .ai_socktype = SOCK_STREAM,
                                .ai_addrlen = e->address.length,
                                .ai_addr = &e->address.name.any};
    *ret_list = &e->info;
    return 0;
}

void hk_os_freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        hk_sim_free(list, sizeof(entry));
        list = next;
    }
}

int hk_os_getnameinfo(const struct sockaddr *address, socklen_t length, char *ret_host, size_t n)
{
    struct sockaddr_in in = {0};
    if (address->sa_family == AF_INET && length >= sizeof in)
        memcpy(&in, address, sizeof in);
    uint32_t host = ntohl(in.sin_addr.s_addr);
    int rc = ask("getnameinfo", host != LOOPBACK && host >> 24 != TEN >> 24);
    if (rc < 0)
        return rc;
    int written = host == LOOPBACK ? snprintf(ret_host, n, "localhost")
                                   : snprintf(ret_host, n, "h%06x.sim", host & ~(255u << 24));
    return (size_t)written < n ? 0 : hk_error_of_resolver(EAI_OVERFLOW);
}
