/* SPDX-License-Identifier: MIT */
/* join_model.c - the real join.c and look.c: the last child to end wakes the turn in which the
 * parent waits, once, and nobody touches a join or a look that is gone.
 *
 * The join is freed as soon as the parent has done with it: a child that comes back to it is a use
 * after free, or a free that is not ordered after its last access. Parking is the real waiter word
 * and a parker; a child ends as task.c's hk_task_finish ends it. Calling children is left out:
 * that happens on one stack. */
#include "sched/join.h"

#include <errno.h>

#include "model/mc.h"
#include "sched/child.h"
#include "sched/look.h"
#include "sched/park.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "sched/worker.h"

enum { CHILDREN = 2, ANSWER = 40, FAILURE = -EPROTO };

static hk_worker worker;
static hk_task parent;
static hk_task children[CHILDREN];
static hank_task handles[CHILDREN];
static mc_parker parker;
static int answers[CHILDREN]; /* plain: written by the child */
static int stop_flag;
static bool stop_seen; /* by the parent: from then on its children are to stop */
static hk_join_mode mode;
static int stopped_with; /* what hk_join_wait said */
static ssize_t winner;

/* --- stand-ins ------------------------------------------------------------------------------- */

hk_worker *hk_worker_self(void)
{
    return &worker;
}

bool hk_worker_claim(hk_worker *w, hk_task *t)
{
    (void)w;
    (void)t;
    return false;
}

int hk_worker_call(hk_worker *w, hk_task *t)
{
    (void)w;
    (void)t;
    mc_fail("nothing was claimed");
}

hk_task *hk_task_child(hk_task *of, hank_task handle, int *ret_error)
{
    MC_ASSERT(of == &parent);
    *ret_error = handle.slot_ ? 0 : handle.error_;
    return handle.slot_;
}

int hk_task_cancel(hk_task *t, uint32_t generation)
{
    (void)generation;
    (void)hk_or_seqcst(&t->control, HK_TASK_CANCELLED);
    return 0;
}

int hk_scope_stop_reason(hk_sleeper *s, int64_t as_of)
{
    (void)as_of;
    MC_ASSERT(s == &parent.sleeper);
    stop_seen = hk_load_seqcst(&stop_flag) != 0;
    return stop_seen ? -ECANCELED : 0;
}

void hk_task_report(hk_task *t, int result)
{
    (void)t;
    (void)result;
    mc_fail("all are awaited");
}

int hk_checkpoint(void)
{
    mc_fail("what the models call asks for no stop");
}

void hk_scope_begin_look(hank_scope *scope)
{
    (void)scope;
}

void hk_scope_end_look(hank_scope *scope)
{
    (void)scope;
}

void hk_park_begin(hk_waiter *w, unsigned state)
{
    w->asked = state;
    w->ticket = hk_sleeper_begin(&parent.sleeper, state);
}

bool hk_park_abandon(hk_waiter *w)
{
    return hk_ticket_claim(w->ticket, 0);
}

int hk_park(hk_waiter *w, int64_t deadline, const char *why)
{
    (void)deadline;
    (void)why;
    int stop = w->asked == HK_WAITING ? hk_scope_stop_reason(&parent.sleeper, 0) : 0;
    if (stop != 0 && hk_ticket_claim(w->ticket, stop))
        return stop;
    mc_sleep(&parker);
    int result = hk_sleeper_result(&parent.sleeper);
    if (w->asked == HK_WAITING)
        stop_seen = result < 0; /* or whoever claimed it was faster */
    return result;
}

bool hk_wake(hk_ticket t, int result)
{
    MC_ASSERT(t.sleeper == &parent.sleeper);
    if (!hk_ticket_claim(t, result))
        return false;
    mc_wake(&parker);
    return true;
}

void hk_wake_claimed(hk_sleeper *s)
{
    MC_ASSERT(s == &parent.sleeper);
    mc_wake(&parker);
}

/* --- threads --------------------------------------------------------------------------------- */

static void begin(hk_join_mode how)
{
    memset(&parent, 0, sizeof parent);
    memset(children, 0, sizeof children);
    memset(&parker, 0, sizeof parker);
    memset(answers, 0, sizeof answers);
    stop_flag = stopped_with = 0;
    stop_seen = false;
    winner = -1;
    mode = how;
    worker.current = &parent;
    for (int i = 0; i < CHILDREN; i++) {
        children[i].parent = &parent;
        handles[i] = (hank_task){.slot_ = &children[i]};
    }
    mc_name(&parent.sleeper.word, "parent's word");
    mc_name(&children[0].join, "join of 0");
    mc_name(&children[1].join, "join of 1");
}

static void begin_all(void)
{
    begin(HK_JOIN_ALL);
}

static void begin_fail_fast(void)
{
    begin(HK_JOIN_FAIL_FAST);
}

static void begin_race(void)
{
    begin(HK_JOIN_FIRST);
}

static void begin_with_one_ended(void)
{
    begin(HK_JOIN_ALL);
    answers[1] = children[1].result = ANSWER;
    children[1].join = HK_JOIN_DONE;
}

static void wait_for_both(void)
{
    hk_join *j = mc_alloc(sizeof *j);
    memset(j, 0, sizeof *j);
    j->tasks = handles;
    j->n = CHILDREN;
    j->mode = (uint8_t)mode;
    stopped_with = hk_join_wait(j);
    MC_ASSERT(hk_word_state(hk_load_relaxed(&parent.sleeper.word)) == HK_AWAKE);
    for (int i = 0; i < CHILDREN; i++) {
        MC_ASSERT(hk_load_relaxed(&children[i].join) == HK_JOIN_DONE);
        MC_ASSERT(MC_READ(&answers[i]) != 0); /* and may be freed: nobody looks at it any more */
    }
    if (hk_join_decided(j)) {
        winner = hk_join_winner(j);
        MC_ASSERT(j->first_result == answers[winner]);
    }
    MC_ASSERT((mode == HK_JOIN_FIRST) <= hk_join_decided(j));
    mc_free(j);
}

/* The parent waits for one after the other: its turns go on, in another join in the same place. */
static void wait_for_each(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        hk_join *j = mc_alloc(sizeof *j);
        memset(j, 0, sizeof *j);
        j->tasks = &handles[i];
        j->n = 1;
        MC_ASSERT(hk_join_wait(j) == 0);
        MC_ASSERT(MC_READ(&answers[i]) == ANSWER);
        mc_free(j);
    }
}

static hk_look *look(hk_watch *watches)
{
    hk_look *l = mc_alloc(sizeof *l);
    hk_look_begin(l, watches, watches ? CHILDREN : 0);
    mc_name(&l->lock.held, "lock");
    for (size_t i = 0; i < CHILDREN; i++)
        MC_ASSERT(hk_look_add(l, handles[i], i) == 0);
    return l;
}

static void end_look(hk_look *l)
{
    hk_watch *watches = l->watches;
    hk_look_end(l, handles, CHILDREN);
    mc_free(l);
    if (watches)
        mc_free(watches);
}

/* Collected, with nobody left who reads the slot: a later parent counts its child as it likes. */
static void collect(size_t i)
{
    MC_ASSERT(hk_task_done(&children[i]));
    MC_ASSERT(MC_READ(&answers[i]) == ANSWER);
    children[i].index = CHILDREN + 1;
}

static unsigned take_all(hk_look *l)
{
    unsigned taken = 0;
    for (size_t i; hk_look_take(l, &i); taken |= 1U << i)
        MC_ASSERT(i < CHILDREN && !(taken >> i & 1));
    return taken;
}

static void collect_as_they_end(void)
{
    hk_look *l = look(mc_alloc(CHILDREN * sizeof(hk_watch)));
    unsigned seen = 0;
    for (size_t i; seen != (1U << CHILDREN) - 1; seen |= 1U << i) {
        MC_ASSERT(hk_look_wait(l, HK_LOOK_NEXT, HK_WAITING_FIRMLY, HK_FOREVER) == 0);
        MC_ASSERT(hk_look_take(l, &i) && !(seen >> i & 1));
        collect(i);
    }
    end_look(l);
}

/* Nobody says that they have ended but the look, which finds them so or is told. */
static void take_as_they_end(void)
{
    hk_look *l = look(mc_alloc(CHILDREN * sizeof(hk_watch)));
    for (size_t n = 0, i; n < CHILDREN; n++) {
        MC_ASSERT(hk_look_wait(l, HK_LOOK_NEXT, HK_WAITING_FIRMLY, HK_FOREVER) == 0);
        MC_ASSERT(hk_look_take(l, &i));
        MC_ASSERT(MC_READ(&answers[i]) == ANSWER);
    }
    end_look(l);
}

/* The join takes both out of the look, or finds them ended: before the look was told, perhaps. */
static void join_what_is_watched(void)
{
    hk_look *l = look(mc_alloc(CHILDREN * sizeof(hk_watch)));
    hk_join j = {.tasks = handles, .n = CHILDREN};
    MC_ASSERT(hk_join_wait(&j) == 0);
    for (size_t i = 0; i < CHILDREN; i++)
        collect(i);
    MC_ASSERT(hk_look_wait(l, HK_LOOK_ALL, HK_WAITING_FIRMLY, HK_FOREVER) == 0);
    MC_ASSERT(take_all(l) == (1U << CHILDREN) - 1);
    end_look(l);
}

/* The look goes while children end, and another comes to its place. */
static void look_twice_for_the_first(void)
{
    for (int i = 0; i < 2; i++) {
        hk_look *l = look(NULL);
        MC_ASSERT(hk_look_wait(l, HK_LOOK_ANY, HK_WAITING_FIRMLY, HK_FOREVER) == 0);
        MC_ASSERT(hk_task_done(&children[0]) || hk_task_done(&children[1]));
        end_look(l);
    }
}

static void finish(hk_task *t, int result)
{
    MC_WRITE(&answers[t - children], result);
    t->result = result;
    hk_join *j = hk_swap_acqrel(&t->join, HK_JOIN_DONE);
    if (j != HK_JOIN_NONE)
        hk_join_arrive(j, t, result);
}

static void end_well(void)
{
    finish(&children[mc_self() - 1], ANSWER);
}

static void end_badly(void)
{
    finish(&children[mc_self() - 1], FAILURE);
}

static void stop(void)
{
    (void)hk_or_seqcst(&stop_flag, 1);
    uint64_t word = hk_load_seqcst(&parent.sleeper.word);
    if (hk_sleeper_claim_stop(&parent.sleeper, word, true, -ECANCELED))
        mc_wake(&parker);
}

/* --- checks ---------------------------------------------------------------------------------- */

static bool cancelled(int i)
{
    return children[i].control & HK_TASK_CANCELLED;
}

static void nobody_was_cancelled(void)
{
    MC_ASSERT(stopped_with == 0 && !cancelled(0) && !cancelled(1));
}

static void a_stop_was_passed_on(void)
{
    MC_ASSERT(stopped_with == (stop_seen ? -ECANCELED : 0));
    MC_ASSERT(cancelled(0) == stop_seen && cancelled(1) == stop_seen);
}

static void the_failure_cancelled_the_other(void)
{
    MC_ASSERT(winner == 1 && cancelled(0) && !cancelled(1));
}

static void one_won_and_cancelled_the_other(void)
{
    MC_ASSERT(winner == 0 || winner == 1);
    MC_ASSERT(!cancelled((int)winner) && cancelled(1 - (int)winner));
}

static const mc_model models[] = {
    {.name = "join: two children",
     .setup = begin_all,
     .threads = {wait_for_both, end_well, end_well},
     .check = nobody_was_cancelled,
     .golden = 332},
    {.name = "join: one after the other, in the same place",
     .setup = begin_all,
     .threads = {wait_for_each, end_well, end_well},
     .check = nobody_was_cancelled,
     .golden = 289},
    {.name = "join: the parent is stopped and parks again",
     .setup = begin_all,
     .threads = {wait_for_both, end_well, end_well, stop},
     .check = a_stop_was_passed_on,
     .golden = 20310},
    {.name = "join: one fails, fail fast",
     .setup = begin_fail_fast,
     .threads = {wait_for_both, end_well, end_badly},
     .check = the_failure_cancelled_the_other,
     .golden = 332},
    {.name = "join: a race",
     .setup = begin_race,
     .threads = {wait_for_both, end_well, end_badly},
     .check = one_won_and_cancelled_the_other,
     .golden = 1092},
    {.name = "look: two children, each collected as it ends",
     .setup = begin_all,
     .threads = {collect_as_they_end, end_well, end_well},
     .search = MC_BOUNDED,
     .bound = 2,
     .check = nobody_was_cancelled,
     .golden = 375649},
    {.name = "look: one child has ended, one may have",
     .setup = begin_with_one_ended,
     .threads = {take_as_they_end, end_well},
     .check = nobody_was_cancelled,
     .golden = 74612},
    {.name = "look: a join of those that are watched",
     .setup = begin_all,
     .threads = {join_what_is_watched, end_well, end_well},
     .search = MC_BOUNDED,
     .bound = 3,
     .check = nobody_was_cancelled,
     .golden = 598785},
    {.name = "look: twice for the first, in the same place",
     .setup = begin_all,
     .threads = {look_twice_for_the_first, end_well, end_well},
     .search = MC_BOUNDED,
     .bound = 2,
     .check = nobody_was_cancelled,
     .golden = 439474},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
