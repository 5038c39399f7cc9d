/* SPDX-License-Identifier: MIT */
/* inspect.h - look at a running program: hooks, statistics, every task, as text and otherwise. */
#ifndef HANK_INSPECT_H
#define HANK_INSPECT_H

#include <hank/base.h>
#include <hank/runtime.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a task does. Whoever has called the child that it awaits counts as running. */
typedef enum hank_task_state {
    HANK_TASK_NEW,     /* it has not begun */
    HANK_TASK_RUNNING, /* on some worker, now; or on its way off it, to wait */
    HANK_TASK_READY,   /* it would run if a worker were free */
    HANK_TASK_WAITING,
} hank_task_state;

/* A task, as a hook or a visitor sees it; good during the call. */
typedef struct hank_task_info {
    uint64_t id;      /* counts the tasks of its runtime that were announced; 0: it was not */
    const char *name; /* never NULL: of its function if it was given none */
    hank_fn fn;
    const void *site; /* the code that spawned it; NULL: not known */
    /* on_slow: the address where it computes; hank_visit_tasks(): where it waits, if it does; and
     * then the return addresses of its callers, for backtrace_symbols_fd(3), dladdr(3) or
     * addr2line(1). At most 32. NULL: not known. */
    void *const *stack;
    unsigned stack_frames;
    hank_task_state state;
    const char *waits_for; /* if it waits: "sleep", "mutex", ... a constant; else NULL */
    const void *self;      /* what it is known by as long as it lives */
    const void *above;     /* its parent's `self`, or the group it is a member of; NULL: none */
    bool is_cancelled;
} hank_task_info;

/* What on_failure() is told: good during the call. */
typedef struct hank_failure {
    const char *name;       /* the task's, or its function as fn@0x...; never NULL */
    hank_fn fn;             /* its function; NULL if it is a handler of hank_serve() */
    const void *spawned_at; /* the address after the call that spawned it, for addr2line; NULL if it
                               is a handler of hank_serve() */
    int result;             /* what it returned; -ELOOP: it runs, and ignores that it is stopped */
} hank_failure;

/* Functions the runtime calls, from any worker and several at the same time; they must not wait.
 * NULL is none.
 *
 * on_error(context, name, result) is called once for each failure that nobody awaits: of a task
 * that was detached, left to its parent's end or started from outside, or of a handler of
 * hank_serve(). A task that ended with -ECANCELED after it was cancelled has not failed, and
 * members of a group are the group's business. A child left to its parent's end is reported when
 * it ends, or, if that was before, when its parent does.
 *
 * A task that has been stopped and makes 1000 waits all the same, which all fail, is reported once
 * as -ELOOP; from then on each of them yields. `name` is good during the call, and never NULL.
 *
 * on_failure(context, failure) is called for the same, and told more.
 *
 * on_spawn comes before the task runs, by whoever spawns it; on_finish when it has ended, its
 * children too, also if it never ran. With either of them, or on_failure, every task costs an
 * allocation, and its site, and with the two its id, are known to each of these and to on_slow.
 *
 * on_slow comes while a task has computed for longer than hank_options.slow_task without giving
 * others a turn, once for each such stretch. To learn where it is, the runtime sends the thread
 * that runs it a SIGURG, if the program has left that signal at its default and this is Linux on
 * x86-64, aarch64 or riscv64. Its handler follows frame pointers: callers compiled without them
 * (-fno-omit-frame-pointer keeps them) may be missing, or others be named in their place; the first
 * address is always right. A system call that the task is blocked in may end with EINTR. Without
 * on_slow, or without slow_task, no signal is sent.
 *
 * on_leftovers comes when the end of a run has taken
 * longer than hank_options.leftovers_after, and again when it has taken three times that, and so
 * on; without it hank_dump_tree(2) is what happens. Both are called by a thread that is no task. */
typedef struct hank_hooks {
    void (*on_error)(void *context, const char *name, int result);
    void *context;
    void (*on_failure)(void *context, const hank_failure *failure);
    void (*on_spawn)(void *context, const hank_task_info *task);
    void (*on_finish)(void *context, const hank_task_info *task, int result);
    void (*on_slow)(void *context, const hank_task_info *task, hank_ns busy);
    void (*on_leftovers)(void *context, hank_ns waited);
} hank_hooks;

/* Counts since hank_run() began, except those that say `now`. They are added up worker by worker
 * while the program runs: each is right, together they are not a snapshot. */
typedef struct hank_stats {
    uint64_t workers;       /* threads that run tasks */
    uint64_t tasks_live;    /* now: spawned and not yet ended */
    uint64_t tasks_spawned; /* tasks ever made, group members included */
    uint64_t stacks_live;   /* now: stacks in use by tasks and workers */
    uint64_t switches;      /* from one stack to another */
    uint64_t steals;        /* tasks taken from another worker */
    uint64_t parks;         /* times a worker went to sleep */
    uint64_t wakes;         /* times a sleeping worker was woken by another thread */
    uint64_t polls;         /* times the kernel was asked what is ready */
    uint64_t reserved_[7];
} hank_stats;

/* Read the statistics of the calling task's runtime.
 *
 *   ret         written if the result is 0
 *   result      0; -EPERM outside a task
 *   waits       never
 *   threads     any task, at the same time
 *   since       0.1 */
HANK_API int hank_get_stats(hank_stats *ret);

/* Read the statistics of `rt`, from wherever you are.
 *
 *   rt          must not be freed meanwhile
 *   ret         written if the result is 0
 *   result      0; -EINVAL rt or ret is NULL; -ESHUTDOWN `rt` has ended, or this is a forked child
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_runtime_get_stats(hank_runtime *rt, hank_stats *ret);

/* Write to `fd` every task of the program: its name, its state, and what it waits for.
 *
 * A task without a name is called by the address of its function. The program goes on meanwhile, so
 * that a task may be seen in two states or have ended when its line is read.
 *
 *   fd          2 is stderr; what cannot be written is dropped
 *   result      none
 *   waits       never for a task; the write itself may block
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_dump(int fd);

/* The same as a tree: children below their parents, members of a group below its address.
 *
 * It needs some memory for the order; without it the tasks come as hank_dump() has them.
 *
 *   fd          2 is stderr; what cannot be written is dropped
 *   result      none
 *   waits       never for a task; the write itself may block
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_dump_tree(int fd);

/* Write to `fd` every task of the program as hank_dump() does, and below each that waits its stack,
 * a line a call, as backtrace_symbols_fd(3) has them: for addr2line(1). For which tasks it is known
 * hank_visit_tasks() says.
 *
 *   fd          2 is stderr; what cannot be written is dropped
 *   result      none
 *   waits       never for a task; the write itself may block
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API void hank_dump_stacks(int fd);

/* Call visit(context, task) for every task of the program, of all its runtimes, one after another.
 *
 * A task that lives from before the call until after it is visited once; of those that begin or
 * end meanwhile some are. What has ended is not, though its handle may still be good. The program
 * goes on: what is told of a task was so a moment ago, and it may have ended by now.
 *
 * The stack of a task that waits is told, as far as its innermost 32 calls, if frame pointers lead
 * from its one end to the other: if hank and what the task has called are compiled with
 * -fno-omit-frame-pointer, as they are without optimisation, on x86-64, aarch64 or riscv64. A
 * function without one is missing from it, or is the reason that there is none.
 *
 *   visit       returns whether to go on; may do whatever its caller may, waiting too
 *   result      how many were visited; -EINVAL visit is NULL
 *   waits       never by itself
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        time for as many tasks as there ever were at once; no memory, and no lock is held
 */
HANK_API ssize_t hank_visit_tasks(bool (*visit)(void *context, const hank_task_info *task),
                                  void *context);

#ifdef __cplusplus
}
#endif
#endif
