/* SPDX-License-Identifier: MIT */
/* child_support.h - tests of what ends the process: in a child, and how it ended. */
#ifndef HK_TESTS_API_CHILD_SUPPORT_H
#define HK_TESTS_API_CHILD_SUPPORT_H

#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hank.h>

/* Run `app` in a child process with its signals at their default, and on its main thread; the
 * status it ended with. */
static inline int in_process(hank_fn app, void *arg)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(60);
        _exit(app(arg));
    }
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

static inline bool ended_with(int status, int code)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static inline bool died_of(int status, int signo)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == signo;
}

#endif
