/* SPDX-License-Identifier: MIT */
/* server_test.c - servers with a life: limits, ends in order, deadlines, activation. */
#include "io/net_support.h"

#include <hank/server.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fault.h"

typedef struct site {
    hank_server *v;
    hank_task task;
    char name[128];
    int (*handler)(hank_stream *s, void *arg);
    flag inside;  /* handlers that have begun */
    flag outside; /* and that have ended */
    flag reads;   /* what the last read of one gave, negated */
} site;

static int run_site(void *arg)
{
    site *w = arg;
    return hank_server_run(w->v, w->handler, w);
}

static int open_site(site *w, const char *where, const hank_server_options *o,
                     int (*handler)(hank_stream *s, void *arg))
{
    *w = (site){.handler = handler};
    int rc = hank_server_open(where, o, &w->v);
    if (rc == 0)
        rc = hank_server_name(w->v, w->name, sizeof w->name);
    if (rc == 0)
        w->task = hank_spawn(run_site, w);
    return rc;
}

/* Stop it, and free it; what run gave. */
static int close_site(site *w, hank_ns drain_ns)
{
    int rc = hank_server_stop(w->v, drain_ns);
    int ran = hank_await(w->task);
    hank_server_free(w->v);
    return rc < 0 ? rc : ran;
}

static int echo(hank_stream *s, void *arg)
{
    site *w = arg;
    char buf[256];
    ssize_t n;
    set(&w->inside);
    while ((n = hank_read(s, buf, sizeof buf)) > 0 && hank_write(s, buf, (size_t)n) == 0)
        continue;
    hk_store_relaxed(&w->reads, (int)-n);
    set(&w->outside);
    return n == -ETIMEDOUT || n == -ECONNABORTED || n == -ECONNRESET ? 0 : (int)n;
}

static int ask(const char *name, hank_stream **ret)
{
    char buf[4];
    int rc = hank_connect(name, ret);
    if (rc == 0)
        rc = hank_write(*ret, "ping", 4);
    return rc == 0 ? hank_read_exact(*ret, buf, 4) : rc;
}

#define SITES(suite, name)                                                                         \
    static int suite##_##name(const char *where);                                                  \
    static int suite##_##name##_app(void *arg)                                                     \
    {                                                                                              \
        char where[64];                                                                            \
        snprintf(where, sizeof where, "unix:///tmp/hank-site-%d", (int)getpid());                  \
        (void)arg;                                                                                 \
        int rc = suite##_##name("tcp://127.0.0.1:0");                                              \
        return rc == 0 ? suite##_##name(where) : rc;                                               \
    }                                                                                              \
    Test(suite, name, .timeout = 170)                                                              \
    {                                                                                              \
        warm_up();                                                                                 \
        with_each_size(suite##_##name##_app, NULL);                                                \
    }                                                                                              \
    static int suite##_##name(const char *where)

SITES(server, every_client_is_served)
{
    site w;
    hank_stream *s[20];
    MUST(open_site(&w, where, NULL, echo) == 0);
    for (int i = 0; i < 20; i++)
        MUST(ask(w.name, &s[i]) == 0);
    MUST(hank_server_clients(w.v) == 20);
    for (int i = 0; i < 20; i++)
        hank_close(s[i]);
    YIELD_UNTIL(hank_server_clients(w.v) == 0);
    return close_site(&w, HANK_SEC(10));
}

/* --- the end --------------------------------------------------------------------------------- */

static int stop_site(void *arg)
{
    return hank_server_stop(((site *)arg)->v, HANK_FOREVER);
}

SITES(stop, handlers_may_finish_and_nobody_new_comes_in)
{
    site w;
    char buf[4];
    hank_stream *s, *late;
    MUST(open_site(&w, where, NULL, echo) == 0);
    MUST(ask(w.name, &s) == 0);
    hank_task stopper = hank_spawn(stop_site, &w);
    int rc = 0;
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (rc == 0 && hank_now() < give_up) { /* until the door is shut */
        rc = hank_connect(w.name, &late);
        if (rc == 0)
            hank_close(late);
        rc = rc == -ECONNRESET ? 0 : rc; /* it stood in line when the door was shut */
    }
    MUST(rc == -ECONNREFUSED || rc == -ENOENT);
    MUST(hank_write(s, "ping", 4) == 0 && hank_read_exact(s, buf, 4) == 0);
    YIELD_UNTIL(hank_server_clients(w.v) == 1); /* those who came in before it are gone */
    hank_close(s);
    MUST(hank_await(stopper) == 0 && hank_await(w.task) == 0);
    MUST(is_set(&w.outside));
    hank_server_free(w.v);
    return 0;
}

SITES(stop, after_the_drain_handlers_are_cancelled)
{
    site w;
    char byte;
    hank_stream *s;
    MUST(open_site(&w, where, NULL, echo) == 0);
    MUST(ask(w.name, &s) == 0);
    MUST(close_site(&w, HANK_MS(10)) == 0);
    MUST(hk_load_relaxed(&w.reads) == ECANCELED);
    MUST(hank_read(s, &byte, 1) == 0);
    hank_close(s);
    return 0;
}

SITES(stop, an_earlier_end_counts)
{
    site w;
    hank_stream *s;
    MUST(open_site(&w, where, NULL, echo) == 0);
    MUST(ask(w.name, &s) == 0);
    hank_task patient = hank_spawn(stop_site, &w);
    (void)hank_yield();
    MUST(hank_server_stop(w.v, 0) == 0);
    MUST(hank_await(patient) == 0 && hank_await(w.task) == 0);
    hank_server_free(w.v);
    hank_close(s);
    return 0;
}

SITES(stop, a_stopper_that_is_stopped_leaves_it_stopping)
{
    site w;
    hank_stream *s;
    MUST(open_site(&w, where, NULL, echo) == 0);
    MUST(ask(w.name, &s) == 0);
    MUST(hank_within(HANK_MS(5), hank_server_stop(w.v, HANK_FOREVER)) == -ETIMEDOUT);
    MUST(hank_within(HANK_MS(5), hank_server_wait_closed(w.v)) == -ETIMEDOUT);
    hank_close(s);
    MUST(hank_server_wait_closed(w.v) == 0);
    MUST(hank_await(w.task) == 0);
    hank_server_free(w.v);
    return 0;
}

SITES(stop, cancelling_run_cancels_the_handlers)
{
    site w;
    hank_stream *s;
    MUST(open_site(&w, where, NULL, echo) == 0);
    MUST(ask(w.name, &s) == 0);
    (void)hank_cancel(w.task);
    MUST(hank_await(w.task) == -ECANCELED);
    MUST(hk_load_relaxed(&w.reads) == ECANCELED);
    MUST(hank_server_wait_closed(w.v) == 0);
    hank_server_free(w.v);
    hank_close(s);
    return 0;
}

SITES(stop, one_that_never_ran_just_closes)
{
    hank_server *v;
    site w = {.handler = echo};
    MUST(hank_server_open(where, NULL, &v) == 0);
    MUST(hank_server_stop(v, HANK_FOREVER) == 0);
    MUST(hank_server_run(v, echo, &w) == 0);
    MUST(hank_server_wait_closed(v) == 0);
    hank_server_free(v);
    hank_server_free(NULL);
    return 0;
}

SITES(stop, misuse_is_refused)
{
    site w;
    hank_server *v;
    hank_stream *s;
    MUST(open_site(&w, where, NULL, echo) == 0);
    MUST(ask(w.name, &s) == 0);
    MUST(hank_server_run(w.v, echo, &w) == -EBUSY);
    MUST(hank_server_run(w.v, NULL, &w) == -EINVAL);
    MUST(hank_server_open(where, &(hank_server_options){.idle_timeout = -1}, &v) == -EINVAL);
    MUST(hank_server_open(where, &(hank_server_options){.header_timeout = -1}, &v) == -EINVAL);
    MUST(hank_server_open(where, &(hank_server_options){.acceptors = 1025}, &v) == -EINVAL);
    MUST(hank_server_open(where, &(hank_server_options){.reserved_ = {1}}, &v) == -EINVAL);
    MUST(hank_server_open("nonsense", NULL, &v) == -EINVAL);
    hank_socket_options bad = {.send_buffer = ~0u};
    char other[80];
    snprintf(other, sizeof other, "%s%s", where, where[0] == 'u' ? "2" : "");
    MUST(hank_server_open(other, &(hank_server_options){.socket = bad}, &v) == -EINVAL);
    MUST(hank_server_adopt(NULL, NULL, &v) == -EINVAL);
    MUST(hank_header_begin(s) == -ENOTSUP && hank_header_end(s) == -ENOTSUP);
    MUST(hank_server_name(w.v, other, strlen(w.name)) == -ENOSPC);
    hank_close(s);
    return close_site(&w, 0);
}

/* --- clients --------------------------------------------------------------------------------- */

SITES(clients, can_be_closed_all_at_once)
{
    site w;
    char byte;
    hank_stream *s[3];
    MUST(open_site(&w, where, NULL, echo) == 0);
    for (int i = 0; i < 3; i++)
        MUST(ask(w.name, &s[i]) == 0);
    MUST(hank_server_close_clients(w.v) == 3);
    for (int i = 0; i < 3; i++) {
        MUST(hank_read(s[i], &byte, 1) == 0);
        hank_close(s[i]);
    }
    YIELD_UNTIL(hank_server_clients(w.v) == 0);
    MUST(hk_load_relaxed(&w.reads) == 0); /* an end, not a failure */
    MUST(hank_server_close_clients(w.v) == 0);
    return close_site(&w, HANK_FOREVER);
}

SITES(clients, can_be_broken_all_at_once)
{
    site w;
    char byte;
    hank_stream *s[3];
    MUST(open_site(&w, where, NULL, echo) == 0);
    for (int i = 0; i < 3; i++)
        MUST(ask(w.name, &s[i]) == 0);
    MUST(hank_server_abort_clients(w.v) == 3);
    for (int i = 0; i < 3; i++) {
        MUST(hank_read(s[i], &byte, 1) == (where[0] == 't' ? -ECONNRESET : 0));
        hank_close(s[i]);
    }
    YIELD_UNTIL(hank_server_clients(w.v) == 0);
    MUST(hk_load_relaxed(&w.reads) == ECONNABORTED);
    return close_site(&w, HANK_FOREVER);
}

SITES(clients, over_the_limit_wait_in_line)
{
    site w;
    char buf[4];
    hank_stream *s[4];
    MUST(open_site(&w, where, &(hank_server_options){.connections_max = 2}, echo) == 0);
    for (int i = 0; i < 2; i++)
        MUST(ask(w.name, &s[i]) == 0);
    for (int i = 2; i < 4; i++) {
        MUST(hank_connect(w.name, &s[i]) == 0);
        MUST(hank_write(s[i], "ping", 4) == 0);
    }
    MUST(hank_within(HANK_MS(20), hank_peek(s[2], buf, 1)) == -ETIMEDOUT);
    MUST(hank_server_clients(w.v) == 2);
    hank_close(s[0]);
    MUST(hank_read_exact(s[2], buf, 4) == 0);
    MUST(hank_within(HANK_MS(20), hank_peek(s[3], buf, 1)) == -ETIMEDOUT);
    hank_close(s[1]);
    MUST(hank_read_exact(s[3], buf, 4) == 0);
    hank_close(s[2]);
    hank_close(s[3]);
    return close_site(&w, HANK_FOREVER);
}

SITES(clients, can_come_through_several_doors)
{
    site w;
    hank_stream *s[30];
    MUST(open_site(&w, where, &(hank_server_options){.acceptors = HANK_PER_WORKER}, echo) == 0);
    for (int i = 0; i < 30; i++)
        MUST(ask(w.name, &s[i]) == 0);
    for (int i = 0; i < 30; i++)
        hank_close(s[i]);
    return close_site(&w, HANK_FOREVER);
}

/* --- deadlines ------------------------------------------------------------------------------- */

SITES(deadline, an_idle_connection_is_ended)
{
    site w;
    char byte;
    hank_stream *s;
    MUST(open_site(&w, where, &(hank_server_options){.idle_timeout = HANK_MS(30)}, echo) == 0);
    MUST(hank_connect(w.name, &s) == 0);
    MUST(hank_read(s, &byte, 1) == 0);
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.reads) == ETIMEDOUT);
    hank_close(s);
    return close_site(&w, HANK_FOREVER);
}

static int write_for_ever(hank_stream *s, void *arg)
{
    static char block[1 << 20];
    site *w = arg;
    int rc = 0;
    while (rc == 0)
        rc = hank_write(s, block, sizeof block);
    hk_store_relaxed(&w->reads, -rc);
    set(&w->outside);
    return 0;
}

SITES(deadline, a_client_that_does_not_read_is_idle)
{
    site w;
    hank_stream *s;
    hank_server_options o = {.idle_timeout = HANK_MS(50)};
    MUST(open_site(&w, where, &o, write_for_ever) == 0);
    MUST(hank_connect(w.name, &s) == 0);
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.reads) == ETIMEDOUT);
    hank_close(s);
    return close_site(&w, HANK_FOREVER);
}

/* Reads a line, says so, then waits; its last words go out even when its time is over. */
static int greet(hank_stream *s, void *arg)
{
    site *w = arg;
    char line[64];
    ssize_t n = hank_read_line(s, line, sizeof line);
    if (n > 0 && hank_header_end(s) == 0)
        n = hank_read_line(s, line, sizeof line);
    hk_store_relaxed(&w->reads, (int)-n);
    int rc = hank_write(s, n > 0 ? "good\n" : "late\n", 5);
    set(&w->outside);
    return rc;
}

SITES(deadline, single_bytes_buy_no_time)
{
    site w;
    hank_stream *s;
    MUST(open_site(&w, where, &(hank_server_options){.header_timeout = HANK_MS(50)}, greet) == 0);
    MUST(hank_connect(w.name, &s) == 0);
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (!is_set(&w.outside) && hank_now() < give_up) {
        (void)hank_write(s, "x", 1);
        (void)hank_sleep(HANK_MS(2));
    }
    MUST(hk_load_relaxed(&w.reads) == ETIMEDOUT);
    hank_close(s);
    return close_site(&w, HANK_FOREVER);
}

SITES(deadline, last_words_go_out_even_when_the_time_is_over)
{
    site w;
    char buf[8];
    hank_stream *s;
    MUST(open_site(&w, where, &(hank_server_options){.header_timeout = HANK_MS(20)}, greet) == 0);
    MUST(hank_connect(w.name, &s) == 0);
    MUST(hank_read_exact(s, buf, 5) == 0 && memcmp(buf, "late\n", 5) == 0);
    MUST(hk_load_relaxed(&w.reads) == ETIMEDOUT);
    hank_close(s);
    return close_site(&w, HANK_FOREVER);
}

SITES(deadline, after_the_header_there_is_time)
{
    site w;
    char buf[8];
    hank_stream *s;
    MUST(open_site(&w, where, &(hank_server_options){.header_timeout = HANK_MS(500)}, greet) == 0);
    MUST(hank_connect(w.name, &s) == 0);
    MUST(hank_write(s, "hello\n", 6) == 0);
    MUST(hank_sleep(HANK_MS(600)) == 0);
    int rc = hank_write(s, "again\n", 6);
    if (rc == 0)
        rc = hank_read_exact(s, buf, 5);
    YIELD_UNTIL(is_set(&w.outside));
    /* Unless this machine is so slow that the greeting itself was late. */
    MUST((rc == 0 && memcmp(buf, "good\n", 5) == 0) || hk_load_relaxed(&w.reads) == ETIMEDOUT);
    hank_close(s);
    return close_site(&w, HANK_FOREVER);
}

static int greet_twice(hank_stream *s, void *arg)
{
    char line[64];
    site *w = arg;
    (void)hank_header_end(s);
    MUST(hank_header_begin(s) == 0);
    ssize_t n = hank_read_line(s, line, sizeof line);
    hk_store_relaxed(&w->reads, (int)-n);
    set(&w->outside);
    return 0;
}

SITES(deadline, the_next_header_has_one_of_its_own)
{
    site w;
    hank_stream *s;
    hank_server_options o = {.header_timeout = HANK_MS(30)};
    MUST(open_site(&w, where, &o, greet_twice) == 0);
    MUST(hank_connect(w.name, &s) == 0);
    YIELD_UNTIL(is_set(&w.outside));
    MUST(hk_load_relaxed(&w.reads) == ETIMEDOUT);
    hank_close(s);
    return close_site(&w, HANK_FOREVER);
}

/* --- activation ------------------------------------------------------------------------------ */

/* In a process whose descriptors 3 and 4 are what the manager would have opened. */
static int activated_app(void *arg)
{
    hank_listener *l, *again;
    hank_server *v;
    hank_stream *s;
    (void)arg;
    MUST(hank_listen_activated(0, &l) == 0);
    MUST(hank_listen_activated(0, &again) == -EBUSY);
    MUST(hank_listen_activated(1, &again) == -EPROTOTYPE);
    MUST(hank_listen_activated(1, &again) == -EPROTOTYPE); /* a failure takes nothing */
    MUST(hank_listen_activated(2, &again) == -ENOENT);
    site w = {.handler = echo};
    MUST(hank_server_adopt(l, NULL, &v) == 0);
    w.v = v;
    MUST(hank_server_name(v, w.name, sizeof w.name) == 0);
    w.task = hank_spawn(run_site, &w);
    MUST(ask(w.name, &s) == 0);
    hank_close(s);
    return close_site(&w, HANK_FOREVER);
}

/* In a process of its own: the numbers below are the test runner's here. */
static int activated(void)
{
    char number[16];
    hank_listener *l;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listening = socket(AF_INET, SOCK_STREAM, 0), dgram = socket(AF_INET, SOCK_DGRAM, 0);
    MUST(bind(listening, (struct sockaddr *)(void *)&any, sizeof any) == 0);
    MUST(listen(listening, 5) == 0);
    int first = fcntl(listening, F_DUPFD, 100), second = fcntl(dgram, F_DUPFD, 100);
    MUST(dup2(first, 3) == 3 && dup2(second, 4) == 4);
    MUST(setenv("LISTEN_FDS", "2", 1) == 0);
    MUST(hank_listen_activated(0, &l) == -ENOENT); /* for whom? */
    MUST(setenv("LISTEN_PID", "1", 1) == 0);
    MUST(hank_listen_activated(0, &l) == -ENOENT); /* for another */
    snprintf(number, sizeof number, "%d", (int)getpid());
    MUST(setenv("LISTEN_PID", number, 1) == 0);
    MUST(setenv("LISTEN_FDS", "2x", 1) == 0);
    MUST(hank_listen_activated(0, &l) == -ENOENT);
    MUST(setenv("LISTEN_FDS", "2", 1) == 0);
    return hank_run_with(activated_app, NULL, .workers = 2);
}

Test(activation, the_managers_sockets_are_served, .timeout = 60)
{
    int status = -1;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(activated() == 0 && hk_load_relaxed(&failed_checks) == 0 ? 0 : 1);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}
