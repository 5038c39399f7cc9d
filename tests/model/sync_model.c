/* SPDX-License-Identifier: MIT */
/* sync_model.c - the real mutex, once, barrier and semaphore: one at a time, who sees what, and no
 * grant is lost to a stop.
 *
 * The mutex's word is the one that is changed without a lock. In the other objects the lock orders
 * everything but the look at whether a once is done. */
#include <hank/coordinate.h>
#include <hank/sync.h>

#include "model/mc.h"
#include "model/mc_park.h"

static hank_mutex mutex;
static hank_mutex *shared;
static hank_once once;
static hank_barrier barrier;
static hank_sem sem;
static int guarded; /* plain: two holders at once, or one that does not see the other, is a race */
static int entered;
static bool passed[2];
static int results[MC_THREADS_MAX];

static void begin(void)
{
    begin_parking();
    memset(&mutex, 0, sizeof mutex);
    memset(&once, 0, sizeof once);
    barrier = (hank_barrier){.parties = 2};
    sem = (hank_sem){.count = 1};
    memset(results, 0, sizeof results);
    guarded = entered = 0;
    mc_name(&mutex.opaque_[3], "mutex");
    mc_name(&once.opaque_[3], "once");
}

static void enter(void)
{
    MC_WRITE(&guarded, MC_READ(&guarded) + 1);
    (void)hk_add_relaxed(&entered, 1);
}

/* --- mutex ----------------------------------------------------------------------------------- */

static void lock_once(void)
{
    hank_mutex_lock(&mutex);
    enter();
    hank_mutex_unlock(&mutex);
}

static void lock_twice(void)
{
    lock_once();
    lock_once();
}

static void lock_stoppable(void)
{
    results[mc_self()] = hank_mutex_lock_stoppable(&mutex);
    if (results[mc_self()] != 0)
        return;
    enter();
    hank_mutex_unlock(&mutex);
}

static void try_once(void)
{
    if (!hank_mutex_trylock(&mutex))
        return;
    enter();
    hank_mutex_unlock(&mutex);
}

static void cancel_1(void)
{
    cancel(1);
}

static void it_is_free(void)
{
    MC_ASSERT(guarded == entered);
    MC_ASSERT(hank_mutex_trylock(&mutex));
    MC_ASSERT(results[1] == 0 || results[1] == -ECANCELED);
}

static void three_entered(void)
{
    MC_ASSERT(entered == 3);
    it_is_free();
}

static void two_entered(void)
{
    MC_ASSERT(entered == 2);
    it_is_free();
}

/* The mutex lives in what it guards: the last of two to pass through frees both. Valid because
 * nothing touches a mutex after the CAS that gives it back, or the hand-over of its queue's lock.
 */
static void begin_shared(void)
{
    begin();
    shared = mc_alloc(sizeof *shared);
    memset(shared, 0, sizeof *shared);
    passed[0] = passed[1] = false;
}

static void pass_through(void)
{
    int me = mc_self();
    hank_mutex_lock(shared);
    MC_WRITE(&passed[me], true);
    bool last = MC_READ(&passed[1 - me]);
    hank_mutex_unlock(shared);
    if (last)
        mc_free(shared);
}

/* --- once ------------------------------------------------------------------------------------ */

static int do_it(void *arg)
{
    (void)arg;
    enter();
    return 0;
}

static int fail_at_first(void *arg)
{
    (void)arg;
    enter();
    return MC_READ(&guarded) == 1 ? -EIO : 0;
}

static void run_once(void)
{
    MC_ASSERT(hank_once_run(&once, do_it, NULL) == 0);
    MC_ASSERT(MC_READ(&guarded) == 1);
}

static void run_or_fail(void)
{
    results[mc_self()] = hank_once_run(&once, fail_at_first, NULL);
}

static void look_whether_done(void)
{
    if (hank_once_is_done(&once))
        MC_ASSERT(MC_READ(&guarded) == 1);
}

static void it_was_done(void)
{
    MC_ASSERT(guarded == 1 && hank_once_is_done(&once));
}

/* One failed, and unless the other was stopped it has done it. */
static void it_was_passed_on(void)
{
    int failed = (results[0] == -EIO) + (results[1] == -EIO);
    MC_ASSERT(failed == 1);
    MC_ASSERT(hank_once_is_done(&once) == (guarded == 2));
    MC_ASSERT(guarded == 2 || results[1] == -ECANCELED);
}

/* --- barrier --------------------------------------------------------------------------------- */

static void meet(void)
{
    results[mc_self()] = hank_barrier_wait(&barrier);
}

/* Stopped, and come back: the other waits for it. */
static void meet_at_last(void)
{
    do {
        hk_store_relaxed(&stop_flags[1], 0); /* whoever has set it may still be about to wake us */
        meet();
    } while (results[1] == -ECANCELED);
}

static void meet_after_reset(void)
{
    do {
        meet();
    } while (results[mc_self()] == -ENOTRECOVERABLE);
}

static void reset(void)
{
    hank_barrier_reset(&barrier);
}

static void both_passed(void)
{
    MC_ASSERT(results[0] + results[1] == 1 && results[0] * results[1] == 0);
    MC_ASSERT(hank_barrier_waiting(&barrier) == 0);
}

/* --- semaphore ------------------------------------------------------------------------------- */

static void acquire_one(void)
{
    results[mc_self()] = hank_sem_acquire(&sem);
}

static void acquire_two(void)
{
    results[mc_self()] = hank_sem_acquire_n(&sem, 2);
}

/* One permit: 0 has it, whatever became of 1, who was stopped. */
static void no_permit_is_lost(void)
{
    int64_t taken = (results[0] == 0 ? 1 : 0) + (results[1] == 0 ? 2 : 0);
    MC_ASSERT(results[1] == -ECANCELED && taken == 1 && sem.count == 0);
}

static const mc_model models[] = {
    {.name = "mutex: two take it",
     .setup = begin,
     .threads = {lock_once, lock_once},
     .check = two_entered,
     .golden = 40},
    {.name = "mutex: one takes it twice, one once",
     .setup = begin,
     .threads = {lock_twice, lock_once},
     .check = three_entered,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 1957},
    {.name = "mutex: three take it",
     .setup = begin,
     .threads = {lock_once, lock_once, lock_once},
     .check = three_entered,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 4332},
    {.name = "mutex: one takes it, one may be stopped",
     .setup = begin,
     .threads = {lock_once, lock_stoppable, cancel_1},
     .check = it_is_free,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 6474},
    {.name = "mutex: one takes it, one may be stopped, one waits behind it",
     .setup = begin,
     .threads = {lock_once, lock_stoppable, lock_once, cancel_1},
     .check = it_is_free,
     .search = MC_BOUNDED,
     .bound = 1,
     .golden = 39058},
    {.name = "mutex: one takes it, one tries",
     .setup = begin,
     .threads = {lock_once, try_once},
     .check = it_is_free,
     .golden = 23},
    {.name = "mutex: freed by the last to pass through",
     .setup = begin_shared,
     .threads = {pass_through, pass_through},
     .golden = 40},
    {.name = "once: two want it, one looks",
     .setup = begin,
     .threads = {run_once, run_once, look_whether_done},
     .check = it_was_done,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 41924},
    {.name = "once: one fails, the other may be stopped",
     .setup = begin,
     .threads = {run_or_fail, run_or_fail, cancel_1},
     .check = it_was_passed_on,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 42658},
    {.name = "barrier: one is stopped while two meet",
     .setup = begin,
     .threads = {meet, meet_at_last, cancel_1},
     .check = both_passed,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 49655},
    {.name = "barrier: reset while two meet",
     .setup = begin,
     .threads = {meet_after_reset, meet_after_reset, reset},
     .check = both_passed,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 110432},
    {.name = "semaphore: who wanted too many is stopped",
     .setup = begin,
     .threads = {acquire_one, acquire_two, cancel_1},
     .check = no_permit_is_lost,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 8780},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
