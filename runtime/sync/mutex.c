/* SPDX-License-Identifier: MIT */
/* mutex.c - one word that says who holds it, and a queue for those who wait.
 *
 *     word = holder | WAITERS         0: free
 *
 * Taking and giving back a mutex for which nobody waits is one CAS each. WAITERS sends whoever
 * unlocks to the queue, and keeps it until somebody finds the queue empty: then the flag goes
 * first, under the queue's lock, and the mutex after it with the CAS that everybody uses. So the
 * last access to a mutex that is free is that CAS, and who gets it next may free the memory.
 *
 * It is handed over: who unlocks names the next holder, and nobody who comes later can snatch it.
 * While nobody is in the queue, a newcomer tries for a short time to do without it, if the holder
 * is running on another worker: to queue is to make each later hand-over a switch of tasks.
 * MEASURED: the pauses between two looks let the holder go on undisturbed. */
#include "sync/mutex.h"

#include <errno.h>
#include <stdint.h>

#include "base/check.h"
#include "sched/park.h"
#include "sync/waitq.h"

enum { WAITERS = 1, LOOKS = 256, PAUSES = 16 };

/* q.lock  guards the queue and every change of a word that has WAITERS
 * word    from and to 0 by CAS while it has not */
typedef struct hk_mutex {
    hk_waitq q;
    HK_ATOMIC(uintptr_t) word;
} hk_mutex;

_Static_assert(sizeof(hk_mutex) <= sizeof(hank_mutex), "hank_mutex is too small");

static hk_mutex *mutex_of(hank_mutex *m)
{
    return (hk_mutex *)(void *)m;
}

static uintptr_t word_of(hk_sleeper *s)
{
    return (uintptr_t)s;
}

static hk_sleeper *holder_of(uintptr_t word)
{
    return (hk_sleeper *)(word & ~(uintptr_t)WAITERS); /* NOLINT: what word_of made of it */
}

bool hk_mutex_is_mine(hank_mutex *public)
{
    /* Relaxed: nobody but us writes that it is ours, or takes that back. */
    return holder_of(hk_load_relaxed(&mutex_of(public)->word)) == hk_park_self();
}

/* MEASURED: a look first waits for the locked instruction before it, and without it lock and unlock
 * are a seventh faster. Who has seen that it is held should not try. */
static bool take(hk_mutex *m, hk_sleeper *me)
{
    uintptr_t free = 0;
    /* [mutex:word] acquire: sees what the last holder wrote; [mutex:holder] release: who we are. */
    return hk_cas_acqrel(&m->word, &free, word_of(me));
}

/* The holder may be about to give it back: true, and it is ours. */
static bool spin(hk_mutex *m, hk_sleeper *me)
{
    for (int looks = 0; looks < LOOKS; looks++) {
        uintptr_t word = hk_load_acquire(&m->word); /* [mutex:holder] acquire: looked at below */
        if (word == 0 && take(m, me))
            return true;
        if ((word & WAITERS) || (word != 0 && !hk_park_is_busy_elsewhere(holder_of(word))))
            return false;
        hk_spin_pauses(PAUSES);
    }
    return false;
}

/* 0, or why a wait that may be stopped was. */
HK_NOINLINE static int lock_slowly(hk_mutex *m, hk_sleeper *me, unsigned state)
{
    if (holder_of(hk_load_relaxed(&m->word)) == me) /* only we write that */
        return -EDEADLK;
    if (spin(m, me))
        return 0;
    hk_waitq_lock(&m->q);
    uintptr_t word = hk_load_relaxed(&m->word); /* the CAS below decides */
    while (!(word & WAITERS)) {
        if (word == 0) {
            if (take(m, me)) {
                hk_waitq_unlock(&m->q);
                return 0;
            }
            word = hk_load_relaxed(&m->word);                         /* as above */
        } else if (hk_cas_relaxed(&m->word, &word, word | WAITERS)) { /* q.lock orders the rest */
            break;
        }
    }
    return hk_waitq_wait(&m->q, NULL, state, "mutex"); /* 0: the last holder has named us */
}

HK_NOINLINE static void lock_firmly(hk_mutex *m)
{
    if (HK_UNLIKELY(lock_slowly(m, hk_park_self(), HK_WAITING_FIRMLY) != 0)) /* no stop ends it */
        hk_panic("mutex %p is locked again by the task that holds it", (void *)m);
}

void hank_mutex_lock(hank_mutex *public)
{
    hk_mutex *m = mutex_of(public);
    hk_sleeper *me = hk_park_self_quickly();
    if (HK_UNLIKELY(!me || !take(m, me))) {
        lock_firmly(m);
        HK_STAY_ON_STACK();
    }
}

int hank_mutex_lock_stoppable(hank_mutex *public)
{
    hk_mutex *m = mutex_of(public);
    int rc = hk_checkpoint();
    if (rc < 0)
        return rc;
    hk_sleeper *me = hk_park_self();
    return HK_LIKELY(take(m, me)) ? 0 : lock_slowly(m, me, HK_WAITING);
}

bool hank_mutex_trylock(hank_mutex *public)
{
    hk_mutex *m = mutex_of(public);
    return take(m, hk_park_self());
}

/* There are WAITERS. True: one of them has it now. False: there are none after all. */
HK_NOINLINE static bool hand_over(hk_mutex *m, hk_sleeper *me)
{
    hk_waitq_lock(&m->q);
    hk_waiter *next = hk_waitq_claim_first(&m->q, 0);
    uintptr_t word = word_of(next ? next->ticket.sleeper : me);
    if (!hk_list_empty(&m->q.waiters))
        word |= WAITERS;
    /* The claim has told the next one what we wrote. [mutex:holder] release: who that is. */
    hk_store_release(&m->word, word);
    hk_waitq_unlock(&m->q);
    hk_waitq_run(next);
    return next != NULL;
}

/* False: somebody waits, or it is not ours. */
static bool give_back(hk_mutex *m, hk_sleeper *me)
{
    uintptr_t word = word_of(me);
    /* [mutex:word] release: pairs with take. */
    return hk_cas_release(&m->word, &word, (uintptr_t)0);
}

HK_NOINLINE static void unlock_slowly(hk_mutex *m)
{
    hk_sleeper *me = hk_park_self();
    do {
        uintptr_t word = hk_load_relaxed(&m->word); /* if it is ours, only WAITERS can change */
        if (HK_UNLIKELY(holder_of(word) != me))
            hk_panic("mutex %p is unlocked by a task that does not hold it", (void *)m);
        if ((word & WAITERS) && hand_over(m, me))
            return;
    } while (HK_UNLIKELY(!give_back(m, me)));
}

void hank_mutex_unlock(hank_mutex *public)
{
    hk_mutex *m = mutex_of(public);
    hk_sleeper *me = hk_park_self_quickly();
    if (HK_UNLIKELY(!me || !give_back(m, me)))
        unlock_slowly(m);
}
