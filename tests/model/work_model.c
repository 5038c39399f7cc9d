/* SPDX-License-Identifier: MIT */
/* work_model.c - the real work.c: a woken task is run once, whether its worker comes to it, the
 * monitor takes it out of the LIFO slot, or another worker finds it before it sleeps.
 *
 * What a task has to go on with is plain data, written by who wakes it. A task that is left while
 * the other worker sleeps keeps it asleep for ever, and the checker says so. */
#include "sched/worker.h"

#include "base/os.h"
#include "model/mc.h"
#include "sched/idle.h"
#include "sched/inbox.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/thread.h"

enum { TASKS = 2 };

static hk_runtime runtime;
static hk_worker worker, other;
static hk_task tasks[TASKS];
static int ready[TASKS]; /* plain: what a task goes on with */
static int runs[TASKS];
static int asleep; /* the other worker says so */
static mc_parker bed;

/* --- stand-ins ------------------------------------------------------------------------------- */

/* As idle.c: its look at who sleeps is ordered after the count of what was published. */
void hk_idle_notify(hk_runtime *rt)
{
    (void)rt;
    if (hk_load_seqcst(&asleep) != 0)
        mc_wake(&bed);
}

#define NEVER(result, name, ...)                                                                   \
    result name(__VA_ARGS__)                                                                       \
    {                                                                                              \
        mc_fail(#name " is not part of this model");                                               \
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
NEVER(void, hk_inbox_push, hk_inbox *box, hk_task *first, hk_task *last, uint32_t n)
NEVER(hk_task *, hk_inbox_take, hk_inbox *box, uint32_t max, uint32_t *ret_n)
NEVER(int, hk_reactor_wait, hk_reactor *r, int64_t deadline, hk_ready *ready_list)
NEVER(void, hk_thread_wake, hk_thread *t)
#pragma GCC diagnostic pop

/* --- threads --------------------------------------------------------------------------------- */

static void begin(void)
{
    memset(&worker, 0, sizeof worker);
    memset(&other, 0, sizeof other);
    memset(ready, 0, sizeof ready);
    memset(runs, 0, sizeof runs);
    memset(&bed, 0, sizeof bed);
    asleep = 0;
    worker.runtime = &runtime;
    mc_name(&worker.lifo, "lifo");
    mc_name(&worker.published, "published");
    mc_name(&worker.ring.tail, "tail");
    mc_name(&asleep, "asleep");
}

static void wake(int i, bool soon)
{
    MC_WRITE(&ready[i], 1);
    hk_worker_push_ready(&worker, &tasks[i], soon);
}

static void run(hk_task *t)
{
    if (t == NULL)
        return;
    MC_ASSERT(MC_READ(&ready[t - tasks]) == 1);
    (void)hk_add_relaxed(&runs[t - tasks], 1);
}

/* Two are woken soon after each other, and the worker comes to what is left of them. */
static void wake_two_and_run(void)
{
    wake(0, true);
    wake(1, true);
    run(hk_worker_take_lifo(&worker));
    run(hk_worker_pop_woken(&worker));
}

/* As monitor.c does for a worker that is held up. */
static void take_lifo(void)
{
    run(hk_worker_take_lifo(&worker));
}

/* One that is woken for others, while the worker itself goes on computing. */
static void wake_one(void)
{
    wake(0, false);
}

/* As idle.c goes to sleep, and steals when it is woken. */
static void sleep_and_run(void)
{
    (void)hk_add_seqcst(&asleep, 1);
    (void)hk_load_seqcst(&worker.published);
    if (!hk_worker_has_work(&worker))
        mc_sleep(&bed);
    while (hk_ring_steal_half(&worker.ring, &other.ring) == 0)
        hk_spin_pause();
    run(hk_worker_pop_woken(&other));
}

static void both_ran_once(void)
{
    for (int i = 0; i < TASKS; i++)
        MC_ASSERT(runs[i] == 1);
}

static void the_first_ran_once(void)
{
    MC_ASSERT(runs[0] == 1);
}

static const mc_model models[] = {
    {.name = "work: two are woken, the monitor takes from the slot",
     .setup = begin,
     .threads = {wake_two_and_run, take_lifo},
     .check = both_ran_once,
     .golden = 22},
    {.name = "work: one is woken while another worker falls asleep",
     .setup = begin,
     .threads = {wake_one, sleep_and_run},
     .check = the_first_ran_once,
     .golden = 5},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
