/* SPDX-License-Identifier: MIT */
/* is_parked.h - whether a task waits by now, for tests that must not come before. */
#ifndef HK_TESTS_IS_PARKED_H
#define HK_TESTS_IS_PARKED_H

#include <hank.h>

#include "sched/task.h"

/* Whether the task behind a handle of ours is parked. */
static inline bool is_parked(hank_task t)
{
    hk_task *task = t.slot_;
    return hk_word_state(hk_load_seqcst(&task->sleeper.word)) != HK_AWAKE;
}

#endif
