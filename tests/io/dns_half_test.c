/* SPDX-License-Identifier: MIT */
/* dns_half_test.c - name servers that answer for one family of addresses and are late with the
 * other, or never say anything about it. */
#include "io/dns_support.h"

#include <hank/address.h>

static int look_up_half(void *arg)
{
    static const struct {
        const char *name;
        int family;
    } halves[] = {{"just4.hank.test", AF_INET}, {"just6.hank.test", AF_INET6}};
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    for (int i = 0; i < 2; i++) {
        hank_ns begun = hank_now();
        MUST(look_up(halves[i].name, list) == 1);
        MUST(list[0].socket.any.sa_family == halves[i].family);
        MUST(hank_now() - begun < PATIENCE);
    }
    return 0;
}

Test(half, of_the_addresses_is_enough_when_the_other_is_silent, .init = start_patient_server,
     .fini = stop_server)
{
    with_workers(1, look_up_half, NULL);
}

static hank_listener *somebody;

/* Connect to somebody, by a name of which one family stays silent. */
static int connect_to_half(void *arg)
{
    hank_stream *s;
    char name[64], by_name[96];
    (void)arg;
    int rc = hank_listener_name(somebody, name, sizeof name);
    if (rc < 0)
        return rc;
    (void)snprintf(by_name, sizeof by_name, "tcp://just4.hank.test%s", strrchr(name, ':'));
    rc = hank_connect(by_name, &s);
    if (rc == 0)
        hank_close(s);
    return rc;
}

static int look_up_and_tell(void *arg)
{
    hank_address list[HANK_RESOLVE_MAX];
    CHECK(hank_resolve("tcp://just4.hank.test:1", list, HANK_RESOLVE_MAX) == 1);
    set(arg);
    return 0;
}

static int connect_by_half(void *arg)
{
    flag looked_up = 0;
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &somebody) == 0);
    hank_task whole = hank_spawn(look_up_and_tell, &looked_up);
    MUST(connect_to_half(NULL) == 0);
    MUST(!is_set(&looked_up)); /* which waits for the other family, though not for ever */
    MUST(hank_await(whole) == 0);
    hank_listener_close(somebody);
    return 0;
}

Test(half, of_the_addresses_is_enough_to_connect, .init = start_patient_server, .fini = stop_server)
{
    with_workers(1, connect_by_half, NULL);
}

static int connect_to_nobody(void *arg)
{
    hank_stream *s;
    hank_ns begun = hank_now();
    (void)arg;
    MUST(hank_connect("tcp://just4.hank.test:1", &s) == -ECONNREFUSED);
    MUST(hank_now() - begun < PATIENCE);
    return 0;
}

Test(half, of_the_addresses_is_all_there_is_when_it_is_refused, .init = start_patient_server,
     .fini = stop_server)
{
    with_workers(1, connect_to_nobody, NULL);
}

static int connect_to_the_late(void *arg)
{
    hank_listener *l;
    hank_stream *s;
    char name[64], by_name[96];
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    hk_store_relaxed(&questions_for_late, 0);
    MUST(look_up("late.hank.test", list) == 2);
    int rc = hank_listen("tcp://[::1]:0", &l);
    if (rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT)
        return 0; /* this machine has no IPv6 */
    MUST(rc == 0 && hank_listener_name(l, name, sizeof name) == 0);
    (void)snprintf(by_name, sizeof by_name, "tcp://late.hank.test%s", strrchr(name, ':'));
    hk_store_relaxed(&questions_for_late, 0);
    MUST(hank_connect(by_name, &s) == 0); /* where the family leads that came late */
    hank_close(s);
    hank_listener_close(l);
    return 0;
}

Test(half, that_is_late_is_used_as_well, .init = start_patient_server, .fini = stop_server)
{
    with_each_size(connect_to_the_late, NULL);
}

/* More of one family than are tried, of which none need answer. */
static int ask_for_a_crowd(void *arg)
{
    hk_address list[HK_ADDRESSES_MAX];
    int n, of_six = 0;
    (void)arg;
    hk_store_relaxed(&questions_for_late, 0); /* at first, the other family is late */
    for (int i = 0; i < 2; i++) {
        MUST((n = look_up("crowd.hank.test", list)) == HK_ADDRESSES_MAX);
        for (; n > 0; n--)
            of_six += list[n - 1].socket.any.sa_family == AF_INET6;
        MUST(of_six == i + 1);
    }
    return 0;
}

Test(half, has_its_place_however_many_there_are_of_the_other, .init = start_patient_server,
     .fini = stop_server)
{
    with_each_size(ask_for_a_crowd, NULL);
}

/* Nobody is at the address that is known first. */
static int connect_to_the_later(void *arg)
{
    hank_listener *l;
    hank_stream *s;
    char name[64], by_name[96];
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    (void)snprintf(by_name, sizeof by_name, "tcp://later.hank.test%s", strrchr(name, ':'));
    hk_store_relaxed(&questions_for_late, 0);
    MUST(hank_connect(by_name, &s) == 0);
    hank_close(s);
    hank_listener_close(l);
    return 0;
}

Test(half, that_comes_after_the_first_attempt_has_failed_is_used_as_well,
     .init = start_patient_server, .fini = stop_server)
{
    with_each_size(connect_to_the_later, NULL);
}

static int give_up_the_late(void *arg)
{
    hk_address list[HK_ADDRESSES_MAX];
    (void)arg;
    for (int ms = 1; ms < 200; ms += 7)
        MUST(hank_within(HANK_MS(ms), look_up("just4.hank.test", list)) == -ETIMEDOUT);
    return 0;
}

Test(half, that_is_waited_for_can_be_given_up, .init = start_server, .fini = stop_server)
{
    with_each_size(give_up_the_late, NULL);
}

#if HK_FAULTS
static int fail_each_by_half(void *arg)
{
    MUST(hank_listen("tcp://127.0.0.1:0", &somebody) == 0);
    int rc = fail_each(arg);
    hank_listener_close(somebody);
    return rc;
}

Test(half, is_survived_whatever_call_fails, .init = start_server, .fini = stop_server)
{
    with_workers(1, fail_each_by_half, &(victim){connect_to_half, 200});
}
#endif
