/* SPDX-License-Identifier: MIT */
/* uv_server.c - echo and HTTP on libuv: a loop a thread, as its guide advises.
 *
 * Answers are tried at once and queued only when the socket is full: the fastest way libuv has.
 * Linked statically, as hank is for the benchmarks. */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct pending {
    uv_write_t request;
    char bytes[];
};

static void freed(uv_handle_t *handle)
{
    free(handle);
}

static void written(uv_write_t *request, int status)
{
    (void)status; /* a broken connection is also reported to the reader */
    free(request);
}

static void put(uv_stream_t *stream, char *bytes, size_t n)
{
    uv_buf_t buffer = uv_buf_init(bytes, (unsigned)n);
    int sent = uv_try_write(stream, &buffer, 1);
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == n)
        return;
    struct pending *p = malloc(sizeof *p + n - done);
    if (!p)
        return;
    memcpy(p->bytes, bytes + done, n - done);
    buffer = uv_buf_init(p->bytes, (unsigned)(n - done));
    if (uv_write(&p->request, stream, &buffer, 1, written) < 0)
        free(p);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    static __thread char buffer[65536];
    (void)handle;
    (void)suggested;
    *ret_buffer = uv_buf_init(buffer, sizeof buffer);
}

static void got(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    static char answer[] = SERVER_ANSWER;
    bool http = stream->loop->data != NULL;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, freed);
        return;
    }
    if (!http && n > 0) {
        server_hog(buffer->base);
        put(stream, buffer->base, (size_t)n);
        return;
    }
    const char *at = buffer->base, *end = at + n;
    while ((at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4))) {
        put(stream, answer, sizeof answer - 1);
        at += 4;
    }
}

static void connected(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = status < 0 ? NULL : malloc(sizeof *client);
    if (!client)
        return;
    (void)uv_tcp_init(listener->loop, client); /* cannot fail without a socket */
    if (uv_accept(listener, (uv_stream_t *)client) < 0 ||
        uv_read_start((uv_stream_t *)client, lend_buffer, got) < 0)
        uv_close((uv_handle_t *)client, freed);
}

static void loop(int fd, bool http)
{
    uv_loop_t loop;
    uv_tcp_t listener;
    int rc = uv_loop_init(&loop);
    if (rc < 0)
        return;
    loop.data = http ? &loop : NULL; /* non-NULL: speak HTTP */
    rc = uv_tcp_init(&loop, &listener);
    if (rc == 0)
        rc = uv_tcp_open(&listener, fd);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&listener, SERVER_BACKLOG, connected);
    if (rc == 0)
        rc = uv_run(&loop, UV_RUN_DEFAULT);
    if (rc < 0)
        fprintf(stderr, "libuv: %s\n", uv_strerror(rc));
}

int main(int argc, char **argv)
{
    return server_main(argc, argv, true, loop);
}
