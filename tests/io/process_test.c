/* SPDX-License-Identifier: MIT */
/* process_test.c - programs that are started, spoken to, waited for and ended; what is left of them
 * is nothing. */
#include "io/process_support.h"

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
    if (HK_EMULATED)
        return 0; /* an emulator forks for vfork, and what fails in the child stays there */
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

PROCESS_TEST(that_has_null_for_output_and_error_says_it_to_nobody)
{
    hank_process *p;
    int status;
    START(&p, "echo one && echo two >&2 && exit 4", .out = HANK_STDIO_NULL, .err = HANK_STDIO_NULL);
    MUST(hank_process_wait(p, &status) == 0 && status == 4);
    hank_process_close(p);
    return writes("echo lost >&2; echo kept", (hank_process_options){.err = HANK_STDIO_NULL},
                  "kept\n");
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

PROCESS_TEST(that_is_sent_nothing_reads_the_end)
{
    return writes("cat; echo end", (hank_process_options){.in = HANK_STDIO_PIPE}, "end\n");
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
