/* SPDX-License-Identifier: MIT */
/* worker.c - a worker repeats: my queues, the inbox, steal, poll, sleep.
 *
 * There is no scheduler fiber. The loop below runs on an ordinary stack from the cache and calls
 * tasks that have not started, there and then. When such a task waits, the stack, with the loop's
 * frame at its bottom, is the task's; the worker goes on with the next woken task, or, if there is
 * none, with a fresh loop on another stack. The loop holds no state, so nothing is lost; when the
 * task returns it falls back into a loop, on whatever worker, that simply continues.
 *
 * A switch away from a task ends with the *next* context saying that the stack is free
 * (finish_switch). Nobody ever waits for that while standing on a task's stack: two workers could
 * wait for each other's. Only a loop does, and a loop's stack nobody waits for. */
#include "sched/worker.h"

#include <errno.h>

#include "base/check.h"
#include "base/os.h"
#include "sched/child.h"
#include "sched/envelope.h"
#include "sched/idle.h"
#include "sched/inbox.h"
#include "sched/runtime.h"
#include "sched/task.h"

enum {
    CLAIM_DEPTH = 8, /* how far from the end of the deque an awaited child is looked for */
    OFF_STACK_SPINS = 128,
    DEQUE_CAPACITY = 256,
    COLD_LENGTH = 32,    /* of a ring: more tasks than a cache near the CPU holds */
    YIELDED_LINES = 4,   /* of a stack: from the switch up to who yielded, */
    EXPECTED_LINES = 16, /* and up to who asked for a read */
};

/* --- life ---------------------------------------------------------------------------------- */

int hk_worker_init(hk_worker *w, hk_runtime *rt, unsigned index)
{
    w->runtime = rt;
    w->index = index;
    w->alone = rt->n == 1;
    w->turns_left = HK_ROUND_TURNS;
    w->stack_class = rt->stack_class;
    w->usual_headroom = hk_stack_class_bytes(rt->stack_class) / 2;
    w->watched = rt->watched;
    hk_random_seed(&w->random, hk_os_random());
    int rc = hk_deque_init(&w->deque, DEQUE_CAPACITY);
    if (rc < 0)
        return rc;
    rc = hk_reactor_open(&w->reactor, rt->backend);
    if (rc < 0)
        hk_deque_done(&w->deque);
    return rc;
}

void hk_worker_done(hk_worker *w)
{
    hk_reactor_close(&w->reactor);
    hk_deque_done(&w->deque);
}

/* --- switching ----------------------------------------------------------------------------- */

/* What the context before this one could not do for itself. */
HK_INLINE static void finish_switch(void)
{
    hk_worker *w = hk_worker_self();
    hk_fiber_note_turn_begins(w);
    hk_task *t = w->left_task;
    if (t) {
        w->left_task = NULL;
        hk_store_release(&t->on_stack, 0u); /* [task:off] release: its registers are saved */
    }
    hk_fiber *f = w->left_fiber;
    if (HK_UNLIKELY(f != NULL)) {
        w->left_fiber = NULL;
        hk_stack_give(&w->stacks, f);
    }
}

/* Make the calling worker run `t`, which is off its stack; the caller switches to t->fiber. */
static void set_current(hk_worker *w, hk_task *t)
{
    hk_store_relaxed(&t->on_stack, 1u); /* ours alone since we took it from its queue */
    w->current = t;
    w->fiber = t->fiber;
    w->budget = HK_BUDGET;
    hk_count(w->counters.switches);
}

static bool is_off_stack(hk_task *t)
{
    return hk_load_acquire(&t->on_stack) == 0; /* [task:off] acquire: pairs with finish_switch */
}

static void loop(hk_fiber *self);

/* A fiber that starts a loop, or the thread's own context if there is no memory for one. */
HK_NOINLINE static hk_fiber *fresh_loop(hk_worker *w, int size_class)
{
    hk_fiber *f;
    if (HK_UNLIKELY(hk_stack_take(&w->stacks, size_class, &f) < 0))
        return &w->thread;
    hk_fiber_make(f, loop);
    return f;
}

/* The next dispatch is the one that looks around. It is a loop's: the turn is left for
 * hk_worker_find to count, or tasks that only ever switch to each other would never let the worker
 * look at its timers and descriptors. */
static bool is_round_over(const hk_worker *w)
{
    return w->turns_left == 1;
}

/* `from_afar`: it may have waited for a descriptor, deep in its stack. MEASURED: a loop costs more
 * than what it asks for; and lines that nobody needs push out others: a yield of one of a thousand
 * takes a fifth longer if all are asked for. */
HK_INLINE static void expect_stack(const char *sp, bool from_afar)
{
#pragma GCC unroll 4
    for (int i = 0; i < YIELDED_LINES; i++)
        HK_PREFETCH(sp + (ptrdiff_t)i * HK_CACHE_LINE);
    if (!from_afar)
        return;
#pragma GCC unroll 16
    for (int i = YIELDED_LINES; i < EXPECTED_LINES; i++)
        HK_PREFETCH(sp + (ptrdiff_t)i * HK_CACHE_LINE);
}

/* The tasks after this one: have at hand what each will need, a step a turn, because where the top
 * of a stack is stands in its fiber, and where that is in the task.
 * Unwatched: a thief may have taken one meanwhile, and then the hint is a wrong one. */
HK_NOINLINE HK_UNWATCHED static void expect(hk_worker *w, uint64_t first, uint64_t n)
{
    bool from_afar = w->cold > 0;
    if (w->cold > n) /* some were run by a loop, or stolen from here */
        w->cold = (uint32_t)n;
    w->cold -= w->cold > 0;
    if (n > 2)
        hk_task_expect(hk_ring_peek(&w->ring, first + 2));
    if (n > 1)
        hk_task_expect_fiber(hk_ring_peek(&w->ring, first + 1));
    hk_task *t = n > 0 ? hk_ring_peek(&w->ring, first) : NULL;
    if (!t || hk_load_relaxed(&t->phase) == HK_PHASE_NEW || !t->fiber)
        return;
    expect_stack(t->fiber->sp, from_afar);
}

/* A thousand that wait in turn are in no cache, and each step to the next would wait for memory. A
 * few that wake each other are. */
static inline void expect_next(hk_worker *w)
{
    uint64_t first, n = hk_ring_length(&w->ring, &first);
    if (HK_UNLIKELY(w->cold != 0 || n >= COLD_LENGTH))
        expect(w, first, n);
}

/* Next for a worker that is about to leave a task: only what is quickly at hand. NULL: let a
 * loop look around. */
HK_INLINE static hk_task *pick_quickly(hk_worker *w)
{
    hk_count(w->beat);
    if (is_round_over(w))
        return NULL;
    w->turns_left--;
    hk_task *t = NULL;
    if (w->lifo_run < HK_LIFO_RUN_MAX)
        t = hk_worker_take_lifo(w);
    if (t) {
        w->lifo_run++;
        return t;
    }
    w->lifo_run = 0;
    t = hk_worker_pop_woken(w);
    if (!t && hk_deque_size(&w->deque) == 0) /* its run is over, but there is nobody else: */
        t = hk_worker_take_lifo(w);          /* spare it the way by a loop */
    expect_next(w);
    return t;
}

static bool is_new(hk_task *t)
{
    return hk_load_relaxed(&t->phase) == HK_PHASE_NEW; /* whoever took it from its queue owns it */
}

HK_INLINE static void switch_to(hk_worker *w, hk_fiber *from, hk_fiber *to)
{
    hk_fiber_note_turn_ends(w);
    hk_fiber_switch(from, to);
    finish_switch();
}

/* The same for a task in C++ with exceptions that it has not done with. */
HK_COLD static void switch_in_a_handler(hk_worker *w, hk_fiber *from, hk_fiber *to)
{
    hk_exceptions mine = hk_exceptions_take(w->exceptions);
    switch_to(w, from, to);
    *hk_worker_self()->exceptions = mine;
}

HK_INLINE static void leave_task_for(hk_worker *w, hk_task *t, hk_task *next)
{
    hk_fiber *from = w->fiber;
    t->fiber = from;
    from->owner = t;
    w->left_task = t;
    if (next && !is_new(next) && is_off_stack(next)) {
        set_current(w, next);
    } else {
        w->first = next;
        w->current = NULL;
        w->fiber = fresh_loop(w, w->stack_class);
        hk_count(w->counters.switches);
    }
    hk_fiber *to = w->fiber;
    if (HK_UNLIKELY(hk_exceptions_any(w->exceptions)))
        switch_in_a_handler(w, from, to);
    else
        switch_to(w, from, to);
}

void hk_worker_leave_task(hk_worker *w, hk_task *t)
{
    leave_task_for(w, t, pick_quickly(w));
}

/* Queue the current task behind whatever else is ready. It can be stolen, but seldom is a sleeping
 * worker woken for it: this one comes back to it soon, or the monitor wakes somebody. MEASURED: two
 * tasks with one channel yield every 128 items, or two microseconds; to wake a worker takes longer
 * than that, and then it finds nothing or tears the two apart. */
static inline void queue_yielding(hk_worker *w, hk_task *t)
{
    hk_worker_queue(w, t);
    if (++w->yields % HK_QUIET_YIELDS == 0)
        hk_worker_publish(w);
}

void hk_worker_yield(hk_worker *w)
{
    hk_task *t = w->current;
    /* The oldest unstarted task first, or a task that yields in a loop would never let its
     * children begin: woken tasks go before new ones everywhere else. */
    hk_task *next = hk_deque_size(&w->deque) > 0 ? hk_deque_take_oldest(&w->deque) : NULL;
    if (!next && hk_ring_seems_empty(&w->ring) && hk_load_relaxed(&w->lifo) == NULL &&
        !is_round_over(w)) {
        w->turns_left--;
        hk_count(w->beat);
        w->budget = HK_BUDGET;
        return; /* nobody else is here */
    }
    t->fiber = w->fiber; /* before a thief can see it */
    queue_yielding(w, t);
    if (!next)
        next = pick_quickly(w);
    if (next == t) { /* everybody else was stolen meanwhile */
        w->budget = HK_BUDGET;
        return;
    }
    leave_task_for(w, t, next);
}

/* Eager start. The caller goes to the LIFO slot, which thieves leave alone: usually it is next when
 * t waits or ends. If the monitor took it from there because t computes, it may be back here before
 * t has been reached; it has promised that t has started. */
void hk_worker_start_now(hk_worker *w, hk_task *t)
{
    hk_task *me = w->current;
    uint32_t generation = HK_GENERATION(hk_load_relaxed(&t->control)); /* ours so far */
    t->home = HK_HOME_NONE;
    me->fiber = w->fiber; /* before anybody can see us */
    hk_worker_push_ready(w, me, true);
    leave_task_for(w, me, t);
    while (HK_GENERATION(hk_load_relaxed(&t->control)) == generation && is_new(t))
        hk_worker_yield(hk_worker_self());
}

/* --- the loop ------------------------------------------------------------------------------ */

/* Nothing is at hand: another worker's, or what comes; sleeps until there is something. NULL: the
 * runtime stops. */
HK_NOINLINE static hk_task *search(hk_worker *w)
{
    hk_task *t = NULL;
    bool searching = false;
    for (;;) {
        /* What has come in here meanwhile goes before what is another's. If nobody else has
         * anything, the sleep below asks first of all. */
        if (!t && !searching && hk_worker_others_have_work(w)) {
            if (hk_worker_poll(w) > 0)
                t = hk_worker_find(w);
            else
                searching = hk_idle_start_search(w);
        }
        if (!t && searching)
            t = hk_worker_steal(w);
        bool stopping = hk_load_acquire(&w->runtime->stopping); /* [runtime:stopping] acquire */
        if (t || stopping) {
            if (searching)
                hk_idle_found(w);
            return t;
        }
        if (!hk_linger_for_calls(w, &searching)) {
            hk_linger_sleeps(w);
            searching = hk_idle_sleep(w, searching);
            hk_linger_slept(w);
        }
        t = hk_worker_find(w);
    }
}

/* The next task to run; NULL: the runtime stops. */
static hk_task *next_task(hk_worker *w)
{
    hk_task *t = hk_worker_find(w);
    return HK_LIKELY(t != NULL) ? t : search(w);
}

/* From a loop's stack to a task that has one: this stack goes back to the cache. */
HK_NORETURN static void resume(hk_worker *w, hk_fiber *self, hk_task *t)
{
    for (int spins = 0; !is_off_stack(t); spins++) {
        if (spins < OFF_STACK_SPINS)
            hk_spin_pause();
        else
            hk_os_yield(); /* whoever stands on it has lost its CPU */
    }
    set_current(w, t);
    w->left_fiber = self;
    hk_fiber *to = t->fiber;
    hk_fiber_note_turn_ends(w);
    hk_fiber_leave(self, to);
}

HK_NORETURN static void move_loop(hk_worker *w, hk_fiber *self, hk_fiber *to)
{
    w->left_fiber = self;
    w->fiber = to;
    hk_fiber_note_turn_ends(w);
    hk_fiber_leave(self, to);
}

static void run_new(hk_worker *w, hk_task *t)
{
    w->current = t;
    w->budget = HK_BUDGET;
    hk_store_relaxed(&t->phase, (uint8_t)HK_PHASE_STARTED); /* a hint */
    int result = hk_task_body(t);
    w = hk_worker_self();
    w->current = NULL;
    hk_task_finish(w, t, result);
}

/* There is no stack to start t on. */
HK_COLD static void fail_new(hk_worker *w, hk_task *t)
{
    if (t == w->runtime->first)
        hk_runtime_cannot_start(w->runtime);
    hk_task_settle(t, -ENOMEM);
    hk_task_finish(w, t, -ENOMEM);
}

/* Run t, which has not started, here or on a stack of the size it asked for. */
static void start(hk_worker *w, hk_fiber *self, hk_task *t)
{
    if (HK_UNLIKELY(hk_task_class(t) > self->size_class)) {
        hk_fiber *f = fresh_loop(w, hk_task_class(t));
        if (f == &w->thread) {
            fail_new(w, t);
            return;
        }
        w->first = t;
        move_loop(w, self, f);
    }
    run_new(w, t);
}

static void loop(hk_fiber *self)
{
    finish_switch();
    for (;;) {
        hk_worker *w = hk_worker_self();
        hk_task *t = w->first;
        w->first = NULL;
        if (!t && self->size_class != w->stack_class) /* back from a task that wanted more */
            move_loop(w, self, fresh_loop(w, w->stack_class));
        if (!t)
            t = next_task(w);
        if (!t)
            move_loop(w, self, &w->thread);
        if (is_new(t))
            start(w, self, t);
        else
            resume(w, self, t);
    }
}

/* The thread's own context: only to start the first loop, to stop, and to get by while there is
 * no memory for a stack. Then woken tasks go on, and tasks that would need a stack fail. */
void hk_worker_main(hk_worker *w)
{
    hk_worker_set_self(w);
    hk_reactor_own(&w->reactor);
    hk_fiber_adopt_thread(&w->thread);
    w->exceptions = hk_exceptions_here();
    hk_exceptions callers = hk_exceptions_take(w->exceptions); /* it may be in a handler */
    for (;;) {
        w->fiber = fresh_loop(w, w->stack_class);
        if (w->fiber == &w->thread) {
            hk_task *t = w->first ? w->first : next_task(w);
            w->first = NULL;
            if (!t)
                break;
            if (is_new(t)) {
                fail_new(w, t);
                continue;
            }
            while (!is_off_stack(t))
                hk_os_yield();
            set_current(w, t);
        }
        hk_fiber *to = w->fiber;
        hk_fiber_note_turn_ends(w);
        hk_fiber_switch(&w->thread, to);
        finish_switch();
        if (hk_load_acquire(&w->runtime->stopping)) /* [runtime:stopping] acquire */
            break;
    }
    *w->exceptions = callers;
    hk_fiber_forget_thread(&w->thread);
    hk_stack_cache_drain(&w->stacks);
    hk_slab_drain(&hk_task_slab, &w->tasks);
    hk_envelope_drain(w);
    hk_worker_set_self(NULL);
}

/* --- what is unusual about a child --------------------------------------------------------- */

/* Puts back what is in front of it. */
HK_COLD static bool claim_near_end(hk_worker *w, const hk_task *t)
{
    hk_task *aside[CLAIM_DEPTH];
    int n = 0;
    hk_task *found = hk_worker_pop_new(w);
    while (found != NULL && found != t) {
        aside[n++] = found;
        found = n < CLAIM_DEPTH ? hk_worker_pop_new(w) : NULL;
    }
    while (n > 0) {
        hk_task *back = aside[--n];
        if (HK_UNLIKELY(hk_deque_push(&w->deque, back) < 0))
            hk_inbox_push(&w->runtime->inbox, back, back, 1);
    }
    return found == t;
}

bool hk_worker_claim_further(hk_worker *w, hk_task *t)
{
    return hk_deque_take_if_oldest(&w->deque, t, w->alone) ||
           (hk_deque_is_near_end(&w->deque, t, CLAIM_DEPTH) && claim_near_end(w, t));
}

void hk_worker_end_unbegun(hk_worker *w, hk_task *t)
{
    hk_task *me = w->current;
    w->current = t; /* for the hooks that are told */
    int result = hk_task_body(t);
    HK_DCHECK(hk_worker_self() == w);
    w->current = me;
    hk_task_finish(w, t, result);
}
