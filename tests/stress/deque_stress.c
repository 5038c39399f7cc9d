/* SPDX-License-Identifier: MIT */
/* deque_stress.c - an owner and three thieves on real threads: each of a million tasks is taken
 * exactly once, and whoever takes it sees what its owner wrote.
 *
 * A plain program, so that ThreadSanitizer can run it. The owner works in bursts of random length,
 * from a deque of two slots, so that it grows, runs empty and is fought over all the time. */
#include <stdint.h>
#include <stdio.h>

#include "base/os.h"
#include "sched/deque.h"

enum { THIEVES = 3, TASKS = 1000 * 1000, BURST_MAX = 64, CROWD = 256 };

/* number and runs are plain: the deque must order them, or ThreadSanitizer says so. */
struct hk_task {
    uint32_t number;
    uint32_t runs;
};

static struct hk_task tasks[TASKS];
static hk_deque deque;
static HK_ATOMIC(bool) over;

static void run(struct hk_task *t, uint64_t *sum)
{
    t->runs++;
    *sum += t->number;
}

static void *thief_main(void *arg)
{
    uint64_t *stolen = arg;
    uint64_t sum = 0;
    for (;;) {
        /* [stress:over] acquire, before the last look: nothing is pushed after it. */
        bool last_look = hk_load_acquire(&over);
        struct hk_task *t = NULL;
        hk_steal outcome = hk_deque_steal(&deque, &t);
        if (outcome == HK_STEAL_TAKEN)
            run(t, &sum);
        else if (outcome == HK_STEAL_EMPTY && last_look)
            break;
        else if (outcome == HK_STEAL_EMPTY)
            hk_os_yield();
    }
    *stolen = sum;
    return NULL;
}

/* Push a burst, take a part of it back: mostly the youngest, at times the oldest. */
static uint64_t own(void)
{
    uint64_t dice = 88172645463325252u;
    uint64_t sum = 0;
    for (uint32_t pushed = 0; pushed < TASKS;) {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        for (uint64_t n = 1 + dice % BURST_MAX; n > 0 && pushed < TASKS; n--, pushed++) {
            tasks[pushed].number = pushed + 1;
            if (hk_deque_push(&deque, &tasks[pushed]) < 0)
                run(&tasks[pushed], &sum);
        }
        if (hk_deque_size(&deque) > CROWD)
            hk_os_yield(); /* there may be fewer CPUs than thieves */
        for (uint64_t n = dice >> 20 & (BURST_MAX / 2 - 1); n > 0; n--) {
            struct hk_task *t = n % 8 == 0 ? hk_deque_take_oldest(&deque) : hk_deque_pop(&deque);
            if (!t)
                break;
            run(t, &sum);
        }
    }
    for (struct hk_task *t; (t = hk_deque_pop(&deque)) != NULL;)
        run(t, &sum);
    hk_store_release(&over, true); /* [stress:over] release: everything was pushed before */
    return sum;
}

int main(void)
{
    pthread_t thieves[THIEVES];
    uint64_t stolen[THIEVES] = {0};
    if (hk_deque_init(&deque, 2) < 0)
        return 1;
    for (int i = 0; i < THIEVES; i++)
        if (hk_os_thread_start(&thieves[i], thief_main, &stolen[i]) < 0)
            return 1;
    uint64_t kept = own();
    uint64_t sum = kept;
    for (int i = 0; i < THIEVES; i++) {
        (void)hk_os_thread_join(thieves[i]); /* cannot fail: it runs and is ours */
        sum += stolen[i];
    }
    int wrong = hk_deque_size(&deque) != 0;
    for (int i = 0; i < TASKS; i++)
        wrong += tasks[i].runs != 1;
    wrong += sum != (uint64_t)TASKS * (TASKS + 1) / 2;
    hk_deque_done(&deque);
    printf("deque: %d tasks, %d%% kept by the owner: %d wrong\n", TASKS, (int)(kept * 100 / sum),
           wrong);
    return wrong != 0;
}
