/* SPDX-License-Identifier: MIT */
/* cancel.c - ask a task to stop: set the flag, then end the wait it may be in. Any thread.
 *
 * The flag is a level that each wait looks at (scope.c); here it is set, and whoever waits already
 * is woken. */
#include <hank/task.h>

#include <errno.h>

#include "sched/park.h"
#include "sched/task.h"

/* Is a shield up in `from` or a task above it, beneath `t`? */
static bool is_shielded(hk_task *from, hk_task *t)
{
    while (from && from != t && hk_load_relaxed(&from->shields) == 0) /* see stop_wait */
        from = hk_load_seqcst(&from->nested);                         /* as in hk_task_cancel */
    return from != t;
}

/* End the wait of `t`, if it is in one that a stop of `from`, t itself or beneath it, may end. */
static void stop_wait(hk_task *t, uint32_t generation, hk_task *from)
{
    uint64_t word = hk_load_seqcst(&t->sleeper.word); /* [task:turn] acquire */
    /* Nothing beneath t runs during this turn, so if the claim succeeds, the shields read between
     * it and the word are those of the wait. One further down than `from` does not concern it. */
    bool direct = hk_word_state(word) == HK_WAITING_SELF && !is_shielded(from, t);
    /* The word was read while t was still that task: turns of a later one are larger. */
    if (HK_GENERATION(hk_load_seqcst(&t->control)) == generation &&
        hk_sleeper_claim_stop(&t->sleeper, word, direct, -ECANCELED))
        hk_wake_claimed(&t->sleeper);
}

int hk_task_cancel(hk_task *t, uint32_t generation)
{
    uint64_t control = hk_load_seqcst(&t->control); /* a first guess for the CAS */
    do {
        if (HK_GENERATION(control) != generation)
            return -ESTALE;
        if (control & HK_TASK_CANCELLED)
            return 0;
        /* seq_cst: the flag is out before we look at the wait; see hk_sleeper_begin. */
    } while (!hk_cas_seqcst(&t->control, &control, control | HK_TASK_CANCELLED));
    hk_task *from = t;
    stop_wait(t, generation, from);

    /* Children that t called are above it on its stack; the topmost is the one that waits. */
    for (;;) {
        /* seq_cst: after our flag; hk_scope_show_chain writes nested and then looks for flags. */
        hk_task *above = hk_load_seqcst(&t->nested);
        if (!above)
            return 0;
        uint32_t its = HK_GENERATION(hk_load_seqcst(&above->control)); /* between the two looks */
        /* Still above us, and we still we: so `its` is the generation of that child. */
        if (hk_load_seqcst(&t->nested) != above ||
            HK_GENERATION(hk_load_seqcst(&t->control)) != generation)
            return 0; /* it returned: t runs, and finds its flag at its next wait */
        stop_wait(above, its, from);
        t = above;
        generation = its;
    }
}

int hk_task_cancel_unbegun(hk_task *t, uint32_t generation)
{
    uint64_t control = hk_load_seqcst(&t->control); /* a first guess for the CAS */
    do {
        if (HK_GENERATION(control) != generation || (control & HK_TASK_BEGUN))
            return -EALREADY;
        if (control & HK_TASK_CANCELLED)
            return 0;
        /* seq_cst: as in hk_task_cancel. */
    } while (!hk_cas_seqcst(&t->control, &control, control | HK_TASK_CANCELLED));
    stop_wait(t, generation, t);
    return 0;
}

int hank_cancel(hank_task handle)
{
    if (!handle.slot_)
        return -ESTALE;
    return hk_task_cancel(handle.slot_, handle.generation_);
}
