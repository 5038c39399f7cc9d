/* SPDX-License-Identifier: MIT */
/* on_stack_model.c - a task that is claimed while it still stands on its stack is run by exactly
 * one worker, and not before the stack was left.
 *
 * worker.c switches real stacks, which a model thread cannot. What is modelled are its statements,
 * in its order: leave_task_for, finish_switch, set_current and resume; the waiter word and the ring
 * are the real ones. The registers on a stack are plain data: who uses them too early is a data
 * race. A change of those statements has to be made here too. */
#define HK_RING_SLOTS 4u
#include "sched/ring.h"

#include "base/waiter.h"
#include "model/mc.h"

enum { WORKERS = 2 };

/* As in task.h; saved is the stack: what its registers were when it was left. */
struct hk_task {
    hk_sleeper sleeper;
    HK_ATOMIC(uint32_t) on_stack;
    hk_ticket ticket; /* plain, ordered by `published` */
    HK_ATOMIC(int) published;
    int saved;
    int resumed;
};

static struct hk_task tasks[WORKERS]; /* each runs on the worker of its number */
static hk_ring rings[WORKERS + 1]; /* the last is the robber's, who has no task */
static bool weak, careless, impatient; /* canaries */

static void begin(void)
{
    memset(tasks, 0, sizeof tasks);
    memset(rings, 0, sizeof rings);
    weak = careless = impatient = false;
    for (int i = 0; i < WORKERS; i++)
        tasks[i].on_stack = 1;
    mc_name(&tasks[0].on_stack, "on_stack of 0");
    mc_name(&tasks[1].on_stack, "on_stack of 1");
}

static void begin_weak(void)
{
    begin();
    weak = true;
}

static void begin_careless(void)
{
    begin();
    careless = true;
}

static void begin_impatient(void)
{
    begin();
    impatient = true;
}

/* --- worker.c -------------------------------------------------------------------------------- */

static bool is_off_stack(struct hk_task *t)
{
    return careless || hk_load_acquire(&t->on_stack) == 0;
}

static void use_stack(struct hk_task *t)
{
    MC_ASSERT(MC_READ(&t->saved) == 1);
    MC_WRITE(&t->saved, 0); /* it runs again, over what was saved */
    MC_WRITE(&t->resumed, MC_READ(&t->resumed) + 1);
}

static void set_current(struct hk_task *t)
{
    hk_store_relaxed(&t->on_stack, 1u);
}

/* The switch itself, and what the next context finishes for the one before it. */
static void leave(struct hk_task *t)
{
    MC_WRITE(&t->saved, 1);
    if (weak)
        hk_store_relaxed(&t->on_stack, 0u);
    else
        hk_store_release(&t->on_stack, 0u);
}

/* A loop stands on a stack nobody waits for: it may wait. */
static void resume(struct hk_task *t)
{
    while (!is_off_stack(t))
        hk_spin_pause();
    set_current(t);
    use_stack(t);
}

/* From a task to `next` if that can be done at once, else to a loop which sees to it. */
static void leave_task_for(struct hk_task *t, struct hk_task *next)
{
    while (impatient && next && !is_off_stack(next)) /* while it stands on the task's stack */
        hk_spin_pause();
    bool at_once = next && is_off_stack(next);
    if (at_once)
        set_current(next);
    leave(t);
    if (at_once)
        use_stack(next);
    else if (next)
        resume(next);
}

/* --- threads --------------------------------------------------------------------------------- */

static void begin_to_wait(struct hk_task *t)
{
    hk_ticket ticket = hk_sleeper_begin(&t->sleeper, HK_WAITING);
    MC_WRITE(&t->ticket, ticket);
    hk_store_release(&t->published, 1);
}

/* Claim the other's wait, if it has begun; then it is ours to run. */
static struct hk_task *wake(struct hk_task *t)
{
    if (hk_load_acquire(&t->published) == 0 || !hk_ticket_claim(MC_READ(&t->ticket), 0))
        return NULL;
    return t;
}

static struct hk_task *wait_and_wake(struct hk_task *t)
{
    while (hk_load_acquire(&t->published) == 0)
        hk_spin_pause();
    return hk_ticket_claim(MC_READ(&t->ticket), 0) ? t : NULL;
}

/* A task waits; its worker goes on with what is in its ring. */
static void park_and_look(void)
{
    begin_to_wait(&tasks[0]);
    leave_task_for(&tasks[0], NULL);
    struct hk_task *t = hk_ring_pop(&rings[0]);
    if (t)
        resume(t);
}

/* Wakes it into its own ring, from where another worker may take it. */
static void wake_and_look(void)
{
    struct hk_task *t = wait_and_wake(&tasks[0]);
    if (t)
        MC_ASSERT(hk_ring_push(&rings[1], t));
    if ((t = hk_ring_pop(&rings[1])) != NULL)
        resume(t);
}

static void rob(void)
{
    if (hk_ring_steal_half(&rings[1], &rings[WORKERS]) == 0)
        return;
    struct hk_task *t = hk_ring_pop(&rings[WORKERS]);
    if (t)
        resume(t);
}

/* Yields: it can be stolen while it still stands on its stack. */
static void yield(void)
{
    MC_ASSERT(hk_ring_push(&rings[1], &tasks[1]));
    leave_task_for(&tasks[1], NULL);
    struct hk_task *t = hk_ring_pop(&rings[1]);
    if (t)
        resume(t);
}

/* Two tasks on two workers wake each other and leave their stacks for one another. */
static void park_for_the_other(void)
{
    struct hk_task *mine = &tasks[mc_self()];
    begin_to_wait(mine);
    leave_task_for(mine, wake(&tasks[1 - mc_self()]));
}

/* --- checks ---------------------------------------------------------------------------------- */

static void task_0_ran_once(void)
{
    MC_ASSERT(tasks[0].resumed == 1 && tasks[0].on_stack == 1);
}

static void task_1_ran_once(void)
{
    MC_ASSERT(tasks[1].resumed == 1 && tasks[1].on_stack == 1);
}

/* Both may have looked too early to wake the other. */
static void nobody_ran_twice(void)
{
    MC_ASSERT(tasks[0].resumed <= 1 && tasks[1].resumed <= 1);
}

static const mc_model models[] = {
    {.name = "canary: the stack is left without release",
     .setup = begin_weak,
     .threads = {park_and_look, wake_and_look},
     .must_fail = true},
    {.name = "canary: a woken task is run without a look",
     .setup = begin_careless,
     .threads = {park_and_look, wake_and_look},
     .must_fail = true},
    {.name = "canary: a task waits for a stack while on its own",
     .setup = begin_impatient,
     .threads = {park_for_the_other, park_for_the_other},
     .must_fail = true},
    {.name = "on_stack: claimed before its stack was left",
     .setup = begin,
     .threads = {park_and_look, wake_and_look},
     .check = task_0_ran_once,
     .golden = 12},
    {.name = "on_stack: claimed, and stolen from who claimed it",
     .setup = begin,
     .threads = {park_and_look, wake_and_look, rob},
     .check = task_0_ran_once,
     .search = MC_BOUNDED,
     .bound = 3,
     .golden = 24494},
    {.name = "on_stack: stolen while it yields",
     .setup = begin,
     .threads = {yield, rob},
     .check = task_1_ran_once,
     .golden = 18},
    {.name = "on_stack: two leave for one another",
     .setup = begin,
     .threads = {park_for_the_other, park_for_the_other},
     .check = nobody_ran_twice,
     .golden = 88},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
