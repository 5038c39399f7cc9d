/* SPDX-License-Identifier: MIT */
/* process_test.c - programs that are started, spoken to, waited for and ended; what is left of them
 * is nothing. */
#include <hank/process.h>

#include "api/support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fault.h"

static int start_opt(hank_process **ret, const char *script, hank_process_options options)
{
    const char *arguments[] = {"sh", "-c", script, NULL};
    return hank_process_spawn(arguments, &options, ret);
}

#define START(p, script, ...)                                                                      \
    MUST(start_opt((p), (script), (hank_process_options){__VA_ARGS__}) == 0)

static bool no_child_is_left(void)
{
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* A test whose body is a task; afterwards there is no child. */
#define PROCESS_TEST(name)                                                                         \
    static int name##_body(void);                                                                  \
    static int name##_app(void *arg)                                                               \
    {                                                                                              \
        (void)arg;                                                                                 \
        int rc = name##_body();                                                                    \
        CHECK(no_child_is_left());                                                                 \
        return rc;                                                                                 \
    }                                                                                              \
    Test(process, name)                                                                            \
    {                                                                                              \
        with_each_size(name##_app, NULL);                                                          \
    }                                                                                              \
    static int name##_body(void)

static int ends_with(const char *script, int wanted)
{
    hank_process *p;
    int status = 12345;
    START(&p, script, .in = 0);
    MUST(hank_process_id(p) > 0);
    MUST(hank_process_wait(p, &status) == 0);
    MUST(status == wanted);
    MUST(hank_process_wait(p, &status) == 0); /* known for good */
    MUST(hank_process_wait(p, NULL) == 0);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(tells_what_it_exited_with)
{
    MUST(ends_with("exit 0", 0) == 0);
    MUST(ends_with("exit 7", 7) == 0);
    return ends_with("exit 255", 255);
}

PROCESS_TEST(tells_which_signal_ended_it)
{
    MUST(ends_with("kill -KILL $$", -SIGKILL) == 0);
    return ends_with("kill -USR1 $$", -SIGUSR1);
}

PROCESS_TEST(that_cannot_be_found_says_so)
{
    static const char *const nowhere[] = {"hank-no-such-program", NULL};
    static const char *const missing[] = {"/nonexistent/program", NULL};
    static const char *const no_program[] = {"/etc/passwd", NULL};
    static const char *const sh[] = {"sh", "-c", "exit 0", NULL};
    static const char *const nothing[] = {NULL};
    hank_process *p;
    hank_process_options in_nowhere = {.directory = "/nonexistent"};
    MUST(hank_process_spawn(nowhere, NULL, &p) == -ENOENT);
    MUST(hank_process_spawn(missing, NULL, &p) == -ENOENT);
    MUST(hank_process_spawn(no_program, NULL, &p) == -EACCES);
    MUST(hank_process_spawn(sh, &in_nowhere, &p) == -ENOENT);
    MUST(hank_process_spawn(nothing, NULL, &p) == -EINVAL);
    MUST(hank_process_spawn(NULL, NULL, &p) == -EINVAL);
    return 0;
}

PROCESS_TEST(with_bad_options_is_refused)
{
    hank_process *p;
    MUST(start_opt(&p, "", (hank_process_options){.out = -77}) == -EINVAL);
    MUST(start_opt(&p, "", (hank_process_options){.in = HANK_STDIO_OUT}) == -EINVAL);
    MUST(start_opt(&p, "", (hank_process_options){.out = HANK_STDIO_OUT}) == -EINVAL);
    MUST(start_opt(&p, "", (hank_process_options){.err = 9999}) == -EBADF);
    MUST(start_opt(&p, "", (hank_process_options){.reserved_[3] = 1}) == -EINVAL);
    return 0;
}

/* --- standard descriptors --------------------------------------------------------------------- */

PROCESS_TEST(speaks_through_pipes)
{
    hank_process *p;
    char line[64];
    START(&p, "while read x; do echo \"<$x>\"; done; echo end >&2", .in = HANK_STDIO_PIPE,
          .out = HANK_STDIO_PIPE, .err = HANK_STDIO_PIPE);
    hank_stream *in = hank_process_take(p, 0), *out = hank_process_take(p, 1),
                *err = hank_process_take(p, 2);
    MUST(in && out && err);
    MUST(hank_process_take(p, 0) == NULL); /* it is ours now */
    for (int i = 0; i < 10; i++) {
        MUST(hank_write(in, "hello\n", 6) == 0);
        MUST(hank_read_line(out, line, sizeof line) == 8);
        MUST(strcmp(line, "<hello>\n") == 0);
    }
    hank_close(in);
    MUST(hank_read_line(out, line, sizeof line) == 0);
    MUST(hank_read_line(err, line, sizeof line) == 4);
    MUST(hank_process_wait(p, NULL) == 0);
    hank_close(out);
    hank_close(err);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(has_no_pipe_that_was_not_asked_for)
{
    hank_process *p;
    START(&p, "exit 0", .out = HANK_STDIO_NULL);
    for (int i = -1; i <= 3; i++)
        MUST(hank_process_take(p, i) == NULL);
    hank_process_close(p);
    return 0;
}

/* What `script` writes, with its error where its output goes. */
static int writes(const char *script, hank_process_options options, const char *wanted)
{
    hank_process *p;
    hank_process_talk talk = {0};
    options.out = HANK_STDIO_PIPE;
    MUST(start_opt(&p, script, options) == 0);
    MUST(hank_process_communicate(p, &talk) == 0);
    CHECK(talk.status == 0);
    MUST(talk.out && strcmp(talk.out, wanted) == 0);
    MUST(talk.out_size == strlen(wanted));
    hank_process_talk_done(&talk);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(has_the_environment_and_directory_it_was_given)
{
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "COLOUR=red", NULL};
    MUST(writes("echo $COLOUR; pwd",
                (hank_process_options){.environment = environment, .directory = "/usr"},
                "red\n/usr\n") == 0);
    return 0;
}

PROCESS_TEST(can_have_its_error_where_its_output_goes)
{
    return writes("echo one; echo two >&2; echo three",
                  (hank_process_options){.err = HANK_STDIO_OUT}, "one\ntwo\nthree\n");
}

PROCESS_TEST(that_has_null_for_input_reads_nothing)
{
    return writes("cat; echo end", (hank_process_options){.in = HANK_STDIO_NULL}, "end\n");
}

PROCESS_TEST(can_be_given_a_descriptor)
{
    int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    char name[32] = "";
    MUST(pread(fd, name, sizeof name - 1, 0) > 0);
    MUST(writes("cat", (hank_process_options){.in = fd}, name) == 0);
    MUST(fcntl(fd, F_GETFD) == FD_CLOEXEC); /* still ours */
    (void)close(fd);
    return 0;
}

PROCESS_TEST(gets_three_descriptors_and_no_more)
{
    int leaky = open("/dev/null", O_RDONLY); /* without close-on-exec, on purpose */
    hank_stream *a, *b;
    MUST(hank_pipe(&a, &b) == 0);
    int rc = writes("echo $(ls /proc/self/fd | wc -l)",
                    (hank_process_options){.in = HANK_STDIO_NULL}, "4\n"); /* and ls's directory */
    hank_close(a);
    hank_close(b);
    (void)close(leaky);
    return rc;
}

PROCESS_TEST(begins_with_no_signal_blocked_or_ignored)
{
    return writes("grep -c 'SigBlk:.0000000000000000' /proc/self/status;"
                  "grep SigIgn /proc/self/status | grep -c '[1-9a-f]$' || true",
                  (hank_process_options){0}, "1\n0\n");
}

/* --- communicating ---------------------------------------------------------------------------- */

enum { MUCH = 1000 * 1000 };

PROCESS_TEST(that_is_sent_and_sends_much_does_not_get_stuck)
{
    hank_process *p;
    char *much = malloc(MUCH);
    MUST(much);
    memset(much, 'x', MUCH);
    START(&p, "tee /dev/stderr; exit 3", .in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE,
          .err = HANK_STDIO_PIPE);
    hank_process_talk talk = {.in = much, .in_size = MUCH};
    MUST(hank_process_communicate(p, &talk) == 0);
    MUST(talk.out_size == MUCH && talk.err_size == MUCH && talk.status == 3);
    MUST(memcmp(talk.out, much, MUCH) == 0 && memcmp(talk.err, much, MUCH) == 0);
    MUST(talk.out[MUCH] == '\0');
    hank_process_talk_done(&talk);
    hank_process_close(p);
    free(much);
    return 0;
}

PROCESS_TEST(that_does_not_want_its_input_is_no_failure)
{
    hank_process *p;
    char *much = calloc(1, MUCH);
    MUST(much);
    START(&p, "exec <&-; echo done", .in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE);
    hank_process_talk talk = {.in = much, .in_size = MUCH};
    MUST(hank_process_communicate(p, &talk) == 0);
    MUST(strcmp(talk.out, "done\n") == 0);
    MUST(talk.err == NULL);
    hank_process_talk_done(&talk);
    hank_process_close(p);
    free(much);
    return 0;
}

PROCESS_TEST(that_says_nothing_says_an_empty_string)
{
    return writes("exit 0", (hank_process_options){0}, "");
}

PROCESS_TEST(that_says_too_much_is_emsgsize)
{
    hank_process *p;
    START(&p, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxx; done", .out = HANK_STDIO_PIPE);
    hank_process_talk talk = {.max = 5000};
    MUST(hank_process_communicate(p, &talk) == -EMSGSIZE);
    MUST(talk.out == NULL);
    hank_process_close(p);
    return 0;
}

PROCESS_TEST(that_says_as_much_as_allowed_is_heard)
{
    hank_process *p;
    START(&p, "printf 12345678", .out = HANK_STDIO_PIPE);
    hank_process_talk talk = {.max = 8};
    MUST(hank_process_communicate(p, &talk) == 0);
    MUST(talk.out_size == 8);
    hank_process_talk_done(&talk);
    hank_process_close(p);
    return 0;
}

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
    START(&p, "sleep 600", .in = HANK_STDIO_PIPE, .out = HANK_STDIO_PIPE);
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
    cr_assert_eq(start_opt(&p, "sleep 600", (hank_process_options){.in = HANK_STDIO_NULL}), 0);
    hank_process_close(p);
    cr_assert(no_child_is_left());
}

#if HK_FAULTS
static int try_all(void)
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

static int fail_each(void *arg)
{
    static const struct {
        hk_fault kind;
        int error;
    } faults[] = {
        {HK_FAULT_SPAWN, -EAGAIN}, {HK_FAULT_PIDFD, -EMFILE},     {HK_FAULT_KILL, -EPERM},
        {HK_FAULT_ALLOC, -ENOMEM}, {HK_FAULT_SOCKET, -EMFILE},    {HK_FAULT_OPEN, -EMFILE},
        {HK_FAULT_READ, -EIO},     {HK_FAULT_WRITE, -EIO},        {HK_FAULT_CLOSE, -EIO},
        {HK_FAULT_POLL, -ENOMEM},  {HK_FAULT_EPOLL_CTL, -ENOMEM}, {HK_FAULT_WAITID, -EINTR}};
    (void)arg;
    MUST(try_all() == 0);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        bool more = true;
        for (uint64_t nth = 1; more && nth < 40; nth++) {
            int fds = open_fds();
            hk_fault_plan(faults[i].kind, nth, faults[i].error);
            int rc = try_all();
            more = hk_fault_hit();
            hk_fault_clear();
            CHECK(rc <= 0);
            CHECK(rc == 0 || more);
            CHECK(no_child_is_left());
            CHECK(open_fds() == fds);
        }
    }
    return 0;
}

Test(process, leaves_nothing_whatever_call_fails)
{
    with_workers(1, fail_each, NULL);
}
#endif
