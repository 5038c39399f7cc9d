/* SPDX-License-Identifier: MIT */
/* writer_test.c - parts, corks and water marks, over every kind of stream. */
#include "io/net_support.h"

#include <hank/layer.h>

#include "api/everywhere.h"

/* --- parts ----------------------------------------------------------------------------------- */

OVER(parts, ANY, arrive_in_order)
{
    char buf[16];
    struct iovec parts[] = {{(void *)"one ", 4}, {(void *)"two ", 4}, {(void *)"three", 5}};
    MUST(hank_writev(e->a, parts, 3) == 0);
    MUST(hank_read_exact(e->b, buf, 13) == 0 && memcmp(buf, "one two three", 13) == 0);
    return 0;
}

OVER(parts, ANY, may_be_empty_or_none)
{
    char buf[8];
    struct iovec parts[] = {{NULL, 0}, {(void *)"a", 1}, {NULL, 0}, {(void *)"b", 1}, {NULL, 0}};
    MUST(hank_writev(e->a, NULL, 0) == 0);
    MUST(hank_writev(e->a, parts, 1) == 0);
    MUST(hank_writev(e->a, parts, 5) == 0);
    MUST(hank_read_exact(e->b, buf, 2) == 0 && memcmp(buf, "ab", 2) == 0);
    return 0;
}

OVER(parts, ANY, out_of_range_are_refused)
{
    struct iovec huge[] = {{(void *)"a", SIZE_MAX / 2}, {(void *)"a", SIZE_MAX / 2}};
    MUST(hank_writev(e->a, huge, 2) == -EINVAL);
    MUST(hank_writev(e->a, huge, -1) == -EINVAL);
    MUST(hank_writev(e->a, huge, 1025) == -EINVAL);
    MUST(hank_writev(e->a, NULL, 1) == -EINVAL);
    return 0;
}

enum { PARTS = 100, PART_BYTES = 20011 };

static unsigned char *new_pattern(size_t n)
{
    unsigned char *bytes = malloc(n);
    for (size_t i = 0; bytes && i < n; i++)
        bytes[i] = big_byte(i);
    return bytes;
}

/* PARTS parts of different sizes, which no kernel takes at once. */
OVER(parts, ANY, many_and_large_ones_arrive_whole)
{
    struct iovec parts[PARTS];
    size_t n = 0;
    unsigned char *bytes = new_pattern((size_t)PARTS * PART_BYTES);
    MUST(bytes != NULL);
    for (int i = 0; i < PARTS; i++) {
        parts[i] = (struct iovec){bytes + n, i % 3 == 0 ? 1 : i % 3 == 1 ? 0 : PART_BYTES};
        n += parts[i].iov_len;
    }
    reading all = {e->b, n, 0};
    hank_task reader = hank_spawn(read_pattern, &all);
    int rc = hank_writev(e->a, parts, PARTS);
    free(bytes);
    MUST(rc == 0);
    return hank_await(reader);
}

/* More than any kernel takes when nobody reads. */
static int write_much(void *s)
{
    static char block[1 << 20];
    struct iovec parts[64];
    for (int i = 0; i < 64; i++)
        parts[i] = (struct iovec){block, sizeof block};
    RETURN_WHEN_LET_IN(hank_writev(s, parts, 64));
}

OVER(parts, ANY, a_stop_in_the_middle_tears_the_stream)
{
    MUST(hank_within(HANK_MS(30), write_much(e->a)) == -ETIMEDOUT);
    MUST(hank_writev(e->a, NULL, 0) == -EPIPE);
    MUST(hank_write(e->a, "x", 1) == -EPIPE);
    MUST(hank_flush(e->a) == 0); /* nothing is held */
    return 0;
}

OVER(parts, ANY, a_second_writer_is_refused)
{
    hank_task writer = hank_spawn(write_much, e->a);
    UNTIL_TAKEN(hank_writev(e->a, NULL, 0));
    MUST(hank_cork(e->a, 0, 0) == -EBUSY);
    MUST(hank_flush(e->a) == -EBUSY);
    MUST(hank_uncork(e->a) == -EBUSY);
    MUST(hank_trywrite(e->a, "x", 1) == -EBUSY);
    int rc = hank_write_end(e->a);
    MUST(rc == -EBUSY || rc == -ENOTSUP);
    (void)hank_cancel(writer);
    MUST(hank_await(writer) == -ECANCELED);
    return 0;
}

OVER(parts, ANY, a_close_wakes_the_writer)
{
    hank_task writer = hank_spawn(write_much, e->a);
    UNTIL_TAKEN(hank_writev(e->a, NULL, 0));
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_await(writer) == -EBADF);
    return 0;
}

OVER(parts, ENDS, writing_to_nobody_is_an_error_and_no_signal)
{
    struct iovec parts[] = {{(void *)"a", 1}, {(void *)"b", 1}};
    hank_close(e->b);
    e->b = NULL;
    int rc = 0;
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (rc == 0 && hank_now() < give_up)
        rc = hank_writev(e->a, parts, 2);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    rc = hank_write(e->a, "c", 1);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    return 0;
}

OVER(parts, ENDS, a_reader_that_leaves_in_the_middle_ends_the_write)
{
    hank_task writer = hank_spawn(write_much, e->a);
    UNTIL_TAKEN(hank_writev(e->a, NULL, 0));
    hank_abort(e->b);
    e->b = NULL;
    int rc = hank_await(writer);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    MUST(hank_write(e->a, "x", 1) < 0);
    return 0;
}

/* --- corks ----------------------------------------------------------------------------------- */

/* Nothing is there to be read. */
static bool is_dry(hank_stream *s)
{
    char byte;
    return hank_within(HANK_MS(5), hank_peek(s, &byte, 1)) == -ETIMEDOUT;
}

OVER(cork, ANY, what_is_written_is_held_until_it_is_flushed)
{
    char buf[16];
    MUST(hank_cork(e->a, 0, 0) == 0);
    MUST(hank_write(e->a, "one ", 4) == 0);
    MUST(hank_write(e->a, "two ", 4) == 0);
    MUST(hank_writev(e->a, &(struct iovec){(void *)"three", 5}, 1) == 0);
    MUST(is_dry(e->b));
    MUST(hank_flush(e->a) == 0);
    MUST(hank_read_exact(e->b, buf, 13) == 0 && memcmp(buf, "one two three", 13) == 0);
    MUST(hank_write(e->a, "held", 4) == 0); /* and it is corked still */
    MUST(is_dry(e->b));
    return 0;
}

OVER(cork, ANY, over_high_it_sends_until_low_is_left)
{
    char buf[32];
    MUST(hank_cork(e->a, 8, 2) == 0);
    MUST(hank_write(e->a, "12345678", 8) == 0); /* exactly high: held */
    MUST(is_dry(e->b));
    MUST(hank_write(e->a, "9", 1) == 0);
    MUST(hank_peek(e->b, buf, 7) == 7); /* at most 2 of 9 are held */
    MUST(hank_flush(e->a) == 0);
    MUST(hank_read_exact(e->b, buf, 9) == 0 && memcmp(buf, "123456789", 9) == 0);
    return 0;
}

OVER(cork, ANY, the_held_are_moved_up_to_make_room)
{
    char buf[32];
    MUST(hank_cork(e->a, 8, 8) == 0);
    for (int i = 0; i < 200; i++) {
        char digit[3] = {(char)('a' + i % 26), (char)('a' + i % 26), (char)('a' + i % 26)};
        MUST(hank_write(e->a, digit, 3) == 0);
    }
    MUST(hank_flush(e->a) == 0);
    for (int i = 0; i < 200; i++) {
        MUST(hank_read_exact(e->b, buf, 3) == 0);
        MUST(buf[0] == 'a' + i % 26 && buf[2] == buf[0]);
    }
    return 0;
}

OVER(cork, ANY, a_write_larger_than_high_arrives_whole)
{
    enum { N = 1000000 };
    unsigned char *bytes = new_pattern(N);
    MUST(bytes != NULL);
    MUST(hank_cork(e->a, 1000, 500) == 0);
    reading all = {e->b, N, 0};
    hank_task reader = hank_spawn(read_pattern, &all);
    int rc = hank_write(e->a, bytes, 10);
    if (rc == 0)
        rc = hank_write(e->a, bytes + 10, N - 10);
    if (rc == 0)
        rc = hank_flush(e->a);
    free(bytes);
    MUST(rc == 0);
    return hank_await(reader);
}

OVER(cork, ANY, uncork_sends_what_is_held_and_holds_no_more)
{
    char buf[8];
    MUST(hank_cork(e->a, 100, 0) == 0);
    MUST(hank_write(e->a, "ab", 2) == 0);
    MUST(hank_uncork(e->a) == 0);
    MUST(hank_read_exact(e->b, buf, 2) == 0);
    MUST(hank_write(e->a, "c", 1) == 0);
    MUST(hank_read_exact(e->b, buf, 1) == 0);
    MUST(hank_cork(e->a, 100, 0) == 0); /* and can be corked again */
    return 0;
}

OVER(cork, ANY, twice_or_out_of_range_is_refused)
{
    MUST(hank_cork(e->a, 10, 11) == -EINVAL);
    MUST(hank_cork(e->a, ((size_t)1 << 30) + 1, 0) == -EINVAL);
    MUST(hank_cork(e->a, 10, 10) == 0);
    MUST(hank_cork(e->a, 10, 10) == -EALREADY);
    return 0;
}

OVER(cork, ANY, without_one_flush_and_uncork_do_nothing)
{
    MUST(hank_flush(e->a) == 0);
    MUST(hank_uncork(e->a) == 0);
    return 0;
}

OVER(cork, ENDS, what_is_held_is_lost_on_close)
{
    char buf[8];
    MUST(hank_write(e->a, "sent", 4) == 0);
    MUST(hank_cork(e->a, 100, 0) == 0);
    MUST(hank_write(e->a, "held", 4) == 0);
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_read_exact(e->b, buf, 4) == 0);
    MUST(hank_read(e->b, buf, 4) == 0);
    return 0;
}

OVER(cork, HALF, write_end_sends_what_is_held_first)
{
    char buf[8];
    MUST(hank_cork(e->a, 100, 0) == 0);
    MUST(hank_write(e->a, "held", 4) == 0);
    MUST(hank_write_end(e->a) == 0);
    MUST(hank_read_exact(e->b, buf, 4) == 0);
    MUST(hank_read(e->b, buf, 4) == 0);
    return 0;
}

/* TCP may find room later than it says: these two fill what does not. */
OVER(cork, IS_UNIX, a_stopped_flush_holds_on_to_the_rest)
{
    size_t n = stuff(e->a);
    MUST(hank_cork(e->a, 100, 0) == 0);
    MUST(hank_write(e->a, "held", 4) == 0);
    MUST(hank_within(HANK_MS(5), hank_flush(e->a)) == -ETIMEDOUT);
    MUST(drain(e->b, n) == 0);
    MUST(hank_flush(e->a) == 0);
    char buf[4];
    MUST(hank_read_exact(e->b, buf, 4) == 0 && memcmp(buf, "held", 4) == 0);
    return 0;
}

OVER(cork, IS_UNIX, a_stopped_write_was_not_taken)
{
    char buf[8];
    size_t n = stuff(e->a);
    MUST(hank_cork(e->a, 4, 0) == 0);
    MUST(hank_write(e->a, "held", 4) == 0);
    MUST(hank_within(HANK_MS(5), hank_write(e->a, "more", 4)) == -ETIMEDOUT);
    MUST(drain(e->b, n) == 0);
    MUST(hank_flush(e->a) == 0);
    MUST(hank_write(e->a, "then", 4) == 0);
    MUST(hank_flush(e->a) == 0);
    MUST(hank_read_exact(e->b, buf, 8) == 0 && memcmp(buf, "heldthen", 8) == 0);
    return 0;
}

OVER(held, ANY, is_what_a_corked_stream_has_not_sent)
{
    MUST(hank_stream_held(e->a) == 0);
    MUST(hank_cork(e->a, 8, 2) == 0);
    MUST(hank_write(e->a, "12345678", 8) == 0 && hank_stream_held(e->a) == 8);
    MUST(hank_write(e->a, "9", 1) == 0 && hank_stream_held(e->a) <= 2);
    MUST(hank_flush(e->a) == 0 && hank_stream_held(e->a) == 0);
    return 0;
}

OVER(held, ANY, is_not_told_while_another_task_writes)
{
    hank_task writer = hank_spawn(write_much, e->a);
    UNTIL_TAKEN(hank_stream_held(e->a));
    (void)hank_cancel(writer);
    MUST(hank_await(writer) == -ECANCELED && hank_stream_held(e->a) == 0);
    return 0;
}

/* --- some ------------------------------------------------------------------------------------ */

OVER(some, ANY, of_it_is_written_and_told)
{
    char buf[4];
    MUST(hank_write_some(e->a, "abcd", 4) == 4);
    MUST(hank_read_exact(e->b, buf, 4) == 0 && memcmp(buf, "abcd", 4) == 0);
    MUST(hank_write_some(e->a, "", 0) == 0);
    return 0;
}

typedef struct count {
    hank_stream *s;
    size_t sent;
} count;

/* More than any kernel takes, of the pattern, part by part. */
static int write_and_count(void *arg)
{
    enum { N = 64 << 20, PART = 1 << 16 };
    count *c = arg;
    static unsigned char part[PART];
    while (c->sent < N) {
        for (size_t i = 0; i < PART; i++)
            part[i] = big_byte(c->sent + i);
        ssize_t put = hank_write_some(c->s, part, PART);
        if (put < 0)
            return (int)put;
        MUST(put > 0 && put <= PART);
        c->sent += (size_t)put;
    }
    return -EPROTO;
}

OVER(some, PLAIN, a_stopped_one_sent_nothing_and_the_stream_is_as_before)
{
    count c = {e->a, 0};
    MUST(hank_within(HANK_MS(30), write_and_count(&c)) == -ETIMEDOUT);
    MUST(c.sent > 0);
    reading all = {e->b, c.sent + 1, 0};
    hank_task reader = hank_spawn(read_pattern, &all); /* which finds what was counted, */
    unsigned char next = big_byte(c.sent);
    MUST(hank_write_some(e->a, &next, 1) == 1); /* and then this */
    return hank_await(reader);
}

OVER(some, ANY, after_a_write_that_was_torn_it_is_refused)
{
    MUST(hank_within(HANK_MS(30), write_much(e->a)) == -ETIMEDOUT);
    MUST(hank_write_some(e->a, "x", 1) == -EPIPE);
    return 0;
}

OVER(some, ANY, a_second_writer_is_refused)
{
    hank_task writer = hank_spawn(write_much, e->a);
    UNTIL_TAKEN(hank_write_some(e->a, NULL, 0));
    (void)hank_cancel(writer);
    MUST(hank_await(writer) == -ECANCELED);
    return 0;
}

OVER(some, ANY, of_a_corked_stream_is_held_if_it_fits)
{
    char buf[16];
    MUST(hank_cork(e->a, 8, 4) == 0);
    MUST(hank_write_some(e->a, "12345678", 8) == 8);
    MUST(is_dry(e->b) && hank_stream_held(e->a) == 8);
    MUST(hank_write_some(e->a, "9", 1) == 1); /* after what was held */
    MUST(hank_read_exact(e->b, buf, 9) == 0 && memcmp(buf, "123456789", 9) == 0);
    MUST(hank_stream_held(e->a) == 0);
    return 0;
}

OVER(cork, ANY, has_room_for_some_without_waiting)
{
    char buf[8];
    MUST(hank_cork(e->a, 8, 0) == 0);
    MUST(hank_write(e->a, "abc", 3) == 0);
    MUST(hank_trywrite(e->a, "defghij", 7) == 5);
    MUST(hank_trywrite(e->a, "x", 1) == -EAGAIN && hank_trywrite(e->a, NULL, 0) == 0);
    MUST(is_dry(e->b) && hank_uncork(e->a) == 0);
    MUST(hank_read_exact(e->b, buf, 8) == 0 && memcmp(buf, "abcdefgh", 8) == 0);
    return 0;
}

OVER(some, ENDS, to_nobody_is_an_error)
{
    hank_close(e->b);
    e->b = NULL;
    ssize_t rc = 0;
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (rc >= 0 && hank_now() < give_up)
        rc = hank_write_some(e->a, "c", 1);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    return 0;
}

typedef struct talk {
    ends e;
    count c;
    HK_ATOMIC(size_t) came;
} talk;

enum { TALK = 400 * 1000 };

static void begin_talk(void *state)
{
    talk *t = state;
    t->e = (ends){.other = -1};
    hk_store_relaxed(&t->came, (size_t)0);
    CHECK(hank_stream_pair(&t->e.a, &t->e.b) == 0);
    t->c = (count){t->e.a, 0};
}

static int say_it(void *state)
{
    static const char block[TALK];
    talk *t = state;
    while (t->c.sent < TALK) {
        ssize_t put = hank_write_some(t->c.s, block, TALK - t->c.sent);
        if (put < 0)
            return (int)put;
        t->c.sent += (size_t)put;
    }
    return 0;
}

static int hear_it(void *state)
{
    static char block[10000];
    talk *t = state;
    ssize_t n;
    while ((n = hank_read(t->e.b, block, sizeof block)) > 0)
        (void)hk_add_relaxed(&t->came, (size_t)n);
    return (int)n;
}

/* Exactly what was counted has been sent. */
static bool was_counted(void *state, int rc, bool stopped)
{
    talk *t = state;
    hank_close(t->e.a);
    CHECK(hear_it(t) == 0); /* what the partner has not heard */
    hank_close(t->e.b);
    if (hk_load_relaxed(&t->came) != t->c.sent)
        return false;
    return rc == 0 ? t->c.sent == TALK : stopped && (rc == -ECANCELED || rc == -ETIMEDOUT);
}

static int walk(void *arg)
{
    talk t;
    (void)arg;
    MUST(everywhere(&(everywhere_scenario){begin_talk, say_it, hear_it, was_counted, &t}) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}

Test(some, may_be_stopped_at_any_wait_and_counts_what_was_sent, .timeout = 120)
{
    with_each_size(walk, NULL);
}
