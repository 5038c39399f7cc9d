/* SPDX-License-Identifier: MIT */
/* reset_test.c - a connection that broke is no connection that ended, whoever meets it first. */
#include "io/net_support.h"

static int read_one(void *s)
{
    char byte;
    RETURN_WHEN_LET_IN(hank_read(s, &byte, 1));
}

/* The system tells of a reset once. Whoever is told, the other must not take it for an end. */
static int write_until_it_fails(void *s)
{
    int rc;
    while ((rc = hank_write(s, "x", 1)) == 0)
        (void)hank_yield();
    return rc;
}

OVER(reset, IS_TCP, that_a_writer_met_is_one_for_the_reader)
{
    char buf[8];
    MUST(hank_write(e->b, "abc", 3) == 0);
    hank_abort(e->b);
    e->b = NULL;
    int rc = write_until_it_fails(e->a);
    MUST(rc == -ECONNRESET || rc == -EPIPE);
    ssize_t n = hank_read(e->a, buf, sizeof buf);
    MUST(n == 3 || n == -ECONNRESET); /* what had come can be read, if the system kept it */
    for (int i = 0; i < 3; i++)
        MUST(hank_read(e->a, buf, sizeof buf) == -ECONNRESET);
    MUST(hank_read_line(e->a, buf, sizeof buf) == -ECONNRESET);
    return 0;
}

OVER(reset, IS_TCP, that_a_vectored_write_met_is_one_too)
{
    char byte;
    int rc;
    struct iovec parts[2] = {{"x", 1}, {"y", 1}};
    hank_abort(e->b);
    e->b = NULL;
    while ((rc = hank_writev(e->a, parts, 2)) == 0)
        (void)hank_yield();
    MUST(rc == -ECONNRESET || rc == -EPIPE);
    MUST(hank_read(e->a, &byte, 1) == -ECONNRESET);
    return 0;
}

OVER(reset, IS_TCP, that_a_sent_file_met_is_one_too)
{
    char byte;
    ssize_t n;
    hank_file *f;
    MUST(hank_file_open("/proc/self/exe", O_RDONLY, 0, &f) == 0);
    hank_abort(e->b);
    e->b = NULL;
    while ((n = hank_sendfile(e->a, f, 0, 1)) == 1)
        (void)hank_yield();
    hank_file_close(f);
    MUST(n == -ECONNRESET || n == -EPIPE);
    MUST(hank_read(e->a, &byte, 1) == -ECONNRESET);
    return 0;
}

OVER(reset, IS_TCP, that_a_reader_met_ends_the_writing)
{
    char byte;
    hank_abort(e->b);
    e->b = NULL;
    MUST(hank_read(e->a, &byte, 1) == -ECONNRESET);
    for (int i = 0; i < 2; i++) {
        int rc = hank_write(e->a, "x", 1);
        MUST(rc == -ECONNRESET || rc == -EPIPE);
    }
    MUST(hank_read(e->a, &byte, 1) == -ECONNRESET);
    return 0;
}

OVER(reset, IS_TCP, that_meets_both_at_once_is_an_end_for_neither)
{
    char byte;
    hank_task reader = hank_spawn(read_one, e->a);
    hank_task writer = hank_spawn(write_until_it_fails, e->a);
    MUST(hank_read(e->b, &byte, 1) == 1);
    UNTIL_TAKEN(hank_read(e->a, &byte, 0));
    hank_abort(e->b);
    e->b = NULL;
    MUST(hank_await(reader) == -ECONNRESET);
    int rc = hank_await(writer);
    MUST(rc == -ECONNRESET || rc == -EPIPE);
    return 0;
}

OVER(end, IS_TCP, stays_one_though_a_writer_fails)
{
    char byte;
    hank_close(e->b);
    e->b = NULL;
    MUST(hank_read(e->a, &byte, 1) == 0);
    MUST(write_until_it_fails(e->a) == -EPIPE);
    MUST(hank_read(e->a, &byte, 1) == 0);
    return 0;
}
