/* SPDX-License-Identifier: MIT */
/* process_support.h - what the tests of other processes share: a shell's script as a process, and
 * the certainty that no child is left. */
#ifndef HK_TESTS_PROCESS_SUPPORT_H
#define HK_TESTS_PROCESS_SUPPORT_H

#include <hank/process.h>

#include "api/support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fault.h"

static inline int start_opt(hank_process **ret, const char *script, hank_process_options options)
{
    const char *arguments[] = {"sh", "-c", script, NULL};
    return hank_process_spawn(arguments, &options, ret);
}

#define START(p, script, ...)                                                                      \
    MUST(start_opt((p), (script), (hank_process_options){__VA_ARGS__}) == 0)

static inline bool no_child_is_left(void)
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

/* What `script` writes, with its error where its output goes. */
static inline int writes(const char *script, hank_process_options options, const char *wanted)
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

#endif
