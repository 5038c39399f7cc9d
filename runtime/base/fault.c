/* SPDX-License-Identifier: MIT */
/* fault.c - one plan for the whole process, counted by whoever makes the calls it concerns. */
#include "base/fault.h"

#if HK_FAULTS

#include <errno.h>

#include "base/atomic.h"
#include "base/compiler.h"

/* The plan is written while nothing it concerns runs, or is meant to hit whoever comes first:
 * relaxed counters suffice, they order nothing else. */
static HK_ATOMIC(uint64_t) calls[HK_FAULT_KINDS];
static HK_ATOMIC(uint64_t) planned_nth;
static HK_ATOMIC(int) planned_kind;
static HK_ATOMIC(int) planned_error;
static HK_ATOMIC(const char *) planned_thread; /* NULL: whoever comes */
static HK_ATOMIC(bool) hit;
static HK_ATOMIC(int) owed[2]; /* for input and output: the descriptor + 1, 0: nothing */

/* A thread is told by the address of its own; to the simulator, all are one. */
static HK_THREAD_LOCAL char here;

static void plan_for(const char *thread, hk_fault kind, uint64_t nth, int error)
{
    hk_fault_clear();
    hk_store_relaxed(&planned_thread, thread);
    hk_store_relaxed(&planned_nth, nth);
    hk_store_relaxed(&planned_error, error);
    hk_store_release(&planned_kind, (int)kind); /* [fault:plan] release: the rest of it is set */
}

void hk_fault_plan(hk_fault kind, uint64_t nth, int error)
{
    plan_for(NULL, kind, nth, error);
}

void hk_fault_plan_here(hk_fault kind, uint64_t nth, int error)
{
    plan_for(&here, kind, nth, error);
}

void hk_fault_clear(void)
{
    hk_store_relaxed(&planned_kind, (int)HK_FAULT_NONE);
    hk_store_relaxed(&hit, false);
    for (int i = 0; i < 2; i++)
        hk_store_relaxed(&owed[i], 0);
    for (int i = 0; i < HK_FAULT_KINDS; i++)
        hk_store_relaxed(&calls[i], (uint64_t)0);
}

bool hk_fault_hit(void)
{
    return hk_load_relaxed(&hit);
}

uint64_t hk_fault_count(hk_fault kind)
{
    return hk_load_relaxed(&calls[kind]);
}

int hk_fault_check(hk_fault kind)
{
    int plan = hk_load_acquire(&planned_kind); /* [fault:plan] acquire: pairs with plan_for */
    if (plan == HK_FAULT_NONE)
        return 0;
    const char *thread = hk_load_relaxed(&planned_thread);
    if (thread && thread != &here)
        return 0;
    uint64_t n = hk_add_relaxed(&calls[kind], (uint64_t)1) + 1;
    if (plan != (int)kind || n != hk_load_relaxed(&planned_nth))
        return 0;
    hk_store_relaxed(&hit, true);
    return hk_load_relaxed(&planned_error);
}

void hk_fault_said(hk_fault kind, int fd, int fault)
{
    bool output = kind == HK_FAULT_SEND || kind == HK_FAULT_FILE_WRITE;
    if (fd >= 0 && (fault > 0 || fault == -EAGAIN))
        hk_store_relaxed(&owed[output], fd + 1); /* relaxed: whoever waits has made the call */
}

bool hk_fault_owes(int fd, bool output)
{
    int expected = fd + 1;
    return hk_load_relaxed(&owed[output]) == expected && /* relaxed: as above */
           hk_cas_acqrel(&owed[output], &expected, 0);
}

bool hk_fault_is_planned(hk_fault kind)
{
    return hk_load_relaxed(&planned_kind) == (int)kind;
}

#else
typedef int hk_fault_is_compiled_out; /* ISO C wants a declaration in every file */
#endif
