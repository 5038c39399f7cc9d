/* SPDX-License-Identifier: MIT */
/* epoll_server.c - the practical floor: the least a program can do with epoll.
 *
 * One edge-triggered epoll a thread; no allocation for a message, no timers, no limits, and no
 * parsing beyond finding the end of a request. Three system calls a message, and epoll_wait is
 * shared by a batch. What hank costs more than this is the price of its comfort.
 *
 * Compiled with -DPARSE it reads requests with http_parser, as hank's HTTP server does and a server
 * has to that does more than one thing: the floor of those. */
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#if PARSE
#include <http_parser.h>
#endif

enum { EVENTS = 512, BUFFER_BYTES = 16384, ANSWERS_MAX = 64 };

/* Both queues are empty, and their memory absent, unless the other side is slow. */
struct connection {
    int fd;
    size_t held_bytes, unsent_bytes;
    char *held;   /* the beginning of a request whose end has not arrived */
    char *unsent; /* what the socket would not take */
#if PARSE
    http_parser parser;
#endif
};

static void hang_up(struct connection *c)
{
    (void)close(c->fd);
    free(c->held);
    free(c->unsent);
    free(c);
}

static bool keep(char **queue, size_t *queue_bytes, const char *bytes, size_t n)
{
    char *grown = realloc(*queue, *queue_bytes + n);
    if (!grown)
        return false;
    memcpy(grown + *queue_bytes, bytes, n);
    *queue = grown;
    *queue_bytes += n;
    return true;
}

static bool put(struct connection *c, const char *bytes, size_t n)
{
    if (c->unsent_bytes == 0) {
        ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL);
        if (sent == (ssize_t)n)
            return true;
        if (sent < 0 && errno != EAGAIN)
            return false;
        bytes += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
    return keep(&c->unsent, &c->unsent_bytes, bytes, n);
}

static bool put_unsent(struct connection *c)
{
    if (c->unsent_bytes == 0)
        return true;
    ssize_t sent = send(c->fd, c->unsent, c->unsent_bytes, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN;
    c->unsent_bytes -= (size_t)sent;
    memmove(c->unsent, c->unsent + sent, c->unsent_bytes);
    return true;
}

static bool put_answers(struct connection *c, size_t requests)
{
    static const char answer[] = SERVER_ANSWER;
    enum { BYTES = sizeof answer - 1 };
    if (requests == 1)
        return put(c, answer, BYTES);
    char many[ANSWERS_MAX * BYTES];
    while (requests > 0) {
        size_t n = requests < ANSWERS_MAX ? requests : ANSWERS_MAX;
        for (size_t i = 0; i < n; i++)
            memcpy(many + i * BYTES, answer, BYTES);
        if (!put(c, many, n * BYTES))
            return false;
        requests -= n;
    }
    return true;
}

#if PARSE
static int count_request(http_parser *parser)
{
    ++*(size_t *)parser->data;
    return 0;
}

static void begin_parsing(struct connection *c)
{
    http_parser_init(&c->parser, HTTP_REQUEST);
}

/* Answer every request that ends in these bytes; the parser keeps the beginning of the next. */
static bool http(struct connection *c, const char *bytes, size_t n)
{
    static const http_parser_settings callbacks = {.on_message_complete = count_request};
    size_t requests = 0;
    c->parser.data = &requests;
    return http_parser_execute(&c->parser, &callbacks, bytes, n) == n && put_answers(c, requests);
}
#else
static void begin_parsing(struct connection *c)
{
    (void)c;
}

/* Answer every request that ends in these bytes and hold the beginning of the next. */
static bool http(struct connection *c, const char *bytes, size_t n)
{
    const char *at = bytes, *end = bytes + n, *found;
    size_t requests = 0;
    while ((found = memmem(at, (size_t)(end - at), "\r\n\r\n", 4))) {
        requests++;
        at = found + 4;
    }
    c->held_bytes = 0;
    if (at < end && !keep(&c->held, &c->held_bytes, at, (size_t)(end - at)))
        return false;
    return put_answers(c, requests);
}
#endif

static bool input(struct connection *c, bool speak_http)
{
    char buffer[BUFFER_BYTES];
    for (;;) {
        size_t held = c->held_bytes;
        if (held >= sizeof buffer)
            return false;
        if (held > 0)
            memcpy(buffer, c->held, held);
        ssize_t n = recv(c->fd, buffer + held, sizeof buffer - held, 0);
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        size_t all = held + (size_t)n;
        if (!speak_http)
            server_hog(buffer);
        if (!(speak_http ? http(c, buffer, all) : put(c, buffer, all)))
            return false;
        if (all < sizeof buffer)
            return true; /* drained: what comes later is a new edge */
    }
}

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c) {
            (void)close(fd);
            continue;
        }
        c->fd = fd;
        begin_parsing(c);
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
            hang_up(c);
    }
}

static void loop(int listener, bool speak_http)
{
    struct epoll_event events[EVENTS];
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) < 0)
        return;
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            uint32_t what = events[i].events;
            if (!c) {
                accept_all(epoll, listener);
                continue;
            }
            bool alive = !(what & EPOLLOUT) || put_unsent(c);
            if (alive && what & ~(uint32_t)EPOLLOUT) /* after a hang-up: the last words first */
                alive = input(c, speak_http) && !(what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
            if (!alive)
                hang_up(c);
        }
    }
}

int main(int argc, char **argv)
{
    return server_main(argc, argv, true, loop);
}
