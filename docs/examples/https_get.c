/* SPDX-License-Identifier: MIT */
/* https_get.c - ask a web server for "/" over TLS and print what comes.
 *
 *     https_get tls://example.org:443 [CA_FILE [SERVER_NAME]]
 *
 * Without CA_FILE the system decides whom to trust. Needs hank_tls. */
#include <hank.h>
#include <hank/tls.h>

#include <stdio.h>
#include <string.h>

static int get(hank_stream *s)
{
    static const char request[] = "GET / HTTP/1.0\r\nHost: test\r\n\r\n";
    char buf[4096];
    int rc = hank_write(s, request, sizeof request - 1);
    if (rc < 0)
        return rc;
    for (;;) {
        ssize_t n = hank_read(s, buf, sizeof buf);
        if (n <= 0)
            return (int)n; /* 0: all has come. A connection that was cut off is no end */
        (void)fwrite(buf, 1, (size_t)n, stdout);
    }
}

static int app(void *arg)
{
    char **arguments = arg;
    hank_tls_options options = {0};
    if (arguments[2]) {
        options.ca_file = arguments[2];
        options.server_name = arguments[3];
    }
    hank_tls *tls;
    int rc = hank_tls_new(&options, &tls);
    if (rc < 0)
        return rc;
    hank_stream *s;
    rc = hank_within(HANK_SEC(30), hank_tls_connect(tls, arguments[1], &s));
    if (rc == 0) {
        rc = get(s);
        hank_close(s);
    }
    hank_tls_free(tls);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s tls://host:port [CA_FILE [SERVER_NAME]]\n", argv[0]);
        return 2;
    }
    int rc = hank_run(app, argv);
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", hank_strerror(rc));
    return rc < 0;
}
