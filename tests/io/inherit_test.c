/* SPDX-License-Identifier: MIT */
/* inherit_test.c - a program that is started by whatever means sees no descriptor of hank's. */
#include "api/support.h"

#include <hank/datagram.h>
#include <hank/file.h>
#include <hank/process.h>
#include <hank/server.h>
#include <hank/unix.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 4096 };

/* The descriptors above 2 that a child has, with what is behind them, as the system starts one. */
static void look_as_child(char ret_seen[SEEN_MAX])
{
    static const char script[] = "i=3; while [ $i -lt 200 ]; do "
                                 "[ -e /proc/self/fd/$i ] && echo $i; i=$((i + 1)); done";
    FILE *child = popen(script, "r");
    size_t n = child ? fread(ret_seen, 1, SEEN_MAX - 1, child) : 0;
    ret_seen[n] = '\0';
    if (child)
        (void)pclose(child);
}

static char seen_before[SEEN_MAX];

typedef struct everything {
    hank_listener *listener, *local;
    hank_stream *client, *server, *pair[2], *pipe[2];
    hank_endpoint *udp;
    hank_file *file;
    hank_dir *directory;
    hank_process *process;
} everything;

static int open_everything(everything *e)
{
    static const char *const cat[] = {"cat", NULL};
    char name[64], where[64];
    hank_process_options pipes = {
        .in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE, .err = HANK_STDIO_PIPE};
    (void)snprintf(where, sizeof where, "unix://@hank-inherit-%d", (int)getpid());
    MUST(hank_listen("tcp://127.0.0.1:0", &e->listener) == 0);
    MUST(hank_listen(where, &e->local) == 0);
    MUST(hank_listener_name(e->listener, name, sizeof name) == 0);
    MUST(hank_connect(name, &e->client) == 0);
    MUST(hank_accept(e->listener, &e->server) == 0);
    MUST(hank_stream_pair(&e->pair[0], &e->pair[1]) == 0);
    MUST(hank_pipe(&e->pipe[0], &e->pipe[1]) == 0);
    MUST(hank_endpoint_open("udp://127.0.0.1:0", NULL, NULL, &e->udp) == 0);
    MUST(hank_file_open("/dev/null", O_RDONLY, 0, &e->file) == 0);
    MUST(hank_dir_open("/", &e->directory) == 0);
    MUST(hank_process_spawn(cat, &pipes, &e->process) == 0);
    return 0;
}

static void close_everything(everything *e)
{
    hank_process_close(e->process);
    hank_dir_close(e->directory);
    hank_file_close(e->file);
    hank_endpoint_close(e->udp);
    for (int i = 0; i < 2; i++) {
        hank_close(e->pair[i]);
        hank_close(e->pipe[i]);
    }
    hank_close(e->client);
    hank_close(e->server);
    hank_listener_close(e->local);
    hank_listener_close(e->listener);
}

static int start_a_child(void *arg)
{
    everything e = {0};
    char seen[SEEN_MAX], passed[1] = "", byte;
    int fds[2] = {-1, -1};
    size_t n = 1;
    (void)arg;
    MUST(open_everything(&e) == 0);
    MUST(hank_send_fds(e.pair[0], passed, 1, &(int){2}, 1) == 0);
    MUST(hank_recv_fds(e.pair[1], &byte, 1, fds, &n) == 1 && n == 1);
    look_as_child(seen);
    if (strcmp(seen, seen_before) != 0)
        cr_log_error("seen: %s", seen);
    CHECK(strcmp(seen, seen_before) == 0);
    (void)close(fds[0]);
    close_everything(&e);
    return 0;
}

Test(inherit, nothing_of_what_is_open)
{
    look_as_child(seen_before);
    with_each_size(start_a_child, NULL);
}

/* That the look would show one. */
Test(inherit, what_is_said_to_be)
{
    char seen[SEEN_MAX], wanted[16];
    int fd = open("/dev/null", O_RDONLY);
    look_as_child(seen);
    (void)snprintf(wanted, sizeof wanted, "%d\n", fd);
    cr_expect_not_null(strstr(seen, wanted));
    (void)close(fd);
}
