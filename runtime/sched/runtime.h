/* SPDX-License-Identifier: MIT */
/* runtime.h - the whole: workers, inbox, idle protocol, and what must end with it. */
#ifndef HK_SCHED_RUNTIME_H
#define HK_SCHED_RUNTIME_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <hank/group.h>
#include <hank/inspect.h>
#include <hank/task.h>

#include "base/atomic.h"
#include "base/fork.h"
#include "base/list.h"
#include "base/lock.h"
#include "reactor/reactor.h"
#include "sched/idle.h"
#include "sched/inbox.h"

struct hk_binding;
struct hk_task;
struct hk_worker;

enum { HK_WORKERS_MAX = 1024, HK_AT_STOP_MAX = 16, HK_BLOCKING_DEFAULT = 64 };

typedef struct hk_at_stop {
    void (*fn)(void *arg);
    void *arg;
} hk_at_stop;

/* workers, n, options, backend, process  constant while workers run
 * first       the task that runs main and ends the rest; constant, as main_fn and main_arg are
 * stopping    set once, by the first task; read by workers
 * at_stop, has_workers   guarded by lock
 * detached    a group: its own lock
 * blocking    io/blocking.c's, set by CAS
 * main, stop_reasons   guarded by lock: the task of main_fn while it lives; why it was cancelled
 * life        background.c: moved by main, or who finds that there is none, and to its end by its
 *             thread, under lock; slept on by who starts it
 * ended       guarded by lock: who waits for the end of a runtime in the background
 * spawned_outside   a statistic;  announced, strangers: numbers given to tasks (extra.c)
 * watched     constant: each task has an hk_extra
 * ending_since      when it began to end, by whoever noticed first; 0: not yet
 * keeper_stop       keeper.c; so is what follows it, which is the keeper's own
 * visitors    foreign threads that are waking a task of ours right now: counted up before the task
 *             can run, counted down when they touch us no more */
/* Why a runtime stops, to be or-ed. */
enum { HK_STOP_ASKED = 1, HK_STOP_SIGNAL = 2 };

enum { HK_LIFE_STARTING, HK_LIFE_RUNS, HK_LIFE_FAILED, HK_LIFE_ENDED };

struct hk_glance;

typedef struct hk_runtime {
    struct hk_worker *workers;
    unsigned n;
    uint32_t process; /* that started it: base/fork.h */
    hank_options options;
    const hk_backend *backend;
    uint8_t stack_class;
    HK_ATOMIC(bool) stopping;

    hk_inbox inbox;
    hk_idle idle;
    hank_group detached;

    hk_lock lock;
    hk_at_stop at_stop[HK_AT_STOP_MAX];
    unsigned at_stop_n;
    HK_ATOMIC(void *) blocking;
    HK_ATOMIC(uint32_t) visitors;

    pthread_t monitor;
    HK_ATOMIC(uint32_t) monitor_word;
    hk_ready monitor_ready[HK_READY_MAX]; /* the monitor's own */

    hank_task main;
    unsigned stop_reasons;
    bool background;
    HK_ATOMIC(uint32_t) life;
    int start_result; /* before life says so */
    pthread_t thread; /* in the background: worker 0's */
    hk_node ended;
    HK_ATOMIC(uint64_t) spawned_outside, announced, strangers;
    bool watched;
    HK_ATOMIC(int64_t) ending_since;

    bool signals, has_keeper, has_workers;
    pthread_t keeper;
    HK_ATOMIC(bool) keeper_stop;
    uint32_t interrupts_seen;
    int64_t leftovers_due;
    struct hk_glance *glances;
    bool samples; /* somebody wants to know where slow tasks are */

    struct hk_task *first;
    hank_fn main_fn;
    void *main_arg;
    int main_result;
} hk_runtime;

/* Whether a fork() has left `rt` without its threads: nothing of it will ever run here. */
static inline bool hk_runtime_left_behind(const hk_runtime *rt)
{
    return hk_fork_left_behind(rt->process);
}

/* --- for io/, which starts what it needs on first use ---------------------------------------- */

/* For what has threads of its own: the number of this process, from which a forked child's differs
 * (base/fork.h) whether there is a runtime or not. */
uint32_t hk_runtime_process(void);

/* For what needs a task: 0 in one; -EPERM outside, -ESHUTDOWN in a forked child. */
int hk_runtime_in_a_task(void);

/* The current worker's reactor, NULL on a thread that is no worker. */
hk_reactor *hk_runtime_reactor(void);

/* The reactors of the calling worker's runtime one after the other, `turn` saying whose it is.
 * NULL: the same. */
hk_reactor *hk_runtime_next_reactor(unsigned *turn);

/* Have fn(arg) called when the runtime of the calling task stops, on its main thread, after all
 * tasks have ended; the last one first. 0, -ENOSPC, -EPERM outside a task. */
int hk_runtime_at_stop(void (*fn)(void *arg), void *arg);

/* Most threads of the blocking pool, and the place where the pool keeps itself (NULL at first);
 * NULL outside a task. */
unsigned hk_runtime_blocking_threads(void);
HK_ATOMIC(void *) * hk_runtime_blocking(void);

/* The task-locals that the calling task or thread has set and inherited; and fn(arg) on a thread,
 * for one who has those and waits meanwhile: fn sees them, too. */
struct hk_binding *hk_runtime_locals(void);
int hk_runtime_call_with(struct hk_binding *locals, hank_fn fn, void *arg);

/* There is no memory to run the first task on: stop, with -ENOMEM. */
void hk_runtime_cannot_start(struct hk_runtime *rt);

/* Queue a woken task of `rt` from a thread that is none of its workers. */
void hk_runtime_push(struct hk_runtime *rt, struct hk_task *t);

/* While a foreign thread still uses a runtime that could end: it does not before. */
void hk_runtime_visit(struct hk_runtime *rt);
void hk_runtime_visited(struct hk_runtime *rt);

/* The error hooks, once for each failure nobody awaits. NULL: the calling task's runtime. */
void hk_runtime_report(struct hk_runtime *rt, const char *name, int result);

/* The same for a task of `rt`, unless it is what a cancel asked for. */
void hk_runtime_report_task(struct hk_runtime *rt, struct hk_task *t, int result);

/* Cancel the first of the program's tasks. */
void hk_runtime_stop_because(struct hk_runtime *rt, unsigned reason);

/* --- for background.c ------------------------------------------------------------------------ */

/* Fill in what `options` say. 0 or -EINVAL. */
int hk_runtime_check_options(struct hk_runtime *rt, const hank_options *options);

/* Be worker 0 of `rt` until it has ended; what main_fn returned, or why it could not start. */
int hk_runtime_run(struct hk_runtime *rt);

/* main runs, or cannot: said once, to who waits for the start. */
void hk_runtime_say_started(struct hk_runtime *rt, int result);

#endif
