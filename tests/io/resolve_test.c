/* SPDX-License-Identifier: MIT */
/* resolve_test.c - addresses of a name and the name of an address, by the system's resolver and by
 * hank's own. Nothing here needs a network: "localhost" is in every system's own list. */
#include "io/net_support.h"

#include <hank/address.h>

#include <netdb.h>

#include "api/everywhere.h"
#include "base/error.h"
#include "base/fault.h"
#include "io/resolve.h"

static void ask_system(void)
{
    (void)setenv("HANK_RESOLVER", "system", 1);
}

static void ask_servers(void)
{
    (void)setenv("HANK_RESOLVER", "dns", 1);
}

/* A test whose body is a task, with either resolver and 1, 2 and 8 workers. */
#define EITHER(name)                                                                               \
    static int name##_app(void *arg);                                                              \
    Test(by_the_system, name, .init = ask_system, .timeout = 60)                                   \
    {                                                                                              \
        warm_up();                                                                                 \
        with_each_size(name##_app, NULL);                                                          \
    }                                                                                              \
    Test(by_itself, name, .init = ask_servers, .timeout = 60)                                      \
    {                                                                                              \
        warm_up();                                                                                 \
        with_each_size(name##_app, NULL);                                                          \
    }                                                                                              \
    static int name##_app(void *arg)

/* `count` addresses of a family at the end of a list. */
static int add(hk_address *list, int n, int count, sa_family_t family)
{
    hk_address one = {.length = sizeof one.socket};
    one.socket.any.sa_family = family;
    for (int i = 0; i < count; i++)
        n = hk_addresses_add(list, n, &one);
    return n;
}

static int of_family(const hk_address *list, int n, sa_family_t family)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += list[i].socket.any.sa_family == family;
    return count;
}

Test(resolve, of_more_addresses_than_are_tried_each_family_has_its_part)
{
    enum { MAX = HK_ADDRESSES_MAX };
    for (int first = 0; first <= 2 * MAX; first++)
        for (int second = 0; second <= 2 * MAX; second++) {
            hk_address list[MAX];
            int n = add(list, add(list, 0, first, AF_INET6), second, AF_INET);
            int six = of_family(list, n, AF_INET6), four = of_family(list, n, AF_INET);
            cr_assert_eq(n, first + second < MAX ? first + second : MAX);
            cr_assert_eq(n, six + four);
            cr_assert(six == first || six >= MAX / 2);
            cr_assert(four == second || four >= MAX / 2);
            cr_assert_eq(of_family(list, six, AF_INET6), six, "the order has changed");
        }
}

/* Whether one of n addresses is written so. */
static bool has(const hank_address *list, int n, const char *wanted)
{
    char text[100];
    for (int i = 0; i < n; i++)
        if (hank_address_format(&list[i], text, sizeof text) == 0 && strcmp(text, wanted) == 0)
            return true;
    return false;
}

EITHER(a_name_has_addresses_with_the_scheme_and_port_asked_for)
{
    hank_address list[HANK_RESOLVE_MAX];
    (void)arg;
    int n = hank_resolve("tcp://localhost:80", list, HANK_RESOLVE_MAX);
    MUST(n >= 1 && n <= HANK_RESOLVE_MAX && has(list, n, "tcp://127.0.0.1:80"));
    n = hank_resolve("udp://localhost:53", list, HANK_RESOLVE_MAX);
    MUST(n >= 1 && has(list, n, "udp://127.0.0.1:53"));
    n = hank_resolve("tcp://localhost:0", list, HANK_RESOLVE_MAX);
    MUST(n >= 1 && has(list, n, "tcp://127.0.0.1:0"));
    return 0;
}

EITHER(no_more_are_written_than_there_is_room_for)
{
    hank_address list[2] = {{{0}}, {{7}}};
    (void)arg;
    MUST(hank_resolve("tcp://localhost:80", list, 1) == 1);
    MUST(list[1].opaque_[0] == 7);
    MUST(hank_resolve("tcp://localhost:80", list, 0) == -EINVAL);
    return 0;
}

EITHER(what_is_an_address_already_is_the_one_result)
{
    static const char *const given[] = {"tcp://1.2.3.4:5", "udp://[::1]:6", "tcp://[::]:0",
                                        "unix:///tmp/x", "unix://@x"};
    hank_address list[HANK_RESOLVE_MAX];
    (void)arg;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        MUST(hank_resolve(given[i], list, HANK_RESOLVE_MAX) == 1);
        MUST(has(list, 1, given[i]));
    }
    return 0;
}

EITHER(what_is_no_place_is_refused)
{
    hank_address a;
    (void)arg;
    MUST(hank_resolve("localhost:80", &a, 1) == -EINVAL);
    MUST(hank_resolve("tcp://localhost", &a, 1) == -EINVAL);
    MUST(hank_resolve("tcp://127.1:80", &a, 1) == -EINVAL);
    MUST(hank_resolve(NULL, &a, 1) == -EINVAL);
    MUST(hank_resolve("tls://localhost:443", &a, 1) == -EPROTONOSUPPORT);
    return 0;
}

EITHER(what_was_found_can_be_connected_to)
{
    hank_listener *l;
    hank_stream *s;
    hank_address list[HANK_RESOLVE_MAX];
    char name[100], where[100];
    int rc = -EPROTO;
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    snprintf(where, sizeof where, "tcp://localhost%s", strrchr(name, ':'));
    int n = hank_resolve(where, list, HANK_RESOLVE_MAX);
    for (int i = 0; i < n && rc != 0; i++) {
        MUST(hank_address_format(&list[i], name, sizeof name) == 0);
        rc = hank_connect(name, &s);
    }
    MUST(rc == 0);
    hank_close(s);
    hank_listener_close(l);
    return 0;
}

EITHER(what_was_found_can_be_sent_to)
{
    hank_endpoint *a, *b;
    hank_address list[HANK_RESOLVE_MAX];
    char name[100], where[100], buf[8];
    (void)arg;
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &a) == 0);
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &b) == 0);
    MUST(hank_endpoint_name(b, name, sizeof name) == 0);
    snprintf(where, sizeof where, "udp://localhost%s", strrchr(name, ':'));
    int n = hank_resolve(where, list, HANK_RESOLVE_MAX);
    for (int i = 0; i < n; i++)
        if (has(&list[i], 1, name))
            MUST(hank_endpoint_send_to(a, "here", 4, &list[i]) == 0);
    MUST(hank_endpoint_recv(b, buf, sizeof buf, NULL) == 4);
    hank_endpoint_close(a);
    hank_endpoint_close(b);
    return 0;
}

static hank_address parsed(const char *text)
{
    hank_address a = {{0}};
    CHECK(hank_address_parse(text, &a) == 0);
    return a;
}

EITHER(an_address_has_a_name_whatever_its_port)
{
    char host[HANK_HOST_MAX + 1] = "";
    hank_address a = parsed("tcp://127.0.0.1:1"), b = parsed("udp://127.0.0.1:2");
    (void)arg;
    MUST(hank_resolve_name(&a, host, sizeof host) == 0 && strcmp(host, "localhost") == 0);
    memset(host, 0, sizeof host);
    MUST(hank_resolve_name(&b, host, sizeof "localhost") == 0 && strcmp(host, "localhost") == 0);
    return 0;
}

EITHER(a_name_without_room_is_refused)
{
    char host[9] = "as it is";
    hank_address a = parsed("tcp://127.0.0.1:1");
    (void)arg;
    MUST(hank_resolve_name(&a, host, sizeof host) == -ENOSPC && strcmp(host, "as it is") == 0);
    MUST(hank_resolve_name(&a, host, 0) == -ENOSPC);
    return 0;
}

EITHER(what_is_no_address_of_the_network_has_no_name)
{
    char host[HANK_HOST_MAX + 1];
    hank_address none = {{0}}, unix_socket = parsed("unix:///tmp/x");
    (void)arg;
    MUST(hank_resolve_name(&none, host, sizeof host) == -EAFNOSUPPORT);
    MUST(hank_resolve_name(&unix_socket, host, sizeof host) == -EAFNOSUPPORT);
    return 0;
}

static int look_up(void *arg)
{
    hank_address a;
    (void)arg;
    int n = hank_resolve("tcp://localhost:80", &a, 1);
    return n == 1 ? 0 : n;
}

static int look_up_name(void *arg)
{
    char host[HANK_HOST_MAX + 1];
    hank_address a = parsed("tcp://127.0.0.1:1");
    (void)arg;
    return hank_resolve_name(&a, host, sizeof host);
}

EITHER(who_is_stopped_before_does_not_ask)
{
    (void)arg;
    MUST(hank_within(0, look_up(NULL)) == -ETIMEDOUT);
    MUST(hank_within(0, look_up_name(NULL)) == -ETIMEDOUT);
    return 0;
}

EITHER(many_ask_at_the_same_time)
{
    hank_task t[40];
    (void)arg;
    for (int i = 0; i < 40; i++)
        t[i] = hank_spawn(i % 2 ? look_up : look_up_name, NULL);
    return hank_gather_n(t, 40, NULL);
}

Test(outside, a_thread_may_ask_too, .init = ask_servers)
{
    cr_assert_eq(look_up(NULL), 0);
    cr_assert_eq(look_up_name(NULL), 0);
}

#if HK_FAULTS
EITHER(a_lookup_that_fails_is_told)
{
    int failure = hk_error_of_resolver(EAI_AGAIN);
    (void)arg;
    for (int i = 0; i < 2; i++) {
        hk_fault_plan(HK_FAULT_RESOLVE, 1, failure);
        int rc = i ? look_up(NULL) : look_up_name(NULL);
        hk_fault_clear();
        MUST(rc == failure && rc < -4095);
    }
    return 0;
}

static int ask_without_a_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        hk_fault_plan(HK_FAULT_THREAD, 1, -EAGAIN);
        int rc = i ? look_up(NULL) : look_up_name(NULL);
        hk_fault_clear();
        MUST(rc == -EAGAIN);
    }
    return look_up(NULL);
}

/* Only the system's resolver asks on one. */
Test(by_the_system, without_a_thread_to_ask_on_says_so, .init = ask_system, .timeout = 60)
{
    warm_up();
    with_each_size(ask_without_a_thread, NULL);
}
#endif

/* --- stopped at each of its waits --------------------------------------------------------------
 */

/* One that was left behind has a file of the resolver's open until it ends by itself. */
static bool ended(void *state, int rc, bool stopped)
{
    int fds = *(int *)state;
    hank_ns give_up = hank_now() + HANK_SEC(10);
    while (lasting_fds() > fds && hank_now() < give_up)
        (void)hank_yield();
    bool is_stop = stopped && (rc == -ECANCELED || rc == -ETIMEDOUT);
    return lasting_fds() <= fds && (rc == 0 || is_stop);
}

static int walk(hank_fn ask)
{
    MUST(ask(NULL) == 0);    /* what is opened once is open now */
    int fds = lasting_fds(); /* the state: nobody asks with it */
    MUST(everywhere(&(everywhere_scenario){NULL, ask, NULL, ended, &fds}) == 0);
    return 0;
}

EITHER(it_may_be_stopped_at_any_wait)
{
    (void)arg;
    MUST(walk(look_up) == 0);
    return walk(look_up_name);
}
