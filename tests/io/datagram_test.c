/* SPDX-License-Identifier: MIT */
/* datagram_test.c - endpoints of UDP and Unix datagrams, alone and in batches. */
#include "io/datagram_support.h"

DATAGRAMS(datagram, 0, 4, one_arrives_whole_and_says_from_whom)
{
    char buf[16], name[128], want[128];
    hank_address from, parsed;
    MUST(hank_endpoint_send(t->a, "hello", 5) == 0);
    MUST(hank_endpoint_recv(t->b, buf, sizeof buf, &from) == 5 && memcmp(buf, "hello", 5) == 0);
    MUST(hank_endpoint_name(t->a, want, sizeof want) == 0);
    MUST(hank_endpoint_name(t->a, buf, strlen(want) > sizeof buf ? sizeof buf : 1) == -ENOSPC);
    MUST(hank_address_format(&from, name, sizeof name) == 0 && strcmp(name, want) == 0);
    MUST(hank_address_parse(name, &parsed) == 0 && hank_address_equal(&parsed, &from));
    MUST(hank_endpoint_send_to(t->b, "back", 4, &from) == 0);
    MUST(hank_endpoint_recv(t->a, buf, sizeof buf, NULL) == 4 && memcmp(buf, "back", 4) == 0);
    return 0;
}

DATAGRAMS(datagram, 0, 4, each_is_one_message)
{
    char buf[16];
    MUST(hank_endpoint_send(t->a, "one", 3) == 0 && hank_endpoint_send(t->a, "three", 5) == 0);
    MUST(hank_endpoint_recv(t->b, buf, sizeof buf, NULL) == 3);
    MUST(hank_endpoint_recv(t->b, buf, sizeof buf, NULL) == 5);
    return 0;
}

DATAGRAMS(datagram, 0, 4, an_empty_one_is_one)
{
    char buf[16];
    MUST(hank_endpoint_send(t->a, NULL, 0) == 0 && hank_endpoint_send(t->a, "x", 1) == 0);
    MUST(hank_endpoint_recv(t->b, buf, sizeof buf, NULL) == 0);
    MUST(hank_endpoint_recv(t->b, buf, sizeof buf, NULL) == 1);
    return 0;
}

DATAGRAMS(datagram, 0, 4, one_that_is_too_long_is_cut_and_says_how_long_it_was)
{
    char buf[4] = "....";
    MUST(hank_endpoint_send(t->a, "0123456789", 10) == 0);
    MUST(hank_endpoint_recv(t->b, buf, 3, NULL) == 10 && memcmp(buf, "012.", 4) == 0);
    MUST(hank_endpoint_send(t->a, "x", 1) == 0);
    MUST(hank_endpoint_recv(t->b, buf, 3, NULL) == 1); /* the rest is gone */
    return 0;
}

static int receive_one(void *e)
{
    char byte;
    ssize_t n = hank_endpoint_recv(e, &byte, 1, NULL);
    return n == 1 ? byte : (int)n;
}

DATAGRAMS(datagram, 0, 4, many_tasks_may_wait_and_each_gets_one)
{
    hank_task tasks[8];
    int results[8], sum = 0;
    for (int i = 0; i < 8; i++)
        tasks[i] = hank_spawn(receive_one, t->b);
    for (char i = 1; i <= 8; i++) {
        MUST(hank_endpoint_send(t->a, &i, 1) == 0);
        (void)hank_yield();
    }
    MUST(hank_gather_n(tasks, 8, results) == 0);
    for (int i = 0; i < 8; i++)
        sum += results[i];
    MUST(sum == 36);
    return 0;
}

DATAGRAMS(datagram, 0, 4, a_close_wakes_all_who_wait)
{
    hank_task tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = hank_spawn(receive_one, t->b);
    YIELD_UNTIL(users(t->b) == 5); /* four hold it, and one of them waits */
    hank_endpoint_close(t->b);
    t->b = NULL;
    for (int i = 0; i < 4; i++)
        MUST(hank_await(tasks[i]) == -EBADF);
    return 0;
}

DATAGRAMS(datagram, 0, 4, a_stopped_receive_took_none)
{
    char byte;
    MUST(hank_within(HANK_MS(5), hank_endpoint_recv(t->b, &byte, 1, NULL)) == -ETIMEDOUT);
    MUST(hank_endpoint_send(t->a, "x", 1) == 0);
    MUST(hank_endpoint_recv(t->b, &byte, 1, NULL) == 1);
    return 0;
}

DATAGRAMS(datagram, 2, 4, a_sender_waits_while_the_receiver_is_full)
{
    char byte;
    int sent = 0;
    while (hank_within(HANK_MS(20), hank_endpoint_send(t->a, "x", 1)) == 0)
        sent++;
    MUST(sent > 0);
    for (int i = 0; i < sent; i++)
        MUST(hank_endpoint_recv(t->b, &byte, 1, NULL) == 1);
    MUST(hank_endpoint_send(t->a, "y", 1) == 0);
    return 0;
}

typedef struct letter {
    hank_endpoint *from;
    hank_address to;
    HK_ATOMIC(bool) begun;
} letter;

static int send_letter(void *arg)
{
    letter *l = arg;
    hk_store_relaxed(&l->begun, true);
    return hank_endpoint_send_to(l->from, "z", 1, &l->to);
}

/* The system tells who is connected to the receiver, and who has something lying there. */
DATAGRAMS(datagram, 2, 4, a_sender_that_is_not_connected_waits_for_room_that_others_took)
{
    char byte = 0, name[64];
    int sent = 0;
    letter l = {0};
    snprintf(name, sizeof name, "unix://@hank-dg-c-%d", (int)getpid());
    MUST(hank_endpoint_open(name, NULL, NULL, &l.from) == 0);
    MUST(hank_address_parse(t->b_name, &l.to) == 0);
    while (hank_within(HANK_MS(20), hank_endpoint_send(t->a, "x", 1)) == 0)
        sent++;
    MUST(hank_within(HANK_MS(20), hank_endpoint_send_to(l.from, "y", 1, &l.to)) == -ETIMEDOUT);
    hank_task sender = hank_spawn(send_letter, &l);
    YIELD_UNTIL(hk_load_relaxed(&l.begun) && users(l.from) == 2);
    for (int i = 0; i < sent; i++)
        MUST(hank_endpoint_recv(t->b, &byte, 1, NULL) == 1 && byte == 'x');
    MUST(hank_within(HANK_SEC(10), hank_endpoint_recv(t->b, &byte, 1, NULL)) == 1 && byte == 'z');
    MUST(hank_await(sender) == 0);
    hank_endpoint_close(l.from);
    return 0;
}

DATAGRAMS(datagram, 2, 4, a_close_wakes_a_sender_that_waits_for_room_others_took)
{
    char name[64];
    letter l = {0};
    snprintf(name, sizeof name, "unix://@hank-dg-c-%d", (int)getpid());
    MUST(hank_endpoint_open(name, NULL, NULL, &l.from) == 0);
    MUST(hank_address_parse(t->b_name, &l.to) == 0);
    while (hank_within(HANK_MS(20), hank_endpoint_send(t->a, "x", 1)) == 0)
        continue;
    hank_task sender = hank_spawn(send_letter, &l);
    YIELD_UNTIL(users(l.from) == 2);
    hank_endpoint_close(l.from);
    MUST(hank_await(sender) == -EBADF);
    return 0;
}

#if HK_FAULTS
DATAGRAMS(datagram, 2, 4, who_waits_for_room_that_others_took_does_not_ask_all_the_time)
{
    char name[64];
    hank_endpoint *from;
    hank_address to;
    snprintf(name, sizeof name, "unix://@hank-dg-c-%d", (int)getpid());
    hank_datagram one = {.data = (char[]){'y'}, .size = 1, .address = &to};
    MUST(hank_endpoint_open(name, NULL, NULL, &from) == 0);
    MUST(hank_address_parse(t->b_name, &to) == 0);
    while (hank_within(HANK_MS(20), hank_endpoint_send(t->a, "x", 1)) == 0)
        continue;
    hk_fault_plan(HK_FAULT_SEND, UINT64_MAX, -EIO);
    MUST(hank_within(HANK_MS(100), hank_endpoint_send_to(from, "y", 1, &to)) == -ETIMEDOUT);
    MUST(hank_within(HANK_MS(100), hank_endpoint_send_batch(from, &one, 1)) == -ETIMEDOUT);
    uint64_t asked = hk_fault_count(HK_FAULT_SEND);
    hk_fault_clear();
    MUST(asked >= 4 && asked < 100);
    hank_endpoint_close(from);
    return 0;
}
#endif

DATAGRAMS(datagram, 0, 2, one_to_nobody_is_refused_and_the_endpoint_lives_on)
{
    char byte;
    hank_endpoint *again;
    hank_endpoint_close(t->b);
    t->b = NULL;
    MUST(hank_endpoint_send(t->a, "x", 1) == 0);
    MUST(hank_endpoint_recv(t->a, &byte, 1, NULL) == -ECONNREFUSED);
    MUST(hank_endpoint_open(t->b_name, NULL, NULL, &again) == 0);
    MUST(hank_endpoint_send(t->a, "x", 1) == 0);
    MUST(hank_endpoint_recv(again, &byte, 1, NULL) == 1);
    hank_endpoint_close(again);
    return 0;
}

DATAGRAMS(datagram, 0, 4, misuse_is_refused)
{
    hank_endpoint *e;
    hank_address none = {{0}};
    static char big[70000];
    MUST(hank_endpoint_send_to(t->b, "x", 1, NULL) == -EINVAL);
    MUST(hank_endpoint_send_to(t->b, "x", 1, &none) == -EINVAL);
    int rc = hank_endpoint_send(t->b, "x", 1);
    MUST(rc == -EDESTADDRREQ || rc == -ENOTCONN);
    MUST(hank_endpoint_open(NULL, NULL, NULL, &e) == -EINVAL);
    MUST(hank_endpoint_open("udp://127.0.0.1:0", "udp://[::1]:9", NULL, &e) == -EINVAL);
    MUST(hank_endpoint_open("tcp://127.0.0.1:0", NULL, NULL, &e) == -EPROTONOSUPPORT);
    MUST(hank_endpoint_open("udp://127.0.0.1", NULL, NULL, &e) == -EINVAL);
    MUST(hank_endpoint_open(NULL, "udp://127.0.0.1:0", NULL, &e) == -EINVAL);
    MUST(hank_endpoint_open(t->b_name, NULL, NULL, &e) == -EADDRINUSE);
    hank_endpoint_options o = {.reserved_ = {0, 1}};
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, &o, &e) == -EINVAL);
    if (strncmp(t->b_name, "udp", 3) == 0)
        MUST(hank_endpoint_send(t->a, big, sizeof big) == -EMSGSIZE);
    hank_endpoint_close(NULL);
    return 0;
}

ALONE(datagram, ports_can_be_shared_and_buffers_sized)
{
    hank_endpoint *first, *second;
    char name[64];
    (void)arg;
    hank_endpoint_options o = {
        .reuse_port = true, .broadcast = true, .send_buffer = 9000, .receive_buffer = 9000};
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, &o, &first) == 0);
    MUST(hank_endpoint_name(first, name, sizeof name) == 0);
    MUST(hank_endpoint_open(name, NULL, &o, &second) == 0);
    hank_endpoint_close(first);
    hank_endpoint_close(second);
    return 0;
}

ALONE(datagram, a_broadcast_is_for_who_has_asked_for_it)
{
    hank_endpoint *silent, *loud;
    hank_address all;
    char name[64], where[64], byte;
    (void)arg;
    MUST(hank_endpoint_open("udp://0.0.0.0:0", NULL, NULL, &silent) == 0);
    MUST(hank_endpoint_name(silent, name, sizeof name) == 0);
    (void)snprintf(where, sizeof where, "udp://127.255.255.255%s", strrchr(name, ':'));
    MUST(hank_address_parse(where, &all) == 0);
    MUST(hank_endpoint_send_to(silent, "x", 1, &all) == -EACCES);
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, &(hank_endpoint_options){.broadcast = true},
                            &loud) == 0);
    MUST(hank_endpoint_send_to(loud, "y", 1, &all) == 0);
    MUST(hank_endpoint_recv(silent, &byte, 1, NULL) == 1 && byte == 'y');
    hank_endpoint_close(silent);
    hank_endpoint_close(loud);
    return 0;
}

ALONE(datagram, an_address_of_another_family_is_refused)
{
    static const char *const others[] = {"udp://[::1]:9", "unix:///tmp/hank-dg-nobody"};
    hank_endpoint *e;
    hank_address to;
    (void)arg;
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &e) == 0);
    for (int i = 0; i < 2; i++) {
        MUST(hank_address_parse(others[i], &to) == 0);
        int rc = hank_endpoint_send_to(e, "x", 1, &to);
        MUST(rc == -EAFNOSUPPORT || rc == -EINVAL);
    }
    hank_endpoint_close(e);
    return 0;
}

ALONE(datagram, a_place_where_nobody_can_be_is_told_at_the_opening)
{
    hank_endpoint *e;
    char where[64];
    struct sockaddr_un left = {.sun_family = AF_UNIX};
    (void)arg;
    MUST(hank_endpoint_open("udp://192.0.2.1:0", NULL, NULL, &e) == -EADDRNOTAVAIL);
    (void)snprintf(where, sizeof where, "unix:///tmp/hank-dg-left-%d", (int)getpid());
    MUST(hank_endpoint_open(NULL, where, NULL, &e) == -ENOENT);
    (void)snprintf(left.sun_path, sizeof left.sun_path, "%s", where + strlen("unix://"));
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    MUST(bind(fd, (struct sockaddr *)(void *)&left, sizeof left) == 0 && close(fd) == 0);
    int rc = hank_endpoint_open(NULL, where, NULL, &e); /* a file, nobody behind it */
    (void)unlink(left.sun_path);
    MUST(rc == -ECONNREFUSED);
    return 0;
}

ALONE(address, text_and_back)
{
    static const char *const good[] = {"udp://1.2.3.4:53", "tcp://[::1]:53", "unix:///tmp/x",
                                       "unix://@x"};
    static const char *const bad[] = {
        "udp://example.com:53", "udp://1.2.3.4:0", "udp://1.2.3.4", "nonsense", "unix://x",
        "udp://1.2.3.4:53 "};
    hank_address a, b, none = {{0}};
    char text[128];
    (void)arg;
    for (int i = 0; i < 4; i++) {
        MUST(hank_address_parse(good[i], &a) == 0);
        MUST(hank_address_format(&a, text, sizeof text) == 0 && strcmp(text, good[i]) == 0);
        MUST(hank_address_format(&a, text, strlen(good[i])) == -ENOSPC);
        MUST(hank_address_parse(good[(i + 1) % 4], &b) == 0);
        MUST(hank_address_equal(&a, &a) && !hank_address_equal(&a, &b));
    }
    for (int i = 0; i < 6; i++)
        MUST(hank_address_parse(bad[i], &a) == -EINVAL);
    MUST(hank_address_parse("tls://1.2.3.4:5", &a) == -EPROTONOSUPPORT);
    MUST(hank_address_parse("tcp://1.2.3.4:5", &a) == 0);
    MUST(hank_address_parse("udp://1.2.3.4:5", &b) == 0 && hank_address_equal(&a, &b));
    MUST(hank_address_parse(NULL, &a) == -EINVAL);
    MUST(hank_address_format(&none, text, sizeof text) == -EAFNOSUPPORT);
    return 0;
}
