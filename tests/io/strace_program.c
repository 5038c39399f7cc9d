/* SPDX-License-Identifier: MIT */
/* strace_program.c - for strace_test.sh: serve two clients and end. 0 if that went well or its
 * failure was told; the alarm ends it if it hangs. */
#include <hank.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "say_back.h"

static int serve(void *arg)
{
    return hank_serve(arg, say_back, NULL);
}

static int ask(const char *where)
{
    hank_stream *s;
    char line[64];
    int rc = hank_connect(where, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, "question\n", 9);
    if (rc == 0)
        rc = (int)hank_within(HANK_SEC(2), hank_read_line(s, line, sizeof line));
    hank_close(s);
    return rc < 0 ? rc : rc == 0 ? -EPIPE : rc == 9 && memcmp(line, "question\n", 9) == 0 ? 0 : 1;
}

static int app(void *arg)
{
    (void)arg;
    char name[64];
    hank_listener *l;
    int rc = hank_listen("tcp://127.0.0.1:0", &l);
    if (rc < 0)
        return rc;
    rc = hank_listener_name(l, name, sizeof name);
    hank_task server = hank_spawn(serve, l);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = ask(name);
    hank_cancel(server);
    (void)hank_await(server); /* -ECANCELED, or what was injected */
    hank_listener_close(l);
    return rc;
}

/* With an argument nothing may be said to have failed. */
int main(int argc, char **argv)
{
    (void)argv;
    (void)alarm(20);
    int rc = hank_run_with(app, NULL, .workers = 2);
    printf("%d, %s\n", rc, hank_strerror(rc));
    return argc > 1 ? rc != 0 : rc > 0; /* a wrong answer: never */
}
