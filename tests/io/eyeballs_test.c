/* SPDX-License-Identifier: MIT */
/* eyeballs_test.c - several addresses, one connection: who is tried when, and who is left. */
#include "io/eyeballs.h"

#include "api/support.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/resource.h>

#include "io/resolve.h"

/* How an address behaves is its port. */
enum { ANSWERS = 1, REFUSES = 2, IS_SILENT = 3, ANSWERS_LATE = 4, RESETS = 5 };

typedef struct log_entry {
    int family;
    int port;
} log_entry;

static HK_ATOMIC(int) tried;
static log_entry order[32];
static HK_ATOMIC(int) running;

static int port_of(const hk_address *a)
{
    return ntohs(a->socket.any.sa_family == AF_INET ? a->socket.in.sin_port
                                                    : a->socket.in6.sin6_port);
}

static int pretend(const hk_address *address, const hank_connect_options *options,
                   hank_stream **ret)
{
    hank_stream *a, *b;
    (void)options;
    int n = hk_add_acqrel(&tried, 1);
    order[n] = (log_entry){address->socket.any.sa_family, port_of(address)};
    (void)hk_add_acqrel(&running, 1);
    int rc = 0;
    switch (port_of(address)) {
    case REFUSES: rc = -ECONNREFUSED; break;
    case RESETS: rc = -ECONNRESET; break;
    case IS_SILENT: rc = hank_sleep(HANK_FOREVER); break;
    case ANSWERS_LATE: rc = hank_sleep(HANK_MS(700)); break;
    default: break;
    }
    if (rc == 0)
        rc = hank_pipe(&a, &b);
    if (rc == 0) {
        hank_close(b);
        *ret = a;
    }
    (void)hk_sub_acqrel(&running, 1);
    return rc;
}

static void make(hk_address *list, int i, int family, int behaviour)
{
    hk_address *a = &list[i];
    memset(a, 0, sizeof *a);
    a->socket.any.sa_family = (sa_family_t)family;
    a->length = family == AF_INET ? sizeof a->socket.in : sizeof a->socket.in6;
    hk_address_set_port(a, (uint16_t)behaviour);
}

static hank_connect_attempts told;

static int try_with_more(const hk_address *list, int n, hk_more_addresses *more, void *arg)
{
    hank_stream *s = NULL;
    hank_connect_options options = {.attempts = &told};
    hk_store_relaxed(&tried, 0);
    told.n = 0;
    hk_candidates all = {.list = list, .n = n, .more = more, .arg = arg};
    int rc = hk_connect_any(&all, pretend, &options, &s);
    hank_close(s);
    CHECK(hk_load_acquire(&running) == 0); /* nobody is left */
    CHECK((rc == 0) == (s != NULL));
    return rc;
}

static int try_all(const hk_address *list, int n)
{
    return try_with_more(list, n, NULL, NULL);
}

static int silent_first(void *arg)
{
    hk_address list[2];
    (void)arg;
    make(list, 0, AF_INET, IS_SILENT);
    make(list, 1, AF_INET, ANSWERS);
    hank_ns begun = hank_now();
    MUST(try_all(list, 2) == 0);
    MUST(hank_now() - begun >= HANK_MS(250)); /* it had its chance */
    MUST(hk_load_relaxed(&tried) == 2);
    return 0;
}

Test(eyeballs, an_address_that_says_nothing_is_overtaken)
{
    with_each_size(silent_first, NULL);
}

static int refused_first(void *arg)
{
    hk_address list[3];
    (void)arg;
    make(list, 0, AF_INET, REFUSES);
    make(list, 1, AF_INET, REFUSES);
    make(list, 2, AF_INET, ANSWERS);
    MUST(try_all(list, 3) == 0);
    MUST(hk_load_relaxed(&tried) == 3);
    return 0;
}

Test(eyeballs, an_address_that_fails_is_followed_by_the_next)
{
    with_each_size(refused_first, NULL);
}

static int good_first(void *arg)
{
    hk_address list[3];
    (void)arg;
    for (int i = 0; i < 3; i++)
        make(list, i, AF_INET, ANSWERS);
    MUST(try_all(list, 3) == 0);
    MUST(hk_load_relaxed(&tried) >= 1);
    return 0;
}

Test(eyeballs, of_several_that_answer_one_is_kept)
{
    with_each_size(good_first, NULL);
}

static int late_wins(void *arg)
{
    hk_address list[3];
    (void)arg;
    make(list, 0, AF_INET, ANSWERS_LATE);
    make(list, 1, AF_INET, IS_SILENT);
    make(list, 2, AF_INET, IS_SILENT);
    MUST(try_all(list, 3) == 0);
    MUST(hk_load_relaxed(&tried) >= 2); /* the others were started meanwhile */
    return 0;
}

Test(eyeballs, one_that_was_overtaken_may_still_win)
{
    with_each_size(late_wins, NULL);
}

static int none_answers(void *arg)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    for (int i = 0; i < HK_ADDRESSES_MAX; i++)
        make(list, i, AF_INET, REFUSES);
    make(list, HK_ADDRESSES_MAX - 1, AF_INET, RESETS);
    MUST(try_all(list, HK_ADDRESSES_MAX) == -ECONNRESET);
    MUST(hk_load_relaxed(&tried) == HK_ADDRESSES_MAX);
    return 0;
}

Test(eyeballs, when_all_fail_the_last_failure_is_told)
{
    with_each_size(none_answers, NULL);
}

static int families(void *arg)
{
    static const int wanted[] = {AF_INET6, AF_INET, AF_INET6, AF_INET, AF_INET6};
    hk_address list[5];
    (void)arg;
    for (int i = 0; i < 3; i++)
        make(list, i, AF_INET6, REFUSES);
    make(list, 3, AF_INET, REFUSES);
    make(list, 4, AF_INET, REFUSES);
    MUST(try_all(list, 5) == -ECONNREFUSED);
    for (int i = 0; i < 5; i++)
        MUST(order[i].family == wanted[i]);
    return 0;
}

Test(eyeballs, families_take_turns)
{
    with_each_size(families, NULL);
}

static int try_silence(void *arg)
{
    hk_address list[3];
    (void)arg;
    for (int i = 0; i < 3; i++)
        make(list, i, AF_INET, IS_SILENT);
    return try_all(list, 3);
}

static int stopped(void *arg)
{
    (void)arg;
    MUST(hank_within(HANK_MS(5), try_silence(NULL)) == -ETIMEDOUT);
    MUST(hank_within(HANK_MS(600), try_silence(NULL)) == -ETIMEDOUT);
    MUST(hk_load_relaxed(&tried) >= 1);
    hank_task t = hank_spawn(try_silence, NULL);
    YIELD_UNTIL(hk_load_acquire(&running) > 0);
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    return 0;
}

Test(eyeballs, a_stop_ends_every_attempt)
{
    with_each_size(stopped, NULL);
}

/* --- addresses that come later --------------------------------------------------------------- */

/* A search; all of it is the test's. */
typedef struct search {
    hank_ns takes;
    int n;
    hk_address found[HK_ADDRESSES_MAX];
    bool over;
} search;

static int find_more(void *arg, hk_address ret_list[HK_ADDRESSES_MAX])
{
    search *s = arg;
    int rc = hank_sleep(s->takes);
    s->over = true;
    for (int i = 0; i < s->n && rc == 0; i++)
        ret_list[i] = s->found[i];
    return rc < 0 ? rc : s->n;
}

static int late_answers(void *arg)
{
    hk_address list[1];
    search more = {.takes = HANK_MS(100), .n = 1};
    (void)arg;
    make(more.found, 0, AF_INET6, ANSWERS);
    make(list, 0, AF_INET, REFUSES);
    MUST(try_with_more(list, 1, find_more, &more) == 0); /* nothing else was left */
    MUST(hk_load_relaxed(&tried) == 2 && order[1].family == AF_INET6);
    more.over = false;
    make(list, 0, AF_INET, IS_SILENT);
    MUST(try_with_more(list, 1, find_more, &more) == 0); /* beside it */
    MUST(hk_load_relaxed(&tried) == 2 && order[1].family == AF_INET6 && more.over);
    return 0;
}

Test(late, addresses_join_the_race)
{
    with_each_size(late_answers, NULL);
}

static int late_takes_its_turn(void *arg)
{
    static const int wanted[] = {AF_INET, AF_INET6, AF_INET, AF_INET6, AF_INET};
    hk_address list[3];
    search more = {.takes = HANK_MS(1), .n = 2};
    (void)arg;
    for (int i = 0; i < 3; i++)
        make(list, i, AF_INET, i == 0 ? IS_SILENT : REFUSES);
    make(more.found, 0, AF_INET6, REFUSES);
    make(more.found, 1, AF_INET6, REFUSES);
    MUST(hank_within(HANK_SEC(1), try_with_more(list, 3, find_more, &more)) == -ETIMEDOUT);
    MUST(hk_load_relaxed(&tried) == 5);
    for (int i = 0; i < 5; i++)
        MUST(order[i].family == wanted[i]);
    return 0;
}

Test(late, addresses_take_turns_with_the_others)
{
    with_each_size(late_takes_its_turn, NULL);
}

static int nobody_waits(void *arg)
{
    hk_address list[1];
    search more = {.takes = HANK_FOREVER, .n = 1};
    (void)arg;
    make(list, 0, AF_INET, ANSWERS);
    MUST(try_with_more(list, 1, find_more, &more) == 0);
    return 0;
}

Test(late, addresses_are_not_waited_for_by_who_is_connected)
{
    with_each_size(nobody_waits, NULL);
}

static int none_comes(void *arg)
{
    hk_address list[1];
    search more = {.takes = HANK_MS(1), .n = 0};
    (void)arg;
    make(list, 0, AF_INET, REFUSES);
    MUST(try_with_more(list, 1, find_more, &more) == -ECONNREFUSED && more.over);
    more.n = -EIO;
    MUST(try_with_more(list, 1, find_more, &more) == -ECONNREFUSED);
    return 0;
}

Test(late, addresses_that_do_not_come_leave_the_failure_of_the_others)
{
    with_each_size(none_comes, NULL);
}

static int all_others_are_refused(void *arg)
{
    hk_address list[HK_ADDRESSES_MAX];
    search more = {.takes = HANK_MS(100), .n = 1};
    (void)arg;
    for (int i = 0; i < HK_ADDRESSES_MAX; i++)
        make(list, i, AF_INET, REFUSES);
    make(more.found, 0, AF_INET6, ANSWERS);
    MUST(try_with_more(list, HK_ADDRESSES_MAX, find_more, &more) == 0);
    more.n = 0; /* none comes: the others are tried after all */
    make(list, HK_ADDRESSES_MAX - 1, AF_INET, ANSWERS);
    MUST(try_with_more(list, HK_ADDRESSES_MAX, find_more, &more) == 0);
    return 0;
}

Test(late, addresses_are_tried_however_many_others_were_refused)
{
    with_each_size(all_others_are_refused, NULL);
}

static int more_than_enough(void *arg)
{
    hk_address list[HK_ADDRESSES_MAX];
    search more = {.takes = HANK_MS(1), .n = HK_ADDRESSES_MAX};
    (void)arg;
    for (int i = 0; i < HK_ADDRESSES_MAX; i++) {
        make(list, i, AF_INET, REFUSES);
        make(more.found, i, AF_INET6, REFUSES);
    }
    MUST(try_with_more(list, HK_ADDRESSES_MAX, find_more, &more) == -ECONNREFUSED);
    MUST(hk_load_relaxed(&tried) == HK_ADDRESSES_MAX && told.n == HK_ADDRESSES_MAX);
    return 0;
}

Test(late, addresses_do_not_make_more_attempts_than_there_are)
{
    with_each_size(more_than_enough, NULL);
}

static int one_only(void *arg)
{
    hk_address list[1];
    (void)arg;
    make(list, 0, AF_INET, REFUSES);
    MUST(try_all(list, 1) == -ECONNREFUSED);
    make(list, 0, AF_INET, ANSWERS);
    MUST(try_all(list, 1) == 0);
    return 0;
}

Test(eyeballs, a_single_address_is_tried_as_it_is)
{
    with_each_size(one_only, NULL);
}

/* --- what became of each --------------------------------------------------------------------- */

static int tell_each(void *arg)
{
    hk_address list[3];
    (void)arg;
    make(list, 0, AF_INET, REFUSES);
    make(list, 1, AF_INET, IS_SILENT);
    make(list, 2, AF_INET, ANSWERS);
    MUST(try_all(list, 3) == 0 && told.n == 3);
    MUST(told.list[0].result == -ECONNREFUSED);
    MUST(told.list[1].result == -ECANCELED);
    MUST(told.list[2].result == 0);
    make(list, 2, AF_INET, RESETS);
    MUST(hank_within(HANK_MS(600), try_all(list, 3)) == -ETIMEDOUT && told.n == 3);
    MUST(told.list[0].result == -ECONNREFUSED && told.list[2].result == -ECONNRESET);
    MUST(told.list[1].result == -ECANCELED || told.list[1].result == -ETIMEDOUT);
    return 0;
}

Test(attempts, are_told_with_the_result_of_each)
{
    with_each_size(tell_each, NULL);
}

static int tell_who_was_not_tried(void *arg)
{
    hk_address list[3];
    char text[64];
    (void)arg;
    make(list, 0, AF_INET, ANSWERS);
    make(list, 1, AF_INET6, IS_SILENT);
    MUST(try_all(list, 2) == 0 && told.n == 1 && told.list[0].result == 0);
    MUST(hank_address_format(&told.list[0].address, text, sizeof text) == 0);
    MUST(strcmp(text, "tcp://0.0.0.0:1") == 0);
    return 0;
}

Test(attempts, are_told_only_of_addresses_that_were_tried)
{
    with_each_size(tell_who_was_not_tried, NULL);
}

#if !HK_ASAN && !HK_TSAN && !HK_EMULATED /* which need address space of their own, or limit none */
enum { SLEEPERS = 80 };

static int sleep_on(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_FOREVER);
}

static int race_without_memory(const hk_address *list, hk_more_addresses *more)
{
    search nothing = {.takes = 0, .n = 0};
    struct rlimit before, none;
    MUST(getrlimit(RLIMIT_AS, &before) == 0);
    none = (struct rlimit){.rlim_cur = 1, .rlim_max = before.rlim_max};
    MUST(setrlimit(RLIMIT_AS, &none) == 0);
    int rc = hank_within(HANK_SEC(10), try_with_more(list, 2, more, &nothing));
    MUST(setrlimit(RLIMIT_AS, &before) == 0);
    return rc;
}

/* With each sleeper there is one stack less, until there are none: then a task that needs one ends
 * before it has begun. */
static int race_without_a_stack(void *arg)
{
    hk_address list[2];
    hank_task sleepers[SLEEPERS];
    int unbegun = 0;
    for (int i = 0; i < 2; i++)
        make(list, i, AF_INET, REFUSES);
    for (int i = 0; i < SLEEPERS; i++) {
        int rc = race_without_memory(list, arg ? find_more : NULL);
        MUST(rc == -ECONNREFUSED || rc == -ENOMEM);
        MUST(told.n == 2);
        unbegun += rc == -ENOMEM;
        sleepers[i] = hank_spawn(sleep_on, NULL);
        MUST(hank_yield() == 0);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        (void)hank_cancel(sleepers[i]);
        (void)hank_await(sleepers[i]);
    }
    MUST(unbegun > 0 || arg); /* then it is who looks for more */
    return 0;
}

Test(eyeballs, an_attempt_that_cannot_begin_has_failed, .timeout = 60)
{
    static char with_more;
    void *args[] = {NULL, &with_more};
    for (int i = 0; i < 2; i++) /* of stacks so large, few are kept */
        cr_expect_eq(
            hank_run_with(race_without_a_stack, args[i], .workers = 1, .stack_size = 8 << 20), 0);
}
#endif

/* The address of a port where nobody listens any more. */
static int nobodys_port(char *ret_where, size_t n)
{
    hank_listener *l;
    int rc = hank_listen("tcp://127.0.0.1:0", &l);
    if (rc == 0) {
        rc = hank_listener_name(l, ret_where, n);
        hank_listener_close(l);
    }
    return rc;
}

static int connect_and_ask(void *arg)
{
    char where[64], text[64];
    hank_connect_attempts all = {.n = 5};
    hank_connect_options options = {.attempts = &all};
    hank_stream *s;
    (void)arg;
    MUST(nobodys_port(where, sizeof where) == 0);
    MUST(hank_connect_opt(where, &options, &s) == -ECONNREFUSED);
    MUST(all.n == 1 && all.list[0].result == -ECONNREFUSED);
    MUST(hank_address_format(&all.list[0].address, text, sizeof text) == 0);
    MUST(strcmp(text, where) == 0);
    MUST(hank_connect_opt("tcp://127.0.0.1", &options, &s) == -EINVAL && all.n == 0);
    return 0;
}

Test(attempts, of_a_connection_that_failed_are_told)
{
    with_each_size(connect_and_ask, NULL);
    cr_assert_eq(connect_and_ask(NULL), 0); /* by a thread, too */
}
