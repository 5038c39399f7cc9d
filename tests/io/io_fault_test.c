/* SPDX-License-Identifier: MIT */
/* io_fault_test.c - whatever call of the system fails, with whatever error, and whichever time: a
 * program that serves, connects by name, writes, reads, calls blocking functions and passes items
 * between tasks either does its work or says why not, hangs never, and leaves nothing.
 *
 * Each run is a process of its own, whose alarm is the judge of a hang. A walk ends when the call
 * it would fail does not come any more. tests/faults_test.py checks that no kind is left out. */
#include "base/fault.h"

#include "base/error.h"

#include "api/support.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/wait.h>

#if HK_FAULTS

enum { WELL_AND_HIT = 10, WELL_AND_OVER, REFUSED, LEFT_SOMETHING, ODD_RESULT, NOT_AGAIN };
enum { ASKERS = 3, ITEMS = 4, MOST = 400 };

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

/* More descriptors may be there: the handle of the process itself, kept; for a moment two. */
static bool is_empty(int fds)
{
    int now = open_fds();
    uint64_t stacks = stacks_in_use();
    if (stacks != 0 || now > fds + 2)
        fprintf(stderr, "%lu stacks left, %d descriptors\n", (unsigned long)stacks, now - fds);
    return stacks == 0 && now <= fds + 2;
}

/* In a process of its own. */
static int run_one(unsigned workers, hk_fault kind, uint64_t nth, int error)
{
    (void)alarm(HK_EMULATED ? 300 : 30);
    int fds = open_fds();
    hk_fault_plan(kind, nth, error);
    int rc = hank_run_with(live, NULL, .workers = workers);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    if (rc < 0 && !is_clear(rc, error)) {
        fprintf(stderr, "kind %d, call %lu, error %d: %d, %s\n", (int)kind, (unsigned long)nth,
                error, rc, hank_strerror(rc));
        return ODD_RESULT;
    }
    if (!is_empty(fds))
        return LEFT_SOMETHING;
    if (hank_run_with(live, NULL, .workers = workers) != 0)
        return NOT_AGAIN;
    if (!is_empty(fds))
        return LEFT_SOMETHING;
    return rc < 0 ? REFUSED : hit ? WELL_AND_HIT : WELL_AND_OVER;
}

static int run_apart(unsigned workers, hk_fault kind, uint64_t nth, int error)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(run_one(workers, kind, nth, error));
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Every call of a kind one by one, until there is none left to hit. */
static void walk(hk_fault kind, int error)
{
    static unsigned long hits;
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (uint64_t nth = 1;; nth += nth < 40 ? 1 : nth / 8) { /* later ones are much the same */
            int verdict = run_apart(workers, kind, nth, error);
            cr_assert(verdict == WELL_AND_HIT || verdict == WELL_AND_OVER || verdict == REFUSED,
                      "kind %d, call %lu, error %d, %u workers: %d", (int)kind, (unsigned long)nth,
                      error, workers, verdict);
            if (verdict == WELL_AND_OVER || nth > MOST)
                break;
            hits++;
        }
    }
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

#endif
