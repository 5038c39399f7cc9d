/* SPDX-License-Identifier: MIT */
/* thread.c - how a thread that is no worker waits: on a futex, in a slot like a task's.
 *
 * A thread is not off before it has been *run*, as a task is not: the claim alone says how the wait
 * ends, and between the two its frame is the waker's, who puts there what it grants. So the thread
 * waits for a counter of runs, and every claim by somebody else is followed by exactly one.
 *
 * The slot is type-stable, so the futex call of a waker that comes late, even after the thread has
 * ended and the slot belongs to another one, wakes somebody who looks and sleeps again.
 *
 * Rejected: the slot in the thread's own storage, which needs no memory of its own, but is gone
 * with the thread. */
#include "sched/thread.h"

#include <errno.h>
#include <pthread.h>

#include "base/check.h"
#include "base/fork.h"
#include "base/os.h"
#include "base/slab.h"
#include "sched/park.h"

static void init_slot(void *slot)
{
    ((hk_thread *)slot)->sleeper.kind = HK_SLEEPER_THREAD;
}

static hk_slab threads = {.bytes = (sizeof(hk_thread) + HK_CACHE_LINE - 1) / HK_CACHE_LINE *
                                   HK_CACHE_LINE,
                          .init = init_slot};

static HK_THREAD_LOCAL hk_thread *self;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;

void hk_thread_freeze(void)
{
    hk_lock_freeze(&threads.lock);
}

void hk_thread_thaw(void)
{
    hk_lock_thaw(&threads.lock);
}

static void give_back(void *slot)
{
    hk_slab_put_shared(&threads, slot);
}

HK_THREAD_ACCESSOR static void set_self(hk_thread *t)
{
    self = t;
}

HK_THREAD_ACCESSOR hk_thread *hk_thread_here(void)
{
    return self;
}

static void make_key(void)
{
    if (hk_os_thread_key(&at_exit, give_back) != 0)
        hk_panic("no thread-specific key is left for threads that wait");
}

int hk_thread_prepare(void)
{
    if (HK_LIKELY(hk_thread_here() != NULL))
        return 0;
    (void)pthread_once(&once, make_key); /* cannot fail */
    hk_thread *t = hk_slab_get_shared(&threads);
    if (!t)
        return -ENOMEM;
    if (hk_os_thread_set(at_exit, t) != 0) {
        give_back(t);
        return -ENOMEM;
    }
    t->scopes = NULL;
    t->locals = NULL;
    set_self(t);
    return 0;
}

hk_thread *hk_thread_self(void)
{
    if (hk_thread_prepare() < 0)
        hk_panic("no memory for a thread that wants to wait, in a call that cannot say so");
    return hk_thread_here();
}

void hk_thread_wait(hk_thread *t, int64_t deadline)
{
    uint32_t runs;
    if (hk_forked())
        hk_panic("a forked child waits for a task, and there is none");
    /* [thread:run] acquire: the claim, and what was granted after it. */
    while ((runs = hk_load_acquire(&t->runs)) == t->runs_seen) {
        int64_t left = deadline == HK_FOREVER ? -1 : deadline - hk_os_now();
        if (deadline != HK_FOREVER && left <= 0) {
            uint64_t word = hk_load_seqcst(&t->sleeper.word); /* [waiter:claim] or ours to claim */
            if (hk_ticket_claim((hk_ticket){&t->sleeper, hk_word_turn(word)}, -ETIMEDOUT))
                return; /* by us: nobody will run us */
            deadline = HK_FOREVER;
            continue;
        }
        (void)hk_os_futex_wait(&t->runs, runs, left); /* why it returned shows in the counter */
    }
    t->runs_seen = runs;
}

void hk_thread_wake(hk_thread *t)
{
    (void)hk_add_acqrel(&t->runs, 1u); /* [thread:run] release: what was granted is there */
    (void)hk_os_futex_wake(&t->runs, 1);
}
