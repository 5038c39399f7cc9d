/* SPDX-License-Identifier: MIT */
/* stream_test.c - a TLS stream is a stream like any other: the cases of tests/io/stream_test.c over
 * TLS, what is different about its end, upgrades, listeners, and memory that runs out. */
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

CONNECTED(end, without_farewell_is_a_truncation_and_no_end)
{
    char buf[16];
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
    MUST(hank_write(p->client.stream, "half a li", 9) == 0);
    hank_abort(p->client.stream);
    p->client.stream = NULL;
    MUST(hank_read_line(p->server.stream, line, sizeof line) == HANK_TLS_TRUNCATED);
    return 0;
}

static int read_once(void *arg)
{
    char buf[16];
    return (int)hank_read(arg, buf, sizeof buf);
}

static int note_and_read(void *arg)
{
    void **both = arg;
    set(both[1]);
    return read_once(both[0]);
}

CONNECTED(end, by_close_wakes_a_reader)
{
    char buf[4];
    flag ready = 0;
    void *both[] = {p->server.stream, &ready};
    hank_task reader = hank_spawn(note_and_read, both);
    YIELD_UNTIL(is_set(&ready) && hank_read(p->server.stream, buf, 1) == -EBUSY);
    hank_close(p->server.stream);
    p->server.stream = NULL;
    MUST(hank_await(reader) == -EBADF);
    return 0;
}

static int write_until_it_fails(void *arg)
{
    static const char block[100000];
    void **both = arg;
    int rc;
    set(both[1]);
    while ((rc = hank_write(both[0], block, sizeof block)) == 0)
        ;
    return rc;
}

CONNECTED(end, by_close_wakes_a_writer)
{
    flag ready = 0;
    void *both[] = {p->server.stream, &ready};
    hank_task writer = hank_spawn(write_until_it_fails, both);
    YIELD_UNTIL(is_set(&ready) && hank_write(p->server.stream, "", 0) == -EBUSY);
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
    flag ready = 0;
    void *both[] = {p->client.stream, &ready};
    hank_abort(p->server.stream);
    p->server.stream = NULL;
    int rc = write_until_it_fails(both);
    MUST(rc == -EPIPE || rc == -ECONNRESET);
    return 0;
}

/* --- who is in, and stops --------------------------------------------------------------------- */

CONNECTED(second_reader, is_refused_and_the_first_goes_on)
{
    char buf[16];
    flag ready = 0;
    void *both[] = {p->server.stream, &ready};
    hank_task reader = hank_spawn(note_and_read, both);
    YIELD_UNTIL(is_set(&ready) && hank_read(p->server.stream, buf, 1) == -EBUSY);
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
    flag ready = 0;
    void *both[] = {p->client.stream, &ready};
    hank_task writer = hank_spawn(write_until_it_fails, both);
    YIELD_UNTIL(is_set(&ready) && hank_write(p->client.stream, "", 0) == -EBUSY);
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

/* --- where and listeners ---------------------------------------------------------------------- */

static int echo(hank_stream *s, void *arg)
{
    char buf[256];
    (void)arg;
    for (;;) {
        ssize_t n = hank_read(s, buf, sizeof buf);
        if (n <= 0)
            return (int)n;
        int rc = hank_write(s, buf, (size_t)n);
        if (rc < 0)
            return rc;
    }
}

static int serve_echo(void *arg)
{
    return hank_serve(arg, echo, NULL);
}

typedef struct caller {
    hank_tls *tls; /* NULL: "tls://" has been enabled */
    const char *where;
} caller;

static int call_once(void *arg)
{
    caller *c = arg;
    hank_stream *s;
    char buf[4];
    MUST((c->tls ? hank_tls_connect(c->tls, c->where, &s) : hank_connect(c->where, &s)) == 0);
    MUST(hank_write(s, "ping", 4) == 0);
    MUST(hank_read_exact(s, buf, 4) == 0);
    MUST(memcmp(buf, "ping", 4) == 0);
    hank_close(s);
    return 0;
}

static int make_both(tls_pair *p)
{
    hank_tls_options server = {.certificate = files.good}, client = {.ca_file = files.ca};
    MUST(hank_tls_new(&server, &p->server.tls) == 0);
    MUST(hank_tls_new(&client, &p->client.tls) == 0);
    return 0;
}

PAIR(listener, serves_many_clients)
{
    hank_listener *l;
    char name[64];
    hank_task t[30];
    MUST(make_both(p) == 0);
    MUST(hank_tls_listen(p->server.tls, "tls://127.0.0.1:0", NULL, &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    MUST(strncmp(name, "tls://127.0.0.1:", 16) == 0);
    caller c = {p->client.tls, name};
    hank_task server = hank_spawn(serve_echo, l);
    for (int i = 0; i < 30; i++)
        t[i] = hank_spawn(call_once, &c);
    MUST(hank_gather_n(t, 30, NULL) == 0);
    MUST(hank_cancel(server) == 0);
    MUST(hank_await(server) == -ECANCELED);
    hank_listener_close(l);
    return 0;
}

PAIR(listener, does_not_wait_for_a_handshake)
{
    hank_listener *l;
    hank_stream *silent[3], *accepted[3];
    hank_tls_options options = {.certificate = files.good, .handshake_timeout = HANK_MS(5)};
    char name[64], c;
    hank_tls_info info;
    MUST(hank_tls_new(&options, &p->server.tls) == 0);
    MUST(hank_tls_listen(p->server.tls, "tls://127.0.0.1:0", NULL, &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    memcpy(name, "tcp", 3);
    for (int i = 0; i < 3; i++) {
        MUST(hank_connect(name, &silent[i]) == 0);
        MUST(hank_accept(l, &accepted[i]) == 0);
        MUST(hank_tls_get_info(accepted[i], &info) == -EAGAIN);
    }
    MUST(hank_read(accepted[0], &c, 1) == -ETIMEDOUT);
    MUST(hank_read(accepted[0], &c, 1) == -ETIMEDOUT);
    MUST(hank_write(accepted[1], &c, 1) == -ETIMEDOUT);
    MUST(hank_tls_handshake(accepted[2]) == -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        hank_close(silent[i]);
        hank_close(accepted[i]);
    }
    hank_listener_close(l);
    return 0;
}

static int read_of(void *arg)
{
    char c;
    return (int)hank_read(arg, &c, 1);
}

static int write_of(void *arg)
{
    return hank_write(arg, "x", 1);
}

PAIR(listener, shakes_hands_once_for_a_reader_and_a_writer)
{
    hank_listener *l;
    hank_stream *c, *s;
    char name[64], x;
    MUST(make_both(p) == 0);
    MUST(hank_tls_listen(p->server.tls, "tls://127.0.0.1:0", NULL, &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    caller call = {p->client.tls, name};
    (void)call;
    memcpy(name, "tcp", 3);
    MUST(hank_connect(name, &p->client.under) == 0);
    MUST(hank_accept(l, &s) == 0);
    hank_task t[] = {hank_spawn(read_of, s), hank_spawn(write_of, s)};
    MUST(hank_tls_client(p->client.tls, p->client.under, "localhost", &c) == 0);
    MUST(hank_write(c, "y", 1) == 0);
    MUST(hank_gather_n(t, 2, NULL) == 0);
    MUST(hank_read(c, &x, 1) == 1);
    hank_close(c);
    hank_close(s);
    hank_listener_close(l);
    return 0;
}

static hank_tls *for_everybody;

static int uses_scheme(void *arg)
{
    hank_listener *l;
    char name[64];
    (void)arg;
    MUST(hank_listen("tls://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    caller c = {NULL, name};
    hank_task server = hank_spawn(serve_echo, l);
    MUST(hank_await(hank_spawn(call_once, &c)) == 0);
    MUST(hank_cancel(server) == 0);
    MUST(hank_await(server) == -ECANCELED);
    hank_listener_close(l);
    return 0;
}

static int enable_everywhere(void *arg)
{
    hank_stream *s;
    hank_listener *l;
    hank_tls_options both = {.certificate = files.good, .ca_file = files.ca};
    (void)arg;
    MUST(hank_connect("tls://127.0.0.1:1", &s) == -EPROTONOSUPPORT);
    MUST(hank_listen("tls://127.0.0.1:0", &l) == -EPROTONOSUPPORT);
    MUST(hank_tls_enable(NULL) == -EINVAL);
    MUST(hank_tls_new(&both, &for_everybody) == 0);
    MUST(hank_tls_enable(for_everybody) == 0);
    MUST(hank_tls_enable(for_everybody) == -EALREADY);
    hank_tls_free(for_everybody);
    return 0;
}

Test(where, knows_tls_once_it_is_enabled, .init = make_files, .fini = remove_files)
{
    with_workers(2, enable_everywhere, NULL);
    with_each_size(uses_scheme, NULL);
}

PAIR(where, that_is_malformed_is_refused)
{
    static const char *const bad[] = {"tls://",       "tls://host", "tls://:443",
                                      "tls://host:0", "tls://[::1", "tls://host:66000",
                                      "nonsense",     "tls:/x:1"};
    hank_stream *s;
    hank_listener *l;
    MUST(make_both(p) == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        MUST(hank_tls_connect(p->client.tls, bad[i], &s) == -EINVAL);
    MUST(hank_tls_connect(p->client.tls, "tcp://127.0.0.1:1", &s) == -EPROTONOSUPPORT);
    MUST(hank_tls_connect(p->client.tls, NULL, &s) == -EINVAL);
    MUST(hank_tls_connect(NULL, "tls://127.0.0.1:1", &s) == -EINVAL);
    MUST(hank_tls_listen(p->server.tls, "tls://127.0.0.1", NULL, &l) == -EINVAL);
    MUST(hank_tls_listen(NULL, "tls://127.0.0.1:0", NULL, &l) == -EINVAL);
    return 0;
}

CONNECTED(asking, is_for_tls_alone)
{
    hank_stream *a, *b;
    hank_tls_info info;
    MUST(hank_stream_pair(&a, &b) == 0);
    MUST(hank_tls_get_info(a, &info) == -EINVAL);
    MUST(hank_tls_handshake(a) == -EINVAL);
    MUST(hank_tls_handshake(p->client.stream) == 0); /* it has been done */
    hank_close(a);
    hank_close(b);
    return 0;
}

CONNECTED(asking, about_the_connection_asks_the_stream_below)
{
    char name[64];
    hank_socket_options options = {.receive_buffer = 10000};
    MUST(hank_stream_peer(p->client.stream, name, sizeof name) == 0);
    MUST(strcmp(name, "unix://") == 0);
    MUST(hank_stream_local(p->client.stream, name, sizeof name) == 0);
    MUST(hank_stream_set_options(p->client.stream, &options) == 0);
    return 0;
}

/* --- memory that runs out --------------------------------------------------------------------- */

static HK_ATOMIC(int) until_failure;
static HK_ATOMIC(bool) has_failed;

static bool is_to_fail(void)
{
    bool now = hk_sub_relaxed(&until_failure, 1) == 1;
    if (now)
        hk_store_relaxed(&has_failed, true);
    return now;
}

static void *allocate(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return is_to_fail() ? NULL : malloc(n);
}

static void *reallocate(void *at, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    if (n == 0) {
        free(at);
        return NULL;
    }
    return is_to_fail() ? NULL : realloc(at, n);
}

static void release(void *at, const char *file, int line)
{
    (void)file, (void)line;
    free(at);
}

static int shake_and_talk(tls_pair *p)
{
    char buf[4];
    int rc = tls_pair_open(p);
    if (rc < 0 || p->client.result < 0 || p->server.result < 0)
        return -ENOMEM;
    rc = hank_write(p->client.stream, "ping", 4);
    if (rc == 0)
        rc = (int)hank_within(HANK_SEC(10), hank_read_exact(p->server.stream, buf, 4));
    return rc;
}

/* Everything works or says no; what is left over is AddressSanitizer's to find. */
static int fail_one_by_one(void *arg)
{
    (void)arg;
    hk_store_relaxed(&until_failure, 0);
    MUST(run_pair_body(shake_and_talk) == 0); /* what OpenSSL makes once */
    int nth = 1;
    do {
        hk_store_relaxed(&has_failed, false);
        hk_store_relaxed(&until_failure, nth);
        int rc = run_pair_body(shake_and_talk);
        hk_store_relaxed(&until_failure, 0);
        MUST(rc <= 0);
        nth += nth < 200 ? 1 : 7;
    } while (hk_load_relaxed(&has_failed));
    MUST(nth > 100);
    return 0;
}

/* Before OpenSSL allocates anything: the tests run each in a process of its own. */
static void watch_memory(void)
{
    cr_assert_eq(CRYPTO_set_mem_functions(allocate, reallocate, release), 1);
    make_files();
}

Test(memory, that_runs_out_is_an_error_wherever_it_does, .init = watch_memory, .fini = remove_files)
{
    with_workers(1, fail_one_by_one, NULL);
}
