/* SPDX-License-Identifier: MIT */
/* options_test.c - options of a spawn: eager start, done hooks. */
#include "api/compose_support.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

enum { MANY = 50, ROUNDS = 100 };

static int copied_seven(void *arg)
{
    return ((int *)arg)[0];
}

/* --- eager ----------------------------------------------------------------------------------- */

static int say_ran(void *arg)
{
    set(arg);
    return 5;
}

static int eager_to_the_end(void *arg)
{
    flag ran = 0;
    (void)arg;
    hank_task t = hank_spawn_with(say_ran, &ran, .eager = true);
    MUST(is_set(&ran));
    MUST(hank_await(t) == 5);
    return 0;
}
EACH(eager, task_has_begun_when_its_spawn_returns, eager_to_the_end)

static int eager_until_it_waits(void *arg)
{
    flag ran = 0;
    (void)arg;
    hank_task t = hank_spawn_with(start_and_wait, &ran, .eager = true);
    MUST(is_set(&ran) && hank_is_done(t) == 0);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    return 0;
}
EACH(eager, task_that_waits_lets_its_spawner_go_on, eager_until_it_waits)

typedef struct diary {
    char text[8];
    int n;
} diary;

static int write_a_then_b(void *arg)
{
    diary *d = arg;
    d->text[d->n++] = 'a';
    (void)hank_yield();
    d->text[d->n++] = 'b';
    return 0;
}

static int order_on_one_worker(void *arg)
{
    diary d = {.n = 0};
    (void)arg;
    hank_task t = hank_spawn_with(write_a_then_b, &d, .eager = true);
    d.text[d.n++] = '-';
    MUST(hank_await(t) == 0);
    MUST(strcmp(d.text, "a-b") == 0);
    return 0;
}

Test(eager, child_and_spawner_take_turns_on_one_worker)
{
    with_workers(1, order_on_one_worker, NULL);
}

static int spawn_eagerly_down(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return 0;
    hank_task t = hank_spawn_with(spawn_eagerly_down, number(depth - 1), .eager = true);
    int below = hank_await(t);
    return below < 0 ? below : below + 1;
}

static int eager_chain(void *arg)
{
    (void)arg;
    MUST(hank_await(hank_spawn(spawn_eagerly_down, number(MANY))) == MANY);
    return 0;
}
EACH(eager, tasks_spawn_eager_tasks, eager_chain)

static int many_eager(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        hank_task tasks[MANY];
        for (int i = 0; i < MANY; i++)
            tasks[i] = hank_spawn_with(i % 2 ? yield_once : give_back, number(i), .eager = true);
        for (int i = 0; i < MANY; i++)
            MUST(hank_await(tasks[i]) == i);
    }
    return 0;
}
EACH(eager, many_of_them_are_awaited_as_others, many_eager)

static int eager_in_a_stopped_task(void *arg)
{
    flag ran = 0;
    hank_scope s;
    (void)arg;
    hank_timeout_begin(&s, 0);
    hank_task t = hank_spawn_with(say_ran, &ran, .eager = true);
    bool at_once = is_set(&ran);
    int rc = hank_await(t);
    (void)hank_timeout_end(&s);
    MUST(at_once && rc == 5);
    return 0;
}
EACH(eager, task_begins_though_its_spawner_is_stopped, eager_in_a_stopped_task)

static int eager_failure(void *arg)
{
    hank_task t = hank_spawn_with(give_back, number(-EIO), .eager = true);
    (void)arg;
    MUST(hank_cancel(t) == 0); /* too late to matter */
    MUST(hank_await(t) == -EIO);
    return 0;
}
EACH(eager, task_that_has_ended_keeps_its_result_when_it_is_cancelled, eager_failure)

static int detach_eagerly(void *arg)
{
    (void)arg;
    return hank_detach(hank_spawn_with(yield_once, NULL, .eager = true));
}

Test(eager, task_can_be_detached)
{
    for (EACH_SIZE(i))
        with_workers(sizes[i], detach_eagerly, NULL);
}

static int eager_with_everything(void *arg)
{
    int bytes[200] = {7};
    (void)arg;
    hank_task t = hank_spawn_with(copied_seven, bytes, .eager = true, .copy = sizeof bytes,
                                  .stack_size = 1 << 20, .name = "all");
    MUST(hank_await(t) == 7);
    return 0;
}
EACH(eager, goes_together_with_the_other_options, eager_with_everything)

/* --- on_done --------------------------------------------------------------------------------- */

typedef struct witness {
    HK_ATOMIC(int) calls;
    HK_ATOMIC(int) result;
} witness;

static void testify(void *arg, int result)
{
    witness *w = arg;
    hk_store_release(&w->result, result);
    (void)hk_add_acqrel(&w->calls, 1);
}

#define TESTIFIED(w, r) (hk_load_acquire(&(w).calls) == 1 && hk_load_acquire(&(w).result) == (r))

static int done_before_await(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        witness w = {0};
        hank_task t = hank_spawn_with(i % 2 ? yield_once : give_back, number(i), .on_done = testify,
                                      .on_done_arg = &w);
        MUST(hank_await(t) == i);
        MUST(TESTIFIED(w, i));
    }
    return 0;
}
EACH(on_done, has_been_called_once_with_the_result_when_await_returns, done_before_await)

static int done_without_await(void *arg)
{
    witness w = {0};
    (void)arg;
    hank_task t = hank_spawn_with(yield_once, number(3), .on_done = testify, .on_done_arg = &w);
    YIELD_UNTIL(hk_load_acquire(&w.calls) == 1);
    MUST(hank_await(t) == 3 && TESTIFIED(w, 3));
    return 0;
}
EACH(on_done, is_called_though_nobody_awaits_the_task, done_without_await)

static int done_with_a_failure(void *arg)
{
    witness w = {0};
    (void)arg;
    hank_task t = hank_spawn_with(give_back, number(-EIO), .on_done = testify, .on_done_arg = &w);
    MUST(hank_await(t) == -EIO && TESTIFIED(w, -EIO));
    return 0;
}
EACH(on_done, is_told_of_a_failure, done_with_a_failure)

static int done_when_cancelled(void *arg)
{
    witness w = {0};
    flag started = 0;
    (void)arg;
    hank_task t = hank_spawn_with(start_and_wait, &started, .on_done = testify, .on_done_arg = &w);
    YIELD_UNTIL(is_set(&started));
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED && TESTIFIED(w, -ECANCELED));
    return 0;
}
EACH(on_done, is_told_of_a_cancelled_task, done_when_cancelled)

static int done_without_running(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        witness w = {0};
        hank_task t = hank_spawn_with(give_back, NULL, .on_done = testify, .on_done_arg = &w);
        MUST(hank_cancel(t) == 0);
        int rc = hank_await(t);
        MUST((rc == -ECANCELED || rc == 0) && TESTIFIED(w, rc));
    }
    return 0;
}
EACH(on_done, is_called_for_a_task_that_was_cancelled_before_it_began, done_without_running)

static int end_late(void *arg)
{
    (void)hank_yield();
    set(arg);
    return 0;
}

static int leave_a_child(void *arg)
{
    leave(hank_spawn(end_late, arg));
    return 2;
}

static void after_the_child(void *arg, int result)
{
    CHECK(result == 2 && is_set(arg));
    set(arg);
}

static int done_after_the_children(void *arg)
{
    flag ended = 0;
    (void)arg;
    hank_task t =
        hank_spawn_with(leave_a_child, &ended, .on_done = after_the_child, .on_done_arg = &ended);
    MUST(hank_await(t) == 2 && hk_load_acquire(&ended) == 2);
    return 0;
}
EACH(on_done, is_called_after_the_task_and_its_children_have_ended, done_after_the_children)

static int done_of_members(void *arg)
{
    hank_group g = {.flags = HANK_KEEP_GOING};
    witness ws[MANY] = {{0}};
    (void)arg;
    for (int i = 0; i < MANY; i++)
        MUST(hank_group_spawn_with(&g, yield_once, number(i % 3 ? i : -EIO), .on_done = testify,
                                   .on_done_arg = &ws[i]) == 0);
    MUST(hank_group_wait(&g) == -EIO);
    for (int i = 0; i < MANY; i++)
        MUST(TESTIFIED(ws[i], i % 3 ? i : -EIO));
    return 0;
}
EACH(on_done, of_members_has_been_called_when_the_group_was_waited_for, done_of_members)

static int not_done_if_not_spawned(void *arg)
{
    hank_group g = {0};
    witness w = {0};
    (void)arg;
    hank_group_cancel(&g);
    MUST(hank_group_spawn_with(&g, give_back, NULL, .on_done = testify, .on_done_arg = &w) ==
         -ECANCELED);
    MUST(hank_group_wait(&g) == 0);
    hank_task t = hank_spawn_with(NULL, NULL, .on_done = testify, .on_done_arg = &w);
    MUST(hank_await(t) == -EINVAL);
    MUST(hk_load_acquire(&w.calls) == 0);
    return 0;
}
EACH(on_done, is_not_called_for_what_could_not_be_spawned, not_done_if_not_spawned)

static void free_it(void *arg, int result)
{
    (void)result;
    free(arg);
}

static int done_frees_the_argument(void *arg)
{
    hank_group g = {0};
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        int *mine = calloc(200, sizeof *mine);
        mine[0] = 7;
        MUST(hank_group_spawn_with(&g, copied_seven, mine, .on_done = free_it,
                                   .on_done_arg = mine) == 0);
    }
    hank_group_cancel(&g); /* some never ran */
    MUST(hank_group_wait(&g) == 0);
    return 0;
}
EACH(on_done, can_give_back_what_the_argument_owns_whether_it_ran_or_not, done_frees_the_argument)

static witness witness_of_detached;

static int detach_two(void *arg)
{
    witness *w = arg;
    hank_task t = hank_spawn_with(sleep_forever, NULL, .on_done = testify, .on_done_arg = w);
    MUST(hank_detach(t) == 0); /* the end of the program cancels it */
    return hank_detach(hank_spawn_with(give_back, NULL, .on_done = testify, .on_done_arg = w));
}

Test(on_done, is_called_for_detached_tasks_too)
{
    for (EACH_SIZE(i)) {
        hk_store_release(&witness_of_detached.calls, 0);
        with_workers(sizes[i], detach_two, &witness_of_detached);
        cr_expect_eq(hk_load_acquire(&witness_of_detached.calls), 2);
    }
}

/* --- without memory -------------------------------------------------------------------------- */

#if HK_FAULTS

static int without_memory(void *arg)
{
    static const hank_local key = {.initial = NULL};
    hank_local_scope s;
    hank_completions c;
    hank_group g = {0};
    witness w = {0};
    int n = 7;
    hank_attempt attempt = {give_back, arg};

    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    hank_task copied = hank_spawn_with(copied_seven, &n, .copy = sizeof n);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    hank_task hooked = hank_spawn_with(give_back, arg, .on_done = testify, .on_done_arg = &w);
    hank_local_begin(&s, &key, &n);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    hank_task heir = hank_spawn(give_back, arg);
    hank_local_end(&s);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    MUST(hank_group_start(&g, give_back, arg, NULL, NULL) == -ENOMEM);
    hank_task t = hank_spawn(give_back, arg);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    MUST(hank_completions_begin(&c, &t, 1) == -ENOMEM);
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    MUST(hank_race_staggered(&attempt, 1, NULL, NULL) == -ENOMEM);
    hk_fault_clear();
    MUST(hank_await(copied) == -ENOMEM && hank_await(hooked) == -ENOMEM);
    MUST(hank_await(heir) == -ENOMEM && hank_await(t) == 0 && hank_group_wait(&g) == 0);
    MUST(hk_load_acquire(&w.calls) == 0);
    return 0;
}

Test(options, that_need_memory_say_so_when_there_is_none)
{
    with_workers(1, without_memory, NULL);
}

#endif
