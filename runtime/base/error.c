/* SPDX-License-Identifier: MIT */
/* error.c - words for results.
 *
 * Constants only: nothing is formatted, so there is no buffer for threads to share and no locale
 * to change the text. A few errnos mean something of their own in hank; for the others the
 * system's words are right. */
#include "base/error.h"

#include <hank/base.h>

#include <netdb.h>

#include "base/os.h"

static const struct {
    int code;
    const char *text;
} lookups[] = {
    {EAI_AGAIN, "name lookup failed for now, try again"},
    {EAI_FAIL, "name lookup failed for good"},
    {EAI_FAMILY, "name lookup: address family not supported"},
    {EAI_NONAME, "no such host"},
    {EAI_SERVICE, "no such service"},
    {EAI_OVERFLOW, "name lookup: the name is too long"},
#ifdef EAI_NODATA
    {EAI_NODATA, "host has no address"},
#endif
};

static const char *const tls[] = {
    "certificate has expired",
    "certificate is not valid yet",
    "certificate is for another host",
    "certificate is self-signed",
    "certificate is not from anybody trusted",
    "certificate was revoked",
    "certificate is not acceptable",
    "no certificate",
    "TLS: no protocol version that both allow",
    "TLS: no cipher that both allow",
    "TLS: no application protocol that both speak",
    "not TLS",
    "TLS: protocol broken",
    "TLS: refused by the other end",
    "TLS: connection ended without a farewell",
    "no certificate or key in the file",
    "key does not belong to the certificate",
    "no valid list of what was revoked",
};

enum { TLS_FIRST = HANK_TLS_EXPIRED, TLS_LAST = HANK_TLS_REVOCATION_UNKNOWN };

_Static_assert(sizeof tls / sizeof tls[0] == TLS_FIRST - TLS_LAST + 1, "each code has words");

static const char *lookup_text(int rc)
{
    if (rc <= TLS_FIRST && rc >= TLS_LAST)
        return tls[TLS_FIRST - rc];
    for (size_t i = 0; i < sizeof lookups / sizeof lookups[0]; i++)
        if (hk_error_of_resolver(lookups[i].code) == rc)
            return lookups[i].text;
    return "name lookup failed";
}

/* What an errno means when hank made it; NULL: what it means everywhere. */
static const char *own_text(int error)
{
    switch (error) {
    case ECANCELED: return "cancelled";
    case ETIMEDOUT: return "timed out";
    case ESTALE: return "task handle was used up before";
    case EPIPE: return "the other end is closed";
    case EDEADLK: return "would wait for itself";
    case ELOOP: return "a stopped task goes on waiting";
    default: return NULL;
    }
}

const char *hank_strerror(int rc)
{
    if (rc >= 0)
        return "success";
    if (rc <= HK_RESOLVER_ERRORS)
        return lookup_text(rc);
    const char *text = own_text(-rc);
    if (text == NULL)
        text = hk_os_error_text(-rc);
    return text ? text : "unknown error";
}
