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
#include "base/lock.h"
#include "reactor/reactor.h"
#include "sched/idle.h"
#include "sched/inbox.h"

struct hk_task;
struct hk_worker;

enum { HK_WORKERS_MAX = 1024, HK_AT_STOP_MAX = 16, HK_BLOCKING_DEFAULT = 64 };

typedef struct hk_at_stop {
    void (*fn)(void *arg);
    void *arg;
} hk_at_stop;

/* workers, n, options, backend  constant while workers run
 * first       the task that runs main and ends the rest; constant, as main_fn and main_arg are
 * stopping    set once, by the first task; read by workers
 * at_stop     guarded by lock
 * detached    a group: its own lock
 * blocking    io/blocking.c's, set by CAS
 * visitors    foreign threads that are waking a task of ours right now: counted up before the task
 *             can run, counted down when they touch us no more */
typedef struct hk_runtime {
    struct hk_worker *workers;
    unsigned n;
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

    struct hk_task *first;
    hank_fn main_fn;
    void *main_arg;
    int main_result;
} hk_runtime;

/* --- for io/, which starts what it needs on first use ---------------------------------------- */

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

/* There is no memory to run the first task on: stop, with -ENOMEM. */
void hk_runtime_cannot_start(struct hk_runtime *rt);

/* Queue a woken task of `rt` from a thread that is none of its workers. */
void hk_runtime_push(struct hk_runtime *rt, struct hk_task *t);

/* The error hooks, once for each failure nobody awaits. NULL: the calling task's runtime. */
void hk_runtime_report(struct hk_runtime *rt, const char *name, int result);
void hk_runtime_report_task(struct hk_runtime *rt, struct hk_task *t, int result);

#endif
