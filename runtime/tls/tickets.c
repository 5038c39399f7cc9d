/* SPDX-License-Identifier: MIT */
/* tickets.c - the keys that a server seals its clients' sessions with.
 *
 * A ticket is a session that the client keeps for us, sealed. Whoever gets hold of the key can read
 * every connection that a ticket took up again (in TLS 1.2 even the one it was given in), so no key
 * may live as long as the server does:
 *
 *            0          period        2 periods      3 periods
 *     seals  |--- key 1 ---|--- key 2 ---|--- key 3 ---|
 *     opens                |--- key 1 ---|--- key 2 ---|
 *
 * A ticket that the older key opens is answered with a new one; in TLS 1.3, where a client uses
 * each once, every ticket is. Keys change when one is used, not by a clock: a server that nobody
 * connects to keeps old ones, but it uses them no more.
 *
 * Rejected: sessions kept by the server, which costs memory for each client that ever came, and a
 * table that all workers share. */
#include "tls/tls.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

/* The lock is held, or nobody else knows tls. */
static bool make_key(hk_tls_ticket_key *ret)
{
    return RAND_bytes(ret->name, sizeof ret->name) == 1 &&
           RAND_priv_bytes(ret->cipher, sizeof ret->cipher) == 1 &&
           RAND_priv_bytes(ret->digest, sizeof ret->digest) == 1;
}

/* The lock is held. False: no random numbers, and no key that may still be used. */
static bool keep_fresh(hank_tls *tls)
{
    hk_tls_tickets *t = &tls->tickets;
    hank_ns now = hank_now();
    if (now < t->changes_at)
        return true;
    hk_tls_ticket_key fresh;
    if (!make_key(&fresh))
        return false;
    /* Whoever has not been asked for two periods has no key that is young enough to open with. */
    t->has_older = t->has_newer && now - t->changes_at < t->period;
    t->older = t->newer;
    if (!t->has_older)
        OPENSSL_cleanse(&t->older, sizeof t->older);
    t->newer = fresh;
    t->has_newer = true;
    t->changes_at = now > HANK_FOREVER - t->period ? HANK_FOREVER : now + t->period;
    OPENSSL_cleanse(&fresh, sizeof fresh);
    return true;
}

static bool set_digest(EVP_MAC_CTX *mac, unsigned char *key, size_t n)
{
    char sha256[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 6),
                           OSSL_PARAM_END};
    return EVP_MAC_init(mac, key, n, params) == 1;
}

/* 1 done; -1 failed. */
static int seal(hk_tls_ticket_key *key, unsigned char name[16], unsigned char *ret_iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    memcpy(name, key->name, sizeof key->name);
    bool done = RAND_bytes(ret_iv, HK_TLS_IV_BYTES) == 1 &&
                EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher, ret_iv, NULL) == 1 &&
                set_digest(mac, key->digest, sizeof key->digest);
    return done ? 1 : -1;
}

/* 1 done; 2 done, and a new ticket is due; 0 it is not ours, or too old; -1 failed. */
static int open_up(hk_tls_tickets *t, const unsigned char name[16], const unsigned char *iv,
                   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    hk_tls_ticket_key *key;
    bool newer = memcmp(name, t->newer.name, sizeof t->newer.name) == 0;
    if (newer)
        key = &t->newer;
    else if (t->has_older && memcmp(name, t->older.name, sizeof t->older.name) == 0)
        key = &t->older;
    else
        return 0;
    bool done = EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher, iv, NULL) == 1 &&
                set_digest(mac, key->digest, sizeof key->digest);
    return !done ? -1 : newer ? 1 : 2;
}

/* Called by OpenSSL in the middle of a handshake, by any number of them at the same time. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seals)
{
    hank_tls *tls = NULL;
    (void)hk_tls_name_of(ssl, &tls);
    if (CRYPTO_THREAD_write_lock(tls->lock) != 1)
        return -1;
    int rc = -1;
    if (keep_fresh(tls))
        rc = seals ? seal(&tls->tickets.newer, name, iv, cipher, mac)
                   : open_up(&tls->tickets, name, iv, cipher, mac);
    if (rc == 1 && !seals && SSL_version(ssl) == TLS1_3_VERSION)
        rc = 2;
    (void)CRYPTO_THREAD_unlock(tls->lock); /* we hold it: cannot fail */
    return rc;
}

bool hk_tls_tickets_begin(hank_tls *tls, hank_ns period)
{
    tls->tickets.period = period;
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(tls->context, on_ticket) == 1;
}
