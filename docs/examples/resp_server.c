/* SPDX-License-Identifier: MIT */
/* resp_server.c - a small store that speaks RESP, the protocol of Redis, to its usual clients.
 *
 *     resp_server [WHERE [WORKERS]]          redis-cli -p 6380 set greeting hello
 *
 * What to look at: hank_server with a limit, deadlines and a graceful stop; a protocol of lines and
 * counted bytes on a buffered reader; answers that are corked, so that a pipeline of commands costs
 * one write; a table that tasks on every core share under a mutex. */
#include <hank.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { PARTS_MAX = 16, PART_BYTES_MAX = 64 * 1024, LINE_BYTES = 256, BUCKETS = 4096 };

/* --- the table ------------------------------------------------------------------------------- */

struct entry {
    struct entry *next;
    char *value;
    size_t value_bytes;
    size_t key_bytes;
    char key[];
};

static struct entry *table[BUCKETS];
static hank_mutex table_lock;

/* Where the entry of `key` is, or where it would be hung. The lock is held. */
static struct entry **find(const char *key, size_t n)
{
    unsigned hash = 5381;
    for (size_t i = 0; i < n; i++)
        hash = hash * 33 + (unsigned char)key[i];
    struct entry **at = &table[hash % BUCKETS];
    while (*at && ((*at)->key_bytes != n || memcmp((*at)->key, key, n) != 0))
        at = &(*at)->next;
    return at;
}

/* --- one client ------------------------------------------------------------------------------ */

struct part {
    char *bytes;
    size_t n;
};

/* A command: its parts, in memory that is freed after it. */
struct command {
    int n;
    struct part parts[PARTS_MAX];
};

static void forget(struct command *c)
{
    for (int i = 0; i < c->n; i++)
        free(c->parts[i].bytes);
    c->n = 0;
}

static int reply(hank_stream *s, const char *text)
{
    return hank_write(s, text, strlen(text));
}

static int reply_bytes(hank_stream *s, const char *bytes, size_t n)
{
    char head[32];
    int length = snprintf(head, sizeof head, "$%zu\r\n", n);
    struct iovec parts[] = {{head, (size_t)length}, {(void *)bytes, n}, {(void *)"\r\n", 2}};
    return hank_writev(s, parts, 3);
}

/* A number after its mark, as "*3\r\n". */
static long number_in(const char *line, char mark, long max)
{
    char *end;
    long value =
        line[0] == mark && line[1] >= '0' && line[1] <= '9' ? strtol(line + 1, &end, 10) : -1;
    return value >= 0 && value <= max && strcmp(end, "\r\n") == 0 ? value : -1;
}

static int read_part(hank_stream *s, struct command *c)
{
    char line[LINE_BYTES], newline[2];
    ssize_t n = hank_read_until(s, line, sizeof line, "\r\n");
    if (n <= 0)
        return n < 0 ? (int)n : -EPIPE;
    long size = number_in(line, '$', PART_BYTES_MAX);
    char *bytes = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (!bytes)
        return size >= 0 ? -ENOMEM : -EPROTO;
    c->parts[c->n++] = (struct part){bytes, (size_t)size};
    int rc = hank_read_exact(s, bytes, (size_t)size);
    if (rc == 0)
        rc = hank_read_exact(s, newline, 2);
    return rc < 0 ? rc : memcmp(newline, "\r\n", 2) == 0 ? 0 : -EPROTO;
}

/* What people type: words with blanks between. */
static int split(char *line, struct command *c)
{
    char *rest = line;
    for (char *word; (word = strtok_r(rest, " \r\n", &rest)) != NULL;) {
        if (c->n == PARTS_MAX)
            return -EPROTO;
        char *copy = strdup(word);
        if (!copy)
            return -ENOMEM;
        c->parts[c->n++] = (struct part){copy, strlen(copy)};
    }
    return 1;
}

/* 1: a command, perhaps an empty one; 0: the client has gone. */
static int read_command(hank_stream *s, struct command *c)
{
    static const hank_separator ends[] = {{"\r\n", 2}, {"\n", 1}};
    char line[LINE_BYTES];
    ssize_t n = hank_read_until_any(s, line, sizeof line, ends, 2);
    if (n <= 0)
        return (int)n;
    if (line[0] != '*')
        return split(line, c);
    long parts = number_in(line, '*', PARTS_MAX);
    int rc = parts < 0 ? -EPROTO : 0;
    for (long i = 0; rc == 0 && i < parts; i++)
        rc = read_part(s, c);
    return rc < 0 ? rc : 1;
}

static int get(hank_stream *s, const struct part *key)
{
    hank_mutex_lock(&table_lock);
    struct entry *e = *find(key->bytes, key->n);
    char *copy = e ? malloc(e->value_bytes + 1) : NULL;
    size_t n = e ? e->value_bytes : 0;
    if (copy)
        memcpy(copy, e->value, n);
    hank_mutex_unlock(&table_lock);
    int rc = copy ? reply_bytes(s, copy, n) : reply(s, e ? "-ERR no memory\r\n" : "$-1\r\n");
    free(copy);
    return rc;
}

static int set(hank_stream *s, const struct part *key, struct part *value)
{
    hank_mutex_lock(&table_lock);
    struct entry **at = find(key->bytes, key->n);
    if (!*at) {
        *at = calloc(1, sizeof **at + key->n);
        if (*at) {
            memcpy((*at)->key, key->bytes, key->n);
            (*at)->key_bytes = key->n;
        }
    }
    struct entry *e = *at;
    if (e) {
        free(e->value);
        e->value = value->bytes; /* taken */
        e->value_bytes = value->n;
        *value = (struct part){NULL, 0};
    }
    hank_mutex_unlock(&table_lock);
    return reply(s, e ? "+OK\r\n" : "-ERR no memory\r\n");
}

static int del(hank_stream *s, const struct part *key)
{
    hank_mutex_lock(&table_lock);
    struct entry **at = find(key->bytes, key->n), *e = *at;
    if (e)
        *at = e->next;
    hank_mutex_unlock(&table_lock);
    if (e)
        free(e->value);
    free(e);
    return reply(s, e ? ":1\r\n" : ":0\r\n");
}

static bool is(const struct command *c, const char *name, int n)
{
    return c->n == n && c->parts[0].n == strlen(name) &&
           strncasecmp(c->parts[0].bytes, name, c->parts[0].n) == 0;
}

static int execute(hank_stream *s, struct command *c)
{
    if (c->n == 0)
        return 0;
    if (is(c, "PING", 1))
        return reply(s, "+PONG\r\n");
    if (is(c, "PING", 2) || is(c, "ECHO", 2))
        return reply_bytes(s, c->parts[1].bytes, c->parts[1].n);
    if (is(c, "GET", 2))
        return get(s, &c->parts[1]);
    if (is(c, "SET", 3))
        return set(s, &c->parts[1], &c->parts[2]);
    if (is(c, "DEL", 2))
        return del(s, &c->parts[1]);
    return reply(s, "-ERR unknown command, or wrong number of arguments\r\n");
}

/* Nothing more has come: what has been answered must go out before we wait. */
static int flush_if_idle(hank_stream *s)
{
    char byte;
    ssize_t n = hank_within(0, hank_peek(s, &byte, 1));
    return n == -ETIMEDOUT ? hank_flush(s) : 0;
}

static int serve_client(hank_stream *s, void *arg)
{
    struct command c = {0};
    int rc = hank_cork(s, 16 * 1024, 0);
    (void)arg;
    while (rc == 0) {
        (void)hank_header_begin(s); /* a command has its time, as a whole */
        rc = flush_if_idle(s);
        if (rc == 0)
            rc = read_command(s, &c);
        (void)hank_header_end(s);
        if (rc <= 0)
            break;
        bool last = is(&c, "QUIT", 1);
        rc = last ? reply(s, "+OK\r\n") : execute(s, &c);
        forget(&c);
        if (last)
            break;
    }
    forget(&c);
    if (rc == -EPROTO || rc == -EMSGSIZE)
        (void)reply(s, "-ERR Protocol error\r\n");
    (void)hank_flush(s); /* it may have gone */
    return 0;
}

/* --- the program ----------------------------------------------------------------------------- */

struct program {
    const char *where;
    int signals; /* a signalfd of SIGINT and SIGTERM */
    hank_server *server;
};

static int run(void *arg)
{
    struct program *p = arg;
    return hank_server_run(p->server, serve_client, NULL);
}

static int app(void *arg)
{
    struct program *p = arg;
    char name[128];
    hank_server_options options = {
        .connections_max = 10000, .header_timeout = HANK_SEC(300), .listen = {.backlog = 1024}};
    int rc = hank_server_open(p->where, &options, &p->server);
    if (rc < 0)
        return rc;
    rc = hank_server_name(p->server, name, sizeof name);
    if (rc == 0) {
        printf("listening on %s\n", name);
        (void)fflush(stdout);
        hank_task task = hank_spawn(run, p);
        (void)hank_fd_wait(p->signals, HANK_READABLE);
        (void)hank_server_stop(p->server, HANK_MS(100));
        rc = hank_await(task);
    }
    hank_server_free(p->server);
    return rc;
}

int main(int argc, char **argv)
{
    struct program p = {.where = argc > 1 ? argv[1] : "tcp://127.0.0.1:6380"};
    unsigned workers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL); /* before there are threads, which inherit it */
    p.signals = signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
    int rc = hank_run_with(app, &p, .workers = workers);
    if (rc < 0)
        fprintf(stderr, "resp_server: %s\n", hank_strerror(rc));
    for (int i = 0; i < BUCKETS; i++)
        while (table[i]) {
            struct entry *e = table[i];
            table[i] = e->next;
            free(e->value);
            free(e);
        }
    return rc < 0;
}
