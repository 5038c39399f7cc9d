/* SPDX-License-Identifier: MIT */
/* last_words.h - programs that have to die of a panic, and what they say before.
 *
 * What is done wrong, to which object and by which task, must be in the message: it is all that a
 * user gets. So the mistakes in these tests are made by a task of the name "culprit". */
#ifndef HK_TESTS_LAST_WORDS_H
#define HK_TESTS_LAST_WORDS_H

#include <criterion/criterion.h>
#include <hank.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run fn(arg) in a process of its own, which must die of a panic; what it wrote to stderr. */
static inline void read_last_words(hank_fn fn, void *arg, char *ret_words, size_t size)
{
    int fds[2], status = 0;
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)alarm(60);
        (void)sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        (void)dup2(fds[1], 2);
        close(fds[0]);
        close(fds[1]);
        (void)hank_run_with(fn, arg, .workers = 2);
        _exit(0);
    }
    close(fds[1]);
    size_t n = 0;
    ssize_t got;
    while (n < size - 1 && (got = read(fds[0], ret_words + n, size - 1 - n)) > 0)
        n += (size_t)got;
    ret_words[n] = '\0';
    close(fds[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "it lived: %x", (unsigned)status);
}

/* fn(arg) has to die. Its last words must contain `what`, and name the task called "culprit". */
static inline void must_say(hank_fn fn, void *arg, const char *what)
{
    char words[4096];
    read_last_words(fn, arg, words, sizeof words);
    cr_expect(strstr(words, what) != NULL, "%s is not in: %s", what, words);
    cr_expect(strstr(words, "in task culprit") != NULL, "no culprit in: %s", words);
}

/* The same, and they must name `object`, as "mutex 0x7f..". */
static inline void must_name(hank_fn fn, void *arg, const char *kind, const void *object)
{
    char name[80];
    snprintf(name, sizeof name, "%s %p", kind, object);
    must_say(fn, arg, name);
}

static inline void must_panic(hank_fn fn, const char *kind, void *object)
{
    must_name(fn, object, kind, object);
}

/* Have the mistake made. */
static inline int by_culprit(hank_fn mistake, void *object)
{
    return hank_await(hank_spawn_with(mistake, object, .name = "culprit"));
}

typedef struct a_mistake {
    hank_fn fn;
    void *object;
} a_mistake;

static inline int make_mistake(void *arg)
{
    a_mistake *m = arg;
    return by_culprit(m->fn, m->object);
}

/* The same for a mistake that needs nobody else. */
static inline void culprit_must_panic(hank_fn mistake, const char *kind, void *object)
{
    must_name(make_mistake, &(a_mistake){mistake, object}, kind, object);
}

#endif
