/* SPDX-License-Identifier: MIT */
/* reader_test.c - peeking, separators and limits, over every kind of stream. */
#include "io/net_support.h"

#include "base/fault.h"

/* `text` comes in one piece, and nothing after it. */
static int say(ends *e, const char *text)
{
    int rc = hank_write(e->a, text, strlen(text));
    hank_close(e->a);
    e->a = NULL;
    return rc;
}

static int write_slowly(void *arg)
{
    ends *e = arg;
    static const char text[] = "one--two-->three";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        MUST(hank_write(e->a, &text[i], 1) == 0);
        (void)hank_yield();
    }
    return 0;
}

/* --- peeking --------------------------------------------------------------------------------- */

OVER(peek, ANY, takes_nothing)
{
    char buf[8];
    MUST(hank_write(e->a, "abcdef", 6) == 0);
    MUST(hank_peek(e->b, buf, 3) == 3 && memcmp(buf, "abc", 3) == 0);
    MUST(hank_peek(e->b, buf, 6) == 6 && memcmp(buf, "abcdef", 6) == 0);
    MUST(hank_read_exact(e->b, buf, 6) == 0 && memcmp(buf, "abcdef", 6) == 0);
    return 0;
}

OVER(peek, ANY, waits_until_all_have_come)
{
    char buf[16];
    hank_task writer = hank_spawn(write_slowly, e);
    MUST(hank_peek(e->b, buf, 16) == 16 && memcmp(buf, "one--two-->three", 16) == 0);
    return hank_await(writer);
}

OVER(peek, ENDS, gives_less_only_at_the_end)
{
    char buf[16];
    MUST(say(e, "abc") == 0);
    MUST(hank_peek(e->b, buf, 16) == 3 && memcmp(buf, "abc", 3) == 0);
    MUST(hank_read(e->b, buf, 16) == 3);
    MUST(hank_peek(e->b, buf, 16) == 0);
    MUST(hank_read(e->b, buf, 16) == 0);
    return 0;
}

OVER(peek, ANY, more_than_the_limit_is_refused)
{
    char buf[32];
    MUST(hank_stream_set_limit(e->b, 16) == 0);
    MUST(hank_peek(e->b, buf, 17) == -EMSGSIZE);
    MUST(hank_write(e->a, "0123456789abcdef", 16) == 0);
    MUST(hank_peek(e->b, buf, 16) == 16);
    return 0;
}

OVER(peek, ANY, at_nothing_is_nothing)
{
    char byte;
    MUST(hank_peek(e->b, &byte, 0) == 0);
    return 0;
}

OVER(peek, ANY, a_stopped_one_took_nothing)
{
    char buf[8];
    MUST(hank_write(e->a, "abc", 3) == 0);
    MUST(hank_within(HANK_MS(5), hank_peek(e->b, buf, 4)) == -ETIMEDOUT);
    MUST(hank_write(e->a, "d", 1) == 0);
    MUST(hank_peek(e->b, buf, 4) == 4 && memcmp(buf, "abcd", 4) == 0);
    return 0;
}

static int peek_two(void *s)
{
    char buf[2];
    RETURN_WHEN_LET_IN(hank_peek(s, buf, 2));
}

OVER(peek, ANY, a_second_reader_is_refused)
{
    char buf[8];
    hank_task first = hank_spawn(peek_two, e->b);
    UNTIL_TAKEN(hank_peek(e->b, buf, 0));
    MUST(hank_peek(e->b, buf, 1) == -EBUSY);
    MUST(hank_read_until(e->b, buf, 8, "\n") == -EBUSY);
    MUST(hank_stream_set_limit(e->b, 5) == -EBUSY);
    MUST(hank_write(e->a, "ab", 2) == 0);
    MUST(hank_await(first) == 2);
    return 0;
}

OVER(peek, ANY, a_close_wakes_it)
{
    char buf[8];
    hank_task first = hank_spawn(peek_two, e->b);
    UNTIL_TAKEN(hank_peek(e->b, buf, 0));
    hank_close(e->b);
    e->b = NULL;
    MUST(hank_await(first) == -EBADF);
    return 0;
}

/* --- separators ------------------------------------------------------------------------------ */

OVER(until, ANY, the_message_ends_with_its_separator)
{
    char buf[32];
    MUST(hank_write(e->a, "GET\r\n\r\nbody", 11) == 0);
    MUST(hank_read_until(e->b, buf, sizeof buf, "\r\n\r\n") == 7);
    MUST(strcmp(buf, "GET\r\n\r\n") == 0);
    MUST(hank_read_exact(e->b, buf, 4) == 0 && memcmp(buf, "body", 4) == 0);
    return 0;
}

OVER(until, ANY, a_separator_may_come_byte_by_byte)
{
    char buf[32];
    hank_task writer = hank_spawn(write_slowly, e);
    MUST(hank_read_until(e->b, buf, sizeof buf, "-->") == 11);
    MUST(strcmp(buf, "one--two-->") == 0);
    return hank_await(writer);
}

OVER(until, ANY, of_several_separators_the_first_to_end_wins)
{
    static const hank_separator all[] = {{"\r\n", 2}, {"\n", 1}, {"bc", 2}, {"abcd", 4}};
    char buf[32];
    MUST(hank_write(e->a, "abcdx\r\ny\nz", 10) == 0);
    MUST(hank_read_until_any(e->b, buf, 32, all, 4) == 3 && strcmp(buf, "abc") == 0);
    MUST(hank_read_until_any(e->b, buf, 32, all, 4) == 4 && strcmp(buf, "dx\r\n") == 0);
    MUST(hank_read_until_any(e->b, buf, 32, all, 4) == 2 && strcmp(buf, "y\n") == 0);
    return 0;
}

OVER(until, ANY, a_separator_that_overlaps_itself_is_found)
{
    char buf[32];
    MUST(hank_write(e->a, "aaabaab", 7) == 0);
    MUST(hank_read_until(e->b, buf, sizeof buf, "aab") == 4 && strcmp(buf, "aaab") == 0);
    MUST(hank_read_until(e->b, buf, sizeof buf, "aab") == 3 && strcmp(buf, "aab") == 0);
    return 0;
}

OVER(until, ANY, a_separator_may_be_any_bytes)
{
    static const hank_separator zero = {"\0\xff", 2};
    char buf[32];
    MUST(hank_write(e->a, "a\0b\0\xff", 5) == 0);
    MUST(hank_read_until_any(e->b, buf, sizeof buf, &zero, 1) == 5);
    MUST(memcmp(buf, "a\0b\0\xff", 6) == 0);
    return 0;
}

OVER(until, ENDS, a_rest_without_a_separator_is_epipe_and_stays)
{
    char buf[32];
    MUST(say(e, "one;rest") == 0);
    MUST(hank_read_until(e->b, buf, sizeof buf, ";") == 4);
    MUST(hank_read_until(e->b, buf, sizeof buf, ";") == -EPIPE);
    MUST(hank_read_until(e->b, buf, sizeof buf, ";") == -EPIPE);
    MUST(hank_read(e->b, buf, sizeof buf) == 4 && memcmp(buf, "rest", 4) == 0);
    return 0;
}

OVER(until, ENDS, the_end_is_0)
{
    char buf[32];
    MUST(say(e, "one;") == 0);
    MUST(hank_read_until(e->b, buf, sizeof buf, ";") == 4);
    memcpy(buf, "untouched", 10);
    MUST(hank_read_until(e->b, buf, sizeof buf, ";") == 0);
    MUST(strcmp(buf, "untouched") == 0);
    return 0;
}

OVER(until, ANY, one_too_long_for_the_buffer_stays)
{
    char buf[32];
    MUST(hank_write(e->a, "0123456789;", 11) == 0);
    MUST(hank_read_until(e->b, buf, 11, ";") == -EMSGSIZE); /* room for 10 and the NUL */
    MUST(hank_read_until(e->b, buf, 5, ";") == -EMSGSIZE);
    MUST(hank_read_until(e->b, buf, 12, ";") == 11);
    return 0;
}

OVER(until, ANY, one_that_never_ends_is_refused_when_it_is_too_long)
{
    char buf[32];
    MUST(hank_write(e->a, "01234567890123456789", 20) == 0);
    MUST(hank_read_until(e->b, buf, 12, ";") == -EMSGSIZE);
    MUST(hank_read_exact(e->b, buf, 20) == 0);
    return 0;
}

OVER(until, ANY, bad_separators_are_refused)
{
    char buf[8];
    hank_separator many[HANK_SEPARATORS_MAX + 1];
    for (int i = 0; i <= HANK_SEPARATORS_MAX; i++)
        many[i] = (hank_separator){"x", 1};
    hank_separator empty = {"", 0}, null = {NULL, 1}, huge = {"x", HANK_LINE_MAX + 1};
    MUST(hank_read_until_any(e->b, buf, 8, many, HANK_SEPARATORS_MAX + 1) == -EINVAL);
    MUST(hank_read_until_any(e->b, buf, 8, many, 0) == -EINVAL);
    MUST(hank_read_until_any(e->b, buf, 8, NULL, 1) == -EINVAL);
    MUST(hank_read_until_any(e->b, buf, 8, &empty, 1) == -EINVAL);
    MUST(hank_read_until_any(e->b, buf, 8, &null, 1) == -EINVAL);
    MUST(hank_read_until_any(e->b, buf, 8, &huge, 1) == -EINVAL);
    MUST(hank_read_until(e->b, buf, 8, "") == -EINVAL);
    MUST(hank_read_until(e->b, buf, 8, NULL) == -EINVAL);
    MUST(hank_read_until(e->b, buf, 1, "x") == -EINVAL);
    MUST(hank_write(e->a, "x", 1) == 0);
    MUST(hank_read_until_any(e->b, buf, 8, many, HANK_SEPARATORS_MAX) == 1);
    return 0;
}

OVER(until, ANY, a_stopped_one_took_nothing)
{
    char buf[8];
    MUST(hank_write(e->a, "abc", 3) == 0);
    MUST(hank_within(HANK_MS(5), hank_read_until(e->b, buf, 8, ";")) == -ETIMEDOUT);
    MUST(hank_write(e->a, ";", 1) == 0);
    MUST(hank_read_until(e->b, buf, 8, ";") == 4 && strcmp(buf, "abc;") == 0);
    return 0;
}

OVER(until, ANY, lines_and_messages_can_be_mixed)
{
    char buf[16];
    MUST(hank_write(e->a, "a\nb;c\nd", 7) == 0);
    MUST(hank_read_line(e->b, buf, sizeof buf) == 2);
    MUST(hank_read_until(e->b, buf, sizeof buf, ";") == 2 && strcmp(buf, "b;") == 0);
    MUST(hank_peek(e->b, buf, 1) == 1 && buf[0] == 'c');
    MUST(hank_read_line(e->b, buf, sizeof buf) == 2 && strcmp(buf, "c\n") == 0);
    MUST(hank_read(e->b, buf, sizeof buf) == 1 && buf[0] == 'd');
    return 0;
}

/* --- limits ---------------------------------------------------------------------------------- */

OVER(limit, ANY, a_longer_line_is_refused_and_stays)
{
    char buf[64];
    MUST(hank_stream_set_limit(e->b, 8) == 0);
    MUST(hank_write(e->a, "0123456\n01234567\n", 17) == 0);
    MUST(hank_read_line(e->b, buf, sizeof buf) == 8); /* exactly the limit */
    MUST(hank_read_line(e->b, buf, sizeof buf) == -EMSGSIZE);
    MUST(hank_stream_set_limit(e->b, 9) == 0);
    MUST(hank_read_line(e->b, buf, sizeof buf) == 9);
    return 0;
}

enum { LONG = 300 * 1000 };

static int write_long_line(void *arg)
{
    char *line = malloc(LONG);
    if (!line)
        return -ENOMEM;
    memset(line, 'x', LONG);
    line[LONG - 1] = '\n';
    int rc = hank_write(arg, line, LONG);
    free(line);
    return rc;
}

OVER(limit, ANY, a_raised_one_lets_long_lines_through)
{
    char *line = malloc(LONG + 1);
    MUST(line != NULL);
    MUST(hank_stream_set_limit(e->b, LONG) == 0);
    hank_task writer = hank_spawn(write_long_line, e->a);
    ssize_t got = hank_read_line(e->b, line, LONG + 1);
    bool good = got == LONG && line[0] == 'x' && line[LONG - 1] == '\n' && line[LONG] == '\0';
    free(line);
    MUST(good);
    return hank_await(writer);
}

OVER(limit, ANY, zero_is_the_default)
{
    char *line = malloc(LONG + 1);
    MUST(line != NULL);
    MUST(hank_stream_set_limit(e->b, 10) == 0);
    MUST(hank_stream_set_limit(e->b, 0) == 0);
    hank_task writer = hank_spawn(write_long_line, e->a);
    ssize_t got = hank_read_line(e->b, line, LONG + 1);
    reading all = {.s = e->b};
    int rc = hank_read_exact(all.s, line, LONG);
    free(line);
    MUST(got == -EMSGSIZE && rc == 0); /* HANK_LINE_MAX, and nothing was lost */
    return hank_await(writer);
}

OVER(limit, ANY, one_out_of_range_is_refused)
{
    MUST(hank_stream_set_limit(e->b, (size_t)HANK_LIMIT_MAX + 1) == -EINVAL);
    MUST(hank_stream_set_limit(e->b, HANK_LIMIT_MAX) == 0);
    return 0;
}

OVER(limit, ANY, one_below_what_has_come_loses_nothing)
{
    char buf[4096];
    char line[3001];
    memset(line, 'y', 3000);
    line[2999] = '\n';
    MUST(hank_write(e->a, line, 3000) == 0);
    MUST(hank_peek(e->b, buf, 2900) == 2900);
    MUST(hank_stream_set_limit(e->b, 100) == 0);
    MUST(hank_read_line(e->b, buf, sizeof buf) == -EMSGSIZE);
    MUST(hank_peek(e->b, buf, 50) == 50);
    MUST(hank_read_exact(e->b, buf, 3000) == 0 && memcmp(buf, line, 3000) == 0);
    return 0;
}

#if HK_FAULTS
OVER(limit, ANY, no_memory_for_a_line_loses_nothing)
{
    char buf[8];
    MUST(hank_write(e->a, "abc\n", 4) == 0);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    ssize_t got = hank_read_until(e->b, buf, 8, "\n");
    bool hit = hk_fault_hit();
    hk_fault_clear();
    MUST(!hit || got == -ENOMEM || got == 4); /* another task may have been hit */
    if (got < 0)
        MUST(hank_read_until(e->b, buf, 8, "\n") == 4);
    return 0;
}
#endif
