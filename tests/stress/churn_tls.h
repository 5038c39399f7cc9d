/* SPDX-License-Identifier: MIT */
/* churn_tls.h - a server that speaks TLS, and what clients do to it; nothing where the program has
 * not been built with hank_tls.
 *
 * The certificate is made by openssl(1), as a child process of ours. */
#ifndef HK_TESTS_CHURN_TLS_H
#define HK_TESTS_CHURN_TLS_H

#include <hank.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef HK_CHURN_TLS

#include <hank/tls.h>

typedef struct churn_tls {
    hank_tls *client, *server;
    char where[64];
} churn_tls;

static inline int run_and_wait(const char *const *arguments)
{
    hank_process *p;
    int status = -1;
    int rc = hank_process_spawn(
        arguments, &(hank_process_options){.out = HANK_STDIO_NULL, .err = HANK_STDIO_NULL}, &p);
    if (rc < 0)
        return rc;
    rc = hank_process_wait(p, &status);
    hank_process_close(p);
    return rc < 0 ? rc : status;
}

/* 0, and a listener; the contexts are there until churn_tls_end(). */
static inline int churn_tls_begin(churn_tls *t, hank_listener **ret)
{
    char key[64], certificate[64];
    snprintf(key, sizeof key, "/tmp/hank-churn-%d.key", (int)getpid());
    snprintf(certificate, sizeof certificate, "/tmp/hank-churn-%d.pem", (int)getpid());
    const char *make[] = {"openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:P-256",
                          "-nodes",
                          "-keyout",
                          key,
                          "-out",
                          certificate,
                          "-days",
                          "2",
                          "-subj",
                          "/CN=churn",
                          "-addext",
                          "subjectAltName=IP:127.0.0.1",
                          NULL};
    *t = (churn_tls){0};
    int rc = run_and_wait(make);
    hank_tls_options client = {.ca_file = certificate};
    hank_tls_options server = {.ca_file = certificate, .certificate = certificate, .key = key};
    if (rc == 0)
        rc = hank_tls_new(&client, &t->client);
    if (rc == 0)
        rc = hank_tls_new(&server, &t->server);
    (void)unlink(key);
    (void)unlink(certificate);
    if (rc == 0)
        rc = hank_tls_listen(t->server, "tls://127.0.0.1:0", NULL, ret);
    return rc == 0 ? hank_listener_name(*ret, t->where, sizeof t->where) : rc;
}

static inline void churn_tls_end(churn_tls *t)
{
    hank_tls_free(t->client);
    hank_tls_free(t->server);
}

/* A connection whose hands are shaken, or, `rudely`, one that hangs up instead: NULL. */
static inline int churn_tls_connect(churn_tls *t, bool rudely, hank_stream **ret)
{
    char plain[64];
    *ret = NULL;
    if (!rudely)
        return hank_tls_connect(t->client, t->where, ret);
    snprintf(plain, sizeof plain, "tcp%s", strstr(t->where, "://"));
    int rc = hank_connect(plain, ret);
    if (rc < 0)
        return rc;
    rc = hank_write(*ret, "\x16\x03\x01", 3); /* how a hello begins */
    hank_close(*ret);
    *ret = NULL;
    return rc;
}

#else

typedef struct churn_tls {
    char nothing;
} churn_tls;

static inline int churn_tls_begin(churn_tls *t, hank_listener **ret)
{
    (void)t;
    *ret = NULL;
    return 0;
}

static inline void churn_tls_end(churn_tls *t)
{
    (void)t;
}

static inline int churn_tls_connect(churn_tls *t, bool rudely, hank_stream **ret)
{
    (void)t, (void)rudely;
    *ret = NULL;
    return 0;
}

#endif
#endif
