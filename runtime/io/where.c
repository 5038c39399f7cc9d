/* SPDX-License-Identifier: MIT */
/* where.c - reading and writing `where` strings.
 *
 *     tcp://   ( name | 1.2.3.4 | [IPv6] ) : port
 *     udp://   the same
 *     unix://  /absolute/path
 *     unix://  @name          an abstract socket (Linux): a name without a file
 *
 * A name is what RFC 1123 allows, plus '_': labels of letters, digits and inner hyphens. One whose
 * last label is a number is an IPv4 address or nothing, as in the URL standard, so that resolvers
 * never see "127.1" or "1.2.3.256" and make up their own minds.
 *
 * Not supported: IPv6 zones ("%eth0"), user names, percent-encoding. */
#include "io/where.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A piece of the text: not ended by a NUL. */
typedef struct piece {
    const char *at;
    size_t length;
} piece;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}

static bool skip(const char **text, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(*text, prefix, n) != 0)
        return false;
    *text += n;
    return true;
}

/* One to five digits, no sign, no blank, no more than 65535. */
static int parse_port(const char *text, bool listening, uint16_t *ret_port)
{
    unsigned value = 0;
    size_t n = 0;
    for (; is_digit(text[n]); n++) {
        if (n == 5)
            return -EINVAL;
        value = value * 10 + (unsigned)(text[n] - '0');
    }
    if (n == 0 || text[n] != '\0' || value > UINT16_MAX)
        return -EINVAL;
    if (value == 0 && !listening)
        return -EINVAL;
    *ret_port = (uint16_t)value;
    return 0;
}

static bool parse_in(const char *host, hk_address *ret)
{
    *ret = (hk_address){.length = sizeof ret->socket.in};
    ret->socket.in.sin_family = AF_INET;
    return inet_pton(AF_INET, host, &ret->socket.in.sin_addr) == 1;
}

static bool parse_in6(const char *host, hk_address *ret)
{
    *ret = (hk_address){.length = sizeof ret->socket.in6};
    ret->socket.in6.sin6_family = AF_INET6;
    return inet_pton(AF_INET6, host, &ret->socket.in6.sin6_addr) == 1;
}

/* A label: 1 to 63 letters, digits, '_' and inner '-'. */
static bool is_label(piece label)
{
    if (label.length == 0 || label.length > HK_LABEL_MAX)
        return false;
    if (label.at[0] == '-' || label.at[label.length - 1] == '-')
        return false;
    for (size_t i = 0; i < label.length; i++)
        if (!is_name_char(label.at[i]))
            return false;
    return true;
}

/* What an address parser would take for a number: digits, or 0x and anything. */
static bool is_number(piece label)
{
    if (label.length > 1 && label.at[0] == '0' && (label.at[1] == 'x' || label.at[1] == 'X'))
        return true;
    for (size_t i = 0; i < label.length; i++)
        if (!is_digit(label.at[i]))
            return false;
    return true;
}

bool hk_host_is_name(const char *host)
{
    piece label = {host, 0};
    for (;;) {
        label.length = strcspn(label.at, ".");
        if (!is_label(label))
            return false;
        const char *end = label.at + label.length;
        if (end[0] == '\0' || end[1] == '\0') /* one dot may stand at the end */
            return !is_number(label);
        label.at = end + 1;
    }
}

void hk_address_set_port(hk_address *address, uint16_t port)
{
    if (address->socket.any.sa_family == AF_INET)
        address->socket.in.sin_port = htons(port);
    else if (address->socket.any.sa_family == AF_INET6)
        address->socket.in6.sin6_port = htons(port);
}

uint16_t hk_address_port(const hk_address *address)
{
    if (address->socket.any.sa_family == AF_INET)
        return ntohs(address->socket.in.sin_port);
    if (address->socket.any.sa_family == AF_INET6)
        return ntohs(address->socket.in6.sin6_port);
    return 0;
}

bool hk_address_equal(const hk_address *a, const hk_address *b)
{
    return a->length == b->length && memcmp(&a->socket, &b->socket, a->length) == 0;
}

/* `host` is an address, or a name for later. Afterwards where->host is "" or the name. */
static int parse_host(piece host, bool bracketed, hk_where *where)
{
    if (host.length == 0 || host.length > HK_HOST_MAX)
        return -EINVAL;
    memcpy(where->host, host.at, host.length);
    where->host[host.length] = '\0';

    bool known = bracketed ? parse_in6(where->host, &where->address)
                           : parse_in(where->host, &where->address);
    if (!known && (bracketed || !hk_host_is_name(where->host)))
        return -EINVAL;
    if (known)
        where->host[0] = '\0';
    return 0;
}

static int parse_inet(const char *text, bool listening, hk_where *where)
{
    bool bracketed = text[0] == '[';
    if (bracketed)
        text++;
    piece host = {text, strcspn(text, bracketed ? "]" : ":")};
    const char *rest = text + host.length;
    if (bracketed && !skip(&rest, "]"))
        return -EINVAL;
    if (!skip(&rest, ":"))
        return -EINVAL;

    int rc = parse_port(rest, listening, &where->port);
    if (rc < 0)
        return rc;
    rc = parse_host(host, bracketed, where);
    if (rc < 0)
        return rc;
    hk_address_set_port(&where->address, where->port);
    return 0;
}

static int parse_unix(const char *path, hk_where *where)
{
    struct sockaddr_un *un = &where->address.socket.un;
    size_t n = strlen(path);
    size_t head = offsetof(struct sockaddr_un, sun_path);
    bool abstract = path[0] == '@' && n > 1;
    if (n >= sizeof un->sun_path || (!abstract && (path[0] != '/' || path[n - 1] == '/')))
        return -EINVAL;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, n + 1);
    if (abstract)
        un->sun_path[0] = '\0'; /* and the length ends the name, not a NUL */
    where->address.length = (socklen_t)(head + n + !abstract);
    return 0;
}

int hk_where_parse_as(const char *text, int schemes, bool listening, hk_where *ret_where)
{
    hk_where where = {0};
    if (text == NULL)
        return -EINVAL;
    if (skip(&text, "tcp://"))
        where.scheme = HK_TCP;
    else if (skip(&text, "udp://"))
        where.scheme = HK_UDP;
    else if (skip(&text, "unix://"))
        where.scheme = HK_UNIX;
    else
        return strstr(text, "://") ? -EPROTONOSUPPORT : -EINVAL;
    if (!(where.scheme & schemes))
        return -EPROTONOSUPPORT;
    int rc =
        where.scheme == HK_UNIX ? parse_unix(text, &where) : parse_inet(text, listening, &where);
    if (rc == 0)
        *ret_where = where;
    return rc;
}

int hk_where_parse(const char *text, bool listening, hk_where *ret_where)
{
    return hk_where_parse_as(text, HK_TCP | HK_UNIX, listening, ret_where);
}

static int format_unix(const hk_address *address, char *ret_text, size_t n)
{
    /* The kernel counts the NUL of a path only if there was room for one. A nameless socket has no
     * path, an abstract one begins with a NUL and may have any bytes after it. */
    size_t head = offsetof(struct sockaddr_un, sun_path);
    const char *path = address->socket.un.sun_path;
    size_t room = address->length > head ? address->length - head : 0;
    size_t length = strnlen(path, room);
    if (length == 0 && room > 1 && !memchr(path + 1, '\0', room - 1))
        return snprintf(ret_text, n, "unix://@%.*s", (int)(room - 1), path + 1);
    return snprintf(ret_text, n, "unix://%.*s", (int)length, path);
}

int hk_where_format_as(const hk_address *address, int scheme, char *ret_text, size_t n)
{
    char host[INET6_ADDRSTRLEN];
    char text[HK_WHERE_MAX];
    int length;
    const char *name = scheme == HK_UDP ? "udp" : "tcp";
    const struct sockaddr_in *in = &address->socket.in;
    const struct sockaddr_in6 *in6 = &address->socket.in6;

    switch (address->socket.any.sa_family) {
    case AF_INET:
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host); /* large enough: cannot fail */
        length = snprintf(text, sizeof text, "%s://%s:%u", name, host, ntohs(in->sin_port));
        break;
    case AF_INET6:
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host); /* likewise */
        length = snprintf(text, sizeof text, "%s://[%s]:%u", name, host, ntohs(in6->sin6_port));
        break;
    case AF_UNIX: length = format_unix(address, text, sizeof text); break;
    default: return -EAFNOSUPPORT;
    }
    if ((size_t)length >= n)
        return -ENOSPC;
    memcpy(ret_text, text, (size_t)length + 1);
    return 0;
}

int hk_where_format(const hk_address *address, char *ret_text, size_t n)
{
    return hk_where_format_as(address, HK_TCP, ret_text, n);
}
