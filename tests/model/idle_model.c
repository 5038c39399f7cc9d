/* SPDX-License-Identifier: MIT */
/* idle_model.c - the real idle.c and inbox.c: nothing is queued while everybody sleeps, and at rest
 * nobody is counted as searching or sleeping.
 *
 * A worker's reactor is a parker here, its queue a number that nothing orders but what idle.c says
 * must order it. The workers' loop is worker.c's next_task; publish is work.c's. Whoever runs the
 * last task stops the runtime; if somebody is missed before that, all sleep for ever, and the
 * checker says so. */
#include "sched/idle.h"

#include "base/os.h"
#include "model/mc.h"
#include "sched/inbox.h"
#include "sched/monitor.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

enum { WORKERS_MAX = 3, BUDGET = 300 * 1000 };

static hk_runtime runtime;
static hk_worker workers[WORKERS_MAX];
static hk_worker *sleepers[WORKERS_MAX];
static mc_parker parkers[WORKERS_MAX];
static int queued[WORKERS_MAX]; /* tasks in each worker's queue */
static hk_task boxed[2];        /* for the inbox */
static int left;                /* tasks that have not run */

/* --- stand-ins ------------------------------------------------------------------------------- */

int hk_reactor_wait(hk_reactor *r, int64_t deadline, hk_ready *ready)
{
    (void)deadline;
    (void)ready;
    mc_sleep(&parkers[hk_container_of(r, hk_worker, reactor)->index]);
    return 0;
}

void hk_reactor_interrupt(hk_reactor *r)
{
    mc_wake(&parkers[hk_container_of(r, hk_worker, reactor)->index]);
}

int hk_worker_take_ready(hk_worker *w, const hk_ready *ready, int n)
{
    (void)w;
    (void)ready;
    return n;
}

bool hk_worker_has_work(hk_worker *w)
{
    return hk_load_relaxed(&queued[w->index]) > 0; /* idle.c has to order it */
}

void hk_monitor_wake(hk_runtime *rt)
{
    (void)rt;
    mc_fail("the monitor was never asleep");
}

/* --- the workers ----------------------------------------------------------------------------- */

static void begin(unsigned n, int tasks)
{
    memset(&runtime.idle, 0, sizeof runtime.idle);
    memset(&runtime.inbox, 0, sizeof runtime.inbox);
    memset(parkers, 0, sizeof parkers);
    memset(queued, 0, sizeof queued);
    memset(boxed, 0, sizeof boxed);
    runtime.stopping = false;
    runtime.monitor_word = HK_MONITOR_AWAKE;
    runtime.idle.sleepers = sleepers;
    runtime.workers = workers;
    runtime.n = n;
    left = tasks;
    for (unsigned i = 0; i < n; i++) {
        workers[i].runtime = &runtime;
        workers[i].index = i;
        workers[i].published = 0;
        workers[i].idle_state = 0;
        memset(&workers[i].counters, 0, sizeof workers[i].counters);
    }
    mc_name(&runtime.idle.word, "idle word");
    mc_name(&runtime.idle.lock.held, "idle lock");
    mc_name(&runtime.inbox.count, "inbox");
    mc_name(&queued[0], "queue 0");
    mc_name(&workers[0].published, "published 0");
}

static void begin_2_workers_1_task(void)
{
    begin(2, 1);
}

static void begin_2_workers_2_tasks(void)
{
    begin(2, 2);
}

static void begin_3_workers_1_task(void)
{
    begin(3, 1);
}

static void begin_3_workers_2_tasks(void)
{
    begin(3, 2);
}

static hk_worker *me(void)
{
    return &workers[mc_self()];
}

/* As work.c does it. */
static void push(void)
{
    hk_worker *w = me();
    (void)hk_add_relaxed(&queued[w->index], 1);
    hk_store_seqcst(&w->published, hk_load_relaxed(&w->published) + 1);
    hk_idle_notify(&runtime);
}

static bool take(unsigned victim)
{
    int n = hk_load_relaxed(&queued[victim]);
    while (n > 0)
        if (hk_cas_acqrel(&queued[victim], &n, n - 1))
            return true;
    return false;
}

static bool find(hk_worker *w)
{
    uint32_t n;
    return take(w->index) || hk_inbox_take(&runtime.inbox, 1, &n) != NULL;
}

static bool steal(hk_worker *w)
{
    for (unsigned i = 0; i < runtime.n; i++)
        if (i != w->index && take(i))
            return true;
    return false;
}

/* As worker.c does it. The pause says that who may not search waits for those who do. */
static bool next_task(hk_worker *w)
{
    bool searching = false;
    for (;;) {
        bool found = find(w);
        if (!found && !searching)
            searching = hk_idle_start_search(w);
        if (!found && searching)
            found = steal(w);
        bool stopping = hk_load_acquire(&runtime.stopping);
        if (found || stopping) {
            if (searching)
                hk_idle_found(w);
            return found;
        }
        searching = hk_idle_sleep(w, searching);
        if (!searching)
            hk_spin_pause();
    }
}

static void run(void)
{
    if (hk_sub_acqrel(&left, 1) > 1)
        return;
    hk_store_release(&runtime.stopping, true);
    hk_idle_wake_all(&runtime);
}

static void work(void)
{
    while (next_task(me()))
        run();
}

/* Those whose task goes on computing: what else is queued is for the others. */

static void work_once(void)
{
    if (next_task(me()))
        run();
}

static void push_1(void)
{
    push();
}

static void push_2(void)
{
    push();
    push();
}

static void push_1_and_work(void)
{
    push();
    work();
}

/* A thread that is no worker: the last of the model's. */
static void push_to_inbox(void)
{
    hk_inbox_push(&runtime.inbox, &boxed[0], &boxed[0], 1);
    hk_idle_notify(&runtime);
}

static void nobody_is_counted(void)
{
    MC_ASSERT(left == 0);
    MC_ASSERT(runtime.idle.word == 0 && runtime.idle.n == 0);
    for (unsigned i = 0; i < runtime.n; i++)
        MC_ASSERT(queued[i] == 0 && workers[i].idle_state == 0);
}

static const mc_model models[] = {
    {.name = "idle: one busy, one works",
     .setup = begin_2_workers_1_task,
     .threads = {push_1, work},
     .check = nobody_is_counted,
     .golden = 905},
    {.name = "idle: one busy with two tasks, one works",
     .setup = begin_2_workers_2_tasks,
     .threads = {push_2, work},
     .check = nobody_is_counted,
     .search = MC_BOUNDED,
     .bound = 4,
     .golden = 235704},
    {.name = "idle: one busy, two work",
     .setup = begin_3_workers_1_task,
     .threads = {push_1, work, work},
     .check = nobody_is_counted,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 109236},
    {.name = "idle: one busy with two tasks, two work",
     .setup = begin_3_workers_2_tasks,
     .threads = {push_2, work, work},
     .check = nobody_is_counted,
     .search = MC_BOUNDED,
     .bound = 1,
     .executions_max = BUDGET,
     .golden = 0},
    {.name = "idle: who finds work goes on computing",
     .setup = begin_3_workers_2_tasks,
     .threads = {push_2, work_once, work_once},
     .check = nobody_is_counted,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 330958},
    {.name = "idle: two queue and work",
     .setup = begin_2_workers_2_tasks,
     .threads = {push_1_and_work, push_1_and_work},
     .check = nobody_is_counted,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 33199},
    {.name = "idle: two work, one from outside",
     .setup = begin_2_workers_1_task,
     .threads = {work, work, push_to_inbox},
     .check = nobody_is_counted,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 77564},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
