/* SPDX-License-Identifier: MIT */
/* bio.c - OpenSSL's side of a connection's buffers: it takes from `in` and adds to `out`, and never
 * touches the network. Called by OpenSSL in the middle of a call, with `state` held. */
#include "tls/tls.h"

#include <string.h>

#include <openssl/bio.h>

/* A write adds four records at most; a handshake, the certificates. */
enum { OUT_BYTES = 4096, OUT_BYTES_MAX = 1024 * 1024 };

static int bio_read(BIO *bio, char *ret_buf, int n)
{
    hk_tls_connection *t = BIO_get_data(bio);
    size_t count = t->in.end - t->in.start;
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (count > (size_t)n)
        count = (size_t)n;
    memcpy(ret_buf, t->in.at + t->in.start, count);
    t->in.start += count;
    return (int)count;
}

static bool make_room(hk_tls_bytes *b, size_t n)
{
    size_t size = b->size ? b->size : OUT_BYTES;
    while (size - b->end < n && size < OUT_BYTES_MAX)
        size *= 2;
    if (size - b->end < n)
        return false;
    if (size == b->size)
        return true;
    char *at = OPENSSL_realloc(b->at, size);
    if (!at)
        return false;
    b->at = at;
    b->size = size;
    return true;
}

static int bio_write(BIO *bio, const char *buf, int n)
{
    hk_tls_connection *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (!make_room(&t->out, (size_t)n)) {
        t->out_failed = true;
        return -1;
    }
    memcpy(t->out.at + t->out.end, buf, (size_t)n);
    t->out.end += (size_t)n;
    return n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;
static BIO_METHOD *method; /* for the life of the process, as OpenSSL's own are */

static void make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hank");
    if (m && BIO_meth_set_read(m, bio_read) == 1 && BIO_meth_set_write(m, bio_write) == 1 &&
        BIO_meth_set_ctrl(m, bio_control) == 1)
        method = m;
}

BIO *hk_tls_bio_new(hk_tls_connection *t)
{
    if (CRYPTO_THREAD_run_once(&method_once, make_method) != 1 || !method)
        return NULL;
    BIO *bio = BIO_new(method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    return bio;
}
