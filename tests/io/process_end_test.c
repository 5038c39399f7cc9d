/* SPDX-License-Identifier: MIT */
/* process_end_test.c - waiting for programs, ending them, and what is left when calls fail. */
#include "io/process_support.h"

#include <spawn.h>

/* --- waiting and ending ------------------------------------------------------------------------
 */

static int wait_for(void *arg)
{
    int status = 0;
    int rc = hank_process_wait(arg, &status);
    return rc < 0 ? rc : 1000 + status;
}

PROCESS_TEST(can_be_waited_for_by_many)
{
    hank_process *p;
    hank_task t[20];
    int results[20];
    START(&p, "read x; exit 5", .in = HANK_STDIO_PIPE);
    for (int i = 0; i < 20; i++)
        t[i] = hank_spawn(wait_for, p);
    for (int i = 0; i < 20; i++)
        (void)hank_yield();
    hank_close(hank_process_take(p, 0));
    MUST(hank_gather_n(t, 20, results) == 0);
    for (int i = 0; i < 20; i++)
        MUST(results[i] == 1005);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(has_ended_even_if_its_pipe_is_still_open_in_a_child_of_its_own)
{
    hank_process *p;
    char line[32];
    START(&p, "sleep 600 & echo $!; exit 4", .out = HANK_STDIO_PIPE);
    int status;
    MUST(hank_process_wait(p, &status) == 0);
    MUST(status == 4);
    hank_stream *out = hank_process_take(p, 1);
    MUST(hank_read_line(out, line, sizeof line) > 1);
    MUST(hank_within(HANK_MS(1), hank_read(out, line + 20, 1)) == -ETIMEDOUT); /* no end yet */
    MUST(kill((pid_t)strtol(line, NULL, 10), SIGKILL) == 0);
    MUST(hank_read(out, line, 1) == 0);
    hank_close(out);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(runs_on_when_the_wait_is_stopped)
{
    hank_process *p;
    int status;
    START(&p, "read x; exit 6", .in = HANK_STDIO_PIPE);
    MUST(hank_within(HANK_MS(1), hank_process_wait(p, &status)) == -ETIMEDOUT);
    hank_task t = hank_spawn(wait_for, p);
    (void)hank_yield();
    MUST(hank_cancel(t) == 0);
    MUST(hank_await(t) == -ECANCELED);
    hank_close(hank_process_take(p, 0));
    MUST(hank_process_wait(p, &status) == 0);
    MUST(status == 6);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(can_be_sent_a_signal)
{
    hank_process *p;
    char line[32];
    int status;
    START(&p, "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.01; done",
          .out = HANK_STDIO_PIPE);
    hank_stream *out = hank_process_take(p, 1);
    MUST(hank_read_line(out, line, sizeof line) == 6);
    MUST(hank_process_signal(p, 1000) == -EINVAL);
    MUST(hank_process_signal(p, SIGTERM) == 0);
    MUST(hank_read_line(out, line, sizeof line) == 4);
    MUST(hank_process_wait(p, &status) == 0);
    MUST(status == 9);
    hank_close(out);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(can_be_asked_whether_it_has_ended)
{
    hank_process *p;
    int status;
    START(&p, "read x; exit 5", .in = HANK_STDIO_PIPE);
    MUST(hank_process_signal(p, 0) == 0);
    hank_close(hank_process_take(p, 0));
    YIELD_UNTIL(hank_process_signal(p, 0) == -ESRCH);
    MUST(hank_process_wait(p, &status) == 0 && status == 5); /* and does not wait */
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(that_has_ended_can_be_sent_nothing)
{
    hank_process *p;
    START(&p, "exit 0", .in = 0);
    MUST(hank_process_wait(p, NULL) == 0);
    MUST(hank_process_signal(p, SIGTERM) == -ESRCH);
    MUST(hank_process_signal(p, SIGKILL) == -ESRCH);
    hank_process_close(p);
    return 0;
}

/* Start another process with the number `wanted`; false: somebody was faster, or we may not. */
static bool reuse(pid_t wanted, hank_process **ret)
{
    FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
    bool may = last && fprintf(last, "%d", (int)wanted - 1) > 0;
    may = last && fclose(last) == 0 && may;
    if (!may || start_opt(ret, "read x; exit 3", (hank_process_options){.in = -1}) < 0)
        return false;
    if (hank_process_id(*ret) == wanted)
        return true;
    hank_process_close(*ret);
    return false;
}

PROCESS_TEST(that_has_ended_is_not_taken_for_another_with_its_number)
{
    hank_process *gone, *other;
    int status, tries = 100;
    START(&gone, "exit 0", .in = 0);
    MUST(hank_process_wait(gone, NULL) == 0);
    while (tries > 0 && !reuse(hank_process_id(gone), &other))
        tries--;
    if (tries > 0) { /* else it cannot be shown here */
        CHECK(hank_process_signal(gone, SIGKILL) == -ESRCH);
        hank_process_close(gone);
        hank_close(hank_process_take(other, 0));
        MUST(hank_process_wait(other, &status) == 0 && status == 3);
        hank_process_close(other);
    } else {
        cr_log_warn("no number of a process is used again here");
        hank_process_close(gone);
    }
    return 0;
}

PROCESS_TEST(that_runs_is_killed_and_reaped_by_close)
{
    hank_process *p;
    START(&p, "trap '' TERM INT; while :; do sleep 1; done", .out = HANK_STDIO_PIPE);
    pid_t pid = hank_process_id(p);
    hank_process_close(p);
    MUST(kill(pid, 0) == -1 && errno == ESRCH);
    hank_process_close(NULL);
    return 0;
}

static int close_it(void *arg)
{
    (void)hank_sleep(HANK_FOREVER);
    hank_process_close(arg);
    return -ECANCELED;
}

PROCESS_TEST(is_reaped_by_close_in_a_cancelled_task_too)
{
    hank_process *p;
    START(&p, "while :; do sleep 1; done", .in = HANK_STDIO_NULL);
    pid_t pid = hank_process_id(p);
    hank_task t = hank_spawn(close_it, p);
    MUST(hank_cancel(t) == 0);
    int rc = hank_await(t);
    MUST(rc == -ECANCELED);
    if (kill(pid, 0) == 0)
        hank_process_close(p); /* it was cancelled before it began */
    MUST(kill(pid, 0) == -1 && errno == ESRCH);
    return 0;
}

PROCESS_TEST(whose_talk_is_stopped_can_be_closed)
{
    hank_process *p;
    START(&p, "exec sleep 600", .in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE);
    hank_process_talk talk = {.in = "x", .in_size = 1};
    MUST(hank_within(HANK_MS(2), hank_process_communicate(p, &talk)) == -ETIMEDOUT);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(leaves_sigchld_to_the_program)
{
    struct sigaction action;
    hank_process *p;
    START(&p, "exit 0", .in = 0);
    MUST(sigaction(SIGCHLD, NULL, &action) == 0);
    MUST(action.sa_handler == SIG_DFL);
    MUST(hank_process_wait(p, NULL) == 0);
    hank_process_close(p);
    return 0;
}

static HK_ATOMIC(int) children_told;

static void note_child(int signal_number)
{
    (void)signal_number;
    (void)hk_add_relaxed(&children_told, 1);
}

PROCESS_TEST(leaves_a_handler_of_sigchld_and_the_children_of_others_alone)
{
    struct sigaction own = {.sa_handler = note_child, .sa_flags = SA_RESTART}, before, after;
    const char *arguments[] = {"sh", "-c", "exit 7", NULL};
    hank_process *p;
    pid_t other;
    int status = 0;
    hk_store_relaxed(&children_told, 0);
    MUST(sigaction(SIGCHLD, &own, &before) == 0);
    MUST(posix_spawnp(&other, "sh", NULL, NULL, (char *const *)(uintptr_t)arguments, NULL) == 0);
    START(&p, "exit 3", .in = 0);
    MUST(hank_process_wait(p, &status) == 0 && status == 3);
    hank_process_close(p);
    MUST(waitpid(other, &status, 0) == other); /* nobody else has */
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    YIELD_UNTIL(hk_load_relaxed(&children_told) > 0);
    MUST(sigaction(SIGCHLD, &before, &after) == 0);
    MUST(after.sa_handler == note_child);
    return 0;
}

PROCESS_TEST(of_a_program_that_ignores_sigchld_has_no_status)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    hank_process *p;
    MUST(sigaction(SIGCHLD, &ignore, &before) == 0);
    int status = 77;
    START(&p, "exit 0", .in = 0);
    CHECK(hank_process_wait(p, &status) == -ECHILD);
    CHECK(hank_process_wait(p, &status) == -ECHILD);
    CHECK(status == 77);
    hank_process_close(p);
    MUST(sigaction(SIGCHLD, &before, NULL) == 0);
    return 0;
}

static int run_and_check(void *arg)
{
    (void)arg;
    return writes("echo hello", (hank_process_options){.err = HANK_STDIO_NULL}, "hello\n");
}

PROCESS_TEST(many_at_once_do_not_hinder_each_other)
{
    hank_task t[24];
    for (int i = 0; i < 24; i++)
        t[i] = hank_spawn(run_and_check, NULL);
    return hank_gather_n(t, 24, NULL);
}

Test(process, can_be_run_from_a_thread_without_a_runtime)
{
    hank_process *p;
    int status;
    cr_assert_eq(start_opt(&p, "exit 11", (hank_process_options){.in = HANK_STDIO_NULL}), 0);
    cr_assert_eq(hank_process_wait(p, &status), 0);
    cr_assert_eq(status, 11);
    hank_process_close(p);
    cr_assert_eq(start_opt(&p, "exec sleep 600", (hank_process_options){.in = HANK_STDIO_NULL}), 0);
    hank_process_close(p);
    cr_assert(no_child_is_left());
}

#if HK_FAULTS
static int talk_to_one(void)
{
    hank_process *p;
    hank_process_talk talk = {.in = "abc", .in_size = 3};
    int rc = start_opt(&p, "cat; echo e >&2",
                       (hank_process_options){
                           .in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE, .err = HANK_STDIO_PIPE});
    if (rc < 0)
        return rc;
    rc = hank_process_communicate(p, &talk);
    if (rc == 0)
        hank_process_talk_done(&talk);
    hank_process_close(p);
    return rc;
}

/* One that is talked to until it ends, and one that is ended. */
static int try_all(void)
{
    hank_process *p;
    int rc = talk_to_one();
    if (rc == 0)
        rc = start_opt(&p, "exec sleep 600", (hank_process_options){.in = HANK_STDIO_NULL});
    if (rc == 0) {
        rc = hank_process_signal(p, SIGTERM);
        hank_process_close(p);
    }
    return rc;
}

static void walk(hk_fault kind, int error)
{
    bool more = true;
    uint64_t nth = 1;
    for (; more; nth++) {
        int fds = lasting_fds();
        hk_fault_plan(kind, nth, error);
        int rc = try_all();
        more = hk_fault_hit();
        hk_fault_clear();
        CHECK(rc <= 0);
        CHECK(rc == 0 || more);
        CHECK(no_child_is_left());
        CHECK(lasting_fds() == fds);
    }
    CHECK(nth > 2 || kind == HK_FAULT_EPOLL_CTL); /* it comes; that one with epoll only */
}

static int fail_each(void *arg)
{
    (void)arg;
    MUST(try_all() == 0);
    walk(HK_FAULT_SPAWN, -EAGAIN);
    walk(HK_FAULT_PIDFD, -EMFILE);
    walk(HK_FAULT_KILL, -EPERM);
    walk(HK_FAULT_WAITID, -EINTR);
    walk(HK_FAULT_ALLOC, -ENOMEM);
    walk(HK_FAULT_SOCKET, -EMFILE);
    walk(HK_FAULT_OPEN, -EMFILE);
    walk(HK_FAULT_FILE_READ, -EIO);
    walk(HK_FAULT_FILE_READ, -EINTR);
    walk(HK_FAULT_FILE_READ, 1);
    walk(HK_FAULT_FILE_WRITE, -EIO);
    walk(HK_FAULT_FILE_WRITE, -EINTR);
    walk(HK_FAULT_FILE_WRITE, 1);
    walk(HK_FAULT_CLOSE, -EIO);
    walk(HK_FAULT_EPOLL_CTL, -ENOMEM);
    return 0;
}

Test(process, leaves_nothing_whatever_call_fails)
{
    with_workers(1, fail_each, NULL);
}
#endif
