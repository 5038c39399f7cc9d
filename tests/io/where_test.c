/* SPDX-License-Identifier: MIT */
/* where_test.c - what a `where` string may say, and what it may not. */
#include "io/where.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static hk_where must_parse(const char *text)
{
    hk_where where;
    memset(&where, 0xa5, sizeof where);
    int rc = hk_where_parse(text, false, &where);
    cr_assert_eq(rc, 0, "%s: %d", text, rc);
    return where;
}

static void all_are(const char *const *texts, bool listening, int expected)
{
    for (; *texts; texts++) {
        hk_where where;
        int rc = hk_where_parse(*texts, listening, &where);
        cr_expect_eq(rc, expected, "\"%s\" gives %d, not %d", *texts, rc, expected);
    }
}

static const char *repeat(char *buffer, char c, size_t n)
{
    memset(buffer, c, n);
    buffer[n] = '\0';
    return buffer;
}

Test(where, a_name_is_kept_for_the_resolver)
{
    hk_where where = must_parse("tcp://www.example.com:8080");
    cr_assert_str_eq(where.host, "www.example.com");
    cr_assert_eq(where.port, 8080);
}

Test(where, an_ipv4_address_needs_no_resolver)
{
    hk_where where = must_parse("tcp://127.0.0.1:80");
    cr_assert_str_eq(where.host, "");
    cr_assert_eq(where.address.socket.in.sin_family, AF_INET);
    cr_assert_eq(where.address.socket.in.sin_port, htons(80));
    cr_assert_eq(where.address.socket.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    cr_assert_eq(where.address.length, sizeof(struct sockaddr_in));
}

Test(where, an_ipv6_address_stands_in_brackets)
{
    hk_where where = must_parse("tcp://[::1]:65535");
    cr_assert_str_eq(where.host, "");
    cr_assert_eq(where.address.socket.in6.sin6_family, AF_INET6);
    cr_assert_eq(where.address.socket.in6.sin6_port, htons(65535));
    cr_assert(IN6_IS_ADDR_LOOPBACK(&where.address.socket.in6.sin6_addr));
}

Test(where, a_unix_path_is_absolute_and_ended_by_a_nul)
{
    hk_where where = must_parse("unix:///run/x y:%.sock");
    cr_assert_eq(where.address.socket.un.sun_family, AF_UNIX);
    cr_assert_str_eq(where.address.socket.un.sun_path, "/run/x y:%.sock");
    cr_assert_eq(where.address.length,
                 offsetof(struct sockaddr_un, sun_path) + sizeof "/run/x y:%.sock");
}

Test(where, names_of_every_allowed_shape_pass)
{
    static const char *const good[] = {
        "tcp://a:1",     "tcp://localhost:1",  "tcp://a-b.c-d:1",  "tcp://a_b.c:1",
        "tcp://9gag.com:1", "tcp://1.2.3.4.in-addr.arpa:1", "tcp://host.:1", "tcp://LOUD:00080",
        "tcp://1.2.3.a4:1", "tcp://xn--bcher-kva.example:1", NULL};
    all_are(good, false, 0);
}

Test(where, a_malformed_host_is_refused)
{
    static const char *const bad[] = {
        "tcp://:80",      "tcp://.:80",      "tcp://..:80",    "tcp://a..b:80",   "tcp://.a:80",
        "tcp://-a:80",    "tcp://a-:80",     "tcp://a.-b:80",  "tcp://a b:80",    "tcp:// a:80",
        "tcp://a/b:80",   "tcp://a@b:80",    "tcp://a%20b:80", "tcp://b\xc3\xbc.de:80",
        "tcp://a\n:80",   "tcp://*:80",      "tcp://a..:80",   "tcp://a,b:80",    NULL};
    all_are(bad, false, -EINVAL);
}

Test(where, a_host_that_looks_like_a_number_is_an_address_or_nothing)
{
    static const char *const bad[] = {
        "tcp://127.1:80",      "tcp://1:80",          "tcp://1.2.3.256:80", "tcp://1.2.3:80",
        "tcp://1.2.3.4.5:80",  "tcp://0x7f000001:80", "tcp://a.0x1:80",     "tcp://a.1:80",
        "tcp://01.2.3.4:80",   "tcp://1.2.3.4.:80",   "tcp://1.2.3.04:80",  NULL};
    all_are(bad, false, -EINVAL);
}

Test(where, a_malformed_ipv6_address_is_refused)
{
    static const char *const bad[] = {
        "tcp://::1:80",      "tcp://[::1:80",   "tcp://[]:80",          "tcp://[::1]80",
        "tcp://[::1]",       "tcp://[::1]:",    "tcp://[1::2::3]:80",   "tcp://[127.0.0.1]:80",
        "tcp://[localhost]:80", "tcp://[fe80::1%lo]:80", "tcp://[[::1]]:80", "tcp://x[::1]:80",
        "tcp://[:::]:80",    "tcp://[12345::]:80", NULL};
    all_are(bad, false, -EINVAL);
}

Test(where, a_malformed_port_is_refused)
{
    static const char *const bad[] = {
        "tcp://a",       "tcp://a:",      "tcp://a:x",     "tcp://a:80x",   "tcp://a:-1",
        "tcp://a:+1",    "tcp://a: 80",   "tcp://a:80 ",   "tcp://a:65536", "tcp://a:99999",
        "tcp://a:100000", "tcp://a:000080", "tcp://a:0x50", "tcp://a:http", "tcp://a:80:80",
        "tcp://a:80/",   "tcp://a:4294967376", NULL};
    all_are(bad, true, -EINVAL);
}

Test(where, port_0_is_for_listeners_only)
{
    static const char *const zero[] = {"tcp://a:0", "tcp://1.2.3.4:0", "tcp://[::]:00000", NULL};
    all_are(zero, true, 0);
    all_are(zero, false, -EINVAL);
}

Test(where, a_unix_path_that_cannot_name_a_socket_is_refused)
{
    static const char *const bad[] = {"unix://", "unix://run/x", "unix://@", "unix:///",
                                      "unix:///run/", "unix://./x", NULL};
    all_are(bad, true, -EINVAL);
}

Test(where, a_unix_path_may_be_as_long_as_the_kernel_takes_with_its_nul)
{
    char path[200], text[220];
    size_t max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    hk_where where;
    snprintf(text, sizeof text, "unix:///%s", repeat(path, 'p', max - 1));
    cr_assert_eq(hk_where_parse(text, false, &where), 0);
    snprintf(text, sizeof text, "unix:///%s", repeat(path, 'p', max));
    cr_assert_eq(hk_where_parse(text, false, &where), -EINVAL);
}

Test(where, a_label_may_have_63_bytes_and_a_host_253)
{
    char label[80], text[400], host[300] = {0};
    hk_where where;
    snprintf(text, sizeof text, "tcp://%s:1", repeat(label, 'x', 63));
    cr_assert_eq(hk_where_parse(text, false, &where), 0);
    snprintf(text, sizeof text, "tcp://%s:1", repeat(label, 'x', 64));
    cr_assert_eq(hk_where_parse(text, false, &where), -EINVAL);

    for (int i = 0; i < 253; i++)
        host[i] = i % 2 ? '.' : 'x';
    snprintf(text, sizeof text, "tcp://%s:1", host);
    cr_assert_eq(hk_where_parse(text, false, &where), 0);
    cr_assert_eq(strlen(where.host), 253);
    snprintf(text, sizeof text, "tcp://%sx:1", host);
    cr_assert_eq(hk_where_parse(text, false, &where), -EINVAL);
}

Test(where, a_scheme_hank_does_not_know_is_not_supported)
{
    static const char *const unknown[] = {"tls://a:1", "http://a", "udp://a:1", "TCP://a:1",
                                          "://a:1", NULL};
    all_are(unknown, false, -EPROTONOSUPPORT);
}

Test(where, a_string_without_a_scheme_is_malformed)
{
    static const char *const bad[] = {"", "tcp", "tcp:", "tcp:/", "tcp:a:1", "a:1", "/run/x", NULL};
    all_are(bad, false, -EINVAL);
    hk_where where;
    cr_assert_eq(hk_where_parse(NULL, false, &where), -EINVAL);
}

Test(where, a_failure_writes_nothing)
{
    hk_where before, where;
    memset(&before, 0x5a, sizeof before);
    where = before;
    cr_assert_eq(hk_where_parse("tcp://good.example:0", false, &where), -EINVAL);
    cr_assert_eq(memcmp(&where, &before, sizeof where), 0);
}

Test(where, an_address_is_written_as_it_is_read)
{
    static const char *const texts[] = {"tcp://127.0.0.1:80", "tcp://[::1]:1",
                                        "tcp://[2001:db8::7]:9", "unix:///run/x", NULL};
    for (int i = 0; texts[i]; i++) {
        char text[HK_WHERE_MAX];
        hk_where where = must_parse(texts[i]);
        cr_assert_eq(hk_where_format(&where.address, text, sizeof text), 0);
        cr_assert_str_eq(text, texts[i]);
    }
}

Test(where, an_address_is_written_whole_or_not_at_all)
{
    hk_where where = must_parse("tcp://127.0.0.1:80");
    char text[sizeof "tcp://127.0.0.1:80"] = "untouched";
    cr_assert_eq(hk_where_format(&where.address, text, sizeof text - 1), -ENOSPC);
    cr_assert_str_eq(text, "untouched");
    cr_assert_eq(hk_where_format(&where.address, text, sizeof text), 0);
}

Test(where, a_path_the_kernel_gave_without_a_nul_is_written_whole)
{
    hk_address address = {.length = sizeof(struct sockaddr_un)};
    address.socket.un.sun_family = AF_UNIX;
    memset(address.socket.un.sun_path, 'p', sizeof address.socket.un.sun_path);
    char text[HK_WHERE_MAX];
    cr_assert_eq(hk_where_format(&address, text, sizeof text), 0);
    cr_assert_eq(strlen(text), strlen("unix://") + sizeof address.socket.un.sun_path);
}

Test(where, a_nameless_unix_socket_is_written_as_a_bare_scheme)
{
    hk_address address = {.length = sizeof(sa_family_t)};
    address.socket.un.sun_family = AF_UNIX;
    char text[HK_WHERE_MAX];
    cr_assert_eq(hk_where_format(&address, text, sizeof text), 0);
    cr_assert_str_eq(text, "unix://");
}
