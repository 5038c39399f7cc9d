/* SPDX-License-Identifier: MIT */
/* echo_server.c - what comes in goes out again, for any number of clients.
 *
 * A task a connection, straight-line code in each. Here the clients live in the same program, and
 * when the last of them is content the server is cancelled. */
#include <hank.h>

#include <stdio.h>
#include <string.h>

enum { CLIENTS = 10 };

static int echo(hank_stream *s, void *arg)
{
    (void)arg;
    char buf[4096];
    for (;;) {
        ssize_t n = hank_read(s, buf, sizeof buf);
        if (n <= 0)
            return (int)n;
        int rc = hank_write(s, buf, (size_t)n);
        if (rc < 0)
            return rc;
    }
}

static int serve(void *listener)
{
    return hank_serve(listener, echo, NULL);
}

static int client(void *where)
{
    char answer[64];
    hank_stream *s;
    int rc = hank_connect(where, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, "is there anybody?\n", 18);
    ssize_t n = rc < 0 ? rc : hank_read_line(s, answer, sizeof answer);
    hank_close(s);
    if (n < 0)
        return (int)n;
    return n > 0 && strcmp(answer, "is there anybody?\n") == 0 ? 0 : -EPROTO;
}

static int app(void *arg)
{
    (void)arg;
    hank_listener *l;
    char where[64];
    int rc = hank_listen("tcp://127.0.0.1:0", &l);
    if (rc < 0)
        return rc;
    rc = hank_listener_name(l, where, sizeof where);
    if (rc == 0) {
        hank_task server = hank_spawn(serve, l);
        hank_group clients = {0};
        for (int i = 0; i < CLIENTS; i++)
            (void)hank_group_spawn(&clients, client, where); /* the wait reports every failure */
        rc = hank_within(HANK_SEC(5), hank_group_wait(&clients));
        hank_cancel(server);
        (void)hank_await(server); /* -ECANCELED: we asked for it */
    }
    hank_listener_close(l);
    printf("%d clients: %s\n", CLIENTS, rc < 0 ? hank_strerror(rc) : "all heard their echo");
    return rc;
}

int main(void)
{
    return hank_run_with(app, NULL, .workers = 2) != 0;
}
