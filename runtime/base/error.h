/* SPDX-License-Identifier: MIT */
/* error.h - where a resolver's codes live among results: below every errno.
 *
 * getaddrinfo has numbers of its own, which mean other things as errnos. Linux's errnos end at
 * 4095, so -4096 and below are free. The words are in error.c, behind hank_strerror(). */
#ifndef HK_BASE_ERROR_H
#define HK_BASE_ERROR_H

enum { HK_RESOLVER_ERRORS = -4096 };

/* 0 stays 0; the sign of the code, which differs between systems, does not matter. */
static inline int hk_error_of_resolver(int code)
{
    return code == 0 ? 0 : HK_RESOLVER_ERRORS - (code < 0 ? -code : code);
}

#endif
