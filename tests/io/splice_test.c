/* SPDX-License-Identifier: MIT */
/* splice_test.c - bytes from a stream to a stream: through a pipe of hank's between two sockets,
 * without one where an end is a pipe, and through the program where there is no other way. */
#include "io/net_support.h"

#include <limits.h>
#include <poll.h>

#include "base/fault.h"

typedef struct passing {
    hank_stream *from, *to;
    size_t n;
    ssize_t result;
} passing;

static int pass(void *arg)
{
    passing *p = arg;
    p->result = hank_splice(p->from, p->to, p->n);
    return p->result < 0 ? (int)p->result : 0;
}

static int write_pattern(void *arg)
{
    const reading *r = arg;
    unsigned char block[5003];
    for (size_t done = 0; done < r->n;) {
        size_t n = r->n - done < sizeof block ? r->n - done : sizeof block;
        for (size_t i = 0; i < n; i++)
            block[i] = big_byte(done + i);
        int rc = hank_write(r->s, block, n);
        if (rc < 0)
            return rc;
        done += n;
    }
    return 0;
}

/* e -> splice -> a second stream of that make. */
static int splice_between(ends *e, int (*make)(hank_stream **, hank_stream **))
{
    hank_stream *out = NULL, *in = NULL;
    int rc = make(&out, &in);
    MUST(rc == 0);
    passing p = {e->b, in, 1000000, 0};
    reading writes = {e->a, 1000000, 0}, reads = {out, 1000000, 0};
    rc = hank_gather(hank_spawn(pass, &p), hank_spawn(write_pattern, &writes),
                     hank_spawn(read_pattern, &reads));
    hank_close(out);
    hank_close(in);
    MUST(rc == 0 && p.result == 1000000);
    return 0;
}

OVER(splice, ANY, bytes_pass_into_a_pipe)
{
    return splice_between(e, hank_pipe);
}

OVER(splice, ANY, bytes_pass_into_a_socket)
{
    return splice_between(e, hank_stream_pair);
}

OVER(splice, ANY, bytes_pass_from_a_pipe)
{
    hank_stream *out = NULL, *in = NULL;
    MUST(hank_pipe(&out, &in) == 0);
    passing p = {out, e->a, 1000000, 0};
    reading writes = {in, 1000000, 0}, reads = {e->b, 1000000, 0};
    int rc = hank_gather(hank_spawn(pass, &p), hank_spawn(write_pattern, &writes),
                         hank_spawn(read_pattern, &reads));
    hank_close(out);
    hank_close(in);
    MUST(rc == 0 && p.result == 1000000);
    return 0;
}

OVER(splice, ENDS, the_end_ends_it)
{
    hank_stream *out, *in;
    char buf[16];
    MUST(hank_pipe(&out, &in) == 0);
    MUST(hank_write(e->a, "line\nmore", 9) == 0);
    hank_close(e->a);
    e->a = NULL;
    MUST(hank_read_line(e->b, buf, 8) == 5); /* and "more" was read too far */
    MUST(hank_splice(e->b, in, 1000) == 4);
    MUST(hank_read_exact(out, buf, 4) == 0 && memcmp(buf, "more", 4) == 0);
    MUST(hank_splice(e->b, in, 1000) == 0);
    hank_close(out);
    hank_close(in);
    return 0;
}

OVER(splice, ANY, a_stopped_one_leaves_both_usable)
{
    hank_stream *out, *in;
    char byte;
    MUST(hank_pipe(&out, &in) == 0);
    MUST(hank_splice(e->b, in, SIZE_MAX) == -EINVAL);
    MUST(hank_within(HANK_MS(5), hank_splice(e->b, in, 10)) == -ETIMEDOUT);
    MUST(hank_write(e->a, "x", 1) == 0);
    MUST(hank_splice(e->b, in, 1) == 1);
    MUST(hank_read(out, &byte, 1) == 1 && byte == 'x');
    hank_close(out);
    hank_close(in);
    return 0;
}

/* --- between two sockets --------------------------------------------------------------------- */

/* e -> splice -> in -> out, with as many bytes as a pipe has room for a few times. */
enum { BULK = 3000000 };

typedef struct relay {
    hank_stream *out, *in;
    passing p;
    reading writes;
    hank_task passer, writer;
} relay;

static int relay_open(ends *e, size_t n, relay *ret)
{
    int rc = hank_stream_pair(&ret->out, &ret->in);
    if (rc < 0)
        return rc;
    ret->p = (passing){e->b, ret->in, n, 0};
    ret->writes = (reading){e->a, BULK, 0};
    ret->passer = hank_spawn(pass, &ret->p);
    ret->writer = hank_spawn(write_pattern, &ret->writes);
    return 0;
}

static void relay_close(relay *r)
{
    hank_close(r->out);
    hank_close(r->in);
}

/* The whole pattern has come out, and nothing of what it came through is open (which the runner
 * looks at). */
static int bulk_passes(ends *e)
{
    relay r;
    MUST(relay_open(e, BULK, &r) == 0);
    reading reads = {r.out, BULK, 0};
    int rc = read_pattern(&reads);
    MUST(hank_gather(r.passer, r.writer) == 0 && rc == 0 && r.p.result == BULK);
    relay_close(&r);
    return 0;
}

OVER(splice, HALF, a_half_close_is_passed_on_when_all_has_come)
{
    relay r;
    char byte;
    MUST(relay_open(e, (size_t)SSIZE_MAX, &r) == 0);
    reading reads = {r.out, BULK, 0};
    MUST(read_pattern(&reads) == 0 && hank_await(r.writer) == 0);
    MUST(hank_write_end(e->a) == 0);
    MUST(hank_await(r.passer) == 0 && r.p.result == BULK);
    MUST(hank_write_end(r.in) == 0 && hank_read(r.out, &byte, 1) == 0);
    MUST(hank_write(r.out, "b", 1) == 0 && hank_splice(r.in, e->b, 1) == 1); /* and back */
    MUST(hank_read(e->a, &byte, 1) == 1 && byte == 'b');
    relay_close(&r);
    return 0;
}

OVER(splice, IS_SOCKET, a_reader_that_goes_is_told_of_and_so_is_what_is_lost)
{
    relay r;
    MUST(relay_open(e, BULK, &r) == 0);
    reading reads = {r.out, BULK / 3, 0};
    MUST(read_pattern(&reads) == 0);
    hank_close(r.out);
    r.out = NULL;
    int rc = hank_await(r.passer);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    MUST(hank_write(r.in, "x", 1) == -EPIPE);
    hank_abort(e->b);
    e->b = NULL;
    (void)hank_await(r.writer); /* nobody reads what it still has */
    relay_close(&r);
    return 0;
}

OVER(splice, IS_TCP, a_writer_that_is_reset_is_told_of)
{
    relay r;
    MUST(relay_open(e, BULK + 1, &r) == 0);
    reading reads = {r.out, BULK, 0};
    MUST(read_pattern(&reads) == 0 && hank_await(r.writer) == 0);
    hank_abort(e->a);
    e->a = NULL;
    MUST(hank_await(r.passer) == -ECONNRESET);
    MUST(hank_write(r.in, "x", 1) == 0); /* all that came has gone: nothing is lost */
    relay_close(&r);
    return 0;
}

/* There is no room, which nobody makes any more, and somebody waits for it. */
static bool is_stuck(hank_stream *to)
{
    struct pollfd room = {.fd = to->fd.fd, .events = POLLOUT};
    return hk_os_poll(&room, 1, 0) == 0 && hk_load_relaxed(&to->fd.waiting[HK_OUT].sleeper);
}

OVER(splice, IS_SOCKET, one_that_is_stopped_with_bytes_in_its_hands_says_so_from_then_on)
{
    relay r;
    char byte;
    MUST(relay_open(e, BULK, &r) == 0);
    reading reads = {r.out, BULK / 3, 0};
    MUST(read_pattern(&reads) == 0);
    YIELD_UNTIL(is_stuck(r.in));
    hank_cancel(r.passer);
    MUST(hank_await(r.passer) == -ECANCELED);
    MUST(hank_write(r.in, "x", 1) == -EPIPE); /* what follows the gap would be taken for it */
    MUST(hank_read(r.out, &byte, 1) == 1 && (unsigned char)byte == big_byte(BULK / 3));
    hank_abort(e->b);
    e->b = NULL;
    (void)hank_await(r.writer); /* nobody reads what it still has */
    relay_close(&r);
    return 0;
}

#if HK_FAULTS
static int passes_though(ends *e, hk_fault kind, uint64_t nth, int error)
{
    hk_fault_plan(kind, nth, error);
    int rc = bulk_passes(e);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    /* On a ring TCP is read ahead, and passes through the program. */
    return rc < 0 ? rc : hit || getenv("HANK_REACTOR") ? 0 : -EPROTO;
}

OVER(splice, IS_SOCKET, short_counts_are_made_up_for)
{
    for (uint64_t i = 1; i <= 4; i++)
        MUST(passes_though(e, HK_FAULT_SPLICE, i, 7) == 0);
    return 0;
}

OVER(splice, IS_SOCKET, where_the_system_cannot_relay_it_is_copied)
{
    for (uint64_t i = 1; i <= 4; i++) /* in, out, in, out */
        MUST(passes_though(e, HK_FAULT_SPLICE, i, -EINVAL) == 0);
    return 0;
}

OVER(splice, IS_SOCKET, without_a_pipe_it_is_copied)
{
    relay r;
    MUST(hank_stream_pair(&r.out, &r.in) == 0);
    r.p = (passing){e->b, r.in, BULK, 0};
    r.writes = (reading){e->a, BULK, 0};
    reading reads = {r.out, BULK, 0};
    for (int i = 0; i < 2; i++) {
        hk_fault_plan(i ? HK_FAULT_SOCKOPT : HK_FAULT_SOCKET, 1, i ? -EPERM : -EMFILE);
        int rc = hank_gather(hank_spawn(pass, &r.p), hank_spawn(write_pattern, &r.writes),
                             hank_spawn(read_pattern, &reads));
        bool hit = hk_fault_hit() || getenv("HANK_REACTOR");
        hk_fault_clear();
        MUST(rc == 0 && r.p.result == BULK && hit);
    }
    relay_close(&r);
    return 0;
}
#endif
