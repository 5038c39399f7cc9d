/* SPDX-License-Identifier: MIT */
/* base.h - the version, time, and words for results.
 *
 * Time is nanoseconds in an int64_t: a duration, or a point on the clock of hank_now(). The clock
 * is monotonic, so no call in hank is surprised by somebody setting the date. */
#ifndef HANK_BASE_H
#define HANK_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HANK_VERSION_MAJOR 0
#define HANK_VERSION_MINOR 1
#define HANK_VERSION_PATCH 0

#if defined(__GNUC__)
#define HANK_API      __attribute__((visibility("default")))
#define HANK_MUST_USE __attribute__((warn_unused_result))
#define HANK_DEFER(f) __attribute__((cleanup(f))) /* run f(&variable) when it leaves its block */
#else
#define HANK_API
#define HANK_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t hank_ns;

/* Durations for people: HANK_SEC(0.5) is HANK_MS(500). Exact for whole numbers up to 104 days. */
#define HANK_US(n)   ((hank_ns)((double)(n)*1e3))
#define HANK_MS(n)   ((hank_ns)((double)(n)*1e6))
#define HANK_SEC(n)  ((hank_ns)((double)(n)*1e9))
#define HANK_FOREVER INT64_MAX

/* The version of the library that is linked, as "0.1.0"; the macros are the header's.
 *
 *   result      a constant string
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API const char *hank_version(void);

/* The time on a clock that only moves forwards; its zero means nothing.
 *
 *   result      nanoseconds, > 0
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        reads the clock, usually without a system call */
HANK_API hank_ns hank_now(void);

/* Results below every errno. A name that could not be looked up has others, from -4096 down. */
enum {
    HANK_TLS_EXPIRED = -4400,       /* the other end's certificate is not valid any more */
    HANK_TLS_NOT_YET_VALID = -4401, /* ... or not yet: or a clock is wrong */
    HANK_TLS_WRONG_HOST = -4402,    /* it is valid, for another name; or a server has none for it */
    HANK_TLS_SELF_SIGNED = -4403,   /* nobody but itself vouches for it */
    HANK_TLS_UNTRUSTED = -4404,     /* somebody does, whom we do not trust */
    HANK_TLS_REVOKED = -4405,       /* whoever made it out has taken it back */
    HANK_TLS_BAD_CERTIFICATE = -4406, /* it is malformed, too weak, or not meant for this */
    HANK_TLS_NO_CERTIFICATE = -4407,  /* there is none, and we insist */
    HANK_TLS_TOO_OLD = -4408,         /* no version of the protocol that both allow */
    HANK_TLS_NOTHING_SHARED = -4409,  /* no cipher that both allow */
    HANK_TLS_NO_PROTOCOL = -4410,     /* no application protocol that both speak (ALPN) */
    HANK_TLS_NOT_TLS = -4411,         /* what came is no TLS at all */
    HANK_TLS_BROKEN = -4412,    /* the other end broke the protocol, or data was tampered with */
    HANK_TLS_REFUSED = -4413,   /* the other end refused us with an alert */
    HANK_TLS_TRUNCATED = -4414, /* the connection ended without a farewell: data may be missing */
    HANK_TLS_BAD_FILE = -4415,  /* a file holds no certificate, or no key, that can be read */
    HANK_TLS_KEY_MISMATCH = -4416,       /* the key is not the certificate's */
    HANK_TLS_REVOCATION_UNKNOWN = -4417, /* no list that is valid says whether it was revoked */
};

/* Words for a result of any hank call.
 *
 *   rc          a negative errno, or a number below -4095: TLS, or a failed name lookup
 *   result      a constant string; "success" for rc >= 0, "unknown error" for a stranger
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API const char *hank_strerror(int rc);

#ifdef __cplusplus
}
#endif
#endif
