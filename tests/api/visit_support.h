/* SPDX-License-Identifier: MIT */
/* visit_support.h - what tests share that look at tasks by hank_visit_tasks(). */
#ifndef HK_TESTS_API_VISIT_SUPPORT_H
#define HK_TESTS_API_VISIT_SUPPORT_H

#include "api/thread_support.h"

#include <string.h>

/* What a visitor was told of the tasks with one name. */
typedef struct sighting {
    const char *name;
    int times;
    hank_task_info last;
} sighting;

static inline bool note(void *context, const hank_task_info *task)
{
    sighting *s = context;
    CHECK(task->name != NULL && task->fn != NULL && task->self != NULL);
    CHECK((task->waits_for != NULL) == (task->state == HANK_TASK_WAITING));
    if (strcmp(task->name, s->name) == 0) {
        s->times++;
        s->last = *task;
    }
    return true;
}

static inline sighting look_for(const char *name)
{
    sighting s = {.name = name};
    CHECK(hank_visit_tasks(note, &s) >= s.times);
    return s;
}

/* Look until `name` waits: whoever says that it is about to is still on its way. */
static inline sighting look_until_it_waits(const char *name)
{
    sighting s = look_for(name);
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (s.last.state != HANK_TASK_WAITING && hank_now() < give_up) {
        (void)hank_yield();
        s = look_for(name);
    }
    return s;
}

static inline int yield_until_stopped(void *arg)
{
    set(arg);
    while (hank_yield() == 0)
        continue;
    return 0;
}

#endif
