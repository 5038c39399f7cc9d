/* SPDX-License-Identifier: MIT */
/* failure.c - OpenSSL's reasons as results.
 *
 * The first error in the list is the cause; what follows is its echo. A certificate that was
 * refused is told apart by the verification's own result, which outlives the list.
 *
 * What OpenSSL calls fatal (no memory, "internal error", "init fail") is never the other end's
 * doing: it could not do its part, and lack of memory is why. It may say so first, last or in
 * between, and whatever else follows from it, a certificate that could not be looked at too. */
#include "tls/tls.h"

#include <errno.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

static int of_verification(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return HANK_TLS_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID: return HANK_TLS_NOT_YET_VALID;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return HANK_TLS_WRONG_HOST;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return HANK_TLS_SELF_SIGNED;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED: return HANK_TLS_UNTRUSTED;
    case X509_V_ERR_CERT_REVOKED: return HANK_TLS_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED: return HANK_TLS_REVOCATION_UNKNOWN;
    case X509_V_ERR_OUT_OF_MEM: return -ENOMEM;
    default: return HANK_TLS_BAD_CERTIFICATE;
    }
}

/* Reasons of the SSL library; those from SSL_AD_REASON_OFFSET on are alerts of the other end. */
static int of_protocol(int reason)
{
    switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION: return HANK_TLS_TOO_OLD;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: return HANK_TLS_NOTHING_SHARED;
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: return HANK_TLS_NO_PROTOCOL;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_UNKNOWN_PROTOCOL: return HANK_TLS_NOT_TLS;
    case SSL_R_TLSV1_UNRECOGNIZED_NAME: return HANK_TLS_WRONG_HOST;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return HANK_TLS_NO_CERTIFICATE;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: return HANK_TLS_TRUNCATED;
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_CA_MD_TOO_WEAK:
    case SSL_R_BAD_ECPOINT: return HANK_TLS_BAD_CERTIFICATE;
    default: return reason >= SSL_AD_REASON_OFFSET ? HANK_TLS_REFUSED : HANK_TLS_BROKEN;
    }
}

static bool is_lack_of_memory(unsigned long error)
{
    return error != 0 && !ERR_SYSTEM_ERROR(error) && ERR_FATAL_ERROR(error);
}

static int of_error(const SSL *ssl, unsigned long error)
{
    int library = ERR_GET_LIB(error), reason = ERR_GET_REASON(error);
    if (library == ERR_LIB_SYS)
        return -reason;
    if (is_lack_of_memory(error))
        return -ENOMEM;
    if (library == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED && ssl)
        return of_verification(SSL_get_verify_result(ssl));
    if (library == ERR_LIB_X509 && reason == X509_R_KEY_VALUES_MISMATCH)
        return HANK_TLS_KEY_MISMATCH;
    if (!ssl)
        return HANK_TLS_BAD_FILE;
    return library == ERR_LIB_SSL ? of_protocol(reason) : HANK_TLS_BROKEN;
}

int hk_tls_failure(const SSL *ssl)
{
    unsigned long error = ERR_get_error();
    int rc = of_error(ssl, error);
    for (; error != 0; error = ERR_get_error()) {
        if (is_lack_of_memory(error))
            rc = -ENOMEM;
        if (rc != -ENOMEM && ssl && ERR_GET_LIB(error) == ERR_LIB_SSL &&
            ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
            rc = of_error(ssl, error);
    }
    return rc;
}

bool hk_tls_lacked_memory(void)
{
    bool lacked = false;
    for (unsigned long error; (error = ERR_get_error()) != 0;)
        lacked |= is_lack_of_memory(error);
    return lacked;
}
