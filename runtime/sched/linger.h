/* SPDX-License-Identifier: MIT */
/* linger.h - a worker that is called from outside again and again does not sleep in between.
 *
 * To wake a thread is a system call, an interrupt, and 20 microseconds until it runs: much more
 * than two threads that talk to each other do in between. Where each call has come that soon for a
 * while, the next one is waited for awake; once it has not come, not again until many have. So a
 * process that rests costs nothing, and one that is called now and then next to nothing.
 *
 * MEASURED (docs/decisions/0021-waiting-awake.md). */
#ifndef HK_SCHED_LINGER_H
#define HK_SCHED_LINGER_H

#include <stdbool.h>
#include <stdint.h>

struct hk_worker;

/* What a worker knows of its sleeps; its own.
 * prompt   so many in a row were ended soon, by a call from outside; below 0: so many more have to
 *          be before they count
 * refrain  how many that will be the next time
 * since    when the last one began; 0: the clock was not read */
typedef struct hk_linger {
    int prompt, refrain;
    int64_t since;
} hk_linger;

/* w has found nothing to do and may wait a moment for it, as a searcher if it is not alone: sets
 * *searching then. True: look again. False: sleep. */
bool hk_linger_for_calls(struct hk_worker *w, bool *searching);

/* Around each sleep. */
void hk_linger_sleeps(struct hk_worker *w);
void hk_linger_slept(struct hk_worker *w);

#endif
