/* SPDX-License-Identifier: MIT */
/* names.c - which of its certificates a server shows: the first that is for the name asked for.
 *
 * A certificate says itself which names it is for, so nobody has to write them down twice. It is
 * asked as a client would ask it, wildcards included.
 *
 * The choice is made when the client's greeting comes, before OpenSSL looks at the session that the
 * client would like to take up again. That session belongs to a certificate: begun under another,
 * it is not taken up, and the client gets to see the one for this name (RFC 6066, 3). OpenSSL has a
 * word for whom a session belongs to, its context.
 *
 * Rejected: SSL_CTX_set_tlsext_servername_callback() for the choice, which TLS 1.2 calls after a
 * session has been taken up; a whole SSL_CTX for each name, whose tickets, protocols and limits
 * would have to be kept the same. */
#include "tls/tls.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509v3.h>

enum { OTHERS_MAX = 1000, SESSION_OWNER_BYTES = 6 };

/* The name in a greeting. What is not well formed counts as none: OpenSSL refuses it later. */
static bool find_name(SSL *ssl, const char **ret_name, size_t *ret_length)
{
    /* The bytes of the list (2), of which there is one: its kind (1), its bytes (2), and those. */
    enum { HEAD = 5, KIND_AT = 2 };
    const unsigned char *at;
    size_t n;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &at, &n) != 1 || n <= HEAD)
        return false;
    *ret_name = (const char *)at + HEAD;
    *ret_length = n - HEAD;
    size_t said = (size_t)at[3] << 8 | at[4];
    return at[KIND_AT] == TLSEXT_NAMETYPE_host_name && said == *ret_length &&
           *ret_length <= HK_TLS_NAME_MAX && !memchr(*ret_name, '\0', *ret_length);
}

/* A name that begins with a dot would mean all below it, which is for who verifies to ask. */
static bool is_for(SSL_CTX *identity, const char *name, size_t length)
{
    X509 *certificate = SSL_CTX_get0_certificate(identity);
    return name[0] != '.' &&
           X509_check_host(certificate, name, length, HK_TLS_HOST_FLAGS, NULL) == 1;
}

static bool show(SSL *ssl, const hank_tls *tls, unsigned i)
{
    SSL_CTX *identity = tls->others[i];
    STACK_OF(X509) *chain = NULL;
    unsigned char owner[SESSION_OWNER_BYTES] = {
        'h', 'a', 'n', 'k', (unsigned char)(i >> 8), (unsigned char)i};
    SSL_certs_clear(ssl); /* one of another kind of key would still be there to be chosen */
    return SSL_CTX_get0_chain_certs(identity, &chain) == 1 &&
           SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(identity),
                                SSL_CTX_get0_privatekey(identity), chain, 1) == 1 &&
           SSL_set_session_id_context(ssl, owner, sizeof owner) == 1;
}

static int on_hello(SSL *ssl, int *ret_alert, void *arg)
{
    const hank_tls *tls = arg;
    const char *name;
    size_t length;
    if (!find_name(ssl, &name, &length) || is_for(tls->context, name, length))
        return SSL_CLIENT_HELLO_SUCCESS;
    for (unsigned i = 0; i < tls->others_n; i++) {
        if (!is_for(tls->others[i], name, length))
            continue;
        *ret_alert = SSL_AD_INTERNAL_ERROR;
        return show(ssl, tls, i) ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
    }
    if (!tls->refuses_unknown_names)
        return SSL_CLIENT_HELLO_SUCCESS;
    *ret_alert = SSL_AD_UNRECOGNIZED_NAME;
    ERR_raise(ERR_LIB_SSL, SSL_R_TLSV1_UNRECOGNIZED_NAME); /* as the client will have it */
    return SSL_CLIENT_HELLO_ERROR;
}

/* So that the client is told that its name was heeded, and a session remembers it. */
static int on_name(SSL *ssl, int *ret_alert, void *arg)
{
    (void)ssl, (void)ret_alert, (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

static int count(const hank_tls_identity *list)
{
    int n = 0;
    while (list && n <= OTHERS_MAX && list[n].certificate)
        n++;
    return n;
}

bool hk_tls_names_are_valid(const hank_tls_options *o)
{
    return count(o->others) <= OTHERS_MAX && (o->certificate || !o->others);
}

int hk_tls_names_begin(hank_tls *tls, const hank_tls_options *o)
{
    int n = count(o->others), rc = 0;
    tls->refuses_unknown_names = o->refuse_unknown_names;
    if (o->certificate) {
        SSL_CTX_set_client_hello_cb(tls->context, on_hello, tls);
        SSL_CTX_set_tlsext_servername_callback(tls->context, on_name);
    }
    if (n > 0 && !(tls->others = OPENSSL_zalloc((size_t)n * sizeof(SSL_CTX *))))
        return -ENOMEM;
    for (int i = 0; rc == 0 && i < n; i++) {
        SSL_CTX *identity = SSL_CTX_new(TLS_method());
        if (!identity)
            return -ENOMEM;
        tls->others[tls->others_n++] = identity;
        SSL_CTX_set_security_level(identity, HK_TLS_SECURITY_LEVEL);
        rc = hk_tls_load_identity(identity, &o->others[i]);
    }
    return rc;
}

void hk_tls_names_end(hank_tls *tls)
{
    for (unsigned i = 0; i < tls->others_n; i++)
        SSL_CTX_free(tls->others[i]);
    OPENSSL_free(tls->others);
}
