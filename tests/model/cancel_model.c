/* SPDX-License-Identifier: MIT */
/* cancel_model.c - the real hk_task_cancel against the real hk_park and scopes: a stop is never
 * lost, ends a wait once, respects a shield, and hits nobody but whom it was aimed at.
 *
 * A lost stop leaves the task asleep for ever, which the search reports. A task may be waiting
 * above another on one stack (task.h, nesting); then a stop of the lower has to find the upper. */
#include "model/mc_tasks.h"

enum { GRANTED = 5, SLOT = 5 };

static hk_ticket offered[2]; /* plain, ordered by `published` */
static HK_ATOMIC(int) published;
static HK_ATOMIC(int) answered;
static int results[2];
static int wakes;                              /* that ended a wait */
static hk_task *const upper = &mt_tasks[SLOT]; /* runs on thread 0, above its task */
static HK_ATOMIC(uint32_t) reused;
static hk_scope bodies[2]; /* of two groups; `begun` orders what a group's lock does */
static HK_ATOMIC(uint32_t) begun;

static void begin(void)
{
    mt_begin();
    memset(offered, 0, sizeof offered);
    published = answered = 0;
    results[0] = results[1] = 99;
    wakes = 0;
    reused = begun = 0;
    mc_name(&published, "published");
    mc_name(&upper->sleeper.word, "word of the upper");
    mc_name(&mt_tasks[0].nested, "nested");
}

/* --- who waits ------------------------------------------------------------------------------- */

static int wait_once(int turn)
{
    hk_waiter w;
    hk_park_begin(&w, HK_WAITING);
    MC_WRITE(&offered[turn], w.ticket);
    hk_store_release(&published, turn + 1);
    return hk_park(&w, HK_FOREVER, "model");
}

static void wait_granted_or_stopped(void)
{
    results[0] = wait_once(0);
}

/* Nobody grants the second: it ends by the stop, or by the stop that came in the first. */
static void wait_then_for_ever(void)
{
    results[0] = wait_once(0);
    results[1] = wait_once(1);
    MC_ASSERT(results[1] == -ECANCELED);
    MC_ASSERT(hk_stop_reason() == -ECANCELED); /* a level: it stays */
}

static void wait_shielded_then_for_ever(void)
{
    hank_scope shield;
    hank_shield_begin(&shield);
    results[0] = wait_once(0);
    MC_ASSERT(results[0] == GRANTED);
    hank_shield_end(&shield);
    results[1] = wait_once(1);
    MC_ASSERT(results[1] == -ECANCELED);
}

/* The lower calls the upper on its own stack, as hk_worker_call does, and the upper waits. */
static void call_upper(int turn)
{
    hk_worker *w = hk_worker_self();
    hk_task *lower = w->current;
    upper->under = lower;
    w->current = upper;
    results[turn] = wait_once(turn);
    w->current = lower;
    upper->under = NULL;
    if (upper->chain_shown) {
        upper->chain_shown = false;
        hk_store_seqcst(&lower->nested, (hk_task *)NULL);
    }
}

static void wait_above(void)
{
    call_upper(0);
}

/* The first child is granted its wait and ends, its slot becomes another child's, which waits for
 * ever: whoever stops the lower must find that one, whichever moment it looks. */
static void wait_above_twice(void)
{
    call_upper(0);
    hk_task_free_shared(upper);
    call_upper(1);
    MC_ASSERT(results[1] == -ECANCELED);
}

static void wait_above_shielded(void)
{
    hank_scope shield;
    hank_shield_begin(&shield);
    call_upper(0);
    MC_ASSERT(results[0] == GRANTED);
    hank_shield_end(&shield);
    results[1] = wait_once(1);
    MC_ASSERT(results[1] == -ECANCELED);
}

/* The upper ends, and its slot is a task on another worker, whom nobody stops. */
static void wait_above_and_go_on(void)
{
    call_upper(0);
    hk_task_free_shared(upper);
    hk_store_release(&reused, 1u);
}

static void be_another_above(void)
{
    while (hk_load_acquire(&reused) == 0)
        hk_spin_pause();
    mt_workers[mc_self()].current = upper;
    results[1] = wait_once(1);
    MC_ASSERT(results[1] == GRANTED);
}

/* The task of that handle ends, and its slot is the next one's, whom nobody stops. */
static void end_and_be_another(void)
{
    hk_task *me = mt_self();
    results[0] = wait_once(0);
    hk_task_free_shared(me);
    results[1] = wait_once(1);
    MC_ASSERT(results[1] == GRANTED);
}

/* Parts of a group: whoever cancels it finds them where they wait. */
static void wait_in_a_body(void)
{
    hk_scope_begin_body(&bodies[0]);
    hk_store_release(&begun, 1u);
    results[0] = wait_once(0);
    hk_scope_end_body(&bodies[0]);
}

static void wait_above_a_body(void)
{
    hk_scope_begin_body(&bodies[0]);
    hk_store_release(&begun, 1u);
    call_upper(0);
    hk_scope_end_body(&bodies[0]);
}

static void wait_shielded_in_a_body(void)
{
    hank_scope shield;
    hk_scope_begin_body(&bodies[0]);
    hk_store_release(&begun, 1u);
    hank_shield_begin(&shield);
    results[0] = wait_once(0);
    MC_ASSERT(results[0] == GRANTED);
    hank_shield_end(&shield);
    results[1] = wait_once(1);
    MC_ASSERT(results[1] == -ECANCELED);
    hk_scope_end_body(&bodies[0]);
}

/* Two of them with a shield between: the stop of the outer does not end the wait. */
static void wait_in_a_shielded_body(void)
{
    hank_scope shield;
    hk_scope_begin_body(&bodies[0]);
    hank_shield_begin(&shield);
    hk_scope_begin_body(&bodies[1]);
    hk_store_release(&begun, 1u);
    results[0] = wait_once(0);
    results[1] = bodies[1].fired;
    hk_scope_end_body(&bodies[1]);
    hank_shield_end(&shield);
    hk_scope_end_body(&bodies[0]);
}

/* A call (call.c): it has begun a turn before it is a task that runs, and a look at the flag is all
 * it does about a stop. */
static void wait_unbegun(void)
{
    hk_task *me = mt_self();
    hk_ticket t = hk_sleeper_begin(&me->sleeper, HK_WAITING);
    if (hk_task_cancelled(me) && hk_ticket_claim(t, 0))
        return;
    mc_sleep(&mt_parkers[0]);
}

/* --- who ends it ----------------------------------------------------------------------------- */

static void cancel(void)
{
    MC_ASSERT(hk_task_cancel(&mt_tasks[0], MT_GENERATION) == 0);
}

static void cancel_maybe_late(void)
{
    int rc = hk_task_cancel(&mt_tasks[0], MT_GENERATION);
    MC_ASSERT(rc == 0 || rc == -ESTALE);
}

static void take_back_unbegun(void)
{
    bool claimed;
    MC_ASSERT(hk_task_cancel_unbegun(&mt_tasks[0], MT_GENERATION, &claimed) == 0);
    if (claimed)
        mc_wake(&mt_parkers[0]);
}

/* Its handles are used up, but it is the same task: whose stop came before is stopped. */
static void use_its_handles_up(void)
{
    hk_task_next_generation(&mt_tasks[0]);
}

static void stop_body(hk_scope *body)
{
    while (hk_load_acquire(&begun) == 0)
        hk_spin_pause();
    hk_scope_stop_body(body, &mt_tasks[0]);
}

static void stop_the_body(void)
{
    stop_body(&bodies[0]);
}

static void stop_the_inner_body(void)
{
    stop_body(&bodies[1]);
}

static void grant_turn(int turn)
{
    while (hk_load_acquire(&published) <= turn)
        hk_spin_pause();
    if (hk_wake(MC_READ(&offered[turn]), GRANTED))
        wakes++;
}

static void grant(void)
{
    grant_turn(0);
}

static void grant_both(void)
{
    grant_turn(0);
    grant_turn(1);
}

/* Grants it, if the handle was used up before. */
static void cancel_or_grant(void)
{
    if (hk_task_cancel(&mt_tasks[0], MT_GENERATION) == -ESTALE)
        grant_turn(0);
}

/* --- its end --------------------------------------------------------------------------------- */

/* A child ends with `answer`, while its parent, who has written `asked`, comes to wait for it. */
static struct hk_join *join;
static int asked, answer;

static void arrive(struct hk_join *j, hk_task *child, int result)
{
    MC_ASSERT(j == join && child == &mt_tasks[0] && result == GRANTED);
    MC_ASSERT(MC_READ(&asked) == 1);
    mc_wake(&mt_parkers[1]);
}

static void begin_end(void)
{
    begin();
    mt_on_arrival = arrive;
    join = (struct hk_join *)(void *)&asked;
    asked = answer = 0;
    mt_tasks[0].join = HK_JOIN_NONE;
    mc_name(&mt_tasks[0].join, "join");
}

static void end(void)
{
    MC_WRITE(&answer, GRANTED);
    hk_task_finish(hk_worker_self(), mt_self(), GRANTED);
}

static void wait_for_its_end(void)
{
    hk_task *child = &mt_tasks[0];
    struct hk_join *none = HK_JOIN_NONE;
    MC_WRITE(&asked, 1);
    if (!hk_task_done(child) && hk_cas_acqrel(&child->join, &none, join))
        mc_sleep(&mt_parkers[1]);
    MC_ASSERT(MC_READ(&answer) == GRANTED);
}

/* --- checks ---------------------------------------------------------------------------------- */

static void granted_xor_stopped(void)
{
    MC_ASSERT(results[0] == (wakes ? GRANTED : -ECANCELED));
    MC_ASSERT(hk_task_cancelled(&mt_tasks[0]));
}

static void stopped(void)
{
    MC_ASSERT(results[0] == -ECANCELED && wakes == 0);
}

static void stopped_by_its_own_group(void)
{
    MC_ASSERT(results[0] == -ECANCELED && results[1] == true);
}

static void both_turns_ended_well(void)
{
    MC_ASSERT(results[0] == GRANTED || results[0] == -ECANCELED);
}

static const mc_model models[] = {
    {.name = "cancel: nobody else ends the wait",
     .setup = begin,
     .threads = {wait_granted_or_stopped, cancel},
     .check = stopped,
     .golden = 6},
    {.name = "cancel: two stops at once",
     .setup = begin,
     .threads = {wait_granted_or_stopped, cancel, cancel},
     .check = stopped,
     .golden = 90},
    {.name = "cancel: a grant and a stop",
     .setup = begin,
     .threads = {wait_granted_or_stopped, grant, cancel},
     .check = granted_xor_stopped,
     .golden = 82},
    {.name = "cancel: a stop outlives the wait it came in",
     .setup = begin,
     .threads = {wait_then_for_ever, grant, cancel},
     .check = both_turns_ended_well,
     .golden = 762},
    {.name = "cancel: a shield holds it off",
     .setup = begin,
     .threads = {wait_shielded_then_for_ever, grant, cancel},
     .golden = 20},
    {.name = "cancel: of who waits through its child",
     .setup = begin,
     .threads = {wait_above, cancel},
     .check = stopped,
     .golden = 8},
    {.name = "cancel: of who waits through one child, then another",
     .setup = begin,
     .threads = {wait_above_twice, grant, cancel},
     .check = both_turns_ended_well,
     .golden = 2153},
    {.name = "cancel: of who waits through its child, shielded",
     .setup = begin,
     .threads = {wait_above_shielded, grant, cancel},
     .golden = 28},
    {.name = "cancel: of who waited through a child that is another's now",
     .setup = begin,
     .threads = {wait_above_and_go_on, be_another_above, grant_both, cancel},
     .check = both_turns_ended_well,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 592316},
    {.name = "cancel: everything at once, at random",
     .setup = begin,
     .threads = {wait_above_twice, grant, cancel, cancel},
     .search = MC_RANDOM,
     .bound = 4,
     .seed = 7,
     .executions_max = 100000},
    {.name = "cancel: of a group one is a part of",
     .setup = begin,
     .threads = {wait_in_a_body, stop_the_body},
     .check = stopped,
     .golden = 14},
    {.name = "cancel: of a group one is a part of, through a child",
     .setup = begin,
     .threads = {wait_above_a_body, stop_the_body},
     .check = stopped,
     .golden = 18},
    {.name = "cancel: of a group one is a part of, shielded",
     .setup = begin,
     .threads = {wait_shielded_in_a_body, grant, stop_the_body},
     .golden = 63},
    {.name = "cancel: of a group inside a shield, and of what is outside",
     .setup = begin,
     .threads = {wait_in_a_shielded_body, stop_the_inner_body, stop_the_body, cancel},
     .check = stopped_by_its_own_group,
     .golden = 33170},
    {.name = "cancel: of one whose slot has become another's",
     .setup = begin,
     .threads = {end_and_be_another, grant_both, cancel_maybe_late},
     .check = both_turns_ended_well,
     .golden = 3600},
    {.name = "cancel: of a call that has not begun",
     .setup = begin,
     .threads = {wait_unbegun, take_back_unbegun},
     .golden = 6},
    {.name = "cancel: of one whose handles are used up meanwhile",
     .setup = begin,
     .threads = {wait_granted_or_stopped, use_its_handles_up, cancel_or_grant},
     .golden = 662},
    {.name = "end: of a child while its parent comes to wait for it",
     .setup = begin_end,
     .threads = {end, wait_for_its_end},
     .golden = 6},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
