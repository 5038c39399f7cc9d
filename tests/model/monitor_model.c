/* SPDX-License-Identifier: MIT */
/* monitor_model.c - the real monitor.c: it never sleeps for good while a worker is awake, and is
 * stopped whatever it is doing.
 *
 * The monitor naps until somebody has done something; a nap while everybody sleeps is over at once,
 * so that its patience ends. A worker wakes, leaves a task in its deque without saying so, as a
 * spawn may, and computes until the monitor has seen it. A monitor that sleeps leaves it computing
 * for ever, and the checker says so. */
#include "sched/monitor.h"

#include "base/os.h"
#include "model/mc.h"
#include "sched/park.h"
#include "sched/worker.h"

enum { WORKERS = 2 };

static hk_runtime runtime;
static hk_worker workers[WORKERS];
static int seen; /* the monitor has told others of what is forgotten */
static void *(*body)(void *);

/* --- stand-ins ------------------------------------------------------------------------------- */

int hk_os_thread_start(pthread_t *ret_thread, void *(*main)(void *), void *arg)
{
    MC_ASSERT(arg == &runtime && ret_thread == &runtime.monitor);
    body = main;
    return 0;
}

int hk_os_thread_join(pthread_t thread)
{
    (void)thread;
    return 0;
}

void hk_os_thread_name(const char *name)
{
    (void)name;
}

void hk_os_thread_hurry(void)
{
}

void hk_os_nap(const int *fds, unsigned n, int64_t ns)
{
    (void)fds, (void)n, (void)ns;
    if (hk_idle_sleeping(hk_load_relaxed(&runtime.idle.word)) < WORKERS)
        hk_spin_pause();
}

void hk_idle_notify(hk_runtime *rt)
{
    (void)rt;
    hk_store_release(&seen, 1);
}

bool hk_worker_has_work(hk_worker *w)
{
    (void)w;
    return false;
}

int hk_reactor_help(hk_reactor *r, hk_ready *ready)
{
    (void)r, (void)ready;
    mc_fail("time stands still: nobody has been held up for long");
}

void hk_wake_claimed(hk_sleeper *s)
{
    (void)s;
    mc_fail("nobody was found ready");
}

void hk_runtime_push(hk_runtime *rt, struct hk_task *t)
{
    (void)rt, (void)t;
    mc_fail("nobody was found ready");
}

/* --- before ---------------------------------------------------------------------------------- */

static void begin(void)
{
    memset(&runtime.idle, 0, sizeof runtime.idle);
    memset(workers, 0, sizeof workers);
    runtime.monitor_word = HK_MONITOR_AWAKE;
    runtime.workers = workers;
    runtime.n = WORKERS;
    runtime.idle.word = WORKERS; /* all sleep */
    seen = 0;
    for (int i = 0; i < WORKERS; i++)
        workers[i].idle_state = 1;
    MC_ASSERT(hk_monitor_start(&runtime) == 0);
    mc_name(&runtime.idle.word, "idle word");
    mc_name(&runtime.monitor_word, "monitor");
    mc_name(&seen, "seen");
}

/* --- threads --------------------------------------------------------------------------------- */

static void monitor(void)
{
    (void)body(&runtime);
}

static void stop(void)
{
    hk_monitor_stop(&runtime);
}

/* As idle.c and child.h do it. */
static void wake_spawn_and_sleep(void)
{
    hk_worker *w = &workers[0];
    (void)hk_sub_seqcst(&runtime.idle.word, (uint64_t)1);
    hk_store_relaxed(&w->idle_state, 0u);
    hk_monitor_notice(&runtime);
    hk_store_release(&w->deque.bottom, (uint64_t)1);
    while (hk_load_relaxed(&seen) == 0)
        hk_spin_pause();
    hk_store_release(&w->deque.bottom, (uint64_t)0);
    hk_store_relaxed(&w->idle_state, 1u);
    (void)hk_add_seqcst(&runtime.idle.word, (uint64_t)1);
    stop();
}

static const mc_model models[] = {
    {.name = "monitor: stopped while it falls asleep",
     .setup = begin,
     .threads = {monitor, stop},
     .golden = 103},
    {.name = "monitor: a worker wakes while it falls asleep",
     .setup = begin,
     .threads = {monitor, wake_spawn_and_sleep},
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 24355},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
