/* SPDX-License-Identifier: MIT */
/* everywhere.c - count a task's questions, and answer the n-th with a stop. */
#include "api/everywhere.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "base/atomic.h"
#include "base/fault.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "sched/worker.h"

/* A scenario with more waits than that is stuck; one that was not stopped in so many walks has
 * none, and its partner was not just quicker. */
enum { STOPS_MAX = 2000, WALKS_MAX = 20 };

typedef enum manner { CANCELLED_BEFORE, EXPIRED_BEFORE, CANCELLED_DURING, MANNERS } manner;

static const char *const manner_names[MANNERS] = {"cancelled before", "expired before",
                                                  "cancelled during"};

/* One run. The body's own, but for `over` and `first_turn`. */
typedef struct run {
    const everywhere_scenario *scenario;
    manner manner;
    int nth;
    int asked;
    bool stopped;
    hk_scope *whole; /* the timeout around the body */
    hk_task *task;
    HK_ATOMIC(uint64_t) first_turn; /* 0: it has not begun */
    HK_ATOMIC(bool) over;
} run;

static int stops;

int everywhere_stops(void)
{
    return stops;
}

/* --- before: the runtime's own questions ----------------------------------------------------- */

#if HK_FAULTS

/* The run is only the business of its own task, which is on its way here and so still runs. */
static HK_ATOMIC(hk_task *) watched;
static run *watched_run;

/* A task asks whether it is stopped: is it ours, or a child called above it? */
static void answer(hk_sleeper *s)
{
    hk_task *ours = hk_load_acquire(&watched); /* [run:watched] acquire: so is its run */
    if (!ours || s->kind != HK_SLEEPER_TASK)
        return;
    hk_task *t = hk_task_of(s);
    while (t && t != ours)
        t = t->under;
    run *r = t ? watched_run : NULL;
    if (!r || ++r->asked != r->nth)
        return;
    r->stopped = true;
    if (r->manner == EXPIRED_BEFORE)
        r->whole->deadline = 1; /* long past */
    else
        (void)hk_task_cancel(t, HK_GENERATION(hk_load_seqcst(&t->control))); /* it lives */
}

static void watch(run *r)
{
    watched_run = r;
    hk_store_release(&watched, r->task); /* [run:watched] release: what belongs to it is set */
    hk_scope_watch(answer);
}

static void watch_nobody(void)
{
    hk_scope_watch(NULL);
    hk_store_release(&watched, (hk_task *)NULL); /* [run:watched] */
}

#endif

static int under_test(void *arg)
{
    run *r = arg;
    r->task = hk_worker_self()->current;
    uint64_t turn = hk_word_turn(hk_load_seqcst(&r->task->sleeper.word)); /* our own */
    hk_store_release(&r->first_turn, turn + 1); /* [run:turn] release: task is set */
    if (r->manner == CANCELLED_DURING) {
        int rc = r->scenario->body(r->scenario->state);
        hk_store_release(&r->over, true); /* [run:over] */
        return rc;
    }
    hank_scope whole;
    hank_timeout_begin(&whole, HANK_FOREVER);
    r->whole = (hk_scope *)(void *)&whole;
#if HK_FAULTS
    watch(r);
    int rc = r->scenario->body(r->scenario->state);
    watch_nobody();
#else
    int rc = -ENOSYS;
#endif
    (void)hank_timeout_end(&whole); /* whether it stopped anything is the body's to say */
    return rc;
}

/* --- during: another task that looks on ------------------------------------------------------ */

/* Cancel the body in its n-th turn or a later one, if it comes to that. */
static void stop_in_turn(run *r, hank_task body)
{
    while (!hk_load_acquire(&r->over)) {                  /* [run:over] acquire */
        uint64_t first = hk_load_acquire(&r->first_turn); /* [run:turn] acquire: sees task */
        uint64_t word = first ? hk_load_seqcst(&r->task->sleeper.word) : 0; /* a moment old */
        if (first && hk_word_state(word) != HK_AWAKE &&
            hk_word_turn(word) + 1 >= first + (uint64_t)r->nth) {
            r->stopped = true;
            (void)hank_cancel(body); /* ours, not awaited yet */
            return;
        }
        (void)hank_yield(); /* nobody stops us */
    }
}

/* --- the walk -------------------------------------------------------------------------------- */

static int complain(const run *r, const char *what, int rc)
{
    (void)fprintf(stderr, "everywhere: %s, stop %d: %s (result %d, %s)\n", manner_names[r->manner],
                  r->nth, what, rc, r->stopped ? "stopped" : "not stopped");
    return -EPROTO;
}

static int run_once(run *r)
{
    const everywhere_scenario *s = r->scenario;
    hank_stats before, after;
    if (s->set_up)
        s->set_up(s->state);
    (void)hank_get_stats(&before); /* we are a task */
    hank_task partner = {0};
    if (s->partner)
        partner = hank_spawn_with(s->partner, s->state, .name = "partner");
    hank_task body = hank_spawn_with(under_test, r, .name = "under test");
    if (r->manner == CANCELLED_DURING)
        stop_in_turn(r, body);
    int rc = hank_await(body);
    if (s->partner) {
        (void)hank_cancel(partner); /* ours, not awaited yet */
        (void)hank_await(partner);  /* what it says is its own business */
    }
    (void)hank_get_stats(&after);
    if (after.tasks_live > before.tasks_live)
        return complain(r, "a task is left over", rc);
    return s->holds(s->state, rc, r->stopped) ? 0 : complain(r, "the invariant is broken", rc);
}

static int walk(const everywhere_scenario *scenario)
{
    int first = HK_FAULTS ? CANCELLED_BEFORE : CANCELLED_DURING;
    for (int m = first; m < MANNERS; m++) {
        for (int nth = 1;; nth++) {
            run r = {.scenario = scenario, .manner = (manner)m, .nth = nth};
            int rc = run_once(&r);
            if (rc < 0)
                return rc;
            if (!r.stopped)
                break;
            stops++;
            if (nth == STOPS_MAX)
                return complain(&r, "it never ends by itself", rc);
        }
    }
    return 0;
}

int everywhere(const everywhere_scenario *scenario)
{
    int rc = 0;
    stops = 0;
    for (int i = 0; i < WALKS_MAX && rc == 0 && stops == 0; i++)
        rc = walk(scenario);
    return rc;
}
