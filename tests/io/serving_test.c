/* SPDX-License-Identifier: MIT */
/* serving_test.c - when a server says that it serves. */
#include "io/net_support.h"

#include <hank/server.h>

static int wait_for_the_end(hank_stream *s, void *arg)
{
    char byte;
    (void)arg;
    return (int)hank_read(s, &byte, 1);
}

static int run(void *v)
{
    return hank_server_run(v, wait_for_the_end, NULL);
}

ALONE(serving, begins_with_run_and_ends_with_stop)
{
    hank_server *v;
    (void)arg;
    MUST(hank_server_open("tcp://127.0.0.1:0", NULL, &v) == 0);
    MUST(!hank_server_is_serving(v)); /* it listens, but nobody accepts */
    hank_task task = hank_spawn(run, v);
    YIELD_UNTIL(hank_server_is_serving(v));
    MUST(hank_server_stop(v, 0) == 0);
    MUST(!hank_server_is_serving(v));
    MUST(hank_await(task) == 0);
    MUST(!hank_server_is_serving(v));
    hank_server_free(v);
    return 0;
}

static int stop_with_patience(void *v)
{
    return hank_server_stop(v, HANK_FOREVER);
}

ALONE(serving, is_over_while_the_last_handlers_finish)
{
    hank_server *v;
    hank_stream *s;
    char name[64];
    (void)arg;
    MUST(hank_server_open("tcp://127.0.0.1:0", NULL, &v) == 0);
    MUST(hank_server_name(v, name, sizeof name) == 0);
    hank_task task = hank_spawn(run, v);
    MUST(hank_connect(name, &s) == 0);
    YIELD_UNTIL(hank_server_clients(v) == 1);
    MUST(hank_server_is_serving(v));
    hank_task stopper = hank_spawn(stop_with_patience, v);
    YIELD_UNTIL(!hank_server_is_serving(v));
    MUST(hank_server_clients(v) == 1);
    hank_close(s);
    MUST(hank_await(stopper) == 0 && hank_await(task) == 0);
    hank_server_free(v);
    return 0;
}

ALONE(serving, is_over_when_run_was_stopped)
{
    hank_server *v;
    (void)arg;
    MUST(hank_server_open("tcp://127.0.0.1:0", NULL, &v) == 0);
    hank_task task = hank_spawn(run, v);
    YIELD_UNTIL(hank_server_is_serving(v));
    (void)hank_cancel(task);
    MUST(hank_await(task) == -ECANCELED);
    MUST(!hank_server_is_serving(v));
    hank_server_free(v);
    return 0;
}

ALONE(serving, never_begins_for_one_that_was_stopped_before)
{
    hank_server *v;
    (void)arg;
    MUST(hank_server_open("tcp://127.0.0.1:0", NULL, &v) == 0);
    MUST(hank_server_stop(v, 0) == 0);
    MUST(run(v) == 0 && !hank_server_is_serving(v));
    hank_server_free(v);
    return 0;
}
