/* SPDX-License-Identifier: MIT */
/* deque_model.c - the real work-stealing deque: every task is taken exactly once.
 *
 * No single shape of test finds every mistake: two thieves over the last tasks, an array that is
 * full and replaced, slots that are used again, a long alternation of push and pop. Each starts
 * where an index wraps or changes its sign. A task's payload is plain data, so that taking a task
 * without having synchronised with its push is a data race. */
#include <errno.h>

#include "model/mc.h"
#include "sched/deque.h"

enum {
    TASKS_MAX = 6,
    BUDGET = 2 * 1000 * 1000, /* a mutant may have a hundred times as many executions */
};

struct hk_task {
    int number; /* from 1; written by the owner before it pushes */
    int runs;   /* written by whoever took it */
};

static hk_deque deque;
static struct hk_task tasks[TASKS_MAX];
static int pushed;

static void begin(size_t slots, uint64_t index)
{
    MC_ASSERT(hk_deque_init(&deque, slots) == 0);
    hk_store_relaxed(&deque.top, index);
    hk_store_relaxed(&deque.bottom, index);
    deque.passed = index;
    memset(tasks, 0, sizeof tasks);
    pushed = 0;
    mc_name(&deque.top, "top");
    mc_name(&deque.bottom, "bottom");
    mc_name(&deque.array, "array");
}

static void begin_two_slots_at_wrap(void)
{
    begin(2, UINT64_MAX);
}

static void begin_two_slots_at_sign(void)
{
    begin(2, (uint64_t)INT64_MAX);
}

static void begin_four_slots_at_zero(void)
{
    begin(4, 0);
}

static int run(struct hk_task *t)
{
    if (!t)
        return 0;
    MC_ASSERT(t >= tasks && t < tasks + TASKS_MAX);
    MC_ASSERT(MC_READ(&t->number) == (int)(t - tasks) + 1);
    MC_WRITE(&t->runs, MC_READ(&t->runs) + 1);
    return t->number;
}

/* A task that does not fit is run at once, as the caller of push would overflow elsewhere. */
static void push(void)
{
    struct hk_task *t = &tasks[pushed++];
    MC_WRITE(&t->number, pushed);
    int rc = hk_deque_push(&deque, t);
    MC_ASSERT(rc == 0 || rc == -ENOMEM);
    if (rc < 0)
        run(t);
}

static int pop(void)
{
    return run(hk_deque_pop(&deque));
}

static int steal(void)
{
    struct hk_task *t = NULL;
    hk_steal outcome = hk_deque_steal(&deque, &t);
    MC_ASSERT((outcome == HK_STEAL_TAKEN) == (t != NULL));
    return run(t);
}

static void every_task_ran_once(void)
{
    hk_deque_check(&deque);
    while (run(hk_deque_pop(&deque)) != 0)
        ;
    MC_ASSERT(hk_deque_size(&deque) == 0);
    for (int i = 0; i < pushed; i++)
        MC_ASSERT(tasks[i].runs == 1);
    hk_deque_done(&deque);
}

/* Owners. */

static void push_2_pop_2(void)
{
    push();
    push();
    int first = pop();
    int second = pop();
    MC_ASSERT(second == 0 || second < first); /* the youngest first */
}

static void push_3_pop_3(void)
{
    push();
    push();
    push();
    pop();
    pop();
    pop();
}

static void push_pop_3_times(void)
{
    for (int i = 0; i < 3; i++) {
        push();
        pop();
    }
}

static void push_4_pop_1(void)
{
    for (int i = 0; i < 4; i++)
        push();
    pop();
}

static void push_3_take_oldest_2(void)
{
    push();
    push();
    push();
    int first = run(hk_deque_take_oldest(&deque));
    int second = run(hk_deque_take_oldest(&deque));
    MC_ASSERT(second == 0 || second > first);
    pop();
}

static void push_1_take_oldest_push_pop(void)
{
    push();
    run(hk_deque_take_oldest(&deque));
    push();
    pop();
}

/* As who awaits its children from the first one, and then one that it had already. */
static bool take(int number)
{
    struct hk_task *t = &tasks[number - 1];
    return hk_deque_take_if_oldest(&deque, t, false) && run(t) == number;
}

static void push_3_take_pop_take(void)
{
    push();
    push();
    push();
    take(1);
    int popped = pop();
    take(2);
    MC_ASSERT(popped == 0 || !take(popped));
}

static void push_2_grow_pop(void)
{
    push();
    push();
    push();
    pop();
}

/* Thieves. */

static void steal_1(void)
{
    steal();
}

static void steal_2(void)
{
    int first = steal();
    int second = steal();
    MC_ASSERT(first == 0 || second == 0 || second > first); /* the oldest first */
}

static const mc_model models[] = {
    {.name = "deque: two thieves over two tasks",
     .setup = begin_four_slots_at_zero,
     .threads = {push_2_pop_2, steal_1, steal_1},
     .check = every_task_ran_once,
     .golden = 804},
    {.name = "deque: one thief, growing across the wrap",
     .setup = begin_two_slots_at_wrap,
     .threads = {push_3_pop_3, steal_2},
     .check = every_task_ran_once,
     .golden = 1271},
    {.name = "deque: two thieves while it grows and grows",
     .setup = begin_two_slots_at_sign,
     .threads = {push_4_pop_1, steal_2, steal_1},
     .check = every_task_ran_once,
     .search = MC_BOUNDED,
     .bound = 2,
     .executions_max = BUDGET,
     .golden = 55315},
    {.name = "deque: push and pop in turns, two thieves",
     .setup = begin_two_slots_at_wrap,
     .threads = {push_pop_3_times, steal_2, steal_1},
     .check = every_task_ran_once,
     .search = MC_BOUNDED,
     .bound = 3,
     .executions_max = BUDGET,
     .golden = 184428},
    {.name = "deque: slots used again, two thieves",
     .setup = begin_two_slots_at_sign,
     .threads = {push_2_grow_pop, steal_1, steal_1},
     .check = every_task_ran_once,
     .golden = 2540},
    {.name = "deque: the owner takes the oldest, one thief",
     .setup = begin_two_slots_at_wrap,
     .threads = {push_3_take_oldest_2, steal_2},
     .check = every_task_ran_once,
     .golden = 2907},
    {.name = "deque: the owner takes the oldest, two thieves",
     .setup = begin_two_slots_at_sign,
     .threads = {push_1_take_oldest_push_pop, steal_1, steal_1},
     .check = every_task_ran_once,
     .golden = 1332},
    {.name = "deque: the owner takes one if it is the oldest, one thief",
     .setup = begin_four_slots_at_zero,
     .threads = {push_3_take_pop_take, steal_2},
     .check = every_task_ran_once,
     .golden = 1099},
    {.name = "deque: the owner takes one if it is the oldest, two thieves",
     .setup = begin_two_slots_at_wrap,
     .threads = {push_3_take_pop_take, steal_1, steal_1},
     .check = every_task_ran_once,
     .golden = 25755},
    {.name = "deque: no memory to grow",
     .setup = begin_two_slots_at_wrap,
     .threads = {push_3_pop_3, steal_1},
     .check = every_task_ran_once,
     .allocations_fail = true,
     .golden = 126},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
