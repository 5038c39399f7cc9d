/* SPDX-License-Identifier: MIT */
/* mc_run.c - one execution after another: setup, the threads, check.
 *
 * Everything of a model runs on fibers, so that a failure can leave it from anywhere by going home;
 * the next execution aims the fibers at their start again. */
#include "model/mc_core.h"

#include <time.h>

static mc_fiber alone_fiber;
static void (*alone_body)(void);
static _Alignas(64) char stacks[MC_THREADS_MAX + 1][MC_STACK_BYTES];

int mc_self(void)
{
    return mc.current;
}

static void thread_body(void)
{
    mc.model->threads[mc.current]();
    mc_end_thread();
}

static void alone_entry(void)
{
    alone_body();
    mc_fiber_switch(&alone_fiber, &mc.home);
    __builtin_unreachable();
}

/* On a fiber too, so that mc_fail can leave it. */
static void run_alone(void (*body)(void))
{
    if (!body)
        return;
    alone_body = body;
    alone_fiber.stack = stacks[MC_THREADS_MAX];
    alone_fiber.stack_bytes = MC_STACK_BYTES;
    mc_fiber_make(&alone_fiber, alone_entry);
    mc_fiber_switch(&mc.home, &alone_fiber);
}

static void reset(void)
{
    mc_memory_reset();
    mc_data_reset();
    mc_os_reset();
    mc_trace_reset();
    mc.alone = true;
    mc.failed = mc.pruned = false;
    mc.stores = 0;
    mc.steps = 0;
    mc.current = 0;
    mc_search_reset();
}

/* Each thread up to its first operation; nothing they do before that can be seen by others. */
static void start_threads(void)
{
    mc.starting = true;
    for (int i = 0; i < mc.n && !mc.failed; i++) {
        mc_thread *t = &mc.threads[i];
        t->view.known = 0;
        memset(t->view.clock, 0, sizeof t->view.clock);
        t->view.clock[i] = 1;
        t->ended = t->timed = t->stirred = false;
        t->watched = 0;
        t->fresh_at = -1;
        t->fiber.stack = stacks[i];
        t->fiber.stack_bytes = MC_STACK_BYTES;
        mc_fiber_make(&t->fiber, thread_body);
        mc.current = i;
        mc_fiber_switch(&mc.home, &t->fiber);
    }
    mc.starting = false;
}

static void first_step(void)
{
    int first = mc_next_thread();
    if (first < 0)
        return;
    mc.current = first;
    mc_fiber_switch(&alone_fiber, &mc.threads[first].fiber);
}

static void execute(void)
{
    reset();
    run_alone(mc.model->setup);
    mc.alone = false;
    if (!mc.failed)
        start_threads();
    if (!mc.failed)
        run_alone(first_step);
    mc.alone = true;
    if (mc.failed || mc.pruned)
        return;
    run_alone(mc.model->check);
    const char *leak = mc_data_leak();
    if (leak)
        mc_note_failure("memory allocated at %s was not freed", leak);
}

static double seconds(void)
{
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC); /* for a report: nothing depends on it */
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

mc_result mc_run(const mc_model *model)
{
    double begun = seconds();
    long most = model->executions_max ? model->executions_max : MC_EXECUTIONS_MAX;
    mc.model = model;
    memset(&mc.result, 0, sizeof mc.result);
    for (mc.n = 0; mc.n < MC_THREADS_MAX && model->threads[mc.n]; mc.n++)
        ;
    mc_search_begin();
    do {
        execute();
        if (mc.pruned)
            mc.result.pruned++;
        else
            mc.result.executions++;
        mc.result.steps += mc.steps;
        mc.result.failed = mc.failed;
        if (mc.failed || model->replay)
            break;
        mc.result.complete = !mc_search_advance();
    } while (!mc.result.complete && mc.result.executions + mc.result.pruned < most);
    mc_search_end();
    mc.result.seconds = seconds() - begun;
    if (mc.failed && !model->quiet)
        mc_trace_print();
    return mc.result;
}
