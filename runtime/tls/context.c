/* SPDX-License-Identifier: MIT */
/* context.c - options, and what connections share: an SSL_CTX and sessions to take up again.
 *
 * OpenSSL's own cache of a client's sessions cannot be asked by name, so there is a small one here:
 * a table that overwrites its oldest entry. A session is handed out once, as TLS 1.3 asks. */
#include "tls/tls.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include <hank/system.h>

static const hank_ns HANDSHAKE_NS = INT64_C(10) * 1000 * 1000 * 1000;

/* A key opens for a period after its last ticket, so that each is good for as long as it says. */
static const hank_ns TICKET_NS = INT64_C(2) * 3600 * 1000 * 1000 * 1000;

enum { PROTOCOLS_MAX = 16 };

/* --- life ---------------------------------------------------------------------------------- */

hank_tls *hk_tls_share(hank_tls *tls)
{
    (void)hk_add_relaxed(&tls->owners, 1u); /* relaxed: the caller is, or is lent by, an owner */
    return tls;
}

void hank_tls_free(hank_tls *tls)
{
    /* Acquire and release in one: the last comes after all others. */
    if (!tls || hk_sub_acqrel(&tls->owners, 1u) != 1)
        return;
    for (int i = 0; tls->sessions && i < HK_TLS_SESSIONS; i++)
        SSL_SESSION_free(tls->sessions[i].session);
    OPENSSL_free(tls->sessions);
    CRYPTO_THREAD_lock_free(tls->lock);
    hk_tls_names_end(tls);
    SSL_CTX_free(tls->context);
    OPENSSL_clear_free(tls, sizeof *tls); /* has keys in it */
}

/* --- sessions ------------------------------------------------------------------------------ */

SSL_SESSION *hk_tls_take_session(hank_tls *tls, const char *name)
{
    SSL_SESSION *found = NULL;
    if (CRYPTO_THREAD_write_lock(tls->lock) != 1)
        return NULL;
    /* The newest first: the server may have a new key for tickets since the others. */
    for (unsigned i = 1; i <= HK_TLS_SESSIONS && !found; i++) {
        hk_tls_session *s = &tls->sessions[(tls->next - i) % HK_TLS_SESSIONS];
        if (!s->session || strcmp(s->name, name) != 0)
            continue;
        found = s->session;
        s->session = NULL;
    }
    (void)CRYPTO_THREAD_unlock(tls->lock); /* we hold it: cannot fail */
    return found;
}

bool hk_tls_keep_session(hank_tls *tls, const char *name, SSL_SESSION *session)
{
    if (name[0] == '\0' || CRYPTO_THREAD_write_lock(tls->lock) != 1)
        return false;
    hk_tls_session *s = &tls->sessions[tls->next++ % HK_TLS_SESSIONS];
    SSL_SESSION *old = s->session;
    s->session = session;
    memcpy(s->name, name, strlen(name) + 1);
    (void)CRYPTO_THREAD_unlock(tls->lock);
    SSL_SESSION_free(old);
    return true;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    hank_tls *tls = NULL;
    const char *name = hk_tls_name_of(ssl, &tls);
    return name && hk_tls_keep_session(tls, name, session);
}

/* --- options ------------------------------------------------------------------------------- */

/* A list of names as the protocol has it: each with its length before it. */
static int set_alpn(hank_tls *tls, const char *const *names)
{
    for (int i = 0; names && names[i]; i++) {
        size_t length = strlen(names[i]);
        if (i == PROTOCOLS_MAX || length == 0 || length >= sizeof((hank_tls_info *)0)->alpn ||
            tls->alpn_bytes + 1 + length > sizeof tls->alpn)
            return -EINVAL;
        tls->alpn[tls->alpn_bytes++] = (unsigned char)length;
        memcpy(tls->alpn + tls->alpn_bytes, names[i], length);
        tls->alpn_bytes += (unsigned)length;
    }
    return 0;
}

/* The server's choice among what a client offers. Nothing in common is the end: a client that is
 * answered in a protocol it did not ask for can be made to misunderstand. */
static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_length,
                   const unsigned char *offered, unsigned offered_bytes, void *arg)
{
    const hank_tls *tls = arg;
    (void)ssl;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, ret_length, tls->alpn, tls->alpn_bytes, offered,
                              offered_bytes) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

int hk_tls_load_identity(SSL_CTX *context, const hank_tls_identity *i)
{
    const char *key = i->key ? i->key : i->certificate;
    ERR_clear_error();
    bool done = SSL_CTX_use_certificate_chain_file(context, i->certificate) == 1 &&
                SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 &&
                SSL_CTX_check_private_key(context) == 1;
    return done ? 0 : hk_tls_failure(NULL);
}

/* Everybody in a chain must be on nobody's list, and whose list is missing is believed nothing. */
static bool set_revoked(SSL_CTX *context, const char *path)
{
    X509_LOOKUP *lookup =
        X509_STORE_add_lookup(SSL_CTX_get_cert_store(context), X509_LOOKUP_file());
    return lookup && X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) > 0 &&
           X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
                                       X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

static int set_files(hank_tls *tls, const hank_tls_options *o)
{
    SSL_CTX *context = tls->context;
    int ok;
    ERR_clear_error();
    if (o->ca_file)
        ok = SSL_CTX_load_verify_file(context, o->ca_file);
    else
        ok = SSL_CTX_set_default_verify_paths(context);
    if (ok == 1 && o->crl_file)
        ok = set_revoked(context, o->crl_file);
    if (ok == 1 && o->ca_file && o->require_certificate) {
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->ca_file);
        SSL_CTX_set_client_CA_list(context, names); /* a hint for the client */
    }
    if (ok != 1)
        return hk_tls_failure(NULL);
    const hank_tls_identity own = {o->certificate, o->key};
    tls->has_certificate = own.certificate != NULL;
    int rc = own.certificate ? hk_tls_load_identity(context, &own) : 0;
    return rc < 0 ? rc : hk_tls_names_begin(tls, o);
}

static int set_up(hank_tls *tls, const hank_tls_options *o)
{
    SSL_CTX *context = tls->context;
    int version = o->min_version == HANK_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX_set_security_level(context, HK_TLS_SECURITY_LEVEL);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* an idle connection is small */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_new_session);
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(context), HK_TLS_HOST_FLAGS);
    static const unsigned char id[] = "hank";
    if (SSL_CTX_set_min_proto_version(context, version) != 1 ||
        SSL_CTX_set_session_id_context(context, id, sizeof id - 1) != 1 ||
        !hk_tls_tickets_begin(tls, o->ticket_period ? o->ticket_period : TICKET_NS))
        return -ENOMEM;
    int rc = set_alpn(tls, o->alpn);
    if (rc == 0 && tls->alpn_bytes > 0) {
        SSL_CTX_set_alpn_select_cb(context, on_alpn, tls);
        if (SSL_CTX_set_alpn_protos(context, tls->alpn, tls->alpn_bytes) != 0) /* sic: 0 is good */
            rc = -ENOMEM;
    }
    return rc < 0 ? rc : set_files(tls, o);
}

struct making {
    const hank_tls_options *options;
    hank_tls *tls;
};

/* On a thread that may block. */
static int make(void *arg)
{
    struct making *m = arg;
    const hank_tls_options *o = m->options;
    hank_tls *tls = OPENSSL_zalloc(sizeof *tls);
    if (!tls)
        return -ENOMEM;
    hk_store_relaxed(&tls->owners, 1u); /* relaxed: nobody else knows it yet */
    tls->verifies = !o->insecure_no_verification;
    tls->requires_certificate = o->require_certificate;
    tls->handshake_timeout = o->handshake_timeout ? o->handshake_timeout : HANDSHAKE_NS;
    if (o->server_name)
        memcpy(tls->server_name, o->server_name, strlen(o->server_name) + 1);
    tls->context = SSL_CTX_new(TLS_method());
    tls->lock = CRYPTO_THREAD_lock_new();
    tls->sessions = OPENSSL_zalloc(HK_TLS_SESSIONS * sizeof *tls->sessions);
    int rc = tls->context && tls->lock && tls->sessions ? set_up(tls, o) : -ENOMEM;
    /* A list of whom to trust is good for OpenSSL even if some are missing. This also leaves the
     * thread, which is not ours, without errors. */
    if (hk_tls_lacked_memory())
        rc = -ENOMEM;
    if (rc < 0) {
        hank_tls_free(tls);
        return rc;
    }
    m->tls = tls;
    return 0;
}

static bool are_valid(const hank_tls_options *o)
{
    for (int i = 0; i < 3; i++)
        if (o->reserved_[i] != 0)
            return false;
    if (o->server_name && strlen(o->server_name) > HK_TLS_NAME_MAX)
        return false;
    if (o->min_version != 0 && o->min_version != HANK_TLS_1_2 && o->min_version != HANK_TLS_1_3)
        return false;
    return o->handshake_timeout >= 0 && o->ticket_period >= 0 && (o->certificate || !o->key) &&
           hk_tls_names_are_valid(o);
}

int hank_tls_new(const hank_tls_options *options, hank_tls **ret)
{
    static const hank_tls_options defaults;
    struct making m = {.options = options ? options : &defaults};
    if (!are_valid(m.options))
        return -EINVAL;
    int rc = hank_blocking(make, &m);
    if (rc == 0)
        *ret = m.tls;
    return rc;
}
