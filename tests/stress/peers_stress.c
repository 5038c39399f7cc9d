/* SPDX-License-Identifier: MIT */
/* peers_stress.c - a server whose peers are other processes: killed in the middle of a line,
 * stopped and continued, accepted when there is no descriptor; and the server is stopped itself.
 *
 * After each torment those who are left must be served again; a wrong or lost answer to one of them
 * ends its process with 1; nothing hangs; no descriptor is left. */
#include <hank.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fault.h"
#include "leftovers.h"

enum { PEERS = 12, KILLED = 4, LINES = 20, SECONDS = 60 };

#define HALF "half a li"

static int port_pipe[2], half_pipe[2];
static pid_t peers[PEERS];
static HK_ATOMIC(long) echoed;
static HK_ATOMIC(int) halves; /* lines that never ended */

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

/* --- the other processes: plain sockets, no hank ---------------------------------------------- */

typedef enum verdict { SERVED, NOBODY_THERE, WRONG_ANSWER } verdict;

/* One line and its answer. That there is none is allowed only when the server ends, which the
 * parent sees. */
static verdict ask(int fd, int number)
{
    char line[64], answer[64];
    int n = snprintf(line, sizeof line, "%d says %d\n", (int)getpid(), number);
    if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
        return NOBODY_THERE;
    for (int got = 0; got < n;) {
        ssize_t more = recv(fd, answer + got, (size_t)(n - got), 0);
        if (more <= 0)
            return NOBODY_THERE;
        got += (int)more;
    }
    return memcmp(line, answer, (size_t)n) == 0 ? SERVED : WRONG_ANSWER;
}

static verdict converse(uint16_t port, int *ret_fd)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *ret_fd = socket(AF_INET, SOCK_STREAM, 0);
    verdict v = connect(*ret_fd, (struct sockaddr *)&to, sizeof to) == 0 ? SERVED : NOBODY_THERE;
    for (int i = 0; i < LINES && v == SERVED; i++)
        v = ask(*ret_fd, i);
    return v;
}

static uint16_t told_port(void)
{
    uint16_t port;
    (void)alarm(SECONDS);
    if (read(port_pipe[0], &port, sizeof port) != sizeof port)
        _exit(3);
    return port;
}

/* Is served, begins a line, says so and never ends it. */
static void be_a_victim(void)
{
    int fd;
    if (converse(told_port(), &fd) != SERVED)
        _exit(1);
    bool begun = send(fd, HALF, strlen(HALF), MSG_NOSIGNAL) == (ssize_t)strlen(HALF);
    if (!begun || write(half_pipe[1], "", 1) != 1)
        _exit(2);
    for (;;)
        pause_ms(1000);
}

static void be_a_peer(void)
{
    uint16_t port = told_port();
    int refused = 0;
    while (refused < 20) {
        int fd;
        verdict v = converse(port, &fd);
        (void)close(fd); /* it was only read and written */
        if (v == WRONG_ANSWER)
            _exit(1);
        refused = v == NOBODY_THERE ? refused + 1 : 0;
        pause_ms(v == NOBODY_THERE ? 20 : 1);
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
        if (strcmp(line, HALF) == 0)
            (void)hk_add_relaxed(&halves, 1);
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

/* Until `n` lines have been seen that will never end. */
static int see_halves(int n)
{
    int rc = 0;
    while (rc == 0 && hk_load_relaxed(&halves) < n)
        rc = hank_sleep(HANK_MS(2));
    return rc;
}

static int kill_some(void)
{
    int rc = 0;
    char begun;
    for (int i = 0; i < KILLED; i++) /* all are served at once, so any order will do */
        if (read(half_pipe[0], &begun, 1) != 1)
            return -EIO;
    for (int i = 0; i < KILLED && rc == 0; i++) {
        (void)kill(peers[i], SIGKILL);
        rc = progress("a kill");
        rc = rc < 0 ? rc : hank_within(HANK_SEC(20), see_halves(i + 1));
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

/* Until several calls of accept have found no descriptor; where calls are not counted, a while. */
static int await_refusals(void)
{
#if HK_FAULTS
    enum { REFUSALS = 3 };
    int rc = 0;
    hk_fault_plan(HK_FAULT_ACCEPT, UINT64_MAX, 0); /* which never comes: only to count */
    while (rc == 0 && hk_fault_count(HK_FAULT_ACCEPT) < REFUSALS)
        rc = hank_sleep(HANK_MS(2));
    hk_fault_clear();
    return rc;
#else
    return hank_sleep(HANK_MS(300));
#endif
}

/* Not one more descriptor: peers wait in the kernel's line. Then as many as before. */
static int starve(void)
{
    enum { STANDARD = 3 };
    struct rlimit usual, none;
    (void)getrlimit(RLIMIT_NOFILE, &usual);
    none = usual;
    none.rlim_cur = STANDARD;
    (void)setrlimit(RLIMIT_NOFILE, &none);
    bool is_out = dup(STDERR_FILENO) < 0 && errno == EMFILE;
    int rc = hank_within(HANK_SEC(20), await_refusals());
    (void)setrlimit(RLIMIT_NOFILE, &usual);
    if (!is_out) {
        fprintf(stderr, "there were descriptors beyond the limit\n");
        return -EPROTO;
    }
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
    if (pipe(port_pipe) != 0 || pipe(half_pipe) != 0)
        return 1;
    for (int i = 0; i < PEERS; i++)
        if ((peers[i] = fork()) == 0)
            (i < KILLED ? be_a_victim : be_a_peer)();
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
