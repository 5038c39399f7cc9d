/* SPDX-License-Identifier: MIT */
/* batch_test.c - many datagrams at a time: those of a list, and those of one entry that is cut, by
 * the kernel or by hank. */
#include "io/datagram_support.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

enum { MANY = 50 };

/* Receive until `n` have come; their bytes, one after the other. */
static int collect(hank_endpoint *e, size_t n, char *ret_bytes, hank_address *from)
{
    char room[MANY][8];
    for (size_t done = 0; done < n;) {
        hank_datagram list[MANY];
        for (int i = 0; i < MANY; i++)
            list[i] = (hank_datagram){.data = room[i], .size = 8, .address = from};
        ssize_t got = hank_endpoint_recv_batch(e, list, n - done);
        MUST(got >= 1 && (size_t)got <= n - done);
        for (ssize_t i = 0; i < got; i++, done++) {
            MUST(list[i].size == 2);
            ret_bytes[done] = room[i][0];
        }
    }
    return 0;
}

DATAGRAMS(batch, 0, 4, arrives_in_full)
{
    hank_datagram list[8];
    char bytes[8], text[8][2];
    hank_address to, from;
    MUST(hank_address_parse(t->b_name, &to) == 0);
    for (int i = 0; i < 8; i++) {
        text[i][0] = text[i][1] = (char)('a' + i);
        list[i] = (hank_datagram){.data = text[i], .size = 2};
    }
    MUST(hank_endpoint_send_batch(t->a, list, 8) == 8);
    MUST(collect(t->b, 8, bytes, &from) == 0);
    MUST(memcmp(bytes, "abcdefgh", 8) == 0);
    return 0;
}

ALONE(batch, more_than_one_call_takes_goes_to_addresses)
{
    hank_endpoint *a, *b;
    hank_datagram list[MANY];
    char text[MANY][2], bytes[MANY], name[64];
    hank_address to, from;
    (void)arg;
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &a) == 0);
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &b) == 0);
    MUST(hank_endpoint_name(b, name, sizeof name) == 0 && hank_address_parse(name, &to) == 0);
    for (int i = 0; i < MANY; i++) {
        text[i][0] = text[i][1] = (char)i;
        list[i] = (hank_datagram){.data = text[i], .size = 2, .address = &to};
    }
    MUST(hank_endpoint_send_batch(a, list, MANY) == MANY);
    MUST(collect(b, MANY, bytes, &from) == 0);
    for (int i = 0; i < MANY; i++)
        MUST(bytes[i] == i);
    MUST(hank_endpoint_name(a, name, sizeof name) == 0 && hank_address_parse(name, &to) == 0);
    MUST(hank_address_equal(&from, &to));
    hank_endpoint_close(a);
    hank_endpoint_close(b);
    return 0;
}

DATAGRAMS(batch, 0, 4, of_none_is_none)
{
    MUST(hank_endpoint_send_batch(t->a, NULL, 0) == 0);
    MUST(hank_endpoint_recv_batch(t->b, NULL, 0) == 0);
    return 0;
}

DATAGRAMS(batch, 0, 4, an_entry_can_be_cut_into_segments)
{
    char text[25], buf[16];
    memcpy(text, "aaaaaaaaaabbbbbbbbbbccccc", 25);
    hank_datagram one = {.data = text, .size = 25, .segment = 10};
    MUST(hank_endpoint_send_batch(t->a, &one, 1) == 1);
    MUST(hank_endpoint_recv(t->b, buf, 16, NULL) == 10 && buf[0] == 'a');
    MUST(hank_endpoint_recv(t->b, buf, 16, NULL) == 10 && buf[9] == 'b');
    MUST(hank_endpoint_recv(t->b, buf, 16, NULL) == 5 && buf[4] == 'c');
    one.segment = 70000;
    MUST(hank_endpoint_send_batch(t->a, &one, 1) == -EINVAL);
    return 0;
}

/* The kernel may join what came from one sender; either way nothing is lost. */
ALONE(batch, segments_may_come_joined)
{
    hank_endpoint *a, *b;
    char name[64], text[1000], buf[2000];
    size_t done = 0;
    (void)arg;
    memset(text, 'x', sizeof text);
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, &(hank_endpoint_options){.coalesce = true},
                            &b) == 0);
    MUST(hank_endpoint_name(b, name, sizeof name) == 0);
    MUST(hank_endpoint_open(NULL, name, NULL, &a) == 0);
    hank_datagram out = {.data = text, .size = sizeof text, .segment = 100};
    MUST(hank_endpoint_send_batch(a, &out, 1) == 1);
    while (done < sizeof text) {
        hank_datagram in = {.data = buf, .size = sizeof buf};
        MUST(hank_endpoint_recv_batch(b, &in, 1) == 1);
        MUST(in.segment == 0 ? in.size == 100 : in.segment == 100);
        done += in.size;
    }
    MUST(done == sizeof text);
    hank_endpoint_close(a);
    hank_endpoint_close(b);
    return 0;
}

/* --- segments by the many ------------------------------------------------------------------- */

typedef struct long_entry {
    hank_endpoint *to;
    size_t size;
    unsigned segment;
} long_entry;

/* `size` bytes of the pattern, in segments. */
static int take_segments(hank_endpoint *e, size_t size, size_t segment)
{
    unsigned char buf[2000];
    for (size_t at = 0; at < size;) {
        size_t want = size - at < segment ? size - at : segment;
        MUST(hank_endpoint_recv(e, buf, sizeof buf, NULL) == (ssize_t)want);
        for (size_t i = 0; i < want; i++, at++)
            MUST(buf[i] == big_byte(at));
    }
    return 0;
}

static int take_three(void *arg)
{
    const long_entry *l = arg;
    int rc = take_segments(l->to, 10, 10);
    if (rc == 0)
        rc = take_segments(l->to, l->size, l->segment);
    return rc == 0 ? take_segments(l->to, 10, 10) : rc;
}

/* Send a short entry, one of `size` bytes that is cut, and a short one. */
static int send_long(two *t, size_t size, unsigned segment)
{
    static unsigned char text[100000];
    int room = 400 * 1000;
    long_entry l = {t->b, size, segment};
    hank_datagram list[] = {{.data = text, .size = 10},
                            {.data = text, .size = size, .segment = segment},
                            {.data = text, .size = 10}};
    for (size_t i = 0; i < size; i++)
        text[i] = big_byte(i);
    MUST(setsockopt(hank_endpoint_fd(t->b), SOL_SOCKET, SO_RCVBUF, &room, sizeof room) == 0);
    hank_task taker = hank_spawn(take_three, &l);
    for (ssize_t sent = 0, n; sent < 3; sent += n) {
        n = hank_endpoint_send_batch(t->a, list + sent, (size_t)(3 - sent));
        MUST(n >= 1);
    }
    return hank_within(HANK_SEC(20), hank_await(taker));
}

DATAGRAMS(batch, 0, 4, an_entry_may_have_more_segments_than_the_kernel_cuts_at_once)
{
    return send_long(t, 13000, 100);
}

DATAGRAMS(batch, 0, 4, an_entry_may_have_more_bytes_than_a_packet)
{
    return send_long(t, 100000, 1000);
}

DATAGRAMS(batch, 0, 4, an_entry_may_end_with_a_shorter_segment_after_many)
{
    return send_long(t, 99999, 1400);
}

#if HK_FAULTS
/* What the kernel says of an option that it knows. */
static bool knows(hank_endpoint *e, int option)
{
    int value;
    socklen_t length = sizeof value;
    return getsockopt(hank_endpoint_fd(e), IPPROTO_UDP, option, &value, &length) == 0;
}

static uint64_t calls_of(hk_fault kind)
{
    uint64_t n = hk_fault_count(kind);
    hk_fault_clear();
    return n;
}

DATAGRAMS(batch, 0, 2, an_entry_is_cut_by_the_kernel_in_one_call)
{
    static char text[13000], buf[1000];
    hank_datagram one = {.data = text, .size = sizeof text, .segment = 1000};
    if (!knows(t->a, UDP_SEGMENT))
        return 0;
    for (int i = 0; i < 2; i++, one.segment = 100) { /* 13 of them, then 130: still one call */
        hk_fault_plan(HK_FAULT_SEND, UINT64_MAX, -EIO);
        ssize_t rc = hank_endpoint_send_batch(t->a, &one, 1);
        MUST(calls_of(HK_FAULT_SEND) == 1 && rc == 1);
        for (size_t at = 0; at < sizeof text; at += one.segment)
            MUST(hank_endpoint_recv(t->b, buf, sizeof buf, NULL) == one.segment);
    }
    return 0;
}

DATAGRAMS(batch, 0, 2, what_the_kernel_has_joined_comes_in_one_call)
{
    static char text[13000], buf[20000];
    hank_endpoint *joins;
    char name[64];
    hank_address to;
    hank_endpoint_options o = {.coalesce = true};
    hank_datagram out = {.data = text, .size = sizeof text, .segment = 1000, .address = &to};
    hank_datagram in[2] = {{.data = buf, .size = sizeof buf}};
    if (!knows(t->b, UDP_SEGMENT) || !knows(t->b, UDP_GRO))
        return 0;
    const char *any = strchr(t->b_name, '[') ? "udp://[::1]:0" : "udp://127.0.0.1:0";
    MUST(hank_endpoint_open(any, NULL, &o, &joins) == 0);
    MUST(hank_endpoint_name(joins, name, sizeof name) == 0);
    MUST(hank_address_parse(name, &to) == 0);
    MUST(hank_endpoint_send_batch(t->b, &out, 1) == 1);
    MUST(hank_endpoint_recv_batch(joins, in, 1) == 1);
    MUST(in[0].size == sizeof text && in[0].segment == 1000);
    hank_endpoint_close(joins);
    return 0;
}

DATAGRAMS(batch, 0, 4, what_has_come_comes_in_one_call)
{
    char text[8], buf[8][2];
    hank_datagram out[8], in[8];
    for (int i = 0; i < 8; i++)
        out[i] = (hank_datagram){.data = &text[i], .size = 1};
    for (int tries = 0;; tries++) { /* the last of them may be on their way for a moment */
        for (int i = 0; i < 8; i++)
            in[i] = (hank_datagram){.data = buf[i], .size = 2};
        MUST(hank_endpoint_send_batch(t->a, out, 8) == 8);
        hk_fault_plan(HK_FAULT_RECV, UINT64_MAX, -EIO);
        ssize_t got = hank_endpoint_recv_batch(t->b, in, 8);
        uint64_t calls = calls_of(HK_FAULT_RECV);
        if (got == 8 && calls == 1)
            return 0;
        MUST(tries < 20);
        for (ssize_t i = got; i < 8; i++)
            MUST(hank_endpoint_recv(t->b, buf[0], 2, NULL) == 1);
    }
}

/* Too much for the way there: of this entry alone, for all we know. */
DATAGRAMS(batch, 0, 2, what_the_kernel_would_not_cut_hank_does)
{
    static const int errors[] = {-EINVAL, -EMSGSIZE};
    char text[20] = "aaaaaaaaaabbbbbbbbbb", buf[16];
    hank_datagram list[] = {{.data = text, .size = 20, .segment = 10},
                            {.data = text, .size = 20, .segment = 10}};
    if (!knows(t->a, UDP_SEGMENT))
        return 0;
    for (int i = 0; i < 2; i++) {
        hk_fault_plan(HK_FAULT_SEND, 1, errors[i]);
        ssize_t rc = hank_endpoint_send_batch(t->a, list, 2);
        MUST(calls_of(HK_FAULT_SEND) == 2 && rc == 2);
        for (int k = 0; k < 4; k++)
            MUST(hank_endpoint_recv(t->b, buf, 16, NULL) == 10 && buf[0] == (k % 2 ? 'b' : 'a'));
    }
    return 0;
}

DATAGRAMS(batch, 0, 2, what_nobody_can_send_is_an_error)
{
    static char text[70000];
    hank_datagram list[] = {{.data = text, .size = 70000, .segment = 65530},
                            {.data = text, .size = 70000}};
    MUST(hank_endpoint_send_batch(t->a, list, 2) == -EMSGSIZE);
    MUST(hank_endpoint_send_batch(t->a, list + 1, 1) == -EMSGSIZE);
    return 0;
}

DATAGRAMS(batch, 0, 2, where_the_device_cannot_cut_hank_does)
{
    char text[20] = "aaaaaaaaaabbbbbbbbbb", buf[16];
    hank_datagram one = {.data = text, .size = 20, .segment = 10};
    hk_fault_plan(HK_FAULT_SEND, 1, -EIO);
    ssize_t rc = hank_endpoint_send_batch(t->a, &one, 1);
    hk_fault_clear();
    MUST(rc == 1);
    MUST(hank_endpoint_recv(t->b, buf, 16, NULL) == 10);
    MUST(hank_endpoint_recv(t->b, buf, 16, NULL) == 10);
    return 0;
}

DATAGRAMS(batch, 0, 4, a_short_one_says_how_many_went)
{
    char text[5][2] = {"a", "b", "c", "d", "e"}, buf[2];
    hank_datagram list[5];
    for (int i = 0; i < 5; i++)
        list[i] = (hank_datagram){.data = text[i], .size = 1};
    hk_fault_plan(HK_FAULT_SEND, 1, 2);
    ssize_t rc = hank_endpoint_send_batch(t->a, list, 5);
    hk_fault_clear();
    MUST(rc == 2);
    MUST(hank_endpoint_send_batch(t->a, list + 2, 3) == 3);
    for (int i = 0; i < 5; i++)
        MUST(hank_endpoint_recv(t->b, buf, 2, NULL) == 1 && buf[0] == 'a' + i);
    return 0;
}
#endif
