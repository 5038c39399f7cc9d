/* SPDX-License-Identifier: MIT */
/* keeper.c - signals, leftovers, slow tasks.
 *
 * All keepers of a process sleep on one futex, which a signal handler may move, too: it does
 * nothing else, since nearly everything is forbidden there. A keeper that finds nothing has
 * nothing to poll and no time to keep sleeps for good.
 *
 * Signals. While a runtime wants them, and if the program has left a signal at its default, that
 * signal is ours; the first one stops those runtimes. The next one finds the count moved: it puts
 * the default back and raises itself again, so that the program ends as if we had not been there.
 * So does one that comes when no runtime wants signals any more: who has put a handler over ours
 * (signal.c, or the program) may put ours back when we have long gone.
 *
 * Rejected: signalfd and blocked signals (they would have to be blocked in threads of the program
 * that are not ours), a task that reads a pipe (a task that computes would hold it up). */
#include "sched/keeper.h"

#include <hank/inspect.h>

#include <limits.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/lock.h"
#include "base/os.h"
#include "sched/inspect.h"
#include "sched/task.h"
#include "sched/tree.h"
#include "sched/worker.h"

enum { SIGNALS = 2, STDERR = 2, LOOKS_A_LIMIT = 4 };
enum { SAMPLE_PATIENCE_NS = 200 * 1000 * 1000 }; /* for a thread that has no CPU just now */

static const int signal_numbers[SIGNALS] = {SIGINT, SIGTERM};

static HK_ATOMIC(uint32_t) bell; /* moves for everyone: all keepers sleep on it */
/* Signals since the first of the runtimes that want them; not 0 while there is none. */
static HK_ATOMIC(uint32_t) interrupts;

/* users  runtimes that want signals;  ours, before: what was installed, and what was there
 *        All guarded by lock. */
static struct {
    hk_lock lock;
    unsigned users;
    bool ours[SIGNALS];
    struct sigaction before[SIGNALS];
} signals;

/* What a keeper remembers of a worker. */
struct hk_glance {
    uint64_t beat;
    int64_t since;
    bool reported;
};

static void ring(void)
{
    (void)hk_add_acqrel(&bell, 1u); /* [keeper:bell] release: what there is to see */
    (void)hk_os_futex_wake(&bell, INT_MAX);
}

/* --- signals ------------------------------------------------------------------------------- */

/* Async-signal-safe. */
static void on_signal(int signo)
{
    int saved = hk_os_errno();
    if (hk_add_relaxed(&interrupts, 1u) == 0) { /* the bell orders */
        ring();
    } else {
        struct sigaction action = {0};
        action.sa_handler = SIG_DFL;
        (void)hk_os_signal_action(signo, &action, NULL); /* a valid signal: cannot fail */
        (void)hk_os_signal_raise(signo); /* blocked in its handler: comes when that returns */
    }
    hk_os_set_errno(saved);
}

/* Is `signo` at its default, or a handler of ours there that was put back after we had gone? */
static bool is_free(int signo, struct sigaction *ret_before)
{
    struct sigaction now;
    if (hk_os_signal_action(signo, NULL, &now) < 0 || (now.sa_flags & SA_SIGINFO))
        return false;
    *ret_before = (struct sigaction){0};
    ret_before->sa_handler = SIG_DFL;
    return now.sa_handler == SIG_DFL || now.sa_handler == on_signal;
}

/* Does this process have a signal for `rt`? */
static bool take_signals(hk_runtime *rt)
{
    struct sigaction action = {.sa_flags = SA_RESTART | SA_ONSTACK};
    action.sa_handler = on_signal;
    (void)sigfillset(&action.sa_mask);
    bool any = false;
    hk_lock_take(&signals.lock, HK_RANK_RUNTIME);
    bool first = signals.users++ == 0;
    if (first)
        hk_store_relaxed(&interrupts, 0u);              /* before a handler of ours is there */
    rt->interrupts_seen = hk_load_relaxed(&interrupts); /* an older one was meant for others */
    for (int i = 0; i < SIGNALS; i++) {
        if (first && is_free(signal_numbers[i], &signals.before[i]))
            signals.ours[i] = hk_os_signal_action(signal_numbers[i], &action, NULL) == 0;
        any = any || signals.ours[i];
    }
    hk_lock_drop(&signals.lock);
    return any;
}

static bool is_our_handler(int signo)
{
    struct sigaction now;
    return hk_os_signal_action(signo, NULL, &now) == 0 && now.sa_handler == on_signal;
}

/* What the program has installed meanwhile stays. The lock is held. */
static void restore_signals(void)
{
    for (int i = 0; i < SIGNALS; i++) {
        if (signals.ours[i] && is_our_handler(signal_numbers[i]))
            (void)hk_os_signal_action(signal_numbers[i], &signals.before[i], NULL);
        signals.ours[i] = false;
    }
    hk_store_relaxed(&interrupts, 1u); /* one that comes yet finds nobody to stop */
}

static void leave_signals(void)
{
    hk_lock_take(&signals.lock, HK_RANK_RUNTIME);
    if (--signals.users == 0)
        restore_signals();
    hk_lock_drop(&signals.lock);
}

void hk_keeper_freeze(void)
{
    hk_lock_freeze(&signals.lock);
}

void hk_keeper_thaw(void)
{
    hk_lock_thaw(&signals.lock);
}

void hk_keeper_forked(void)
{
    signals.users = 0; /* no lock: there is no other thread */
    restore_signals();
}

/* --- what a keeper looks at ---------------------------------------------------------------- */

static void look_at_signals(hk_runtime *rt)
{
    uint32_t now = hk_load_relaxed(&interrupts); /* the bell orders */
    if (!rt->signals || now == rt->interrupts_seen)
        return;
    rt->interrupts_seen = now;
    hk_runtime_stop_because(rt, HK_STOP_SIGNAL);
}

/* Until when the keeper may sleep, as far as the end of the runtime is concerned. */
static int64_t look_at_ending(hk_runtime *rt, int64_t now)
{
    int64_t since = hk_load_relaxed(&rt->ending_since); /* the bell orders */
    if (since == 0 || rt->options.leftovers_after <= 0)
        return INT64_MAX;
    if (rt->leftovers_due == 0)
        rt->leftovers_due = since + rt->options.leftovers_after;
    if (now < rt->leftovers_due)
        return rt->leftovers_due;
    const hank_hooks *hooks = rt->options.hooks;
    if (hooks && hooks->on_leftovers)
        hooks->on_leftovers(hooks->context, now - since);
    else
        hk_tree_dump(STDERR);
    rt->leftovers_due = now + 2 * (now - since); /* it will not get better by saying it often */
    return rt->leftovers_due;
}

/* Written by the worker at any time, and only to be described: its memory stays what it is. */
HK_UNWATCHED static hk_task *running_now(hk_worker *w)
{
    return w->current;
}

static bool wants_slow(const hk_runtime *rt)
{
    return rt->options.slow_task > 0 && rt->options.hooks && rt->options.hooks->on_slow;
}

/* The stack is worth nothing if the task has ended, or waited, while we asked for it. */
static void report_slow(hk_runtime *rt, hk_worker *w, const struct hk_glance *seen, int64_t busy)
{
    hk_task *t = running_now(w);
    const hank_hooks *hooks = rt->options.hooks;
    char name[HK_NAME_BUFFER];
    hank_task_info info;
    if (!t || !wants_slow(rt))
        return;
    hk_inspect_info(t, name, &info);
    unsigned frames = hk_sample_take(&w->sample, SAMPLE_PATIENCE_NS);
    if (frames > 0 && hk_load_relaxed(&w->beat) == seen->beat) { /* compared with itself only */
        info.stack = w->sample.frames;
        info.stack_frames = frames;
    }
    hooks->on_slow(hooks->context, &info, busy);
}

/* A worker that is awake and has dispatched nothing since the last look is inside one task. */
static int64_t look_at_tasks(hk_runtime *rt, int64_t now)
{
    int64_t limit = rt->options.slow_task;
    if (limit <= 0)
        return INT64_MAX;
    for (unsigned i = 0; i < rt->n; i++) {
        hk_worker *w = &rt->workers[i];
        struct hk_glance *seen = &rt->glances[i];
        uint64_t beat = hk_load_relaxed(&w->beat); /* compared with itself only */
        if (beat != seen->beat || hk_load_relaxed(&w->idle_state) != 0) {
            *seen = (struct hk_glance){.beat = beat, .since = now};
        } else if (!seen->reported && now - seen->since >= limit) {
            seen->reported = true;
            report_slow(rt, w, seen, now - seen->since);
        }
    }
    return now + limit / LOOKS_A_LIMIT + 1;
}

static void *keeper_main(void *arg)
{
    hk_runtime *rt = arg;
    hk_os_thread_name("hank-keeper");
    for (;;) {
        uint32_t heard = hk_load_acquire(&bell); /* [keeper:bell] acquire */
        if (hk_load_relaxed(&rt->keeper_stop))   /* the bell orders */
            return NULL;
        int64_t now = hk_os_now();
        look_at_signals(rt);
        int64_t next = look_at_ending(rt, now), other = look_at_tasks(rt, now);
        next = other < next ? other : next;
        (void)hk_os_futex_wait(&bell, heard, next == INT64_MAX ? -1 : next - now); /* looks again */
    }
}

/* --- life ---------------------------------------------------------------------------------- */

void hk_keeper_note_ending(hk_runtime *rt)
{
    int64_t none = 0;
    if (rt->options.leftovers_after <= 0)
        return;
    if (hk_cas_relaxed(&rt->ending_since, &none, hk_os_now())) /* the bell orders */
        ring();
}

static void give_up(hk_runtime *rt)
{
    if (rt->signals)
        leave_signals();
    if (rt->samples)
        hk_sample_end();
    rt->samples = false;
    hk_free(rt->glances, rt->n * sizeof *rt->glances);
    rt->glances = NULL;
}

int hk_keeper_start(hk_runtime *rt)
{
    const hank_options *o = &rt->options;
    rt->signals = o->signals == HANK_SIGNALS_ALWAYS ||
                  (o->signals == 0 && !rt->background && hk_os_thread_is_main());
    bool any_signal = rt->signals && take_signals(rt);
    if (!any_signal && o->leftovers_after <= 0 && o->slow_task <= 0)
        return 0;
    int rc = -ENOMEM;
    rt->samples = wants_slow(rt);
    if (rt->samples)
        hk_sample_begin();
    rt->glances = hk_alloc_zeroed(rt->n * sizeof *rt->glances);
    if (rt->glances)
        rc = hk_os_thread_start_quietly(&rt->keeper, keeper_main, rt);
    rt->has_keeper = rc == 0;
    if (rc < 0)
        give_up(rt);
    return rc;
}

void hk_keeper_stop(hk_runtime *rt)
{
    if (rt->has_keeper) {
        hk_store_relaxed(&rt->keeper_stop, true); /* the bell orders */
        ring();
        (void)hk_os_thread_join(rt->keeper); /* it was started */
    }
    give_up(rt);
}
