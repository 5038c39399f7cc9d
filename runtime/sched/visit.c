/* SPDX-License-Identifier: MIT */
/* visit.c - every task that lives, for a function of the program.
 *
 * The slab's slots are looked at one by one, so nothing has to be kept for it while nobody asks: no
 * list of all tasks that each spawn and each end would have to lock. A task stays in its slot,
 * which is why none that lives all the time is missed, or met twice.
 *
 * Rejected: stopping the workers to have them all at one moment. Whoever looks would hold up the
 * program, a visitor that waits would for ever, and the moment would be over all the same when it
 * is told. */
#include <hank/inspect.h>

#include <errno.h>

#include "sched/inspect.h"
#include "sched/task.h"

typedef struct visitor {
    bool (*visit)(void *context, const hank_task_info *task);
    void *context;
    ssize_t count;
} visitor;

/* Read what is in a slot as the one task that it was; false: nobody lives there. */
static bool read_slot(hk_task *t, char name[HK_NAME_BUFFER], hank_task_info *ret)
{
    uint64_t before, after = hk_load_seqcst(&t->control); /* seq_cst as every look at it */
    do {
        before = after;
        uint8_t phase = hk_load_relaxed(&t->phase); /* who knows that it lives has seen that, too */
        if (phase == HK_PHASE_FREE || phase == HK_PHASE_DONE)
            return false;
        hk_inspect_info(t, name, ret);
        after = hk_load_seqcst(&t->control); /* the same */
    } while (HK_GENERATION(before) != HK_GENERATION(after));
    return true;
}

static int visit_one(void *slot, void *context)
{
    visitor *v = context;
    char name[HK_NAME_BUFFER];
    hank_task_info info;
    if (!read_slot(slot, name, &info))
        return true;
    v->count++;
    return v->visit(v->context, &info);
}

ssize_t hank_visit_tasks(bool (*visit)(void *context, const hank_task_info *task), void *context)
{
    visitor v = {.visit = visit, .context = context};
    if (!visit)
        return -EINVAL;
    hk_slab_each(&hk_task_slab, visit_one, &v);
    return v.count;
}
