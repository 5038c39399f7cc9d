/* SPDX-License-Identifier: MIT */
/* completion_test.c - streams behave the same whoever tells of them, also where bytes are taken
 * ahead: a stopped read loses nothing, a slow reader holds up nobody.
 *
 * Each test runs with every reactor that is to be had here, by the option, whatever HANK_REACTOR
 * says. */
#include "io_support.h"

#include <errno.h>
#include <stdlib.h>

#include "each_reactor.h"

/* --- options ------------------------------------------------------------------------------- */

Test(reactor_option, one_out_of_its_limits_is_refused)
{
    cr_expect_eq(hank_run_with(nothing, NULL, .reactor = (hank_reactor)3), -EINVAL);
    cr_expect_eq(hank_run_with(nothing, NULL, .reactor = (hank_reactor)-1), -EINVAL);
}

Test(reactor_option, the_environment_decides_only_where_the_program_does_not)
{
    cr_assert_eq(setenv("HANK_REACTOR", "epoll", 1), 0);
    cr_expect_eq(hank_run(nothing, NULL), 0);
    cr_assert_eq(setenv("HANK_REACTOR", "auto", 1), 0);
    cr_expect_eq(hank_run(nothing, NULL), 0);
    cr_assert_eq(setenv("HANK_REACTOR", "", 1), 0);
    cr_expect_eq(hank_run(nothing, NULL), 0);
    cr_assert_eq(setenv("HANK_REACTOR", "abacus", 1), 0);
    cr_expect_eq(hank_run(nothing, NULL), -ENOSYS);
    cr_expect_eq(hank_run_with(nothing, NULL, .reactor = HANK_EPOLL), 0);
    cr_assert_eq(setenv("HANK_REACTOR", "uring", 1), 0);
    int rc = hank_run(nothing, NULL);
    cr_expect(rc == 0 || is_refused(rc));
    cr_expect_eq(hank_run_with(nothing, NULL, .reactor = HANK_URING), rc);
}

/* --- nothing is lost ----------------------------------------------------------------------- */

enum { BYTES = 200 * 1000 };

static char letter(size_t i)
{
    return (char)('a' + i % 23);
}

/* All of the sequence, in parts of all sizes. */
static int write_sequence(void *arg)
{
    hank_stream *s = arg;
    char part[3000];
    for (size_t i = 0, n; i < BYTES; i += n) {
        n = 1 + i * 7 % sizeof part;
        if (n > BYTES - i)
            n = BYTES - i;
        for (size_t k = 0; k < n; k++)
            part[k] = letter(i + k);
        int rc = hank_write(s, part, n);
        if (rc < 0)
            return rc;
        if (i % 5 == 0)
            (void)hank_yield();
    }
    return hank_write_end(s);
}

WITH_EACH_REACTOR(reads_that_are_stopped_in_the_middle_lose_no_byte)
{
    (void)arg;
    pair p;
    MUST_OK(pair_open("tcp://127.0.0.1:0", &p));
    hank_task writer = hank_spawn(write_sequence, p.client);
    char buf[500];
    size_t done = 0;
    for (;;) {
        ssize_t n = hank_within(HANK_US(1 + (hank_ns)(done % 50)), hank_read(p.server, buf, 500));
        if (n == 0)
            break;
        MUST(n > 0 || n == -ETIMEDOUT);
        for (ssize_t k = 0; k < n; k++)
            MUST(buf[k] == letter(done + (size_t)k));
        done += n > 0 ? (size_t)n : 0;
    }
    MUST(done == BYTES);
    MUST_OK(hank_await(writer));
    pair_close(&p);
    return 0;
}

struct cancelled {
    hank_stream *stream;
    size_t done;
};

static int read_sequence(void *arg)
{
    struct cancelled *c = arg;
    char buf[700];
    ssize_t n;
    while ((n = hank_read(c->stream, buf, sizeof buf)) > 0) {
        for (ssize_t k = 0; k < n; k++)
            MUST(buf[k] == letter(c->done + (size_t)k));
        c->done += (size_t)n;
    }
    return (int)n;
}

WITH_EACH_REACTOR(readers_that_are_cancelled_one_after_the_other_lose_no_byte)
{
    (void)arg;
    pair p;
    MUST_OK(pair_open("tcp://127.0.0.1:0", &p));
    struct cancelled c = {.stream = p.server};
    hank_task writer = hank_spawn(write_sequence, p.client);
    int rc;
    do {
        hank_task reader = hank_spawn(read_sequence, &c);
        (void)hank_yield();
        hank_cancel(reader);
        rc = hank_await(reader);
        MUST(rc == 0 || rc == -ECANCELED);
    } while (rc != 0);
    MUST(c.done == BYTES);
    MUST_OK(hank_await(writer));
    pair_close(&p);
    return 0;
}

/* --- nobody is held up --------------------------------------------------------------------- */

/* Until the other side takes no more. */
static int flood(void *arg)
{
    static const char zeros[8000];
    int rc;
    do
        rc = hank_within(HANK_MS(20), hank_write(arg, zeros, sizeof zeros));
    while (rc == 0);
    return rc == -ETIMEDOUT ? 0 : rc;
}

WITH_EACH_REACTOR(streams_that_nobody_reads_do_not_hold_up_those_that_are_read)
{
    enum { DEAF = 40 };
    (void)arg;
    static pair deaf[DEAF];
    hank_task floods[DEAF];
    pair p;
    char byte;
    for (int i = 0; i < DEAF; i++) {
        MUST_OK(pair_open("tcp://127.0.0.1:0", &deaf[i]));
        MUST(hank_within(0, hank_read(deaf[i].server, &byte, 1)) == -ETIMEDOUT);
        MUST(hank_within(HANK_US(1), hank_read(deaf[i].server, &byte, 1)) == -ETIMEDOUT);
        floods[i] = hank_spawn(flood, deaf[i].client);
    }
    MUST_OK(pair_open("tcp://127.0.0.1:0", &p));
    for (int i = 0; i < 500; i++) {
        MUST_OK(hank_write(p.client, "x", 1));
        MUST(hank_within(HANK_SEC(20), hank_read(p.server, &byte, 1)) == 1);
    }
    for (int i = 0; i < DEAF; i++) {
        MUST_OK(hank_await(floods[i]));
        pair_close(&deaf[i]);
    }
    pair_close(&p);
    return 0;
}

/* --- many ---------------------------------------------------------------------------------- */

static int echo(hank_stream *s, void *arg)
{
    (void)arg;
    char buf[64];
    ssize_t n;
    while ((n = hank_read(s, buf, sizeof buf)) > 0)
        MUST_OK(hank_write(s, buf, (size_t)n));
    return (int)n;
}

static int serve(void *arg)
{
    return hank_serve(arg, echo, NULL);
}

static char where[64];

static int ask_ten_times(void *arg)
{
    hank_stream *s;
    (void)arg;
    MUST_OK(hank_connect(where, &s));
    for (int i = 0; i < 10; i++) {
        char question[8], answer[8];
        int n = snprintf(question, sizeof question, "%d", i * 1111);
        MUST_OK(hank_write(s, question, (size_t)n));
        MUST_OK(hank_read_exact(s, answer, (size_t)n));
        MUST(memcmp(question, answer, (size_t)n) == 0);
    }
    hank_close(s);
    return 0;
}

WITH_EACH_REACTOR(hundreds_of_streams_each_get_their_own_answers)
{
    enum { CROWD = 300 };
    (void)arg;
    hank_listener *l;
    MUST_OK(hank_listen("tcp://127.0.0.1:0", &l));
    MUST_OK(hank_listener_name(l, where, sizeof where));
    hank_task server = hank_spawn(serve, l);
    hank_group clients = {0};
    for (int i = 0; i < CROWD; i++)
        MUST_OK(hank_group_spawn(&clients, ask_ten_times, NULL));
    MUST_OK(hank_group_wait(&clients));
    hank_cancel(server);
    MUST(hank_await(server) == -ECANCELED);
    hank_listener_close(l);
    return 0;
}

/* The port is free again when the call returns, though somebody was accepting on another worker. */
WITH_EACH_REACTOR(a_listener_that_is_closed_leaves_its_port_to_the_next)
{
    (void)arg;
    hank_listener *l;
    MUST_OK(hank_listen("tcp://127.0.0.1:0", &l));
    MUST_OK(hank_listener_name(l, where, sizeof where));
    for (int i = 0; i < 50; i++) {
        hank_task server = hank_spawn(serve, l);
        for (int k = i % 5; k > 0; k--)
            (void)hank_yield();
        hank_cancel(server);
        MUST(hank_await(server) == -ECANCELED);
        hank_listener_close(l);
        MUST_OK(hank_listen(where, &l));
    }
    hank_listener_close(l);
    return 0;
}
