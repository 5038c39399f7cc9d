/* SPDX-License-Identifier: MIT */
/* work.c - where a worker puts tasks, and where it looks for them.
 *
 * Order of looking: the LIFO slot (who was woken just now, and whose data is warm), the ring
 * (finish what has started), the own deque from the newest end (depth first, so that a parent finds
 * its child), the inbox, then other workers' rings and deques. One dispatch in 61 looks elsewhere
 * first, so that nothing waits for ever behind something newer. */
#include "sched/worker.h"

#include "base/lock.h"
#include "base/os.h"
#include "sched/idle.h"
#include "sched/inbox.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/thread.h"

enum {
    INBOX_BATCH = 32,           /* tasks taken from the inbox at once */
    WORTH_STEALING_NS = 500,    /* about what a steal costs the two */
    HOLD_BACK_MAX = 127,        /* pauses, a few microseconds */
    POLL_EVERY_NS = 100 * 1000, /* a busy worker asks the kernel at least this often */
};

/* --- queueing ------------------------------------------------------------------------------ */

/* Say that there is something new to take. seq_cst: the count must be out before we look for
 * sleepers, as a worker that goes to sleep says so before it looks at the counts (idle.c). */
void hk_worker_publish(hk_worker *w)
{
    if (w->alone)
        return;
    /* See above. */
    hk_store_seqcst(&w->published, hk_load_relaxed(&w->published) + 1);
    hk_idle_notify(w->runtime);
}

HK_COLD void hk_worker_push_overflow(hk_worker *w, hk_task *t)
{
    hk_inbox_push(&w->runtime->inbox, t, t, 1); /* no memory to grow: slower, not lost */
    hk_worker_publish(w);
}

/* The ring is full: its older half goes to the inbox in one chain, and t behind it. */
HK_COLD void hk_worker_queue_overflow(hk_worker *w, hk_task *t)
{
    hk_task *first = hk_ring_pop(&w->ring);
    hk_task *last = first;
    uint32_t n = first ? 1 : 0;
    while (n > 0 && n < HK_RING_SLOTS / 2) {
        hk_task *more = hk_ring_pop(&w->ring);
        if (!more)
            break;
        last->next = more;
        last = more;
        n++;
    }
    if (last)
        last->next = t;
    hk_inbox_push(&w->runtime->inbox, first ? first : t, t, n + 1);
}

void hk_worker_push_ready(hk_worker *w, hk_task *t, bool soon)
{
    if (soon) {
        if (hk_load_relaxed(&w->lifo) == NULL) { /* only we fill it */
            hk_store_release(&w->lifo, t); /* [worker:lifo] release: the monitor sees the task */
            return;
        }
        t = hk_swap_acqrel(&w->lifo, t); /* [worker:lifo] the displaced one has to queue */
        if (!t)
            return;
    }
    hk_worker_queue(w, t);
    hk_worker_publish(w);
}

int hk_worker_take_ready(hk_worker *w, const hk_ready *ready, int n)
{
    int queued = 0;
    for (int i = 0; i < n; i++)
        hk_task_expect(hk_task_of(ready[i].ticket.sleeper));
    for (int i = 0; i < n; i++) {
        if (!hk_ticket_claim(ready[i].ticket, ready[i].result))
            continue;
        hk_sleeper *s = ready[i].ticket.sleeper;
        if (s->kind == HK_SLEEPER_THREAD) {
            hk_thread_wake(hk_container_of(s, hk_thread, sleeper));
            continue;
        }
        hk_task *t = hk_task_of(s);
        hk_task_expect_fiber(t);
        hk_worker_queue(w, t);
        queued++;
    }
    w->cold += (uint32_t)queued;
    if (HK_UNLIKELY(hk_load_relaxed(&w->reactor.sheds))) /* a hint: we have come to ask it */
        hk_store_relaxed(&w->reactor.sheds, false);
    if (queued > HK_POLL_KEEP)
        hk_worker_publish(w);
    return queued;
}

/* --- finding work -------------------------------------------------------------------------- */

static hk_task *take_inbox(hk_worker *w)
{
    uint32_t n;
    hk_task *first = hk_inbox_take(&w->runtime->inbox, INBOX_BATCH, &n);
    if (!first)
        return NULL;
    for (hk_task *t = first->next, *after; t; t = after) {
        after = t->next;
        hk_worker_queue(w, t);
    }
    if (n > 1)
        hk_worker_publish(w);
    return first;
}

int hk_worker_poll(hk_worker *w)
{
    hk_count(w->counters.polls);
    int n = hk_reactor_wait(&w->reactor, 0, w->ready);
    return hk_worker_take_ready(w, w->ready, n);
}

int hk_worker_poll_in_time(hk_worker *w, int64_t now)
{
    if (now - w->clock < POLL_EVERY_NS)
        return 0;
    w->clock = now;
    return hk_worker_poll(w);
}

/* Every so often a busy worker looks beyond its own newest work. */
static hk_task *look_around(hk_worker *w)
{
    (void)hk_worker_poll_in_time(w, hk_os_now());
    hk_task *t = take_inbox(w);
    if (!t && hk_deque_size(&w->deque) > 0) /* else a stream of new children starves the first */
        t = hk_deque_take_oldest(&w->deque);
    return t;
}

hk_task *hk_worker_find(hk_worker *w)
{
    hk_task *t = NULL;
    hk_count(w->beat);
    if (--w->turns_left == 0) {
        w->turns_left = HK_ROUND_TURNS;
        if ((t = look_around(w)) != NULL)
            return t;
    }
    if (w->lifo_run < HK_LIFO_RUN_MAX && (t = hk_worker_take_lifo(w)) != NULL) {
        w->lifo_run++;
        return t;
    }
    w->lifo_run = 0;
    if ((t = hk_worker_pop_woken(w)) != NULL || (t = hk_worker_pop_new(w)) != NULL ||
        (t = take_inbox(w)) != NULL)
        return t;
    return hk_worker_take_lifo(w); /* it had had its run, but there is nobody else */
}

bool hk_worker_has_work(hk_worker *w)
{
    return hk_deque_size(&w->deque) > 0 || !hk_ring_seems_empty(&w->ring);
}

bool hk_worker_others_have_work(hk_worker *w)
{
    for (unsigned i = 0; i + 1 < w->runtime->n; i++)
        if (hk_worker_has_work(&w->runtime->workers[w->victims[i]]))
            return true;
    return false;
}

static hk_task *steal_from(hk_worker *w, hk_worker *victim)
{
    uint32_t n = hk_ring_steal_half(&victim->ring, &w->ring);
    if (n > 0) {
        w->cold += n;
        return hk_ring_pop(&w->ring);
    }
    hk_task *t = NULL;
    for (;;) {
        switch (hk_deque_steal(&victim->deque, &t)) {
        case HK_STEAL_TAKEN: return t;
        case HK_STEAL_EMPTY: break;
        case HK_STEAL_LOST: continue; /* somebody else got one: progress was made */
        }
        break;
    }
    return NULL;
}

/* What it stole last was done before it had paid for itself: so small are the tasks at the moment
 * that their owner is faster when nobody takes its lines away. Then a thief lets it be for a while,
 * and for longer each time, but never so long that anything larger would miss it. */
static void hold_back(hk_worker *w)
{
    if (w->stole_at == 0)
        return;
    bool was_worth_it = hk_os_now() - w->stole_at >= WORTH_STEALING_NS;
    w->stole_at = 0;
    if (was_worth_it)
        w->hold_back = 0;
    else if (w->hold_back < HOLD_BACK_MAX)
        w->hold_back = 2 * w->hold_back + 1;
    hk_spin_pauses(w->hold_back);
}

/* LIFO slots are left alone: the owner takes its own within a microsecond, and a thief would tear
 * apart two tasks that talk to each other. What a held-up owner leaves there the monitor moves. */
hk_task *hk_worker_steal(hk_worker *w)
{
    unsigned others = w->runtime->n - 1;
    hold_back(w);
    for (unsigned i = 0; i < others; i++) {
        hk_task *t = steal_from(w, &w->runtime->workers[w->victims[i]]);
        if (t) {
            hk_count(w->counters.steals);
            w->stole_at = hk_os_now();
            return t;
        }
    }
    return NULL;
}
