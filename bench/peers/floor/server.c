/* SPDX-License-Identifier: MIT */
/* server.c - see server.h. */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

struct loop {
    void (*body)(int listener, bool http);
    int listener;
    bool http;
};

int server_listen(unsigned short *port, bool nonblocking)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1, kind = SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
    int fd = socket(AF_INET, kind, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted ones inherit */
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SERVER_BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

void server_hog(const char *message)
{
    struct timespec t;
    if (message[0] != 'H')
        return;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* cannot fail for this clock */
    long end = t.tv_sec * 1000 + t.tv_nsec / 1000000 + 50;
    while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < end)
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
}

static void *thread_main(void *arg)
{
    struct loop *loop = arg;
    loop->body(loop->listener, loop->http);
    return NULL;
}

static void prepare_process(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct rlimit limit;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int server_main(int argc, char **argv, bool nonblocking, void (*body)(int listener, bool http))
{
    static struct loop loops[THREADS_MAX];
    bool http = argc > 1 && strcmp(argv[1], "http") == 0;
    unsigned short port = argc > 2 ? (unsigned short)strtoul(argv[2], NULL, 10) : 0;
    long threads = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
    if (argc < 2 || (!http && strcmp(argv[1], "echo") != 0) || threads < 1 ||
        threads > THREADS_MAX) {
        fprintf(stderr, "usage: %s echo|http [PORT [THREADS]]\n", argv[0]);
        return 2;
    }
    prepare_process();
    for (long i = 0; i < threads; i++) {
        loops[i] = (struct loop){.body = body, .http = http};
        loops[i].listener = server_listen(&port, nonblocking);
        if (loops[i].listener < 0) {
            fprintf(stderr, "listen: %s\n", strerror(-loops[i].listener));
            return 1;
        }
    }
    printf("listening on tcp://127.0.0.1:%u\n", (unsigned)port);
    (void)fflush(stdout);
    pthread_t thread;
    for (long i = 1; i < threads; i++)
        if (pthread_create(&thread, NULL, thread_main, &loops[i]) != 0)
            return 1;
    (void)thread_main(&loops[0]);
    return 0;
}
