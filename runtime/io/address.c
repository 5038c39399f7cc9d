/* SPDX-License-Identifier: MIT */
/* address.c - addresses as programs have them: read, written, compared. */
#include "io/address.h"

#include <errno.h>
#include <string.h>

int hank_address_parse(const char *text, hank_address *ret)
{
    hk_where where;
    int rc = hk_where_parse_as(text, HK_UDP | HK_UNIX, false, &where);
    if (rc == 0 && where.host[0] != '\0')
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    *ret = (hank_address){{0}};
    *hk_address_inside(ret) = where.address;
    return 0;
}

int hank_address_format(const hank_address *address, char *ret_text, size_t n)
{
    return hk_where_format_as(hk_address_inside_const(address), HK_UDP, ret_text, n);
}

bool hank_address_equal(const hank_address *a, const hank_address *b)
{
    const hk_address *x = hk_address_inside_const(a), *y = hk_address_inside_const(b);
    return x->length == y->length && memcmp(&x->socket, &y->socket, x->length) == 0;
}
