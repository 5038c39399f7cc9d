/* SPDX-License-Identifier: MIT */
/* listen_test.c - "tls://" to listen and to connect, and what can be asked about the result. */
#include "tls/tls_support.h"

#include <hank/layer.h>
#include <hank/server.h>

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
        MUST(hank_tls_get_peer_certificate(accepted[i], NULL, 0) == -EAGAIN);
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

static int run_server(void *arg)
{
    return hank_server_run(arg, echo, NULL);
}

static int serves(void *arg)
{
    hank_server *v;
    hank_server_options options = {.idle_timeout = HANK_SEC(30), .header_timeout = HANK_SEC(30)};
    char name[64];
    hank_task t[10];
    (void)arg;
    MUST(hank_server_open("tls://127.0.0.1:0", &options, &v) == 0);
    MUST(hank_server_name(v, name, sizeof name) == 0);
    MUST(strncmp(name, "tls://", 6) == 0);
    caller c = {NULL, name};
    hank_task server = hank_spawn(run_server, v);
    for (int i = 0; i < 10; i++)
        t[i] = hank_spawn(call_once, &c);
    MUST(hank_gather_n(t, 10, NULL) == 0);
    MUST(hank_server_stop(v, HANK_SEC(10)) == 0);
    MUST(hank_server_wait_closed(v) == 0);
    (void)hank_await(server);
    hank_server_free(v);
    return 0;
}

/* At each address of the name, as over TCP. */
static int serves_a_name(void *arg)
{
    hank_server *v, *without;
    hank_listener *l;
    char name[64], where[512];
    unsigned n = 0;
    (void)arg;
    MUST(hank_server_open("tcp://localhost:0", NULL, &without) == 0);
    MUST(hank_server_open("tls://localhost:0", NULL, &v) == 0);
    for (; (l = hank_server_listener(v, n)) != NULL; n++) {
        MUST(hank_server_listener(without, n) != NULL);
        MUST(hank_listener_name(l, name, sizeof name) == 0 && strncmp(name, "tls://", 6) == 0);
    }
    MUST(n >= 1 && hank_server_listener(without, n) == NULL);
    hank_server_free(without);
    hank_server_free(v);
    MUST(hank_server_open("tls://localhost", NULL, &v) == -EINVAL);
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)snprintf(where, sizeof where, "tls://%s%s%s%s%s%s:0", name, name, name, name, name, name);
    MUST(hank_server_open(where, NULL, &v) == -EINVAL); /* the host is too long for any */
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

static int refuse_to_connect(const char *where, const hank_connect_options *options,
                             hank_stream **ret)
{
    (void)where, (void)options, (void)ret;
    return -EHOSTDOWN;
}

static int refuse_to_listen(const char *where, const hank_listen_options *options,
                            hank_listener **ret)
{
    (void)where, (void)options, (void)ret;
    return -EHOSTDOWN;
}

static int enable_too_late(void *arg)
{
    static const hank_scheme first = {"tls", refuse_to_connect, refuse_to_listen, false, {0}};
    hank_tls *tls;
    hank_stream *s;
    (void)arg;
    MUST(hank_scheme_add(&first) == 0);
    MUST(hank_tls_new(&(hank_tls_options){.ca_file = files.ca}, &tls) == 0);
    for (int i = 0; i < 2; i++)
        MUST(hank_tls_enable(tls) == -EEXIST);
    MUST(hank_connect("tls://127.0.0.1:1", &s) == -EHOSTDOWN);
    hank_tls_free(tls);
    return 0;
}

Test(where, of_another_library_stays_its_own, .init = make_files, .fini = remove_files)
{
    with_workers(2, enable_too_late, NULL);
}

Test(where, knows_tls_once_it_is_enabled, .init = make_files, .fini = remove_files)
{
    with_workers(2, enable_everywhere, NULL);
    with_each_size(uses_scheme, NULL);
    with_each_size(serves, NULL);
    with_each_size(serves_a_name, NULL);
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
