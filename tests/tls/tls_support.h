/* SPDX-License-Identifier: MIT */
/* tls_support.h - what the tests of TLS share: certificates, good and bad, made on the spot, and
 * two ends that shake hands. */
#ifndef HK_TESTS_TLS_SUPPORT_H
#define HK_TESTS_TLS_SUPPORT_H

#include "api/support.h"

#include <hank/layer.h>
#include <hank/tls.h>
#include <hank/unix.h>

#include <string.h>
#include <sys/stat.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* A key with its certificate. */
typedef struct identity {
    EVP_PKEY *key;
    X509 *certificate;
} identity;

/* Names of PEM files with a certificate and its key. */
typedef struct certificates {
    char directory[64];
    char ca[128], good[128], expired[128], future[128], other[128], self[128], stranger[128];
    char client[128], by_host[128], wild[128], revoked[128], beneath[128], mismatched[128],
        malformed[128], empty[128];
    char crl[128], old_crl[128], early_crl[128], forged_crl[128], whole_crl[128], cut_crl[128];
} certificates;

static certificates files;

static inline void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    cr_assert(extension && X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* For a key, which is taken. `names` as openssl.cnf has them; NULL: an authority. Without an issuer
 * it signs itself. */
static inline identity certify(EVP_PKEY *key, const char *names, const identity *issuer, long from,
                               long to)
{
    static long serial = 1;
    identity i = {.key = key, .certificate = X509_new()};
    X509 *x = i.certificate;
    X509_NAME *subject = X509_NAME_new();
    char title[40];
    (void)snprintf(title, sizeof title, "hank test %s %ld", names ? "host" : "authority", serial);
    cr_assert(i.key && x && subject);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)title, -1,
                                     -1, 0);
    (void)X509_set_version(x, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), from);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), to);
    (void)X509_set_pubkey(x, i.key);
    (void)X509_set_subject_name(x, subject);
    X509 *by = issuer ? issuer->certificate : x;
    (void)X509_set_issuer_name(x, X509_get_subject_name(by));
    add_extension(x, by, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
    add_extension(x, by, NID_subject_key_identifier, "hash");
    if (names)
        add_extension(x, by, NID_subject_alt_name, names);
    cr_assert(X509_sign(x, issuer ? issuer->key : i.key, EVP_sha256()) > 0);
    X509_NAME_free(subject);
    return i;
}

static inline identity make_identity(const char *names, const identity *issuer, long from, long to)
{
    return certify(EVP_EC_gen("P-256"), names, issuer, from, to);
}

static inline void free_identity(identity *i)
{
    EVP_PKEY_free(i->key);
    X509_free(i->certificate);
}

static inline FILE *create(char path[128], const char *name)
{
    (void)snprintf(path, 128, "%s/%s.pem", files.directory, name);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL);
    return file;
}

static inline void save(char path[128], const char *name, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = create(path, name);
    if (certificate)
        (void)PEM_write_X509(file, certificate);
    if (key)
        (void)PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    (void)fclose(file);
}

/* With the certificate of who vouches for it; and free it. */
static inline void save_under(char path[128], const char *name, identity *i, const identity *by)
{
    save(path, name, i->certificate, i->key);
    FILE *file = fopen(path, "a");
    cr_assert(file && PEM_write_X509(file, by->certificate) == 1 && fclose(file) == 0);
    free_identity(i);
}

static inline void save_and_free(char path[128], const char *name, identity i)
{
    save(path, name, i.certificate, i.key);
    free_identity(&i);
}

enum { HOUR = 3600 };

/* What an authority has taken back: that certificate, NULL: none. */
static inline void list_revoked(FILE *file, const identity *by, EVP_PKEY *key, X509 *taken_back,
                                const long valid[2])
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, valid[0]), *to = X509_gmtime_adj(NULL, valid[1]);
    cr_assert(list && from && to);
    (void)X509_CRL_set_version(list, 1);
    (void)X509_CRL_set_issuer_name(list, X509_get_subject_name(by->certificate));
    (void)X509_CRL_set1_lastUpdate(list, from);
    (void)X509_CRL_set1_nextUpdate(list, to);
    if (taken_back) {
        X509_REVOKED *entry = X509_REVOKED_new();
        (void)X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(taken_back));
        (void)X509_REVOKED_set_revocationDate(entry, from);
        cr_assert(X509_CRL_add0_revoked(list, entry) == 1);
    }
    cr_assert(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    cr_assert(PEM_write_X509_CRL(file, list) == 1);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_CRL_free(list);
}

/* Lists, good and bad, of who has revoked one certificate; and a host that an authority beneath it
 * vouches for. */
static inline void make_lists(const identity *ca, const identity *elsewhere, const char *host)
{
    static const long today[2] = {-HOUR, HOUR}, before[2] = {-2 * HOUR, -HOUR},
                      tomorrow[2] = {HOUR, 2 * HOUR};
    identity revoked = make_identity(host, ca, -HOUR, HOUR);
    identity under = make_identity(NULL, ca, -HOUR, HOUR);
    identity beneath = make_identity(host, &under, -HOUR, HOUR);
    const struct {
        char *path;
        const char *name;
        EVP_PKEY *key;
        const long *valid;
        X509 *taken_back;
        bool is_whole; /* with the list of the authority beneath, which is empty */
    } lists[] = {{files.crl, "crl", ca->key, today, revoked.certificate, false},
                 {files.old_crl, "old_crl", ca->key, before, revoked.certificate, false},
                 {files.early_crl, "early_crl", ca->key, tomorrow, revoked.certificate, false},
                 {files.forged_crl, "forged_crl", elsewhere->key, today, NULL, false},
                 {files.whole_crl, "whole_crl", ca->key, today, revoked.certificate, true},
                 {files.cut_crl, "cut_crl", ca->key, today, under.certificate, true}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        FILE *file = create(lists[i].path, lists[i].name);
        list_revoked(file, ca, lists[i].key, lists[i].taken_back, lists[i].valid);
        if (lists[i].is_whole)
            list_revoked(file, &under, under.key, NULL, today);
        (void)fclose(file);
    }
    save_and_free(files.revoked, "revoked", revoked);
    save_under(files.beneath, "beneath", &beneath, &under);
    free_identity(&under);
}

static inline void make_files(void)
{
    static const char *const host = "DNS:localhost,DNS:*.example.test,IP:127.0.0.1";
    (void)snprintf(files.directory, sizeof files.directory, "/tmp/hank-tls-XXXXXX");
    cr_assert(mkdtemp(files.directory) != NULL);
    identity ca = make_identity(NULL, NULL, -HOUR, HOUR);
    identity elsewhere = make_identity(NULL, NULL, -HOUR, HOUR);
    identity good = make_identity(host, &ca, -HOUR, HOUR);
    save(files.ca, "ca", ca.certificate, NULL);
    save(files.good, "good", good.certificate, good.key);
    save(files.mismatched, "mismatched", good.certificate, ca.key);
    save_and_free(files.expired, "expired", make_identity(host, &ca, -2 * HOUR, -HOUR));
    save_and_free(files.future, "future", make_identity(host, &ca, HOUR, 2 * HOUR));
    save_and_free(files.other, "other", make_identity("DNS:other.test", &ca, -HOUR, HOUR));
    save_and_free(files.self, "self", make_identity(host, NULL, -HOUR, HOUR));
    save_and_free(files.stranger, "stranger", make_identity(host, &elsewhere, -HOUR, HOUR));
    save_and_free(files.client, "client", make_identity("email:client@test", &ca, -HOUR, HOUR));
    EVP_PKEY *of_another_kind = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    save_and_free(files.wild, "wild",
                  certify(of_another_kind, "DNS:*.wild.test", &ca, -HOUR, HOUR));
    identity by_host = make_identity(host, &good, -HOUR, HOUR);
    save_under(files.by_host, "by_host", &by_host, &good);
    make_lists(&ca, &elsewhere, host);
    (void)fclose(create(files.empty, "empty"));
    FILE *file = create(files.malformed, "malformed");
    (void)fputs("-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n"
                "-----END CERTIFICATE-----\n",
                file);
    (void)fclose(file);
    free_identity(&ca);
    free_identity(&elsewhere);
    free_identity(&good);
}

static inline void remove_files(void)
{
    DIR *dir = opendir(files.directory);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    (void)rmdir(files.directory);
}

/* --- two ends ------------------------------------------------------------------------------- */

/* What each end was made of, the stream it has if its handshake went well, and the result. */
typedef struct tls_end {
    hank_tls_options options;
    const char *name; /* the client's server_name */
    hank_tls *tls;
    hank_stream *under;
    hank_stream *stream;
    int result;
} tls_end;

typedef struct tls_pair {
    tls_end client, server;
} tls_pair;

static inline int shake_as_server(void *arg)
{
    tls_end *e = arg;
    e->result = hank_tls_server(e->tls, e->under, &e->stream);
    return 0;
}

/* Over two streams that are connected. 0; the results are in the ends. */
static inline int tls_pair_shake(tls_pair *p)
{
    int rc = p->client.tls ? 0 : hank_tls_new(&p->client.options, &p->client.tls);
    if (rc == 0 && !p->server.tls)
        rc = hank_tls_new(&p->server.options, &p->server.tls);
    if (rc < 0)
        return rc;
    p->client.stream = p->server.stream = NULL;
    hank_task server = hank_spawn(shake_as_server, &p->server);
    p->client.result =
        hank_tls_client(p->client.tls, p->client.under, p->client.name, &p->client.stream);
    if (p->client.result < 0)
        p->client.stream = NULL;
    return hank_await(server);
}

/* What is not said is good. */
static inline void tls_pair_default(tls_pair *p)
{
    if (!p->client.options.ca_file)
        p->client.options.ca_file = files.ca;
    if (!p->server.options.certificate)
        p->server.options.certificate = files.good;
    if (!p->client.name)
        p->client.name = "localhost";
}

/* Two ends of this process. */
static inline int tls_pair_open(tls_pair *p)
{
    tls_pair_default(p);
    int rc = hank_stream_pair(&p->client.under, &p->server.under);
    return rc < 0 ? rc : tls_pair_shake(p);
}

/* Two streams of TCP that are connected. */
static inline int tcp_connect(hank_stream **ret_a, hank_stream **ret_b)
{
    char name[64];
    hank_listener *l;
    int rc = hank_listen("tcp://127.0.0.1:0", &l);
    if (rc < 0)
        return rc;
    rc = hank_listener_name(l, name, sizeof name);
    if (rc == 0)
        rc = hank_connect(name, ret_a);
    if (rc == 0)
        rc = hank_accept(l, ret_b);
    hank_listener_close(l);
    return rc;
}

/* The same over TCP. */
static inline int tls_pair_open_tcp(tls_pair *p)
{
    tls_pair_default(p);
    int rc = tcp_connect(&p->client.under, &p->server.under);
    return rc < 0 ? rc : tls_pair_shake(p);
}

static inline void tls_end_close(tls_end *e)
{
    if (e->result == 0)
        hank_close(e->stream);
    e->stream = NULL;
}

static inline void tls_pair_close(tls_pair *p)
{
    tls_end_close(&p->client);
    tls_end_close(&p->server);
    hank_tls_free(p->client.tls);
    hank_tls_free(p->server.tls);
}

static inline int run_pair_body(int (*body)(tls_pair *p))
{
    tls_pair p = {0};
    int rc = body(&p);
    tls_pair_close(&p);
    return rc;
}

/* A test whose body is a task with a pair whose ends it still has to describe. */
#define PAIR(suite, name)                                                                          \
    static int name##_body(tls_pair *p);                                                           \
    static int name##_app(void *arg)                                                               \
    {                                                                                              \
        (void)arg;                                                                                 \
        return run_pair_body(name##_body);                                                         \
    }                                                                                              \
    Test(suite, name, .init = make_files, .fini = remove_files)                                    \
    {                                                                                              \
        with_each_size(name##_app, NULL);                                                          \
    }                                                                                              \
    static int name##_body(tls_pair *p)

/* The same with hands shaken. */
#define CONNECTED(suite, name)                                                                     \
    static int name##_connected(tls_pair *p);                                                      \
    PAIR(suite, name)                                                                              \
    {                                                                                              \
        MUST(tls_pair_open(p) == 0);                                                               \
        MUST(p->client.result == 0);                                                               \
        MUST(p->server.result == 0);                                                               \
        return name##_connected(p);                                                                \
    }                                                                                              \
    static int name##_connected(tls_pair *p)

#endif
