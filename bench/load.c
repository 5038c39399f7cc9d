/* SPDX-License-Identifier: MIT */
/* load.c - a load generator for echo and HTTP servers, one thread of epoll.
 *
 *   load -p PORT [-c CONNECTIONS] [-r RATE] [-x] [-i] [-b MS] [-t] [-s PID,...] [-w SECONDS]
 *        [-d SECONDS] [-u CPU]
 *
 * Closed loop (no -r): every connection always has one message on its way; the next is sent when
 * the answer is complete. It finds the server's greatest rate, but a stalled server also stalls
 * the questions, so its latencies flatter.
 *
 * Fixed rate (-r): message g is due at start + g / RATE and belongs to connection g mod
 * CONNECTIONS. Latency counts from the moment a message was due, whether or not it could be sent
 * then: a stall is charged to every message it delayed. (Gil Tene calls the usual mistake
 * coordinated omission.) In this mode the generator never sleeps and wants a CPU of its own,
 * unless there is a hog.
 *
 * Storm (-x): a connection is for one message: connect, send, receive, close, and again. Each has a
 * source address of its own, so that ports that are still waiting do not run out.
 *
 * Idle (-i): every connection sends one message, says so with a line `ready` when all have been
 * answered, and does nothing more until the standard input ends.
 *
 * Hog (-b): besides, every MS milliseconds another connection sends a message that begins with H,
 * which the echo servers of this directory take for 50 ms of computing. The generator then sleeps
 * until something is due, for the CPU is the server's.
 *
 * -t speaks HTTP instead of a 64-byte echo; the length of an answer is learnt from the first one.
 * -s names the processes of the server, whose CPU time over the measured seconds is then shared
 * among the messages. Output is one line of key=value; times are microseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

enum { ECHO_BYTES = 64, EVENTS = 512, ADDRESSES = 200, NS_PER_SECOND = 1000000000 };

static const char http_request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

struct options {
    uint16_t port;
    long connections;
    double rate; /* messages a second; 0: closed loop */
    bool http, storm, idle;
    double hog_ms;      /* between two bursts; 0: none */
    const char *server; /* process ids; NULL: unknown */
    double warm_up, duration;
    int cpu; /* -1: any */
};

/* Equation: asked - answered is 0 or 1; owed messages have been due while one was on its way.
 * Of the fixed rate, message k of connection i is the (i + k * connections)-th of all. */
struct connection {
    int fd;
    size_t received; /* of the answer that is arriving */
    int64_t sent_at; /* closed loop */
    long answered, asked, owed;
};

struct load {
    struct options o;
    int epoll;
    struct connection *connections;
    const char *message;
    size_t message_bytes, answer_bytes;
    int64_t start, measure_from, stop;
    long due; /* messages that have become due: the next one's number */
    long messages, errors;
    struct histogram latency;
};

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* CPU nanoseconds of another process, all its threads. */
static int64_t cpu_of(pid_t process)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The same of all `processes`, separated by commas. */
static int64_t cpu_of_all(const char *processes)
{
    int64_t sum = 0;
    while (processes && *processes) {
        char *end;
        sum += cpu_of((pid_t)strtol(processes, &end, 10));
        processes = *end == ',' ? end + 1 : NULL;
    }
    return sum;
}

/* `number` picks the source address; 0: the system does. */
static int dial(uint16_t port, long number)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (number > 0) {
        struct sockaddr_in source = {.sin_family = AF_INET};
        source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number % ADDRESSES));
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        (void)bind(fd, (struct sockaddr *)&source, sizeof source); /* else: some other address */
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    return fd;
}

/* The whole length of the answer to one request, or a negative errno. */
static ssize_t probe(const struct load *l)
{
    char buffer[8192];
    size_t n = 0;
    int fd = dial(l->o.port, 0);
    if (fd < 0)
        return fd;
    ssize_t length = -EPROTO;
    ssize_t got = send(fd, l->message, l->message_bytes, MSG_NOSIGNAL);
    while (got > 0 && length < 0) {
        got = recv(fd, buffer + n, sizeof buffer - 1 - n, 0);
        n += got > 0 ? (size_t)got : 0;
        buffer[n] = 0;
        const char *end = strstr(buffer, "\r\n\r\n");
        const char *field = strcasestr(buffer, "content-length:");
        if (end && field && field < end)
            length = end + 4 - buffer + strtol(field + sizeof "content-length:" - 1, NULL, 10);
    }
    (void)close(fd);
    return length;
}

static int open_one(struct load *l, struct connection *c)
{
    long number = c - l->connections + 1;
    c->fd = dial(l->o.port, l->o.storm ? number : 0);
    if (c->fd < 0)
        return c->fd;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) < 0 ? -errno : 0;
}

static int open_all(struct load *l)
{
    int rc = 0;
    for (long i = 0; i < l->o.connections && rc == 0; i++)
        rc = open_one(l, &l->connections[i]);
    return rc;
}

static void ask(struct load *l, struct connection *c)
{
    c->asked++;
    ssize_t n = send(c->fd, l->message, l->message_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n != (ssize_t)l->message_bytes)
        l->errors++; /* the socket buffer was empty, so this is a dead connection */
}

/* Send what has become due by `now`; owe it where the connection is still waiting. */
static void ask_what_is_due(struct load *l, int64_t now)
{
    while (l->start + (int64_t)((double)l->due * 1e9 / l->o.rate) <= now) {
        struct connection *c = &l->connections[l->due++ % l->o.connections];
        if (c->asked == c->answered)
            ask(l, c);
        else
            c->owed++;
    }
}

/* An answer is complete: note how long it took and ask what comes next. */
static void answered(struct load *l, struct connection *c)
{
    int64_t now = now_ns(), since = c->sent_at;
    if (l->o.rate > 0) {
        long number = (long)(c - l->connections) + c->answered * l->o.connections;
        since = l->start + (int64_t)((double)number * 1e9 / l->o.rate);
    }
    c->answered++;
    if (now >= l->measure_from && now < l->stop) {
        l->messages++;
        histogram_add(&l->latency, now - since);
    }
    if (l->o.idle)
        return;
    if (l->o.storm) {
        (void)close(c->fd); /* and with it, its place in the epoll */
        c->sent_at = now_ns();
        if (open_one(l, c) == 0)
            ask(l, c);
        else
            l->errors++;
    } else if (l->o.rate <= 0) {
        c->sent_at = now;
        ask(l, c);
    } else if (c->owed > 0) {
        c->owed--;
        ask(l, c);
    }
}

static void readable(struct load *l, struct connection *c)
{
    static char buffer[65536];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        l->errors++;
        (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, c->fd, NULL); /* closed: no further events */
        return;
    }
    c->received += (size_t)n;
    if (c->received < l->answer_bytes)
        return;
    c->received -= l->answer_bytes;
    answered(l, c);
}

/* Wait for answers: not at all in a hurry, or until the next message is due. */
static int wait_for_answers(struct load *l, struct epoll_event *events)
{
    if (l->o.rate <= 0)
        return epoll_wait(l->epoll, events, EVENTS, 10);
    if (l->o.hog_ms <= 0)
        return epoll_wait(l->epoll, events, EVENTS, 0);
    int64_t next = l->start + (int64_t)((double)l->due * 1e9 / l->o.rate), left = next - now_ns();
    struct timespec timeout = {.tv_nsec = left > 0 ? left % NS_PER_SECOND : 0};
    return epoll_pwait2(l->epoll, events, EVENTS, &timeout, NULL);
}

/* Every hog_ms a message that makes the server compute. */
static void *hog(void *arg)
{
    struct load *l = arg;
    char message[ECHO_BYTES] = "H";
    int64_t step = (int64_t)(l->o.hog_ms * 1e6), next = now_ns();
    int fd = dial(l->o.port, 0);
    while (fd >= 0 && now_ns() < l->stop) {
        size_t got = 0;
        ssize_t n = send(fd, message, sizeof message, MSG_NOSIGNAL);
        while (n > 0 && got < sizeof message) {
            n = recv(fd, message + got, sizeof message - got, 0);
            got += n > 0 ? (size_t)n : 0;
        }
        if (n <= 0)
            break;
        next += step;
        int64_t left = next - now_ns();
        struct timespec pause = {.tv_sec = left > 0 ? left / NS_PER_SECOND : 0,
                                 .tv_nsec = left > 0 ? left % NS_PER_SECOND : 0};
        (void)nanosleep(&pause, NULL); /* cut short by a signal it is merely early */
    }
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}

/* Until the end of the measured seconds; returns the server's CPU nanoseconds during them. */
static int64_t drive(struct load *l)
{
    struct epoll_event events[EVENTS];
    int64_t cpu_before = 0, now = now_ns();
    pthread_t hog_thread;
    bool measuring = false;
    l->start = now;
    l->measure_from = now + (int64_t)(l->o.warm_up * 1e9);
    l->stop = l->measure_from + (int64_t)(l->o.duration * 1e9);
    bool has_hog = l->o.hog_ms > 0 && pthread_create(&hog_thread, NULL, hog, l) == 0;
    for (long i = 0; i < l->o.connections && l->o.rate <= 0; i++) {
        l->connections[i].sent_at = now_ns();
        ask(l, &l->connections[i]);
    }
    while ((now = now_ns()) < l->stop) {
        if (!measuring && now >= l->measure_from) {
            measuring = true;
            cpu_before = cpu_of_all(l->o.server);
        }
        if (l->o.rate > 0)
            ask_what_is_due(l, now);
        int n = wait_for_answers(l, events);
        for (int i = 0; i < n; i++)
            readable(l, events[i].data.ptr);
    }
    int64_t cpu = cpu_of_all(l->o.server) - cpu_before;
    if (has_hog)
        (void)pthread_join(hog_thread, NULL); /* it ends at l->stop, too */
    return cpu;
}

/* One message on each connection, and then nothing. */
static int idle(struct load *l)
{
    struct epoll_event events[EVENTS];
    char byte;
    l->stop = INT64_MAX;
    for (long i = 0; i < l->o.connections; i++) {
        ask(l, &l->connections[i]);
        while (l->messages <= i && l->errors == 0) {
            int n = epoll_wait(l->epoll, events, EVENTS, 1000);
            for (int j = 0; j < n; j++)
                readable(l, events[j].data.ptr);
        }
    }
    printf("ready\n");
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}

static void report(const struct load *l, int64_t server_cpu)
{
    double messages = l->messages > 0 ? (double)l->messages : 1;
    printf("connections=%ld messages=%ld rate=%.0f cpu_us=%.3f p50=%.1f p99=%.1f p999=%.1f "
           "max=%.1f errors=%ld\n",
           l->o.connections, l->messages, (double)l->messages / l->o.duration,
           (double)server_cpu / 1e3 / messages, histogram_at(&l->latency, 0.5) / 1e3,
           histogram_at(&l->latency, 0.99) / 1e3, histogram_at(&l->latency, 0.999) / 1e3,
           (double)l->latency.max / 1e3, l->errors);
}

static int run(struct load *l)
{
    static char echo_message[ECHO_BYTES];
    memset(echo_message, 'x', sizeof echo_message);
    l->message = l->o.http ? http_request : echo_message;
    l->message_bytes = l->o.http ? sizeof http_request - 1 : ECHO_BYTES;
    ssize_t length = l->o.http ? probe(l) : ECHO_BYTES;
    if (length < 0)
        return (int)length;
    l->answer_bytes = (size_t)length;

    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->connections = calloc((size_t)l->o.connections, sizeof *l->connections);
    if (l->epoll < 0 || !l->connections)
        return -ENOMEM;
    int rc = open_all(l);
    if (rc == 0 && l->o.idle)
        rc = idle(l);
    else if (rc == 0)
        report(l, drive(l));
    free(l->connections); /* the sockets go with the process */
    return rc < 0 ? rc : l->errors > 0 ? -EPIPE : 0;
}

static bool parse(int argc, char **argv, struct options *o)
{
    int letter;
    while ((letter = getopt(argc, argv, "p:c:r:xib:ts:w:d:u:")) != -1) {
        double value = optarg ? strtod(optarg, NULL) : 0;
        switch (letter) {
        case 'p': o->port = (uint16_t)value; break;
        case 'c': o->connections = (long)value; break;
        case 'r': o->rate = value; break;
        case 'x': o->storm = true; break;
        case 'i': o->idle = true; break;
        case 'b': o->hog_ms = value; break;
        case 't': o->http = true; break;
        case 's': o->server = optarg; break;
        case 'w': o->warm_up = value; break;
        case 'd': o->duration = value; break;
        case 'u': o->cpu = (int)value; break;
        default: return false;
        }
    }
    return o->port != 0 && o->connections > 0 && o->duration > 0;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* too few: open_all() will say so */
    }
}

int main(int argc, char **argv)
{
    static struct load load = {.o = {.connections = 64, .warm_up = 0.3, .duration = 1, .cpu = -1}};
    if (!parse(argc, argv, &load.o)) {
        fprintf(stderr,
                "usage: %s -p PORT [-c CONNECTIONS] [-r RATE] [-x] [-i] [-b MS] [-t] [-s PID,...] "
                "[-w SECONDS] [-d SECONDS] [-u CPU]\n",
                argv[0]);
        return 2;
    }
    if (load.o.cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)load.o.cpu, &set);
        (void)sched_setaffinity(0, sizeof set, &set); /* no such CPU: unpinned is still right */
    }
    raise_descriptor_limit();
    int rc = run(&load);
    if (rc < 0)
        fprintf(stderr, "load: %s\n", strerror(-rc));
    return rc < 0;
}
