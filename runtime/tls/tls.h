/* SPDX-License-Identifier: MIT */
/* tls.h - what the files of this room share. It is a library of its own, above all others: it knows
 * hank by its public face alone, and takes its memory from OpenSSL.
 *
 * OpenSSL keeps errors in a list for each thread, and a task may change threads whenever it waits.
 * So every use of an SSL is: state taken, list emptied, call, list read, state given back, and no
 * wait in between (stream.c). */
#ifndef HK_TLS_TLS_H
#define HK_TLS_TLS_H

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <hank/sync.h>
#include <hank/tls.h>

#include "base/atomic.h"

enum { HK_TLS_NAME_MAX = 255, HK_TLS_SESSIONS = 64, HK_TLS_WHERE_MAX = 512 };

enum { HK_TLS_SECURITY_LEVEL = 2, HK_TLS_HOST_FLAGS = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS };

/* One of a client's sessions that can be taken up again. session NULL: free. */
typedef struct hk_tls_session {
    char name[HK_TLS_NAME_MAX + 1];
    SSL_SESSION *session;
} hk_tls_session;

/* What a server seals the sessions with that its clients keep. */
typedef struct hk_tls_ticket_key {
    unsigned char name[16]; /* goes with the ticket */
    unsigned char cipher[32];
    unsigned char digest[32];
} hk_tls_ticket_key;

enum { HK_TLS_IV_BYTES = 16 };

/* newer seals and opens until `changes_at`; then it is the older, which opens for a period more. */
typedef struct hk_tls_tickets {
    hk_tls_ticket_key newer, older;
    bool has_newer, has_older;
    hank_ns changes_at;
    hank_ns period; /* constant */
} hk_tls_tickets;

/* owners    the program, hank_tls_enable, each listener and each connection
 * sessions, next, tickets   guarded by lock, OpenSSL's own: a mutex that may suspend must not be
 * taken inside of its calls the rest  constant once made */
struct hank_tls {
    HK_ATOMIC(unsigned) owners;
    SSL_CTX *context;
    char server_name[HK_TLS_NAME_MAX + 1];
    unsigned char alpn[256]; /* as on the wire */
    unsigned alpn_bytes;
    hank_ns handshake_timeout;
    bool has_certificate;
    bool verifies;             /* as a client */
    bool requires_certificate; /* as a server */
    bool refuses_unknown_names;
    SSL_CTX **others; /* each for a certificate that it holds */
    unsigned others_n;
    CRYPTO_RWLOCK *lock;
    hk_tls_session *sessions;
    unsigned next;
    hk_tls_tickets tickets;
};

/* Bytes at[start .. end) of size, from OPENSSL_malloc. */
typedef struct hk_tls_bytes {
    char *at;
    size_t start, end, size;
} hk_tls_bytes;

/* state     guards ssl, out, in.start, failed, torn, shaken, farewell_sent
 * sending   what a write made is not all sent yet; set under state
 * in        filled by the reader, or by who shakes hands, when it is empty: then nobody else looks
 * shaking   taken for the handshake
 * deadline  of the handshake; constant, as are under, tls, name */
typedef struct hk_tls_connection {
    hank_stream *under;
    hank_tls *tls;
    SSL *ssl;
    hank_mutex state;
    hank_sem shaking;
    hank_ns deadline;
    hk_tls_bytes in, out;
    int failed; /* every call from now on fails with this; 0: none did */
    bool torn;  /* half a record was sent: no more may be written */
    bool shaken;
    HK_ATOMIC(bool) sending;
    bool farewell_sent;
    bool out_failed; /* no memory for what had to be sent */
    char name[HK_TLS_NAME_MAX + 1];
} hk_tls_connection;

/* "tls://..." as "tcp://...", and the host in it, which the other end is to prove it is. 0;
 * -EINVAL; -EPROTONOSUPPORT another scheme. What only hank knows to be malformed passes. */
int hk_tls_as_tcp(const char *where, char ret_where[HK_TLS_WHERE_MAX],
                  char ret_host[HK_TLS_WHERE_MAX]);

/* OpenSSL's side of `in` and `out`. NULL: no memory. */
BIO *hk_tls_bio_new(hk_tls_connection *t);

hank_tls *hk_tls_share(hank_tls *tls); /* one owner more; the same */

/* A session with that server, the caller's: each is used once. NULL: there is none. */
SSL_SESSION *hk_tls_take_session(hank_tls *tls, const char *name);

/* Keep it; true: taken. Called by OpenSSL in the middle of a read. */
bool hk_tls_keep_session(hank_tls *tls, const char *name, SSL_SESSION *session);

/* A certificate with those that vouch for it, and its key. 0; as hank_tls_new(). */
int hk_tls_load_identity(SSL_CTX *context, const hank_tls_identity *identity);

/* Choose among a server's certificates by the name that a client asks for: what hank_tls_options
 * says of it. 0; as hank_tls_new(). */
int hk_tls_names_begin(hank_tls *tls, const hank_tls_options *o);
bool hk_tls_names_are_valid(const hank_tls_options *o);
void hk_tls_names_end(hank_tls *tls);

/* Seal tickets with keys of our own, each for a period. False: no memory. */
bool hk_tls_tickets_begin(hank_tls *tls, hank_ns period);

/* The server name of a connection, for its sessions: what SSL_get_app_data() points to. */
const char *hk_tls_name_of(const SSL *ssl, hank_tls **ret_tls);

/* Why the last call failed, as a result; empties the thread's list of errors. `ssl` may be NULL. */
int hk_tls_failure(const SSL *ssl);

/* Did a call lack memory, though it said that all was well? Empties the thread's list of errors. */
bool hk_tls_lacked_memory(void);

/* A stream over `under` that will shake hands; that is not taken if the result is negative. */
int hk_tls_open(hank_tls *tls, hank_stream *under, const char *server_name, bool server,
                hank_stream **ret);

#endif
