/* SPDX-License-Identifier: MIT */
/* timers_model.c - the real timers: who waits with a deadline is woken once, by the timer or by
 * somebody else, and the timer's memory is its owner's again when it has been removed.
 *
 * The timer is freed right after: an expiry that still touches it, or is not ordered before, is an
 * error. The poller is another worker or the monitor, as at a busy owner. */
#include "model/mc_tasks.h"
#include "reactor/timers.h"

enum { GRANTED = 5, DEADLINE = 100, READY_MAX = 4 };

static hk_timers timers;
static hk_ticket offered[MC_THREADS_MAX]; /* plain, ordered by `published` */
static HK_ATOMIC(int) published;
static int results[2];
static HK_ATOMIC(int) wakes;

static void begin(void)
{
    mt_begin();
    hk_timers_init(&timers);
    published = wakes = 0;
    results[0] = results[1] = 99;
    mc_name(&timers.lock, "lock");
    mc_name(&timers.earliest, "earliest");
    mc_name(&published, "published");
}

/* wait_as_task in park.c, with the timer where it can be watched. */
static int wait_until(int64_t deadline)
{
    hk_task *me = mt_self();
    hk_timer *timer = mc_alloc(sizeof *timer);
    memset(timer, 0, sizeof *timer);
    hk_store_relaxed(&timer->heap, (hk_timers *)NULL); /* said once more: memory was reused */
    hk_ticket ticket = hk_sleeper_begin(&me->sleeper, HK_WAITING);
    MC_WRITE(&offered[mc_self()], ticket);
    (void)hk_timers_add(&timers, timer, deadline, ticket);
    (void)hk_add_acqrel(&published, 1);
    hk_worker_leave_task(hk_worker_self(), me);
    (void)hk_timers_remove(timer);
    mc_free(timer);
    return hk_sleeper_result(&me->sleeper);
}

static void wait_for_deadline(void)
{
    results[0] = wait_until(DEADLINE);
}

static void wait_twice(void)
{
    results[0] = wait_until(DEADLINE);
    results[1] = wait_until(DEADLINE + 1);
}

static void wait_for_later(void)
{
    results[1] = wait_until(DEADLINE + 1);
}

/* The number that was due. */
static int poll_at(int64_t now)
{
    hk_ready ready[READY_MAX];
    int n = 0;
    hk_timers_expire(&timers, now, ready, &n, READY_MAX);
    for (int i = 0; i < n; i++) {
        MC_ASSERT(ready[i].result == -ETIMEDOUT);
        if (hk_wake(ready[i].ticket, ready[i].result))
            (void)hk_add_relaxed(&wakes, 1);
    }
    return n;
}

/* Once after each wait has begun. */
static void poll_n(int n)
{
    for (int i = 1; i <= n; i++) {
        while (hk_load_acquire(&published) < i)
            hk_spin_pause();
        (void)poll_at(DEADLINE + 10);
    }
}

static void poll(void)
{
    poll_n(1);
}

static void poll_twice(void)
{
    poll_n(2);
}

static void poll_early(void)
{
    MC_ASSERT(poll_at(DEADLINE - 1) == 0);
}

static void grant(void)
{
    while (hk_load_acquire(&published) == 0)
        hk_spin_pause();
    if (hk_wake(MC_READ(&offered[0]), GRANTED))
        (void)hk_add_relaxed(&wakes, 1);
}

static void woken_once(void)
{
    MC_ASSERT(wakes == 1);
    MC_ASSERT(results[0] == GRANTED || results[0] == -ETIMEDOUT);
    hk_timers_check(&timers);
    MC_ASSERT(timers.root == NULL && timers.earliest == INT64_MAX);
}

static void both_timed_out(void)
{
    MC_ASSERT(wakes == 2 && results[0] == -ETIMEDOUT && results[1] == -ETIMEDOUT);
    hk_timers_check(&timers);
    MC_ASSERT(timers.root == NULL && timers.earliest == INT64_MAX);
}

static const mc_model models[] = {
    {.name = "timers: nobody but the timer",
     .setup = begin,
     .threads = {wait_for_deadline, poll},
     .check = woken_once,
     .golden = 4},
    {.name = "timers: two pollers, one of them early",
     .setup = begin,
     .threads = {wait_for_deadline, poll, poll_early},
     .check = woken_once,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 92464},
    {.name = "timers: a grant and the deadline",
     .setup = begin,
     .threads = {wait_for_deadline, grant, poll},
     .check = woken_once,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 105357},
    {.name = "timers: two waits of one sleeper",
     .setup = begin,
     .threads = {wait_twice, poll_twice},
     .check = both_timed_out,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 4616},
    {.name = "timers: two sleepers, one poller",
     .setup = begin,
     .threads = {wait_for_deadline, wait_for_later, poll_twice},
     .check = both_timed_out,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 199598},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
