/* SPDX-License-Identifier: MIT */
/* task.h - run a program of tasks: spawn, await, gather, race, detach, cancel.
 *
 * A task is a function on a stack of its own that may wait without holding up a thread. Tasks form
 * a tree: a child is spawned by its parent, and a parent is not done before its children are. So
 * an argument on the parent's stack is good for as long as the child can use it:
 *
 *     struct job a = {...}, b = {...};
 *     int rc = hank_gather(hank_spawn(work, &a), hank_spawn(work, &b));
 *
 * A result is an int: >= 0 good, a negative errno bad. Larger results go into the argument.
 *
 * A handle is a value, used up once by the task that spawned it. Only cancelling is for everyone.
 * That is also why a child that runs as an ordinary call needs no locked instruction. */
#ifndef HANK_TASK_H
#define HANK_TASK_H

#include <hank/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A task's body; what it returns is what await returns. */
typedef int (*hank_fn)(void *arg);

struct hank_hooks; /* <hank/inspect.h> */

/* hank_options.signals. While a runtime wants them and the program has left them at their default,
 * the first SIGINT or SIGTERM stops it as hank_runtime_stop() does; the next ends the process as if
 * hank were not there. Handlers of the program, and signals it ignores, are left alone.
 *
 * 0 is: in hank_run() on the main thread, and nowhere else. */
enum { HANK_SIGNALS_ALWAYS = 1, HANK_SIGNALS_NEVER = 2 };

/* How workers learn that a descriptor has something for them, and who makes calls on files
 * (<hank/file.h>). Programs behave the same with each.
 *
 * AUTO is epoll(7) and, beside it, an io_uring(7) of each worker that has a call on a file made;
 * where the kernel is older than 5.19, or refuses one, these calls are made by threads instead, and
 * nobody is told. (It is kqueue(2) where that is the system's.) The environment variable
 * HANK_REACTOR, "epoll" or "uring", chooses for who says AUTO. */
typedef enum hank_reactor {
    HANK_AUTO = 0,
    HANK_EPOLL, /* Linux, without io_uring: threads make the calls on files */
    HANK_URING, /* Linux 6.0 and later, where io_uring(7) is allowed: less CPU with much I/O */
} hank_reactor;

/* For hank_run_opt(). Zero is the default of each; what is out of its limits is -EINVAL. */
typedef struct hank_options {
    unsigned workers;               /* threads that run tasks; 0: one per available CPU; <= 1024 */
    unsigned blocking_threads;      /* most threads of hank_blocking(); 0: 64; <= 1024 */
    size_t stack_size;              /* bytes per task; 0: 64 KiB; raised to 16 KiB; <= 64 MiB */
    const struct hank_hooks *hooks; /* kept until hank_run_opt() returns; NULL: none */
    bool pin;                       /* tie each worker to one CPU */
    bool panic_on_ignored_stop;     /* a stopped task whose 1000th wait has failed is a panic, and
                                       not only on_error's business: for debugging */
    hank_reactor reactor;           /* -ENOSYS, -EPERM: this system has it not, or forbids it */
    unsigned signals;               /* whether SIGINT and SIGTERM stop it; HANK_SIGNALS_... */
    hank_ns leftovers_after; /* an end that takes longer is reported (on_leftovers); 0: never */
    hank_ns slow_task;       /* a task that computes longer is reported (on_slow); 0: never */
    uint64_t seed;           /* of hank_random() in tasks, for runs that repeat; 0: chance */
    uint64_t reserved_[4];   /* zero */
} hank_options;

/* For hank_spawn_opt(). Zero is the default of each. */
typedef struct hank_spawn_options {
    const char *name;  /* kept until the task ends, and longer if others may be looking at it then,
                          in a dump or a hook: best a constant. NULL: its function */
    size_t stack_size; /* bytes; 0: the runtime's; raised to 16 KiB; <= 64 MiB */
    size_t copy;       /* copy that many bytes of *arg into the task; 0: borrow it; <= 64 KiB */
    bool eager;        /* it runs first, here, until it waits; then the spawner goes on */

    /* Called once with the task's result when it and its children have ended, also if it was
     * cancelled before it began, but not if it could not be spawned; whoever awaits the task finds
     * that it has been called. On any worker; it must not wait. NULL: nothing. */
    void (*on_done)(void *on_done_arg, int result);
    void *on_done_arg;
} hank_spawn_options;

/* A task, as its parent sees it: 16 bytes, passed by value. Zeroed it is a used-up handle. */
typedef struct hank_task {
    void *slot_;
    uint32_t generation_;
    int32_t error_;
} hank_task;

/* Run fn(arg) as the first task, on workers started for it, until it and all others have ended.
 *
 * Children that fn leaves behind are waited for (and cancelled first if it failed); detached tasks
 * are cancelled and joined. Then the workers are gone too.
 *
 *   result      what fn returned, but -EINTR if that was -ECANCELED and nothing but a signal had
 *               stopped it; -EINVAL fn is NULL; -ENOMEM; -EAGAIN no threads to be had; -EBUSY
 *               called inside a task
 *   waits       until all tasks have ended, blocking the calling thread
 *   threads     any thread that is not running a task
 *   since       0.1
 *   cost        starts and ends threads: for once a program, not once a request */
HANK_API int hank_run(hank_fn fn, void *arg);

/* The same with options; hank_run_with(fn, arg, .workers = 4) writes the struct for you.
 *
 *   options     NULL: all defaults
 *   result      as hank_run(); -EINVAL also for an option out of its limits; -ENOSYS or -EPERM the
 *               reactor asked for is not to be had
 *   waits       until all tasks have ended, blocking the calling thread
 *   threads     any thread that is not running a task
 *   since       0.1 */
HANK_API int hank_run_opt(hank_fn fn, void *arg, const hank_options *options);

/* Start fn(arg) as a child of the calling task.
 *
 * A task that could not be made is one that has already failed, and await says with what: there
 * is one place to look for errors, not two. The child may run at once, on another core: what
 * `arg` points to must be complete before the call.
 *
 *   arg         kept until the child has ended
 *   result      a handle. It has failed with -EINVAL fn is NULL; -ENOMEM; -EPERM outside a task
 *   waits       never
 *   threads     any task
 *   since       0.1
 *   cost        a task slot; a stack only when the child first waits */
HANK_API HANK_MUST_USE hank_task hank_spawn(hank_fn fn, void *arg);

/* The same with options; hank_spawn_with(fn, arg, .name = "ping") writes the struct for you.
 *
 *   arg         kept until the child has ended, or copied: then the child's is the copy
 *   options     NULL: all defaults
 *   result      as hank_spawn(); failed with -EINVAL also for an option out of its limits
 *   waits       never
 *   threads     any task
 *   since       0.1 */
HANK_API HANK_MUST_USE hank_task hank_spawn_opt(hank_fn fn, void *arg,
                                                const hank_spawn_options *options);

/* Wait until `t` has ended, and use it up.
 *
 * A handle that failed in hank_spawn() gives its code, every time it is asked.
 *
 *   result      what the task returned; -ECANCELED also if it was cancelled before it started: it
 *               then never ran; -ESTALE used up before; -EPERM not the caller's child, nothing
 *               happened; -EDEADLK the caller itself
 *   waits       while `t` runs
 *   if stopped  `t` is cancelled and still waited for, so its argument is the caller's again. Its
 *               result stands, except that -ECANCELED becomes the caller's own: -ETIMEDOUT or
 *               -ECANCELED
 *   threads     the task that spawned `t`; what hank_spawn_into() started, any task or thread: the
 *               first who asks, while he waits the others get -EBUSY
 *   since       0.1 */
HANK_API int hank_await(hank_task t);

/* Wait until n tasks have ended, cancelling the others when one fails, and use them all up.
 *
 * A handle that is used up, foreign or has failed counts as a task that failed with that code. One
 * that stands there twice is used up by its first place: the second is -ESTALE once all have ended.
 *
 *   ret_results n results in the order of `tasks`, or NULL
 *   result      0 if all results were >= 0, else the first failure in time; 0 for n == 0; -E2BIG n
 *               is over 1,000,000: nothing happened
 *   waits       while any of them runs
 *   if stopped  they are cancelled and joined; the result is -ECANCELED or -ETIMEDOUT if that was
 *               what failed them, and ret_results is written
 *   threads     the task that spawned them
 *   since       0.1 */
HANK_API int hank_gather_n(const hank_task *tasks, size_t n, int *ret_results);

/* Wait until one of n tasks has ended, well or not, cancel and join the others, use all up.
 *
 * A handle that is used up, foreign or has failed counts as a task that ended with that code.
 *
 *   ret_result  what the first returned, or NULL
 *   result      the index of the first to end; -EINVAL n == 0; -E2BIG n is over 1,000,000
 *   waits       until one has ended, and then until the others have
 *   if stopped  all are cancelled and joined; -ECANCELED or -ETIMEDOUT unless one had ended before
 *   threads     the task that spawned them
 *   since       0.1 */
HANK_API ssize_t hank_race_n(const hank_task *tasks, size_t n, int *ret_result);

/* Ask `t` to stop: from now on its waits fail with -ECANCELED. It stays to be awaited.
 *
 * It is a request, and it lasts until the task ends. A task that has not started never runs.
 *
 *   result      0, also if it had ended or been cancelled before; -ESTALE used up, or never made
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_cancel(hank_task t);

/* Give `t` to the first task of the program, which cancels and joins it at the end.
 *
 * Its failure, should there be one, goes to the on_error hook. Its argument must outlive it: give
 * it a .copy, or something that lives as long as the program.
 *
 *   result      0; -ESTALE used up before; -EPERM not the caller's child, nothing happened; the
 *               code of a handle that had failed
 *   waits       never
 *   threads     the task that spawned `t`; what hank_spawn_into() started, any task or thread
 *   since       0.1 */
HANK_API int hank_detach(hank_task t);

/* Let other tasks that are ready run first.
 *
 *   result      0; -ECANCELED; -ETIMEDOUT
 *   waits       for its next turn
 *   if stopped  it yields all the same
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_yield(void);

/* Wait for a time.
 *
 *   duration    at least; <= 0 only yields; HANK_FOREVER is until stopped
 *   result      0; -ECANCELED; -ETIMEDOUT
 *   waits       for `duration`
 *   if stopped  it returns early
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_sleep(hank_ns duration);

/* Whether the calling task has been asked to stop: for loops that compute and never wait.
 *
 *   result      0; -ECANCELED; -ETIMEDOUT
 *   waits       never
 *   threads     any task or thread, at the same time; a thread is never cancelled
 *   since       0.1 */
HANK_API int hank_stopped(void);

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus

/* hank_run_with(app, NULL, .workers = 4, .pin = true) */
#define hank_run_with(fn, arg, ...) hank_run_opt((fn), (arg), &(hank_options){__VA_ARGS__})

/* hank_spawn_with(work, &job, .name = "work", .copy = sizeof job) */
#define hank_spawn_with(fn, arg, ...)                                                              \
    hank_spawn_opt((fn), (arg), &(hank_spawn_options){__VA_ARGS__})

/* hank_gather(a, b, c): hank_gather_n() of an array; each argument is evaluated once. */
#define hank_gather(...)                                                                           \
    hank_gather_n((const hank_task[]){__VA_ARGS__},                                                \
                  sizeof((const hank_task[]){__VA_ARGS__}) / sizeof(hank_task), NULL)

#endif
#endif
