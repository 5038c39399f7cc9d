/* SPDX-License-Identifier: MIT */
/* dns_test.c - names, asked of a small name server on a thread of this process: good answers, bad
 * ones, and none. */
#include "io/dns.h"

#include <hank/address.h>

#include "api/support.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fault.h"

/* --- the server ------------------------------------------------------------------------------ */

enum {
    HEADER = 12,
    PACKET = 1500,
    TYPE_A = 1,
    TYPE_PTR = 12,
    TYPE_AAAA = 28,
    TRUNCATED = 0x02,
    NO_SUCH_NAME = 3
};

static int udp, tcp, bell[2];
static HK_ATOMIC(int) questions;
static pthread_t server;

typedef struct packet {
    unsigned char bytes[PACKET];
    size_t n;
} packet;

static void put(packet *p, const void *bytes, size_t n)
{
    memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
}

static void put16(packet *p, unsigned value)
{
    unsigned char both[] = {(unsigned char)(value >> 8), (unsigned char)value};
    put(p, both, 2);
}

/* One more address for the name that was asked for. */
static void add_address(packet *p, unsigned type, unsigned last)
{
    unsigned char address[16] = {0};
    size_t n = type == TYPE_A ? 4 : 16;
    if (type == TYPE_A)
        address[0] = 127;
    address[n - 1] = (unsigned char)last;
    put16(p, 0xc000 | HEADER); /* the name in the question */
    put16(p, type);
    put16(p, 1);
    put16(p, 0);
    put16(p, 60);
    put16(p, (unsigned)n);
    put(p, address, n);
    p->bytes[7]++;
}

/* The name that belongs to the address that was asked for: labels, each with its length before. */
static void add_name(packet *p, const char *name, size_t n)
{
    put16(p, 0xc000 | HEADER);
    put16(p, TYPE_PTR);
    put16(p, 1);
    put16(p, 0);
    put16(p, 60);
    put16(p, (unsigned)n);
    put(p, name, n);
    p->bytes[7]++;
}

/* 127.0.0.N, of which only the last byte is looked at. */
static void answer_with_a_name(packet *p, const char *last)
{
    static const char good[] = "\4four\4hank\4test", odd[] = "\7bad;\nme\4test";
    static const char number[] = "\1"
                                 "1\1"
                                 "2\1"
                                 "3\1"
                                 "4";
    if (strcmp(last, "4") == 0)
        add_name(p, good, sizeof good);
    else if (strcmp(last, "5") == 0)
        add_name(p, odd, sizeof odd);
    else if (strcmp(last, "6") == 0)
        add_name(p, number, sizeof number);
    else
        p->bytes[3] |= NO_SUCH_NAME;
}

/* The first label of the name in a question, and its type. */
static unsigned read_question(const packet *p, char label[64], size_t *ret_end)
{
    size_t at = HEADER, length = p->bytes[at];
    memcpy(label, p->bytes + at + 1, length);
    label[length] = '\0';
    while (p->bytes[at] != 0)
        at += p->bytes[at] + 1u;
    *ret_end = at + 5;
    return p->bytes[at + 2];
}

/* The answer in place of the question; false: none. */
static bool answer(packet *p, bool over_tcp)
{
    char label[64];
    size_t end;
    unsigned type = read_question(p, label, &end);
    (void)hk_add_relaxed(&questions, 1);
    p->n = end;
    p->bytes[2] |= 0x80;
    p->bytes[3] = 0x80;
    memset(p->bytes + 6, 0, 6);
    if (strcmp(label, "silent") == 0)
        return false;
    if (type == TYPE_PTR) {
        answer_with_a_name(p, label);
    } else if (strcmp(label, "nobody") == 0) {
        p->bytes[3] |= NO_SUCH_NAME;
    } else if (strcmp(label, "four") == 0 && type == TYPE_A) {
        add_address(p, type, 4);
    } else if (strcmp(label, "both") == 0) {
        add_address(p, type, 1);
    } else if (strcmp(label, "many") == 0 && type == TYPE_A) {
        for (unsigned i = 1; i <= 20; i++)
            add_address(p, type, i);
    } else if (strcmp(label, "large") == 0 && type == TYPE_A) {
        if (over_tcp)
            add_address(p, type, 9);
        else
            p->bytes[2] |= TRUNCATED;
    } else if (strcmp(label, "garbage") == 0) {
        p->bytes[7] = 50; /* of which none comes */
    } else if (strcmp(label, "loop") == 0) {
        p->bytes[7] = 1;
        put16(p, 0xc000 | (unsigned)end); /* a name that points to itself */
        put16(p, type);
    } else if (strcmp(label, "failing") == 0) {
        p->bytes[3] |= 2;
    }
    return true;
}

static void serve_udp(void)
{
    packet p;
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(udp, p.bytes, sizeof p.bytes - 200, 0, (struct sockaddr *)&from, &length);
    if (n <= HEADER)
        return;
    p.n = (size_t)n;
    if (answer(&p, false))
        (void)sendto(udp, p.bytes, p.n, 0, (struct sockaddr *)&from, length);
}

static void serve_tcp(void)
{
    packet p;
    unsigned char size[2];
    int fd = accept(tcp, NULL, NULL);
    if (fd >= 0 && recv(fd, size, 2, MSG_WAITALL) == 2) {
        p.n = (size_t)(size[0] << 8 | size[1]);
        if (p.n < PACKET - 200 && recv(fd, p.bytes, p.n, MSG_WAITALL) == (ssize_t)p.n &&
            answer(&p, true)) {
            size[0] = (unsigned char)(p.n >> 8);
            size[1] = (unsigned char)p.n;
            (void)send(fd, size, 2, MSG_NOSIGNAL | MSG_MORE);
            (void)send(fd, p.bytes, p.n, MSG_NOSIGNAL);
        }
    }
    if (fd >= 0)
        (void)close(fd);
}

static void *serve(void *arg)
{
    struct pollfd fds[] = {{udp, POLLIN, 0}, {tcp, POLLIN, 0}, {bell[0], POLLIN, 0}};
    (void)arg;
    while (poll(fds, 3, -1) >= 0 && !fds[2].revents) {
        if (fds[0].revents)
            serve_udp();
        if (fds[1].revents)
            serve_tcp();
    }
    return NULL;
}

/* Both on one port, which may take a few tries. */
static void open_sockets(void)
{
    for (int i = 0; i < 50; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t length = sizeof address;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(udp, (struct sockaddr *)&address, length) == 0 &&
            getsockname(udp, (struct sockaddr *)&address, &length) == 0 &&
            bind(tcp, (struct sockaddr *)&address, length) == 0 && listen(tcp, 5) == 0) {
            char text[64];
            (void)snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(address.sin_port));
            (void)setenv("HANK_DNS_SERVERS", text, 1);
            return;
        }
        (void)close(udp);
        (void)close(tcp);
    }
    cr_assert(false, "no port that is free for both");
}

static void start_server(void)
{
    open_sockets();
    (void)setenv("HANK_RESOLVER", "dns", 1);
    /* The names of the system, and those of older versions of c-ares. */
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:2 retrans:1000 retry:2", 1);
    cr_assert_eq(pipe(bell), 0);
    cr_assert_eq(pthread_create(&server, NULL, serve, NULL), 0);
}

static void stop_server(void)
{
    cr_assert_eq(write(bell[1], "x", 1), 1);
    cr_assert_eq(pthread_join(server, NULL), 0);
}

/* --- names ------------------------------------------------------------------------------------ */

static int look_up(const char *name, hk_address *ret_list)
{
    hk_where where = {.port = 80};
    (void)snprintf(where.host, sizeof where.host, "%s", name);
    return hk_resolve(&where, ret_list);
}

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

static int look_up_both(void *arg)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    int rc = look_up("both.hank.test", list);
    return rc == 2 ? 0 : rc < 0 ? rc : -EPROTO;
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

#if HK_FAULTS
static int fail_each(void *arg)
{
    static const struct {
        hk_fault kind;
        int error;
    } faults[] = {{HK_FAULT_SOCKET, -EMFILE},     {HK_FAULT_CONNECT, -ENETUNREACH},
                  {HK_FAULT_SEND, -ECONNREFUSED}, {HK_FAULT_RECV, -ECONNREFUSED},
                  {HK_FAULT_POLL, -ENOMEM},       {HK_FAULT_EPOLL_CTL, -ENOSPC},
                  {HK_FAULT_ALLOC, -ENOMEM},      {HK_FAULT_CLOSE, -EIO},
                  {HK_FAULT_RESOLVE, -4098},      {HK_FAULT_POLL, -EINTR}};
    (void)arg;
    MUST(look_up_both(NULL) == 0);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        bool more = true;
        for (uint64_t nth = 1; more && nth < 20; nth++) {
            int fds = open_fds();
            hk_fault_plan(faults[i].kind, nth, faults[i].error);
            int rc = look_up_both(NULL);
            more = hk_fault_hit();
            hk_fault_clear();
            CHECK(rc <= 0);
            CHECK(rc == 0 || more);
            CHECK(open_fds() == fds);
        }
    }
    return 0;
}

Test(dns, whatever_call_fails_nothing_is_left, .init = start_server, .fini = stop_server)
{
    with_workers(1, fail_each, NULL);
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
