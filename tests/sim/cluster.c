/* SPDX-License-Identifier: MIT */
/* cluster.c - ten hours of an echo cluster in seconds (one hour under AddressSanitizer): three
 * servers on addresses of their own, and clients that come back every half minute, are cut off now
 * and then, and connect again.
 *
 * What must hold: every answer is what was asked, hours pass, and almost all questions of a client
 * are answered. */
#include "base/compiler.h"
#include "sim/sim_support.h"

enum { HOURS = HK_ASAN ? 1 : 10, SECONDS = HOURS * 3600 };
enum { SERVERS = 3, CLIENTS = 6, PERIOD = 30, MESSAGE = 200 };

typedef struct server {
    char where[40];
    hank_listener *listener;
} server;

typedef struct client {
    unsigned number;
    unsigned asked;
    unsigned answered;
    unsigned connects;
} client;

static server servers[SERVERS];

static int echo(hank_stream *s, void *arg)
{
    char buf[64];
    ssize_t n;
    (void)arg;
    while ((n = hank_read(s, buf, sizeof buf)) > 0) {
        int rc = hank_write(s, buf, (size_t)n);
        if (rc < 0)
            return 0; /* cut off */
    }
    return 0;
}

static int serve(void *arg)
{
    return hank_serve(((server *)arg)->listener, echo, NULL);
}

/* 0: the answer was right. -EPROTO: it was wrong. Else the connection is of no more use. */
static int ask(hank_stream *s, unsigned what)
{
    char question[MESSAGE], reply[MESSAGE];
    for (int i = 0; i < MESSAGE; i++)
        question[i] = (char)(what * 31 + (unsigned)i);
    int rc = hank_write(s, question, MESSAGE);
    if (rc >= 0)
        rc = hank_read_exact(s, reply, MESSAGE);
    return rc < 0 ? rc : memcmp(question, reply, MESSAGE) == 0 ? 0 : -EPROTO;
}

static int live(void *arg)
{
    client *c = arg;
    hank_stream *s = NULL;
    hank_ns end = hank_now() + HANK_SEC(SECONDS);
    while (hank_now() < end) {
        if (!s && hank_connect(servers[(c->number + c->connects++) % SERVERS].where, &s) < 0)
            s = NULL;
        int rc = s ? hank_within(HANK_SEC(10), ask(s, c->asked++)) : -ENOTCONN;
        MUST(rc != -EPROTO);
        c->answered += rc == 0;
        if (rc < 0) {
            hank_close(s);
            s = NULL;
        }
        MUST(hank_sleep(HANK_SEC(PERIOD)) == 0);
    }
    hank_close(s);
    return 0;
}

static int app(void *arg)
{
    hank_group serving = {.flags = HANK_KEEP_GOING}, living = {0};
    client clients[CLIENTS] = {0};
    (void)arg;
    for (unsigned i = 0; i < SERVERS; i++) {
        (void)snprintf(servers[i].where, sizeof servers[i].where, "tcp://10.0.0.%u:4000", i + 1);
        MUST(hank_listen(servers[i].where, &servers[i].listener) == 0);
        MUST(hank_group_spawn(&serving, serve, &servers[i]) == 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].number = i;
        MUST(hank_group_spawn(&living, live, &clients[i]) == 0);
    }
    MUST(hank_group_wait(&living) == 0);
    hank_group_cancel(&serving);
    (void)hank_group_wait(&serving); /* -ECANCELED each: we asked for it */
    for (unsigned i = 0; i < CLIENTS; i++) {
        MUST(clients[i].asked > SECONDS / (PERIOD + 15));
        MUST(clients[i].answered > clients[i].asked / 10 * 9);
    }
    for (unsigned i = 0; i < SERVERS; i++)
        hank_listener_close(servers[i].listener);
    return 0;
}

static int program(void *arg)
{
    return hank_run_with(app, arg, .workers = 3);
}

int main(void)
{
    hank_sim_report r;
    hank_sim_options options = {.seed = 1, .reset = 200, .accept = 20};
    int rc = hank_sim_run(program, NULL, &options, &r);
    note(rc == 0, "hours of an echo cluster", "steps", (unsigned long long)r.steps);
    note(r.elapsed >= HANK_SEC(SECONDS), "hours passed", "seconds",
         (unsigned long long)(r.elapsed / HANK_SEC(1)));
    return failures != 0;
}
