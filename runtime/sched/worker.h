/* SPDX-License-Identifier: MIT */
/* worker.h - one thread that runs tasks, and what it owns.
 *
 * Everything a worker owns is touched by its thread alone, except where said:
 *   ring, deque, lifo   pushed by the owner, also taken by thieves
 *   published           counts the owner's pushes; read by whoever is about to sleep (idle.c)
 *   beat                counts dispatches; read by the monitor, which takes a standing beat of a
 *                       worker that is awake for one task holding it up
 *   hurry               set by the monitor, cleared by the owner
 *   idle_state          idle.c
 *   reactor             its own rules
 * The counters are written by the owner and read by anyone. */
#ifndef HK_SCHED_WORKER_H
#define HK_SCHED_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/random.h"
#include "base/slab.h"
#include "fiber/exceptions.h"
#include "fiber/fiber.h"
#include "fiber/sample.h"
#include "fiber/stack.h"
#include "reactor/reactor.h"
#include "sched/deque.h"
#include "sched/linger.h"
#include "sched/ring.h"

struct hk_runtime;
struct hk_task;

enum {
    HK_HOME_NONE = UINT16_MAX, /* no worker's index */
    HK_ROUND_TURNS = 61, /* dispatches between two looks at the inbox, the clock, the oldest */
    HK_LIFO_RUN_MAX = 3, /* LIFO picks in a row before the ring gets its turn */
    HK_BUDGET = 128,     /* operations that did not wait before a task yields anyway */
    HK_QUIET_YIELDS = 8, /* of so many yields, one wakes a worker to help */
    HK_POLL_KEEP = 64,   /* of one poll's tasks: more than that, and somebody is woken to help */
};

typedef struct hk_counters {
    HK_ATOMIC(uint64_t) spawned;
    HK_ATOMIC(uint64_t) ended;
    HK_ATOMIC(uint64_t) switches;
    HK_ATOMIC(uint64_t) steals;
    HK_ATOMIC(uint64_t) parks;
    HK_ATOMIC(uint64_t) polls;
} hk_counters;

typedef struct hk_worker {
    /* the running task, and the stack it runs on */
    struct hk_task *current;
    hk_fiber *fiber;
    struct hk_runtime *runtime;
    int budget;
    uint32_t turns_left; /* of this round */
    uint32_t cold;       /* of the tasks in the ring so many, at most, were polled, or stolen */
    bool alone;          /* the only worker: nobody to publish to */
    bool watched;        /* each task that it spawns has an hk_extra */

    /* what the next context has to finish for the one before it (worker.c) */
    struct hk_task *left_task;
    hk_fiber *left_fiber;
    struct hk_task *first;     /* for a fresh loop: run this before looking around */
    hk_exceptions *exceptions; /* the thread's: of the task that runs, and empty between two */

    hk_slab_cache tasks, envelopes;
    hk_stack_cache stacks;
    uint8_t stack_class;
    size_t usual_headroom; /* stack that must be left to call a child */

    unsigned index;
    unsigned lifo_run;
    hk_random random; /* for what runs here */
    unsigned yields;
    int64_t clock; /* read when it last polled */
    hk_linger linger;
    int64_t stole_at; /* when it last did; 0: seen to */
    int hold_back;    /* pauses before it steals again */
    hk_fiber thread;  /* the thread's own stack */
    pthread_t handle;
    uint16_t *victims; /* the other workers, nearest first */
    unsigned cpu;
    uint64_t beat_seen;           /* the monitor's */
    int64_t stood_ns, crowded_ns; /* the same: how long so */
    hk_sample sample;             /* the keeper's, of this thread */
    hk_ready ready[HK_READY_MAX]; /* not on a stack: it would cost every parked task a page */

    _Alignas(HK_NO_SHARING) HK_ATOMIC(struct hk_task *) lifo;
    HK_ATOMIC(uint64_t) published;
    HK_ATOMIC(uint64_t) beat;
    HK_ATOMIC(bool) hurry;
    HK_ATOMIC(uint32_t) idle_state;
    hk_counters counters;

    hk_deque deque;
    hk_ring ring;
    hk_reactor reactor;
} hk_worker;

/* The calling thread's worker, or NULL. A task may be on another thread after any wait, so no
 * compiler may keep what this returned, or the address it came from. */
#if defined HK_READ_THREAD_POINTER && !defined HK_MODEL
static inline hk_worker *hk_worker_self(void)
{
    hk_worker *w;
    HK_READ_THREAD_POINTER(w, "hk_worker_here");
    return w;
}
#else
hk_worker *hk_worker_self(void);
#endif
void hk_worker_set_self(hk_worker *w);

/* The owner counts: no other thread writes. */
#define hk_count(counter) hk_store_relaxed(&(counter), hk_load_relaxed(&(counter)) + 1)

int hk_worker_init(hk_worker *w, struct hk_runtime *rt, unsigned index);
void hk_worker_done(hk_worker *w);

/* The body of a worker's thread: runs tasks until the runtime stops. */
void hk_worker_main(hk_worker *w);

/* For hk_worker_push_new, in child.h: queue `t` though the deque cannot grow; tell the others that
 * there is something to take. */
void hk_worker_push_overflow(hk_worker *w, struct hk_task *t);
void hk_worker_publish(hk_worker *w);

/* Queue a woken task. `soon`: next, if the LIFO slot may be used. */
void hk_worker_push_ready(hk_worker *w, struct hk_task *t, bool soon);

/* Queue a woken task behind whatever else is ready. Nobody is told: hk_worker_publish does that. */
void hk_worker_queue_overflow(hk_worker *w, struct hk_task *t); /* though the ring is full */

static inline void hk_worker_queue(hk_worker *w, struct hk_task *t)
{
    if (HK_UNLIKELY(!hk_ring_push(&w->ring, t)))
        hk_worker_queue_overflow(w, t);
}

/* Leave the current task's stack for whatever is to run next. Returns when the task is resumed. */
void hk_worker_leave_task(hk_worker *w, struct hk_task *t);

/* Run `t`, which has not started and is in no queue, before the current task goes on. */
void hk_worker_start_now(hk_worker *w, struct hk_task *t);

/* Let everything else that is ready have a turn. */
void hk_worker_yield(hk_worker *w);

/* End a task that was cancelled before it began, is in no queue and is the caller's, here and now:
 * nothing of it is called. The current task goes on. */
void hk_worker_end_unbegun(hk_worker *w, struct hk_task *t);

/* For hk_worker_claim, in child.h: `t` is not the newest. Look a little further. MEASURED: divide
 * and conquer, which never needs it, is a tenth faster with it out of the way. */
HK_COLD bool hk_worker_claim_further(hk_worker *w, struct hk_task *t);

/* Ask w's own reactor, without waiting. The number of tasks queued. */
int hk_worker_poll(hk_worker *w);

/* The same, unless that has been done lately: for a worker that does not come to sleep. */
int hk_worker_poll_in_time(hk_worker *w, int64_t now);

/* The newest of w's own tasks that have not started; NULL: none. */
static inline struct hk_task *hk_worker_pop_new(hk_worker *w)
{
    return w->alone ? hk_deque_pop_alone(&w->deque) : hk_deque_pop(&w->deque);
}

/* The oldest of its woken tasks; NULL: none. */
static inline struct hk_task *hk_worker_pop_woken(hk_worker *w)
{
    return w->alone ? hk_ring_pop_alone(&w->ring) : hk_ring_pop(&w->ring);
}

/* What is in w's LIFO slot; NULL: nothing. The owner, and the monitor in its place if it is not the
 * only worker. */
static inline struct hk_task *hk_worker_take_lifo(hk_worker *w)
{
    struct hk_task *t = hk_load_relaxed(&w->lifo); /* only the owner fills it */
    if (t == NULL)
        return NULL;
    if (!w->alone)
        return hk_swap_acqrel(&w->lifo, (struct hk_task *)NULL); /* [worker:lifo] both swap */
    hk_store_relaxed(&w->lifo, (struct hk_task *)NULL);          /* nobody else takes it */
    return t;
}

/* Claim what a poll of some reactor found ready, and queue it with w. The number queued. */
int hk_worker_take_ready(hk_worker *w, const hk_ready *ready, int n);

/* Work for w from anywhere but its own thread's current task; NULL: none at the moment. */
struct hk_task *hk_worker_find(hk_worker *w);

/* One round over everybody else, nearest first. NULL: nothing there. */
struct hk_task *hk_worker_steal(hk_worker *w);

/* Does any other worker seem to have a task that w could take? A guess. */
bool hk_worker_others_have_work(hk_worker *w);

/* Is there anything in w's queues that another worker could take? */
bool hk_worker_has_work(hk_worker *w);

#endif
