/* SPDX-License-Identifier: MIT */
/* torn_test.c - connections of TCP that were torn while somebody wrote, or lost: what their readers
 * are told is what readers of plain TCP are. */
#include "tls/tls_support.h"

/* A test over both: what is true of the one is true of the other. */
#define LIKE_TCP(suite, name)                                                                      \
    static int name##_over(hank_stream *a, hank_stream *b);                                        \
    PAIR(suite, name)                                                                              \
    {                                                                                              \
        MUST(tls_pair_open_tcp(p) == 0);                                                           \
        MUST(p->client.result == 0 && p->server.result == 0);                                      \
        int rc = name##_over(p->client.stream, p->server.stream);                                  \
        p->client.stream = p->server.stream = NULL;                                                \
        MUST(rc == 0);                                                                             \
        hank_stream *a, *b;                                                                        \
        MUST(tcp_connect(&a, &b) == 0);                                                            \
        return name##_over(a, b);                                                                  \
    }                                                                                              \
    static int name##_over(hank_stream *a, hank_stream *b)

static int write_for_ever(void *arg)
{
    static const char block[100 * 1000];
    int rc;
    while ((rc = hank_write(arg, block, sizeof block)) == 0)
        continue;
    return rc;
}

LIKE_TCP(torn, by_a_stop_leaves_what_the_other_end_has_to_say)
{
    char buf[16];
    MUST(hank_within(HANK_MS(100), write_for_ever(a)) == -ETIMEDOUT);
    MUST(hank_write(a, "x", 1) == -EPIPE);
    MUST(hank_write(b, "first", 5) == 0);
    MUST(hank_read_exact(a, buf, 5) == 0 && memcmp(buf, "first", 5) == 0);
    MUST(hank_write(b, "second\n", 7) == 0);
    MUST(hank_read_line(a, buf, sizeof buf) == 7 && strcmp(buf, "second\n") == 0);
    MUST(hank_write(a, "x", 1) == -EPIPE); /* but half a record stays half a record */
    hank_close(b);
    hank_close(a);
    return 0;
}

LIKE_TCP(torn, by_a_stop_is_still_ended_by_the_other_end)
{
    char byte;
    MUST(hank_within(HANK_MS(100), write_for_ever(a)) == -ETIMEDOUT);
    MUST(hank_write_end(b) == 0);
    MUST(hank_read(a, &byte, 1) == 0);
    MUST(hank_read(a, &byte, 1) == 0);
    hank_close(a);
    hank_close(b);
    return 0;
}

LIKE_TCP(torn, by_a_reset_is_lost_for_the_reader_too)
{
    char buf[16];
    hank_task writer = hank_spawn(write_for_ever, a);
    (void)hank_sleep(HANK_MS(20)); /* by now it waits for room, or will be told anyway */
    hank_abort(b);
    MUST(hank_await(writer) == -ECONNRESET);
    for (int i = 0; i < 3; i++)
        MUST(hank_read(a, buf, sizeof buf) == -ECONNRESET);
    MUST(hank_read_line(a, buf, sizeof buf) == -ECONNRESET);
    int rc = hank_write(a, "x", 1);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    hank_close(a);
    return 0;
}

/* What is half sent can be followed by nothing, not by a farewell either. */
PAIR(torn, streams_say_no_farewell)
{
    char block[4096];
    ssize_t n;
    MUST(tls_pair_open_tcp(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_within(HANK_MS(100), write_for_ever(p->client.stream)) == -ETIMEDOUT);
    MUST(hank_write_end(p->client.stream) == -EPIPE);
    tls_end_close(&p->client);
    while ((n = hank_read(p->server.stream, block, sizeof block)) > 0)
        continue;
    MUST(n == HANK_TLS_TRUNCATED || n == -ECONNRESET); /* a ticket nobody read makes it a reset */
    return 0;
}
