/* SPDX-License-Identifier: MIT */
/* download.c - three downloads at once, under one deadline.
 *
 * What a task needs and what it found travel in one struct on its parent's stack: the parent does
 * not go on before its children are done. A server in the same program stands for the world. */
#include <hank.h>

#include <stdio.h>
#include <string.h>

struct download { const char *where; char body[4096]; size_t size; }; /* in, out, out */

static int download(void *arg)
{
    struct download *d = arg;
    hank_stream *s;
    ssize_t n = hank_connect(d->where, &s);
    if (n < 0)
        return (int)n;

    n = hank_write(s, "GET / HTTP/1.0\r\n\r\n", 18);
    while (n >= 0 && d->size < sizeof d->body) {
        n = hank_read(s, d->body + d->size, sizeof d->body - d->size);
        if (n <= 0)
            break;
        d->size += (size_t)n;
    }
    hank_close(s);
    return n < 0 ? (int)n : 0;
}

static int download_three(const char *where)
{
    struct download a = {.where = where}, b = {.where = where}, c = {.where = where};
    int rc = hank_within(HANK_SEC(3), hank_gather(hank_spawn(download, &a),
                                                  hank_spawn(download, &b),
                                                  hank_spawn(download, &c)));
    if (rc < 0)
        fprintf(stderr, "downloads: %s\n", hank_strerror(rc));
    else
        printf("%zu + %zu + %zu bytes\n", a.size, b.size, c.size);
    return rc;
}

static int send_page(hank_stream *s, void *arg)
{
    const char *page = arg;
    char line[256];
    ssize_t n;
    while ((n = hank_read_line(s, line, sizeof line)) > 2) /* "\r\n" ends a request */
        continue;
    return n < 0 ? (int)n : hank_write(s, page, strlen(page));
}

static int serve(void *arg)
{
    char page[] = "HTTP/1.0 200 OK\r\n\r\nThe whole world, in one page.\n";
    return hank_serve(arg, send_page, page);
}

static int app(void *arg)
{
    (void)arg;
    hank_listener *world;
    char where[64];
    int rc = hank_listen("tcp://127.0.0.1:0", &world);
    if (rc < 0)
        return rc;
    rc = hank_listener_name(world, where, sizeof where);
    if (rc == 0) {
        hank_task server = hank_spawn(serve, world);
        rc = download_three(where);
        hank_cancel(server);
        (void)hank_await(server); /* -ECANCELED: we asked for it */
    }
    hank_listener_close(world);
    return rc;
}

int main(void)
{
    return hank_run(app, NULL) != 0;
}
