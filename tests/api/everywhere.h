/* SPDX-License-Identifier: MIT */
/* everywhere.h - stop a task at each of its waits in turn, and look at what is left.
 *
 * A call that can be stopped has as many ways to go wrong as it has waits. This runs a scenario
 * again and again, and stops the task under test at its 1st, 2nd, ... n-th question whether it is
 * stopped, until a run ends without being stopped. After each run everything the scenario did must
 * be over, and its invariant must hold.
 *
 *     static int body(void *m)           { return hank_sem_acquire(&((struct mine *)m)->s); }
 *     static int partner(void *m)        { return hank_sem_release(&((struct mine *)m)->s); }
 *     static void set_up(void *m)        { *(struct mine *)m = (struct mine){0}; }
 *     static bool holds(void *state, int rc, bool stopped) { ... }
 *
 *     static int walk(void *arg)         inside a task: with_each_size(walk, NULL)
 *     {
 *         struct mine m;
 *         (void)arg;
 *         MUST(everywhere(&(everywhere_scenario){set_up, body, partner, holds, &m}) == 0);
 *         return 0;
 *     }
 *
 * One call makes the whole walk three times, and all of it again if the partner was so quick that
 * nothing was stopped:
 *
 *   cancelled before   the body is cancelled in the very moment in which it asks for the n-th time
 *                      whether it is stopped: on entry to a call, or between putting itself into a
 *                      queue and parking. Exact with any number of workers.
 *   expired before     the same with a timeout around the body: its waits say -ETIMEDOUT.
 *   cancelled during   the body is cancelled by another task while it is parked for the n-th time
 *                      or, if others are quick to wake it, a later one: the claim is raced for.
 *
 * Questions of a child that the body calls on its own stack count as the body's. What the walk
 * needs of the scenario:
 *
 *   - Every run begins with set_up (NULL: nothing to do) and must come out the same way.
 *   - Without a stop the body ends by itself, with the help of the partner (NULL: none), which runs
 *     beside it as a task of its own. When the body has ended, the partner is cancelled and
 *     awaited; one that is cancelled before it began does not run.
 *   - holds() is asked when both have ended: `rc` is what the body returned, `stopped` whether it
 *     was asked to stop before it ended. What set_up made it takes down.
 *   - Children of the body have ended when holds() is asked; tasks that are still alive then
 *     have leaked, and the walk fails.
 *
 * No Criterion in here: plain programs use it too. Without HK_FAULTS only `cancelled during` is
 * left. One walk at a time in a process. */
#ifndef HK_TESTS_API_EVERYWHERE_H
#define HK_TESTS_API_EVERYWHERE_H

#include <stdbool.h>

#include <hank.h>

typedef struct everywhere_scenario {
    void (*set_up)(void *state);
    hank_fn body;
    hank_fn partner;
    bool (*holds)(void *state, int rc, bool stopped);
    void *state;
} everywhere_scenario;

/* Walk, from inside a task. 0, or -EPROTO: stderr says at which stop of which walk. */
int everywhere(const everywhere_scenario *scenario);

/* How many runs of the last walk were stopped: for checking that a scenario waits at all. */
int everywhere_stops(void);

#endif
