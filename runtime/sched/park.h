/* SPDX-License-Identifier: MIT */
/* park.h - a task waits through exactly one door, and is woken through exactly one other.
 *
 * A mutex, a channel, a timer, a socket, a join and a cancellation are all the same act:
 *
 *     hk_waiter w;
 *     hk_park_begin(&w, HK_WAITING);        a turn begins: from here on anyone may claim it
 *     ... put w where its waker will find it, drop the lock that guards that place ...
 *     rc = hk_park(&w, HK_FOREVER, "chan recv");
 *     if (rc < 0)  ... stopped: leave that place (under its lock) if still there ...
 *
 * Nothing need happen "after the stack has been left": a task may be claimed while it still runs
 * on its own stack. Whoever then wants to run it waits until it is off (task.h, `on_stack`), as an
 * operating system does with a thread that is woken while it is being switched out.
 *
 * Works on any thread: outside a task it blocks the thread instead. */
#ifndef HK_SCHED_PARK_H
#define HK_SCHED_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/waiter.h"
#include "sched/self.h"

#define HK_FOREVER INT64_MAX

/* Begin a turn of the calling task or thread and write its ticket into w. `state` is HK_WAITING, or
 * HK_WAITING_FIRMLY for a wait that no stop and no scope's deadline may end. */
void hk_park_begin(hk_waiter *w, unsigned state);

/* Whether the caller can begin one: for those who have not asked hk_checkpoint(). A task can; a
 * thread needs memory for its first, and without it hk_park_begin panics. 0 or -ENOMEM. */
HK_MUST_CHECK int hk_park_ready(void);

/* Wait until the turn is claimed; the result it was claimed with. `deadline` is the caller's own
 * (a point in time, HK_FOREVER: none) and ends the wait with HK_EXPIRED; scopes and cancellation
 * are added here for HK_WAITING, and end it with -ETIMEDOUT or -ECANCELED, at once if the task is
 * already stopped.
 * `why` is a string constant for dumps. */
int hk_park(hk_waiter *w, int64_t deadline, const char *why);

/* End a turn that was begun but need not wait after all. True: it is over and nobody claimed it.
 * False: somebody did, and hk_park must be called to receive the result. */
bool hk_park_abandon(hk_waiter *w);

/* The same, whoever claimed it meanwhile, and be it a stop: that shows in the next wait, too. */
void hk_park_give_up(hk_waiter *w);

/* End the turn with `result` and let the sleeper run. True for exactly one caller a turn. */
bool hk_wake(hk_ticket t, int result);

/* Whether `s`, which is not the caller, runs at this moment and the caller would not keep it from
 * running by spinning: a hint. */
bool hk_park_is_busy_elsewhere(hk_sleeper *s);

/* The same, and the caller's worker has nothing else to run: a hint. */
bool hk_park_may_spin_for(hk_sleeper *s);

/* The usual reason why not, without a call: the caller has just woken somebody. */
static inline bool hk_park_has_woken(void)
{
#ifdef HK_MODEL
    return false;
#else
    hk_worker *w = hk_worker_self();
    return w && hk_load_relaxed(&w->lifo) != NULL; /* a hint */
#endif
}

/* The two halves of hk_wake, for a waker that must do something in between: after a successful
 * hk_ticket_claim (base/waiter.h) the sleeper is still parked and its frame may be written. */
void hk_wake_claimed(hk_sleeper *s);

/* What every [waits] call asks first. 0, -ECANCELED or -ETIMEDOUT; -ENOMEM as above. Spends one
 * unit of the task's budget and yields when it is used up, so that calls that never have to wait
 * cannot own a worker. */
#ifdef HK_MODEL /* a model says it, or takes this way only */
#define hk_checkpoint_slowly hk_checkpoint
#endif
int hk_checkpoint_slowly(void);

#ifndef HK_MODEL
static inline int hk_checkpoint(void)
{
    hk_worker *w = hk_worker_self();
    if (HK_UNLIKELY(!w || !w->current || !hk_task_goes_on(w->current) || w->budget <= 1 ||
                    hk_load_relaxed(&w->hurry))) /* a hint from the monitor */
        return hk_checkpoint_slowly();
    w->budget--;
    return 0;
}
#endif

/* The stop alone, without the budget. */
int hk_stop_reason(void);

#endif
