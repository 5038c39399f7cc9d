/* SPDX-License-Identifier: MIT */
/* server_test.c - servers that speak TLS and end their clients, or have no time for them: both
 * sides are told what they are over TCP. */
#include "tls/tls_support.h"

#include <hank/server.h>

typedef struct site {
    hank_server *v;
    hank_task task;
    char name[64];
    int (*handler)(hank_stream *s, void *arg);
    flag inside, outside; /* handlers that have begun, and that have ended */
    HK_ATOMIC(int) read, wrote;
} site;

static int run_site(void *arg)
{
    site *w = arg;
    return hank_server_run(w->v, w->handler, w);
}

static int open_site(tls_pair *p, site *w, hank_server_options o,
                     int (*handler)(hank_stream *s, void *arg))
{
    hank_listener *l;
    *w = (site){.handler = handler};
    tls_pair_default(p);
    MUST(hank_tls_new(&p->server.options, &p->server.tls) == 0);
    MUST(hank_tls_new(&p->client.options, &p->client.tls) == 0);
    MUST(hank_tls_listen(p->server.tls, "tls://127.0.0.1:0", NULL, &l) == 0);
    MUST(hank_listener_name(l, w->name, sizeof w->name) == 0);
    memcpy(w->name, "tcp", 3);
    MUST(hank_server_adopt(l, &o, &w->v) == 0);
    w->task = hank_spawn(run_site, w);
    return 0;
}

static int close_site(site *w)
{
    int rc = hank_server_stop(w->v, HANK_FOREVER);
    int ran = hank_await(w->task);
    hank_server_free(w->v);
    return rc < 0 ? rc : ran;
}

/* A client, over a connection whose bytes are not TLS yet. */
static int meet(tls_pair *p, site *w, hank_stream **ret)
{
    hank_stream *under;
    MUST(hank_connect(w->name, &under) == 0);
    return hank_tls_client(p->client.tls, under, "localhost", ret);
}

/* What calls answer at the end, twice: it stays so. */
static void note_end(site *w, hank_stream *s)
{
    char byte;
    for (int i = 0; i < 2; i++) {
        hk_store_relaxed(&w->read, (int)hank_read(s, &byte, 1));
        hk_store_relaxed(&w->wrote, hank_write(s, "late\n", 5));
    }
    set(&w->outside);
}

static int echo_to_the_end(hank_stream *s, void *arg)
{
    char buf[64];
    site *w = arg;
    ssize_t n;
    while ((n = hank_read(s, buf, sizeof buf)) > 0 && hank_write(s, buf, (size_t)n) == 0)
        set(&w->inside);
    note_end(w, s);
    return 0;
}

static int ask(hank_stream *s)
{
    char buf[4];
    int rc = hank_write(s, "ping", 4);
    return rc == 0 ? hank_read_exact(s, buf, 4) : rc;
}

/* How many of three who are closed at once read an end. */
static int close_three(tls_pair *p, site *w, int *ret_told)
{
    char byte;
    hank_stream *s[3];
    for (int i = 0; i < 3; i++)
        MUST(meet(p, w, &s[i]) == 0 && ask(s[i]) == 0);
    MUST(hank_server_close_clients(w->v) == 3);
    *ret_told = 0;
    for (int i = 0; i < 3; i++) {
        ssize_t n = hank_read(s[i], &byte, 1);
        MUST(n == 0 || n == HANK_TLS_TRUNCATED);
        *ret_told += n == 0;
        hank_close(s[i]);
    }
    YIELD_UNTIL(hank_server_clients(w->v) == 0);
    MUST(hk_load_relaxed(&w->read) == 0 && hk_load_relaxed(&w->wrote) == -EPIPE);
    return 0;
}

PAIR(clients, that_are_closed_are_told_farewell)
{
    site w;
    int told = 0;
    MUST(open_site(p, &w, (hank_server_options){0}, echo_to_the_end) == 0);
    /* A handler may still compute at that very moment, but not each time. */
    for (int i = 0; i < 50 && told < 3; i++)
        MUST(close_three(p, &w, &told) == 0);
    MUST(told == 3);
    return close_site(&w);
}

PAIR(clients, that_are_closed_before_they_shake_hands_are_cut_off)
{
    site w;
    char byte;
    hank_stream *s;
    MUST(open_site(p, &w, (hank_server_options){0}, echo_to_the_end) == 0);
    MUST(hank_connect(w.name, &s) == 0);
    YIELD_UNTIL(hank_server_clients(w.v) == 1);
    MUST(hank_server_close_clients(w.v) == 1);
    MUST(hank_read(s, &byte, 1) == 0); /* not a word of TLS */
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.read) == 0 && hk_load_relaxed(&w.wrote) == -EPIPE);
    hank_close(s);
    return close_site(&w);
}

static int write_for_ever(hank_stream *s, void *arg)
{
    static const char block[1000];
    site *w = arg;
    set(&w->inside);
    while (hank_write(s, block, sizeof block) == 0)
        continue;
    note_end(w, s);
    return 0;
}

PAIR(clients, that_are_closed_in_the_middle_of_a_write_are_cut_off)
{
    site w;
    char block[4096];
    ssize_t n;
    hank_stream *s;
    MUST(open_site(p, &w, (hank_server_options){0}, write_for_ever) == 0);
    MUST(meet(p, &w, &s) == 0);
    YIELD_UNTIL(is_set(&w.inside));
    MUST(hank_sleep(HANK_MS(50)) == 0); /* by now it waits for room */
    MUST(hank_server_close_clients(w.v) == 1);
    while ((n = hank_read(s, block, sizeof block)) > 0)
        continue;
    MUST(n == HANK_TLS_TRUNCATED);
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.read) == 0 && hk_load_relaxed(&w.wrote) == -EPIPE);
    hank_close(s);
    return close_site(&w);
}

/* A farewell never overtakes what was written before it: that would be no end, but nonsense. */
PAIR(clients, that_are_closed_while_they_read_get_what_makes_sense)
{
    site w;
    char block[4096];
    hank_stream *s;
    MUST(open_site(p, &w, (hank_server_options){0}, write_for_ever) == 0);
    for (int i = 0; i < 60; i++) {
        ssize_t n = 1;
        MUST(meet(p, &w, &s) == 0);
        for (int reads = 0; n > 0; reads++) {
            n = hank_read(s, block, sizeof block);
            if (reads == i % 20)
                MUST(hank_server_close_clients(w.v) >= 1);
        }
        MUST(n == 0 || n == HANK_TLS_TRUNCATED);
        hank_close(s);
    }
    return close_site(&w);
}

PAIR(clients, that_are_broken_get_a_reset)
{
    site w;
    char byte;
    hank_stream *s;
    MUST(open_site(p, &w, (hank_server_options){0}, echo_to_the_end) == 0);
    MUST(meet(p, &w, &s) == 0 && ask(s) == 0);
    MUST(hank_server_abort_clients(w.v) == 1);
    MUST(hank_read(s, &byte, 1) == -ECONNRESET);
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.read) == -ECONNABORTED && hk_load_relaxed(&w.wrote) == -ECONNABORTED);
    hank_close(s);
    return close_site(&w);
}

PAIR(deadline, of_an_idle_connection_ends_it_with_a_farewell)
{
    site w;
    char byte;
    hank_stream *s;
    hank_server_options o = {.idle_timeout = HANK_MS(300)};
    MUST(open_site(p, &w, o, echo_to_the_end) == 0);
    MUST(meet(p, &w, &s) == 0 && ask(s) == 0);
    MUST(hank_read(s, &byte, 1) == 0);
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.read) == -ETIMEDOUT && hk_load_relaxed(&w.wrote) == -ETIMEDOUT);
    hank_close(s);
    return close_site(&w);
}

/* A client that says nothing is ended by a deadline, and not told why. */
static int wait_silently(tls_pair *p, hank_server_options o, int (*handler)(hank_stream *, void *))
{
    site w;
    char byte;
    hank_stream *s;
    MUST(open_site(p, &w, o, handler) == 0);
    MUST(hank_connect(w.name, &s) == 0);
    MUST(hank_read(s, &byte, 1) == 0);
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.read) == -ETIMEDOUT && hk_load_relaxed(&w.wrote) == -ETIMEDOUT);
    hank_close(s);
    return close_site(&w);
}

PAIR(deadline, of_an_idle_connection_counts_before_hands_are_shaken)
{
    return wait_silently(p, (hank_server_options){.idle_timeout = HANK_MS(30)}, echo_to_the_end);
}

static int say_last_words(hank_stream *s, void *arg)
{
    note_end(arg, s);
    return 0;
}

/* Unless this machine is so slow that not even the handshake was in time. */
PAIR(deadline, of_a_header_leaves_last_words)
{
    site w;
    char buf[8];
    hank_stream *s;
    hank_server_options o = {.header_timeout = HANK_MS(300)};
    MUST(open_site(p, &w, o, say_last_words) == 0);
    int rc = meet(p, &w, &s);
    MUST(rc == 0 || rc == HANK_TLS_TRUNCATED);
    if (rc == 0) {
        MUST(hank_read_line(s, buf, sizeof buf) == 5 && strcmp(buf, "late\n") == 0);
        MUST(hank_read_line(s, buf, sizeof buf) == 5);
        MUST(hank_read(s, buf, 1) == 0);
        hank_close(s);
    }
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.read) == -ETIMEDOUT);
    MUST(rc < 0 || hk_load_relaxed(&w.wrote) == 0);
    return close_site(&w);
}

PAIR(deadline, of_a_header_counts_from_before_the_handshake)
{
    /* no last words without a handshake */
    return wait_silently(p, (hank_server_options){.header_timeout = HANK_MS(30)}, say_last_words);
}
