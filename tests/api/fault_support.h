/* SPDX-License-Identifier: MIT */
/* fault_support.h - whatever call of the system fails, and whichever time: a scenario does its work
 * or says why not, hangs never, leaves nothing, and can be run again.
 *
 * Each run is a process of its own, since what was made once for a process is kept; its alarm is
 * the judge of a hang. A walk ends when the call it would fail does not come any more. */
#ifndef HK_TESTS_API_FAULT_SUPPORT_H
#define HK_TESTS_API_FAULT_SUPPORT_H

#include "api/support.h"

#include <sys/wait.h>

#include "base/fault.h"

#if HK_FAULTS

enum { WELL_AND_HIT = 10, WELL_AND_OVER, REFUSED, LEFT_SOMETHING, ODD_RESULT, NOT_AGAIN };
enum { OCCURRENCES_MAX = 2000, ERRORS_MAX = 5 };

/* run       the scenario, with so many workers where that is of interest; 0, or what it fails with
 * is_clear  whether its documentation has this result for it when that error is injected */
typedef struct victim {
    int (*run)(unsigned workers);
    bool (*is_clear)(int rc, int injected);
    unsigned workers;
} victim;

static inline bool something_is_left(int fds)
{
    int now = lasting_fds();
    uint64_t stacks = stacks_in_use();
    if (now > fds || stacks != 0)
        fprintf(stderr, "%lu stacks left, %d descriptors\n", (unsigned long)stacks, now - fds);
    return now > fds || stacks != 0;
}

/* Not now, or in part: whoever waits, and asks again, never knows. */
static inline bool is_passing(hk_fault kind, int error)
{
    bool is_awaited = kind == HK_FAULT_RECV || kind == HK_FAULT_SEND || kind == HK_FAULT_ACCEPT;
    return is_awaited && (error == -EAGAIN || error > 0);
}

/* In a process of its own. */
static inline int run_one(const victim *v, hk_fault kind, uint64_t nth, int error)
{
    (void)alarm(HK_EMULATED ? 300 : 60);
    int fds = lasting_fds();
    hk_fault_plan(kind, nth, error);
    int rc = v->run(v->workers);
    bool hit = hk_fault_hit();
    hk_fault_clear();
    if (rc > 0 || (rc < 0 && (is_passing(kind, error) || !v->is_clear(rc, error)))) {
        fprintf(stderr, "kind %d, call %lu, error %d: %d, %s\n", (int)kind, (unsigned long)nth,
                error, rc, hank_strerror(rc));
        return ODD_RESULT;
    }
    if (something_is_left(fds))
        return LEFT_SOMETHING;
    if (v->run(v->workers) != 0)
        return NOT_AGAIN;
    if (something_is_left(fds))
        return LEFT_SOMETHING;
    return rc < 0 ? REFUSED : hit ? WELL_AND_HIT : WELL_AND_OVER;
}

static inline int run_apart(const victim *v, hk_fault kind, uint64_t nth, int error)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(run_one(v, kind, nth, error));
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Every occurrence, one by one, until there is none. How many there were. */
static inline uint64_t walk_victim(const victim *v, hk_fault kind, int error)
{
    for (uint64_t nth = 1; nth < OCCURRENCES_MAX; nth++) {
        int verdict = run_apart(v, kind, nth, error);
        if (verdict == WELL_AND_OVER)
            return nth - 1;
        cr_assert(verdict == WELL_AND_HIT || verdict == REFUSED,
                  "kind %d, call %lu, error %d, %u workers: %d", (int)kind, (unsigned long)nth,
                  error, v->workers, verdict);
    }
    cr_assert(false, "kind %d: never over", (int)kind);
    return OCCURRENCES_MAX;
}

/* An error above 0 is a short count. */
static const struct {
    const char *name;
    hk_fault kind;
    int errors[ERRORS_MAX];
} plans_of_io[] = {
    {"recv", HK_FAULT_RECV, {-EINTR, -EAGAIN, -ECONNRESET, 1}},
    {"send", HK_FAULT_SEND, {-EINTR, -EAGAIN, -ECONNRESET, -ENOBUFS, 1}},
    {"read", HK_FAULT_FILE_READ, {-EINTR, -EAGAIN, -EIO, 1}},
    {"write", HK_FAULT_FILE_WRITE, {-EINTR, -EAGAIN, -ENOSPC, 1}},
    {"socket", HK_FAULT_SOCKET, {-EMFILE, -ENOBUFS}},
    {"bind", HK_FAULT_BIND, {-EADDRINUSE}},
    {"listen", HK_FAULT_LISTEN, {-EADDRINUSE}},
    {"accept", HK_FAULT_ACCEPT, {-EINTR, -EAGAIN, -EMFILE, -ECONNABORTED}},
    {"connect", HK_FAULT_CONNECT, {-ECONNREFUSED, -EADDRNOTAVAIL, -ETIMEDOUT}},
    {"shutdown", HK_FAULT_SHUTDOWN, {-ENOTCONN}},
    {"sockopt", HK_FAULT_SOCKOPT, {-ENOMEM}},
    {"open", HK_FAULT_OPEN, {-EMFILE, -EACCES}},
    {"stat", HK_FAULT_STAT, {-EIO}},
    {"sync", HK_FAULT_SYNC, {-EINTR, -EIO}},
    {"directory", HK_FAULT_DIRECTORY, {-ENOMEM, -EIO}},
    {"sendfile", HK_FAULT_SENDFILE, {-EINTR, -EAGAIN, -EINVAL, 1}},
    {"splice", HK_FAULT_SPLICE, {-EINTR, -EAGAIN, -EINVAL, 1}},
    {"copy", HK_FAULT_COPY_RANGE, {-EINTR, -EXDEV, -EIO, 1}},
    {"alloc", HK_FAULT_ALLOC, {-ENOMEM}},
    {"poll", HK_FAULT_POLL, {-EINTR, -ENOMEM}},
    {"close", HK_FAULT_CLOSE, {-EIO}},
    {"thread", HK_FAULT_THREAD, {-EAGAIN}},
    {"request", HK_FAULT_URING_REQUEST, {-EAGAIN}},
};

/* All of these, as far as they come in it. */
static inline void walk_io(const victim *v)
{
    for (size_t i = 0; i < sizeof plans_of_io / sizeof plans_of_io[0]; i++) {
        uint64_t n = 1;
        for (int k = 0; k < ERRORS_MAX && plans_of_io[i].errors[k] != 0 && n > 0; k++)
            n = walk_victim(v, plans_of_io[i].kind, plans_of_io[i].errors[k]);
        if (n > 0)
            cr_log_info("%s: %lu", plans_of_io[i].name, (unsigned long)n);
    }
}

#endif
#endif
