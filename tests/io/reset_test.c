/* SPDX-License-Identifier: MIT */
/* reset_test.c - a connection that broke is no connection that ended, whoever meets it first. */
#include "io/net_support.h"

#include <hank/layer.h>

#include <netinet/tcp.h>

#include "base/fault.h"

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

OVER(reset, IS_TCP, that_was_met_leaves_no_peer)
{
    char name[64];
    hank_abort(e->b);
    e->b = NULL;
    MUST(hank_read(e->a, name, 1) == -ECONNRESET);
    MUST(hank_stream_peer(e->a, name, sizeof name) == -ENOTCONN);
    MUST(hank_write_end(e->a) == -ENOTCONN);
    MUST(hank_trywrite(e->a, "x", 1) == -EPIPE);
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

/* --- a peer that is gone without a word --------------------------------------------------------
 */

/* Close the other end as a machine does that loses its power. False: we may not. */
static bool vanish(ends *e)
{
    int on = 1;
    if (setsockopt(hank_stream_fd(e->b), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) < 0)
        return false;
    hank_close(e->b);
    e->b = NULL;
    return true;
}

OVER(vanished, IS_TCP, peer_is_waited_for_until_something_is_sent_to_it)
{
    char byte;
    if (!vanish(e)) {
        cr_log_warn("only root can have a connection vanish");
        return 0;
    }
    MUST(hank_within(HANK_MS(20), hank_read(e->a, &byte, 1)) == -ETIMEDOUT);
    hank_task reader = hank_spawn(read_one, e->a);
    MUST(hank_write(e->a, "x", 1) == 0); /* into the system; what it hears of it is a reset */
    MUST(hank_await(reader) == -ECONNRESET);
    MUST(hank_read(e->a, &byte, 1) == -ECONNRESET);
    int rc = hank_write(e->a, "x", 1);
    MUST(rc == -ECONNRESET || rc == -EPIPE);
    return 0;
}

#if HK_FAULTS
static int receive(hank_stream *s)
{
    char byte;
    return (int)hank_read(s, &byte, 1);
}

static int send_one(hank_stream *s)
{
    return hank_write(s, "x", 1);
}

/* What the system says once, and then "end". The other end has closed properly, for the injector.
 */
static int told_once(ends *e, hk_fault kind, int (*call)(hank_stream *s), int error)
{
    hank_close(e->b);
    e->b = NULL;
    hk_fault_plan(kind, 1, error);
    int rc = call(e->a);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    if (!hit && getenv("HANK_REACTOR"))
        return 0; /* a ring of io_uring made the call */
    MUST(hit && rc == error);
    for (int i = 0; i < 2; i++)
        MUST(receive(e->a) == error);
    return 0;
}

OVER(lost, IS_TCP, for_a_reader_by_a_timeout_is_no_end)
{
    return told_once(e, HK_FAULT_RECV, receive, -ETIMEDOUT);
}

OVER(lost, IS_TCP, for_a_reader_without_a_way_is_no_end)
{
    return told_once(e, HK_FAULT_RECV, receive, -EHOSTUNREACH);
}

OVER(lost, IS_TCP, for_a_writer_by_a_timeout_is_no_end_for_a_reader)
{
    return told_once(e, HK_FAULT_SEND, send_one, -ETIMEDOUT);
}

OVER(lost, IS_TCP, for_a_writer_without_a_way_is_no_end_for_a_reader)
{
    return told_once(e, HK_FAULT_SEND, send_one, -EHOSTUNREACH);
}
#endif
