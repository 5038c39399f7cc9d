/* SPDX-License-Identifier: MIT */
/* support.h - what the tests of the public face share: one scenario with 1, 2 and 8 workers, checks
 * that may fail on any stack, tasks of few words, and counts that must come back to where they
 * were.
 *
 * A failed cr_assert jumps, and a jump must not cross stacks: CHECK and MUST take notes, which
 * with_each_size() reads when the run is over. */
#ifndef HK_TESTS_API_SUPPORT_H
#define HK_TESTS_API_SUPPORT_H

#include <criterion/criterion.h>
#include <hank.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/atomic.h"
#include "fiber/stack.h"
#include "leftovers.h"

static HK_ATOMIC(int) failed_checks;

static inline bool note_failure_at(const char *file, int line, const char *what)
{
    (void)hk_add_relaxed(&failed_checks, 1);
    cr_log_error("%s:%d: not so: %s", file, line, what);
    return false;
}

/* In a task: note that this is not so, and go on. */
#define CHECK(condition) ((void)((condition) || note_failure_at(__FILE__, __LINE__, #condition)))

/* The same, and leave the task. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            note_failure_at(__FILE__, __LINE__, #condition);                                       \
            return -EPROTO;                                                                        \
        }                                                                                          \
    } while (0)

/* Let others run until `condition`, which one of them is about to make true. */
#define YIELD_UNTIL(condition)                                                                     \
    do {                                                                                           \
        hank_ns give_up_ = hank_now() + HANK_SEC(20);                                              \
        while (!(condition)) {                                                                     \
            MUST(hank_now() < give_up_);                                                           \
            (void)hank_yield();                                                                    \
        }                                                                                          \
    } while (0)

/* Yield until `call` says that somebody is inside. */
#define UNTIL_TAKEN(call) YIELD_UNTIL((call) == -EBUSY)

/* The body of who is to be found inside: the calls above are in its way for moments, too. */
#define RETURN_WHEN_LET_IN(call)                                                                   \
    do {                                                                                           \
        long rc_;                                                                                  \
        while ((rc_ = (long)(call)) == -EBUSY)                                                     \
            (void)hank_yield();                                                                    \
        return (int)rc_;                                                                           \
    } while (0)

static inline uint64_t stacks_in_use(void)
{
    hk_stack_stats stats;
    hk_stack_get_stats(&stats);
    return stats.live;
}

/* --- tasks of few words ---------------------------------------------------------------------- */

static inline void *number(intptr_t n)
{
    return (void *)n;
}

static inline int give_back(void *arg)
{
    return (int)(intptr_t)arg;
}

static inline int sleep_forever(void *arg)
{
    (void)arg;
    return hank_sleep(HANK_FOREVER);
}

/* Leave a child to its parent's end. */
static inline void leave(hank_task t)
{
    (void)t;
}

static inline int yield_once(void *arg)
{
    (void)hank_yield();
    return give_back(arg);
}

/* A task that says when it has started, and waits for a stop. */
typedef HK_ATOMIC(int) flag;

static inline bool is_set(flag *f)
{
    return hk_load_acquire(f) != 0;
}

static inline void set(flag *f)
{
    (void)hk_add_acqrel(f, 1);
}

static inline int start_and_wait(void *arg)
{
    set(arg);
    return hank_sleep(HANK_FOREVER);
}

/* --- runs ------------------------------------------------------------------------------------ */

typedef struct scenario {
    hank_fn app;
    void *arg;
} scenario;

/* The scenario as a child, so that afterwards nothing of it may be left. */
static inline int watch_scenario(void *arg)
{
    scenario *s = arg;
    hank_stats before, after;
    CHECK(hank_get_stats(&before) == 0);
    int rc = hank_await(hank_spawn(s->app, s->arg));
    CHECK(hank_get_stats(&after) == 0);
    CHECK(after.tasks_live == before.tasks_live);
    return rc;
}

/* Run `app` as it is, with that many workers: it must return 0, and everything must be given
 * back. A run that hangs is killed. */
static inline void with_workers(unsigned workers, hank_fn app, void *arg)
{
    static bool warm;
    if (!warm) /* what is opened once a process is not left over */
        cr_assert_eq(hank_run(give_back, NULL), 0);
    warm = true;
    int fds = open_fds();
    uint64_t stacks = stacks_in_use();
    hk_store_relaxed(&failed_checks, 0);
    (void)alarm(HK_EMULATED ? 600 : 60);
    int rc = hank_run_with(app, arg, .workers = workers);
    (void)alarm(0);
    cr_assert_eq(rc, 0, "%u workers: %d, %s", workers, rc, hank_strerror(rc));
    cr_assert_eq(hk_load_relaxed(&failed_checks), 0, "%u workers: see above", workers);
    cr_assert_eq(open_fds(), fds, "%u workers: descriptors left", workers);
    cr_assert_eq(stacks_in_use(), stacks, "%u workers: stacks left", workers);
}

static const unsigned sizes[] = {1, 2, 8};

#define EACH_SIZE(i)                                                                               \
    size_t i = 0;                                                                                  \
    i < sizeof sizes / sizeof sizes[0];                                                            \
    i++

static inline void with_each_size(hank_fn app, void *arg)
{
    scenario s = {app, arg};
    for (EACH_SIZE(i))
        with_workers(sizes[i], watch_scenario, &s);
}

#endif
