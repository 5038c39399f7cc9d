/* SPDX-License-Identifier: MIT */
/* memory_test.c - OpenSSL's allocations fail one by one: everything works or says no, and what is
 * left over is AddressSanitizer's to find. */
#include "tls/tls_support.h"

#include <limits.h>
#include <stdlib.h>

static HK_ATOMIC(int) until_failure;
static HK_ATOMIC(bool) has_failed;

static bool is_to_fail(void)
{
    bool now = hk_sub_relaxed(&until_failure, 1) == 1;
    if (now)
        hk_store_relaxed(&has_failed, true);
    return now;
}

static void *allocate(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return is_to_fail() ? NULL : malloc(n);
}

static void *reallocate(void *at, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    if (n == 0) {
        free(at);
        return NULL;
    }
    return is_to_fail() ? NULL : realloc(at, n);
}

static void release(void *at, const char *file, int line)
{
    (void)file, (void)line;
    free(at);
}

/* Before main(): OpenSSL takes other functions only as long as it has not called its own. */
__attribute__((constructor)) static void watch_memory(void)
{
    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
        hk_store_relaxed(&until_failure, INT_MIN);
}

static int shake_and_talk(tls_pair *p)
{
    char buf[4];
    int rc = tls_pair_open(p);
    if (rc < 0 || p->client.result < 0 || p->server.result < 0)
        return -ENOMEM;
    rc = hank_write(p->client.stream, "ping", 4);
    if (rc == 0)
        rc = (int)hank_within(HANK_SEC(10), hank_read_exact(p->server.stream, buf, 4));
    return rc;
}

static int fail_one_by_one(void *arg)
{
    (void)arg;
    MUST(hk_load_relaxed(&until_failure) > INT_MIN);
    hk_store_relaxed(&until_failure, 0);
    MUST(run_pair_body(shake_and_talk) == 0); /* what OpenSSL makes once */
    int nth = 1;
    do {
        hk_store_relaxed(&has_failed, false);
        hk_store_relaxed(&until_failure, nth);
        int rc = run_pair_body(shake_and_talk);
        hk_store_relaxed(&until_failure, 0);
        MUST(rc <= 0);
        nth += nth < 200 ? 1 : 7;
    } while (hk_load_relaxed(&has_failed));
    MUST(nth > 100);
    return 0;
}

Test(memory, that_runs_out_is_an_error_wherever_it_does, .init = make_files, .fini = remove_files)
{
    with_workers(1, fail_one_by_one, NULL);
}
