/* SPDX-License-Identifier: MIT */
/* dns_memory_test.c - c-ares' memory runs out: each of its allocations fails once, from opening a
 * channel to the answer, whatever is asked for. A failure is told as one, and all that c-ares was
 * given is given back. */
#include "io/dns_support.h"

#include <ares.h>
#include <hank/address.h>
#include <limits.h>
#include <netdb.h>
#include <stddef.h>

#include "base/error.h"

static HK_ATOMIC(long) asked, fails_at; /* LONG_MAX: none does */
static HK_ATOMIC(long) live;

static bool must_fail(void)
{
    return hk_add_relaxed(&asked, 1) + 1 == hk_load_relaxed(&fails_at);
}

static void *get(size_t n)
{
    void *block = must_fail() ? NULL : malloc(n);
    (void)hk_add_relaxed(&live, block ? 1 : 0);
    return block;
}

static void put_back(void *block)
{
    (void)hk_sub_relaxed(&live, block ? 1 : 0);
    free(block);
}

static void *change(void *block, size_t n)
{
    if (!block)
        return get(n);
    return must_fail() ? NULL : realloc(block, n);
}

/* Before hank does so without an allocator of its own: the first to begin says whose it is. */
static void start_server_that_counts(void)
{
    cr_assert_eq(ares_library_init_mem(ARES_LIB_INIT_ALL, get, put_back, change), ARES_SUCCESS);
    start_server();
}

static int ask_for_an_address(const char *name)
{
    hk_address list[HK_ADDRESSES_MAX];
    int rc = look_up(name, list);
    return rc > 0 ? 0 : rc;
}

static int ask_for_a_name(const char *address)
{
    hank_address a;
    char host[HANK_HOST_MAX + 1];
    int rc = hank_address_parse(address, &a);
    return rc < 0 ? rc : hank_resolve_name(&a, host, sizeof host);
}

typedef struct question {
    int (*ask)(const char *what);
    const char *what;
} question;

/* From a datagram, from a connection, from a file, and the other way round. */
static const question each_way[] = {{ask_for_an_address, "both.hank.test"},
                                    {ask_for_an_address, "large.hank.test"},
                                    {ask_for_an_address, "localhost"},
                                    {ask_for_a_name, "udp://127.0.0.4:1"}};

/* Which would be a lie: each of them is there. */
static bool is_no_such_host(int rc)
{
    return rc == hk_error_of_resolver(EAI_NONAME);
}

static int ask_until_none_fails(const question *q)
{
    long before = hk_load_relaxed(&live), failed = 0, lacked = 0, n = 0;
    bool more = true;
    while (more) {
        hk_store_relaxed(&asked, 0L);
        hk_store_relaxed(&fails_at, ++n);
        int rc = q->ask(q->what);
        more = hk_load_relaxed(&asked) >= n;
        hk_store_relaxed(&fails_at, LONG_MAX);
        MUST(rc == 0 || rc == -ENOMEM || rc <= -4096);
        MUST(!is_no_such_host(rc) || q->ask == ask_for_a_name); /* where c-ares says so */
        MUST(hk_load_relaxed(&live) == before);
        failed += rc < 0;
        lacked += rc == -ENOMEM;
    }
    cr_log_info("%s: %ld allocations, %ld failures, %ld of them -ENOMEM", q->what, n - 1, failed,
                lacked);
    MUST(lacked > 0);
    MUST(q->ask(q->what) == 0);
    return 0;
}

static int walk(void *arg)
{
    (void)arg;
    hk_store_relaxed(&fails_at, LONG_MAX);
    for (size_t i = 0; i < sizeof each_way / sizeof each_way[0]; i++) {
        MUST(each_way[i].ask(each_way[i].what) == 0); /* what is made once, is */
        MUST(ask_until_none_fails(&each_way[i]) == 0);
    }
    return 0;
}

Test(dns_memory, that_c_ares_lacks_is_told_and_nothing_is_lost, .init = start_server_that_counts,
     .fini = stop_server, .timeout = 300)
{
    with_workers(1, walk, NULL);
}
