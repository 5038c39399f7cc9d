/* SPDX-License-Identifier: MIT */
/* curl_multi.c - libcurl's multi interface in a task: as many transfers at a time as tasks.
 *
 *     curl_multi URL */
#include <hank.h>

#include <curl/curl.h>
#include <stdio.h>

enum { TRANSFERS = 10 };

/* What libcurl waits for. One address family, one transfer: one socket at a time. */
typedef struct transfer {
    const char *url;
    CURLM *multi;
    curl_socket_t socket;
    int events;
    hank_ns timeout;
    size_t bytes;
} transfer;

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *unused)
{
    transfer *t = arg;
    (void)easy, (void)unused;
    t->socket = what == CURL_POLL_REMOVE ? CURL_SOCKET_BAD : socket;
    t->events =
        (what & CURL_POLL_IN ? HANK_READABLE : 0) | (what & CURL_POLL_OUT ? HANK_WRITABLE : 0);
    return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *arg)
{
    (void)multi;
    ((transfer *)arg)->timeout = milliseconds < 0 ? HANK_FOREVER : HANK_MS(milliseconds);
    return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    ((transfer *)arg)->bytes += size * n;
    return size * n;
}

/* Wait for the socket or the timer, and tell libcurl which it was. */
static int step(transfer *t, int *ret_running)
{
    int rc = 0;
    if (t->socket != CURL_SOCKET_BAD && t->events)
        rc = hank_within(t->timeout, hank_fd_wait(t->socket, t->events));
    else
        rc = hank_sleep(t->timeout);
    if (hank_stopped() < 0)
        return hank_stopped();
    curl_socket_t which = rc > 0 ? t->socket : CURL_SOCKET_TIMEOUT;
    int what = (rc > 0 && rc & HANK_READABLE ? CURL_CSELECT_IN : 0) |
               (rc > 0 && rc & HANK_WRITABLE ? CURL_CSELECT_OUT : 0);
    return curl_multi_socket_action(t->multi, which, what, ret_running) == CURLM_OK ? 0 : -EIO;
}

static int fetch(void *arg)
{
    transfer *t = arg;
    CURL *easy = curl_easy_init();
    t->multi = curl_multi_init();
    int running = 1, left, rc = easy && t->multi ? 0 : -ENOMEM;
    if (rc == 0) {
        (void)curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        (void)curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
        (void)curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        (void)curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
        (void)curl_easy_setopt(easy, CURLOPT_URL, t->url);
        (void)curl_easy_setopt(easy, CURLOPT_IPRESOLVE, CURL_IPRESOLVE_V4);
        (void)curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
        (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
        (void)curl_multi_add_handle(t->multi, easy);
    }
    while (rc == 0 && running > 0)
        rc = step(t, &running);
    CURLMsg *message = rc == 0 ? curl_multi_info_read(t->multi, &left) : NULL;
    if (rc == 0 && (!message || message->data.result != CURLE_OK))
        rc = -EIO;
    (void)curl_multi_remove_handle(t->multi, easy);
    curl_easy_cleanup(easy);
    (void)curl_multi_cleanup(t->multi);
    return rc;
}

static int app(void *arg)
{
    transfer transfers[TRANSFERS];
    hank_task tasks[TRANSFERS];
    for (int i = 0; i < TRANSFERS; i++) {
        transfers[i] = (transfer){.url = arg, .socket = CURL_SOCKET_BAD};
        /* libcurl puts its buffers on the heap, but names and dates on the stack. */
        tasks[i] = hank_spawn_with(fetch, &transfers[i], .stack_size = 256 * 1024);
    }
    int rc = hank_gather_n(tasks, TRANSFERS, NULL);
    for (int i = 0; rc == 0 && i < TRANSFERS; i++)
        if (transfers[i].bytes != transfers[0].bytes)
            rc = -EIO;
    if (rc == 0)
        (void)printf("%d times %zu bytes\n", TRANSFERS, transfers[0].bytes);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    int rc = hank_run(app, argv[1]);
    curl_global_cleanup();
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", hank_strerror(rc));
    return rc < 0;
}
