/* SPDX-License-Identifier: MIT */
/* handshake_test.c - what two ends agree on, ends of other times, and ways not to begin. */
#include "tls/tls.h"

#include "tls/tls_support.h"

#include <pthread.h>
#include <sys/socket.h>

/* --- what is agreed on ------------------------------------------------------------------------ */

CONNECTED(agreement, tells_the_server_whom_the_client_asked_for)
{
    hank_tls_info info;
    MUST(hank_tls_get_info(p->server.stream, &info) == 0);
    MUST(strcmp(info.server_name, "localhost") == 0);
    return 0;
}

static const char *const h2_first[] = {"h2", "http/1.1", NULL};
static const char *const h1_first[] = {"http/1.1", "h2", NULL};
static const char *const ftp_only[] = {"ftp", NULL};

PAIR(agreement, on_a_protocol_is_the_servers_choice)
{
    hank_tls_info client, server;
    p->client.options.alpn = h1_first;
    p->server.options.alpn = h2_first;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_tls_get_info(p->client.stream, &client) == 0);
    MUST(hank_tls_get_info(p->server.stream, &server) == 0);
    MUST(strcmp(client.alpn, "h2") == 0);
    MUST(strcmp(server.alpn, "h2") == 0);
    return 0;
}

PAIR(agreement, on_a_protocol_that_is_impossible_ends_the_connection)
{
    p->client.options.alpn = ftp_only;
    p->server.options.alpn = h2_first;
    MUST(tls_pair_open(p) == 0);
    MUST(p->server.result == HANK_TLS_NO_PROTOCOL);
    MUST(p->client.result == HANK_TLS_NO_PROTOCOL);
    return 0;
}

PAIR(agreement, on_no_protocol_at_all_is_one_too)
{
    hank_tls_info info;
    p->server.options.alpn = h2_first;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_tls_get_info(p->client.stream, &info) == 0);
    MUST(info.alpn[0] == '\0');
    return 0;
}

PAIR(agreement, of_1_3_only_is_1_3)
{
    hank_tls_info info;
    p->client.options.min_version = HANK_TLS_1_3;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0);
    MUST(hank_tls_get_info(p->client.stream, &info) == 0);
    MUST(strcmp(info.version, "TLSv1.3") == 0);
    return 0;
}

static int say_hello(tls_pair *p)
{
    char c;
    MUST(hank_write(p->server.stream, "x", 1) == 0);
    MUST(hank_read(p->client.stream, &c, 1) == 1); /* sessions come before the first data */
    MUST(hank_write(p->client.stream, "x", 1) == 0);
    MUST(hank_read(p->server.stream, &c, 1) == 1);
    tls_end_close(&p->client);
    tls_end_close(&p->server);
    return 0;
}

PAIR(session, is_taken_up_again_with_the_same_server)
{
    hank_tls_info info;
    for (int i = 0; i < 4; i++) {
        MUST(tls_pair_open(p) == 0);
        MUST(p->client.result == 0 && p->server.result == 0);
        MUST(hank_tls_get_info(p->client.stream, &info) == 0);
        MUST(info.resumed == (i > 0));
        MUST(info.verified);
        MUST(hank_tls_get_info(p->server.stream, &info) == 0);
        MUST(info.resumed == (i > 0));
        MUST(say_hello(p) == 0);
    }
    return 0;
}

PAIR(session, is_not_taken_up_with_another_server)
{
    hank_tls_info info;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0);
    MUST(say_hello(p) == 0);
    p->client.name = "www.example.test";
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0);
    MUST(hank_tls_get_info(p->client.stream, &info) == 0);
    MUST(!info.resumed);
    return 0;
}

/* The server's key for tickets changes at the next use. */
static int change_key(tls_pair *p)
{
    MUST(CRYPTO_THREAD_write_lock(p->server.tls->lock) == 1);
    p->server.tls->tickets.changes_at = hank_now();
    MUST(CRYPTO_THREAD_unlock(p->server.tls->lock) == 1);
    return 0;
}

/* Connect and say hello; was a session taken up again? */
static int connect_again(tls_pair *p, bool *ret_resumed)
{
    hank_tls_info info;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_tls_get_info(p->server.stream, &info) == 0);
    *ret_resumed = info.resumed;
    return say_hello(p);
}

/* A client that has no session makes the server use, and so change, its key. */
static int change_key_for_a_stranger(tls_pair *p)
{
    bool resumed = true;
    tls_pair stranger = {.server.tls = p->server.tls};
    MUST(change_key(p) == 0);
    MUST(connect_again(&stranger, &resumed) == 0 && !resumed);
    hank_tls_free(stranger.client.tls);
    return 0;
}

PAIR(ticket, outlives_one_change_of_the_key)
{
    bool resumed;
    MUST(connect_again(p, &resumed) == 0 && !resumed);
    for (int i = 0; i < 3; i++) { /* and is replaced by one of the new key */
        MUST(change_key_for_a_stranger(p) == 0);
        MUST(connect_again(p, &resumed) == 0 && resumed);
    }
    return 0;
}

PAIR(ticket, does_not_outlive_two_changes_of_the_key)
{
    bool resumed;
    MUST(connect_again(p, &resumed) == 0 && !resumed);
    MUST(change_key_for_a_stranger(p) == 0);
    MUST(change_key_for_a_stranger(p) == 0);
    MUST(connect_again(p, &resumed) == 0 && !resumed);
    MUST(connect_again(p, &resumed) == 0 && resumed);
    return 0;
}

PAIR(ticket, of_a_server_that_slept_for_two_periods_is_too_old)
{
    bool resumed;
    p->server.options.ticket_period = HANK_SEC(1000);
    MUST(connect_again(p, &resumed) == 0 && !resumed);
    MUST(change_key(p) == 0);
    p->server.tls->tickets.changes_at -= HANK_SEC(1000);
    MUST(connect_again(p, &resumed) == 0 && !resumed);
    return 0;
}

PAIR(ticket, period_may_not_be_negative)
{
    p->server.options.ticket_period = -1;
    MUST(hank_tls_new(&p->server.options, &p->server.tls) == -EINVAL);
    return 0;
}

/* --- an OpenSSL of other times, on a thread of its own ---------------------------------------- */

typedef struct antique {
    int fd;
    bool server;
    int oldest, newest;
    int result;
} antique;

static void *be_antique(void *arg)
{
    antique *a = arg;
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL_CTX_set_security_level(context, 0);
    (void)SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
    (void)SSL_CTX_set_min_proto_version(context, a->oldest);
    (void)SSL_CTX_set_max_proto_version(context, a->newest);
    (void)SSL_CTX_use_certificate_chain_file(context, files.good);
    (void)SSL_CTX_use_PrivateKey_file(context, files.good, SSL_FILETYPE_PEM);
    SSL *ssl = SSL_new(context);
    (void)SSL_set_fd(ssl, a->fd);
    a->result = a->server ? SSL_accept(ssl) : SSL_connect(ssl);
    char c;
    if (a->result == 1)
        (void)SSL_read(ssl, &c, 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
    (void)close(a->fd);
    return NULL;
}

static int meets_antique(tls_pair *p, antique *a, int *ret_result)
{
    int fds[2];
    pthread_t thread;
    hank_stream *under, *s = NULL;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    a->fd = fds[1];
    p->client.options.ca_file = files.ca;
    p->client.options.certificate = files.good;
    MUST(hank_tls_new(&p->client.options, &p->client.tls) == 0);
    MUST(hank_stream_from_fd(fds[0], 0, &under) == 0);
    MUST(pthread_create(&thread, NULL, be_antique, a) == 0);
    *ret_result = a->server ? hank_tls_client(p->client.tls, under, "localhost", &s)
                            : hank_tls_server(p->client.tls, under, &s);
    if (*ret_result == 0)
        hank_close(s);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}

PAIR(version, that_is_too_old_is_refused_by_a_client)
{
    antique a = {.server = true, .oldest = TLS1_VERSION, .newest = TLS1_1_VERSION};
    int rc;
    MUST(meets_antique(p, &a, &rc) == 0);
    MUST(rc == HANK_TLS_TOO_OLD);
    return 0;
}

PAIR(version, that_is_too_old_is_refused_by_a_server)
{
    antique a = {.oldest = TLS1_VERSION, .newest = TLS1_1_VERSION};
    int rc;
    MUST(meets_antique(p, &a, &rc) == 0);
    MUST(rc == HANK_TLS_TOO_OLD);
    MUST(a.result != 1);
    return 0;
}

PAIR(version, of_1_2_is_good_enough)
{
    antique a = {.server = true, .oldest = TLS1_2_VERSION, .newest = TLS1_2_VERSION};
    int rc;
    MUST(meets_antique(p, &a, &rc) == 0);
    MUST(rc == 0);
    return 0;
}

PAIR(version, of_1_2_is_refused_by_who_wants_1_3)
{
    antique a = {.server = true, .oldest = TLS1_2_VERSION, .newest = TLS1_2_VERSION};
    int rc;
    p->client.options.min_version = HANK_TLS_1_3;
    MUST(meets_antique(p, &a, &rc) == 0);
    MUST(rc == HANK_TLS_TOO_OLD);
    return 0;
}

/* --- ways not to begin ------------------------------------------------------------------------ */

static int half_open(tls_pair *p, hank_stream **ret_other)
{
    p->client.options.ca_file = files.ca;
    MUST(hank_tls_new(&p->client.options, &p->client.tls) == 0);
    MUST(hank_stream_pair(&p->client.under, ret_other) == 0);
    return 0;
}

PAIR(beginning, that_is_no_tls_is_told)
{
    hank_stream *other, *s;
    MUST(half_open(p, &other) == 0);
    MUST(hank_write(other, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 0);
    MUST(hank_tls_client(p->client.tls, p->client.under, "localhost", &s) == HANK_TLS_NOT_TLS);
    hank_close(other);
    return 0;
}

PAIR(beginning, with_a_request_in_plain_text_is_no_tls)
{
    hank_stream *other, *s;
    p->client.options.certificate = files.good;
    MUST(half_open(p, &other) == 0);
    MUST(hank_write(other, "GET / HTTP/1.1\r\nHost: test\r\n\r\n", 30) == 0);
    MUST(hank_tls_server(p->client.tls, p->client.under, &s) == HANK_TLS_NOT_TLS);
    hank_close(other);
    return 0;
}

PAIR(beginning, that_ends_at_once_is_truncated)
{
    hank_stream *other, *s;
    MUST(half_open(p, &other) == 0);
    hank_close(other);
    int rc = hank_tls_client(p->client.tls, p->client.under, "localhost", &s);
    MUST(rc == HANK_TLS_TRUNCATED || rc == -EPIPE || rc == -ECONNRESET);
    return 0;
}

static int read_a_little_and_abort(void *arg)
{
    char buf[50];
    MUST(hank_read_exact(arg, buf, sizeof buf) == 0);
    hank_abort(arg);
    return 0;
}

PAIR(beginning, that_is_reset_in_the_middle_fails_with_the_reset)
{
    hank_listener *l;
    hank_stream *other, *s;
    char name[64];
    p->client.options.ca_file = files.ca;
    MUST(hank_tls_new(&p->client.options, &p->client.tls) == 0);
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    MUST(hank_connect(name, &p->client.under) == 0);
    MUST(hank_accept(l, &other) == 0);
    hank_task t = hank_spawn(read_a_little_and_abort, other);
    int rc = hank_tls_client(p->client.tls, p->client.under, "localhost", &s);
    MUST(rc == -ECONNRESET || rc == -EPIPE);
    MUST(hank_await(t) == 0);
    hank_listener_close(l);
    return 0;
}

PAIR(beginning, of_a_silent_peer_times_out)
{
    hank_stream *other, *s;
    p->client.options.handshake_timeout = HANK_MS(5);
    MUST(half_open(p, &other) == 0);
    MUST(hank_tls_client(p->client.tls, p->client.under, "localhost", &s) == -ETIMEDOUT);
    hank_close(other);
    return 0;
}

typedef struct connecting {
    hank_tls *tls;
    hank_stream *under;
} connecting;

static int connect_in_vain(void *arg)
{
    connecting *c = arg;
    hank_stream *s;
    return hank_tls_client(c->tls, c->under, "localhost", &s);
}

PAIR(beginning, can_be_cancelled)
{
    hank_stream *other;
    char buf[5];
    MUST(half_open(p, &other) == 0);
    connecting c = {p->client.tls, p->client.under};
    hank_task t = hank_spawn(connect_in_vain, &c);
    MUST(hank_read_exact(other, buf, sizeof buf) == 0); /* it has begun */
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    hank_close(other);
    return 0;
}

PAIR(beginning, under_a_timeout_of_nothing_sends_nothing)
{
    hank_stream *other, *s;
    char c;
    MUST(half_open(p, &other) == 0);
    MUST(hank_within(0, hank_tls_client(p->client.tls, p->client.under, "localhost", &s)) ==
         -ETIMEDOUT);
    MUST(hank_read(other, &c, 1) == 0);
    hank_close(other);
    return 0;
}

Test(codes, each_have_words_of_their_own)
{
    for (int a = HANK_TLS_EXPIRED; a >= HANK_TLS_REVOCATION_UNKNOWN; a--)
        for (int b = a - 1; b >= HANK_TLS_REVOCATION_UNKNOWN; b--)
            cr_assert_neq(strcmp(hank_strerror(a), hank_strerror(b)), 0, "%d %d", a, b);
    cr_assert_str_eq(hank_strerror(HANK_TLS_REVOCATION_UNKNOWN - 1), "name lookup failed");
    cr_assert_str_eq(hank_strerror(HANK_TLS_EXPIRED + 1), "name lookup failed");
}

/* --- many at once ---------------------------------------------------------------------------- */

enum { SESSIONS = 64, TURNS = 20 };

/* Both ends of one connection, by the one context; what goes over it is its own. */
static int hold_session(void *arg)
{
    tls_pair mine = {.client = {.tls = arg, .name = "localhost"}, .server = {.tls = arg}};
    MUST(hank_stream_pair(&mine.client.under, &mine.server.under) == 0);
    MUST(tls_pair_shake(&mine) == 0);
    MUST(mine.client.result == 0 && mine.server.result == 0);
    uintptr_t own = (uintptr_t)&mine, got;
    for (int i = 0; i < TURNS; i++, own++) {
        MUST(hank_write(mine.client.stream, &own, sizeof own) == 0);
        MUST(hank_read_exact(mine.server.stream, &got, sizeof got) == 0 && got == own);
        MUST(hank_write(mine.server.stream, &got, sizeof got) == 0);
        (void)hank_yield();
        MUST(hank_read_exact(mine.client.stream, &got, sizeof got) == 0 && got == own);
    }
    tls_end_close(&mine.client);
    tls_end_close(&mine.server);
    return 0;
}

PAIR(handshake, of_many_tasks_at_once_may_share_one_context)
{
    hank_task tasks[SESSIONS];
    tls_pair_default(p);
    p->client.options.certificate = files.good; /* it is client and server */
    MUST(hank_tls_new(&p->client.options, &p->client.tls) == 0);
    for (int i = 0; i < SESSIONS; i++)
        tasks[i] = hank_spawn(hold_session, p->client.tls);
    return hank_gather_n(tasks, SESSIONS, NULL);
}
