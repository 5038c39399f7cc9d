/* SPDX-License-Identifier: MIT */
/* pool.h - named pools of threads for calls that block.
 *
 * hank_blocking() has one pool a runtime, for whatever comes along. A program that wants to hold a
 * kind of work to so many threads (a database, a disk, a library that takes its time) makes a pool
 * for it:
 *
 *     hank_pool *db;
 *     rc = hank_pool_new(&(hank_pool_options){.name = "db", .threads = 4, .queue = 100}, &db);
 *     ...
 *     rc = hank_pool_call(db, query, &q);
 *
 * A pool belongs to the program, not to a runtime, and its calls may come from any of them and from
 * threads. It starts a thread when a call finds none free, and ends one that has had nothing to do
 * for a while. When the queue is full, callers wait at the door in their order: who produces faster
 * than the pool works is slowed down, or told.
 *
 * A forked child has none of its threads: there it answers -ESHUTDOWN, for ever. */
#ifndef HANK_POOL_H
#define HANK_POOL_H

#include <hank/base.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hank_pool hank_pool;

/* Zero is the default of each; what is out of its limits is -EINVAL. */
typedef struct hank_pool_options {
    const char *name; /* of its threads, 15 bytes of it are copied; NULL: "hank-pool" */
    unsigned threads; /* at most; 0: 64; <= 1024 */
    unsigned queue;   /* calls that may wait for a thread; more wait at the door; 0: any number */
    hank_ns idle;     /* how long a thread stays without work; 0: 5 s */
    hank_ns linger;   /* how long hank_pool_free() waits for what nobody waits for; 0: 5 s */
    uint64_t reserved_[4];
} hank_pool_options;

/* For hank_pool_call_opt(). Zero is the default of each. */
typedef struct hank_call_options {
    size_t copy;  /* copy that many bytes of *arg for the call; 0: borrow it; <= 64 KiB */
    bool abandon; /* if stopped, return at once and let a call that has begun run on */
    bool nowait;  /* -EAGAIN when the queue is full, instead of waiting at the door */
} hank_call_options;

typedef struct hank_pool_stats {
    uint64_t threads; /* now */
    uint64_t running; /* now: calls that have begun and not ended */
    uint64_t queued;  /* now: calls that wait for a thread, those at the door too */
    uint64_t done;    /* calls that have ended since hank_pool_new() */
    uint64_t reserved_[4];
} hank_pool_stats;

/* Make a pool; its first thread is started by the first call.
 *
 *   options     NULL: all defaults
 *   ret         written if the result is 0; to be given to hank_pool_free()
 *   result      0; -EINVAL; -ENOMEM; -ESHUTDOWN in a forked child
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_pool_new(const hank_pool_options *options, hank_pool **ret);

/* Call fn(arg) on a thread of `p`. fn is no task: calls that need one answer -EPERM there. It sees
 * the caller's hank_local values, except if it may outlive the caller: with .abandon, or posted.
 *
 *   result      what fn returned; -EINVAL fn or p is NULL; -ENOMEM, -EAGAIN no thread to be had and
 *               fn was not called; -ECANCELED; -ETIMEDOUT; -ESHUTDOWN in a forked child
 *   waits       until fn has returned
 *   if stopped  fn was not called; once it has begun it is waited for and its result returned, for
 *               arg may live on the caller's stack
 *   threads     any task or thread, at the same time
 *   since       0.1
 *   cost        a hand-over to another thread and back */
HANK_API int hank_pool_call(hank_pool *p, hank_fn fn, void *arg);

/* The same with options; hank_pool_call_with(p, fn, arg, .nowait = true) writes the struct for you.
 *
 *   arg         kept until fn has returned, or copied: with .abandon it is one of the two that
 *               outlives the caller
 *   options     NULL: all defaults
 *   result      as hank_pool_call(); -EAGAIN also for .nowait; -EINVAL also for a copy of more than
 *               64 KiB, or of NULL
 *   waits       until fn has returned
 *   if stopped  as hank_pool_call(), unless .abandon: then it returns at once, and what fn returns
 *               is lost
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_pool_call_opt(hank_pool *p, hank_fn fn, void *arg,
                                const hank_call_options *options);

/* Have fn called with a copy of an argument, and go on: what it returns is lost.
 *
 *   arg         size bytes, read before the call returns; NULL for size 0, and then fn gets NULL
 *   size        at most 64 KiB
 *   result      0 it will be called, unless hank_pool_free() drops it; -EINVAL; -ENOMEM; -EAGAIN;
 *               -ECANCELED; -ETIMEDOUT; -ESHUTDOWN in a forked child
 *   waits       while the queue is full
 *   if stopped  fn is not called
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_pool_post(hank_pool *p, hank_fn fn, const void *arg, size_t size);

/* Read what a pool is doing.
 *
 *   ret         written if the result is 0
 *   result      0; -EINVAL p or ret is NULL; -ESHUTDOWN in a forked child
 *   waits       never
 *   threads     any task or thread, at the same time
 *   since       0.1 */
HANK_API int hank_pool_get_stats(hank_pool *p, hank_pool_stats *ret);

/* Let a pool finish what it has, and give it back. If somebody waits for a call of it or at its
 * door, that is a panic which names the pool and the task.
 *
 * Posted calls are made first. After options.linger those that have not begun are dropped, and
 * threads inside posted or abandoned calls are left behind: they end when their call does.
 *
 *   p           taken; NULL is fine
 *   result      none
 *   waits       as said
 *   if stopped  it waits all the same
 *   threads     any task or thread; once
 *   since       0.1 */
HANK_API void hank_pool_free(hank_pool *p);

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus

/* hank_pool_call_with(p, query, &q, .copy = sizeof q, .abandon = true) */
#define hank_pool_call_with(p, fn, arg, ...)                                                       \
    hank_pool_call_opt((p), (fn), (arg), &(hank_call_options){__VA_ARGS__})

#endif
#endif
