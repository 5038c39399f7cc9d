/* SPDX-License-Identifier: MIT */
/* echo_server.c - the server under load in the echo benchmark: what comes in goes out again.
 *
 *   echo_server [WHERE [WORKERS]]       prints the address it listens on, which port 0 leaves
 *                                       to the system, and serves until it is killed */
#include <hank.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* 50 ms of computing, for a message that asks for it; see load.c. */
static void compute(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* cannot fail for this clock */
    long end = t.tv_sec * 1000 + t.tv_nsec / 1000000 + 50;
    while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < end)
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
}

static int echo(hank_stream *s, void *arg)
{
    (void)arg;
    char buffer[1024];
    ssize_t n;
    while ((n = hank_read(s, buffer, sizeof buffer)) > 0) {
        if (buffer[0] == 'H')
            compute();
        int rc = hank_write(s, buffer, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return (int)n;
}

static int serve(void *where)
{
    hank_listener *listener;
    int rc = hank_listen(where, &listener);
    if (rc < 0)
        return rc;
    char name[64];
    rc = hank_listener_name(listener, name, sizeof name);
    if (rc >= 0) {
        printf("listening on %s\n", name);
        (void)fflush(stdout);
        rc = hank_serve(listener, echo, NULL);
    }
    hank_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    char anywhere[] = "tcp://127.0.0.1:0";
    char *where = argc > 1 ? argv[1] : anywhere;
    unsigned workers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    int rc = hank_run_with(serve, where, .workers = workers);
    if (rc < 0)
        fprintf(stderr, "echo_server: %s\n", hank_strerror(rc));
    return rc < 0;
}
