/* SPDX-License-Identifier: MIT */
/* stream_test.c - reading and writing between two ends, and everything that can come between. */
#include "api/compose_support.h"
#include "io/net_support.h"

#include <pthread.h>

#include "base/fault.h"

static void abort_on_close(hank_stream *s)
{
    struct linger now = {.l_onoff = 1};
    (void)hk_os_setsockopt(s->fd.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* --- bytes ----------------------------------------------------------------------------------- */

OVER(stream, TWO_WAY, what_is_written_is_read)
{
    char buf[16];
    MUST(hank_write(e->a, "hello", 5) == 0);
    MUST(hank_read(e->b, buf, sizeof buf) == 5);
    MUST(memcmp(buf, "hello", 5) == 0);
    MUST(hank_write(e->b, "yes", 3) == 0);
    MUST(hank_read_exact(e->a, buf, 3) == 0);
    MUST(memcmp(buf, "yes", 3) == 0);
    return 0;
}

OVER(stream, TWO_WAY, nothing_asked_for_is_nothing_done)
{
    char buf[4];
    MUST(hank_read(e->b, buf, 0) == 0);
    MUST(hank_read_exact(e->b, buf, 0) == 0);
    MUST(hank_write(e->b, buf, 0) == 0);
    return 0;
}

enum { BIG = 2 * 1000 * 1000 };

static int write_big(void *arg)
{
    unsigned char *bytes = malloc(BIG);
    if (!bytes)
        return -ENOMEM;
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = big_byte(i);
    int rc = hank_write(arg, bytes, BIG);
    free(bytes);
    return rc;
}

OVER(stream, ANY, a_write_larger_than_every_buffer_arrives_whole)
{
    hank_task writer = hank_spawn(write_big, e->a);
    int rc = read_pattern(&(reading){e->b, BIG, 0});
    MUST(hank_await(writer) == 0);
    return rc;
}

OVER(stream, TWO_WAY, both_directions_flow_at_the_same_time)
{
    hank_task one = hank_spawn(write_big, e->a);
    hank_task two = hank_spawn(write_big, e->b);
    hank_scope s;
    hank_timeout_begin(&s, HANK_SEC(30));
    int rc = 0;
    unsigned char a[4096], b[4096];
    for (size_t i = 0, j = 0; rc == 0 && (i < BIG || j < BIG);) {
        ssize_t n = i < BIG ? hank_read(e->b, a, sizeof a) : 0;
        ssize_t m = j < BIG ? hank_read(e->a, b, sizeof b) : 0;
        rc = n < 0 || m < 0 ? -EPROTO : 0;
        i += n > 0 ? (size_t)n : 0;
        j += m > 0 ? (size_t)m : 0;
    }
    hank_timeout_end(&s);
    MUST(hank_await(one) == 0);
    MUST(hank_await(two) == 0);
    return rc;
}

/* --- ends ------------------------------------------------------------------------------------ */

OVER(stream, HALF, after_a_half_close_the_other_direction_still_works)
{
    char buf[16];
    MUST(hank_write(e->a, "last", 4) == 0);
    MUST(hank_write_end(e->a) == 0);
    MUST(hank_read_exact(e->b, buf, 4) == 0);
    MUST(hank_read(e->b, buf, sizeof buf) == 0);
    MUST(hank_read(e->b, buf, sizeof buf) == 0); /* and stays at the end */
    MUST(hank_write(e->b, "answer", 6) == 0);
    MUST(hank_read(e->a, buf, sizeof buf) == 6);
    MUST(hank_write(e->a, "x", 1) == -EPIPE);
    return 0;
}

OVER(stream, HALF, an_end_may_be_said_again)
{
    char byte;
    for (int i = 0; i < 3; i++)
        MUST(hank_write_end(e->a) == 0);
    MUST(hank_read(e->b, &byte, 1) == 0);
    MUST(hank_write_end(e->a) == 0);
    MUST(hank_write(e->b, "x", 1) == 0 && hank_read(e->a, &byte, 1) == 1);
    return 0;
}

OVER(stream, ENDS, a_stream_that_ends_early_is_epipe_for_an_exact_read)
{
    char buf[16];
    MUST(hank_write(e->a, "abc", 3) == 0);
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_read_exact(e->b, buf, 4) == -EPIPE);
    return 0;
}

OVER(stream, IS_TCP, a_reset_in_the_middle_is_an_error_not_an_end)
{
    char buf[16];
    MUST(hank_write(e->a, "part", 4) == 0);
    MUST(hank_read_exact(e->b, buf, 4) == 0);
    abort_on_close(e->a);
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_read(e->b, buf, sizeof buf) == -ECONNRESET);
    return 0;
}

static int read_once(void *arg)
{
    char buf[16];
    ssize_t n;
    while ((n = hank_read(arg, buf, sizeof buf)) == -EBUSY) /* who looks after us is in */
        (void)hank_yield();
    return (int)n;
}

/* True once somebody reads from s: the direction is taken. */
static bool is_being_read(hank_stream *s)
{
    if (hk_fd_begin(&s->fd, HK_IN) < 0)
        return true;
    hk_fd_end(&s->fd, HK_IN);
    return false;
}

OVER(stream, IS_TCP, a_reset_wakes_a_reader_that_waits)
{
    hank_task reader = hank_spawn(read_once, e->b);
    YIELD_UNTIL(is_being_read(e->b));
    abort_on_close(e->a);
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_await(reader) == -ECONNRESET);
    return 0;
}

/* What the system says first may be the reset, for which it raises no signal anyway. */
OVER(stream, IS_SOCKET, writing_to_a_gone_peer_fails_and_raises_no_signal)
{
    hank_close(e->b);
    e->b = NULL;
    int rc = 0;
    char block[1000] = {0};
    for (int i = 0; i < 10000 && (rc == 0 || rc == -ECONNRESET); i++)
        rc = hank_write(e->a, block, sizeof block);
    MUST(rc == -EPIPE);
    return 0;
}

/* --- who else is in -------------------------------------------------------------------------- */

OVER(stream, TWO_WAY, a_second_reader_is_refused_and_the_first_goes_on)
{
    char buf[16];
    hank_task reader = hank_spawn(read_once, e->b);
    YIELD_UNTIL(is_being_read(e->b));
    MUST(hank_read(e->b, buf, sizeof buf) == -EBUSY);
    MUST(hank_read_line(e->b, buf, sizeof buf) == -EBUSY);
    MUST(hank_write(e->b, "writing is another matter", 25) == 0);
    MUST(hank_write(e->a, "x", 1) == 0);
    MUST(hank_await(reader) == 1);
    return 0;
}

static int write_until_it_fails(void *arg)
{
    static char block[100000];
    int rc;
    do
        rc = hank_write(arg, block, sizeof block);
    while (rc == 0);
    return rc;
}

OVER(stream, ANY, a_second_writer_is_refused)
{
    hank_task writer = hank_spawn(write_until_it_fails, e->a);
    int rc;
    YIELD_UNTIL((rc = hk_fd_begin(&e->a->fd, HK_OUT)) < 0 || (hk_fd_end(&e->a->fd, HK_OUT), false));
    MUST(rc == -EBUSY);
    hank_cancel(writer);
    rc = hank_await(writer);
    MUST(rc == -ECANCELED || rc == -EBUSY); /* our look may have been in its way */
    return 0;
}

/* In one call: whoever calls again after the close has no stream to call with. */
static int write_more_than_fits(void *arg)
{
    static char block[64 << 20];
    return hank_write(arg, block, sizeof block);
}

OVER(stream, TWO_WAY, closing_wakes_a_reader_and_a_writer_with_ebadf)
{
    hank_task reader = hank_spawn(read_once, e->a);
    YIELD_UNTIL(is_being_read(e->a));
    hank_task writer = hank_spawn(write_more_than_fits, e->a);
    YIELD_UNTIL(is_parked(writer));
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_await(reader) == -EBADF);
    MUST(hank_await(writer) == -EBADF);
    return 0;
}

/* --- stops ----------------------------------------------------------------------------------- */

OVER(stream, ANY, a_read_that_times_out_has_read_nothing)
{
    char buf[16];
    MUST(hank_within(HANK_MS(5), hank_read(e->b, buf, sizeof buf)) == -ETIMEDOUT);
    MUST(hank_write(e->a, "late", 4) == 0);
    MUST(hank_read(e->b, buf, sizeof buf) == 4);
    MUST(memcmp(buf, "late", 4) == 0);
    return 0;
}

OVER(stream, ANY, a_cancelled_read_leaves_the_stream_good)
{
    char buf[16];
    hank_task reader = hank_spawn(read_once, e->b);
    YIELD_UNTIL(is_being_read(e->b));
    hank_cancel(reader);
    int rc = hank_await(reader);
    MUST(rc == -ECANCELED);
    MUST(hank_write(e->a, "on", 2) == 0);
    MUST(hank_read(e->b, buf, sizeof buf) == 2);
    return 0;
}

OVER(stream, ANY, a_stop_and_data_at_the_same_moment_lose_nothing)
{
    char buf[16];
    for (int i = 0; i < 200; i++) {
        hank_task reader = hank_spawn(read_once, e->b);
        if (i % 2)
            YIELD_UNTIL(is_being_read(e->b));
        MUST(hank_write(e->a, "x", 1) == 0);
        hank_cancel(reader);
        int rc = hank_await(reader);
        MUST(rc == 1 || rc == -ECANCELED);
        if (rc < 0)
            MUST(hank_read(e->b, buf, sizeof buf) == 1);
    }
    return 0;
}

OVER(stream, ANY, after_a_write_that_stopped_in_the_middle_nothing_follows)
{
    static char block[8 * 1000 * 1000];
    MUST(hank_within(HANK_MS(20), hank_write(e->a, block, sizeof block)) == -ETIMEDOUT);
    MUST(hank_write(e->a, "x", 1) == -EPIPE);
    return 0;
}

/* --- how often the kernel is asked ----------------------------------------------------------- */

#if HK_FAULTS
static int echo_pings(void *arg)
{
    char buf[64];
    ssize_t n;
    while ((n = hank_read(arg, buf, sizeof buf)) > 0)
        MUST(hank_write(arg, buf, (size_t)n) == 0);
    return (int)n;
}

OVER(stream, IS_TCP, a_short_read_spares_the_one_that_would_find_nothing)
{
    enum { PINGS = 200 };
    char buf[64];
    hank_task echo = hank_spawn(echo_pings, e->b);
    hk_fault_plan(HK_FAULT_RECV, UINT64_MAX, -EIO); /* never comes: only counts */
    for (int i = 0; i < PINGS; i++) {
        MUST(hank_write(e->a, "ping", 4) == 0);
        MUST(hank_read(e->a, buf, sizeof buf) == 4);
    }
    uint64_t calls = hk_fault_count(HK_FAULT_RECV);
    hk_fault_clear();
    MUST(hank_write_end(e->a) == 0);
    MUST(hank_await(echo) == 0);
    MUST(calls <= 2 * PINGS + PINGS / 2); /* without: 4 * PINGS */
    return 0;
}
#endif

OVER(stream, HALF, an_end_that_comes_with_the_last_bytes_is_seen)
{
    /* Data and end in one event: after the short read there will be no further event. */
    for (int i = 0; i < 2; i++) {
        char buf[64];
        hank_stream *from = i ? e->a : e->b;
        hank_stream *to = i ? e->b : e->a;
        hank_task reader = hank_spawn(read_once, to);
        YIELD_UNTIL(is_being_read(to));
        MUST(hank_write(from, "bye", 3) == 0);
        MUST(hank_write_end(from) == 0);
        MUST(hank_await(reader) == 3);
        MUST(hank_within(HANK_SEC(5), hank_read(to, buf, sizeof buf)) == 0);
    }
    return 0;
}

OVER(stream, IS_TCP, urgent_data_in_the_middle_does_not_hide_what_follows)
{
    /* A read stops at the urgent mark: it is short, and yet there is more. */
    char buf[64];
    int fd = e->a->fd.fd;
    MUST(send(fd, "ab", 2, 0) == 2);
    MUST(send(fd, "!", 1, MSG_OOB) == 1);
    MUST(send(fd, "cd", 2, 0) == 2);
    size_t done = 0;
    while (done < 4) {
        ssize_t n = hank_within(HANK_SEC(5), hank_read(e->b, buf + done, sizeof buf - done));
        MUST(n > 0);
        done += (size_t)n;
    }
    MUST(memcmp(buf, "abcd", 4) == 0);
    return 0;
}

OVER(stream, IS_TCP, a_waiting_reader_sees_past_urgent_data)
{
    char buf[64];
    int fd = e->a->fd.fd;
    hank_task reader = hank_spawn(read_once, e->b);
    YIELD_UNTIL(is_being_read(e->b));
    MUST(send(fd, "ab!", 3, MSG_OOB) == 3);
    MUST(send(fd, "cd", 2, 0) == 2);
    int first = hank_await(reader);
    MUST(first > 0);
    for (int rest = 4 - first; rest > 0;) {
        ssize_t n = hank_within(HANK_SEC(5), hank_read(e->b, buf, sizeof buf));
        MUST(n > 0);
        rest -= (int)n;
    }
    return 0;
}

/* --- threads that are no workers ------------------------------------------------------------- */

static void *close_soon(void *arg)
{
    for (int i = 0; i < 1000; i++)
        hk_os_yield(); /* most likely while the other waits; right either way */
    hank_close(arg);
    return NULL;
}

Test(stream, a_plain_thread_can_do_all_that_a_task_can, .timeout = 20)
{
    ends e = {.other = -1};
    char buf[16];
    if (HK_OVER_TLS)
        cr_skip_test("its ends are of TCP");
    cr_assert_eq(open_tcp(&e), 0);
    cr_expect_eq(hank_within(HANK_MS(5), hank_read(e.b, buf, sizeof buf)), -ETIMEDOUT);
    cr_expect_eq(hank_write(e.a, "line\n", 5), 0);
    cr_expect_eq(hank_read_line(e.b, buf, sizeof buf), 5);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, close_soon, e.b), 0);
    cr_expect_eq(hank_read(e.b, buf, sizeof buf), -EBADF);
    pthread_join(thread, NULL);
    hank_close(e.a);
    hank_listener_close(e.l);
}

Test(stream, closing_nothing_is_fine)
{
    hank_close(NULL);
    hank_listener_close(NULL);
}
