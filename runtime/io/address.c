/* SPDX-License-Identifier: MIT */
/* address.c - addresses as programs have them: read, written, compared. */
#include "io/address.h"

#include <errno.h>

void hk_address_set(hank_address *ret, const hk_address *address, int scheme)
{
    hk_address_value *value = (hk_address_value *)(void *)ret;
    *ret = (hank_address){{0}};
    value->address = *address;
    value->scheme = scheme == HK_TCP ? HK_TCP : 0;
}

int hank_address_parse(const char *text, hank_address *ret)
{
    hk_where where;
    int rc = hk_where_parse_as(text, HK_TCP | HK_UDP | HK_UNIX, false, &where);
    if (rc == 0 && where.host[0] != '\0')
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    hk_address_set(ret, &where.address, where.scheme);
    return 0;
}

int hank_address_format(const hank_address *address, char *ret_text, size_t n)
{
    const hk_address_value *value = (const hk_address_value *)(const void *)address;
    int scheme = value->scheme == HK_TCP ? HK_TCP : HK_UDP;
    return hk_where_format_as(&value->address, scheme, ret_text, n);
}

bool hank_address_equal(const hank_address *a, const hank_address *b)
{
    return hk_address_equal(hk_address_inside_const(a), hk_address_inside_const(b));
}
