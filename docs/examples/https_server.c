/* SPDX-License-Identifier: MIT */
/* https_server.c - answer every request over TLS with a greeting, until SIGTERM.
 *
 *     https_server CERTIFICATE_AND_KEY
 *
 * Needs hank_tls. */
#include <hank.h>
#include <hank/tls.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* One request: lines up to an empty one. */
static int greet(hank_stream *s, void *arg)
{
    static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: 6\r\n\r\nhello\n";
    char line[1024];
    ssize_t n;
    (void)arg;
    hank_scope patience;
    hank_timeout_begin(&patience, HANK_SEC(30));
    do
        n = hank_read_line(s, line, sizeof line); /* the first one shakes hands */
    while (n > 2);
    int rc = n < 0 ? (int)n : hank_write(s, answer, sizeof answer - 1);
    (void)hank_timeout_end(&patience);
    return rc;
}

static int serve(void *arg)
{
    return hank_serve(arg, greet, NULL);
}

static int app(void *arg)
{
    static const char *const protocols[] = {"http/1.0", "http/1.1", NULL};
    char name[64];
    hank_tls *tls;
    hank_listener *l;
    hank_signal term;
    hank_tls_options options = {.certificate = arg, .alpn = protocols};
    int rc = hank_tls_new(&options, &tls);
    if (rc < 0)
        return rc;
    rc = hank_tls_listen(tls, "tls://127.0.0.1:0", NULL, &l);
    if (rc == 0) {
        (void)hank_listener_name(l, name, sizeof name);
        rc = hank_signal_begin(&term, SIGTERM);
        (void)printf("listening on %s\n", name);
        (void)fflush(stdout);
        hank_task server = hank_spawn(serve, l);
        if (rc == 0)
            rc = hank_signal_next(&term);
        hank_signal_end(&term);
        (void)hank_cancel(server);
        (void)hank_await(server);
        hank_listener_close(l);
    }
    hank_tls_free(tls);
    return rc < 0 ? rc : 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CERTIFICATE_AND_KEY\n", argv[0]);
        return 2;
    }
    int rc = hank_run(app, argv[1]);
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", hank_strerror(rc));
    return rc < 0;
}
