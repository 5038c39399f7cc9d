/* SPDX-License-Identifier: MIT */
/* address.h - what is inside of a hank_address. */
#ifndef HK_IO_ADDRESS_H
#define HK_IO_ADDRESS_H

#include <hank/address.h>

#include "io/where.h"

/* scheme  HK_TCP if it was read or looked up so; 0, which the zeroed are: not known, or another */
typedef struct hk_address_value {
    hk_address address;
    uint8_t scheme;
} hk_address_value;

_Static_assert(sizeof(hk_address_value) <= sizeof(hank_address), "an address fits");

static inline hk_address *hk_address_inside(hank_address *a)
{
    return (hk_address *)(void *)a;
}

static inline const hk_address *hk_address_inside_const(const hank_address *a)
{
    return (const hk_address *)(const void *)a;
}

/* Make it that address, of one of where.h's schemes. */
void hk_address_set(hank_address *ret, const hk_address *address, int scheme);

#endif
