/* SPDX-License-Identifier: MIT */
/* openssl_test.c - the openssl program at the other end: its server, through somebody who cuts the
 * handshake off at every byte, and its client, which upgrades, takes sessions up again, asks for
 * names, and is cut off and garbled in its turn. */
#include "tls/tls_support.h"

#include <hank/lines.h>
#include <hank/process.h>

#include <stdlib.h>
#include <string.h>

#define OPENSSL_TEST(name)                                                                         \
    static int name##_app(void *arg);                                                              \
    Test(openssl, name, .init = make_files, .fini = remove_files, .timeout = 170)                  \
    {                                                                                              \
        if (system("openssl version >/dev/null 2>&1") != 0)                                        \
            cr_skip_test("there is no openssl program");                                           \
        with_workers(2, name##_app, NULL);                                                         \
    }                                                                                              \
    static int name##_app(void *arg)

/* --- its server ------------------------------------------------------------------------------ */

/* One that gives each line back turned round. Its port, as "tcp://127.0.0.1:port". */
static int start_server(const char *version, char ret_name[64], hank_process **ret)
{
    const char *const arguments[] = {"openssl",  "s_server", "-accept",  "127.0.0.1:0",
                                     "-rev",     "-cert",    files.good, "-key",
                                     files.good, version,    NULL};
    hank_process_options o = {
        .in = HANK_STDIO_NULL, .out = HANK_STDIO_PIPE, .err = HANK_STDIO_NULL};
    char line[128];
    MUST(hank_process_spawn(arguments, &o, ret) == 0);
    hank_stream *out = hank_process_take(*ret, 1);
    do
        MUST(hank_read_line(out, line, sizeof line) > 0);
    while (strncmp(line, "ACCEPT ", 7) != 0);
    line[strcspn(line, "\r\n")] = '\0';
    (void)snprintf(ret_name, 64, "tcp://%.50s", line + 7);
    hank_close(out);
    return 0;
}

/* Between a client and the server: `left` bytes of what that sends go through. */
typedef struct middleman {
    hank_stream *near, *far;
    size_t left;
} middleman;

static int relay_there(void *arg)
{
    middleman *m = arg;
    char buf[4096];
    ssize_t n;
    while ((n = hank_read(m->near, buf, sizeof buf)) > 0 && hank_write(m->far, buf, (size_t)n) == 0)
        continue;
    return 0;
}

static int relay_back(void *arg)
{
    middleman *m = arg;
    char buf[4096];
    ssize_t n;
    while (m->left > 0) {
        n = hank_read(m->far, buf, m->left < sizeof buf ? m->left : sizeof buf);
        if (n <= 0 || hank_write(m->near, buf, (size_t)n) < 0)
            return 0;
        m->left -= (size_t)n;
    }
    return hank_write_end(m->near);
}

static void stop(hank_task t)
{
    (void)hank_cancel(t);
    (void)hank_await(t); /* what it says is of no interest */
}

/* Whether hands were shaken before the cut. The end is never taken for one of the server's. */
static int shake_until(hank_tls *tls, const char *name, size_t cut, bool *ret_shaken)
{
    middleman m = {.left = cut};
    hank_stream *under, *s;
    char byte;
    MUST(hank_stream_pair(&under, &m.near) == 0);
    MUST(hank_connect(name, &m.far) == 0);
    hank_task there = hank_spawn(relay_there, &m), back = hank_spawn(relay_back, &m);
    int rc = hank_tls_client(tls, under, "localhost", &s);
    *ret_shaken = rc == 0;
    stop(back);
    if (rc == 0) {
        (void)hank_write_end(m.near); /* signatures differ in size: the cut may not have come */
        rc = (int)hank_read(s, &byte, 1);
        hank_close(s);
    }
    stop(there);
    hank_close(m.near);
    hank_close(m.far);
    MUST(rc == HANK_TLS_TRUNCATED);
    return 0;
}

static int cut_everywhere(const char *version)
{
    hank_process *server;
    hank_tls *tls;
    char name[64];
    bool shaken = false;
    size_t cut = 0;
    MUST(hank_tls_new(&(hank_tls_options){.ca_file = files.ca}, &tls) == 0);
    MUST(start_server(version, name, &server) == 0);
    for (; !shaken; cut++)
        MUST(shake_until(tls, name, cut, &shaken) == 0);
    cr_log_info("%s: %zu bytes", version, cut - 1);
    CHECK(cut > 500); /* with a certificate among them */
    hank_process_close(server);
    hank_tls_free(tls);
    return 0;
}

OPENSSL_TEST(cut_off_at_any_byte_of_a_handshake_is_no_server)
{
    (void)arg;
    return cut_everywhere("-tls1_3");
}

OPENSSL_TEST(cut_off_at_any_byte_of_an_older_handshake_is_no_server)
{
    (void)arg;
    return cut_everywhere("-tls1_2");
}

/* A question and an answer, which in TLS 1.3 comes behind the server's tickets. */
static int ask_once(hank_tls *tls, const char *name, bool *ret_resumed)
{
    hank_stream *under, *s;
    hank_tls_info info;
    char line[16];
    MUST(hank_connect(name, &under) == 0);
    MUST(hank_tls_client(tls, under, "localhost", &s) == 0);
    MUST(hank_write(s, "abc\n", 4) == 0);
    MUST(hank_read_line(s, line, sizeof line) == 4 && strcmp(line, "cba\n") == 0);
    MUST(hank_tls_get_info(s, &info) == 0 && info.verified);
    *ret_resumed = info.resumed;
    hank_close(s);
    return 0;
}

OPENSSL_TEST(servers_session_is_taken_up_again)
{
    static const char *const versions[] = {"-tls1_3", "-tls1_2"};
    hank_process *server;
    hank_tls *tls;
    char name[64];
    bool resumed;
    (void)arg;
    for (int i = 0; i < 2; i++) {
        MUST(hank_tls_new(&(hank_tls_options){.ca_file = files.ca}, &tls) == 0);
        MUST(start_server(versions[i], name, &server) == 0);
        MUST(ask_once(tls, name, &resumed) == 0 && !resumed);
        MUST(ask_once(tls, name, &resumed) == 0 && resumed);
        hank_process_close(server);
        hank_tls_free(tls);
    }
    return 0;
}

/* --- its client ------------------------------------------------------------------------------ */

typedef struct site {
    hank_tls *tls;
    hank_listener *l;
    char port[64];
} site;

/* Of several names. */
static int open_site(site *w)
{
    char name[64];
    const hank_tls_identity others[] = {{files.other, NULL}, {files.wild, NULL}, {NULL, NULL}};
    hank_tls_options o = {
        .certificate = files.good, .others = others, .refuse_unknown_names = true};
    MUST(hank_tls_new(&o, &w->tls) == 0);
    MUST(hank_listen("tcp://127.0.0.1:0", &w->l) == 0);
    MUST(hank_listener_name(w->l, name, sizeof name) == 0);
    (void)snprintf(w->port, sizeof w->port, "%s", name + strlen("tcp://"));
    return 0;
}

static void close_site(site *w)
{
    hank_listener_close(w->l);
    hank_tls_free(w->tls);
}

/* The client with two more options and their values, NULL: none. It ends when the server does. */
static int start_client(const site *w, const char *const more[4], hank_process **ret)
{
    const char *arguments[16] = {"openssl", "s_client", "-connect", w->port,
                                 "-CAfile", files.ca,   "-ign_eof", "-verify_return_error"};
    for (int i = 0; i < 4; i++)
        arguments[8 + i] = more[i];
    hank_process_options o = {
        .in = HANK_STDIO_NULL, .out = HANK_STDIO_PIPE, .err = HANK_STDIO_NULL};
    return hank_process_spawn(arguments, &o, ret);
}

/* What it has seen must have `wanted` in it, and it must be content. */
static int end_client(hank_process *p, const char *wanted)
{
    hank_process_talk talk = {0};
    MUST(hank_process_communicate(p, &talk) == 0);
    CHECK(talk.status == 0);
    MUST(talk.out && strstr(talk.out, wanted));
    hank_process_talk_done(&talk);
    hank_process_close(p);
    return 0;
}

static int say(hank_stream *s, const char *text)
{
    return hank_write(s, text, strlen(text));
}

static int expect(hank_stream *s, const char *start)
{
    char line[128];
    MUST(hank_read_line(s, line, sizeof line) > 0);
    MUST(strncmp(line, start, strlen(start)) == 0);
    return 0;
}

OPENSSL_TEST(client_upgrades_a_mail_connection)
{
    static const char *const more[4] = {"-starttls", "smtp"};
    site w;
    hank_process *p;
    hank_stream *s;
    (void)arg;
    MUST(open_site(&w) == 0);
    MUST(start_client(&w, more, &p) == 0);
    MUST(hank_accept(w.l, &s) == 0);
    MUST(say(s, "220 hank\r\n") == 0 && expect(s, "EHLO") == 0);
    MUST(say(s, "250-hank\r\n250 STARTTLS\r\n") == 0 && expect(s, "STARTTLS") == 0);
    MUST(say(s, "220 go on\r\n") == 0);
    MUST(hank_tls_server(w.tls, s, &s) == 0);
    MUST(say(s, "in secret\r\n") == 0);
    hank_close(s);
    MUST(end_client(p, "in secret") == 0);
    close_site(&w);
    return 0;
}

/* A connection of the client with those options. Whether an earlier session was taken up. */
static int serve_once(site *w, const char *const more[4], bool *ret_resumed)
{
    hank_process *p;
    hank_stream *s;
    hank_tls_info info;
    MUST(start_client(w, more, &p) == 0);
    MUST(hank_accept(w->l, &s) == 0);
    MUST(hank_tls_server(w->tls, s, &s) == 0);
    MUST(hank_tls_get_info(s, &info) == 0);
    *ret_resumed = info.resumed;
    MUST(say(s, "well met\n") == 0);
    hank_close(s);
    return end_client(p, info.resumed ? "Reused, TLSv1" : "New, TLSv1");
}

OPENSSL_TEST(client_takes_a_session_up_again)
{
    static const char *const versions[] = {"-tls1_3", "-tls1_2"};
    char path[128];
    site w;
    bool resumed;
    (void)arg;
    MUST(open_site(&w) == 0);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/session%d", files.directory, i);
        const char *const first[4] = {versions[i], "-sess_out", path};
        const char *const then[4] = {versions[i], "-sess_in", path};
        MUST(serve_once(&w, first, &resumed) == 0 && !resumed);
        MUST(serve_once(&w, then, &resumed) == 0 && resumed);
    }
    close_site(&w);
    return 0;
}

/* A client that the server refuses so; it notices. */
static int refuse(const char *const more[4], int wanted)
{
    site w;
    hank_process *p;
    hank_stream *s;
    int status;
    MUST(open_site(&w) == 0);
    MUST(start_client(&w, more, &p) == 0);
    MUST(hank_accept(w.l, &s) == 0);
    MUST(hank_tls_server(w.tls, s, &s) == wanted);
    MUST(hank_process_wait(p, &status) == 0 && status > 0);
    hank_process_close(p);
    close_site(&w);
    return 0;
}

OPENSSL_TEST(client_without_a_cipher_of_ours_is_refused)
{
    static const char *const more[4] = {"-tls1_2", "-cipher", "AES128-SHA"}; /* for keys of RSA */
    (void)arg;
    return refuse(more, HANK_TLS_NOTHING_SHARED);
}

OPENSSL_TEST(client_that_asks_for_nobodys_name_is_refused)
{
    static const char *const more[4] = {"-servername", "nobody.test"};
    (void)arg;
    return refuse(more, HANK_TLS_WRONG_HOST);
}

OPENSSL_TEST(client_sees_the_certificate_of_the_name_it_asks_for)
{
    static const char *const names[][2] = {{"localhost", "id-ecPublicKey"},
                                           {"other.test", "id-ecPublicKey"},
                                           {"a.wild.test", "ED25519"}};
    site w;
    (void)arg;
    MUST(open_site(&w) == 0);
    for (int i = 0; i < 3; i++) {
        const char *const more[4] = {"-servername", names[i][0], "-verify_hostname", names[i][0]};
        hank_process *p;
        hank_stream *s;
        MUST(start_client(&w, more, &p) == 0);
        MUST(hank_accept(w.l, &s) == 0);
        MUST(hank_tls_server(w.tls, s, &s) == 0);
        hank_close(s);
        MUST(end_client(p, names[i][1]) == 0);
    }
    close_site(&w);
    return 0;
}

/* --- its client, cut off and garbled ---------------------------------------------------------- */

enum { GREETING_MAX = 2048, RECORD_HEAD = 5 };

/* What it says first, whatever it is answered. */
static int record_greeting(const site *w, const char *const more[4],
                           unsigned char ret_bytes[GREETING_MAX], size_t *ret_n)
{
    hank_process *p;
    hank_stream *s;
    MUST(start_client(w, more, &p) == 0);
    MUST(hank_accept(w->l, &s) == 0);
    MUST(hank_read_exact(s, ret_bytes, RECORD_HEAD) == 0);
    size_t n = (size_t)ret_bytes[3] << 8 | ret_bytes[4];
    MUST(RECORD_HEAD + n <= GREETING_MAX);
    MUST(hank_read_exact(s, ret_bytes + RECORD_HEAD, n) == 0);
    *ret_n = RECORD_HEAD + n;
    hank_close(s);
    hank_process_close(p);
    return 0;
}

/* What the server says to a client that says this, and then ends. */
static int greet(hank_tls *tls, const unsigned char *bytes, size_t n)
{
    hank_stream *under, *client, *s;
    MUST(hank_stream_pair(&under, &client) == 0);
    MUST(hank_write(client, bytes, n) == 0 && hank_write_end(client) == 0);
    int rc = hank_tls_server(tls, under, &s);
    MUST(rc != 0);
    hank_close(client);
    return rc;
}

static bool is_of_tls(int rc)
{
    return rc <= HANK_TLS_EXPIRED && rc >= HANK_TLS_REVOCATION_UNKNOWN;
}

/* A client whose bytes go through as far as that. Whether hands were shaken before. */
static int serve_until(const site *w, const char *const more[4], size_t cut, bool *ret_shaken)
{
    middleman m = {.left = cut};
    hank_process *p;
    hank_stream *under, *s;
    char byte;
    MUST(start_client(w, more, &p) == 0);
    MUST(hank_accept(w->l, &m.far) == 0);
    MUST(hank_stream_pair(&under, &m.near) == 0);
    hank_task there = hank_spawn(relay_there, &m), back = hank_spawn(relay_back, &m);
    int rc = hank_tls_server(w->tls, under, &s);
    *ret_shaken = rc == 0;
    stop(back);
    if (rc == 0) {
        (void)hank_write_end(m.near); /* as above */
        rc = (int)hank_read(s, &byte, 1);
        hank_close(s);
    }
    stop(there);
    hank_close(m.near);
    hank_close(m.far);
    hank_process_close(p);
    MUST(rc == HANK_TLS_TRUNCATED);
    return 0;
}

/* What it says first is the same for any server: those are its bytes without it. */
static int cut_client_everywhere(const char *version)
{
    const char *const more[4] = {version, "-servername", "other.test"};
    unsigned char greeting[GREETING_MAX];
    size_t n = 0, cut = 0;
    bool shaken = false;
    site w;
    MUST(open_site(&w) == 0);
    MUST(record_greeting(&w, more, greeting, &n) == 0);
    for (; cut < n; cut++)
        MUST(greet(w.tls, greeting, cut) == HANK_TLS_TRUNCATED);
    for (; !shaken; cut++)
        MUST(serve_until(&w, more, cut, &shaken) == 0);
    cr_log_info("%s: %zu and %zu bytes", version, n, cut - 1 - n);
    CHECK(cut > n + 50); /* with what it says of the server's answer */
    close_site(&w);
    return 0;
}

OPENSSL_TEST(client_that_is_cut_off_at_any_byte_of_a_handshake_is_none)
{
    (void)arg;
    return cut_client_everywhere("-tls1_3");
}

OPENSSL_TEST(client_that_is_cut_off_at_any_byte_of_an_older_handshake_is_none)
{
    (void)arg;
    return cut_client_everywhere("-tls1_2");
}

OPENSSL_TEST(client_with_any_byte_of_its_greeting_garbled_is_none)
{
    static const char *const more[4] = {"-servername", "other.test"};
    static const unsigned char garbles[] = {0xff, 0x80, 0x01};
    unsigned char greeting[GREETING_MAX];
    size_t n = 0;
    site w;
    (void)arg;
    MUST(open_site(&w) == 0);
    MUST(record_greeting(&w, more, greeting, &n) == 0);
    for (size_t i = 0; i < 3 * n; i++) {
        greeting[i / 3] ^= garbles[i % 3];
        MUST(is_of_tls(greet(w.tls, greeting, n)));
        greeting[i / 3] ^= garbles[i % 3];
    }
    close_site(&w);
    return 0;
}
