/* SPDX-License-Identifier: MIT */
/* visit.c - every task that lives, for a function of the program, and where those stand that wait.
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

#include "base/os.h"
#include "fiber/frames.h"
#include "sched/envelope.h"
#include "sched/inspect.h"
#include "sched/task.h"

enum { CALL_BYTES = 256 };

/* Where `t` has stood since it began to wait. Its stack is read as it is; if the turn is still open
 * after that, nobody has run there meanwhile. Unwatched, for else somebody has, and what was read
 * is thrown away. Returns how many frames; 0: it does not wait, or they are not known. */
HK_UNWATCHED static unsigned read_stack(hk_task *t, void *frames[HK_FRAMES_MAX])
{
    /* [waiter:claim] acquire: sees that the task marked itself as on its stack, before the turn. */
    uint64_t word = hk_load_acquire(&t->sleeper.word);
    if (hk_word_state(word) == HK_AWAKE)
        return 0;
    /* [task:off] acquire: the mark is gone, so its registers are where the switch has saved them.
     */
    if (hk_load_acquire(&t->on_stack) != 0)
        return 0;
    unsigned n = hk_frames_parked(t->fiber, frames);
    /* [waiter:claim] release, by a read-modify-write that changes nothing: what was read before it
     * was read before the turn is claimed, if it is not by now. */
    return hk_or_acqrel(&t->sleeper.word, UINT64_C(0)) == word ? n : 0;
}

typedef struct visitor {
    bool (*visit)(void *context, const hank_task_info *task);
    void *context;
    ssize_t count;
} visitor;

/* Read what is in a slot as the one task that it was; false: nobody lives there. */
static bool read_slot(hk_task *t, char name[HK_NAME_BUFFER], void *frames[HK_FRAMES_MAX],
                      hank_task_info *ret)
{
    uint64_t before, after = hk_load_seqcst(&t->control); /* seq_cst as every look at it */
    do {
        before = after;
        uint8_t phase = hk_load_relaxed(&t->phase); /* who knows that it lives has seen that, too */
        if (phase == HK_PHASE_FREE || phase == HK_PHASE_DONE)
            return false;
        hk_inspect_info(t, name, ret);
        ret->stack_frames = ret->state == HANK_TASK_WAITING ? read_stack(t, frames) : 0;
        ret->stack = ret->stack_frames > 0 ? frames : NULL;
        after = hk_load_seqcst(&t->control); /* the same */
    } while (HK_GENERATION(before) != HK_GENERATION(after));
    /* It is on its way into an envelope, or out of it. */
    return ret->fn != hk_envelope_main && !(after & HK_TASK_ENDED);
}

static int visit_one(void *slot, void *context)
{
    visitor *v = context;
    char name[HK_NAME_BUFFER];
    void *frames[HK_FRAMES_MAX];
    hank_task_info info;
    if (!read_slot(slot, name, frames, &info))
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

/* --- for people ------------------------------------------------------------------------------ */

static int dump_one(void *slot, void *context)
{
    int fd = *(int *)context;
    char line[HK_LINE_BYTES], call[CALL_BYTES];
    void *frames[HK_FRAMES_MAX];
    hk_task *t = slot;
    uint64_t before = hk_load_seqcst(&t->control); /* seq_cst as every look at it */
    size_t length = hk_inspect_line(t, line);
    if (length == 0)
        return true;
    unsigned n = read_stack(t, frames);
    if (HK_GENERATION(hk_load_seqcst(&t->control)) != HK_GENERATION(before)) /* the same */
        n = 0; /* the line may be of one task, and the stack of the next */
    (void)hk_os_write(fd, line, length); /* what cannot be written is dropped, here and below */
    for (unsigned i = 0; i < n; i++)
        (void)hk_os_write(fd, call, hk_os_describe_code(frames[i], call, sizeof call));
    return true;
}

void hank_dump_stacks(int fd)
{
    hk_slab_each(&hk_task_slab, dump_one, &fd);
}
