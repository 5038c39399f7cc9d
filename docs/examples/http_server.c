/* SPDX-License-Identifier: MIT */
/* http_server.c - an HTTP/1.1 server: one task a connection, each a plain loop.
 *
 *   http_server [WHERE [WORKERS [PATIENCE]]]      tcp://127.0.0.1:8080, a worker a CPU, 10 s
 *
 *   GET /         answers at once
 *   GET /fanout   asks three computing tasks and a sleeping one, together, with a deadline
 *
 * Bytes go through http_parser, which is paused at the end of each request, so that pipelined
 * requests are answered one after the other; answers to what arrived together leave together.
 * When a request has arrived whole, a client has PATIENCE seconds to take the answer and to send
 * its next: that bounds an idle connection and one that moves a byte a second alike. SIGINT and
 * SIGTERM end the server: it accepts no more, and a request that has arrived whole is still
 * answered. */
#include <hank.h>
#include <hank/layer.h>
#include <http_parser.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

enum { PATH_MAX_BYTES = 255, HEADER_MAX_BYTES = 8192, BODY_MAX_BYTES = 65536 };
enum { IN_BYTES = 1024, OUT_BYTES = 4096 }; /* small: what one client uses lies on one page */

struct server {
    const char *where;
    hank_ns patience;
    int signals; /* a signalfd of SIGINT and SIGTERM */
    hank_listener *listener;
};

struct connection {
    hank_stream *stream;
    hank_ns patience, deadline; /* deadline: for the answer and the whole of the next request */
    http_parser parser;
    char path[PATH_MAX_BYTES + 1];
    size_t path_bytes, body_bytes;
    bool complete;       /* a request has arrived whole: the parser is paused */
    bool last;           /* nothing more will be answered */
    const char *refusal; /* the status of the answer to a request we broke off, or NULL */
    size_t out_bytes;
    char out[OUT_BYTES];
};

/* To a client that does not take it all at once: in the time that it has, whoever stops us. */
static int write_patiently(struct connection *c, const char *bytes, size_t n)
{
    hank_scope unstopped, scope;
    hank_shield_begin(&unstopped);
    hank_timeout_begin_at(&scope, c->deadline);
    int rc = hank_write(c->stream, bytes, n);
    (void)hank_timeout_end(&scope);
    hank_shield_end(&unstopped);
    return rc;
}

static int flush(struct connection *c)
{
    ssize_t put = hank_trywrite(c->stream, c->out, c->out_bytes);
    size_t n = c->out_bytes, done = put > 0 ? (size_t)put : 0;
    c->out_bytes = 0;
    return done == n ? 0 : write_patiently(c, c->out + done, n - done);
}

static void append_bytes(struct connection *c, const char *bytes, size_t n)
{
    memcpy(c->out + c->out_bytes, bytes, n);
    c->out_bytes += n;
}

static void append(struct connection *c, const char *text)
{
    append_bytes(c, text, strlen(text));
}

static void append_number(struct connection *c, size_t n)
{
    if (n >= 10)
        append_number(c, n / 10);
    c->out[c->out_bytes++] = (char)('0' + n % 10);
}

/* Queue an answer; `body` may have up to 1 KiB. */
static int answer(struct connection *c, const char *status, const char *body)
{
    size_t body_bytes = strlen(body);
    append(c, "HTTP/1.1 ");
    append(c, status);
    append(c, "\r\nContent-Type: text/plain\r\nContent-Length: ");
    append_number(c, body_bytes);
    if (c->last) /* only what differs from what the client's version expects */
        append(c, "\r\nConnection: close");
    else if (c->parser.http_minor == 0)
        append(c, "\r\nConnection: keep-alive");
    append(c, "\r\n\r\n");
    if (c->parser.method != HTTP_HEAD)
        append_bytes(c, body, body_bytes);
    return c->out_bytes > sizeof c->out / 2 ? flush(c) : 0;
}

struct primes {
    int from, to, count;
}; /* in, in, out */

static int count_primes(void *arg)
{
    struct primes *p = arg;
    for (int n = p->from; n < p->to; n++) {
        int divisor = 2;
        while (divisor * divisor <= n && n % divisor != 0)
            divisor++;
        p->count += n > 1 && divisor * divisor > n;
    }
    return 0;
}

static int pause_a_little(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_MS(2));
}

static int fanout(struct connection *c)
{
    struct primes p[3] = {{0, 1000, 0}, {1000, 2000, 0}, {2000, 3000, 0}};
    hank_scope unstopped;
    hank_shield_begin(&unstopped);
    int rc =
        hank_within(HANK_MS(500),
                    hank_gather(hank_spawn(count_primes, &p[0]), hank_spawn(count_primes, &p[1]),
                                hank_spawn(count_primes, &p[2]), hank_spawn(pause_a_little, NULL)));
    hank_shield_end(&unstopped);
    if (rc == -ETIMEDOUT)
        return answer(c, "504 Gateway Timeout", "Too slow.\n");
    if (rc < 0)
        return rc;
    char body[128];
    (void)snprintf(body, sizeof body, "primes by thousands: %d %d %d\n", p[0].count, p[1].count,
                   p[2].count);
    return answer(c, "200 OK", body);
}

static int respond(struct connection *c)
{
    c->last = !http_should_keep_alive(&c->parser) || c->parser.upgrade;
    if (c->parser.method != HTTP_GET && c->parser.method != HTTP_HEAD)
        return answer(c, "405 Method Not Allowed\r\nAllow: GET, HEAD", "Only GET and HEAD.\n");
    c->path[c->path_bytes] = 0;
    if (strcmp(c->path, "/") == 0)
        return answer(c, "200 OK", "Hello, World!\n");
    if (strcmp(c->path, "/fanout") == 0)
        return fanout(c);
    return answer(c, "404 Not Found", "No such page.\n");
}

/* What http_parser calls for each piece of a request; a non-zero result breaks the request off. */
static int refuse(struct connection *c, const char *status)
{
    c->refusal = status;
    return 1;
}

static int on_url(http_parser *parser, const char *part, size_t n)
{
    struct connection *c = parser->data;
    if (n > PATH_MAX_BYTES - c->path_bytes)
        return refuse(c, "414 URI Too Long");
    memcpy(c->path + c->path_bytes, part, n);
    c->path_bytes += n;
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    bool sized = parser->content_length != UINT64_MAX;
    bool fits = !sized || parser->content_length <= BODY_MAX_BYTES;
    return fits ? 0 : 2 + refuse(parser->data, "413 Payload Too Large"); /* 1, 2: not an error */
}

static int on_body(http_parser *parser, const char *part, size_t n)
{
    struct connection *c = parser->data;
    (void)part; /* no page of ours wants it */
    c->body_bytes += n;
    return c->body_bytes > BODY_MAX_BYTES ? refuse(c, "413 Payload Too Large") : 0;
}

static int on_message_complete(http_parser *parser)
{
    struct connection *c = parser->data;
    c->complete = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings callbacks = {
    .on_url = on_url,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static const char *refusal(const struct connection *c)
{
    if (HTTP_PARSER_ERRNO(&c->parser) == HPE_HEADER_OVERFLOW)
        return "431 Request Header Fields Too Large";
    return c->refusal ? c->refusal : "400 Bad Request";
}

/* Answer every request that is complete within these bytes. */
static int consume(struct connection *c, const char *bytes, size_t n)
{
    int rc = 0;
    while (rc == 0 && !c->last) {
        size_t used = http_parser_execute(&c->parser, &callbacks, bytes, n);
        bytes += used;
        n -= used;
        if (c->complete) {
            http_parser_pause(&c->parser, 0);
            c->deadline = hank_now() + c->patience;
            rc = respond(c);
            c->complete = false;
            c->path_bytes = c->body_bytes = 0;
        } else if (HTTP_PARSER_ERRNO(&c->parser) != HPE_OK) {
            c->last = true;
            rc = answer(c, refusal(c), "Not like this.\n");
        } else {
            break; /* the rest of a request has yet to arrive */
        }
    }
    return rc < 0 || c->out_bytes == 0 ? rc : flush(c);
}

/* Bytes that nobody read would make the system reset the connection, and the client could lose
 * our last answer: so say that it was the last and let the client close, for a second. */
static void part(struct connection *c)
{
    hank_scope scope;
    char rest[512];
    hank_timeout_begin(&scope, HANK_SEC(1));
    if (hank_write_end(c->stream) == 0)
        while (hank_read(c->stream, rest, sizeof rest) > 0)
            continue;
    (void)hank_timeout_end(&scope);
}

static int serve_client(hank_stream *stream, void *arg)
{
    const struct server *server = arg;
    struct connection c;
    char in[IN_BYTES];
    hank_scope scope;
    ssize_t n = 0;
    int rc = 0;

    memset(&c, 0, offsetof(struct connection, out));
    c.stream = stream;
    c.patience = server->patience;
    c.deadline = hank_now() + c.patience;
    http_parser_init(&c.parser, HTTP_REQUEST);
    c.parser.data = &c;
    hank_timeout_begin_at(&scope, c.deadline);
    while (rc >= 0 && !c.last && (n = hank_read(stream, in, sizeof in)) > 0) {
        rc = consume(&c, in, (size_t)n);
        (void)hank_timeout_reschedule(&scope, c.deadline); /* it has stopped nothing yet */
    }
    (void)hank_timeout_end(&scope);
    if (rc < 0)
        return rc;
    if (n == -ETIMEDOUT && c.path_bytes > 0) { /* in the middle of a request */
        c.last = true;
        c.deadline = hank_now() + HANK_SEC(1);
        if (answer(&c, "408 Request Timeout", "Too slow.\n") == 0)
            (void)flush(&c); /* it was slow to send; it may be too slow to listen */
    }
    if (c.last)
        part(&c);
    return 0; /* silence, a hang-up and a stop are how connections end */
}

static int wait_for_signal(void *arg)
{
    const struct server *server = arg;
    return hank_fd_wait(server->signals, HANK_READABLE);
}

static int serve(void *arg)
{
    struct server *server = arg;
    return hank_serve(server->listener, serve_client, server);
}

static int app(void *arg)
{
    struct server *server = arg;
    char name[64];
    int rc = hank_listen(server->where, &server->listener);
    if (rc < 0)
        return rc;
    rc = hank_listener_name(server->listener, name, sizeof name);
    if (rc == 0) {
        printf("listening on %s\n", name);
        (void)fflush(stdout);
        hank_task tasks[] = {hank_spawn(serve, server), hank_spawn(wait_for_signal, server)};
        (void)hank_race_n(tasks, 2, &rc);
    }
    hank_listener_close(server->listener);
    return rc;
}

int main(int argc, char **argv)
{
    struct server server = {.where = argc > 1 ? argv[1] : "tcp://127.0.0.1:8080"};
    unsigned workers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    server.patience = HANK_SEC(argc > 3 ? strtod(argv[3], NULL) : 10);

    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL); /* before there are threads, which inherit it */
    server.signals = signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
    http_parser_set_max_header_size(HEADER_MAX_BYTES);

    int rc = hank_run_with(app, &server, .workers = workers);
    if (rc < 0)
        fprintf(stderr, "http_server: %s\n", hank_strerror(rc));
    return rc < 0;
}
