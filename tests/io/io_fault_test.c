/* SPDX-License-Identifier: MIT */
/* io_fault_test.c - whatever call of the system fails, with whatever error, and whichever time: a
 * program that serves, connects by name, writes, reads, calls blocking functions and passes items
 * between tasks either does its work or says why not, hangs never, and leaves nothing.
 *
 * tests/faults_test.py checks that no kind is left out. */
#include "api/fault_support.h"

#include <netinet/in.h>
#include <string.h>

#include "base/error.h"

#if HK_FAULTS

enum { ASKERS = 3, ITEMS = 4 };

static int echo(hank_stream *s, void *arg)
{
    char line[64];
    ssize_t n;
    (void)arg;
    while ((n = hank_read_line(s, line, sizeof line)) > 0) {
        int rc = hank_write(s, line, (size_t)n);
        if (rc < 0)
            return rc;
    }
    return (int)n;
}

static int serve(void *arg)
{
    return hank_serve(arg, echo, NULL);
}

/* A whole exchange. A peer that was hit hangs up on us: the end of the stream is an answer. */
static int ask(void *arg)
{
    hank_stream *s;
    char line[64] = "";
    int rc = hank_connect(arg, &s);
    if (rc < 0)
        return rc;
    rc = hank_write(s, "question\n", 9);
    ssize_t n = rc < 0 ? rc : hank_within(HANK_SEC(3), hank_read_line(s, line, sizeof line));
    if (n > 0 && (n != 9 || memcmp(line, "question\n", 9) != 0))
        rc = -EPROTO; /* never: a wrong answer */
    else if (n <= 0)
        rc = n == 0 ? -EPIPE : (int)n;
    if (rc == 0)
        rc = hank_write_end(s);
    hank_close(s);
    return rc;
}

static int block(void *arg)
{
    return give_back(arg);
}

static int produce(void *arg)
{
    for (int i = 0; i < ITEMS; i++) {
        int rc = hank_chan_send(arg, &i);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int pass_items(void)
{
    hank_chan *c = hank_chan_new(sizeof(int), 1);
    if (!c)
        return -ENOMEM;
    hank_task producer = hank_spawn(produce, c);
    int rc = 0, item;
    for (int i = 0; i < ITEMS && rc == 0; i++) {
        rc = hank_within(HANK_SEC(3), hank_chan_recv(c, &item));
        if (rc == 0 && item != i)
            rc = -EPROTO;
    }
    hank_chan_close(c);
    int its = hank_await(producer);
    hank_chan_free(c);
    return its < 0 && its != -EPIPE ? its : rc;
}

static int with_server(hank_listener *l)
{
    char name[64], where[64];
    int rc = hank_listener_name(l, name, sizeof name);
    if (rc < 0)
        return rc;
    const char *port = strrchr(name, ':');
    (void)snprintf(where, sizeof where, "tcp://localhost%s", port ? port : "");
    hank_task server = hank_spawn(serve, l);
    hank_task askers[ASKERS];
    for (int i = 0; i < ASKERS; i++)
        askers[i] = hank_spawn(ask, i ? name : where);
    rc = hank_gather_n(askers, ASKERS, NULL);
    hank_cancel(server);
    int its = hank_await(server);
    return its == -ECANCELED ? rc : its;
}

static int live(void *arg)
{
    (void)arg;
    hank_listener *l;
    int rc = hank_listen("tcp://127.0.0.1:0", &l);
    if (rc < 0)
        return rc;
    rc = with_server(l);
    hank_listener_close(l);
    int blocked = hank_blocking(block, number(7));
    int passed = pass_items();
    return rc < 0 ? rc : blocked != 7 ? (blocked < 0 ? blocked : -EPROTO) : passed;
}

static bool is_clear(int rc, int error)
{
    return rc != -EPROTO && (rc == error || rc == -ENOMEM || rc == -ECANCELED || rc == -EPIPE ||
                             rc == -ETIMEDOUT || rc == -ECONNRESET || rc == -EAGAIN ||
                             rc == -EBADF || rc == -EMFILE || rc <= HK_RESOLVER_ERRORS);
}

static int run(unsigned workers)
{
    return hank_run_with(live, NULL, .workers = workers);
}

static void walk(hk_fault kind, int error)
{
    unsigned long hits = 0;
    for (unsigned workers = 1; workers <= 2; workers++)
        hits += walk_victim(&(victim){.run = run, .is_clear = is_clear, .workers = workers}, kind,
                            error);
    cr_log_info("kind %d, error %d: %lu hit", (int)kind, error, hits);
}

Test(io_fault, of_memory_is_survived)
{
    walk(HK_FAULT_ALLOC, -ENOMEM);
    walk(HK_FAULT_MAP, -ENOMEM);
    walk(HK_FAULT_PROTECT, -ENOMEM);
    walk(HK_FAULT_ADVISE, -EINVAL);
}

Test(io_fault, of_threads_and_futexes_is_survived)
{
    walk(HK_FAULT_THREAD, -EAGAIN);
    walk(HK_FAULT_FUTEX, -EINTR);
}

Test(io_fault, of_descriptors_is_survived)
{
    walk(HK_FAULT_CLOSE, -EIO);
    walk(HK_FAULT_READ, -EIO);
    walk(HK_FAULT_WRITE, -EAGAIN); /* a counter that is full */
    walk(HK_FAULT_OPEN, -EMFILE);
    walk(HK_FAULT_POLL, -EINTR);
    walk(HK_FAULT_EVENTFD, -EMFILE);
    walk(HK_FAULT_EPOLL_CREATE, -EMFILE);
    walk(HK_FAULT_EPOLL_CTL, -ENOMEM);
    walk(HK_FAULT_EPOLL_CTL, -ENOSPC);
    walk(HK_FAULT_EPOLL_WAIT, -EINTR);
}

Test(io_fault, of_making_sockets_is_survived)
{
    walk(HK_FAULT_SOCKET, -EMFILE);
    walk(HK_FAULT_SOCKET, -ENOBUFS);
    walk(HK_FAULT_BIND, -EADDRINUSE);
    walk(HK_FAULT_LISTEN, -EADDRINUSE);
    walk(HK_FAULT_SOCKOPT, -ENOPROTOOPT);
    walk(HK_FAULT_SHUTDOWN, -ENOTCONN);
}

Test(io_fault, of_connecting_is_survived)
{
    walk(HK_FAULT_CONNECT, -ECONNREFUSED);
    walk(HK_FAULT_CONNECT, -ENETUNREACH);
    walk(HK_FAULT_ACCEPT, -ECONNABORTED);
    walk(HK_FAULT_ACCEPT, -EMFILE);
    walk(HK_FAULT_RESOLVE, -EAGAIN);
}

Test(io_fault, of_reading_and_writing_is_survived)
{
    walk(HK_FAULT_RECV, -ECONNRESET);
    walk(HK_FAULT_RECV, -EIO);
    walk(HK_FAULT_SEND, -EPIPE);
    walk(HK_FAULT_SEND, -ENOBUFS);
}

Test(io_fault, that_passes_is_waited_out)
{
    walk(HK_FAULT_RECV, -EAGAIN);
    walk(HK_FAULT_RECV, 1);
    walk(HK_FAULT_SEND, -EAGAIN);
    walk(HK_FAULT_SEND, 1);
    walk(HK_FAULT_ACCEPT, -EAGAIN);
}

#endif
