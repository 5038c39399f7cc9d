/* SPDX-License-Identifier: MIT */
/* handshake_everywhere_test.c - reading certificates, listening, connecting and shaking hands,
 * stopped at each wait in turn, at either end. No descriptor is left and, as AddressSanitizer sees,
 * nothing of OpenSSL's. */
#include "api/everywhere.h"
#include "tls/tls_support.h"

#include <errno.h>

typedef struct meeting {
    tls_pair p;
    hank_listener *l;
    char name[64];
    int fds;
} meeting;

static void arrange(void *state)
{
    meeting *m = state;
    m->fds = lasting_fds();
    CHECK(hank_stream_pair(&m->p.client.under, &m->p.server.under) == 0);
    CHECK(hank_tls_listen(m->p.server.tls, "tls://127.0.0.1:0", NULL, &m->l) == 0);
    CHECK(hank_listener_name(m->l, m->name, sizeof m->name) == 0);
}

/* The stream beneath is the handshake's to close from here on. */
static hank_stream *taken(hank_stream **under)
{
    hank_stream *s = *under;
    *under = NULL;
    return s;
}

/* The client is the last to go: a server still has something to say after its handshake. `s` was
 * made if the result is 0 so far. */
static int speak(int rc, hank_stream *const *s)
{
    char byte = 'x';
    if (rc < 0)
        return rc;
    rc = hank_tls_handshake(*s);
    if (rc == 0)
        rc = hank_write(*s, &byte, 1);
    if (rc == 0)
        rc = (int)hank_read(*s, &byte, 1);
    hank_close(*s);
    return rc;
}

static int listen_to(int rc, hank_stream *const *s)
{
    char byte;
    if (rc < 0)
        return rc;
    rc = hank_tls_handshake(*s);
    if (rc == 0)
        rc = hank_read_exact(*s, &byte, 1);
    hank_close(*s);
    return rc;
}

static int meet_as_client(void *state)
{
    meeting *m = state;
    hank_tls *tls;
    hank_stream *s;
    int rc = hank_tls_new(&m->p.client.options, &tls);
    if (rc < 0)
        return rc;
    rc = speak(hank_tls_client(tls, taken(&m->p.client.under), "localhost", &s), &s);
    hank_tls_free(tls);
    return rc;
}

static int meet_as_server(void *state)
{
    meeting *m = state;
    hank_stream *s;
    return listen_to(hank_tls_server(m->p.server.tls, taken(&m->p.server.under), &s), &s);
}

static int listen_and_connect(void *state)
{
    meeting *m = state;
    hank_listener *l;
    hank_stream *s;
    int rc = hank_tls_listen(m->p.server.tls, "tls://localhost:0", NULL, &l);
    if (rc < 0)
        return rc;
    hank_listener_close(l);
    return speak(hank_tls_connect(m->p.client.tls, m->name, &s), &s);
}

static int accept_one(void *state)
{
    hank_stream *s;
    return listen_to(hank_accept(((meeting *)state)->l, &s), &s);
}

static bool everybody_has_left(void *state, int rc, bool stopped)
{
    meeting *m = state;
    hank_close(taken(&m->p.client.under)); /* if nobody came to take them */
    hank_close(taken(&m->p.server.under));
    hank_listener_close(m->l);
    hank_ns give_up = hank_now() + HANK_SEC(10);
    while (lasting_fds() > m->fds && hank_now() < give_up) /* a lookup that was left behind */
        (void)hank_yield();
    bool is_stop = stopped && (rc == -ECANCELED || rc == -ETIMEDOUT);
    return lasting_fds() <= m->fds && (rc == 0 || is_stop);
}

static int walk(meeting *m, hank_fn body, hank_fn partner)
{
    MUST(everywhere(&(everywhere_scenario){arrange, body, partner, everybody_has_left, m}) == 0);
    MUST(everywhere_stops() > 0);
    return 0;
}

static int walk_all(void *arg)
{
    meeting m = {.p = {.client.result = -1, .server.result = -1}}; /* they have no streams */
    (void)arg;
    tls_pair_default(&m.p);
    MUST(hank_tls_new(&m.p.client.options, &m.p.client.tls) == 0);
    MUST(hank_tls_new(&m.p.server.options, &m.p.server.tls) == 0);
    MUST(walk(&m, meet_as_client, meet_as_server) == 0);
    MUST(walk(&m, meet_as_server, meet_as_client) == 0);
    MUST(walk(&m, listen_and_connect, accept_one) == 0);
    tls_pair_close(&m.p);
    return 0;
}

Test(handshake, may_be_stopped_at_any_wait, .timeout = 170, .init = make_files,
     .fini = remove_files)
{
    with_each_size(walk_all, NULL);
}
