/* SPDX-License-Identifier: MIT */
/* lock.c - what a contended lock does, and the rank check of debug builds. */
#include "base/lock.h"

#include "base/check.h"
#include "base/fork.h"
#include "base/os.h"

HK_ATOMIC(bool) hk_fork_orphaned; /* base/fork.h: here, where it is needed first */
HK_ATOMIC(uint32_t) hk_fork_process;

/* MEASURED: the critical sections are 10 to 60 ns, a pause is 4 to 40. Past some microseconds the
 * holder has most likely lost its CPU, and only stepping aside helps. Each look takes the line from
 * a holder who may be about to come for it again, so the pauses between two looks grow. */
enum { SPINS_MAX = 24, PAUSES_FIRST = 4, PAUSES_MAX = 32, YIELDS_MAX = 64, NAP_NS = 50 * 1000 };

static void step_aside(int round)
{
    if (round < SPINS_MAX)
        hk_spin_pauses(round == 0 ? PAUSES_FIRST : PAUSES_MAX);
    else if (round < SPINS_MAX + YIELDS_MAX)
        hk_os_yield();
    else if (hk_forked())
        hk_panic("a lock that was held when this process was forked is held for ever");
    else
        hk_os_sleep(NAP_NS); /* a holder of lower priority gets to run too */
}

void hk_lock_slowly(hk_lock *l)
{
    int round = 0;
    do {
        while (hk_load_relaxed(&l->held) != 0) /* relaxed: the swap below is what orders */
            step_aside(round++);
    } while (hk_swap_acquire(&l->held, 1u) != 0);
}

/* The model checker plays many threads on one and keeps its own account of who holds what. */
#if !defined(NDEBUG) && !defined(HK_MODEL)

enum { HELD_MAX = 8 };

static HK_THREAD_LOCAL struct {
    hk_lock *lock;
    hk_lock_rank rank;
} held[HELD_MAX];
static HK_THREAD_LOCAL int held_count;

/* Never inlined: a task changes threads only while it holds no lock, so the address of `held` may
 * be kept within one of these calls but not across two. */
HK_THREAD_ACCESSOR void hk_lock_note_take(hk_lock *l, hk_lock_rank rank)
{
    HK_CHECK(held_count < HELD_MAX);
    if (held_count > 0 && held[held_count - 1].rank >= rank)
        hk_panic("lock of rank %d taken while one of rank %d is held", (int)rank,
                 (int)held[held_count - 1].rank);
    held[held_count].lock = l;
    held[held_count].rank = rank;
    held_count++;
}

HK_THREAD_ACCESSOR void hk_lock_note_drop(hk_lock *l)
{
    for (int i = held_count - 1; i >= 0; i--) {
        if (held[i].lock != l)
            continue;
        for (int j = i; j + 1 < held_count; j++)
            held[j] = held[j + 1];
        held_count--;
        return;
    }
    hk_panic("a lock was dropped by a thread that does not hold it");
}

#endif
