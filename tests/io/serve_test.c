/* SPDX-License-Identifier: MIT */
/* serve_test.c - a server that is asked, stopped, starved and closed. */
#include "io/io_support.h"
#include "last_words.h"

#include <hank/server.h>

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fault.h"
#include "base/os.h"

#define TCP "tcp://127.0.0.1:0"

typedef struct server {
    hank_listener *listener;
    char name[64];
    int (*handler)(hank_stream *s, void *arg);
    void *arg;
    HK_ATOMIC(int) inside; /* handlers that run */
    HK_ATOMIC(int) served;
    hank_task task;
} server;

static int serve(void *arg)
{
    server *v = arg;
    return hank_serve(v->listener, v->handler, v->arg ? v->arg : v);
}

static int server_start(server *v, int (*handler)(hank_stream *s, void *arg))
{
    v->handler = handler;
    int rc = hank_listen(TCP, &v->listener);
    if (rc == 0)
        rc = hank_listener_name(v->listener, v->name, sizeof v->name);
    v->task = hank_spawn(serve, v);
    return rc;
}

/* Stop it; what hank_serve returned. */
static int server_stop(server *v)
{
    hank_cancel(v->task);
    int rc = hank_await(v->task);
    hank_listener_close(v->listener);
    return rc;
}

static int echo(hank_stream *s, void *arg)
{
    server *v = arg;
    char buf[256];
    ssize_t n;
    (void)hk_add_relaxed(&v->inside, 1);
    while ((n = hank_read(s, buf, sizeof buf)) > 0)
        if ((n = hank_write(s, buf, (size_t)n)) < 0)
            break;
    (void)hk_add_relaxed(&v->served, 1);
    (void)hk_sub_relaxed(&v->inside, 1);
    return (int)n;
}

static int ask_echo(void *arg)
{
    server *v = arg;
    char buf[16];
    hank_stream *s;
    MUST_OK(hank_connect(v->name, &s));
    for (int i = 0; i < 10; i++) {
        snprintf(buf, sizeof buf, "%07d", i);
        MUST_OK(hank_write(s, buf, 7));
        memset(buf, 0, sizeof buf);
        MUST_OK(hank_read_exact(s, buf, 7));
        MUST(strtol(buf, NULL, 10) == i);
    }
    hank_close(s);
    return 0;
}

static int many_clients_app(void *arg)
{
    (void)arg;
    server v = {0};
    MUST_OK(server_start(&v, echo));
    hank_group clients = {0};
    for (int i = 0; i < 100; i++)
        MUST_OK(hank_group_spawn(&clients, ask_echo, &v));
    MUST_OK(hank_group_wait(&clients));
    YIELD_UNTIL(hk_load_relaxed(&v.served) == 100);
    MUST(server_stop(&v) == -ECANCELED);
    return 0;
}

Test(serve, every_client_gets_its_own_handler, .timeout = 60)
{
    run_with_each_size(many_clients_app, NULL);
}

typedef struct look {
    hank_server *v;
    HK_ATOMIC(int) bytes; /* of a connection's buffer; 0: not yet known */
} look;

static int look_at_buffer(hank_stream *s, void *arg)
{
    look *k = arg;
    int bytes = -1;
    socklen_t length = sizeof bytes;
    (void)getsockopt(hank_stream_fd(s), SOL_SOCKET, SO_SNDBUF, &bytes, &length);
    hk_store_relaxed(&k->bytes, bytes);
    return 0;
}

static int run_look(void *arg)
{
    look *k = arg;
    return hank_server_run(k->v, look_at_buffer, k);
}

static int options_app(void *where)
{
    look k = {0};
    hank_stream *s;
    char name[64];
    hank_server_options o = {.socket = {.send_buffer = 20000}};
    MUST_OK(hank_server_open(where, &o, &k.v));
    MUST_OK(hank_server_name(k.v, name, sizeof name));
    hank_task running = hank_spawn(run_look, &k);
    MUST_OK(hank_connect(name, &s));
    YIELD_UNTIL(hk_load_relaxed(&k.bytes) != 0);
    MUST(hk_load_relaxed(&k.bytes) == 40000); /* the kernel's own share is added */
    hank_close(s);
    MUST_OK(hank_server_stop(k.v, HANK_FOREVER));
    MUST_OK(hank_await(running));
    hank_server_free(k.v);
    return 0;
}

Test(serve, connections_have_the_options_that_the_server_was_given, .timeout = 60)
{
    char where[64];
    snprintf(where, sizeof where, "unix://@hank-serve-%d", (int)getpid());
    run_with_each_size(options_app, (void *)(uintptr_t)TCP);
    run_with_each_size(options_app, where);
}

/* --- stopping -------------------------------------------------------------------------------- */

static int stop_app(void *arg)
{
    (void)arg;
    server v = {0};
    hank_stream *clients[5];
    char byte;
    int fds = lasting_fds();
    MUST_OK(server_start(&v, echo));
    for (int i = 0; i < 5; i++)
        MUST_OK(hank_connect(v.name, &clients[i]));
    YIELD_UNTIL(hk_load_relaxed(&v.inside) == 5);
    MUST(server_stop(&v) == -ECANCELED);
    MUST(hk_load_relaxed(&v.inside) == 0); /* cancelled, and joined */
    for (int i = 0; i < 5; i++) {
        MUST(hank_read(clients[i], &byte, 1) == 0); /* and their streams closed */
        hank_close(clients[i]);
    }
    MUST(lasting_fds() <= fds);
    return 0;
}

Test(serve, a_stop_cancels_the_handlers_and_waits_for_them, .timeout = 60)
{
    run_with_each_size(stop_app, NULL);
}

static int timeout_app(void *arg)
{
    (void)arg;
    hank_listener *l;
    server v = {0};
    MUST_OK(hank_listen(TCP, &l));
    MUST(hank_within(HANK_MS(10), hank_serve(l, echo, &v)) == -ETIMEDOUT);
    hank_listener_close(l);
    return 0;
}

Test(serve, a_timeout_ends_it_as_a_timeout, .timeout = 60)
{
    run_with_each_size(timeout_app, NULL);
}

static int close_app(void *arg)
{
    (void)arg;
    server v = {0};
    hank_stream *client;
    char buf[4];
    MUST_OK(server_start(&v, echo));
    MUST_OK(hank_connect(v.name, &client));
    YIELD_UNTIL(hk_load_relaxed(&v.inside) == 1);
    hank_listener_close(v.listener);
    MUST_OK(hank_write(client, "ping", 4)); /* the handler is in the middle of its work: */
    MUST_OK(hank_read_exact(client, buf, 4));
    hank_close(client);
    MUST(hank_await(v.task) == -EBADF);
    MUST(hk_load_relaxed(&v.served) == 1); /* it was let finish */
    return 0;
}

Test(serve, closing_the_listener_ends_it_when_the_handlers_have_finished, .timeout = 60)
{
    run_with_each_size(close_app, NULL);
}

/* --- misuse and misfortune ------------------------------------------------------------------- */

static int misuse_app(void *arg)
{
    (void)arg;
    server v = {0};
    MUST_OK(server_start(&v, echo));
    MUST(hank_serve(v.listener, NULL, NULL) == -EINVAL);
    MUST_OK(ask_echo(&v)); /* the first is accepting for sure */
    int rc;
    hank_ns give_up = hank_now() + HANK_SEC(10);
    do
        rc = hank_within(HANK_MS(1), hank_serve(v.listener, echo, &v));
    while (rc == -ETIMEDOUT && hank_now() < give_up); /* the first was just between two */
    MUST(rc == -EBUSY);
    MUST(server_stop(&v) == -ECANCELED || true); /* we may have been in its way */
    return 0;
}

Test(serve, one_server_a_listener, .timeout = 60)
{
    run_with_each_size(misuse_app, NULL);
}

static int run_it(void *v)
{
    server ignored = {0};
    return hank_server_run(v, echo, &ignored);
}

static void *serve_on_a_thread(void *arg)
{
    hank_server *ignored;
    *(bool *)((server *)arg)->arg =
        serve(arg) == -EPERM && hank_server_open(TCP, NULL, &ignored) == -EPERM;
    return NULL;
}

static int serve_outside_app(void *arg)
{
    bool refused = false;
    server v = {.handler = echo, .arg = &refused};
    pthread_t thread;
    (void)arg;
    MUST_OK(hank_listen(TCP, &v.listener));
    MUST_OK(hk_os_thread_start(&thread, serve_on_a_thread, &v));
    MUST_OK(hk_os_thread_join(thread));
    hank_listener_close(v.listener);
    return refused ? 0 : -EPROTO;
}

Test(serve, is_for_tasks, .timeout = 60)
{
    run_with_each_size(serve_outside_app, NULL);
}

static int free_it(void *v)
{
    hank_server_free(v);
    return 0;
}

static int free_what_runs(void *arg)
{
    hank_server *v;
    server client = {0};
    (void)arg;
    MUST_OK(hank_server_open(TCP, NULL, &v));
    MUST_OK(hank_server_name(v, client.name, sizeof client.name));
    client.task = hank_spawn(run_it, v);
    MUST_OK(ask_echo(&client));
    return by_culprit(free_it, v);
}

Test(serve, a_server_freed_while_it_runs_is_a_panic_that_names_it_and_the_task)
{
    must_say(free_what_runs, NULL, "server 0x");
}

static int fail_or_echo(hank_stream *s, void *arg)
{
    char byte;
    if (hank_read(s, &byte, 1) == 1 && byte == 'f')
        return -EPROTO;
    return echo(s, arg);
}

static int failing_handler_app(void *arg)
{
    (void)arg;
    server v = {0};
    hank_stream *bad, *good;
    char byte;
    MUST_OK(server_start(&v, fail_or_echo));
    MUST_OK(hank_connect(v.name, &good));
    MUST_OK(hank_write(good, "g", 1));
    YIELD_UNTIL(hk_load_relaxed(&v.inside) == 1);
    MUST_OK(hank_connect(v.name, &bad));
    MUST_OK(hank_write(bad, "f", 1));
    MUST(hank_read(bad, &byte, 1) == 0);
    MUST_OK(hank_write(good, "x", 1));
    MUST_OK(hank_read_exact(good, &byte, 1));
    hank_close(bad);
    hank_close(good);
    MUST(server_stop(&v) == -ECANCELED);
    return 0;
}

static void count_error(void *context, const char *name, int result)
{
    if (name && result == -EPROTO)
        (void)hk_add_relaxed((HK_ATOMIC(int) *)context, 1);
}

Test(serve, a_handler_that_fails_is_told_to_the_hook_and_stops_nobody_else, .timeout = 60)
{
    HK_ATOMIC(int) errors = 0;
    hank_hooks hooks = {.on_error = count_error, .context = &errors};
    for (unsigned workers = 1; workers <= 8; workers *= 2)
        cr_assert_eq(hank_run_with(failing_handler_app, NULL, .workers = workers, .hooks = &hooks),
                     0);
    cr_assert_eq(hk_load_relaxed(&errors), 4);
}

enum { FEW = 200, WORKERS_MAX = 8 };

static int take_all(int *hoard, int n, int max)
{
    while (n < max && (hoard[n] = hk_os_duplicate(0)) >= 0)
        n++;
    return n;
}

/* accept(2) reserves a number before it looks whether there is anybody, and gives it back: such a
 * number is neither to be had nor open. */
static bool all_taken(void)
{
    for (int fd = 0; fd < FEW; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return false;
    return true;
}

static pid_t first_worker; /* the thread that calls hank_run */
static HK_ATOMIC(bool) first_works;

/* Keeps its worker until the first one has come for such a task, too. */
static int occupy_until_first_works(void *arg)
{
    hank_ns give_up = hank_now() + HANK_SEC(30);
    (void)arg;
    if (gettid() == first_worker)
        hk_store_relaxed(&first_works, true);
    while (!hk_load_relaxed(&first_works) && hank_now() < give_up)
        (void)sched_yield();
    return hk_load_relaxed(&first_works) ? 0 : -EPROTO;
}

/* Asking where its own stack is, the first thread of a process opens a file for a moment: wait
 * until it is past that, and works. A task that waits politely may never meet it. */
static int wait_for_first_worker(void)
{
    hk_store_relaxed(&first_works, false);
    hank_group g = {0};
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        MUST_OK(hank_group_spawn(&g, occupy_until_first_works, NULL));
    return hank_group_wait(&g);
}

/* All descriptors are in use: accepting pauses, those served go on, and when there are descriptors
 * again, whoever waited is served. */
static int starved_app(void *arg)
{
    (void)arg;
    enum { HOARD = FEW };
    static int hoard[HOARD];
    int n = 0;
    char byte;
    server v = {0};
    hank_stream *first, *second;
    MUST_OK(wait_for_first_worker());
    MUST_OK(server_start(&v, echo));
    MUST_OK(hank_connect(v.name, &first));
    YIELD_UNTIL(hk_load_relaxed(&v.inside) == 1);
    int spare = hk_os_duplicate(0);
    MUST(spare >= 0);
    YIELD_UNTIL((n = take_all(hoard, n, HOARD), all_taken()));

    (void)hk_os_close(spare); /* one is left: the client's; none for the server */
    MUST_OK(hank_connect(v.name, &second));
    MUST_OK(hank_write(second, "s", 1));
#if HK_FAULTS
    hk_fault_plan(HK_FAULT_ACCEPT, UINT64_MAX, -EIO); /* only counts */
#endif
    MUST(hank_within(HANK_MS(100), hank_read(second, &byte, 1)) == -ETIMEDOUT);
#if HK_FAULTS
    uint64_t tries = hk_fault_count(HK_FAULT_ACCEPT);
    hk_fault_clear();
    MUST(tries >= 1 && tries <= 10);
#endif
    MUST_OK(hank_write(first, "f", 1));
    MUST_OK(hank_read_exact(first, &byte, 1));
    while (n > 0)
        (void)hk_os_close(hoard[--n]);
    MUST_OK(hank_read_exact(second, &byte, 1));
    MUST(byte == 's');
    hank_close(first);
    hank_close(second);
    MUST(server_stop(&v) == -ECANCELED);
    return 0;
}

Test(serve, without_descriptors_it_pauses_and_recovers, .timeout = 60)
{
    /* Two workers that are the first to want a descriptor of this process open one each, and one of
     * them closes its own again, whenever that may be: so the first is us. */
    struct iovec nothing = {0};
    (void)hk_os_advise_many(&nothing, 1, 0);
    first_worker = gettid();
    struct rlimit few = {.rlim_cur = FEW, .rlim_max = FEW};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    run_with_each_size(starved_app, NULL);
}

#if HK_FAULTS
static int aborted_app(void *arg)
{
    (void)arg;
    server v = {0};
    hk_fault_plan(HK_FAULT_ACCEPT, 1, -ECONNABORTED);
    MUST_OK(server_start(&v, echo));
    int rc = ask_echo(&v);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    MUST(hit);
    MUST(server_stop(&v) == -ECANCELED);
    return rc;
}

Test(serve, a_connection_that_broke_in_line_is_passed_over, .timeout = 60)
{
    run_with_each_size(aborted_app, NULL);
}

static int no_memory_app(void *arg)
{
    (void)arg;
    for (uint64_t n = 1; n < 6; n++) {
        server v = {0};
        MUST_OK(server_start(&v, echo));
        MUST_OK(ask_echo(&v));
        hank_stream *s;
        char byte;
        MUST_OK(hank_connect(v.name, &s));
        hk_fault_plan(HK_FAULT_ALLOC, n, -ENOMEM);
        (void)hank_write(s, "x", 1);
        (void)hank_read_exact(s, &byte, 1); /* served, or closed: whichever call failed */
        hank_close(s);
        hk_fault_clear();
        MUST_OK(ask_echo(&v)); /* it goes on in any case */
        MUST(server_stop(&v) == -ECANCELED);
    }
    return 0;
}

Test(serve, running_out_of_memory_once_does_not_end_it, .timeout = 60)
{
    run_with_each_size(no_memory_app, NULL);
}
#endif
