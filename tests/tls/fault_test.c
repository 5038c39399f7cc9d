/* SPDX-License-Identifier: MIT */
/* fault_test.c - whatever call of the system fails beneath TLS, and whichever time: contexts
 * are made, connections come about, talk and end, or give a code of their documentation; nothing
 * hangs, nothing is left. That OpenSSL's memory runs out is in memory_test.c. */
#include "tls/tls_support.h"

#include "api/fault_support.h"

#if HK_FAULTS

static bool is_documented(int rc, int injected)
{
    return rc == injected || rc == -EPIPE || rc == -ECONNRESET || rc == -ENOMEM ||
           rc == -ECANCELED || rc == -ETIMEDOUT ||
           (rc <= HANK_TLS_EXPIRED && rc >= HANK_TLS_REVOCATION_UNKNOWN);
}

typedef struct both {
    hank_tls *client, *server;
    hank_listener *l;
    char name[64];
} both;

/* One connection, to its end. */
static int serve(void *arg)
{
    both *b = arg;
    hank_stream *s;
    char line[16];
    int rc = hank_accept(b->l, &s);
    if (rc < 0)
        return rc;
    ssize_t n = hank_read_line(s, line, sizeof line);
    rc = n == 5 ? hank_write(s, line, 5) : n < 0 ? (int)n : -EPIPE;
    if (rc == 0)
        rc = hank_write_end(s);
    hank_close(s);
    return rc;
}

static int ask(void *arg)
{
    both *b = arg;
    hank_stream *s;
    char line[16];
    int rc = hank_tls_connect(b->client, b->name, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, "ping\n", 5);
    ssize_t n = rc < 0 ? rc : hank_read_line(s, line, sizeof line);
    if (n == 5)
        n = hank_read(s, line, 1);
    hank_close(s);
    return (int)n;
}

static int connect_both(both *b)
{
    int rc = hank_listener_name(b->l, b->name, sizeof b->name);
    for (int i = 0; i < 2 && rc == 0; i++) /* the second takes the session up again */
        rc = hank_within(HANK_SEC(20), hank_gather(hank_spawn(serve, b), hank_spawn(ask, b)));
    return rc;
}

static int talk(void *arg)
{
    both b = {0};
    hank_tls_options client = {.ca_file = files.ca}, server = {.certificate = files.good};
    (void)arg;
    int rc = hank_tls_new(&client, &b.client);
    if (rc == 0)
        rc = hank_tls_new(&server, &b.server);
    if (rc == 0)
        rc = hank_tls_listen(b.server, "tls://127.0.0.1:0", NULL, &b.l);
    if (rc == 0)
        rc = connect_both(&b);
    hank_listener_close(b.l);
    hank_tls_free(b.client);
    hank_tls_free(b.server);
    return rc;
}

static int run(unsigned workers)
{
    return hank_run_with(talk, NULL, .workers = workers);
}

Test(tls_fault, of_any_call_is_survived, .init = make_files, .fini = remove_files, .timeout = 900)
{
    walk_io(&(victim){.run = run, .is_clear = is_documented, .workers = 2});
}

#endif
