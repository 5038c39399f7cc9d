/* SPDX-License-Identifier: MIT */
/* by_hand.h - WORKERS workers without threads, for a test that plays them all. Define WORKERS
 * before. */
#ifndef HK_TESTS_BY_HAND_H
#define HK_TESTS_BY_HAND_H

#include <criterion/criterion.h>

#include "base/os.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

static hk_worker workers[WORKERS];
static hk_worker *sleepers[WORKERS];
static uint16_t victims[WORKERS][WORKERS - 1];
static hk_runtime rt = {.workers = workers, .n = WORKERS, .idle = {.sleepers = sleepers}};

static void begin(void)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        cr_assert_eq(hk_worker_init(&workers[i], &rt, i), 0);
        for (unsigned j = 0; j + 1 < WORKERS; j++)
            victims[i][j] = (uint16_t)((i + 1 + j) % WORKERS);
        workers[i].victims = victims[i];
        workers[i].clock = hk_os_now();
    }
}

static void done(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        hk_worker_done(&workers[i]);
}

#endif
