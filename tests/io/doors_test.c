/* SPDX-License-Identifier: MIT */
/* doors_test.c - servers that listen at several addresses: of a name, all or none; and at those of
 * listeners that they were given. */
#include <hank/layer.h>
#include <hank/server.h>

#include "io/dns_support.h"

enum { DOORS_MAX = 2 * HANK_RESOLVE_MAX };

static int answer_one(hank_stream *s, void *arg)
{
    (void)arg;
    return hank_write(s, "x", 1);
}

static int run_server(void *arg)
{
    return hank_server_run(arg, answer_one, NULL);
}

static int doors_of(hank_server *v)
{
    int n = 0;
    while (hank_server_listener(v, (unsigned)n))
        n++;
    return n;
}

static int name_of_door(hank_server *v, int i, char ret_name[64])
{
    return hank_listener_name(hank_server_listener(v, (unsigned)i), ret_name, 64);
}

static bool listens_at(hank_server *v, const char *host)
{
    char name[64];
    for (int i = 0; i < doors_of(v); i++)
        if (name_of_door(v, i, name) == 0 && strncmp(name, host, strlen(host)) == 0)
            return true;
    return false;
}

/* Every listener has a client of its own, who is answered. */
static int ask_at_each(hank_server *v)
{
    char names[DOORS_MAX][64];
    int n = doors_of(v);
    MUST(n > 0 && n <= DOORS_MAX);
    for (int i = 0; i < n; i++)
        MUST(name_of_door(v, i, names[i]) == 0);
    hank_task t = hank_spawn(run_server, v);
    for (int i = 0; i < n; i++) {
        char byte = 0;
        hank_stream *s;
        MUST(hank_connect(names[i], &s) == 0);
        MUST(hank_read_exact(s, &byte, 1) == 0 && byte == 'x');
        hank_close(s);
    }
    int rc = hank_server_stop(v, HANK_FOREVER);
    int ran = hank_await(t);
    return rc < 0 ? rc : ran;
}

static bool at_one_port(hank_server *v)
{
    char first[64], other[64];
    if (name_of_door(v, 0, first) < 0)
        return false;
    for (int i = 1; i < doors_of(v); i++)
        if (name_of_door(v, i, other) < 0 || strcmp(strrchr(first, ':'), strrchr(other, ':')) != 0)
            return false;
    return true;
}

#define DOORS_TEST(name)                                                                           \
    static int name##_app(void *arg);                                                              \
    Test(doors, name, .init = start_server, .fini = stop_server)                                   \
    {                                                                                              \
        with_each_size(name##_app, NULL);                                                          \
    }                                                                                              \
    static int name##_app(void *arg)

DOORS_TEST(of_a_name_are_at_each_of_its_addresses_and_at_one_port)
{
    hank_server *v;
    (void)arg;
    MUST(hank_server_open("tcp://both.hank.test:0", NULL, &v) == 0);
    MUST(doors_of(v) == 2 && at_one_port(v));
    MUST(listens_at(v, "tcp://127.0.0.1:") && listens_at(v, "tcp://[::1]:"));
    MUST(ask_at_each(v) == 0);
    hank_server_free(v);
    return 0;
}

DOORS_TEST(are_as_many_at_each_address_as_accept)
{
    hank_server *v;
    (void)arg;
    MUST(hank_server_open("tcp://both.hank.test:0", &(hank_server_options){.acceptors = 3}, &v) ==
         0);
    MUST(doors_of(v) == 6 && at_one_port(v));
    MUST(ask_at_each(v) == 0);
    hank_server_free(v);
    return 0;
}

DOORS_TEST(are_not_repeated_with_an_address)
{
    hank_server *v;
    (void)arg;
    MUST(hank_server_open("tcp://twice.hank.test:0", NULL, &v) == 0);
    MUST(doors_of(v) == 1);
    hank_server_free(v);
    return 0;
}

DOORS_TEST(are_left_out_where_this_machine_has_no_such_address)
{
    hank_server *v;
    (void)arg;
    MUST(hank_server_open("tcp://half.hank.test:0", NULL, &v) == 0);
    MUST(doors_of(v) == 1 && listens_at(v, "tcp://127.0.0.1:"));
    hank_server_free(v);
    MUST(hank_server_open("tcp://absent.hank.test:0", NULL, &v) == -EADDRNOTAVAIL);
    return 0;
}

/* At a port that is taken at the last of two addresses. 0: the first was shut again, and both could
 * be had when the port was free. */
static int try_taken_port(void)
{
    char first[64], last[64], where[64];
    hank_listener *taken;
    hank_server *v;
    hank_stream *s;
    MUST(hank_server_open("tcp://both.hank.test:0", NULL, &v) == 0);
    MUST(name_of_door(v, 0, first) == 0 && name_of_door(v, 1, last) == 0);
    snprintf(where, sizeof where, "tcp://both.hank.test%s", strrchr(first, ':'));
    hank_server_free(v);
    int rc = hank_listen(last, &taken);
    if (rc < 0)
        return rc;
    MUST(hank_server_open(where, NULL, &v) == -EADDRINUSE);
    rc = hank_connect(first, &s);
    hank_listener_close(taken);
    if (rc == 0)
        hank_close(s);
    if (rc != -ECONNREFUSED)
        return -EADDRINUSE;
    rc = hank_server_open(where, NULL, &v);
    if (rc == 0)
        hank_server_free(v);
    return rc;
}

/* Others may have taken a port that we do not hold, but not each time. */
DOORS_TEST(are_all_shut_if_one_address_is_taken)
{
    int rc = -EADDRINUSE;
    (void)arg;
    for (int i = 0; i < 20 && rc == -EADDRINUSE; i++)
        rc = try_taken_port();
    return rc;
}

DOORS_TEST(are_not_there_if_the_name_is_not)
{
    hank_server *v;
    (void)arg;
    MUST(strcmp(hank_strerror(hank_server_open("tcp://nobody.hank.test:0", NULL, &v)),
                "no such host") == 0);
    return 0;
}

DOORS_TEST(are_told_one_by_one_until_they_are_shut)
{
    char name[64], first[64];
    hank_server *v;
    (void)arg;
    MUST(hank_server_open("tcp://both.hank.test:0", NULL, &v) == 0);
    MUST(hank_listener_fd(hank_server_listener(v, 0)) >= 0);
    MUST(hank_listener_fd(hank_server_listener(v, 1)) >= 0);
    MUST(hank_server_listener(v, 2) == NULL);
    MUST(hank_server_name(v, name, sizeof name) == 0 && name_of_door(v, 0, first) == 0);
    MUST(strcmp(name, first) == 0);
    MUST(ask_at_each(v) == 0);
    MUST(hank_server_listener(v, 0) == NULL);
    MUST(hank_server_name(v, name, sizeof name) == -EBADF);
    hank_server_free(v);
    return 0;
}

static int more_listeners(void *arg)
{
    char unix_name[64], where[64];
    hank_listener *one, *other, *late;
    hank_server *v;
    (void)arg;
    snprintf(where, sizeof where, "unix://@hank-doors-%d", (int)getpid());
    MUST(hank_listen("tcp://127.0.0.1:0", &one) == 0 && hank_listen(where, &other) == 0);
    MUST(hank_listen("tcp://127.0.0.1:0", &late) == 0);
    MUST(hank_server_adopt(one, NULL, &v) == 0);
    MUST(hank_server_add(v, NULL) == -EINVAL);
    MUST(hank_server_add(v, other) == 0);
    MUST(doors_of(v) == 2 && hank_server_listener(v, 1) == other);
    MUST(name_of_door(v, 1, unix_name) == 0 && strcmp(unix_name, where) == 0);
    MUST(ask_at_each(v) == 0);
    MUST(hank_server_add(v, late) == -EBUSY); /* and it is not taken */
    MUST(hank_listener_fd(late) >= 0);
    hank_listener_close(late);
    hank_server_free(v);
    return 0;
}

Test(doors, may_be_listeners_of_several_kinds)
{
    with_each_size(more_listeners, NULL);
}

static int odd_connect(const char *where, const hank_connect_options *options, hank_stream **ret)
{
    (void)where, (void)options, (void)ret;
    return -EHOSTDOWN;
}

static int odd_listen(const char *where, const hank_listen_options *options, hank_listener **ret)
{
    (void)options;
    return strcmp(where, "odd://both.hank.test") == 0 ? hank_listen("tcp://127.0.0.1:0", ret)
                                                      : -EHOSTDOWN;
}

static int odd_scheme(void *arg)
{
    static const hank_scheme scheme = {.name = "odd", .connect = odd_connect, .listen = odd_listen};
    hank_server_options o = {.acceptors = 3};
    hank_server *v;
    (void)arg;
    MUST(hank_scheme_add(&scheme) == 0);
    MUST(hank_server_open("odd://nowhere", &o, &v) == -EHOSTDOWN);
    MUST(hank_server_open("odd://both.hank.test", &o, &v) == 0);
    MUST(doors_of(v) == 1);
    MUST(ask_at_each(v) == 0);
    hank_server_free(v);
    return 0;
}

Test(doors, are_what_a_scheme_makes_of_them_that_is_not_over_tcp)
{
    with_each_size(odd_scheme, NULL);
}

static int refused_listener(void *arg)
{
    hank_server_options o = {.socket = {.keep_alive_count = ~0u}};
    hank_listener *l;
    hank_server *v;
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_server_adopt(l, &o, &v) == -EINVAL);
    MUST(hank_listener_fd(l) >= 0);
    hank_listener_close(l);
    return 0;
}

Test(doors, stay_with_whoever_offers_what_the_system_refuses)
{
    with_each_size(refused_listener, NULL);
}

#if HK_FAULTS
/* The port that the kernel chose at one address is taken at the next. */
static int try_another_port(void *arg)
{
    hank_server *v;
    (void)arg;
    hk_fault_plan(HK_FAULT_BIND, 2, -EADDRINUSE);
    MUST(hank_server_open("tcp://both.hank.test:0", NULL, &v) == 0);
    MUST(hk_fault_hit());
    hk_fault_clear();
    MUST(doors_of(v) == 2 && at_one_port(v));
    hank_server_free(v);
    return 0;
}

Test(doors, are_tried_at_another_port_if_a_free_one_is_not_free_everywhere, .init = start_server,
     .fini = stop_server)
{
    with_each_size(try_another_port, NULL);
}

static int all_or_nothing(void *arg)
{
    static const struct {
        hk_fault kind;
        int error;
    } faults[] = {{HK_FAULT_BIND, -EACCES},
                  {HK_FAULT_LISTEN, -EADDRINUSE},
                  {HK_FAULT_SOCKET, -EMFILE},
                  {HK_FAULT_ALLOC, -ENOMEM}};
    (void)arg;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        bool more = true;
        for (uint64_t nth = 1; more; nth++) {
            int fds = open_fds();
            hank_server *v = NULL;
            hk_fault_plan(faults[i].kind, nth, faults[i].error);
            int rc = hank_server_open("tcp://both.hank.test:0", NULL, &v);
            more = hk_fault_hit();
            hk_fault_clear();
            MUST(rc == 0 || (more && v == NULL));
            MUST(rc < 0 || doors_of(v) == 2);
            hank_server_free(v);
            MUST(open_fds() == fds);
        }
    }
    return 0;
}

Test(doors, are_all_there_or_none_whatever_fails, .init = start_server, .fini = stop_server)
{
    with_workers(1, all_or_nothing, NULL);
}
#endif
