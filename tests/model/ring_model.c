/* SPDX-License-Identifier: MIT */
/* ring_model.c - the real hk_ring with 4 slots: each task that was pushed is run exactly once, by
 * whoever took it, who sees what its pusher wrote; slots are used again and again. */
#define HK_RING_SLOTS 4u
#include "sched/ring.h"

#include "model/mc.h"

enum { TASKS_MAX = 8 };

struct hk_task {
    int number; /* plain: written by the pusher */
    int runs;   /* plain: two runners at once are a data race */
};

static hk_ring ring;     /* the owner's */
static hk_ring loot[2];  /* the thieves' */
static struct hk_task tasks[TASKS_MAX];
static int pushed;

/* The ring has been used before: the next push writes slot `at`. */
static void begin(uint64_t at)
{
    memset(&ring, 0, sizeof ring);
    memset(loot, 0, sizeof loot);
    memset(tasks, 0, sizeof tasks);
    pushed = 0;
    hk_store_relaxed(&ring.head, at);
    hk_store_relaxed(&ring.tail, at);
    mc_name(&ring.head, "head");
    mc_name(&ring.tail, "tail");
}

static void begin_at_start(void)
{
    begin(0);
}

static void begin_at_wrap(void)
{
    begin(HK_RING_SLOTS - 1);
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

/* What does not fit is run at once, as the runtime sends it elsewhere. */
static void push(void)
{
    struct hk_task *t = &tasks[pushed++];
    MC_WRITE(&t->number, pushed);
    if (!hk_ring_push(&ring, t))
        run(t);
}

static void begin_with_three(void)
{
    begin(0);
    for (int i = 0; i < 3; i++)
        push();
}

static int pop(void)
{
    return run(hk_ring_pop(&ring));
}

/* A thief empties its own ring before it steals again. */
static void steal(int thief)
{
    uint32_t n = hk_ring_steal_half(&ring, &loot[thief]);
    int last = 0;
    for (uint32_t i = 0; i < n; i++) {
        int number = run(hk_ring_pop(&loot[thief]));
        MC_ASSERT(number > last); /* the oldest first, and none is missing */
        last = number;
    }
    MC_ASSERT(hk_ring_pop(&loot[thief]) == NULL);
}

static void every_task_ran_once(void)
{
    for (int i = 0; i < 2; i++)
        while (run(hk_ring_pop(&loot[i])) != 0)
            ;
    while (pop() != 0)
        ;
    for (int i = 0; i < pushed; i++)
        MC_ASSERT(tasks[i].runs == 1);
}

/* Owners. */

static void push_2_pop_2(void)
{
    push();
    push();
    int first = pop();
    int second = pop();
    MC_ASSERT(second == 0 || second > first); /* the oldest first */
}

static void push_4_pop_1_push_1(void)
{
    for (int i = 0; i < 4; i++)
        push();
    pop();
    push();
}

static void push_5_pop_1(void)
{
    for (int i = 0; i < 5; i++)
        push();
    pop();
}

/* Three are in: a slot is written again while a thief may still be reading it. */
static void pop_1_push_2(void)
{
    pop();
    push();
    push();
}

static void pop_1_push_2_pop_1(void)
{
    pop_1_push_2();
    pop();
}

/* An empty ring seems empty to its owner, and only then. */
static void push_1_look_pop(void)
{
    MC_ASSERT(hk_ring_seems_empty(&ring));
    push();
    bool empty = hk_ring_seems_empty(&ring);
    int number = pop();
    MC_ASSERT(!empty || number == 0); /* emptied by a thief, for good */
}

/* Thieves: the first and the second of the other threads. */

static void steal_once(void)
{
    steal(mc_self() - 1);
}

static void steal_twice(void)
{
    steal(mc_self() - 1);
    steal(mc_self() - 1);
}

/* From a thief, while it moves what it has taken. */
static void steal_from_the_thief(void)
{
    if (hk_ring_steal_half(&loot[0], &loot[1]) > 0)
        run(hk_ring_pop(&loot[1]));
}

static void steal_and_keep(void)
{
    (void)hk_ring_steal_half(&ring, &loot[0]);
}

static const mc_model models[] = {
    {.name = "ring: two thieves over two tasks",
     .setup = begin_at_wrap,
     .threads = {push_2_pop_2, steal_once, steal_once},
     .check = every_task_ran_once,
     .golden = 11568},
    {.name = "ring: full, and one slot used again",
     .setup = begin_at_start,
     .threads = {push_4_pop_1_push_1, steal_once},
     .check = every_task_ran_once,
     .golden = 308},
    {.name = "ring: full, two thieves",
     .setup = begin_at_wrap,
     .threads = {push_5_pop_1, steal_once, steal_once},
     .check = every_task_ran_once,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 483362},
    {.name = "ring: a slot used again while a thief reads, twice",
     .setup = begin_with_three,
     .threads = {pop_1_push_2_pop_1, steal_twice},
     .check = every_task_ran_once,
     .golden = 12710},
    {.name = "ring: a slot used again while two thieves read",
     .setup = begin_with_three,
     .threads = {pop_1_push_2, steal_once, steal_once},
     .check = every_task_ran_once,
     .search = MC_BOUNDED,
     .bound = 2,
     .golden = 842374},
    {.name = "ring: a thief is robbed",
     .setup = begin_at_wrap,
     .threads = {push_2_pop_2, steal_and_keep, steal_from_the_thief},
     .check = every_task_ran_once,
     .golden = 137},
    {.name = "ring: its owner looks whether it is empty",
     .setup = begin_at_wrap,
     .threads = {push_1_look_pop, steal_once, steal_once},
     .check = every_task_ran_once,
     .golden = 186},
};

int main(int argc, char **argv)
{
    return mc_main(argc, argv, models, sizeof models / sizeof models[0]);
}
