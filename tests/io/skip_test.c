/* SPDX-License-Identifier: MIT */
/* skip_test.c - dropping what is too long, over every kind of stream; how much is unread; and the
 * descriptors of what else has one. */
#include "io/net_support.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "api/everywhere.h"

static const char limit_is_told[] = "0123456789\nnext\n";

OVER(skip, ANY, after_a_line_that_is_too_long_the_next_one_is_read)
{
    char line[8];
    MUST(hank_write(e->a, limit_is_told, 16) == 0);
    MUST(hank_read_line(e->b, line, sizeof line) == -EMSGSIZE);
    MUST(hank_skip_until(e->b, "\n") == 11);
    MUST(hank_read_line(e->b, line, sizeof line) == 5 && strcmp(line, "next\n") == 0);
    return 0;
}

OVER(skip, ANY, only_the_first_separator_ends_it)
{
    char buf[8];
    MUST(hank_write(e->a, "a\n\nb", 4) == 0);
    MUST(hank_skip_until(e->b, "\n") == 2);
    MUST(hank_skip_until(e->b, "\n") == 1);
    MUST(hank_read_exact(e->b, buf, 1) == 0 && buf[0] == 'b');
    return 0;
}

static int write_slowly(void *arg)
{
    static const char text[] = "aa--a-->rest";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        int rc = hank_write(arg, &text[i], 1);
        if (rc < 0)
            return rc;
        (void)hank_yield();
    }
    return 0;
}

OVER(skip, ANY, a_separator_may_come_byte_by_byte)
{
    char buf[4];
    hank_task writer = hank_spawn(write_slowly, e->a);
    MUST(hank_skip_until(e->b, "-->") == 8);
    MUST(hank_read_exact(e->b, buf, 4) == 0 && memcmp(buf, "rest", 4) == 0);
    return hank_await(writer);
}

enum { LONG = 300 * 1000 }; /* over any limit of a line here */

static int write_long(void *arg)
{
    static char text[LONG];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\n';
    int rc = hank_write(arg, text, sizeof text);
    return rc == 0 ? hank_write(arg, "next\n", 5) : rc;
}

OVER(skip, ANY, what_is_dropped_may_be_of_any_length_and_takes_no_memory)
{
    char line[8];
    hank_task writer = hank_spawn(write_long, e->a);
    MUST(hank_stream_set_limit(e->b, 16) == 0);
    MUST(hank_skip_until(e->b, "\n") == LONG);
    MUST(e->b->unread.size <= 17);
    MUST(hank_read_line(e->b, line, sizeof line) == 5 && strcmp(line, "next\n") == 0);
    return hank_await(writer);
}

OVER(skip, ENDS, the_rest_of_a_stream_may_lack_the_separator)
{
    char buf[4];
    MUST(hank_write(e->a, "one;rest-", 9) == 0);
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_skip_until(e->b, ";") == 4);
    MUST(hank_skip_until(e->b, "-->") == 5);
    MUST(hank_skip_until(e->b, "-->") == 0);
    MUST(hank_read(e->b, buf, sizeof buf) == 0);
    return 0;
}

OVER(skip, ANY, no_separator_and_one_over_the_limit_are_refused)
{
    char buf[8];
    MUST(hank_write(e->a, "--->", 4) == 0);
    MUST(hank_skip_until(e->b, NULL) == -EINVAL);
    MUST(hank_skip_until(e->b, "") == -EINVAL);
    MUST(hank_stream_set_limit(e->b, 3) == 0);
    MUST(hank_skip_until(e->b, "--->") == -EMSGSIZE);
    MUST(hank_read_exact(e->b, buf, 1) == 0); /* nothing was dropped */
    MUST(hank_skip_until(e->b, "-->") == 3);
    return 0;
}

OVER(skip, ANY, one_that_is_stopped_goes_on_when_called_again)
{
    char buf[4];
    MUST(hank_write(e->a, "lost--", 6) == 0);
    MUST(hank_within(HANK_MS(5), hank_skip_until(e->b, "-->")) == -ETIMEDOUT);
    MUST(hank_stream_unread(e->b) == 2); /* the beginning of a separator, maybe */
    MUST(hank_write(e->a, ">rest", 5) == 0);
    MUST(hank_skip_until(e->b, "-->") == 3);
    MUST(hank_read_exact(e->b, buf, 4) == 0 && memcmp(buf, "rest", 4) == 0);
    return 0;
}

static int skip_line(void *s)
{
    RETURN_WHEN_LET_IN(hank_skip_until(s, "\n"));
}

OVER(skip, ANY, a_second_reader_is_refused)
{
    hank_task first = hank_spawn(skip_line, e->b);
    UNTIL_TAKEN(hank_stream_unread(e->b));
    MUST(hank_skip_until(e->b, "\n") == -EBUSY);
    MUST(hank_write(e->a, "x\n", 2) == 0);
    MUST(hank_await(first) == 2);
    return 0;
}

OVER(skip, ANY, a_close_wakes_it)
{
    hank_task first = hank_spawn(skip_line, e->b);
    UNTIL_TAKEN(hank_stream_unread(e->b));
    hank_close(e->b);
    e->b = NULL;
    MUST(hank_await(first) == -EBADF);
    return 0;
}

/* --- stopped at each of its waits ------------------------------------------------------------- */

static void open_ends(void *state)
{
    ends *e = state;
    *e = (ends){.other = -1};
    CHECK(hank_stream_pair(&e->a, &e->b) == 0);
}

static int skip_message(void *state)
{
    ends *e = state;
    ssize_t n = hank_skip_until(e->b, "-->");
    return n == 8 ? 0 : n < 0 ? (int)n : -EPROTO;
}

static int write_message(void *state)
{
    return write_slowly(((ends *)state)->a);
}

/* What is left of the message when it was stopped still has its separator, or gets one here. */
static bool finds_the_rest(void *state, int rc, bool stopped)
{
    ends *e = state;
    char buf[32] = "";
    bool holds = rc == 0;
    if (rc < 0) {
        CHECK(hank_write(e->a, "-->rest", 7) == 0);
        hank_close(e->a);
        e->a = NULL;
        CHECK(hank_skip_until(e->b, "-->") > 0);
        ssize_t n = hank_peek(e->b, buf, sizeof buf); /* to the end */
        holds = stopped && n >= 4 && memcmp(buf + n - 4, "rest", 4) == 0;
        holds = holds && (rc == -ECANCELED || rc == -ETIMEDOUT);
    }
    hank_close(e->a);
    hank_close(e->b);
    return holds;
}

static int walk(void *arg)
{
    ends e;
    (void)arg;
    MUST(everywhere(&(everywhere_scenario){open_ends, skip_message, write_message, finds_the_rest,
                                           &e}) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}

Test(skip, may_be_stopped_at_any_wait, .timeout = 120)
{
    with_each_size(walk, NULL);
}

/* --- what is unread --------------------------------------------------------------------------- */

OVER(unread, ANY, is_what_was_read_too_far)
{
    char line[8];
    MUST(hank_stream_unread(e->b) == 0);
    MUST(hank_write(e->a, "one\ntwo", 7) == 0);
    MUST(hank_peek(e->b, line, 7) == 7);
    MUST(hank_stream_unread(e->b) == 7);
    MUST(hank_read_line(e->b, line, sizeof line) == 4);
    MUST(hank_stream_unread(e->b) == 3);
    MUST(hank_read(e->b, line, sizeof line) == 3);
    MUST(hank_stream_unread(e->b) == 0);
    return 0;
}

static int read_one(void *s)
{
    char byte;
    RETURN_WHEN_LET_IN(hank_read(s, &byte, 1));
}

OVER(unread, ANY, is_not_told_while_another_task_reads)
{
    hank_task reader = hank_spawn(read_one, e->b);
    UNTIL_TAKEN(hank_stream_unread(e->b));
    MUST(hank_write(e->a, "x", 1) == 0);
    MUST(hank_await(reader) == 1);
    MUST(hank_stream_unread(e->b) == 0);
    return 0;
}

/* --- descriptors ------------------------------------------------------------------------------ */

ALONE(descriptor, of_a_listener_is_the_one_that_listens)
{
    hank_listener *l;
    int on = 0;
    socklen_t length = sizeof on;
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    int fd = hank_listener_fd(l);
    MUST(fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &length) == 0 && on);
    hank_listener_close(l);
    return 0;
}

ALONE(descriptor, of_an_endpoint_takes_options_that_hank_has_not)
{
    hank_endpoint *e;
    int ttl = 7, now = 0;
    socklen_t length = sizeof now;
    (void)arg;
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &e) == 0);
    int fd = hank_endpoint_fd(e);
    MUST(fd >= 0 && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl) == 0);
    MUST(getsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &now, &length) == 0 && now == 7);
    hank_endpoint_close(e);
    return 0;
}
