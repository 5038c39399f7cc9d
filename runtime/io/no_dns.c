/* SPDX-License-Identifier: MIT */
/* no_dns.c - in the place of dns.c, where hank is built without c-ares: the system is asked. */
#include "io/dns.h"

#include <errno.h>

bool hk_dns_suffices(const char *configuration)
{
    (void)configuration;
    return false;
}

bool hk_dns_serves(void)
{
    return false;
}

int hk_dns_resolve_name(const hk_address *address, char ret_host[HK_HOST_MAX + 1])
{
    (void)address, (void)ret_host;
    return -ENOSYS;
}

int hk_dns_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX])
{
    (void)where, (void)ret_list;
    return -ENOSYS;
}
