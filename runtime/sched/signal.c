/* SPDX-License-Identifier: MIT */
/* signal.c - one handler, one counter a signal, one bell for all.
 *
 *     handler:   delivered[signo]++, bell++, futex wake        async-signal-safe, no lock
 *     thread:    for every watch with told != delivered: tell it the difference
 *
 * The counters never lose a delivery: whoever begins to watch notes the counter after the handler
 * is in place, and the thread reads the bell before it reads the counters, so a delivery that it
 * does not see has rung again.
 *
 * The thread lives as long as there is a watch. It ends by itself, detached: a wait that ends need
 * not wait for it. A forked child has neither the thread nor whoever watched: there every watch is
 * over, and the signals are as they were.
 *
 * Rejected: signalfd (needs the signal blocked in every thread of a program that is not ours),
 * waking from the handler itself (a task is woken under locks), a descriptor in one worker's
 * reactor (threads wait for signals too, outside of any runtime). */
#include "sched/signal.h"

#include <errno.h>
#include <signal.h>

#include "base/lock.h"
#include "base/os.h"
#include "sched/fork.h"

/* As many as Linux has, on every architecture but one. */
enum { SIGNALS = 65 };

/* The handler's, and hk_signal_ring's. They only grow. */
static HK_ATOMIC(uint32_t) delivered[SIGNALS];
static HK_ATOMIC(uint32_t) bell;

/* Guarded by the lock. running: a thread is there and will look at `watches` again. telling: the
 * watch whose function is being called. */
static hk_lock lock;
static hk_node watches HK_GUARDED_BY(lock);
static hk_signal_watch *telling HK_GUARDED_BY(lock);
static bool running HK_GUARDED_BY(lock);
static unsigned users[SIGNALS] HK_GUARDED_BY(lock); /* [0]: of watches of no signal */
static struct sigaction before[SIGNALS] HK_GUARDED_BY(lock);

static void take_lock(void)
{
    hk_lock_take(&lock, HK_RANK_SIGNAL);
}

static void drop_lock(void)
{
    hk_lock_drop(&lock);
}

/* --- the handler --------------------------------------------------------------------------- */

void hk_signal_ring(void)
{
    (void)hk_add_acqrel(&bell, 1u); /* [signal:bell] release: what was counted before is seen */
    (void)hk_os_futex_wake(&bell, 1);
}

static void on_signal(int signo)
{
    int error = hk_os_errno();
    /* [signal:count] release: the thread may see it before it hears the bell. */
    (void)hk_add_acqrel(&delivered[signo], 1u);
    hk_signal_ring();
    hk_os_set_errno(error);
}

/* --- the thread ---------------------------------------------------------------------------- */

/* Some watch that has something to hear; NULL: none has. The lock is held. */
static hk_signal_watch *find_news(uint32_t *ret_deliveries)
{
    for (hk_node *at = watches.next; at != &watches; at = at->next) {
        hk_signal_watch *w = hk_container_of(at, hk_signal_watch, link);
        /* [signal:count] acquire: of what has not been rung for yet, too. */
        uint32_t now = hk_load_acquire(w->count);
        *ret_deliveries = now - w->told;
        if (now == w->told)
            continue;
        w->told = now;
        return w;
    }
    return NULL;
}

static void *thread_main(void *arg)
{
    (void)arg;
    hk_os_thread_name("hank-signals");
    take_lock();
    while (!hk_list_empty(&watches)) {
        uint32_t heard = hk_load_acquire(&bell); /* [signal:bell] acquire: and then the counters */
        uint32_t deliveries;
        while ((telling = find_news(&deliveries)) != NULL) {
            drop_lock();
            telling->tell(telling, deliveries);
            take_lock();
        }
        drop_lock();
        (void)hk_os_futex_wait(&bell, heard, -1); /* why it returned shows in the counters */
        take_lock();
    }
    running = false;
    drop_lock();
    return NULL;
}

/* The lock is held. Starting a thread under it is rare, and nobody else is in a hurry. */
static int start_thread(void)
{
    if (running)
        return 0;
    pthread_t thread;
    int rc = hk_os_thread_start_quietly(&thread, thread_main, NULL);
    if (rc < 0)
        return -EAGAIN;
    (void)hk_os_thread_detach(thread); /* it waits for the lock: cannot fail */
    running = true;
    return 0;
}

/* --- watches ------------------------------------------------------------------------------- */

/* Signals that stem from an instruction: to return from their handler is to execute it again. */
static bool is_for_waiting(int signo)
{
    switch (signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP: return false;
    default: return signo > 0 && signo < SIGNALS;
    }
}

/* Put our handler in place. The lock is held. */
static int take_over(int signo)
{
    return hk_os_signal_catch(signo, on_signal, &before[signo]);
}

/* The lock is held. Whoever has put another handler in place keeps it. */
static void give_back(int signo)
{
    struct sigaction now;
    int rc = hk_os_signal_action(signo, NULL, &now);
    if (rc == 0 && now.sa_handler == on_signal)
        (void)hk_os_signal_action(signo, &before[signo], NULL); /* was valid: cannot fail */
}

static int begin(hk_signal_watch *w, int signo, HK_ATOMIC(uint32_t) * count,
                 void (*tell)(hk_signal_watch *w, uint32_t deliveries))
{
    hk_fork_watch();
    take_lock();
    if (watches.next == NULL)
        hk_list_init(&watches);
    int rc = start_thread();
    if (rc == 0 && signo != 0 && users[signo] == 0)
        rc = take_over(signo);
    if (rc == 0) {
        users[signo]++;
        *w = (hk_signal_watch){.signo = signo, .count = count, .tell = tell};
        w->told = hk_load_relaxed(count); /* relaxed: earlier ones are not for us */
        hk_list_push_back(&watches, &w->link);
    }
    bool idle = hk_list_empty(&watches);
    drop_lock();
    if (idle)
        hk_signal_ring(); /* the thread that was started for nothing finds out */
    return rc;
}

int hk_signal_watch_begin(hk_signal_watch *w, int signo,
                          void (*tell)(hk_signal_watch *w, uint32_t deliveries))
{
    return is_for_waiting(signo) ? begin(w, signo, &delivered[signo], tell) : -EINVAL;
}

int hk_signal_watch_count(hk_signal_watch *w, HK_ATOMIC(uint32_t) * count,
                          void (*tell)(hk_signal_watch *w, uint32_t deliveries))
{
    return begin(w, 0, count, tell);
}

/* Nobody else watches it: it is what it was before. The lock is held. */
static void drop_user(int signo)
{
    if (--users[signo] == 0 && signo != 0)
        give_back(signo);
}

void hk_signal_watch_end(hk_signal_watch *w)
{
    take_lock();
    if (w->count == NULL) { /* over since a fork */
        drop_lock();
        return;
    }
    hk_list_remove(&w->link);
    drop_user(w->signo);
    bool last = hk_list_empty(&watches);
    while (telling == w) { /* a few instructions: it is being woken */
        drop_lock();
        hk_os_yield();
        take_lock();
    }
    drop_lock();
    if (last)
        hk_signal_ring();
}

/* --- fork ---------------------------------------------------------------------------------- */

void hk_signal_freeze(void)
{
    hk_lock_freeze(&lock);
}

void hk_signal_thaw(void)
{
    hk_lock_thaw(&lock);
}

/* No lock: there is no other thread. */
void hk_signal_forked(void)
{
    hk_node *node;
    while (watches.next && (node = hk_list_pop_front(&watches)) != NULL) {
        hk_signal_watch *w = hk_container_of(node, hk_signal_watch, link);
        drop_user(w->signo);
        w->count = NULL;
    }
    running = false;
    telling = NULL;
}
