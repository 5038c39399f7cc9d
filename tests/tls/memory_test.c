/* SPDX-License-Identifier: MIT */
/* memory_test.c - OpenSSL's memory runs out: every so many-th of its allocations fails once, from
 * making the contexts to the close, over two connections of which the second takes the session of
 * the first up again.
 *
 * A failure is -ENOMEM where OpenSSL says so, and a code of TLS where it says something else; what
 * hank asked OpenSSL's allocator for must have been given back, whatever failed, and so must every
 * connection and context.
 *
 *     HANK_TEST_STEP=1     each of them, two minutes; of the long list two hours more */
#include "tls/tls_support.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "base/atomic.h"

/* --- the allocator --------------------------------------------------------------------------- */

/* Before each block: who asked for it. */
typedef union head {
    int owner;
    max_align_t align;
} head;

enum { OPENSSL, HANK, CONNECTION, OWNERS };

static HK_ATOMIC(long) asked, fails_at; /* 0: none does */
static HK_ATOMIC(bool) only_ours;       /* of what hank asks for */
static HK_ATOMIC(long) live[OWNERS];

/* Whose a block is, by the file that asked: SSL, SSL_CTX and BIO are made by these. */
static int owner_of(const char *file)
{
    if (strstr(file, "runtime/tls/"))
        return HANK;
    return strstr(file, "ssl/ssl_lib.c") || strstr(file, "bio/bio_lib.c") ? CONNECTION : OPENSSL;
}

static bool must_fail(const char *file)
{
    long nth = hk_load_relaxed(&fails_at);
    if (nth == 0 || (hk_load_relaxed(&only_ours) && owner_of(file) != HANK))
        return false;
    return hk_add_relaxed(&asked, 1) + 1 == nth;
}

static void *get(size_t n, const char *file, int line)
{
    (void)line;
    head *h = must_fail(file) ? NULL : malloc(sizeof *h + n);
    if (!h)
        return NULL;
    h->owner = owner_of(file);
    (void)hk_add_relaxed(&live[h->owner], 1);
    return h + 1;
}

static void put_back(void *block, const char *file, int line)
{
    (void)file, (void)line;
    if (!block)
        return;
    head *h = (head *)block - 1;
    (void)hk_sub_relaxed(&live[h->owner], 1);
    free(h);
}

static void *change(void *block, size_t n, const char *file, int line)
{
    if (!block)
        return get(n, file, line);
    if (n == 0) {
        put_back(block, file, line);
        return NULL;
    }
    head *h = must_fail(file) ? NULL : realloc((head *)block - 1, sizeof *h + n);
    return h ? h + 1 : NULL;
}

__attribute__((constructor)) static void take_over(void)
{
    if (CRYPTO_set_mem_functions(get, change, put_back) != 1)
        abort(); /* somebody has used it before us */
}

/* --- the scenario ---------------------------------------------------------------------------- */

static bool is_documented(int rc)
{
    return rc == -ENOMEM || rc == -EPIPE || rc == -ECONNRESET ||
           (rc <= HANK_TLS_EXPIRED && rc >= HANK_TLS_REVOCATION_UNKNOWN);
}

/* One step, unless one before has failed. Whoever fails closes, so nobody waits for it. */
#define STEP(rc, call) ((rc) < 0 ? (rc) : (int)(call))

static int serve(void *arg)
{
    tls_end *e = arg;
    char buf[8];
    hank_tls_info info;
    int rc = hank_tls_server(e->tls, e->under, &e->stream);
    if (rc == 0) {
        rc = hank_read_exact(e->stream, buf, 4);
        rc = STEP(rc, hank_write(e->stream, "pong", 4));
        rc = STEP(rc, hank_read(e->stream, buf, 1));
        rc = STEP(rc, hank_tls_get_info(e->stream, &info));
        hank_close(e->stream);
    }
    e->result = rc;
    return 0;
}

static int ask(tls_end *e)
{
    char buf[8];
    hank_tls_info info;
    int rc = hank_tls_client(e->tls, e->under, "localhost", &e->stream);
    if (rc < 0)
        return rc;
    rc = STEP(rc, hank_write(e->stream, "ping", 4));
    rc = STEP(rc, hank_read_exact(e->stream, buf, 4));
    rc = STEP(rc, hank_tls_get_info(e->stream, &info));
    rc = STEP(rc, hank_write_end(e->stream));
    hank_close(e->stream);
    return rc;
}

static int connect_both(tls_pair *p)
{
    MUST(hank_stream_pair(&p->client.under, &p->server.under) == 0);
    hank_task server = hank_spawn(serve, &p->server);
    p->client.result = ask(&p->client);
    return hank_await(server);
}

/* `trusting_all`: with all whom the system trusts, a long list that OpenSSL is content to have in
 * part, and says nothing then: whoever is missing is not trusted. */
typedef struct walking {
    bool only_ours;
    bool later;
    bool trusting_all;
    long step;
} walking;

typedef struct outcome {
    int result; /* the first that failed, -ENOMEM before others */
    bool hit;
} outcome;

static int worse(int a, int b)
{
    return a == -ENOMEM || b == 0 ? a : b == -ENOMEM || a == 0 ? b : a;
}

static int make_both(tls_pair *p)
{
    int rc = hank_tls_new(&p->client.options, &p->client.tls);
    return rc < 0 ? rc : hank_tls_new(&p->server.options, &p->server.tls);
}

static int connect_twice(tls_pair *p, int *ret_result)
{
    for (int i = 0; i < 2 && *ret_result == 0; i++) {
        MUST(connect_both(p) == 0);
        MUST(p->client.result == 0 || is_documented(p->client.result));
        MUST(p->server.result == 0 || is_documented(p->server.result));
        *ret_result = worse(p->client.result, p->server.result);
    }
    return 0;
}

static void fail_at(long nth)
{
    hk_store_relaxed(&asked, 0l);
    hk_store_relaxed(&fails_at, nth);
}

/* Have the n-th allocation fail: of all, or of those after the contexts have been made. */
static int run_once(const walking *plan, long nth, outcome *ret)
{
    hank_tls_identity others[2] = {{.certificate = files.good}, {0}}; /* whom the client asks for */
    tls_pair p = {.client.options = {.ca_file = files.ca},
                  .server.options = {.ca_file = plan->trusting_all ? NULL : files.ca,
                                     .certificate = files.other,
                                     .others = others}};
    hk_store_relaxed(&only_ours, plan->only_ours);
    fail_at(plan->later ? 0 : nth);
    int result = make_both(&p);
    if (plan->later)
        fail_at(nth);
    int rc = result == 0 ? connect_twice(&p, &result) : 0;
    hank_tls_free(p.client.tls);
    hank_tls_free(p.server.tls);
    *ret = (outcome){.result = result, .hit = hk_load_relaxed(&asked) >= nth};
    fail_at(0);
    return rc;
}

/* One step of the walk: what failed is told, and nothing is left of it. */
static int step_once(const walking *plan, long nth, outcome *ret)
{
    long ours = hk_load_relaxed(&live[HANK]), connections = hk_load_relaxed(&live[CONNECTION]);
    MUST(run_once(plan, nth, ret) == 0);
    MUST(ret->result == 0 || is_documented(ret->result));
    MUST(hk_load_relaxed(&live[HANK]) == ours);
    MUST(hk_load_relaxed(&live[CONNECTION]) == connections);
    return 0;
}

static int walk(void *arg)
{
    const walking *plan = arg;
    const char *said = getenv("HANK_TEST_STEP");
    long step = said ? strtol(said, NULL, 10) : plan->step, failed = 0, lacked = 0, wrong = 0;
    outcome o = {.hit = true};
    for (int i = 0; i < 3; i++) { /* what is made once, is */
        MUST(run_once(plan, LONG_MAX, &o) == 0);
        MUST(o.result == 0);
    }
    long n = 1;
    for (o.hit = true; o.hit; n += step) {
        if (step_once(plan, n, &o) < 0) {
            cr_log_error("when allocation %ld failed: %s", n, hank_strerror(o.result));
            wrong++;
        }
        failed += o.result < 0;
        lacked += o.result == -ENOMEM;
    }
    cr_log_info("%ld allocations, %ld failures, %ld of them -ENOMEM", n - step, failed, lacked);
    MUST(wrong == 0);
    MUST(plan->trusting_all || (lacked > 0 && lacked * 2 > failed));
    MUST(run_once(plan, LONG_MAX, &o) == 0); /* as if nothing had been */
    MUST(o.result == 0);
    return 0;
}

#define WALK(name, ...)                                                                            \
    Test(memory, name, .init = make_files, .fini = remove_files, .timeout = 14400)                 \
    {                                                                                              \
        walking p = {__VA_ARGS__};                                                                 \
        cr_assert_eq(hank_run_with(walk, &p, .workers = 2), 0);                                    \
    }

WALK(that_hank_lacks_is_told_and_nothing_is_lost, .only_ours = true, .step = 1)
WALK(that_connections_lack_is_told_and_nothing_is_lost, .later = true, .step = 41)
WALK(that_contexts_lack_is_told_and_nothing_is_lost, .step = 41)
WALK(that_a_list_of_the_trusted_lacks_loses_nothing, .trusting_all = true, .step = 2003)
