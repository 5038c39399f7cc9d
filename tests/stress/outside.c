/* SPDX-License-Identifier: MIT */
/* outside.c - signals, processes, layers and races of addresses, all at once on every worker: what
 * is counted must be all of it, and nothing may be left. */
#include <hank.h>
#include <hank/layer.h>
#include <hank/unix.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "io/eyeballs.h"

enum { WORKERS = 4, ROUNDS = 30, WATCHERS = 6, TALKERS = 8 };

static HK_ATOMIC(int) ready;
static HK_ATOMIC(int) broken;

static int note(bool fine, const char *what)
{
    if (!fine && hk_add_relaxed(&broken, 1) < 10)
        (void)fprintf(stderr, "not so: %s\n", what);
    return fine ? 0 : -EPROTO;
}

#define SO(condition) note((condition), #condition)

/* --- signals ---------------------------------------------------------------------------------- */

static int watch_all(void *arg)
{
    hank_signal s;
    int heard = 0, rc = hank_signal_begin(&s, SIGUSR1);
    (void)arg;
    if (SO(rc == 0) < 0)
        return rc;
    (void)hk_add_acqrel(&ready, 1);
    while (heard < ROUNDS) {
        rc = hank_within(HANK_MS(1), hank_signal_next(&s));
        heard += rc > 0 ? rc : 0;
        if (SO(rc > 0 || rc == -ETIMEDOUT) < 0)
            break;
    }
    hank_signal_end(&s);
    return SO(heard == ROUNDS);
}

static int send_all(void *arg)
{
    (void)arg;
    while (hk_load_acquire(&ready) < WATCHERS)
        (void)hank_yield();
    for (int i = 0; i < ROUNDS; i++) {
        (void)raise(SIGUSR1); /* handled when it returns: none is merged */
        (void)hank_yield();
    }
    return 0;
}

static int begin_and_end(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        hank_signal s;
        if (SO(hank_signal_begin(&s, SIGUSR2) == 0) < 0)
            return -EPROTO;
        (void)hank_yield();
        hank_signal_end(&s);
    }
    return 0;
}

/* --- processes ---------------------------------------------------------------------------------
 */

static int talk(void *arg)
{
    static const char *const cat[] = {"cat", NULL};
    static const hank_process_options options = {.in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE};
    char text[5000];
    (void)arg;
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 4; i++) {
        hank_process *p;
        hank_process_talk t = {.in = text, .in_size = sizeof text};
        if (SO(hank_process_spawn(cat, &options, &p) == 0) < 0)
            return -EPROTO;
        if (i < 3 && SO(hank_process_communicate(p, &t) == 0) == 0) {
            (void)SO(t.out_size == sizeof text && t.status == 0);
            hank_process_talk_done(&t);
        }
        hank_process_close(p); /* the last one still runs */
    }
    return 0;
}

/* --- layers ------------------------------------------------------------------------------------
 */

static ssize_t pass_read(void *self, void *ret_buf, size_t n)
{
    return hank_read(self, ret_buf, n);
}

static ssize_t pass_write(void *self, const void *buf, size_t n)
{
    int rc = hank_write(self, buf, n);
    return rc < 0 ? rc : (ssize_t)n;
}

static const hank_layer passing = {.read = pass_read, .write = pass_write};

typedef struct reading {
    hank_stream *stream;
    HK_ATOMIC(bool) begun;
} reading;

static int read_to_the_end(void *arg)
{
    reading *r = arg;
    char buf[2];
    ssize_t n = hank_read(r->stream, buf, 1);
    hk_store_release(&r->begun, true);
    do /* while whoever looks for us has been taken for the reader */
        n = n == 1 || n == -EBUSY ? hank_read(r->stream, buf, 1) : n;
    while (n == -EBUSY && hank_yield() == 0);
    return SO(n == -EBADF);
}

/* Whether somebody is inside of a read; the layer may be closed then, and not before. */
static bool is_read(hank_stream *s)
{
    char c;
    return hank_read(s, &c, 0) == -EBUSY;
}

static int close_under_a_reader(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        hank_stream *a, *b;
        reading r = {0};
        if (SO(hank_stream_pair(&a, &b) == 0) < 0 ||
            SO(hank_layer_open(&passing, a, a, &r.stream) == 0) < 0)
            return -EPROTO;
        hank_task t = hank_spawn(read_to_the_end, &r);
        (void)hank_write(b, "x", 1);
        while (!hk_load_acquire(&r.begun) || !is_read(r.stream))
            (void)hank_yield();
        hank_close(r.stream);
        (void)hank_await(t);
        hank_close(b);
    }
    return 0;
}

/* --- races -------------------------------------------------------------------------------------
 */

static int pretend(const hk_address *address, const hank_connect_options *options,
                   hank_stream **ret)
{
    hank_stream *other;
    unsigned port = ntohs(address->socket.in.sin_port);
    (void)options;
    if (port % 3 == 1)
        return -ECONNREFUSED;
    if (port % 3 == 2)
        (void)hank_yield();
    int rc = hank_pipe(ret, &other);
    if (rc == 0)
        hank_close(other);
    return rc;
}

static int race(void *arg)
{
    hk_address list[8] = {{0}};
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        hank_stream *s = NULL;
        for (unsigned k = 0; k < 8; k++) {
            list[k].length = sizeof list[k].socket.in;
            list[k].socket.in.sin_family = AF_INET;
            hk_address_set_port(&list[k], (uint16_t)(i + k));
        }
        if (SO(hk_connect_any(&(hk_candidates){.list = list, .n = 8}, pretend, NULL, &s) == 0) < 0)
            return -EPROTO;
        hank_close(s);
    }
    return 0;
}

static int app(void *arg)
{
    hank_group g = {0};
    (void)arg;
    int rc = 0;
    for (int i = 0; i < WATCHERS && rc >= 0; i++)
        rc = hank_group_spawn(&g, watch_all, NULL);
    for (int i = 0; i < TALKERS && rc >= 0; i++)
        rc = hank_group_spawn(&g, talk, NULL);
    const hank_fn others[] = {send_all, begin_and_end, race, close_under_a_reader};
    for (int i = 0; i < 4 && rc >= 0; i++)
        rc = hank_group_spawn(&g, others[i], NULL);
    int its = hank_group_wait(&g);
    return rc < 0 ? rc : its;
}

int main(void)
{
    (void)alarm(240);
    int rc = hank_run_with(app, NULL, .workers = WORKERS);
    if (rc == 0 && SO(waitpid(-1, NULL, WNOHANG) == -1) < 0)
        rc = -ECHILD;
    if (rc < 0)
        (void)fprintf(stderr, "outside: %s\n", hank_strerror(rc));
    return rc < 0 || hk_load_relaxed(&broken) > 0;
}
