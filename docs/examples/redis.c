/* SPDX-License-Identifier: MIT */
/* redis.c - hiredis' asynchronous interface: it says what it waits for, hank waits for it.
 *
 *     redis 127.0.0.1 6379 */
#include <hank.h>

#include <hiredis/async.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMMANDS = 1000 };

/* What hiredis wants to be told of; its callbacks change it. */
typedef struct events {
    int wanted;
    bool gone;
} events;

static void add_read(void *arg)
{
    ((events *)arg)->wanted |= HANK_READABLE;
}

static void no_read(void *arg)
{
    ((events *)arg)->wanted &= ~HANK_READABLE;
}

static void add_write(void *arg)
{
    ((events *)arg)->wanted |= HANK_WRITABLE;
}

static void no_write(void *arg)
{
    ((events *)arg)->wanted &= ~HANK_WRITABLE;
}

static void forget(void *arg)
{
    ((events *)arg)->gone = true;
}

/* Until the connection has ended: hiredis frees it then. */
static int drive(redisAsyncContext *redis, events *e)
{
    while (!e->gone) {
        int rc = hank_fd_wait(redis->c.fd, e->wanted);
        if (rc < 0)
            return rc;
        if (rc & HANK_WRITABLE)
            redisAsyncHandleWrite(redis);
        if (!e->gone && rc & HANK_READABLE)
            redisAsyncHandleRead(redis);
    }
    return 0;
}

static void on_number(redisAsyncContext *redis, void *reply, void *arg)
{
    const redisReply *r = reply;
    long long *last = arg;
    if (!r || r->type != REDIS_REPLY_INTEGER)
        return;
    *last = r->integer;
    if (*last == COMMANDS)
        redisAsyncDisconnect(redis);
}

static int app(void *arg)
{
    char **arguments = arg;
    events e = {0};
    long long last = 0;
    redisAsyncContext *redis = redisAsyncConnect(arguments[1], (int)strtol(arguments[2], NULL, 10));
    if (!redis || redis->err)
        return -ECONNREFUSED;
    redis->ev.addRead = add_read;
    redis->ev.delRead = no_read;
    redis->ev.addWrite = add_write;
    redis->ev.delWrite = no_write;
    redis->ev.cleanup = forget;
    redis->ev.data = &e;
    add_write(&e); /* to hear of the connection */
    (void)redisAsyncCommand(redis, NULL, NULL, "DEL hank:count");
    for (int i = 0; i < COMMANDS; i++)
        (void)redisAsyncCommand(redis, on_number, &last, "INCR hank:count");
    int rc = drive(redis, &e);
    if (rc < 0)
        redisAsyncFree(redis);
    else if (last != COMMANDS)
        rc = -ECONNRESET;
    if (rc == 0)
        (void)printf("counted to %lld\n", last);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
        return 2;
    }
    int rc = hank_run(app, argv);
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", hank_strerror(rc));
    return rc < 0;
}
