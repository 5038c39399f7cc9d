/* SPDX-License-Identifier: MIT */
/* weather.c - what the simulated world does to a program: what is asked for happens, what is not
 * asked for does not, and what is always there is seen too.
 *
 * Each program is run from many seeds and counts, in memory that all runs share, what it met. It
 * speaks to the system's calls, so that nothing of hank hides a short count or an interruption. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/compiler.h"
#include "base/os.h"
#include "sim/sim.h"
#include "sim/sim_support.h"

enum { SEEDS = HK_ASAN ? 40 : 200, MESSAGES = 20, BYTES = 3000 };

typedef enum what {
    LOST,
    DOUBLED,
    OVERTAKEN,
    EARLY, /* a datagram, before delay_min */
    LATE,  /* one after delay_max: sent again, or its reader was stalled */
    CUT,
    NOT_ACCEPTED,
    NOT_KNOWN,
    NO_DESCRIPTOR,
    NOT_ACCEPTED_FOR_DESCRIPTORS,
    NO_ROOM,
    SHORT_SEND,
    SHORT_RECEIVE,
    SHORT_PIPE_WRITE,
    SHORT_PIPE_READ,
    SHORT_FILE_WRITE,
    SHORT_FILE_READ,
    POLL_INTERRUPTED,
    EPOLL_INTERRUPTED,
    FUTEX_INTERRUPTED,
    OTHERS_INTERRUPTED,
    WHATS,
} what;

static unsigned *seen; /* by what; shared with the runs */

/* --- what programs are made of --------------------------------------------------------------- */

/* The result of a call that no signal interrupts. */
static ssize_t plain(ssize_t rc)
{
    seen[OTHERS_INTERRUPTED] += rc == -EINTR;
    return rc;
}

/* Until there is something to read or write, or so long. */
static bool comes(int fd, short events, int64_t timeout)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    int64_t until = hk_os_now() + timeout;
    int rc;
    do
        rc = hk_os_poll(&wanted, 1, until - hk_os_now());
    while (rc == -EINTR && hk_os_now() < until);
    return rc > 0;
}

static int socket_at(int type, struct sockaddr_in *ret_at)
{
    socklen_t length = sizeof *ret_at;
    *ret_at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = hk_os_socket(AF_INET, type, 0);
    MUST(fd >= 0 && hk_os_bind(fd, (const struct sockaddr *)ret_at, sizeof *ret_at) == 0);
    MUST(hk_os_getsockname(fd, (struct sockaddr *)ret_at, &length) == 0);
    return fd;
}

static int connect_to(int type, const struct sockaddr_in *at)
{
    int fd = hk_os_socket(AF_INET, type, 0);
    int rc = fd < 0 ? fd : hk_os_connect(fd, (const struct sockaddr *)at, sizeof *at);
    return rc < 0 && rc != -EINPROGRESS ? rc : fd;
}

/* --- programs -------------------------------------------------------------------------------- */

static int post_and_fetch(void *arg)
{
    struct sockaddr_in at;
    int to = socket_at(SOCK_DGRAM, &at), from = connect_to(SOCK_DGRAM, &at);
    unsigned times[MESSAGES] = {0};
    int last = -1, n;
    int64_t sent_at = hk_os_now();
    (void)arg;
    MUST(to >= 0 && from >= 0);
    for (int i = 0; i < MESSAGES; i++)
        MUST(plain(hk_os_send(from, &i, sizeof i)) == sizeof i);
    int64_t all_sent = hk_os_now();
    while (comes(to, POLLIN, HANK_SEC(1))) {
        int64_t now = hk_os_now();
        MUST(plain(hk_os_recv(to, &n, sizeof n, 0)) == sizeof n && n >= 0 && n < MESSAGES);
        seen[EARLY] += now < sent_at + hk_sim_options.delay_min;
        seen[LATE] += now > all_sent + hk_sim_options.delay_max + HANK_MS(100);
        seen[OVERTAKEN] += n < last;
        last = n;
        seen[DOUBLED] += times[n]++ > 0;
    }
    for (int i = 0; i < MESSAGES; i++)
        seen[LOST] += times[i] == 0;
    return hk_os_close(to) | hk_os_close(from);
}

/* From one end to the other. 0, or what it ended with. */
static int carry(int from, int to)
{
    static const char sent[BYTES];
    char got[BYTES];
    size_t out = 0, in = 0;
    while (in < BYTES) {
        ssize_t rc = out < BYTES ? plain(hk_os_send(from, sent, BYTES - out)) : 0;
        if (rc < 0 && rc != -EAGAIN)
            return (int)rc;
        seen[SHORT_SEND] += rc > 0 && rc < (ssize_t)(BYTES - out);
        out += rc > 0 ? (size_t)rc : 0;
        (void)comes(to, POLLIN, HANK_SEC(1));
        rc = plain(hk_os_recv(to, got, BYTES, 0));
        if (rc <= 0 && rc != -EAGAIN)
            return (int)rc;
        in += rc > 0 ? (size_t)rc : 0;
        seen[SHORT_RECEIVE] += rc > 0 && in < out;
    }
    return 0;
}

static int talk(void *arg)
{
    struct sockaddr_in at;
    char byte;
    int listener = socket_at(SOCK_STREAM, &at);
    (void)arg;
    MUST(listener >= 0 && hk_os_listen(listener, 4) == 0);
    int client = connect_to(SOCK_STREAM, &at);
    MUST(client >= 0 && comes(listener, POLLIN, HANK_SEC(60)));
    int served = hk_os_accept(listener, NULL, NULL);
    MUST(served >= 0 && comes(client, POLLOUT, HANK_SEC(60)));
    int rc = carry(client, served);
    if (rc == 0 && comes(client, POLLIN, HANK_SEC(30))) /* nothing was sent: it is an end */
        rc = (int)plain(hk_os_recv(client, &byte, 1, 0));
    MUST(rc == 0 || rc == -ECONNRESET || rc == -EPIPE || rc == -EAGAIN);
    seen[CUT] += rc < 0;
    return hk_os_close(client) | hk_os_close(served) | hk_os_close(listener);
}

static int accept_some(void *arg)
{
    struct sockaddr_in at;
    int listener = socket_at(SOCK_STREAM, &at), clients[4], served = 0;
    (void)arg;
    MUST(listener >= 0 && hk_os_listen(listener, 4) == 0);
    for (int i = 0; i < 4; i++)
        MUST((clients[i] = connect_to(SOCK_STREAM, &at)) >= 0);
    while (comes(listener, POLLIN, HANK_SEC(1))) {
        int fd = (int)plain(hk_os_accept(listener, NULL, NULL));
        seen[NOT_ACCEPTED] += fd < 0 && fd != -EAGAIN;
        served += fd >= 0;
        MUST(fd < 0 || hk_os_close(fd) == 0);
    }
    MUST(served <= 4);
    for (int i = 0; i < 4; i++)
        MUST(hk_os_close(clients[i]) == 0);
    return hk_os_close(listener);
}

static int look_a_name_up(void *arg)
{
    struct addrinfo *list = NULL;
    (void)arg;
    int rc = hk_os_getaddrinfo("some.host", "80", NULL, &list);
    seen[NOT_KNOWN] += rc < 0;
    if (rc == 0)
        hk_os_freeaddrinfo(list);
    return 0;
}

/* Everything that there is, and then a connection comes. */
static int use_descriptors_up(void *arg)
{
    enum { MOST = 100 };
    struct sockaddr_in at;
    int fds[MOST], n = 0, listener = socket_at(SOCK_STREAM, &at);
    (void)arg;
    MUST(listener >= 0 && hk_os_listen(listener, 1) == 0);
    int client = connect_to(SOCK_STREAM, &at);
    MUST(client >= 0);
    while (n < MOST && (fds[n] = hk_os_socket(AF_INET, SOCK_STREAM, 0)) >= 0)
        n++;
    MUST(n == MOST || fds[n] == -EMFILE);
    seen[NO_DESCRIPTOR] += n < MOST;
    MUST(comes(listener, POLLIN, HANK_SEC(60)));
    int served = hk_os_accept(listener, NULL, NULL);
    seen[NOT_ACCEPTED_FOR_DESCRIPTORS] += served == -EMFILE;
    while (n-- > 0)
        MUST(hk_os_close(fds[n]) == 0);
    if (served == -EMFILE) /* it is still in the line */
        served = hk_os_accept(listener, NULL, NULL);
    MUST(served >= 0);
    return hk_os_close(served) | hk_os_close(client) | hk_os_close(listener);
}

static int use_a_pipe(void *arg)
{
    static const char sent[BYTES];
    char got[BYTES];
    int fds[2];
    (void)arg;
    MUST(hk_os_pipe(fds) == 0);
    ssize_t put = plain(hk_os_write(fds[1], sent, BYTES));
    MUST(put > 0);
    seen[SHORT_PIPE_WRITE] += put < BYTES;
    for (ssize_t in = 0, rc; in < put; in += rc) {
        rc = plain(hk_os_read(fds[0], got, BYTES));
        MUST(rc > 0);
        seen[SHORT_PIPE_READ] += in + rc < put;
    }
    return hk_os_close(fds[0]) | hk_os_close(fds[1]);
}

static int use_a_file(void *arg)
{
    static const char sent[BYTES];
    char got[BYTES];
    ssize_t put, in = 0, rc;
    (void)arg;
    int fd = hk_os_open_mode("/file", O_RDWR | O_CREAT, 0600);
    MUST(fd >= 0);
    for (put = 0; put < BYTES; put += rc) {
        rc = plain(hk_os_pwrite(fd, sent, (size_t)(BYTES - put), put));
        seen[NO_ROOM] += rc == -ENOSPC;
        if (rc < 0)
            break;
        seen[SHORT_FILE_WRITE] += rc < BYTES - put;
    }
    MUST(put == BYTES || rc == -ENOSPC);
    while ((rc = plain(hk_os_pread(fd, got, BYTES, in))) > 0) {
        in += rc;
        seen[SHORT_FILE_READ] += in < put;
    }
    MUST(rc == 0 && in == put);
    return hk_os_close(fd);
}

static int wait_in_vain(void *arg)
{
    enum { WAITS = 300 }; /* few seeds have interruptions, and those not many */
    static HK_ATOMIC(uint32_t) word;
    struct epoll_event event;
    int fds[2], epoll = hk_os_epoll_create();
    (void)arg;
    MUST(epoll >= 0 && hk_os_pipe(fds) == 0);
    struct pollfd wanted = {.fd = fds[0], .events = POLLIN};
    for (int i = 0; i < WAITS; i++) {
        seen[POLL_INTERRUPTED] += hk_os_poll(&wanted, 1, HANK_MS(1)) == -EINTR;
        seen[EPOLL_INTERRUPTED] += hk_os_epoll_wait(epoll, &event, 1, HANK_MS(1)) == -EINTR;
        seen[FUTEX_INTERRUPTED] += hk_os_futex_wait(&word, 0, HANK_MS(1)) == -EINTR;
    }
    return hk_os_close(fds[0]) | hk_os_close(fds[1]) | hk_os_close(epoll);
}

/* In a task, as all of hank's own calls are. `arg` points at one of the above. */
static int program(void *arg)
{
    return hank_run(*(hank_fn *)arg, NULL);
}

/* --- what is expected of them ---------------------------------------------------------------- */

static int run(hank_fn fn, const hank_sim_options *options, hank_sim_report *ret)
{
    return hank_sim_run(program, &fn, options, ret);
}

/* From each seed; what was met is in `seen`. */
static void run_all(hank_fn fn, hank_sim_options options)
{
    memset(seen, 0, WHATS * sizeof *seen);
    options.workers = 1; /* others would only watch */
    for (options.seed = 1; options.seed <= SEEDS; options.seed++) {
        hank_sim_report r;
        if (run(fn, &options, &r) != 0)
            note(false, "a program of the weather", "fails with seed", r.seed);
    }
    note(seen[OTHERS_INTERRUPTED] == 0, "what does not wait is not interrupted", "times",
         seen[OTHERS_INTERRUPTED]);
}

static void expect(bool expected, what w, const char *name)
{
    char text[80];
    (void)snprintf(text, sizeof text, "%s: %s", name, expected ? "happens" : "does not happen");
    note((seen[w] > 0) == expected, text, "times", seen[w]);
}

static void on_request(hank_fn fn, what w, const char *name, hank_sim_options rough)
{
    run_all(fn, (hank_sim_options){0});
    expect(false, w, name);
    run_all(fn, rough);
    expect(true, w, name);
}

static void what_is_asked_for(void)
{
    on_request(post_and_fetch, LOST, "a datagram is lost", (hank_sim_options){.loss = 50});
    expect(false, DOUBLED, "a datagram comes twice, where only losses are asked for");
    on_request(post_and_fetch, DOUBLED, "a datagram comes twice",
               (hank_sim_options){.duplicate = 50});
    expect(false, LOST, "a datagram is lost, where only duplicates are asked for");
    on_request(talk, CUT, "a connection is cut", (hank_sim_options){.reset = 50});
    on_request(accept_some, NOT_ACCEPTED, "an accept fails", (hank_sim_options){.accept = 50});
    on_request(look_a_name_up, NOT_KNOWN, "a lookup fails", (hank_sim_options){.resolve = 50});
    on_request(use_a_file, NO_ROOM, "a disk is full", (hank_sim_options){.disk_bytes = 1000});
    on_request(use_descriptors_up, NO_DESCRIPTOR, "descriptors run out",
               (hank_sim_options){.descriptors = 20});
    expect(true, NOT_ACCEPTED_FOR_DESCRIPTORS, "an accept fails for want of descriptors");
}

static void what_is_always_there(void)
{
    run_all(post_and_fetch, (hank_sim_options){.delay_min = HANK_MS(3), .delay_max = HANK_MS(10)});
    expect(true, OVERTAKEN, "a datagram overtakes another");
    expect(false, EARLY, "a datagram comes before its delay is over");
    expect(true, LATE, "a datagram comes long after it");
    run_all(post_and_fetch, (hank_sim_options){.delay_min = HANK_MS(3)});
    expect(false, EARLY, "a datagram comes before its delay is over, which is all that is given");
    expect(false, LOST, "a datagram is lost to it");
    run_all(talk, (hank_sim_options){0});
    expect(true, SHORT_SEND, "a connection takes a part");
    expect(true, SHORT_RECEIVE, "a connection gives a part");
    run_all(use_a_pipe, (hank_sim_options){0});
    expect(true, SHORT_PIPE_WRITE, "a pipe takes a part");
    expect(true, SHORT_PIPE_READ, "a pipe gives a part");
    run_all(use_a_file, (hank_sim_options){0});
    expect(true, SHORT_FILE_WRITE, "a file takes a part");
    expect(true, SHORT_FILE_READ, "a file gives a part");
    run_all(wait_in_vain, (hank_sim_options){0});
    expect(true, POLL_INTERRUPTED, "a poll is interrupted");
    expect(true, EPOLL_INTERRUPTED, "an epoll is interrupted");
    expect(true, FUTEX_INTERRUPTED, "a futex is interrupted");
}

int main(void)
{
    seen =
        mmap(NULL, WHATS * sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        return 1;
    what_is_asked_for();
    what_is_always_there();
    return failures != 0;
}
