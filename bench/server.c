/* SPDX-License-Identifier: MIT */
/* server.c - the least server of each kind, under load in the benchmarks of echo and http_least.
 *
 *   server echo|http [WHERE [WORKERS]]  prints the address it listens on, which port 0 leaves
 *                                       to the system, and serves until it is killed
 *
 * echo: what comes in goes out again. http: whatever ends in an empty line has the same answer, as
 * from the servers in peers/; docs/examples/http_server.c is one that reads what it is asked. */
#include <hank.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peers/floor/server.h"

enum { BUFFER_BYTES = 1024 };

struct server {
    char *where;
    int (*client)(hank_stream *s, void *arg);
};

static int echo(hank_stream *s, void *arg)
{
    (void)arg;
    char buffer[BUFFER_BYTES];
    ssize_t n;
    while ((n = hank_read(s, buffer, sizeof buffer)) > 0) {
        server_hog(buffer);
        int rc = hank_write(s, buffer, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return (int)n;
}

/* Answer every request that ends in these bytes; how many of them belong to the next, or a negative
 * errno. */
static ssize_t answer(hank_stream *s, const char *bytes, size_t n)
{
    static const char text[] = SERVER_ANSWER;
    const char *at = bytes, *end = bytes + n, *found;
    while ((found = memmem(at, (size_t)(end - at), "\r\n\r\n", 4))) {
        int rc = hank_write(s, text, sizeof text - 1);
        if (rc < 0)
            return rc;
        at = found + 4;
    }
    return end - at;
}

static int http(hank_stream *s, void *arg)
{
    (void)arg;
    char buffer[BUFFER_BYTES];
    size_t held = 0; /* the beginning of a request whose end has not arrived */
    ssize_t n = 0;
    while (held < sizeof buffer && (n = hank_read(s, buffer + held, sizeof buffer - held)) > 0) {
        size_t all = held + (size_t)n;
        n = answer(s, buffer, all);
        if (n < 0)
            break;
        held = (size_t)n;
        memmove(buffer, buffer + all - held, held);
    }
    return n < 0 ? (int)n : 0;
}

static int serve(void *arg)
{
    const struct server *server = arg;
    hank_listener *listener;
    int rc = hank_listen(server->where, &listener);
    if (rc < 0)
        return rc;
    char name[64];
    rc = hank_listener_name(listener, name, sizeof name);
    if (rc >= 0) {
        printf("listening on %s\n", name);
        (void)fflush(stdout);
        rc = hank_serve(listener, server->client, NULL);
    }
    hank_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    char anywhere[] = "tcp://127.0.0.1:0";
    bool speaks_http = argc > 1 && strcmp(argv[1], "http") == 0;
    if (argc < 2 || (!speaks_http && strcmp(argv[1], "echo") != 0)) {
        fprintf(stderr, "usage: %s echo|http [WHERE [WORKERS]]\n", argv[0]);
        return 2;
    }
    struct server server = {.where = argc > 2 ? argv[2] : anywhere,
                            .client = speaks_http ? http : echo};
    unsigned workers = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
    int rc = hank_run_with(serve, &server, .workers = workers);
    if (rc < 0)
        fprintf(stderr, "server: %s\n", hank_strerror(rc));
    return rc < 0;
}
