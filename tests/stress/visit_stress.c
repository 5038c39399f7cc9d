/* SPDX-License-Identifier: MIT */
/* visit_stress.c - tasks and a thread look at every task and its stack, while those wait, go on
 * elsewhere, end, and leave their slots and stacks to others, in runtimes that begin and end. */
#include <hank.h>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "stress/stress_support.h"

enum { RUNS = 40, TASKS = 24, TURNS = 200, WORKERS = 4, DEPTH = 40 };

/* A section of its own, so that it can be told that a stack is the one of such a task. */
#define TASK __attribute__((noinline, section("tasks_here")))
extern const char __start_tasks_here[], __stop_tasks_here[];

static HK_ATOMIC(uint64_t) visits, stacks;
static HK_ATOMIC(bool) over;
static int null;

static int waiter(void *arg);
static int child(void *arg);

/* Whole, if it has not been cut off: it leads down to the task's function. */
static bool is_whole(const hank_task_info *task)
{
    for (unsigned i = 0; i < task->stack_frames; i++) {
        uintptr_t at = (uintptr_t)task->stack[i];
        if (at >= (uintptr_t)__start_tasks_here && at < (uintptr_t)__stop_tasks_here)
            return true;
    }
    return task->stack_frames == 0 || task->stack_frames == 32;
}

static bool look(void *context, const hank_task_info *task)
{
    (void)context;
    MUST(task->name != NULL && task->self != NULL && task->self != task->above);
    MUST((task->waits_for != NULL) == (task->state == HANK_TASK_WAITING));
    MUST((task->stack == NULL) == (task->stack_frames == 0));
    MUST(task->stack_frames == 0 || task->state == HANK_TASK_WAITING);
    for (unsigned i = 0; i < task->stack_frames; i++)
        MUST(task->stack[i] != NULL);
    MUST(!HK_FRAMES_KEPT || (task->fn != waiter && task->fn != child) || is_whole(task));
    (void)hk_add_relaxed(&visits, UINT64_C(1));
    if (task->stack_frames > 0)
        (void)hk_add_relaxed(&stacks, UINT64_C(1));
    return true;
}

static int wait_deep(hank_event *e, unsigned depth)
{
    if (depth > 0) {
        int rc = wait_deep(e, depth - 1);
        __asm__ volatile("" : : : "memory"); /* a frame of its own */
        return rc;
    }
    return draw(2) ? hank_sleep(HANK_US(draw(50))) : hank_within(HANK_US(50), hank_event_wait(e));
}

TASK static int child(void *arg)
{
    int rc = wait_deep(arg, draw(DEPTH));
    __asm__ volatile("" : : : "memory"); /* the same */
    return is_stop(rc) ? 0 : rc;
}

TASK static int waiter(void *arg)
{
    for (int i = 0; i < TURNS; i++) {
        (void)wait_deep(arg, draw(DEPTH));
        MUST(hank_await(hank_spawn(child, arg)) == 0);
        if (draw(4) == 0)
            MUST(hank_detach(hank_spawn_with(child, arg, .name = "detached")) == 0);
        (void)hank_yield();
    }
    return 0;
}

static int visitor(void *arg)
{
    for (int i = 0; i < TURNS; i++) {
        MUST(hank_visit_tasks(look, arg) >= 1);
        (void)hank_yield();
    }
    return 0;
}

static int crowd(void *arg)
{
    static hank_event never;
    hank_task tasks[TASKS + 2];
    for (int i = 0; i < TASKS; i++)
        tasks[i] = hank_spawn(waiter, &never);
    for (int i = TASKS; i < TASKS + 2; i++)
        tasks[i] = hank_spawn(visitor, arg);
    return hank_gather_n(tasks, TASKS + 2, NULL);
}

static void *look_from_outside(void *arg)
{
    while (!hk_load_acquire(&over)) {
        MUST(hank_visit_tasks(look, arg) >= 0);
        hank_dump_stacks(null);
    }
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    MUST(null >= 0);
    MUST(pthread_create(&thread, NULL, look_from_outside, NULL) == 0);
    for (int i = 0; i < RUNS; i++)
        MUST(hank_run_with(crowd, NULL, .workers = 1 + draw(WORKERS)) == 0);
    hk_store_release(&over, true);
    MUST(pthread_join(thread, NULL) == 0);
    (void)close(null);
    printf("%llu visits, %llu with a stack\n", (unsigned long long)hk_load_relaxed(&visits),
           (unsigned long long)hk_load_relaxed(&stacks));
    MUST(hk_load_relaxed(&stacks) > 0 || !HK_FRAMES_KEPT);
    return 0;
}
