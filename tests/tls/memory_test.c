/* SPDX-License-Identifier: MIT */
/* memory_test.c - OpenSSL's allocations fail one by one: everything works or says no, nothing
 * hangs, and failing the same way twice leaves no more behind than once.
 *
 * Each failure has a process of its own, whose alarm is the judge of a hang. */
#include "tls/tls_support.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { FINE = 10, FINE_AND_NEVER_HIT = 11, ODD_RESULT = 12, LEFT_SOMETHING = 13, NOT_WATCHED = 14 };

static HK_ATOMIC(int) until_failure;
static HK_ATOMIC(int) hits;
static HK_ATOMIC(int) live;

static bool is_to_fail(void)
{
    bool now = hk_sub_relaxed(&until_failure, 1) == 1;
    if (now)
        (void)hk_add_relaxed(&hits, 1);
    return now;
}

static void *allocate(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    void *at = is_to_fail() ? NULL : malloc(n);
    if (at)
        (void)hk_add_relaxed(&live, 1);
    return at;
}

static void release(void *at, const char *file, int line)
{
    (void)file, (void)line;
    if (at)
        (void)hk_sub_relaxed(&live, 1);
    free(at);
}

static void *reallocate(void *at, size_t n, const char *file, int line)
{
    if (!at)
        return allocate(n, file, line);
    if (n == 0) {
        release(at, file, line);
        return NULL;
    }
    return is_to_fail() ? NULL : realloc(at, n);
}

/* Before main(): OpenSSL takes other functions only as long as it has not called its own. */
__attribute__((constructor)) static void watch_memory(void)
{
    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
        hk_store_relaxed(&live, INT_MIN);
}

static int shake_and_talk(tls_pair *p)
{
    char buf[4];
    int rc = tls_pair_open(p);
    if (rc < 0 || p->client.result < 0 || p->server.result < 0)
        return -ENOMEM;
    rc = hank_write(p->client.stream, "ping", 4);
    if (rc == 0)
        rc = hank_read_exact(p->server.stream, buf, 4);
    return rc;
}

static int app(void *arg)
{
    (void)arg;
    return run_pair_body(shake_and_talk);
}

/* In a process of its own. */
static int fail_nth(int nth)
{
    (void)alarm(30);
    int left[3];
    for (int i = 0; i < 3; i++) {
        hk_store_relaxed(&until_failure, nth);
        int rc = hank_run_with(app, NULL, .workers = 1);
        hk_store_relaxed(&until_failure, 0);
        if (rc > 0)
            return ODD_RESULT;
        left[i] = hk_load_relaxed(&live);
    }
    if (left[2] > left[1]) /* what is made once is made by then */
        return LEFT_SOMETHING;
    if (hank_run_with(app, NULL, .workers = 1) != 0)
        return ODD_RESULT;
    return hk_load_relaxed(&hits) > 0 ? FINE : FINE_AND_NEVER_HIT;
}

Test(memory, that_runs_out_is_an_error_wherever_it_does, .init = make_files, .fini = remove_files)
{
    cr_assert(hk_load_relaxed(&live) > 0, "OpenSSL was faster");
    cr_assert_eq(hank_run_with(app, NULL, .workers = 1), 0); /* what OpenSSL makes once */
    int nth = 1, verdict = FINE;
    for (; verdict != FINE_AND_NEVER_HIT; nth += nth < 60 ? 1 : 23) {
        pid_t child = fork();
        if (child == 0)
            _exit(fail_nth(nth));
        int status = 0;
        cr_assert_eq(waitpid(child, &status, 0), child);
        verdict = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        cr_assert(verdict == FINE || verdict == FINE_AND_NEVER_HIT, "allocation %d: %d", nth,
                  verdict);
    }
    cr_assert_gt(nth, 500);
}
