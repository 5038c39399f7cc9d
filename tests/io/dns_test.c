/* SPDX-License-Identifier: MIT */
/* dns_test.c - names, asked of a name server: its answers, good and bad, and its silence. */
#include "io/dns.h"

#include <hank/address.h>

#include "io/dns_support.h"

#define DNS_TEST(name)                                                                             \
    static int name##_app(void *arg);                                                              \
    Test(dns, name, .init = start_server, .fini = stop_server)                                     \
    {                                                                                              \
        with_each_size(name##_app, NULL);                                                          \
    }                                                                                              \
    static int name##_app(void *arg)

DNS_TEST(a_name_with_an_address_has_it)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    MUST(look_up("four.hank.test", list) == 1);
    MUST(list[0].socket.in.sin_family == AF_INET);
    MUST(list[0].socket.in.sin_addr.s_addr == htonl(0x7f000004));
    MUST(ntohs(list[0].socket.in.sin_port) == 80);
    MUST(list[0].length == sizeof(struct sockaddr_in));
    return 0;
}

DNS_TEST(a_name_may_have_addresses_of_both_families)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    MUST(look_up("both.hank.test", list) == 2);
    MUST(list[0].socket.any.sa_family != list[1].socket.any.sa_family);
    return 0;
}

DNS_TEST(of_many_addresses_as_many_are_kept_as_there_is_room_for)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    MUST(look_up("many.hank.test", list) == HK_ADDRESSES_MAX);
    return 0;
}

DNS_TEST(an_answer_too_large_for_a_datagram_comes_by_tcp)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    MUST(look_up("large.hank.test", list) == 1);
    MUST(list[0].socket.in.sin_addr.s_addr == htonl(0x7f000009));
    return 0;
}

DNS_TEST(a_name_that_nobody_has_is_told)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    MUST(strcmp(hank_strerror(look_up("nobody.hank.test", list)), "no such host") == 0);
    return 0;
}

DNS_TEST(a_name_without_addresses_is_told)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    int rc = look_up("empty.hank.test", list);
    MUST(strcmp(hank_strerror(rc), "host has no address") == 0);
    return 0;
}

DNS_TEST(malformed_answers_are_failures)
{
    static const char *const names[] = {"garbage.hank.test", "loop.hank.test", "failing.hank.test"};
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int rc = look_up(names[i], list);
        MUST(rc <= -4096);
        MUST(strstr(hank_strerror(rc), "name lookup failed") != NULL ||
             strcmp(hank_strerror(rc), "no such host") == 0);
    }
    return 0;
}

DNS_TEST(hosts_of_the_system_are_known_without_asking)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    hk_store_relaxed(&questions, 0);
    MUST(look_up("localhost", list) >= 1);
    MUST(hk_load_relaxed(&questions) == 0);
    return 0;
}

static int name_of(const char *address, char *ret_host)
{
    hank_address a;
    int rc = hank_address_parse(address, &a);
    return rc < 0 ? rc : hank_resolve_name(&a, ret_host, HANK_HOST_MAX + 1);
}

DNS_TEST(an_address_has_the_name_that_its_owner_says)
{
    char host[HANK_HOST_MAX + 1] = "";
    (void)arg;
    MUST(name_of("udp://127.0.0.4:1", host) == 0 && strcmp(host, "four.hank.test") == 0);
    MUST(strcmp(hank_strerror(name_of("udp://127.0.0.9:1", host)), "no such host") == 0);
    return 0;
}

DNS_TEST(a_name_that_no_host_may_have_is_none)
{
    char host[HANK_HOST_MAX + 1] = "";
    (void)arg;
    MUST(name_of("udp://127.0.0.5:1", host) < -4095); /* c-ares has its own words for it */
    MUST(strcmp(hank_strerror(name_of("udp://127.0.0.6:1", host)), "no such host") == 0);
    MUST(host[0] == '\0');
    return 0;
}

static int look_up_silent(void *arg)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    return look_up("silent.hank.test", list);
}

DNS_TEST(a_server_that_does_not_answer_can_be_given_up)
{
    (void)arg;
    hk_store_relaxed(&questions, 0);
    MUST(hank_within(HANK_MS(20), look_up_silent(NULL)) == -ETIMEDOUT);
    hank_task t = hank_spawn(look_up_silent, NULL);
    YIELD_UNTIL(hk_load_relaxed(&questions) > 0);
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    return 0;
}

Test(dns, a_server_that_never_answers_is_a_failure_for_now, .init = start_server,
     .fini = stop_server)
{
    hk_where where = {.port = 80, .host = "silent.hank.test"};
    (void)where;
    cr_assert_eq(hank_run(look_up_silent, NULL), -4096 - 3 /* EAI_AGAIN */);
}

DNS_TEST(many_names_are_looked_up_at_the_same_time)
{
    hank_task t[50];
    (void)arg;
    for (int i = 0; i < 50; i++)
        t[i] = hank_spawn(look_up_both, NULL);
    return hank_gather_n(t, 50, NULL);
}

DNS_TEST(connecting_uses_what_was_found)
{
    hank_listener *l;
    hank_stream *s;
    char name[64], by_name[96];
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0); /* not at ::1, where "both" leads as well */
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    (void)snprintf(by_name, sizeof by_name, "tcp://both.hank.test%s", strrchr(name, ':'));
    MUST(hank_connect(by_name, &s) == 0);
    hank_close(s);
    hank_listener_close(l);
    return 0;
}

/* Another program may have the same port at the second address: then it is tried with another. */
static int listen_at_both(const hank_address list[2], hank_listener *ret[3])
{
    char name[64], again[96], wanted[64];
    MUST(hank_listen("tcp://both.hank.test:0", &ret[0]) == 0);
    MUST(hank_listener_name(ret[0], name, sizeof name) == 0);
    MUST(hank_address_format(&list[0], wanted, sizeof wanted) == 0);
    MUST(strncmp(name, wanted, (size_t)(strrchr(wanted, ':') - wanted) + 1) == 0);
    (void)snprintf(again, sizeof again, "tcp://both.hank.test%s", strrchr(name, ':'));
    int rc = hank_listen(again, &ret[1]);
    if (rc < 0)
        return rc;
    MUST(hank_listener_name(ret[1], name, sizeof name) == 0);
    MUST(hank_address_format(&list[1], wanted, sizeof wanted) == 0);
    MUST(strncmp(name, wanted, (size_t)(strrchr(wanted, ':') - wanted) + 1) == 0);
    MUST(hank_listen(again, &ret[2]) == -EADDRINUSE);
    return 0;
}

DNS_TEST(listening_is_at_the_first_address_that_can_be_had)
{
    hank_listener *l[3] = {NULL};
    hank_address list[2];
    int rc;
    (void)arg;
    if (hank_listen("tcp://[::1]:0", &l[0]) < 0)
        return 0; /* there is no IPv6 */
    MUST(hank_resolve("tcp://both.hank.test:0", list, 2) == 2);
    for (int i = 0; i < 20; i++) {
        hank_listener_close(l[0]);
        rc = listen_at_both(list, l);
        if (rc != -EADDRINUSE)
            break;
    }
    hank_listener_close(l[0]);
    hank_listener_close(l[1]);
    return rc;
}

#if HK_FAULTS
Test(dns, whatever_call_fails_nothing_is_left, .init = start_server, .fini = stop_server)
{
    with_workers(1, fail_each, &(victim){look_up_both, 100});
}
#endif

/* --- configuration ---------------------------------------------------------------------------- */

Test(configuration, of_files_and_dns_alone_is_asked_here)
{
    cr_assert(hk_dns_suffices(""));
    cr_assert(hk_dns_suffices("passwd: files\n"));
    cr_assert(hk_dns_suffices("hosts: files dns\n"));
    cr_assert(
        hk_dns_suffices("# hosts: ldap\npasswd: files\nhosts:\tdns # files\nnetworks: files"));
    cr_assert(hk_dns_suffices("hosts:"));
}

Test(configuration, with_other_sources_is_the_systems)
{
    cr_assert(!hk_dns_suffices("hosts: files mdns4_minimal [NOTFOUND=return] dns\n"));
    cr_assert(!hk_dns_suffices("passwd: files\nhosts: files resolve\n"));
    cr_assert(!hk_dns_suffices("hosts: files dnssec"));
    cr_assert(!hk_dns_suffices("hosts: files [!UNAVAIL=return] dns"));
}
