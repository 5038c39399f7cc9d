/* SPDX-License-Identifier: MIT */
/* certificate_test.c - whom TLS believes and whom not, and options that cannot be. */
#include "tls/tls_support.h"

#include "become.h"

/* --- certificates ---------------------------------------------------------------------------- */

PAIR(certificate, that_is_good_is_believed)
{
    hank_tls_info info;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_tls_get_info(p->client.stream, &info) == 0);
    MUST(info.verified && !info.resumed);
    MUST(strcmp(info.version, "TLSv1.3") == 0);
    MUST(info.cipher[0] != '\0');
    MUST(hank_tls_get_info(p->server.stream, &info) == 0);
    MUST(!info.verified); /* the client has shown none */
    return 0;
}

/* That `s` was shown the first certificate of the file. */
static int shows(hank_stream *s, const char *path)
{
    unsigned char shown[2048], *wanted = NULL;
    FILE *file = fopen(path, "r");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    int size = i2d_X509(certificate, &wanted);
    if (file)
        (void)fclose(file);
    X509_free(certificate);
    MUST(size > 0);
    CHECK(hank_tls_get_peer_certificate(s, NULL, 0) == size);
    CHECK(hank_tls_get_peer_certificate(s, shown, sizeof shown) == size);
    CHECK(memcmp(shown, wanted, (size_t)size) == 0);
    CHECK(hank_tls_get_peer_certificate(s, shown, (size_t)size) == size);
    CHECK(hank_tls_get_peer_certificate(s, shown, (size_t)size - 1) == -ENOSPC);
    OPENSSL_free(wanted);
    return 0;
}

/* Both ends have a certificate, and insist on the other's. */
static int open_with_both_shown(tls_pair *p)
{
    p->server.options.require_certificate = true;
    p->server.options.ca_file = files.ca;
    p->client.options.certificate = files.client;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    return 0;
}

PAIR(certificate, that_was_shown_can_be_had)
{
    char byte;
    MUST(open_with_both_shown(p) == 0);
    MUST(shows(p->client.stream, files.good) == 0);
    MUST(shows(p->server.stream, files.client) == 0);

    hank_tls_info info; /* the next connection takes the session up again */
    MUST(hank_write(p->server.stream, "x", 1) == 0 && hank_read(p->client.stream, &byte, 1) == 1);
    tls_end_close(&p->client);
    tls_end_close(&p->server);
    MUST(tls_pair_open(p) == 0);
    MUST(hank_tls_get_info(p->client.stream, &info) == 0 && info.resumed);
    MUST(shows(p->client.stream, files.good) == 0);
    return shows(p->server.stream, files.client);
}

PAIR(certificate, that_was_not_shown_is_none)
{
    hank_stream *a, *b;
    char der[16];
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    MUST(hank_tls_get_peer_certificate(p->server.stream, der, sizeof der) == 0);
    MUST(hank_stream_pair(&a, &b) == 0);
    MUST(hank_tls_get_peer_certificate(a, der, sizeof der) == -EINVAL);
    hank_close(a);
    hank_close(b);
    return 0;
}

/* The client fails with `wanted`, and the server learns that it was refused. */
static int is_refused(tls_pair *p, const char *certificate, int wanted)
{
    p->server.options.certificate = certificate;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == wanted);
    /* In TLS 1.3 the server may be done before it hears of it. */
    MUST(p->server.result == HANK_TLS_REFUSED || p->server.result == 0);
    char c;
    if (p->server.result == 0)
        MUST(hank_read(p->server.stream, &c, 1) == HANK_TLS_REFUSED);
    return 0;
}

PAIR(certificate, that_has_expired_is_refused)
{
    return is_refused(p, files.expired, HANK_TLS_EXPIRED);
}

PAIR(certificate, that_is_not_valid_yet_is_refused)
{
    return is_refused(p, files.future, HANK_TLS_NOT_YET_VALID);
}

PAIR(certificate, for_another_host_is_refused)
{
    return is_refused(p, files.other, HANK_TLS_WRONG_HOST);
}

PAIR(certificate, that_is_self_signed_is_refused)
{
    return is_refused(p, files.self, HANK_TLS_SELF_SIGNED);
}

PAIR(certificate, of_an_unknown_authority_is_refused)
{
    return is_refused(p, files.stranger, HANK_TLS_UNTRUSTED);
}

static int is_accepted(tls_pair *p, const char *certificate)
{
    p->server.options.certificate = certificate;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    return 0;
}

PAIR(list, is_not_asked_for_unless_it_is_given)
{
    return is_accepted(p, files.revoked);
}

PAIR(list, has_what_was_revoked)
{
    p->client.options.crl_file = files.crl;
    return is_refused(p, files.revoked, HANK_TLS_REVOKED);
}

PAIR(list, does_not_have_what_is_good)
{
    p->client.options.crl_file = files.crl;
    return is_accepted(p, files.good);
}

PAIR(list, of_yesterday_says_nothing)
{
    p->client.options.crl_file = files.old_crl;
    return is_refused(p, files.good, HANK_TLS_REVOCATION_UNKNOWN);
}

PAIR(list, of_tomorrow_says_nothing)
{
    p->client.options.crl_file = files.early_crl;
    return is_refused(p, files.good, HANK_TLS_REVOCATION_UNKNOWN);
}

PAIR(list, that_another_has_signed_says_nothing)
{
    p->client.options.crl_file = files.forged_crl;
    return is_refused(p, files.good, HANK_TLS_REVOCATION_UNKNOWN);
}

PAIR(list, of_each_that_vouches_is_needed)
{
    p->client.options.crl_file = files.crl;
    return is_refused(p, files.beneath, HANK_TLS_REVOCATION_UNKNOWN);
}

PAIR(list, of_each_that_vouches_may_stand_in_one_file)
{
    p->client.options.crl_file = files.whole_crl;
    return is_accepted(p, files.beneath);
}

PAIR(list, that_has_an_authority_has_all_whom_it_vouches_for)
{
    p->client.options.crl_file = files.cut_crl;
    return is_refused(p, files.beneath, HANK_TLS_REVOKED);
}

PAIR(list, has_clients_too)
{
    p->server.options =
        (hank_tls_options){.require_certificate = true, .ca_file = files.ca, .crl_file = files.crl};
    p->client.options.certificate = files.revoked;
    MUST(tls_pair_open(p) == 0);
    MUST(p->server.result == HANK_TLS_REVOKED);
    return 0;
}

/* By a mere host, whose own certificate is good. */
PAIR(certificate, of_one_who_may_not_vouch_is_refused)
{
    return is_refused(p, files.by_host, HANK_TLS_BAD_CERTIFICATE);
}

PAIR(certificate, is_not_trusted_by_the_system)
{
    int rc = hank_tls_new(NULL, &p->client.tls);
    MUST(rc == 0);
    return is_refused(p, files.good, HANK_TLS_UNTRUSTED);
}

PAIR(certificate, can_be_for_an_address)
{
    p->client.name = "127.0.0.1";
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0);
    return 0;
}

PAIR(certificate, for_another_address_is_refused)
{
    p->client.name = "127.0.0.2";
    return is_refused(p, files.good, HANK_TLS_WRONG_HOST);
}

PAIR(certificate, with_a_wildcard_covers_one_label)
{
    p->client.name = "www.example.test";
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0);
    return 0;
}

PAIR(certificate, with_a_wildcard_does_not_cover_two_labels)
{
    p->client.name = "a.b.example.test";
    return is_refused(p, files.good, HANK_TLS_WRONG_HOST);
}

PAIR(certificate, is_not_looked_at_if_the_program_says_insecure)
{
    hank_tls_info info;
    p->client.options.insecure_no_verification = true;
    p->server.options.certificate = files.self;
    MUST(tls_pair_open(p) == 0);
    MUST(p->client.result == 0);
    MUST(hank_tls_get_info(p->client.stream, &info) == 0);
    MUST(!info.verified);
    return 0;
}

PAIR(certificate, of_the_client_is_verified_where_it_is_required)
{
    hank_tls_info info;
    MUST(open_with_both_shown(p) == 0);
    MUST(hank_tls_get_info(p->server.stream, &info) == 0);
    MUST(info.verified);
    return 0;
}

PAIR(certificate, of_the_client_is_missed_where_it_is_required)
{
    p->server.options.require_certificate = true;
    p->server.options.ca_file = files.ca;
    MUST(tls_pair_open(p) == 0);
    MUST(p->server.result == HANK_TLS_NO_CERTIFICATE);
    return 0;
}

PAIR(certificate, of_the_client_by_a_stranger_is_refused)
{
    p->server.options.require_certificate = true;
    p->server.options.ca_file = files.ca;
    p->client.options.certificate = files.stranger;
    MUST(tls_pair_open(p) == 0);
    MUST(p->server.result == HANK_TLS_UNTRUSTED);
    return 0;
}

/* --- options --------------------------------------------------------------------------------- */

static int makes(hank_tls_options options)
{
    hank_tls *tls;
    int rc = hank_tls_new(&options, &tls);
    if (rc == 0)
        hank_tls_free(tls);
    return rc;
}

PAIR(options, that_are_bad_are_refused_each_with_its_code)
{
    static const char *const too_long[] = {
        "a name of sixty-four bytes is one more than there is room "
        "for in what is told....",
        NULL};
    static const char *const empty[] = {"h2", "", NULL};
    char name[300];
    (void)p;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    MUST(makes((hank_tls_options){.ca_file = "/nonexistent/ca.pem"}) == -ENOENT);
    MUST(makes((hank_tls_options){.certificate = "/nonexistent/me.pem"}) == -ENOENT);
    MUST(makes((hank_tls_options){.certificate = files.good, .key = "/nonexistent/key.pem"}) ==
         -ENOENT);
    MUST(makes((hank_tls_options){.ca_file = files.malformed}) == HANK_TLS_BAD_FILE);
    MUST(makes((hank_tls_options){.ca_file = files.empty}) == HANK_TLS_BAD_FILE);
    MUST(makes((hank_tls_options){.crl_file = "/nonexistent/crl.pem"}) == -ENOENT);
    MUST(makes((hank_tls_options){.crl_file = files.empty}) == HANK_TLS_BAD_FILE);
    MUST(makes((hank_tls_options){.crl_file = files.ca}) == HANK_TLS_BAD_FILE);
    MUST(makes((hank_tls_options){.certificate = files.malformed}) == HANK_TLS_BAD_FILE);
    MUST(makes((hank_tls_options){.certificate = files.ca}) == HANK_TLS_BAD_FILE); /* no key */
    MUST(makes((hank_tls_options){.certificate = files.mismatched}) == HANK_TLS_KEY_MISMATCH);
    MUST(makes((hank_tls_options){.key = files.good}) == -EINVAL);
    MUST(makes((hank_tls_options){.server_name = name}) == -EINVAL);
    MUST(makes((hank_tls_options){.min_version = 1}) == -EINVAL);
    MUST(makes((hank_tls_options){.handshake_timeout = -1}) == -EINVAL);
    MUST(makes((hank_tls_options){.reserved_[1] = 1}) == -EINVAL);
    MUST(makes((hank_tls_options){.alpn = empty}) == -EINVAL);
    MUST(makes((hank_tls_options){.alpn = too_long}) == -EINVAL);
    MUST(makes((hank_tls_options){.certificate = files.good}) == 0);
    return 0;
}

/* Files of root's alone. */
static int keys_of_others(void *arg)
{
    (void)arg;
    MUST(chmod(files.good, 0600) == 0 && chmod(files.directory, 0755) == 0);
    MUST(become(somebody_else()) == 0);
    int own = makes((hank_tls_options){.certificate = files.good});
    int key = makes((hank_tls_options){.certificate = files.other, .key = files.good});
    int trusted = makes((hank_tls_options){.ca_file = files.good});
    int revoked = makes((hank_tls_options){.crl_file = files.good});
    MUST(become(0) == 0);
    MUST(own == -EACCES && key == -EACCES && trusted == -EACCES && revoked == -EACCES);
    return 0;
}

Test(options, whose_files_are_somebody_elses_are_refused, .init = make_files, .fini = remove_files)
{
    need_root();
    with_workers(2, keys_of_others, NULL);
}

PAIR(options, of_a_client_without_a_name_to_verify_are_not_enough)
{
    MUST(hank_tls_new(NULL, &p->client.tls) == 0);
    hank_stream *other, *s;
    MUST(hank_stream_pair(&p->client.under, &other) == 0);
    MUST(hank_tls_client(p->client.tls, p->client.under, NULL, &s) == -EINVAL);
    char c;
    MUST(hank_read(other, &c, 1) == 0); /* the stream was taken */
    hank_close(other);
    return 0;
}

PAIR(options, of_a_server_without_a_certificate_are_not_enough)
{
    MUST(hank_tls_new(NULL, &p->server.tls) == 0);
    hank_stream *other, *s;
    hank_listener *l;
    MUST(hank_stream_pair(&p->server.under, &other) == 0);
    MUST(hank_tls_server(p->server.tls, p->server.under, &s) == HANK_TLS_NO_CERTIFICATE);
    MUST(hank_tls_listen(p->server.tls, "tls://127.0.0.1:0", NULL, &l) == HANK_TLS_NO_CERTIFICATE);
    hank_close(other);
    return 0;
}

PAIR(options, can_name_the_server)
{
    p->client.options.ca_file = files.ca;
    p->client.options.server_name = "www.example.test";
    p->server.options.certificate = files.good;
    MUST(hank_stream_pair(&p->client.under, &p->server.under) == 0);
    MUST(tls_pair_shake(p) == 0);
    MUST(p->client.result == 0 && p->server.result == 0);
    hank_tls_info info;
    MUST(hank_tls_get_info(p->server.stream, &info) == 0);
    MUST(strcmp(info.server_name, "www.example.test") == 0);
    return 0;
}
