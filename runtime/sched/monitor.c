/* SPDX-License-Identifier: MIT */
/* monitor.c - helps the workers that one task holds up.
 *
 * A worker that is awake and has not dispatched anything between two looks is busy with one task.
 * Meanwhile nobody asks its reactor or its timers, and what is in its LIFO slot waits. The monitor
 * does these three things for it, hands what it finds to the inbox, wakes a worker, and asks the
 * long task to yield at its next chance.
 *
 * That is done at once if another worker is free to take it over. If all are busy, the worker was
 * most likely only preempted, and to carry its tasks to another's caches would help nobody: then
 * only for one that has stood still for a while.
 *
 * Each look preempts somebody if all CPUs are busy, so in quiet times it looks seldom. Once a task
 * has held up its worker for long, the next such task is expected soon, and for a second it looks
 * often: a program that computes now and then is helped within a fraction of a millisecond. While
 * somebody is held up, what happens to the descriptors of his reactor ends the monitor's nap.
 *
 * Whoever runs the tasks that it hands over keeps them: what they wait for next is told to that
 * worker, so that of a program that computes again and again only the first round needs help. The
 * same evens things out when one worker never rests while another does.
 *
 * It also wakes a worker if one sleeps while new tasks wait in another's deque. Spawning leaves
 * that to it in the one case that it does not see for itself (hk_worker_push_new).
 *
 * It naps while anyone is awake and sleeps for good once everybody has slept for a while; the first
 * worker to wake wakes it too. So an idle process uses no CPU, and a wake-up costs a worker one
 * load. */
#include "sched/monitor.h"

#include "base/os.h"
#include "sched/park.h"
#include "sched/task.h"
#include "sched/worker.h"

enum {
    NAP_NS = 2500 * 1000,          /* between two looks while nothing is wrong */
    SHORT_NAP_NS = 200 * 1000,     /* while somebody is held up, or is expected to be */
    LONG_NS = 20 * 1000 * 1000,    /* of standing still: not only preempted */
    ALERT_NS = 1000 * 1000 * 1000, /* after one that stood still so long */
    CROWDED_NS = 50 * 1000 * 1000, /* without a rest, while others have one */
    QUIET_NAPS = 3,                /* looks at a sleeping runtime before the monitor sleeps too */
};

/* ns        how long, unless something happens
 * alert_ns  how much longer one that is held up is expected
 * fds       the reactors of those who are */
typedef struct nap {
    int64_t ns, alert_ns;
    unsigned n;
    int fds[HK_NAP_FDS_MAX];
} nap;

/* While nothing is wrong. */
static void nap_calmly(nap *next)
{
    next->ns = NAP_NS;
    next->n = 0;
}

/* Everybody sleeps? */
static bool all_sleep(hk_runtime *rt)
{
    return hk_idle_sleeping(hk_load_seqcst(&rt->idle.word)) == rt->n;
}

/* Sleeps, or looks for work? A guess: both change all the time. */
static bool somebody_is_free(hk_runtime *rt)
{
    return hk_load_relaxed(&rt->idle.word) != 0; /* see above */
}

/* Let others have what they can take of `w`. */
static void shed(hk_runtime *rt, hk_worker *w)
{
    hk_store_relaxed(&w->reactor.sheds, true); /* a hint: see hk_reactor */
    if (hk_worker_has_work(w))
        hk_idle_notify(rt);
}

/* Do for `w` what it does not come to do. The number of tasks that this lets go on. */
static int help(hk_runtime *rt, hk_worker *w)
{
    hk_ready *ready = rt->monitor_ready;
    int n = hk_reactor_help(&w->reactor, ready);
    for (int i = 0; i < n; i++)
        if (hk_ticket_claim(ready[i].ticket, ready[i].result))
            hk_wake_claimed(ready[i].ticket.sleeper);
    hk_task *t = w->alone ? NULL : hk_worker_take_lifo(w); /* else there is nobody to take it */
    if (t)
        hk_runtime_push(rt, t);
    hk_store_relaxed(&w->hurry, true); /* a hint: read at its next checkpoint */
    shed(rt, w);
    return n;
}

/* One look at everybody, so long after the last: decides on the next nap. */
static void look(hk_runtime *rt, int64_t napped, nap *next)
{
    bool busy = false, forgotten = false, early = napped < next->ns;
    nap_calmly(next);
    for (unsigned i = 0; i < rt->n; i++) {
        hk_worker *w = &rt->workers[i];
        uint64_t beat = hk_load_relaxed(&w->beat); /* compared with itself only */
        bool awake = hk_load_relaxed(&w->idle_state) == 0, stands = awake && beat == w->beat_seen;
        w->beat_seen = beat;
        forgotten = forgotten || hk_deque_size(&w->deque) > 0;
        w->stood_ns = stands ? w->stood_ns + napped : 0;
        w->crowded_ns = awake && !stands && somebody_is_free(rt) ? w->crowded_ns + napped : 0;
        /* Not sooner: a nap that is cut short says nothing of those it was not cut short by. */
        bool held_up = w->stood_ns >= SHORT_NAP_NS;
        if (held_up && (somebody_is_free(rt) || w->stood_ns > LONG_NS)) {
            busy = true;
            /* Woken for nothing: another thread asks that reactor just now. Once is enough. */
            if ((help(rt, w) > 0 || !early) && next->n < HK_NAP_FDS_MAX)
                next->fds[next->n++] = w->reactor.backend_fd;
        }
        if (w->stood_ns > LONG_NS)
            next->alert_ns = ALERT_NS;
        if (w->crowded_ns > CROWDED_NS)
            shed(rt, w);
    }
    if (forgotten) /* or its owner is just about to take it */
        hk_idle_notify(rt);
    if (next->alert_ns > 0)
        next->alert_ns -= napped;
    if (busy || next->alert_ns > 0)
        next->ns = SHORT_NAP_NS;
}

static bool stopped(hk_runtime *rt)
{
    return hk_load_acquire(&rt->monitor_word) == HK_MONITOR_STOP; /* [monitor:stop] acquire */
}

/* Sleep until a worker wakes us, unless one has just woken. */
static void sleep_deeply(hk_runtime *rt)
{
    uint32_t awake = HK_MONITOR_AWAKE;
    /* seq_cst: said before we look at the sleepers; see hk_monitor_notice. */
    if (!hk_cas_seqcst(&rt->monitor_word, &awake, (uint32_t)HK_MONITOR_ASLEEP))
        return; /* to stop */
    while (all_sleep(rt) && hk_load_seqcst(&rt->monitor_word) == HK_MONITOR_ASLEEP)
        (void)hk_os_futex_wait(&rt->monitor_word, HK_MONITOR_ASLEEP, -1); /* why: see the word */
    uint32_t asleep = HK_MONITOR_ASLEEP;
    (void)hk_cas_seqcst(&rt->monitor_word, &asleep, (uint32_t)HK_MONITOR_AWAKE); /* or woken */
}

static void *monitor_main(void *arg)
{
    hk_runtime *rt = arg;
    int quiet = 0;
    nap next = {.ns = NAP_NS};
    int64_t looked_at = hk_os_now();
    hk_os_thread_name("hank-monitor");
    hk_os_thread_hurry();
    while (!stopped(rt)) {
        hk_os_nap(next.fds, next.n, next.ns);
        int64_t now = hk_os_now();
        quiet = all_sleep(rt) ? quiet + 1 : 0;
        if (quiet == 0)
            look(rt, now - looked_at, &next);
        else
            nap_calmly(&next);
        looked_at = now;
        if (quiet > QUIET_NAPS) {
            sleep_deeply(rt);
            quiet = 0;
            looked_at = hk_os_now();
        }
    }
    return NULL;
}

int hk_monitor_start(hk_runtime *rt)
{
    if (rt->n == 1)
        return 0;
    return hk_os_thread_start(&rt->monitor, monitor_main, rt);
}

void hk_monitor_stop(hk_runtime *rt)
{
    if (rt->n == 1)
        return;
    (void)hk_swap_acqrel(&rt->monitor_word, (uint32_t)HK_MONITOR_STOP); /* [monitor:stop] */
    (void)hk_os_futex_wake(&rt->monitor_word, 1);
    (void)hk_os_thread_join(rt->monitor); /* it was started, or the runtime would not run */
}

void hk_monitor_wake(hk_runtime *rt)
{
    uint32_t asleep = HK_MONITOR_ASLEEP;
    /* seq_cst like every change of the word; one waker makes the system call. */
    if (hk_cas_seqcst(&rt->monitor_word, &asleep, (uint32_t)HK_MONITOR_AWAKE))
        (void)hk_os_futex_wake(&rt->monitor_word, 1);
}
