/* SPDX-License-Identifier: MIT */
/* runtime.h - tasks for a program that is not hank's own: a runtime in the background.
 *
 * hank_run() turns a thread into a program of tasks and gives it back at the end. A program that
 * has a main loop already starts a runtime beside it, and reaches into it from any thread:
 *
 *     hank_runtime *rt;
 *     rc = hank_runtime_start(NULL, &rt);
 *     hank_task t = hank_spawn_into(rt, work, &job, NULL);
 *     ...
 *     rc = hank_await(t);                      in a plain thread it blocks, in a task it suspends
 *     hank_runtime_free(rt);                   stops it, and waits until it has ended
 *
 * Several run at the same time without knowing each other; their tasks may share channels and
 * locks.
 *
 * A thread that is no task needs a little memory for its first wait, and keeps it until it ends.
 * Where there is none the call answers -ENOMEM and nothing happened; one that cannot answer so, a
 * lock that cannot fail, a trylock or the beginning of a scope, is a panic.
 *
 * After fork() the child has none of the threads that run tasks. There the thread that called
 * fork() is no task, whatever it was before: hank calls answer -ESHUTDOWN instead of waiting for
 * ever, until the child starts a runtime of its own, which it may. What the parent had goes on
 * answering so: its runtimes and the tasks in them, its pools. A task that returns there, and a
 * lock that would be waited for before the child has a runtime, are a panic. */
#ifndef HANK_RUNTIME_H
#define HANK_RUNTIME_H

#include <hank/base.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_runtime hank_runtime;

/* Start workers that run tasks while the program goes on with something else.
 *
 * Signals are left alone unless options->signals asks for them.
 *
 *   options     as for hank_run_opt(), and its hooks are kept until hank_runtime_free(); NULL: all
 *               defaults
 *   ret         written if the result is 0; to be given to hank_runtime_free()
 *   result      0; -EINVAL an option out of its limits, or `ret` is NULL; -ENOMEM; -EAGAIN no
 *               threads to be had
 *   waits       never for a task; blocks the thread while others are started
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        starts threads: for once a program, not once a request */
HANK_API int hank_runtime_start(const hank_options *options, hank_runtime **ret);

/* The runtime that runs the calling task: hank_run()'s own, too, until that returns.
 *
 *   result      NULL outside a task
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API hank_runtime *hank_runtime_current(void);

/* Start fn(arg) in `rt`, from wherever you are.
 *
 * The task has no parent. Its handle may be used up by any one thread or task, with hank_await() or
 * hank_detach(); gathering and racing are for children. When `rt` ends the task is cancelled and
 * joined; a failure that nobody has asked for by then goes to the on_error hook, and the handle is
 * stale.
 *
 *   rt          must not be freed meanwhile
 *   arg         kept until the task has ended, or copied
 *   options     NULL: all defaults; its name is kept until the handle is used up or `rt` has ended
 *   result      a handle. It has failed with -EINVAL fn or rt is NULL, or an option out of its
 *               limits; -ENOMEM; -ESHUTDOWN `rt` ends, or this is a forked child
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        a lock and, if a worker sleeps, a system call */
HANK_API HANK_MUST_USE hank_task hank_spawn_into(hank_runtime *rt, hank_fn fn, void *arg,
                                                 const hank_spawn_options *options);

/* Ask `rt` to stop: its first task is cancelled, and when that has ended all the others are.
 *
 * The first task of a runtime in the background does nothing but wait for this. In hank_run() it
 * is the program's main function, which may take its time and return what it likes.
 *
 *   result      0, also if it was asked before or has ended; -EINVAL rt is NULL
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_runtime_stop(hank_runtime *rt);

/* Wait until `rt`, started by hank_runtime_start(), has ended: no task of it is left, and no thread
 * of it runs anything.
 *
 *   result      0; -EDEADLK the caller is one of its tasks; -EINVAL rt is NULL or hank_run()'s;
 *               -ESHUTDOWN in a forked child; -ECANCELED; -ETIMEDOUT
 *   waits       until it has ended, which it does when somebody stops it
 *   if stopped  `rt` goes on
 *   threads     any task of another runtime or thread, at the same time
 *   since       0.1 */
HANK_API int hank_runtime_wait(hank_runtime *rt);

/* Stop `rt`, wait until it has ended whatever else happens, and give it back.
 *
 *   rt          taken; NULL is fine
 *   result      0; -EDEADLK the caller is one of its tasks, -EINVAL it is hank_run()'s, -ENOMEM,
 *               -ESHUTDOWN in a forked child: nothing happened
 *   waits       until all its tasks have ended
 *   if stopped  it waits all the same
 *   threads     any task of another runtime or thread; once
 *   since       0.1 */
HANK_API int hank_runtime_free(hank_runtime *rt);

#ifdef __cplusplus
}
#endif
#endif
