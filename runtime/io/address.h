/* SPDX-License-Identifier: MIT */
/* address.h - what is inside of a hank_address. */
#ifndef HK_IO_ADDRESS_H
#define HK_IO_ADDRESS_H

#include <hank/address.h>

#include "io/where.h"

_Static_assert(sizeof(hk_address) <= sizeof(hank_address), "an address fits");

static inline hk_address *hk_address_inside(hank_address *a)
{
    return (hk_address *)(void *)a;
}

static inline const hk_address *hk_address_inside_const(const hank_address *a)
{
    return (const hk_address *)(const void *)a;
}

#endif
