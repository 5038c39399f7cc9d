/* SPDX-License-Identifier: MIT */
/* dns_fuzz.c - whatever a name server answers, a lookup ends, and what it gives are addresses of
 * the network with the port that was asked for, or a name that a host may have. For libFuzzer.
 *
 * The input: a byte whose lowest bit has a name asked for an address; the two bytes of flags and
 * the three counts of the header; then what follows the question. The server is a task of the same
 * runtime. After each answer it says that there is no such name, so that a lookup that has dropped
 * the answer need not wait for time to pass. */
#include <hank.h>
#include <hank/address.h>
#include <hank/datagram.h>

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "io/address.h"
#include "io/where.h"

enum { HEADER = 12, PACKET = 1500, PORT = 80, COUNTS = 6, FLAGS_TO_ANSWER = 0x8183 };

typedef struct input {
    const uint8_t *data;
    size_t size;
    hank_endpoint *server;
} input;

/* The length of a question: its header, a name, its type and its class. 0: it is none. */
static size_t question_size(const uint8_t *packet, size_t n)
{
    size_t at = HEADER;
    while (at < n && packet[at] != 0)
        at += packet[at] + 1u;
    return at + 5 <= n ? at + 5 : 0;
}

/* In place of the question. Its new length. */
static size_t answer(const input *in, uint8_t packet[PACKET], size_t question)
{
    const uint8_t *data = in->data + 1;
    size_t more = in->size - 1 - 2 - COUNTS;
    memcpy(packet + 2, data, 2);
    packet[2] |= 0x80; /* it is an answer */
    memcpy(packet + 6, data + 2, COUNTS);
    more = more < PACKET - question ? more : PACKET - question;
    memcpy(packet + question, data + 2 + COUNTS, more);
    return question + more;
}

static int serve(void *arg)
{
    const input *in = arg;
    uint8_t packet[PACKET];
    hank_address from;
    ssize_t n;
    while ((n = hank_endpoint_recv(in->server, packet, sizeof packet, &from)) >= 0) {
        size_t question = question_size(packet, (size_t)n);
        if (question == 0)
            continue;
        size_t size = answer(in, packet, question);
        (void)hank_endpoint_send_to(in->server, packet, size, &from); /* who asked may be gone */
        packet[2] = FLAGS_TO_ANSWER >> 8;
        packet[3] = FLAGS_TO_ANSWER & 0xff;
        memset(packet + 6, 0, COUNTS);
        (void)hank_endpoint_send_to(in->server, packet, question, &from);
    }
    return 0;
}

static void look_up(void)
{
    hank_address list[HANK_RESOLVE_MAX];
    int n = hank_resolve("tcp://host.test:80", list, HANK_RESOLVE_MAX);
    HK_CHECK(n != 0 && n <= HANK_RESOLVE_MAX);
    for (int i = 0; i < n; i++) {
        const hk_address *found = hk_address_inside_const(&list[i]);
        bool old = found->socket.any.sa_family == AF_INET;
        HK_CHECK(old || found->socket.any.sa_family == AF_INET6);
        HK_CHECK(found->length == (old ? sizeof found->socket.in : sizeof found->socket.in6));
        HK_CHECK((old ? found->socket.in.sin_port : found->socket.in6.sin6_port) == htons(PORT));
    }
}

static void look_up_name(void)
{
    hank_address address;
    char host[HANK_HOST_MAX + 1];
    HK_CHECK(hank_address_parse("udp://192.0.2.1:1", &address) == 0);
    HK_CHECK(hank_resolve_name(&address, host, sizeof host) != 0 || hk_host_is_name(host));
}

static int app(void *arg)
{
    input *in = arg;
    char name[64];
    int rc = hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &in->server);
    HK_CHECK(rc == 0 && hank_endpoint_name(in->server, name, sizeof name) == 0);
    (void)setenv("HANK_DNS_SERVERS", name + strlen("udp://"), 1);
    hank_task server = hank_spawn(serve, in);
    if (in->data[0] & 1)
        look_up_name();
    else
        look_up();
    (void)hank_cancel(server);
    (void)hank_await(server); /* it was stopped */
    hank_endpoint_close(in->server);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {.data = data, .size = size};
    if (size < 1 + 2 + COUNTS)
        return 0;
    (void)setenv("HANK_RESOLVER", "dns", 1);
    HK_CHECK(hank_run_with(app, &in, .workers = 1) == 0);
    return 0;
}
