/* SPDX-License-Identifier: MIT */
/* tls.h - TLS, as a stream over a stream. In a library of its own: link hank_tls.
 *
 *     hank_tls *tls;
 *     rc = hank_tls_new(NULL, &tls);                      the system's trust, TLS 1.2 or later
 *     rc = hank_tls_connect(tls, "tls://example.org:443", &s);
 *     ... hank_write(s, ...), hank_read_line(s, ...): a stream like any other ...
 *     hank_close(s);                                      with a farewell
 *
 * The other end is verified unless the options say `insecure`: its certificate must be valid, by
 * somebody trusted, for the name that was asked for. What fails has a code of its own in
 * <hank/base.h>. A connection that ends without the farewell TLS wants is HANK_TLS_TRUNCATED, not
 * an end: only a result of 0 says that everything has come.
 *
 * With a `crl_file`, a certificate that is on its issuer's list, or one above it, is
 * HANK_TLS_REVOKED; one whose issuer has no list there that is valid today is
 * HANK_TLS_REVOCATION_UNKNOWN. Lists grow old: make a new hank_tls when there are new ones. Nobody
 * is asked over the network.
 *
 * Sessions are taken up again: a client keeps the last 64 it was given, each for one use; a server
 * keeps none, but seals them into tickets for its clients. The key for these changes with each
 * `ticket_period`, after which the one before still opens what it has sealed for a period more.
 *
 * A server of several names shows the first certificate that is for the name that the client asks
 * for (SNI), as a client would match them, wildcards included: `certificate`, then `others` in
 * their order. To whom asks for no name, or for one that none of them is for, it shows
 * `certificate`; or with `refuse_unknown_names` the latter is HANK_TLS_WRONG_HOST, for both. A
 * session is taken up again only under the certificate that it was begun with.
 *
 * A task that speaks TLS needs a stack of 32 KiB; the default of 64 KiB is enough. */
#ifndef HANK_TLS_H
#define HANK_TLS_H

#include <hank/base.h>
#include <hank/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What to trust and who to be; made once, used by any number of connections. */
typedef struct hank_tls hank_tls;

enum { HANK_TLS_1_2 = 2, HANK_TLS_1_3 = 3 };

/* One of a server's certificates. */
typedef struct hank_tls_identity {
    const char *certificate; /* followed by those that vouch for it */
    const char *key;         /* NULL: in the same file */
} hank_tls_identity;

/* For hank_tls_new(). Zero is the default of each. Files are PEM. */
typedef struct hank_tls_options {
    const char *ca_file;             /* whom to trust; NULL: whom the system trusts */
    const char *crl_file;            /* what those who vouch for the other end have revoked; read
                                        once; NULL: not asked */
    const char *certificate;         /* ours, followed by those that vouch for it; NULL: none */
    const char *key;                 /* its key; NULL: in the same file */
    const hank_tls_identity *others; /* more certificates of a server: see above; one with NULL at
                                        the end; <= 1000, and not without `certificate` */
    const char *server_name;         /* to ask for and to verify; NULL: the host connected to */
    const char *const *alpn;         /* application protocols, best first, NULL at the end; <= 16 */
    unsigned min_version;            /* HANK_TLS_1_2, HANK_TLS_1_3; 0: 1.2 */
    hank_ns handshake_timeout;       /* 0: 10 seconds */
    hank_ns ticket_period;           /* how long one key seals a server's tickets; 0: 2 hours */
    bool require_certificate;        /* a server insists on one of the client's, from ca_file */
    bool refuse_unknown_names;       /* a server shows nothing to who asks for another's name */
    bool insecure_no_verification;   /* believe whoever answers: for experiments */
    uint64_t reserved_[3];           /* zero */
} hank_tls_options;

/* What was agreed on. */
typedef struct hank_tls_info {
    char version[16];      /* "TLSv1.3" */
    char cipher[64];       /* "TLS_AES_256_GCM_SHA384" */
    char alpn[64];         /* "h2"; "" none */
    char server_name[256]; /* what the client asked for; "" nothing */
    bool resumed;          /* an earlier session was taken up again */
    bool verified;         /* the other end has shown a certificate, and it is good */
    uint64_t reserved_[4];
} hank_tls_info;

/* Read the files and make ready what connections share.
 *
 *   options     NULL: all defaults
 *   ret         the caller's to free
 *   result      0; -EINVAL; -ENOENT, -EACCES, ... of a file; HANK_TLS_BAD_FILE;
 *               HANK_TLS_KEY_MISMATCH; -ENOMEM; -ECANCELED; -ETIMEDOUT
 *   waits       for the files, on a thread that may block
 *   if stopped  nothing was made
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        the system's list of whom to trust is some 150 certificates: tens of milliseconds
 */
HANK_API int hank_tls_new(const hank_tls_options *options, hank_tls **ret);

/* Give `tls` back; connections that were made with it are not concerned.
 *
 *   tls         taken; NULL is fine
 *   result      none
 *   waits       never
 *   threads     any task or thread, once
 *   since       0.1 */
HANK_API void hank_tls_free(hank_tls *tls);

/* Connect, and shake hands.
 *
 *   where       "tls://host:port"
 *   ret         the stream, the caller's to close
 *   result      as hank_connect() and hank_tls_client()
 *   waits       for the name, the connection and the handshake
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_tls_connect(hank_tls *tls, const char *where, hank_stream **ret);

/* Listen for connections that speak TLS.
 *
 * hank_accept() does not wait for the handshake: it takes place in the first read or write of the
 * connection, or in hank_tls_handshake(), and its time runs from the accept.
 *
 *   tls         has a certificate
 *   where       "tls://host:port"
 *   options     NULL: all defaults
 *   ret         the listener, the caller's to close
 *   result      as hank_listen_opt(); HANK_TLS_NO_CERTIFICATE
 *   waits       for the name, if it is not an address
 *   if stopped  nothing is left open
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_tls_listen(hank_tls *tls, const char *where, const hank_listen_options *options,
                             hank_listener **ret);

/* From here on hank_connect("tls://...") and hank_listen("tls://...") use `tls`, in all of the
 * process.
 *
 *   tls         shared: hank_tls_free() may follow at once
 *   result      0; -EALREADY it was done before; -EINVAL; -EEXIST another library has "tls";
 *               -ENOSPC there are too many schemes
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_tls_enable(hank_tls *tls);

/* Speak TLS from here on, as the client, over a stream that is in use already: STARTTLS, a proxy.
 *
 *   under       taken, and closed if the result is not 0. What it had read too far is taken for
 *               the beginning of TLS
 *   server_name to ask for and to verify, a name or an address; NULL: options.server_name, and
 *               -EINVAL if that is NULL too and verification is on
 *   ret         the stream, the caller's to close
 *   result      0; a code of TLS; -EINVAL; -ENOMEM; -ETIMEDOUT also after
 *               options.handshake_timeout; -ECANCELED; else as hank_read() and hank_write()
 *   waits       for the handshake
 *   if stopped  a part of it may have been sent
 *   threads     any task or thread; one at a time for `under`
 *   since       0.1 */
HANK_API int hank_tls_client(hank_tls *tls, hank_stream *under, const char *server_name,
                             hank_stream **ret);

/* The same as the server.
 *
 *   tls         has a certificate
 *   under       as for hank_tls_client()
 *   ret         the stream, the caller's to close
 *   result      as hank_tls_client(); HANK_TLS_NO_CERTIFICATE also if `tls` has none
 *   waits       for the handshake
 *   if stopped  a part of it may have been sent
 *   threads     any task or thread; one at a time for `under`
 *   since       0.1 */
HANK_API int hank_tls_server(hank_tls *tls, hank_stream *under, hank_stream **ret);

/* Shake hands now, unless it has been done.
 *
 *   result      0; -EINVAL not TLS; else as hank_tls_client()
 *   waits       for the handshake
 *   if stopped  it can be called again, unless a message was cut off: then it is -EPIPE
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_tls_handshake(hank_stream *s);

/* What was agreed on.
 *
 *   ret_info    written if the result is 0
 *   result      0; -EINVAL not TLS; -EAGAIN no hands have been shaken yet
 *   waits       never, but for a moment for a task that is computing
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_tls_get_info(hank_stream *s, hank_tls_info *ret_info);

/* The certificate that the other end has shown, in DER: for its fingerprint, or for who knows how
 * to read it. With an earlier session taken up again, it is the one shown then.
 *
 *   ret_der     written if it fits
 *   n           its size in bytes; 0: the size of the certificate is all that is wanted
 *   result      the size of the certificate; 0 it has shown none; -ENOSPC it does not fit; -EINVAL
 *               not TLS; -EAGAIN no hands have been shaken yet; -ENOMEM
 *   waits       never, but for a moment for a task that is computing
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API ssize_t hank_tls_get_peer_certificate(hank_stream *s, void *ret_der, size_t n);

#ifdef __cplusplus
}
#endif
#endif
