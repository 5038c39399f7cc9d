/* SPDX-License-Identifier: MIT */
/* dns_support.h - a small name server on a thread of this process: good answers, bad ones, and
 * none; and what asks it. The first label of a name says what is answered. */
#ifndef HK_TESTS_IO_DNS_SUPPORT_H
#define HK_TESTS_IO_DNS_SUPPORT_H

#include "api/support.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fault.h"
#include "io/resolve.h"

/* --- the server ------------------------------------------------------------------------------ */

enum {
    HEADER = 12,
    PACKET = 1500,
    TYPE_A = 1,
    TYPE_PTR = 12,
    TYPE_AAAA = 28,
    TRUNCATED = 0x02,
    NO_SUCH_NAME = 3,
    LATER_MS = 100
};

static int udp, tcp, bell[2];
static HK_ATOMIC(int) questions;
static HK_ATOMIC(int) questions_for_late;
static pthread_t server;

typedef struct packet {
    unsigned char bytes[PACKET];
    size_t n;
} packet;

static inline void put(packet *p, const void *bytes, size_t n)
{
    memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
}

static inline void put16(packet *p, unsigned value)
{
    unsigned char both[] = {(unsigned char)(value >> 8), (unsigned char)value};
    put(p, both, 2);
}

/* One more address for the name that was asked for. */
/* One more answer, about the name in the question. */
static inline void add_record(packet *p, unsigned type, const void *data, size_t n)
{
    put16(p, 0xc000 | HEADER);
    put16(p, type);
    put16(p, 1);
    put16(p, 0);
    put16(p, 60);
    put16(p, (unsigned)n);
    put(p, data, n);
    p->bytes[7]++;
}

static inline void add_address(packet *p, unsigned type, unsigned last)
{
    unsigned char address[16] = {0};
    size_t n = type == TYPE_A ? 4 : 16;
    if (type == TYPE_A)
        address[0] = 127;
    address[n - 1] = (unsigned char)last;
    add_record(p, type, address, n);
}

/* The name that belongs to the address that was asked for: labels, each with its length before. */
static inline void add_name(packet *p, const char *name, size_t n)
{
    add_record(p, TYPE_PTR, name, n);
}

/* 127.0.0.N, of which only the last byte is looked at. */
static inline void answer_with_a_name(packet *p, const char *last)
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
static inline unsigned read_question(const packet *p, char label[64], size_t *ret_end)
{
    size_t at = HEADER, length = p->bytes[at];
    memcpy(label, p->bytes + at + 1, length);
    label[length] = '\0';
    while (p->bytes[at] != 0)
        at += p->bytes[at] + 1u;
    *ret_end = at + 5;
    return p->bytes[at + 2];
}

/* Who answers for one family and drops the other, as some do; "late" and "crowd" only at the first
 * time, and "later" takes its time at the second as well. */
static inline bool is_dropped(const char *label, unsigned type)
{
    if (strcmp(label, "late") == 0 || strcmp(label, "crowd") == 0)
        return type == TYPE_AAAA && hk_add_relaxed(&questions_for_late, 1) == 0;
    if (strcmp(label, "later") == 0 && type == TYPE_A) {
        bool again = hk_add_relaxed(&questions_for_late, 1) > 0;
        if (again)
            (void)poll(NULL, 0, LATER_MS); /* the other family's answer is looked at meanwhile */
        return !again;
    }
    return strcmp(label, "silent") == 0 || (type != TYPE_A && strncmp(label, "just4", 5) == 0) ||
           (type != TYPE_AAAA && strcmp(label, "just6") == 0);
}

/* The answer in place of the question; false: none. */
static inline bool answer(packet *p, bool over_tcp)
{
    char label[64];
    size_t end;
    unsigned type = read_question(p, label, &end);
    (void)hk_add_relaxed(&questions, 1);
    p->n = end;
    p->bytes[2] |= 0x80;
    p->bytes[3] = 0x80;
    memset(p->bytes + 6, 0, 6);
    if (is_dropped(label, type))
        return false;
    if (type == TYPE_PTR) {
        answer_with_a_name(p, label);
    } else if (strcmp(label, "nobody") == 0) {
        p->bytes[3] |= NO_SUCH_NAME;
    } else if (strcmp(label, "four") == 0 && type == TYPE_A) {
        add_address(p, type, 4);
    } else if (strcmp(label, "both") == 0 || strncmp(label, "late", 4) == 0 ||
               strncmp(label, "just", 4) == 0) {
        add_address(p, type, 1);
    } else if (strcmp(label, "twice") == 0 && type == TYPE_A) {
        add_address(p, type, 1);
        add_address(p, type, 1);
    } else if (strcmp(label, "crowd") == 0 && type == TYPE_AAAA) {
        add_address(p, type, 99); /* nobody's: c-ares puts it last */
    } else if (strcmp(label, "half") == 0 || strcmp(label, "absent") == 0) {
        if (type == TYPE_AAAA)
            add_address(p, type, 99);
        else if (label[0] == 'h')
            add_address(p, type, 1);
    } else if ((strcmp(label, "many") == 0 || strcmp(label, "crowd") == 0) && type == TYPE_A) {
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

static inline void serve_udp(void)
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

static inline void serve_tcp(void)
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

static inline void *serve(void *arg)
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
static inline void open_sockets(void)
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

static inline void start_server_with(const char *options)
{
    open_sockets();
    (void)setenv("HANK_RESOLVER", "dns", 1);
    /* The names of the system, and those of older versions of c-ares. */
    (void)setenv("RES_OPTIONS", options, 1);
    cr_assert_eq(pipe(bell), 0);
    cr_assert_eq(pthread_create(&server, NULL, serve, NULL), 0);
}

static inline void start_server(void)
{
    start_server_with("timeout:1 attempts:2 retrans:1000 retry:2");
}

/* As a system is that nobody has told otherwise: more than a minute until it gives up. Whoever
 * waits for that takes longer than PATIENCE. */
#define PATIENCE HANK_SEC(20)

static inline void start_patient_server(void)
{
    start_server_with("timeout:5 attempts:4 retrans:5000 retry:4");
}

static inline void stop_server(void)
{
    cr_assert_eq(write(bell[1], "x", 1), 1);
    cr_assert_eq(pthread_join(server, NULL), 0);
}

/* --- who asks --------------------------------------------------------------------------------- */

static inline int look_up(const char *name, hk_address *ret_list)
{
    hk_where where = {.port = 80};
    (void)snprintf(where.host, sizeof where.host, "%s", name);
    return hk_resolve(&where, ret_list);
}

static inline int look_up_both(void *arg)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    int rc = look_up("both.hank.test", list);
    return rc == 2 ? 0 : rc < 0 ? rc : -EPROTO;
}

#if HK_FAULTS
typedef struct victim {
    hank_fn look_up;
    uint64_t most;
} victim;

static inline int fail_each(void *arg)
{
    static const struct {
        hk_fault kind;
        int error;
    } faults[] = {{HK_FAULT_SOCKET, -EMFILE},     {HK_FAULT_CONNECT, -ENETUNREACH},
                  {HK_FAULT_SEND, -ECONNREFUSED}, {HK_FAULT_RECV, -ECONNREFUSED},
                  {HK_FAULT_POLL, -ENOMEM},       {HK_FAULT_EPOLL_CTL, -ENOSPC},
                  {HK_FAULT_ALLOC, -ENOMEM},      {HK_FAULT_CLOSE, -EIO},
                  {HK_FAULT_RESOLVE, -4098},      {HK_FAULT_POLL, -EINTR}};
    const victim *v = arg;
    MUST(v->look_up(NULL) == 0);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        bool more = true;
        for (uint64_t nth = 1; more; nth++) {
            MUST(nth < v->most);
            int fds = open_fds();
            hk_fault_plan(faults[i].kind, nth, faults[i].error);
            int rc = v->look_up(NULL);
            more = hk_fault_hit();
            hk_fault_clear();
            CHECK(rc <= 0);
            CHECK(rc == 0 || more);
            CHECK(open_fds() == fds);
        }
    }
    return 0;
}

#endif

#endif
