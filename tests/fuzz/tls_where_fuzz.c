/* SPDX-License-Identifier: MIT */
/* tls_where_fuzz.c - whatever the bytes, "tls://..." is refused or means one place: the host that
 * the other end has to prove it is, is the host that is connected to. For libFuzzer. */
#include "tls/tls.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "fuzz/fuzz_text.h"
#include "io/where.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The name without the dot at its end, which is for the resolver. */
static bool is_name(const char *name, const char *host)
{
    size_t n = strlen(name);
    if (n > 0 && name[n - 1] == '.')
        n--;
    return strlen(host) == n && memcmp(name, host, n) == 0;
}

static bool is_address(const hk_where *where, const char *host)
{
    char text[HK_TLS_WHERE_MAX], address[INET6_ADDRSTRLEN];
    const hk_address *a = &where->address;
    int family = a->socket.any.sa_family;
    const void *bytes = family == AF_INET ? (const void *)&a->socket.in.sin_addr
                                          : (const void *)&a->socket.in6.sin6_addr;
    unsigned char said[sizeof(struct in6_addr)], meant[sizeof(struct in6_addr)];
    size_t length = strcspn(host, "%"); /* a zone is this machine's own matter */
    memcpy(text, host, length);
    text[length] = '\0';
    return inet_ntop(family, bytes, address, sizeof address) != NULL &&
           inet_pton(family, text, said) == 1 && inet_pton(family, address, meant) == 1 &&
           memcmp(said, meant, family == AF_INET ? 4 : 16) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    if (text == NULL)
        return 0;

    char tcp[HK_TLS_WHERE_MAX], host[HK_TLS_WHERE_MAX];
    hk_where where;
    if (hk_tls_as_tcp(text, tcp, host) == 0 && hk_where_parse(tcp, false, &where) == 0)
        HK_CHECK(where.host[0] != '\0' ? is_name(where.host, host) : is_address(&where, host));
    free(text);
    return 0;
}
