/* SPDX-License-Identifier: MIT */
/* cancel.c - ask a task to stop: set the flag, then end the wait it may be in. Any thread.
 *
 * The flag is a level that each wait looks at (scope.c); here it is set, and whoever waits already
 * is woken. */
#include <hank/task.h>

#include <errno.h>

#include "sched/park.h"
#include "sched/task.h"

/* Whom a stop is for: what is inside `from` and was begun when so many of its shields were up; and
 * what runs above it. */
typedef struct aim {
    hk_task *from;
    uint32_t shields;
} aim;

/* Is a shield in the way, in the task aimed at or one above it, up to and without `t`? */
static bool is_shielded(const aim *a, hk_task *t)
{
    hk_task *from = a->from;
    uint32_t expected = a->shields;
    while (from && from != t && hk_load_relaxed(&from->shields) == expected) { /* see stop_wait */
        from = hk_load_seqcst(&from->nested); /* as in stop_chain */
        expected = 0;
    }
    return from != t || (t == a->from && hk_load_relaxed(&t->shields) != expected);
}

/* Claim the wait of `t`, if it is in one that the stop may end. */
static bool claim_wait(hk_task *t, uint32_t generation, const aim *a)
{
    uint64_t word = hk_load_seqcst(&t->sleeper.word); /* [task:turn] acquire */
    unsigned state = hk_word_state(word);
    /* Nothing beneath t runs during this turn, so if the claim succeeds, the shields read between
     * it and the word are those of the wait. One further down than the aim does not concern it. */
    bool direct = (state == HK_WAITING_SELF || state == HK_WAITING_BODY) && !is_shielded(a, t) &&
                  (state == HK_WAITING_SELF || t == a->from);
    /* The word was read while t was still that task: turns of a later one are larger. */
    return HK_GENERATION(hk_load_seqcst(&t->control)) == generation &&
           hk_sleeper_claim_stop(&t->sleeper, word, direct, -ECANCELED);
}

static void stop_wait(hk_task *t, uint32_t generation, const aim *a)
{
    if (claim_wait(t, generation, a))
        hk_wake_claimed(&t->sleeper);
}

/* End the wait of the task aimed at, which is of that generation, or of the topmost of those that
 * it called on its own stack: there is one that waits. */
static void stop_chain(const aim *a, uint32_t generation)
{
    hk_task *t = a->from;
    stop_wait(t, generation, a);
    for (;;) {
        /* seq_cst: after our flag; hk_scope_show_chain writes nested and then looks for flags. */
        hk_task *above = hk_load_seqcst(&t->nested);
        if (!above)
            return;
        uint32_t its = HK_GENERATION(hk_load_seqcst(&above->control)); /* between the two looks */
        /* Still above us, and we still we: so `its` is the generation of that child. */
        if (hk_load_seqcst(&t->nested) != above ||
            HK_GENERATION(hk_load_seqcst(&t->control)) != generation)
            return; /* it returned: t runs, and finds its flag at its next wait */
        stop_wait(above, its, a);
        t = above;
        generation = its;
    }
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
    stop_chain(&(aim){t, 0}, generation);
    return 0;
}

void hk_task_stop_inside(hk_task *t, uint32_t shields)
{
    stop_chain(&(aim){t, shields}, HK_GENERATION(hk_load_relaxed(&t->control))); /* it stays */
}

int hk_task_cancel_unbegun(hk_task *t, uint32_t generation, bool *ret_claimed)
{
    *ret_claimed = false;
    uint64_t control = hk_load_seqcst(&t->control); /* a first guess for the CAS */
    do {
        if (HK_GENERATION(control) != generation || (control & HK_TASK_BEGUN))
            return -EALREADY;
        if (control & HK_TASK_CANCELLED)
            return 0;
        /* seq_cst: as in hk_task_cancel. */
    } while (!hk_cas_seqcst(&t->control, &control, control | HK_TASK_CANCELLED));
    *ret_claimed = claim_wait(t, generation, &(aim){t, 0});
    return 0;
}

int hank_cancel(hank_task handle)
{
    if (!handle.slot_)
        return -ESTALE;
    return hk_task_cancel(handle.slot_, handle.generation_);
}
