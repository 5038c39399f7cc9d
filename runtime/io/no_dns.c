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

int hk_dns_begin(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX],
                 hk_dns_lookup **ret_late)
{
    (void)where, (void)ret_list, (void)ret_late;
    return -ENOSYS;
}

int hk_dns_rest(hk_dns_lookup *late, hk_address ret_list[HK_ADDRESSES_MAX])
{
    (void)late, (void)ret_list;
    return -ENOSYS;
}

void hk_dns_end(hk_dns_lookup *late)
{
    (void)late;
}

int hk_dns_resolve(const hk_where *where, hk_address ret_list[HK_ADDRESSES_MAX])
{
    (void)where, (void)ret_list;
    return -ENOSYS;
}
