/* SPDX-License-Identifier: MIT */
/* names_test.c - a server of several names: which certificate it shows to whom, and whose sessions
 * are taken up again. */
#include "tls/tls_support.h"

#include "tls/tls.h"

/* For "localhost" and "*.example.test" without more, for "other.test", and for "*.wild.test". */
static void describe_server(tls_pair *p)
{
    static hank_tls_identity others[3];
    others[0] = (hank_tls_identity){.certificate = files.other};
    others[1] = (hank_tls_identity){.certificate = files.wild, .key = files.wild};
    p->server.options.others = others;
}

/* What a client sees who asks for `name`. */
static int ask_for(tls_pair *p, const char *name)
{
    describe_server(p);
    p->client.name = name;
    return tls_pair_open(p);
}

static void part(tls_pair *p)
{
    tls_end_close(&p->client);
    tls_end_close(&p->server);
}

/* The certificate that the server has shown is the one in that file. */
static bool was_shown(tls_pair *p, const char *path)
{
    unsigned char shown[4096], *wanted = NULL;
    FILE *file = fopen(path, "r");
    X509 *x = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    int n = i2d_X509(x, &wanted);
    bool same = hank_tls_get_peer_certificate(p->client.stream, shown, sizeof shown) == n &&
                memcmp(shown, wanted, (size_t)n) == 0;
    OPENSSL_free(wanted);
    X509_free(x);
    if (file)
        (void)fclose(file);
    return same;
}

PAIR(names, have_a_certificate_each)
{
    const struct {
        const char *name, *certificate;
    } each[] = {{"localhost", files.good},
                {"www.example.test", files.good},
                {"other.test", files.other},
                {"OTHER.test", files.other},
                {"any.wild.test", files.wild}};
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        hank_tls_info info;
        MUST(ask_for(p, each[i].name) == 0);
        MUST(p->client.result == 0 && p->server.result == 0);
        MUST(was_shown(p, each[i].certificate));
        MUST(hank_tls_get_info(p->server.stream, &info) == 0);
        MUST(strcmp(info.server_name, each[i].name) == 0);
        part(p);
    }
    return 0;
}

PAIR(names, that_several_are_for_have_the_first)
{
    static hank_tls_identity others[3];
    others[0] = (hank_tls_identity){.certificate = files.other};
    others[1] = (hank_tls_identity){.certificate = files.by_host}; /* for "localhost" as well */
    p->server.options.others = others;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0 && was_shown(p, files.good));
    return 0;
}

static const char *const nobodys[] = {"nobody.test", "a.b.wild.test", "wild.test",
                                      "www.other.test"};

PAIR(names, that_none_is_for_are_shown_the_servers_own)
{
    p->client.options.insecure_no_verification = true;
    for (size_t i = 0; i < sizeof nobodys / sizeof nobodys[0]; i++) {
        MUST(ask_for(p, nobodys[i]) == 0);
        MUST(p->client.result == 0 && was_shown(p, files.good));
        part(p);
    }
    return 0;
}

PAIR(names, that_none_is_for_are_another_host_to_who_verifies)
{
    MUST(ask_for(p, "nobody.test") == 0);
    MUST(p->client.result == HANK_TLS_WRONG_HOST);
    return 0;
}

PAIR(names, that_none_is_for_can_be_refused)
{
    p->server.options.refuse_unknown_names = true;
    p->client.options.insecure_no_verification = true;
    for (size_t i = 0; i < sizeof nobodys / sizeof nobodys[0]; i++) {
        MUST(ask_for(p, nobodys[i]) == 0);
        MUST(p->client.result == HANK_TLS_WRONG_HOST);
        MUST(p->server.result == HANK_TLS_WRONG_HOST);
    }
    MUST(ask_for(p, "other.test") == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    return 0;
}

/* An address is no name to ask for. */
PAIR(names, that_are_not_asked_for_are_the_servers_own)
{
    p->server.options.refuse_unknown_names = true;
    MUST(ask_for(p, "127.0.0.1") == 0);
    MUST(p->client.result == 0 && p->server.result == 0 && was_shown(p, files.good));
    return 0;
}

/* A name with a dot before it, which as a pattern would be all below it. */
PAIR(names, are_no_patterns)
{
    p->client.options.insecure_no_verification = true;
    MUST(ask_for(p, ".wild.test") == 0);
    MUST(p->client.result == 0 && was_shown(p, files.good));
    return 0;
}

/* --- sessions -------------------------------------------------------------------------------- */

/* Connect, and whether an earlier session was taken up; TLS 1.3 has a new one behind that byte. */
static int resumes(tls_pair *p, const char *name, bool *ret_resumed)
{
    hank_tls_info info;
    char byte;
    MUST(ask_for(p, name) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_write(p->server.stream, "x", 1) == 0 && hank_read(p->client.stream, &byte, 1) == 1);
    MUST(hank_tls_get_info(p->client.stream, &info) == 0);
    *ret_resumed = info.resumed;
    MUST(hank_tls_get_info(p->server.stream, &info) == 0);
    MUST(info.resumed == *ret_resumed && strcmp(info.server_name, name) == 0);
    return 0;
}

/* The client believes that its session with one is one with the other. */
static int confuse(tls_pair *p, const char *one, const char *other)
{
    SSL_SESSION *session = hk_tls_take_session(p->client.tls, one);
    MUST(session != NULL);
    MUST(SSL_SESSION_set1_hostname(session, other) == 1);
    MUST(hk_tls_keep_session(p->client.tls, other, session));
    return 0;
}

static int do_not_share_sessions(tls_pair *p, int version)
{
    static const char *const names[] = {"localhost", "other.test", "a.wild.test"};
    const char *const shown[] = {files.good, files.other, files.wild};
    bool resumed;
    describe_server(p);
    tls_pair_default(p);
    MUST(hank_tls_new(&p->client.options, &p->client.tls) == 0);
    MUST(SSL_CTX_set_max_proto_version(p->client.tls->context, version) == 1);
    for (int from = 0; from < 3; from++) {
        for (int to = 0; to < 3; to++) {
            MUST(resumes(p, names[from], &resumed) == 0);
            part(p);
            if (from != to)
                MUST(confuse(p, names[from], names[to]) == 0);
            MUST(resumes(p, names[to], &resumed) == 0);
            MUST(resumed == (from == to) && was_shown(p, shown[to]));
            part(p);
            SSL_SESSION_free(hk_tls_take_session(p->client.tls, names[to]));
            SSL_SESSION_free(hk_tls_take_session(p->client.tls, names[from]));
        }
    }
    return 0;
}

PAIR(sessions, are_taken_up_under_their_own_name_alone)
{
    return do_not_share_sessions(p, TLS1_3_VERSION);
}

PAIR(sessions, of_the_older_version_are_taken_up_under_their_own_name_alone)
{
    return do_not_share_sessions(p, TLS1_2_VERSION);
}

/* --- options --------------------------------------------------------------------------------- */

static int makes(const char *certificate, hank_tls_identity other)
{
    hank_tls_identity others[2] = {other, {0}};
    hank_tls *tls;
    int rc = hank_tls_new(&(hank_tls_options){.certificate = certificate, .others = others}, &tls);
    if (rc == 0)
        hank_tls_free(tls);
    return rc;
}

PAIR(others, that_are_bad_are_refused_each_with_its_code)
{
    static hank_tls_identity crowd[1002];
    hank_tls *tls;
    (void)p;
    MUST(makes(NULL, (hank_tls_identity){.certificate = files.other}) == -EINVAL);
    MUST(makes(files.good, (hank_tls_identity){.certificate = "/nonexistent.pem"}) == -ENOENT);
    MUST(makes(files.good, (hank_tls_identity){files.other, "/nonexistent.pem"}) == -ENOENT);
    MUST(makes(files.good, (hank_tls_identity){files.malformed, NULL}) == HANK_TLS_BAD_FILE);
    MUST(makes(files.good, (hank_tls_identity){files.other, files.good}) == HANK_TLS_KEY_MISMATCH);
    MUST(makes(files.good, (hank_tls_identity){0}) == 0);
    for (int i = 0; i < 1001; i++)
        crowd[i] = (hank_tls_identity){.certificate = files.other};
    hank_tls_options o = {.certificate = files.good, .others = crowd};
    MUST(hank_tls_new(&o, &tls) == -EINVAL);
    return 0;
}
