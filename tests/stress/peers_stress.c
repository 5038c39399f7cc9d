/* SPDX-License-Identifier: MIT */
/* peers_stress.c - a server whose peers are other processes: killed in the middle of a line,
 * stopped and continued, more of them than there are descriptors; and the server is stopped itself.
 *
 * After each torment those who are left must be served again; a wrong or lost answer to one of them
 * ends its process with 1; nothing hangs; no descriptor is left. */
#include <hank.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "leftovers.h"

enum { PEERS = 12, KILLED = 4, LINES = 20, SECONDS = 60 };

static int port_pipe[2];
static pid_t peers[PEERS];
static HK_ATOMIC(long) echoed;

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

/* --- the other processes: plain sockets, no hank ---------------------------------------------- */

/* 0: served; 1: nobody there; 2: a wrong answer, or none. */
static int converse(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return 1;
    }
    int verdict = 0;
    for (int i = 0; i < LINES && verdict == 0; i++) {
        char line[64], answer[64];
        int n = snprintf(line, sizeof line, "%d says %d\n", (int)getpid(), i);
        if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
            verdict = 1;
            break;
        }
        int got = 0;
        while (got < n) {
            ssize_t more = recv(fd, answer + got, (size_t)(n - got), 0);
            if (more <= 0)
                break;
            got += (int)more;
        }
        if (got < n) /* the server ends: allowed only then, which the parent sees */
            verdict = 1;
        else if (memcmp(line, answer, (size_t)n) != 0)
            verdict = 2;
    }
    close(fd);
    return verdict;
}

static void be_a_peer(void)
{
    uint16_t port;
    (void)alarm(SECONDS);
    if (read(port_pipe[0], &port, sizeof port) != sizeof port)
        _exit(3);
    int refused = 0;
    while (refused < 20) {
        int verdict = converse(port);
        if (verdict == 2)
            _exit(1);
        refused = verdict == 1 ? refused + 1 : 0;
        pause_ms(verdict == 1 ? 20 : 1);
    }
    _exit(0);
}

/* Stops the server itself for a moment, again and again. */
static void be_a_stopper(void)
{
    pid_t server = getppid();
    (void)alarm(SECONDS);
    for (int i = 0; i < 20; i++) {
        pause_ms(40);
        if (kill(server, SIGSTOP) != 0)
            break;
        pause_ms(20);
        (void)kill(server, SIGCONT);
    }
    _exit(0);
}

/* --- the server ------------------------------------------------------------------------------- */

static int echo(hank_stream *s, void *arg)
{
    char line[64];
    ssize_t n;
    (void)arg;
    while ((n = hank_read_line(s, line, sizeof line)) > 0) {
        if (hank_write(s, line, (size_t)n) < 0)
            break;
        (void)hk_add_relaxed(&echoed, 1L);
    }
    return 0;
}

static int serve(void *arg)
{
    return hank_serve(arg, echo, NULL);
}

/* Those who are left are served again. */
static int progress(const char *after)
{
    long before = hk_load_relaxed(&echoed);
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (hk_load_relaxed(&echoed) < before + 5 * LINES) {
        if (hank_now() > give_up) {
            fprintf(stderr, "after %s: nobody is served any more\n", after);
            return -EPROTO;
        }
        int rc = hank_sleep(HANK_MS(2));
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int kill_some(void)
{
    int rc = 0;
    for (int i = 0; i < KILLED && rc == 0; i++) {
        (void)kill(peers[i], SIGKILL);
        rc = progress("a kill");
    }
    return rc;
}

static int stop_some(void)
{
    int rc = 0;
    for (int i = KILLED; i < 2 * KILLED && rc == 0; i++) {
        (void)kill(peers[i], SIGSTOP);
        rc = progress("a stop");
    }
    for (int i = KILLED; i < 2 * KILLED; i++)
        (void)kill(peers[i], SIGCONT);
    return rc < 0 ? rc : progress("they went on");
}

/* Descriptors for half of the peers; then for all again. */
static int starve(void)
{
    struct rlimit usual, few;
    (void)getrlimit(RLIMIT_NOFILE, &usual);
    few = usual;
    few.rlim_cur = (rlim_t)open_fds() + 1;
    (void)setrlimit(RLIMIT_NOFILE, &few);
    int rc = hank_sleep(HANK_MS(300)); /* some wait in the kernel's line meanwhile */
    (void)setrlimit(RLIMIT_NOFILE, &usual);
    return rc < 0 ? rc : progress("descriptors had run out");
}

static int app(void *arg)
{
    (void)arg;
    char name[64];
    hank_listener *l;
    int rc = hank_listen("tcp://127.0.0.1:0", &l);
    if (rc == 0)
        rc = hank_listener_name(l, name, sizeof name);
    if (rc < 0)
        return rc;
    uint16_t port = (uint16_t)strtol(strrchr(name, ':') + 1, NULL, 10);
    hank_task server = hank_spawn(serve, l);
    for (int i = 0; i < PEERS; i++)
        if (write(port_pipe[1], &port, sizeof port) != sizeof port)
            return -EIO;
    rc = progress("the start");
    for (int round = 0; round < 2 && rc == 0; round++) {
        rc = round == 0 ? kill_some() : 0;
        rc = rc < 0 ? rc : stop_some();
        rc = rc < 0 ? rc : starve();
    }
    hank_cancel(server);
    int ended = hank_await(server);
    hank_listener_close(l);
    return rc < 0 ? rc : ended == -ECANCELED ? 0 : -EPROTO;
}

int main(void)
{
    (void)alarm(2 * SECONDS);
    if (pipe(port_pipe) != 0)
        return 1;
    for (int i = 0; i < PEERS; i++)
        if ((peers[i] = fork()) == 0)
            be_a_peer();
    pid_t stopper = fork();
    if (stopper == 0)
        be_a_stopper();
    int before = open_fds();
    int rc = hank_run_with(app, NULL, .workers = 3);
    int left = open_fds() - before;
    int wrong = 0;
    for (int i = 0; i < PEERS; i++) {
        int status = 0;
        (void)waitpid(peers[i], &status, 0);
        bool as_meant = i < KILLED ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                   : WIFEXITED(status) && WEXITSTATUS(status) == 0;
        wrong += !as_meant;
    }
    (void)kill(getpid(), SIGCONT);
    (void)waitpid(stopper, NULL, 0);
    printf("%s: %ld lines, %d peers ended otherwise than meant, %d descriptors left\n",
           hank_strerror(rc), hk_load_relaxed(&echoed), wrong, left);
    return rc != 0 || wrong || left > 2; /* 2: handles of the process itself */
}
