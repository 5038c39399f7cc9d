/* SPDX-License-Identifier: MIT */
/* lines_test.c - lines, however their bytes come. */
#include "io/stream.h"

#include "io/io_support.h"

#define TCP "tcp://127.0.0.1:0"

PAIR_TEST(lines, lines_come_one_by_one_with_their_newline, TCP)
{
    char line[32];
    MUST_OK(hank_write(p->client, "one\n\ntwo\nrest", 13));
    MUST_OK(hank_write_end(p->client));
    MUST(hank_read_line(p->server, line, sizeof line) == 4);
    MUST(strcmp(line, "one\n") == 0);
    MUST(hank_read_line(p->server, line, sizeof line) == 1);
    MUST(strcmp(line, "\n") == 0);
    MUST(hank_read_line(p->server, line, sizeof line) == 4);
    MUST(strcmp(line, "two\n") == 0);
    MUST(hank_read_line(p->server, line, sizeof line) == 4);
    MUST(strcmp(line, "rest") == 0);
    MUST(hank_read_line(p->server, line, sizeof line) == 0);
    return 0;
}

static int write_byte_by_byte(void *arg)
{
    static const char text[] = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        MUST_OK(hank_write(arg, &text[i], 1));
        (void)hank_yield();
    }
    return 0;
}

PAIR_TEST(lines, a_line_may_come_byte_by_byte, TCP)
{
    char line[64];
    hank_task writer = hank_spawn(write_byte_by_byte, p->client);
    MUST(hank_read_line(p->server, line, sizeof line) == 16);
    MUST(strcmp(line, "GET / HTTP/1.0\r\n") == 0);
    MUST(hank_read_line(p->server, line, sizeof line) == 9);
    MUST(hank_read_line(p->server, line, sizeof line) == 2);
    return hank_await(writer);
}

PAIR_TEST(lines, a_line_over_the_limit_stays_readable, TCP)
{
    char line[32];
    MUST_OK(hank_write(p->client, "0123456789\nnext\n", 16));
    MUST(hank_read_line(p->server, line, 11) == -EMSGSIZE); /* 11 bytes and a NUL need 12 */
    MUST(hank_read_line(p->server, line, 5) == -EMSGSIZE);
    MUST(hank_read_line(p->server, line, 12) == 11);
    MUST(strcmp(line, "0123456789\n") == 0);
    MUST(hank_read_line(p->server, line, 3) == -EMSGSIZE);
    MUST_OK(hank_read_exact(p->server, line, 5));
    MUST(memcmp(line, "next\n", 5) == 0);
    return 0;
}

PAIR_TEST(lines, a_last_line_as_long_as_the_limit_is_a_line, TCP)
{
    char line[8];
    MUST_OK(hank_write(p->client, "1234567", 7));
    MUST_OK(hank_write_end(p->client));
    MUST(hank_read_line(p->server, line, 7) == -EMSGSIZE);
    MUST(hank_read_line(p->server, line, 8) == 7);
    return 0;
}

PAIR_TEST(lines, a_line_without_room_for_one_byte_is_refused, TCP)
{
    char line[1];
    MUST(hank_read_line(p->server, line, 1) == -EINVAL);
    MUST(hank_read_line(p->server, line, 0) == -EINVAL);
    return 0;
}

static int write_longest_line(void *arg)
{
    static char text[HANK_LINE_MAX + 1];
    memset(text, 'x', sizeof text);
    text[HANK_LINE_MAX - 1] = '\n';
    text[HANK_LINE_MAX] = 'y';
    return hank_write(arg, text, sizeof text);
}

PAIR_TEST(lines, a_line_may_have_exactly_the_longest_length, TCP)
{
    static char line[HANK_LINE_MAX + 100];
    hank_task writer = hank_spawn(write_longest_line, p->client);
    ssize_t n = hank_read_line(p->server, line, sizeof line);
    MUST_OK(hank_await(writer));
    MUST(n == HANK_LINE_MAX);
    MUST(line[n - 1] == '\n' && line[n] == '\0');
    MUST(hank_read(p->server, line, sizeof line) == 1);
    MUST(p->server->unread.size == 0); /* and the large buffer is gone */
    return 0;
}

static int write_endless_line(void *arg)
{
    static char text[HANK_LINE_MAX + 5];
    memset(text, 'x', sizeof text);
    return hank_write(arg, text, sizeof text);
}

PAIR_TEST(lines, a_line_over_the_longest_length_is_refused_whatever_the_buffer, TCP)
{
    static char line[HANK_LINE_MAX * 2];
    hank_task writer = hank_spawn(write_endless_line, p->client);
    MUST(hank_read_line(p->server, line, sizeof line) == -EMSGSIZE);
    MUST_OK(hank_await(writer));
    MUST_OK(hank_read_exact(p->server, line, HANK_LINE_MAX + 5));
    return 0;
}

PAIR_TEST(lines, a_line_that_times_out_keeps_its_first_part, TCP)
{
    char line[32] = "untouched";
    MUST_OK(hank_write(p->client, "first ", 6));
    MUST(hank_within(HANK_MS(10), hank_read_line(p->server, line, sizeof line)) == -ETIMEDOUT);
    MUST(strcmp(line, "untouched") == 0);
    MUST_OK(hank_write(p->client, "second\n", 7));
    MUST(hank_read_line(p->server, line, sizeof line) == 13);
    MUST(strcmp(line, "first second\n") == 0);
    return 0;
}

PAIR_TEST(lines, what_was_read_behind_a_line_is_read_next, TCP)
{
    char buf[32];
    MUST_OK(hank_write(p->client, "head\nbodybody", 13));
    MUST(hank_read_line(p->server, buf, sizeof buf) == 5);
    MUST(hank_read(p->server, buf, 3) > 0);
    MUST_OK(hank_write(p->client, "tail", 4));
    MUST_OK(hank_read_exact(p->server, buf, 9));
    MUST(memcmp(buf, "ybodytail", 9) == 0);
    return 0;
}

PAIR_TEST(lines, a_stream_without_lines_has_no_buffer, TCP)
{
    char buf[8];
    MUST_OK(hank_write(p->client, "abc", 3));
    MUST(hank_read(p->server, buf, sizeof buf) == 3);
    MUST(p->server->unread.bytes == NULL && p->client->unread.bytes == NULL);
    return 0;
}
