/* SPDX-License-Identifier: MIT */
/* foreign_test.c - waiting for descriptors that are not hank's. */
#include "api/everywhere.h"
#include "io/io_support.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/os.h"
#include "is_parked.h"

enum { BOTH = HANK_READABLE | HANK_WRITABLE };

static int nonsense_app(void *arg)
{
    (void)arg;
    int fds[2];
    MUST_OK(hk_os_pipe(fds));
    MUST(hank_fd_wait(fds[0], 0) == -EINVAL);
    MUST(hank_fd_wait(fds[0], 4 | HANK_READABLE) == -EINVAL);
    MUST(hank_fd_wait(-1, HANK_READABLE) == -EBADF);
    close(fds[0]);
    MUST(hank_fd_wait(fds[0], HANK_READABLE) == -EBADF);
    close(fds[1]);
    return 0;
}

static int told_by_handler = -1;

static void tell_from_the_handler(int signo)
{
    uint64_t one = 1;
    ssize_t n = write(told_by_handler, &one, sizeof one); /* all that a handler may do */
    (void)n;
    (void)signo;
}

static int interrupt_myself(void *arg)
{
    (void)arg;
    MUST(hank_yield() == 0);
    MUST(raise(SIGUSR2) == 0); /* on whatever thread this is */
    return 0;
}

static int wait_for_a_handler(void *arg)
{
    struct sigaction ours = {.sa_handler = tell_from_the_handler}, before;
    (void)arg;
    told_by_handler = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    MUST(told_by_handler >= 0 && sigaction(SIGUSR2, &ours, &before) == 0);
    for (int i = 0; i < 100; i++) {
        uint64_t n = 0;
        hank_task t = hank_spawn(interrupt_myself, NULL);
        MUST(hank_fd_wait(told_by_handler, HANK_READABLE) == HANK_READABLE);
        MUST(read(told_by_handler, &n, sizeof n) == sizeof n && n == 1);
        MUST(hank_await(t) == 0);
    }
    MUST(sigaction(SIGUSR2, &before, NULL) == 0 && close(told_by_handler) == 0);
    return 0;
}

Test(foreign, a_signal_handler_of_ones_own_can_wake_a_task, .timeout = 60)
{
    run_with_each_size(wait_for_a_handler, NULL);
}

Test(foreign, nonsense_is_refused, .timeout = 60)
{
    run_with_each_size(nonsense_app, NULL);
    cr_assert_eq(nonsense_app(NULL), 0); /* and outside a task too */
}

static int ready_app(void *arg)
{
    (void)arg;
    int fds[2];
    MUST_OK(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds));
    MUST(hank_fd_wait(fds[0], BOTH) == HANK_WRITABLE);
    MUST(write(fds[1], "x", 1) == 1);
    MUST(hank_fd_wait(fds[0], BOTH) == BOTH);
    MUST(hank_fd_wait(fds[0], HANK_READABLE) == HANK_READABLE);
    MUST(hank_fd_wait(fds[0], HANK_READABLE) == HANK_READABLE); /* a level, not an edge */
    close(fds[1]);
    MUST(hank_fd_wait(fds[0], BOTH) == BOTH); /* gone counts as ready */
    close(fds[0]);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    MUST(hank_fd_wait(file, HANK_READABLE) == HANK_READABLE); /* a file always is */
    close(file);
    return 0;
}

Test(foreign, what_is_ready_is_told_at_once_and_again, .timeout = 60)
{
    run_with_each_size(ready_app, NULL);
    cr_assert_eq(ready_app(NULL), 0);
}

typedef struct request {
    int fd;
    int events;
} request;

static int wait_for(void *arg)
{
    request *w = arg;
    return hank_fd_wait(w->fd, w->events);
}

static int two_waiters_app(void *arg)
{
    (void)arg;
    int fds[2];
    char block[4096] = {0};
    for (int i = 0; i < 100; i++) {
        MUST_OK(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds));
        while (write(fds[0], block, sizeof block) > 0)
            ;
        request in = {fds[0], HANK_READABLE}, out = {fds[0], HANK_WRITABLE}, all = {fds[0], BOTH};
        hank_task reader = hank_spawn(wait_for, &in);
        hank_task writer = hank_spawn(wait_for, &out);
        hank_task either = hank_spawn(wait_for, &all);
        for (int j = 0; j < i % 4; j++)
            (void)hank_yield();
        MUST(write(fds[1], "x", 1) == 1);
        MUST(hank_within(HANK_SEC(10), hank_await(reader)) == HANK_READABLE);
        MUST(hank_within(HANK_SEC(10), hank_await(either)) == HANK_READABLE);
        while (read(fds[1], block, sizeof block) > 0)
            ;
        MUST(hank_within(HANK_SEC(10), hank_await(writer)) == HANK_WRITABLE);
        close(fds[0]);
        close(fds[1]);
    }
    return 0;
}

Test(foreign, several_tasks_may_wait_for_one_descriptor, .timeout = 60)
{
    run_with_each_size(two_waiters_app, NULL);
}

/* The owner closes the moment the wait is over, and the next one has the same number. */
static int reuse_app(void *arg)
{
    (void)arg;
    int before = lasting_fds();
    for (int i = 0; i < 1000; i++) {
        int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        uint64_t one = 1;
        request w = {fd, HANK_READABLE};
        MUST(fd >= 0);
        if (i % 3 == 0) {
            MUST(hank_within(i % 2 ? HANK_US(100) : 0, wait_for(&w)) == -ETIMEDOUT);
        } else {
            hank_task waiter = hank_spawn(wait_for, &w);
            if (i % 2)
                (void)hank_yield();
            MUST(write(fd, &one, sizeof one) == sizeof one);
            MUST(hank_await(waiter) == HANK_READABLE);
        }
        close(fd);
    }
    MUST(lasting_fds() <= before);
    return 0;
}

Test(foreign, a_number_that_is_used_again_is_a_new_descriptor, .timeout = 60)
{
    run_with_each_size(reuse_app, NULL);
}

/* Connects a socket that the caller made: 0 and a stream, or why not. */
static int connect_by_hand(const struct sockaddr_in *to, hank_stream **ret)
{
    int error = 0;
    socklen_t length = sizeof error;
    int fd = hk_os_socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0);
    int rc = hk_os_connect(fd, (const struct sockaddr *)(const void *)to, sizeof *to);
    if (rc == -EINPROGRESS) {
        MUST((hank_fd_wait(fd, HANK_WRITABLE) & HANK_WRITABLE) != 0);
        MUST_OK(hk_os_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
        rc = -error;
    }
    if (rc == 0)
        rc = hank_stream_from_fd(fd, 0, ret);
    if (rc < 0)
        close(fd);
    return rc;
}

static int connect_app(void *arg)
{
    hank_listener *l;
    hank_stream *s, *t;
    char byte;
    struct sockaddr_in to;
    socklen_t length = sizeof to;
    (void)arg;
    MUST_OK(hank_listen("tcp://127.0.0.1:0", &l));
    MUST(getsockname(hank_listener_fd(l), (struct sockaddr *)(void *)&to, &length) == 0);
    MUST_OK(connect_by_hand(&to, &s));
    MUST_OK(hank_accept(l, &t));
    MUST_OK(hank_write(s, "x", 1));
    MUST(hank_read(t, &byte, 1) == 1 && byte == 'x');
    hank_close(s);
    hank_close(t);
    hank_listener_close(l);
    MUST(connect_by_hand(&to, &s) == -ECONNREFUSED);
    return 0;
}

Test(foreign, a_socket_of_ones_own_can_be_connected, .timeout = 60)
{
    run_with_each_size(connect_app, NULL);
}

/* --- closed by hank_fd_close ----------------------------------------------------------------- */

/* The same with a number that nobody else gets by chance: a worker that begins opens some, too. */
static int far_away(int fd)
{
    int far = fcntl(fd, F_DUPFD_CLOEXEC, 500);
    close(fd);
    return far;
}

/* Two at one descriptor, and a bystander at another. */
static int closed_app(void *arg)
{
    (void)arg;
    char byte;
    int fds[2], others[2], before = lasting_fds();
    MUST_OK(hk_os_pipe(others));
    request other = {others[0], HANK_READABLE};
    hank_task bystander = hank_spawn(wait_for, &other);
    for (int i = 0; i < 100; i++) {
        MUST_OK(hk_os_socketpair(AF_UNIX, SOCK_STREAM, fds));
        request in = {far_away(fds[0]), HANK_READABLE};
        hank_task first = hank_spawn(wait_for, &in), second = hank_spawn(wait_for, &in);
        YIELD_UNTIL(is_parked(first) && is_parked(second));
        MUST(hank_fd_close(in.fd) == 0);
        MUST(dup2(others[1], in.fd) == in.fd); /* the number is used again */
        MUST(hank_within(HANK_SEC(10), hank_await(first)) == -EBADF);
        MUST(hank_within(HANK_SEC(10), hank_await(second)) == -EBADF);
        /* The connection has ended, once whoever asked the kernel has come by to hear of it. */
        YIELD_UNTIL(read(fds[1], &byte, 1) == 0);
        close(in.fd);
        close(fds[1]);
    }
    MUST(write(others[1], "x", 1) == 1 && hank_await(bystander) == HANK_READABLE);
    close(others[0]);
    close(others[1]);
    MUST(lasting_fds() <= before);
    return 0;
}

Test(foreign, closing_a_descriptor_ends_the_waits_for_it_and_no_others, .timeout = 60)
{
    run_with_each_size(closed_app, NULL);
}

/* At any moment of the others' calls. */
static int closed_early_app(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        int fds[2];
        hank_task waiters[4];
        MUST_OK(hk_os_pipe(fds));
        request w = {far_away(fds[i % 2]), i % 2 ? BOTH : HANK_READABLE};
        for (int j = 0; j < 4; j++)
            waiters[j] = hank_spawn(wait_for, &w);
        for (int j = 0; j < i % 7; j++)
            (void)hank_yield();
        MUST(hank_fd_close(w.fd) == 0);
        for (int j = 0; j < 4; j++) {
            int rc = hank_within(HANK_SEC(10), hank_await(waiters[j]));
            MUST(rc == -EBADF || (i % 2 && rc == HANK_WRITABLE)); /* a pipe has room */
        }
        close(fds[1 - i % 2]);
    }
    return 0;
}

Test(foreign, closing_a_descriptor_ends_a_wait_that_is_about_to_begin, .timeout = 60)
{
    run_with_each_size(closed_early_app, NULL);
}

static void *wait_outside(void *arg)
{
    request *w = arg;
    w->events = hank_fd_wait(w->fd, w->events);
    return NULL;
}

Test(foreign, closing_a_descriptor_ends_a_plain_threads_wait_for_it, .timeout = 60)
{
    int fds[2];
    pthread_t thread;
    cr_assert_eq(hk_os_pipe(fds), 0);
    request w = {fds[0], HANK_READABLE};
    cr_assert_eq(pthread_create(&thread, NULL, wait_outside, &w), 0);
    cr_expect_eq(hank_within(HANK_MS(5), hank_fd_wait(fds[0], HANK_READABLE)), -ETIMEDOUT);
    cr_expect_eq(hank_fd_close(fds[0]), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(w.events, -EBADF);
    cr_expect_eq(hank_fd_close(fds[0]), -EBADF);
    cr_expect_eq(hank_fd_close(-1), -EBADF);
    close(fds[1]);
}

/* The parent's task waits for the number that the child closes. */
static int close_in_a_child(void *arg)
{
    int status = -1, *fds = arg;
    request w = {fds[0], HANK_READABLE};
    hank_task waiter = hank_spawn(wait_for, &w);
    YIELD_UNTIL(is_parked(waiter));
    pid_t child = fork();
    if (child == 0)
        _exit(hank_fd_close(fds[0]) != 0);
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    MUST(write(fds[1], "x", 1) == 1 && hank_await(waiter) == HANK_READABLE);
    return 0;
}

Test(foreign, a_child_closes_its_own_descriptors_only, .timeout = 60)
{
    int fds[2];
    cr_assert_eq(hk_os_pipe(fds), 0);
    cr_expect_eq(hank_run(close_in_a_child, fds), 0);
    close(fds[0]);
    close(fds[1]);
}

enum { FAR = 600 };

static void *close_again_and_again(void *arg)
{
    while (!hk_load_acquire((HK_ATOMIC(bool) *)arg))
        (void)hank_fd_close(fcntl(0, F_DUPFD_CLOEXEC, FAR)); /* always this number */
    return NULL;
}

/* It may be forked off at any moment of the other thread's calls. */
Test(foreign, a_child_can_close_whatever_another_thread_was_closing, .timeout = 60)
{
    HK_ATOMIC(bool) enough = false;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, close_again_and_again, (void *)&enough), 0);
    for (int i = 0; i < 200; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            (void)alarm(5);
            _exit(hank_fd_close(dup2(1, FAR)) != 0);
        }
        cr_assert(child > 0 && waitpid(child, &status, 0) == child);
        cr_assert_eq(status, 0, "fork %d: %d", i, status);
    }
    hk_store_release(&enough, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

#if HK_FAULTS
static int no_room_app(void *arg)
{
    (void)arg;
    const char *reactor = getenv("HANK_REACTOR");
    bool uring = reactor && strcmp(reactor, "uring") == 0;
    const hk_fault kinds[] = {HK_FAULT_OPEN, uring ? HK_FAULT_URING_ENTER : HK_FAULT_EPOLL_CTL,
                              HK_FAULT_POLL};
    int fds[2];
    MUST_OK(hk_os_pipe(fds));
    int before = lasting_fds();
    for (int i = 0; i < 3; i++) {
        hk_fault_plan(kinds[i], 1, -ENOMEM);
        int rc = hank_within(HANK_SEC(10), hank_fd_wait(fds[0], HANK_READABLE));
        hk_fault_clear();
        MUST(rc == -ENOMEM);
        MUST(lasting_fds() <= before);
    }
    close(fds[0]);
    close(fds[1]);
    return 0;
}

Test(foreign, a_failure_leaves_nothing_behind, .timeout = 60)
{
    run_with_each_size(no_room_app, NULL);
}
#endif

static void *write_soon(void *arg)
{
    for (int i = 0; i < 1000; i++)
        hk_os_yield();
    return write(*(int *)arg, "x", 1) == 1 ? arg : NULL;
}

Test(foreign, a_plain_thread_blocks_until_ready_or_timed_out, .timeout = 20)
{
    int fds[2];
    pthread_t thread;
    void *ok = NULL;
    cr_assert_eq(hk_os_pipe(fds), 0);
    cr_expect_eq(hank_within(HANK_MS(5), hank_fd_wait(fds[0], HANK_READABLE)), -ETIMEDOUT);
    cr_assert_eq(pthread_create(&thread, NULL, write_soon, &fds[1]), 0);
    cr_expect_eq(hank_fd_wait(fds[0], HANK_READABLE), HANK_READABLE);
    pthread_join(thread, &ok);
    cr_expect(ok != NULL);
    close(fds[0]);
    close(fds[1]);
}

/* --- stopped while it waits ------------------------------------------------------------------ */

typedef struct borrowed {
    int fds[2]; /* of a socket pair: who waits, who writes */
    int before; /* how many there were */
    int heard, written;
} borrowed;

static void begin_borrowed(void *state)
{
    borrowed *f = state;
    f->heard = f->written = 0;
    f->before = lasting_fds();
    if (hk_os_socketpair(AF_UNIX, SOCK_STREAM, f->fds) < 0)
        f->fds[0] = f->fds[1] = -1; /* which fails the walk */
}

static int hear_two_bytes(void *state)
{
    borrowed *f = state;
    char byte;
    while (f->heard < 2) {
        int rc = hank_fd_wait(f->fds[0], HANK_READABLE);
        if (rc < 0)
            return rc;
        MUST(rc == HANK_READABLE && hk_os_recv(f->fds[0], &byte, 1, 0) == 1);
        f->heard++;
    }
    return 0;
}

static int write_two_bytes(void *state)
{
    borrowed *f = state;
    int rc = 0;
    for (; f->written < 2 && rc == 0; f->written++) {
        MUST(hk_os_send(f->fds[1], "x", 1) == 1);
        rc = hank_yield();
    }
    return rc;
}

/* Whoever waits next gets what the one who was stopped left, and it belongs to the caller. */
static bool bytes_are_there_or_heard(void *state, int rc, bool stopped)
{
    borrowed *f = state;
    char byte;
    bool right = rc == 0 ? f->heard == 2 : stopped && (rc == -ECANCELED || rc == -ETIMEDOUT);
    for (; right && f->heard < f->written; f->heard++)
        right = hank_within(HANK_SEC(10), hank_fd_wait(f->fds[0], HANK_READABLE)) > 0 &&
                hk_os_recv(f->fds[0], &byte, 1, 0) == 1;
    int none = hank_within(0, hank_fd_wait(f->fds[0], HANK_READABLE));
    bool closed = close(f->fds[0]) == 0 && close(f->fds[1]) == 0;
    return closed && right && none == -ETIMEDOUT && lasting_fds() <= f->before;
}

static int walk_over_bytes(void *arg)
{
    borrowed f;
    (void)arg;
    everywhere_scenario s = {begin_borrowed, hear_two_bytes, write_two_bytes,
                             bytes_are_there_or_heard, &f};
    MUST(everywhere(&s) == 0 && everywhere_stops() > 0);
    return 0;
}

Test(foreign, may_be_stopped_at_any_wait_and_the_next_one_hears_it)
{
    run_with_each_size(walk_over_bytes, NULL);
}
