/* SPDX-License-Identifier: MIT */
/* listener_test.c - several listeners at one port, and one for both families. */
#include "api/support.h"

enum { LISTENERS = 3, CLIENTS = 96 };

typedef struct door {
    hank_listener *l;
    HK_ATOMIC(int) came;
} door;

static int accept_all(void *arg)
{
    door *d = arg;
    hank_stream *s;
    int rc;
    while ((rc = hank_accept(d->l, &s)) == 0) {
        (void)hk_add_relaxed(&d->came, 1);
        hank_close(s);
    }
    return rc;
}

static int all_came(door doors[LISTENERS])
{
    int sum = 0;
    for (int i = 0; i < LISTENERS; i++)
        sum += hk_load_relaxed(&doors[i].came);
    return sum;
}

/* The kernel picks one by the port of the client: none of three goes empty but once in 10^16. */
static int share_port(void *arg)
{
    char name[64] = "tcp://127.0.0.1:0";
    hank_listen_options share = {.reuse_port = true};
    door doors[LISTENERS] = {0};
    hank_task tasks[LISTENERS];
    (void)arg;
    for (int i = 0; i < LISTENERS; i++) {
        MUST(hank_listen_opt(name, &share, &doors[i].l) == 0);
        MUST(hank_listener_name(doors[i].l, name, sizeof name) == 0);
        tasks[i] = hank_spawn(accept_all, &doors[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        hank_stream *s;
        MUST(hank_connect(name, &s) == 0);
        hank_close(s);
    }
    YIELD_UNTIL(all_came(doors) == CLIENTS);
    for (int i = 0; i < LISTENERS; i++) {
        CHECK(hk_load_relaxed(&doors[i].came) > 0);
        MUST(hank_cancel(tasks[i]) == 0 && hank_await(tasks[i]) == -ECANCELED);
        hank_listener_close(doors[i].l);
    }
    return 0;
}

Test(listeners, that_say_so_share_a_port_and_all_of_them_get_clients)
{
    with_each_size(share_port, NULL);
}

static int claim_port(void *arg)
{
    char name[64];
    hank_listener *l, *other;
    hank_listen_options share = {.reuse_port = true};
    (void)arg;
    MUST(hank_listen("tcp://127.0.0.1:0", &l) == 0);
    MUST(hank_listener_name(l, name, sizeof name) == 0);
    MUST(hank_listen_opt(name, &share, &other) == -EADDRINUSE);
    hank_listener_close(l);
    return 0;
}

Test(listeners, share_no_port_with_one_that_does_not_say_so)
{
    with_each_size(claim_port, NULL);
}

static int accept_from(hank_listener *l, const char *host, const char *port)
{
    char where[64], byte;
    hank_stream *client, *server;
    snprintf(where, sizeof where, "tcp://%s%s", host, port);
    MUST(hank_connect(where, &client) == 0);
    MUST(hank_accept(l, &server) == 0);
    MUST(hank_write(client, "x", 1) == 0 && hank_read(server, &byte, 1) == 1);
    hank_close(client);
    hank_close(server);
    return 0;
}

static int listen_everywhere(void *arg)
{
    char name[64];
    hank_listener *l;
    (void)arg;
    int rc = hank_listen("tcp://[::]:0", &l);
    if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL)
        return 0; /* there is no IPv6 */
    MUST(rc == 0 && hank_listener_name(l, name, sizeof name) == 0);
    MUST(accept_from(l, "[::1]", strrchr(name, ':')) == 0);
    MUST(accept_from(l, "127.0.0.1", strrchr(name, ':')) == 0);
    hank_listener_close(l);
    return 0;
}

Test(listeners, at_any_address_of_ipv6_take_connections_of_ipv4_too)
{
    with_each_size(listen_everywhere, NULL);
}
