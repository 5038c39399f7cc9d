/* SPDX-License-Identifier: MIT */
/* criterion.h - as much of Criterion as the tests here use, in one header: for CPUs and tools that
 * Criterion itself does not run on (another architecture under an emulator, ThreadSanitizer,
 * Valgrind). The HANK_BARE configurations find it instead of the real one.
 *
 * Each test is a forked child; it prints what failed and says by its exit whether anything did. A
 * failed assertion ends the child there and then, from whatever stack it is on. */
#ifndef HK_TESTS_BARE_CRITERION_H
#define HK_TESTS_BARE_CRITERION_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define wait wait_for_any_child /* a test may have a wait of its own */
#include <sys/wait.h>
#undef wait

typedef struct bare_options {
    int signal; /* by which it must end */
    int exit_code;
    double timeout; /* seconds */
    bool disabled;
    void (*init)(void);
    void (*fini)(void);
    int line;
} bare_options;

typedef struct bare_test {
    const char *suite;
    const char *name; /* NULL: the suite itself */
    void (*body)(void);
    bare_options options;
    struct bare_test *next;
} bare_test;

enum { BARE_FAILED = 98, BARE_SKIPPED = 97, BARE_SECONDS = 120 };

static bare_test *bare_first, *bare_last;
static int bare_failures; /* of this child; any thread may add to it, nobody takes away */

static void bare_add(bare_test *t)
{
    if (bare_last)
        bare_last->next = t;
    else
        bare_first = t;
    bare_last = t;
}

__attribute__((format(printf, 5, 6), unused)) static void
bare_check(bool holds, bool fatal, const char *place, const char *text, const char *format, ...)
{
    if (holds)
        return;
    char why[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: not so: %s  %s\n", place, text, why);
    bare_failures = 1;
    if (fatal)
        _exit(BARE_FAILED);
}

#define BARE_TEXT_(x) #x
#define BARE_TEXT(x)  BARE_TEXT_(x)
#define BARE_PLACE    __FILE__ ":" BARE_TEXT(__LINE__)

#define BARE(holds, fatal, ...) bare_check((holds), fatal, BARE_PLACE, #holds, "" __VA_ARGS__)

#define cr_expect(c, ...)           BARE((c), false, __VA_ARGS__)
#define cr_expect_not(c, ...)       BARE(!(c), false, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)     BARE((a) == (b), false, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)    BARE((a) != (b), false, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)     BARE((a) < (b), false, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)    BARE((a) <= (b), false, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)     BARE((a) > (b), false, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)    BARE((a) >= (b), false, __VA_ARGS__)
#define cr_expect_null(p, ...)      BARE((p) == NULL, false, __VA_ARGS__)
#define cr_expect_not_null(p, ...)  BARE((p) != NULL, false, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) BARE(strcmp((a), (b)) == 0, false, __VA_ARGS__)
#define cr_expect_str_empty(s, ...) BARE((s)[0] == '\0', false, __VA_ARGS__)
#define cr_assert(c, ...)           BARE((c), true, __VA_ARGS__)
#define cr_assert_not(c, ...)       BARE(!(c), true, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)     BARE((a) == (b), true, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)    BARE((a) != (b), true, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)     BARE((a) < (b), true, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)    BARE((a) <= (b), true, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)     BARE((a) > (b), true, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)    BARE((a) >= (b), true, __VA_ARGS__)
#define cr_assert_null(p, ...)      BARE((p) == NULL, true, __VA_ARGS__)
#define cr_assert_not_null(p, ...)  BARE((p) != NULL, true, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) BARE(strcmp((a), (b)) == 0, true, __VA_ARGS__)
#define cr_assert_fail(...)         BARE(false, true, __VA_ARGS__)

#define cr_log_error(...) ((void)fprintf(stderr, __VA_ARGS__), (void)fputc('\n', stderr))
#define cr_log_info(...)  cr_log_error(__VA_ARGS__)
#define cr_log_warn(...)  cr_log_error(__VA_ARGS__)
#define cr_skip_test(...) (cr_log_error(__VA_ARGS__), _exit(BARE_SKIPPED))
#define cr_skip(...)      cr_skip_test(__VA_ARGS__)

#define BARE_ADD(id, suite_text, name_text, body_, ...)                                            \
    static bare_test id = {.suite = suite_text,                                                    \
                           .name = name_text,                                                      \
                           .body = body_,                                                          \
                           .options = {.line = __LINE__, __VA_ARGS__}};                            \
    __attribute__((constructor)) static void id##_add(void)                                        \
    {                                                                                              \
        bare_add(&id);                                                                             \
    }

#define Test(suite_, name_, ...)                                                                   \
    static void suite_##_##name_##_body(void);                                                     \
    BARE_ADD(suite_##_##name_##_test, #suite_, #name_, suite_##_##name_##_body, __VA_ARGS__)       \
    static void suite_##_##name_##_body(void)

#define TestSuite(suite_, ...)                                                                     \
    BARE_ADD(suite_##_suite, #suite_, NULL, NULL, __VA_ARGS__)                                     \
    struct bare_test

static const bare_options *bare_suite_of(const bare_test *t)
{
    static const bare_options none;
    for (const bare_test *s = bare_first; s; s = s->next)
        if (!s->name && strcmp(s->suite, t->suite) == 0)
            return &s->options;
    return &none;
}

static void bare_run(const bare_test *t, const bare_options *suite, double slack)
{
    double seconds = t->options.timeout > 0 ? t->options.timeout : suite->timeout;
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)alarm((unsigned)((seconds > 0 ? seconds : BARE_SECONDS) * slack));
    void (*init)(void) = t->options.init ? t->options.init : suite->init;
    void (*fini)(void) = t->options.fini ? t->options.fini : suite->fini;
    if (init)
        init();
    t->body();
    if (fini)
        fini();
    exit(bare_failures ? BARE_FAILED : 0);
}

/* "", or how it failed. */
static const char *bare_judge(const bare_test *t, int status, char *text, size_t n)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (signal == t->options.signal && code == t->options.exit_code)
        return "";
    (void)snprintf(text, n, "exit %d, signal %d", code, signal);
    return text;
}

int main(int argc, char **argv)
{
    const char *slack = getenv("HANK_TEST_SLACK"); /* how much slower than usual things may be */
    const char *only = NULL;
    FILE *tap = NULL;
    int n = 0, failed = 0;
    char text[80];
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--tap=", 6) == 0)
            tap = fopen(argv[i] + 6, "w");
        else if (strncmp(argv[i], "--filter=", 9) == 0)
            only = strchr(argv[i], '/') ? strchr(argv[i], '/') + 1 : argv[i] + 9;
    }
    for (const bare_test *t = bare_first; t; t = t->next)
        n += t->name && (!only || strcmp(only, t->name) == 0);
    if (tap)
        fprintf(tap, "TAP version 13\n1..%d\n", n);
    for (const bare_test *t = bare_first; t; t = t->next) {
        if (!t->name || (only && strcmp(only, t->name) != 0))
            continue;
        (void)fflush(NULL);
        pid_t child = fork();
        if (child == 0 && t->options.disabled)
            _exit(BARE_SKIPPED);
        if (child == 0)
            bare_run(t, bare_suite_of(t), slack ? strtod(slack, NULL) : 1);
        int status = -1;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
        bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == BARE_SKIPPED;
        const char *how = skipped ? "" : bare_judge(t, status, text, sizeof text);
        failed += how[0] != '\0';
        printf("%s %s::%s %s\n",
               skipped  ? "skip"
               : how[0] ? "FAIL"
                        : "pass",
               t->suite, t->name, how);
        if (tap)
            fprintf(tap, "%s - %s::%s %s%s\n", how[0] ? "not ok" : "ok", t->suite, t->name, how,
                    skipped ? "# SKIP" : "");
    }
    printf("%d tests, %d failed\n", n, failed);
    if (tap)
        (void)fclose(tap);
    return failed != 0 || n == 0;
}

#endif
