/* SPDX-License-Identifier: MIT */
/* stream.c - a connection: OpenSSL computes, hank waits.
 *
 *                 hank_read        SSL_read         BIO read
 *     program  <------------  t  <----------  ssl  <--------  in   <--- hank_read(under)
 *              ------------>     ---------->       -------->  out  ---> hank_write(under)
 *
 * OpenSSL never touches the network. Its side of a BIO takes from `in` and adds to `out`; what is
 * missing or ready is read and written here, between its calls and not inside them, because a task
 * that waits may come back on another thread (tls.h).
 *
 * A reader and a writer share the SSL, one call at a time, under `state`. Bytes go out in the order
 * they were made, since only the writer, or before the end of the handshake whoever holds
 * `shaking`, sends them. Reading makes none but alerts: those go out once the connection is lost
 * anyway. (The answer to a KeyUpdate is made by the next write.)
 *
 * Rejected: a pair of memory BIOs (two more copies and buffers that only grow); waiting inside of
 * OpenSSL's calls, for which fibers would do, but not its errors, which belong to threads. */
#include "tls/tls.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <hank/layer.h>
#include <hank/scope.h>
#include <hank/sync.h>

/* in         4 KiB while little comes at a time, a whole record's worth while much does
 * WRITE_MAX  four records in one system call
 * GOODBYE_NS how long an alert for a connection that is lost anyway may hold us up */
enum { IN_BYTES = 4096, IN_BYTES_MAX = 20 * 1024, WRITE_MAX = 64 * 1024 };
enum { GOODBYE_NS = 100 * 1000 * 1000 };

typedef hk_tls_connection connection;

static void bytes_free(hk_tls_bytes *b)
{
    OPENSSL_free(b->at);
    *b = (hk_tls_bytes){0};
}

/* --- one call of OpenSSL: `state` is held --------------------------------------------------- */

/* What a call that returned n <= 0 means: 0 it wants more input; else the failure, for good. */
static int verdict(connection *t, int n)
{
    switch (SSL_get_error(t->ssl, n)) {
    case SSL_ERROR_WANT_READ: return 0;
    case SSL_ERROR_ZERO_RETURN: /* a farewell: in a handshake, and for who writes */
        t->failed = -EPIPE;
        break;
    default: t->failed = t->out_failed ? -ENOMEM : hk_tls_failure(t->ssl);
    }
    return t->failed;
}

/* Take what is to be sent, the caller's to free. */
static hk_tls_bytes take_out(connection *t)
{
    hk_tls_bytes out = t->out;
    t->out = (hk_tls_bytes){0};
    return out;
}

/* --- the network: `state` is not held -------------------------------------------------------- */

/* Send all of it, and free it. A failure is one for good: what has been sent is half a record. It
 * ends the writing; what the other end has to say is not concerned, unless hands are not shaken. */
static int send_out(connection *t, hk_tls_bytes out)
{
    int rc = out.end > 0 ? hank_write(t->under, out.at, out.end) : 0;
    bytes_free(&out);
    if (rc >= 0)
        return 0;
    hank_mutex_lock(&t->state);
    t->torn = true;
    if (!t->shaken && t->failed == 0)
        t->failed = -EPIPE;
    hank_mutex_unlock(&t->state);
    return rc;
}

/* Tell the other end why, if that is quickly done: the connection is lost. */
static void send_alert(connection *t, hk_tls_bytes out)
{
    hank_scope briefly;
    hank_timeout_begin(&briefly, GOODBYE_NS);
    if (out.end > 0)
        (void)hank_write(t->under, out.at, out.end); /* else it sees a connection that ends */
    (void)hank_timeout_end(&briefly);
    bytes_free(&out);
}

/* Read more, when `in` is empty. 0; HANK_TLS_TRUNCATED at the end; -ENOMEM; as hank_read(). */
static int fill(connection *t)
{
    size_t size = t->in.size == 0 || t->in.end < IN_BYTES ? IN_BYTES : IN_BYTES_MAX;
    if (size != t->in.size) {
        char *at = OPENSSL_malloc(size);
        if (!at)
            return -ENOMEM;
        OPENSSL_free(t->in.at);
        t->in.at = at;
        t->in.size = size;
    }
    ssize_t n = hank_read(t->under, t->in.at, t->in.size);
    if (n <= 0)
        return n < 0 ? (int)n : HANK_TLS_TRUNCATED;
    hank_mutex_lock(&t->state);
    t->in.start = 0;
    t->in.end = (size_t)n;
    hank_mutex_unlock(&t->state);
    return 0;
}

/* A stop passes; an end or an error of the connection stays. */
static int fill_or_fail(connection *t)
{
    int rc = fill(t);
    if (rc < 0 && rc != -ECANCELED && rc != -ETIMEDOUT && rc != -EBUSY && rc != -ENOMEM) {
        hank_mutex_lock(&t->state);
        if (t->failed == 0)
            t->failed = rc;
        hank_mutex_unlock(&t->state);
    }
    return rc;
}

/* --- the handshake -------------------------------------------------------------------------- */

/* 1: done; 0: not yet; or the failure. */
static int shake_once(connection *t)
{
    hank_mutex_lock(&t->state);
    int rc = t->failed;
    if (rc == 0) {
        ERR_clear_error();
        int n = SSL_do_handshake(t->ssl);
        rc = n == 1 ? 1 : verdict(t, n);
    }
    hk_tls_bytes out = take_out(t);
    hank_mutex_unlock(&t->state);
    if (rc < 0) {
        send_alert(t, out);
        return rc;
    }
    int sent = send_out(t, out);
    return sent < 0 ? sent : rc;
}

static int shake(connection *t)
{
    hank_scope limit;
    hank_timeout_begin(&limit, t->deadline - hank_now());
    int rc;
    while ((rc = shake_once(t)) == 0 && (rc = fill_or_fail(t)) == 0)
        ;
    bool late = hank_timeout_expired(&limit); /* whatever else has */
    (void)hank_timeout_end(&limit);
    hank_mutex_lock(&t->state);
    if (late && rc < 0 && t->failed == 0)
        t->failed = -ETIMEDOUT;
    t->shaken = rc == 1;
    hank_mutex_unlock(&t->state);
    return rc < 0 ? rc : 0;
}

/* 0: hands have been shaken, maybe just now. */
static int ensure_shaken(connection *t)
{
    hank_mutex_lock(&t->state);
    bool shaken = t->shaken;
    int rc = shaken ? 0 : t->failed; /* what came later is for reads or writes to tell */
    hank_mutex_unlock(&t->state);
    if (rc < 0 || shaken)
        return rc;
    rc = hank_sem_acquire(&t->shaking);
    if (rc < 0)
        return rc;
    hank_mutex_lock(&t->state);
    shaken = t->shaken;
    rc = shaken ? 0 : t->failed;
    hank_mutex_unlock(&t->state);
    if (rc == 0 && !shaken)
        rc = shake(t);
    (void)hank_sem_release(&t->shaking); /* was acquired: cannot be too many */
    return rc;
}

/* --- the layer ------------------------------------------------------------------------------ */

/* Bytes; 0: no more; -EAGAIN: more input is needed; or the failure. */
static ssize_t read_once(connection *t, void *ret_buf, size_t n)
{
    hk_tls_bytes out = {0};
    hank_mutex_lock(&t->state);
    ssize_t rc = t->failed;
    if (rc == 0) {
        ERR_clear_error();
        int got = SSL_read(t->ssl, ret_buf, n < INT_MAX ? (int)n : INT_MAX);
        if (got > 0)
            rc = got;
        else if (SSL_get_error(t->ssl, got) != SSL_ERROR_ZERO_RETURN)
            rc = verdict(t, got) == 0 ? -EAGAIN : t->failed;
    }
    if (rc < 0 && rc != -EAGAIN)
        out = take_out(t);
    hank_mutex_unlock(&t->state);
    send_alert(t, out);
    return rc;
}

static ssize_t tls_read(void *self, void *ret_buf, size_t n)
{
    connection *t = self;
    int rc = ensure_shaken(t);
    while (rc == 0) {
        ssize_t got = read_once(t, ret_buf, n);
        if (got != -EAGAIN)
            return got;
        rc = fill_or_fail(t);
    }
    return rc;
}

static ssize_t tls_write(void *self, const void *buf, size_t n)
{
    connection *t = self;
    int rc = ensure_shaken(t);
    if (rc < 0)
        return rc;
    int count = n < WRITE_MAX ? (int)n : WRITE_MAX;
    hank_mutex_lock(&t->state);
    rc = t->failed ? t->failed : t->torn || t->farewell_sent ? -EPIPE : 0;
    if (rc == 0) {
        ERR_clear_error();
        int put = SSL_write(t->ssl, buf, count);
        if (put <= 0 && verdict(t, put) == 0)
            t->failed = HANK_TLS_BROKEN; /* it wants input: nobody negotiates anew with us */
        rc = put > 0 ? 0 : t->failed;
        hk_store_relaxed(&t->sending, true); /* relaxed: `state` is held, and by who looks */
    }
    hk_tls_bytes out = take_out(t);
    hank_mutex_unlock(&t->state);
    int sent = send_out(t, out);
    if (sent == 0)
        hk_store_release(&t->sending, false); /* [tls:sent] release: a farewell may follow */
    return rc < 0 ? rc : sent < 0 ? sent : count;
}

/* Make the farewell, which is sent once. `state` is held. */
static hk_tls_bytes make_farewell(connection *t)
{
    if (!t->shaken || t->farewell_sent || t->torn || t->failed)
        return (hk_tls_bytes){0};
    t->farewell_sent = true;
    ERR_clear_error();
    int n = SSL_shutdown(t->ssl); /* 0: it would wait for theirs, which we may or may not read */
    if (n < 0)
        (void)verdict(t, n); /* is in `failed` */
    ERR_clear_error();
    return take_out(t);
}

static int tls_write_end(void *self)
{
    connection *t = self;
    int rc = ensure_shaken(t);
    if (rc < 0)
        return rc;
    hank_mutex_lock(&t->state);
    hk_tls_bytes out = make_farewell(t);
    rc = t->failed ? t->failed : t->torn ? -EPIPE : 0;
    hank_mutex_unlock(&t->state);
    int sent = send_out(t, out);
    return rc < 0 ? rc : sent;
}

static void tls_farewell(void *self)
{
    connection *t = self;
    if (!hank_mutex_trylock(&t->state))
        return; /* somebody computes right now: the other end sees a connection cut off */
    /* [tls:sent] acquire. Before what is on its way a farewell would be nonsense: cut off, too. */
    bool sending = hk_load_acquire(&t->sending);
    hk_tls_bytes out = sending ? (hk_tls_bytes){0} : make_farewell(t);
    hank_mutex_unlock(&t->state);
    if (out.end > 0)
        (void)hank_trywrite(t->under, out.at, out.end); /* likewise if there is no room */
    bytes_free(&out);
}

static void tls_release(void *self)
{
    connection *t = self;
    SSL_free(t->ssl);
    bytes_free(&t->in);
    bytes_free(&t->out);
    hank_tls_free(t->tls);
    OPENSSL_free(t);
    ERR_clear_error();
}

static const hank_layer layer = {
    .read = tls_read,
    .write = tls_write,
    .write_end = tls_write_end,
    .farewell = tls_farewell,
    .release = tls_release,
};

/* --- opening -------------------------------------------------------------------------------- */

const char *hk_tls_name_of(const SSL *ssl, hank_tls **ret_tls)
{
    const connection *t = SSL_get_app_data(ssl);
    *ret_tls = t->tls;
    return t->name;
}

/* Whom a client expects: asked for, verified, and maybe known from before. */
static int expect_server(connection *t, const char *name)
{
    SSL_set_verify(t->ssl, t->tls->verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_set_connect_state(t->ssl);
    size_t length = name ? strlen(name) : 0;
    if (length > HK_TLS_NAME_MAX || (length == 0 && t->tls->verifies))
        return -EINVAL;
    if (length == 0)
        return 0;
    memcpy(t->name, name, length + 1);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), name) != 1 &&
        (SSL_set1_host(t->ssl, name) != 1 || SSL_set_tlsext_host_name(t->ssl, name) != 1))
        return -ENOMEM;
    SSL_SESSION *session = hk_tls_take_session(t->tls, name);
    if (session)
        (void)SSL_set_session(t->ssl, session); /* else: from the beginning */
    SSL_SESSION_free(session);
    return 0;
}

static int expect_client(connection *t)
{
    int mode = t->tls->requires_certificate ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                                            : SSL_VERIFY_NONE;
    SSL_set_verify(t->ssl, mode, NULL);
    SSL_set_accept_state(t->ssl);
    return t->tls->has_certificate ? 0 : HANK_TLS_NO_CERTIFICATE;
}

int hk_tls_open(hank_tls *tls, hank_stream *under, const char *server_name, bool server,
                hank_stream **ret)
{
    connection *t = OPENSSL_zalloc(sizeof *t);
    if (!t)
        return -ENOMEM;
    t->under = under;
    t->tls = hk_tls_share(tls);
    t->shaking = (hank_sem){.count = 1};
    hank_ns now = hank_now();
    hank_ns limit = tls->handshake_timeout;
    t->deadline = limit > HANK_FOREVER - now ? HANK_FOREVER : now + limit;
    ERR_clear_error();
    t->ssl = SSL_new(tls->context);
    BIO *bio = t->ssl ? hk_tls_bio_new(t) : NULL;
    int rc = bio ? 0 : -ENOMEM;
    if (rc == 0) {
        SSL_set_bio(t->ssl, bio, bio);
        rc = SSL_set_app_data(t->ssl, t) == 1 ? 0 : -ENOMEM;
    }
    if (rc == 0)
        rc = server ? expect_client(t) : expect_server(t, server_name);
    if (rc == 0)
        rc = hank_layer_open(&layer, t, under, ret);
    ERR_clear_error();
    if (rc < 0)
        tls_release(t);
    return rc;
}

/* --- asking --------------------------------------------------------------------------------- */

int hank_tls_handshake(hank_stream *s)
{
    connection *t = hank_layer_self(s, &layer);
    return t ? ensure_shaken(t) : -EINVAL;
}

static void copy_text(char *ret, size_t size, const char *text, size_t length)
{
    if (length >= size)
        length = size - 1;
    if (length > 0)
        memcpy(ret, text, length);
    ret[length] = '\0';
}

int hank_tls_get_info(hank_stream *s, hank_tls_info *ret_info)
{
    connection *t = hank_layer_self(s, &layer);
    if (!t)
        return -EINVAL;
    hank_mutex_lock(&t->state);
    int rc = t->shaken ? 0 : -EAGAIN;
    if (rc == 0) {
        hank_tls_info *i = ret_info;
        const unsigned char *alpn = NULL;
        unsigned alpn_bytes = 0;
        const char *version = SSL_get_version(t->ssl);
        const char *cipher = SSL_get_cipher_name(t->ssl);
        const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
        *i = (hank_tls_info){0};
        SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_bytes);
        copy_text(i->version, sizeof i->version, version, strlen(version));
        copy_text(i->cipher, sizeof i->cipher, cipher, strlen(cipher));
        copy_text(i->alpn, sizeof i->alpn, (const char *)alpn, alpn_bytes);
        copy_text(i->server_name, sizeof i->server_name, name, name ? strlen(name) : 0);
        i->resumed = SSL_session_reused(t->ssl) == 1;
        i->verified =
            SSL_get0_peer_certificate(t->ssl) && SSL_get_verify_result(t->ssl) == X509_V_OK;
    }
    ERR_clear_error();
    hank_mutex_unlock(&t->state);
    return rc;
}

/* `state` is held. */
static ssize_t copy_certificate(X509 *certificate, void *ret_der, size_t n)
{
    int size = i2d_X509(certificate, NULL);
    if (size < 0)
        return -ENOMEM;
    if (n == 0)
        return size;
    if ((size_t)size > n)
        return -ENOSPC;
    unsigned char *at = ret_der;
    return i2d_X509(certificate, &at) == size ? size : -ENOMEM;
}

ssize_t hank_tls_get_peer_certificate(hank_stream *s, void *ret_der, size_t n)
{
    connection *t = hank_layer_self(s, &layer);
    if (!t)
        return -EINVAL;
    hank_mutex_lock(&t->state);
    X509 *certificate = t->shaken ? SSL_get0_peer_certificate(t->ssl) : NULL;
    ssize_t rc = certificate ? copy_certificate(certificate, ret_der, n) : t->shaken ? 0 : -EAGAIN;
    ERR_clear_error();
    hank_mutex_unlock(&t->state);
    return rc;
}
