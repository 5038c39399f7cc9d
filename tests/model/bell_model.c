/* SPDX-License-Identifier: MIT */
/* bell_model.c - the real bell.c and signal.c: what a signal or a ring tells is heard by who waits
 * for it, each once, with all that was done before; and nobody is told after he has ended.
 *
 * The thread for signals is a model thread, and so is who is interrupted by a handler. Whoever is
 * not told sleeps for ever; a wish that is told of too late is memory that has been given back.
 *
 * What signal.c keeps lives on from one execution to the next: a setup begins as a forked child
 * does, which finds it as it was left. */
#include "sched/signal.h"

#include <hank/process.h>
#include <signal.h>

#include "base/lock.h"
#include "base/os.h"
#include "model/mc.h"
#include "model/mc_park.h"
#include "sched/fork.h"

enum { DELIVERIES = 2 };

static hank_bell *bell;
static hank_signal *wish;
static int note; /* plain: what is done before each delivery */
static void *(*thread)(void *);
static void (*handler)(int signo);
static bool starting;

/* --- stand-ins ------------------------------------------------------------------------------- */

/* An execution may have been given up inside the lock: the next one takes it over. */
void hk_lock_slowly(hk_lock *l)
{
    while (!starting && hk_swap_acquire(&l->held, 1u) != 0)
        hk_spin_pause();
}

bool hk_wake(hk_ticket t, int result)
{
    bool claimed = hk_ticket_claim(t, result);
    if (claimed)
        hk_wake_claimed(t.sleeper);
    return claimed;
}

int hk_os_errno(void)
{
    return 0;
}

void hk_os_set_errno(int value)
{
    (void)value;
}

int hk_os_thread_start_quietly(pthread_t *ret_thread, void *(*body)(void *), void *arg)
{
    (void)ret_thread, (void)arg;
    thread = body;
    return 0;
}

int hk_os_thread_detach(pthread_t t)
{
    (void)t;
    return 0;
}

void hk_os_thread_name(const char *name)
{
    (void)name;
}

int hk_os_signal_catch(int signo, void (*on_signal)(int signo), struct sigaction *ret_before)
{
    (void)signo, (void)ret_before;
    handler = on_signal;
    return 0;
}

int hk_os_signal_action(int signo, const struct sigaction *action, struct sigaction *ret_old)
{
    (void)signo, (void)action, (void)ret_old;
    return -EINVAL; /* there is nothing to be put back */
}

void hk_fork_watch(void)
{
}

/* --- before ---------------------------------------------------------------------------------- */

static void forget_the_past(void)
{
    begin_parking();
    hk_signal_forked();
    note = 0;
}

static void begin_with_a_bell(void)
{
    forget_the_past();
    bell = mc_alloc(sizeof *bell);
    starting = true;
    MC_ASSERT(hank_bell_begin(bell) == 0);
    starting = false;
}

static void begin_with_a_signal(void)
{
    forget_the_past();
    wish = mc_alloc(sizeof *wish);
    starting = true;
    MC_ASSERT(hank_signal_begin(wish, SIGUSR1) == 0);
    starting = false;
}

/* --- threads --------------------------------------------------------------------------------- */

static void tell(void)
{
    (void)thread(NULL);
}

static void be_interrupted_once(void)
{
    MC_WRITE(&note, 1);
    handler(SIGUSR1);
}

static void be_interrupted_twice(void)
{
    be_interrupted_once();
    handler(SIGUSR1);
}

static void ring_twice(void)
{
    MC_WRITE(&note, 1);
    hank_bell_ring(bell);
    hank_bell_ring(bell);
}

/* And no more, whatever comes. */
static void hear_a_signal(void)
{
    int n = hank_signal_next(wish);
    MC_ASSERT(n > 0 && n <= DELIVERIES && MC_READ(&note) == 1);
    hank_signal_end(wish);
    mc_free(wish);
}

static void hear_each_ring(void)
{
    for (int heard = 0; heard < DELIVERIES;) {
        int n = hank_bell_next(bell);
        MC_ASSERT(n > 0 && heard + n <= DELIVERIES);
        MC_ASSERT(MC_READ(&note) == 1);
        heard += n;
    }
    hank_bell_end(bell);
    mc_free(bell);
}

enum { HEARER = 1 };

static void ring_and_stop(void)
{
    MC_WRITE(&note, 1);
    hank_bell_ring(bell);
    cancel(HEARER);
}

/* A stop that came first has not used the ring up. */
static void hear_though_stopped(void)
{
    int n;
    while ((n = hank_bell_next(bell)) == -ECANCELED)
        hk_spin_pause();
    MC_ASSERT(n == 1 && MC_READ(&note) == 1);
    hank_bell_end(bell);
    mc_free(bell);
}

static const mc_model models[] = {
    {.name = "bell: a signal is heard",
     .setup = begin_with_a_signal,
     .threads = {tell, hear_a_signal, be_interrupted_once},
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 3923},
    {.name = "bell: two signals come, and who hears of one goes",
     .setup = begin_with_a_signal,
     .threads = {tell, hear_a_signal, be_interrupted_twice},
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 24640},
    {.name = "bell: two rings are heard",
     .setup = begin_with_a_bell,
     .threads = {tell, hear_each_ring, ring_twice},
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 24937},
    {.name = "bell: a ring is heard by one who is stopped",
     .setup = begin_with_a_bell,
     .threads = {tell, hear_though_stopped, ring_and_stop},
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 10225},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
