/* SPDX-License-Identifier: MIT */
/* lines_test.c - lines, however their bytes come. */
#include "io/net_support.h"

OVER(lines, HALF, lines_come_one_by_one_with_their_newline)
{
    char line[32];
    MUST(hank_write(e->a, "one\n\ntwo\nrest", 13) == 0);
    MUST(hank_write_end(e->a) == 0);
    MUST(hank_read_line(e->b, line, sizeof line) == 4);
    MUST(strcmp(line, "one\n") == 0);
    MUST(hank_read_line(e->b, line, sizeof line) == 1);
    MUST(strcmp(line, "\n") == 0);
    MUST(hank_read_line(e->b, line, sizeof line) == 4);
    MUST(strcmp(line, "two\n") == 0);
    MUST(hank_read_line(e->b, line, sizeof line) == 4);
    MUST(strcmp(line, "rest") == 0);
    MUST(hank_read_line(e->b, line, sizeof line) == 0);
    return 0;
}

static int write_byte_by_byte(void *arg)
{
    static const char text[] = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        MUST(hank_write(arg, &text[i], 1) == 0);
        (void)hank_yield();
    }
    return 0;
}

OVER(lines, ANY, a_line_may_come_byte_by_byte)
{
    char line[64];
    hank_task writer = hank_spawn(write_byte_by_byte, e->a);
    MUST(hank_read_line(e->b, line, sizeof line) == 16);
    MUST(strcmp(line, "GET / HTTP/1.0\r\n") == 0);
    MUST(hank_read_line(e->b, line, sizeof line) == 9);
    MUST(hank_read_line(e->b, line, sizeof line) == 2);
    return hank_await(writer);
}

OVER(lines, ANY, a_line_over_the_limit_stays_readable)
{
    char line[32];
    MUST(hank_write(e->a, "0123456789\nnext\n", 16) == 0);
    MUST(hank_read_line(e->b, line, 11) == -EMSGSIZE); /* 11 bytes and a NUL need 12 */
    MUST(hank_read_line(e->b, line, 5) == -EMSGSIZE);
    MUST(hank_read_line(e->b, line, 12) == 11);
    MUST(strcmp(line, "0123456789\n") == 0);
    MUST(hank_read_line(e->b, line, 3) == -EMSGSIZE);
    MUST(hank_read_exact(e->b, line, 5) == 0);
    MUST(memcmp(line, "next\n", 5) == 0);
    return 0;
}

OVER(lines, HALF, a_last_line_as_long_as_the_limit_is_a_line)
{
    char line[8];
    MUST(hank_write(e->a, "1234567", 7) == 0);
    MUST(hank_write_end(e->a) == 0);
    MUST(hank_read_line(e->b, line, 7) == -EMSGSIZE);
    MUST(hank_read_line(e->b, line, 8) == 7);
    return 0;
}

OVER(lines, ANY, a_line_without_room_for_one_byte_is_refused)
{
    char line[1];
    MUST(hank_read_line(e->b, line, 1) == -EINVAL);
    MUST(hank_read_line(e->b, line, 0) == -EINVAL);
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

OVER(lines, ANY, a_line_may_have_exactly_the_longest_length)
{
    static char line[HANK_LINE_MAX + 100];
    hank_task writer = hank_spawn(write_longest_line, e->a);
    ssize_t n = hank_read_line(e->b, line, sizeof line);
    MUST(hank_await(writer) == 0);
    MUST(n == HANK_LINE_MAX);
    MUST(line[n - 1] == '\n' && line[n] == '\0');
    MUST(hank_read(e->b, line, sizeof line) == 1);
    MUST(e->b->unread.size == 0); /* and the large buffer is gone */
    return 0;
}

static int write_endless_line(void *arg)
{
    static char text[HANK_LINE_MAX + 5];
    memset(text, 'x', sizeof text);
    return hank_write(arg, text, sizeof text);
}

OVER(lines, ANY, a_line_over_the_longest_length_is_refused_whatever_the_buffer)
{
    static char line[HANK_LINE_MAX * 2];
    hank_task writer = hank_spawn(write_endless_line, e->a);
    MUST(hank_read_line(e->b, line, sizeof line) == -EMSGSIZE);
    MUST(hank_await(writer) == 0);
    MUST(hank_read_exact(e->b, line, HANK_LINE_MAX + 5) == 0);
    return 0;
}

OVER(lines, ANY, a_line_that_times_out_keeps_its_first_part)
{
    char line[32] = "untouched";
    MUST(hank_write(e->a, "first ", 6) == 0);
    MUST(hank_within(HANK_MS(10), hank_read_line(e->b, line, sizeof line)) == -ETIMEDOUT);
    MUST(strcmp(line, "untouched") == 0);
    MUST(hank_write(e->a, "second\n", 7) == 0);
    MUST(hank_read_line(e->b, line, sizeof line) == 13);
    MUST(strcmp(line, "first second\n") == 0);
    return 0;
}

OVER(lines, ANY, what_was_read_behind_a_line_is_read_next)
{
    char buf[32];
    MUST(hank_write(e->a, "head\nbodybody", 13) == 0);
    MUST(hank_read_line(e->b, buf, sizeof buf) == 5);
    ssize_t n = hank_read(e->b, buf, 3);
    MUST(n > 0);
    MUST(hank_write(e->a, "tail", 4) == 0);
    MUST(hank_read_exact(e->b, buf + n, 12 - (size_t)n) == 0);
    MUST(memcmp(buf, "bodybodytail", 12) == 0);
    return 0;
}

OVER(lines, ANY, a_stream_without_lines_has_no_buffer)
{
    char buf[8];
    MUST(hank_write(e->a, "abc", 3) == 0);
    MUST(hank_read_exact(e->b, buf, 3) == 0);
    MUST(e->b->unread.bytes == NULL && e->a->unread.bytes == NULL);
    return 0;
}
