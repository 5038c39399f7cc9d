/* SPDX-License-Identifier: MIT */
/* stream_test.c - a TLS stream is a stream like any other: the cases of tests/io/stream_test.c over
 * TLS, what is different about its end, other streams between, and upgrades. */
#include "tls/tls_support.h"

#include <stdlib.h>

/* --- bytes ----------------------------------------------------------------------------------- */

CONNECTED(bytes, that_are_written_are_read)
{
    char buf[16];
    MUST(hank_write(p->client.stream, "hello", 5) == 0);
    MUST(hank_read(p->server.stream, buf, sizeof buf) == 5);
    MUST(memcmp(buf, "hello", 5) == 0);
    MUST(hank_write(p->server.stream, "yes", 3) == 0);
    MUST(hank_read_exact(p->client.stream, buf, 3) == 0);
    MUST(memcmp(buf, "yes", 3) == 0);
    return 0;
}

CONNECTED(bytes, that_nobody_asked_for_are_not_touched)
{
    char buf[4];
    MUST(hank_read(p->server.stream, buf, 0) == 0);
    MUST(hank_read_exact(p->server.stream, buf, 0) == 0);
    MUST(hank_write(p->server.stream, buf, 0) == 0);
    return 0;
}

enum { BIG = 3 * 1000 * 1000 };

static unsigned char big_byte(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

static int write_big(void *arg)
{
    unsigned char *data = malloc(BIG);
    if (!data)
        return -ENOMEM;
    for (size_t i = 0; i < BIG; i++)
        data[i] = big_byte(i);
    int rc = hank_write(arg, data, BIG);
    free(data);
    return rc;
}

static int read_big(void *arg)
{
    unsigned char buf[7001];
    for (size_t done = 0; done < BIG;) {
        ssize_t n = hank_read(arg, buf, sizeof buf);
        MUST(n > 0);
        for (ssize_t i = 0; i < n; i++, done++)
            MUST(buf[i] == big_byte(done));
    }
    return 0;
}

CONNECTED(bytes, more_than_every_buffer_holds_arrive_whole)
{
    hank_task writer = hank_spawn(write_big, p->client.stream);
    int rc = read_big(p->server.stream);
    MUST(hank_await(writer) == 0);
    return rc;
}

CONNECTED(bytes, of_which_some_are_written_are_told)
{
    unsigned char part[5000];
    size_t sent = 0;
    hank_task reader = hank_spawn(read_big, p->server.stream);
    while (sent < BIG) {
        size_t n = BIG - sent < sizeof part ? BIG - sent : sizeof part;
        for (size_t i = 0; i < n; i++)
            part[i] = big_byte(sent + i);
        ssize_t put = hank_write_some(p->client.stream, part, n);
        MUST(put > 0 && (size_t)put <= n);
        sent += (size_t)put;
    }
    return hank_await(reader);
}

static int write_some_for_ever(void *arg)
{
    static const char block[100 * 1000];
    ssize_t put;
    while ((put = hank_write_some(arg, block, sizeof block)) > 0)
        continue;
    return (int)put;
}

CONNECTED(bytes, of_a_record_that_was_stopped_end_the_writing)
{
    MUST(hank_within(HANK_MS(50), write_some_for_ever(p->client.stream)) == -ETIMEDOUT);
    MUST(hank_write_some(p->client.stream, "x", 1) == -EPIPE);
    return 0;
}

CONNECTED(bytes, of_a_line_too_long_are_dropped)
{
    char line[8];
    MUST(hank_write(p->client.stream, "a line that is too long\nnext\n", 29) == 0);
    MUST(hank_read_line(p->server.stream, line, sizeof line) == -EMSGSIZE);
    MUST(hank_stream_unread(p->server.stream) > 0);
    MUST(hank_skip_until(p->server.stream, "\n") == 24);
    MUST(hank_read_line(p->server.stream, line, sizeof line) == 5);
    return memcmp(line, "next\n", 5);
}

CONNECTED(bytes, flow_in_both_directions_at_the_same_time)
{
    hank_task t[] = {
        hank_spawn(write_big, p->client.stream), hank_spawn(write_big, p->server.stream),
        hank_spawn(read_big, p->client.stream), hank_spawn(read_big, p->server.stream)};
    MUST(hank_gather_n(t, 4, NULL) == 0);
    return 0;
}

CONNECTED(bytes, come_as_lines)
{
    char line[64];
    MUST(hank_write(p->client.stream, "one\ntwo\nlast", 12) == 0);
    MUST(hank_write_end(p->client.stream) == 0);
    MUST(hank_read_line(p->server.stream, line, sizeof line) == 4);
    MUST(strcmp(line, "one\n") == 0);
    MUST(hank_read_line(p->server.stream, line, sizeof line) == 4);
    MUST(hank_read_line(p->server.stream, line, sizeof line) == 4);
    MUST(strcmp(line, "last") == 0);
    MUST(hank_read_line(p->server.stream, line, sizeof line) == 0);
    return 0;
}

CONNECTED(bytes, can_be_held_back_and_go_together)
{
    char buf[16];
    struct iovec parts[] = {{"ab", 2}, {"cd", 2}};
    MUST(hank_cork(p->client.stream, 1000, 0) == 0);
    MUST(hank_write(p->client.stream, "12", 2) == 0);
    MUST(hank_writev(p->client.stream, parts, 2) == 0);
    MUST(hank_uncork(p->client.stream) == 0);
    MUST(hank_read(p->server.stream, buf, sizeof buf) == 6);
    MUST(memcmp(buf, "12abcd", 6) == 0);
    return 0;
}

/* --- ends ------------------------------------------------------------------------------------ */

CONNECTED(end, of_one_direction_leaves_the_other)
{
    char buf[16];
    MUST(hank_write(p->client.stream, "last", 4) == 0);
    MUST(hank_write_end(p->client.stream) == 0);
    MUST(hank_read_exact(p->server.stream, buf, 4) == 0);
    MUST(hank_read(p->server.stream, buf, sizeof buf) == 0);
    MUST(hank_read(p->server.stream, buf, sizeof buf) == 0); /* and stays at the end */
    MUST(hank_write(p->server.stream, "answer", 6) == 0);
    MUST(hank_read(p->client.stream, buf, sizeof buf) == 6);
    MUST(hank_write(p->client.stream, "x", 1) == -EPIPE);
    return 0;
}

CONNECTED(end, by_close_says_farewell)
{
    char buf[16];
    MUST(hank_write(p->client.stream, "abc", 3) == 0);
    tls_end_close(&p->client);
    MUST(hank_read_exact(p->server.stream, buf, 3) == 0);
    MUST(hank_read(p->server.stream, buf, sizeof buf) == 0);
    return 0;
}

CONNECTED(end, that_comes_early_is_epipe_for_an_exact_read)
{
    char buf[16];
    MUST(hank_write(p->client.stream, "abc", 3) == 0);
    tls_end_close(&p->client);
    MUST(hank_read_exact(p->server.stream, buf, 4) == -EPIPE);
    return 0;
}

/* A socket that is closed with bytes nobody has read is a reset, and TLS 1.3 sends some by itself.
 */
static int read_everything(tls_pair *p)
{
    char c;
    MUST(hank_write(p->server.stream, "x", 1) == 0);
    MUST(hank_read(p->client.stream, &c, 1) == 1);
    return 0;
}

CONNECTED(end, without_farewell_is_a_truncation_and_no_end)
{
    char buf[16];
    MUST(read_everything(p) == 0);
    MUST(hank_write(p->client.stream, "part", 4) == 0);
    MUST(hank_read_exact(p->server.stream, buf, 4) == 0);
    hank_abort(p->client.stream); /* over a Unix socket: the bytes just end */
    p->client.stream = NULL;
    MUST(hank_read(p->server.stream, buf, sizeof buf) == HANK_TLS_TRUNCATED);
    MUST(hank_read(p->server.stream, buf, sizeof buf) == HANK_TLS_TRUNCATED); /* and stays it */
    return 0;
}

CONNECTED(end, without_farewell_gives_no_last_line)
{
    char line[16];
    MUST(read_everything(p) == 0);
    MUST(hank_write(p->client.stream, "half a li", 9) == 0);
    hank_abort(p->client.stream);
    p->client.stream = NULL;
    MUST(hank_read_line(p->server.stream, line, sizeof line) == HANK_TLS_TRUNCATED);
    return 0;
}

static int read_once(void *arg)
{
    char buf[16];
    RETURN_WHEN_LET_IN(hank_read(arg, buf, sizeof buf));
}

CONNECTED(end, by_close_wakes_a_reader)
{
    char buf[4];
    hank_task reader = hank_spawn(read_once, p->server.stream);
    UNTIL_TAKEN(hank_read(p->server.stream, buf, 0));
    hank_close(p->server.stream);
    p->server.stream = NULL;
    MUST(hank_await(reader) == -EBADF);
    return 0;
}

static int write_until_it_fails(void *arg)
{
    static const char block[100000];
    int rc = 0;
    while (rc == 0 || rc == -EBUSY) { /* UNTIL_TAKEN, for a moment */
        (void)hank_yield();
        rc = hank_write(arg, block, sizeof block);
    }
    return rc;
}

CONNECTED(end, by_close_wakes_a_writer)
{
    hank_task writer = hank_spawn(write_until_it_fails, p->server.stream);
    UNTIL_TAKEN(hank_write(p->server.stream, "", 0));
    for (int i = 0; i < 100; i++)
        (void)hank_yield();
    hank_close(p->server.stream);
    p->server.stream = NULL;
    int rc = hank_await(writer);
    MUST(rc == -EBADF || rc == -EPIPE);
    return 0;
}

CONNECTED(end, of_the_peer_fails_a_write_and_raises_no_signal)
{
    hank_abort(p->server.stream);
    p->server.stream = NULL;
    int rc = write_until_it_fails(p->client.stream);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    return 0;
}

/* --- who is in, and stops --------------------------------------------------------------------- */

CONNECTED(second_reader, is_refused_and_the_first_goes_on)
{
    char buf[16];
    hank_task reader = hank_spawn(read_once, p->server.stream);
    UNTIL_TAKEN(hank_read(p->server.stream, buf, 0));
    MUST(hank_write(p->server.stream, "writing is another matter", 25) == 0);
    MUST(hank_write(p->client.stream, "x", 1) == 0);
    MUST(hank_await(reader) == 1);
    return 0;
}

CONNECTED(stop, of_a_read_loses_nothing)
{
    char buf[16];
    for (int i = 0; i < 20; i++) {
        MUST(hank_within(HANK_US(50), hank_read(p->server.stream, buf, sizeof buf)) == -ETIMEDOUT);
        MUST(hank_write(p->client.stream, "abc", 3) == 0);
        MUST(hank_read_exact(p->server.stream, buf, 3) == 0);
        MUST(memcmp(buf, "abc", 3) == 0);
    }
    return 0;
}

CONNECTED(stop, before_a_write_leaves_the_stream_whole)
{
    char buf[16];
    MUST(hank_within(0, hank_write(p->client.stream, "lost", 4)) == -ETIMEDOUT);
    MUST(hank_write(p->client.stream, "good", 4) == 0);
    MUST(hank_read_exact(p->server.stream, buf, 4) == 0);
    MUST(memcmp(buf, "good", 4) == 0);
    return 0;
}

CONNECTED(stop, in_the_middle_of_a_write_tears_the_stream)
{
    hank_task writer = hank_spawn(write_until_it_fails, p->client.stream);
    UNTIL_TAKEN(hank_write(p->client.stream, "", 0));
    for (int i = 0; i < 1000; i++)
        (void)hank_yield();
    MUST(hank_cancel(writer) == 0);
    MUST(hank_await(writer) == -ECANCELED);
    return 0;
}

/* --- other streams between ------------------------------------------------------------------- */

/* Lets one byte through at a time, and can change one. */
typedef struct narrow {
    hank_stream *under;
    size_t passed;
    size_t spoil_at; /* 0: none */
} narrow;

static ssize_t narrow_read(void *self, void *ret_buf, size_t n)
{
    narrow *t = self;
    ssize_t got = hank_read(t->under, ret_buf, n > 1 ? 1 : n);
    if (got > 0 && ++t->passed == t->spoil_at)
        *(unsigned char *)ret_buf ^= 1;
    return got;
}

static ssize_t narrow_write(void *self, const void *buf, size_t n)
{
    narrow *t = self;
    int rc = hank_write(t->under, buf, n > 1 ? 1 : n);
    return rc < 0 ? rc : 1;
}

static const hank_layer narrow_layer = {.read = narrow_read, .write = narrow_write};

static int open_narrow(tls_pair *p, narrow *n)
{
    hank_stream *a;
    p->client.options.ca_file = files.ca;
    p->server.options.certificate = files.good;
    p->client.name = "localhost";
    MUST(hank_stream_pair(&a, &p->server.under) == 0);
    n->under = a;
    MUST(hank_layer_open(&narrow_layer, n, a, &p->client.under) == 0);
    return tls_pair_shake(p);
}

PAIR(narrow, ways_of_single_bytes_suffice)
{
    narrow n = {0};
    char buf[8];
    MUST(open_narrow(p, &n) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_write(p->client.stream, "12345678", 8) == 0);
    MUST(hank_read_exact(p->server.stream, buf, 8) == 0);
    MUST(hank_write(p->server.stream, "12345678", 8) == 0);
    MUST(hank_read_exact(p->client.stream, buf, 8) == 0);
    tls_pair_close(p); /* while n is there */
    *p = (tls_pair){0};
    return 0;
}

PAIR(tampering, with_data_is_noticed)
{
    narrow n = {0};
    char buf[8];
    MUST(open_narrow(p, &n) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_write(p->server.stream, "abcd", 4) == 0);
    MUST(hank_read_exact(p->client.stream, buf, 4) == 0);
    n.spoil_at = n.passed + 10; /* in the middle of the next record */
    MUST(hank_write(p->server.stream, "abcd", 4) == 0);
    MUST(hank_read(p->client.stream, buf, sizeof buf) == HANK_TLS_BROKEN);
    MUST(hank_read(p->client.stream, buf, sizeof buf) == HANK_TLS_BROKEN);
    MUST(hank_write(p->client.stream, buf, 1) == HANK_TLS_BROKEN);
    MUST(hank_read(p->server.stream, buf, sizeof buf) == HANK_TLS_REFUSED); /* it was told */
    tls_pair_close(p);
    *p = (tls_pair){0};
    return 0;
}

PAIR(tampering, with_a_handshake_is_noticed)
{
    narrow n = {.spoil_at = 200};
    MUST(open_narrow(p, &n) == 0);
    MUST(p->client.result < 0);
    tls_pair_close(p);
    *p = (tls_pair){0};
    return 0;
}

/* --- upgrades --------------------------------------------------------------------------------- */

typedef struct upgrade {
    hank_stream *under;
    hank_tls *tls;
    int result;
} upgrade;

static int serve_upgrade(void *arg)
{
    upgrade *u = arg;
    char line[64];
    hank_stream *s;
    MUST(hank_read_line(u->under, line, sizeof line) > 0); /* reads too far: TLS has begun */
    MUST(strcmp(line, "STARTTLS\n") == 0);
    MUST(hank_tls_server(u->tls, u->under, &s) == 0);
    MUST(hank_read_line(s, line, sizeof line) == 7);
    int rc = hank_write(s, line, 7);
    hank_close(s);
    return rc;
}

/* The command and the beginning of TLS in one write. */
typedef struct eager {
    hank_stream *under;
    bool said;
} eager;

static ssize_t eager_read(void *self, void *ret_buf, size_t n)
{
    return hank_read(((eager *)self)->under, ret_buf, n);
}

static ssize_t eager_write(void *self, const void *buf, size_t n)
{
    eager *e = self;
    struct iovec parts[] = {{"STARTTLS\n", 9}, {(void *)(uintptr_t)buf, n}};
    int rc = hank_writev(e->under, e->said ? parts + 1 : parts, e->said ? 1 : 2);
    e->said = true;
    return rc < 0 ? rc : (ssize_t)n;
}

static const hank_layer eager_layer = {.read = eager_read, .write = eager_write};

PAIR(upgrade, of_a_live_stream_takes_what_was_read_too_far)
{
    upgrade u = {0};
    eager e = {0};
    char line[16];
    hank_tls_options server = {.certificate = files.good}, client = {.ca_file = files.ca};
    MUST(hank_tls_new(&server, &p->server.tls) == 0);
    MUST(hank_tls_new(&client, &p->client.tls) == 0);
    MUST(hank_stream_pair(&e.under, &u.under) == 0);
    u.tls = p->server.tls;
    hank_task t = hank_spawn(serve_upgrade, &u);
    hank_stream *over, *s;
    MUST(hank_layer_open(&eager_layer, &e, e.under, &over) == 0);
    MUST(hank_tls_client(p->client.tls, over, "localhost", &s) == 0);
    MUST(hank_write(s, "secret\n", 7) == 0);
    MUST(hank_read_line(s, line, sizeof line) == 7);
    MUST(hank_read(s, line, 1) == 0);
    hank_close(s);
    MUST(hank_await(t) == 0);
    return 0;
}
