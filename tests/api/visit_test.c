/* SPDX-License-Identifier: MIT */
/* visit_test.c - a program looks at its tasks: which there are, and what each does. */
#include "api/visit_support.h"

#include <stdlib.h>

enum { SEEN_MAX = 64 };

/* --- which there are ------------------------------------------------------------------------- */

static int sees_who_waits(void *arg)
{
    (void)arg;
    flag started = 0;
    CHECK(look_for("dormouse").times == 0);
    hank_task t = hank_spawn_with(start_and_wait, &started, .name = "dormouse");
    YIELD_UNTIL(is_set(&started));
    sighting s = look_until_it_waits("dormouse");
    CHECK(s.times == 1 && s.last.fn == start_and_wait);
    CHECK(s.last.state == HANK_TASK_WAITING && strcmp(s.last.waits_for, "sleep") == 0);
    CHECK(!s.last.is_cancelled);
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    CHECK(look_for("dormouse").times == 0);
    return 0;
}

Test(visit, is_made_to_a_task_from_its_spawn_to_its_end)
{
    with_each_size(sees_who_waits, NULL);
}

static int passes_by_who_has_ended(void *arg)
{
    (void)arg;
    hank_task t = hank_spawn_with(yield_once, NULL, .name = "done");
    YIELD_UNTIL(hank_is_done(t));
    CHECK(look_for("done").times == 0);
    return hank_await(t);
}

Test(visit, passes_by_a_task_that_has_ended_though_its_handle_is_good)
{
    with_each_size(passes_by_who_has_ended, NULL);
}

static int spawn_until(void *arg)
{
    while (!is_set(arg)) {
        hank_task t = hank_spawn(give_back, NULL);
        (void)hank_yield();
        CHECK(hank_await(t) == 0);
    }
    return 0;
}

static bool is_as_it_was_made(void *context, const hank_task_info *task)
{
    (void)context;
    bool named = strncmp(task->name, "fn@0x", 5) != 0;
    CHECK(named || task->fn == give_back);
    return true;
}

static int looks_while_tasks_end(void *arg)
{
    flag enough = 0;
    hank_task t = hank_spawn_with(spawn_until, &enough, .name = "spawner");
    (void)arg;
    for (int i = 0; i < 20 * 1000; i++)
        CHECK(hank_visit_tasks(is_as_it_was_made, NULL) > 0);
    set(&enough);
    return hank_await(t);
}

static void ignore_failure(void *context, const hank_failure *failure)
{
    (void)context;
    (void)failure;
}

/* With hooks a task's function is kept elsewhere, which its end gives back. */
Test(visit, is_told_the_truth_of_tasks_that_are_ending, .timeout = 120)
{
    static const hank_hooks hooks = {.on_failure = ignore_failure};
    hk_store_relaxed(&failed_checks, 0);
    cr_expect_eq(hank_run_with(looks_while_tasks_end, NULL, .workers = 2, .hooks = &hooks), 0);
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}

static bool count_to_three(void *context, const hank_task_info *task)
{
    (void)task;
    return ++*(int *)context < 3;
}

static int ends_early(void *arg)
{
    (void)arg;
    enum { N = 8 };
    hank_task tasks[N];
    flag started = 0;
    int visits = 0;
    for (int i = 0; i < N; i++)
        tasks[i] = hank_spawn(start_and_wait, &started);
    CHECK(hank_visit_tasks(count_to_three, &visits) == 3 && visits == 3);
    for (int i = 0; i < N; i++)
        CHECK(hank_cancel(tasks[i]) == 0);
    (void)hank_gather_n(tasks, N, NULL);
    return 0;
}

Test(visit, ends_when_the_visitor_says_so_and_tells_how_many_there_were)
{
    with_each_size(ends_early, NULL);
}

Test(visit, without_a_visitor_is_refused)
{
    cr_expect_eq(hank_visit_tasks(NULL, NULL), -EINVAL);
}

Test(visit, finds_nobody_where_nothing_runs)
{
    int visits = 0;
    cr_assert_eq(hank_run(give_back, NULL), 0);
    cr_expect_eq(hank_visit_tasks(count_to_three, &visits), 0);
}

static void from_a_thread(hank_runtime *rt)
{
    flag started = 0;
    hank_task t =
        hank_spawn_into(rt, start_and_wait, &started, &(hank_spawn_options){.name = "abroad"});
    THREAD_UNTIL(is_set(&started));
    sighting s = look_until_it_waits("abroad");
    cr_expect_eq(s.times, 1);
    cr_expect_null(s.last.above, "a guest is nobody's child");
    cr_assert_eq(hank_cancel(t), 0);
    cr_expect_eq(hank_await(t), -ECANCELED);
}

static int looks_abroad(void *arg)
{
    (void)arg;
    CHECK(look_until_it_waits("abroad").times == 1);
    return 0;
}

static void of_another_runtime(hank_runtime *rt)
{
    flag started = 0;
    hank_task t =
        hank_spawn_into(rt, start_and_wait, &started, &(hank_spawn_options){.name = "abroad"});
    cr_expect_eq(hank_run_with(looks_abroad, NULL, .workers = 1), 0);
    cr_assert_eq(hank_cancel(t), 0);
    cr_expect_eq(hank_await(t), -ECANCELED);
}

Test(visit, can_be_made_from_a_thread)
{
    beside_each_size(from_a_thread);
}

Test(visit, is_made_to_tasks_of_every_runtime)
{
    beside_each_size(of_another_runtime);
}

/* --- what each does -------------------------------------------------------------------------- */

static int states(void *arg)
{
    bool *alone = arg;
    flag started = 0;
    hank_task t = hank_spawn_with(yield_until_stopped, &started, .name = "restless");
    if (*alone)
        CHECK(look_for("restless").last.state == HANK_TASK_NEW);
    YIELD_UNTIL(is_set(&started));
    sighting s = look_for("restless");
    CHECK(s.times == 1 && s.last.state != HANK_TASK_WAITING && s.last.waits_for == NULL);
    CHECK(!*alone || s.last.state == HANK_TASK_READY); /* for we are running */
    CHECK(hank_cancel(t) == 0);
    return hank_await(t);
}

static int sees_itself(void *arg)
{
    (void)arg;
    sighting s = look_for("myself");
    CHECK(s.times == 1 && s.last.state == HANK_TASK_RUNNING);
    return 0;
}

Test(visit, tells_new_from_ready_and_running)
{
    for (EACH_SIZE(i)) {
        bool alone = sizes[i] == 1;
        with_workers(sizes[i], states, &alone);
    }
}

static int looks_at_itself(void *arg)
{
    (void)arg;
    return hank_await(hank_spawn_with(sees_itself, NULL, .name = "myself"));
}

Test(visit, sees_whoever_makes_it_running)
{
    with_each_size(looks_at_itself, NULL);
}

typedef struct last_words {
    flag started;
    hank_event go;
} last_words;

static int wait_shielded(void *arg)
{
    last_words *w = arg;
    hank_scope s;
    hank_shield_begin(&s);
    set(&w->started);
    int rc = hank_event_wait(&w->go);
    hank_shield_end(&s);
    return rc;
}

static int sees_the_cancelled(void *arg)
{
    (void)arg;
    last_words w = {0};
    hank_task t = hank_spawn_with(wait_shielded, &w, .name = "stubborn");
    YIELD_UNTIL(is_set(&w.started));
    CHECK(hank_cancel(t) == 0);
    sighting s = look_until_it_waits("stubborn");
    CHECK(s.last.is_cancelled && strcmp(s.last.waits_for, "event") == 0);
    hank_event_set(&w.go);
    return hank_await(t);
}

Test(visit, tells_that_a_task_is_cancelled_and_waits_all_the_same)
{
    with_each_size(sees_the_cancelled, NULL);
}

static int family(void *arg)
{
    hank_group g = {0};
    hank_spawn_options named = {.name = "member"};
    CHECK(hank_group_spawn_opt(&g, start_and_wait, arg, &named) == 0);
    leave(hank_spawn_with(start_and_wait, arg, .name = "child"));
    return hank_group_wait(&g);
}

static int sees_the_family(void *arg)
{
    (void)arg;
    flag started = 0;
    hank_task t = hank_spawn_with(family, &started, .name = "parent");
    YIELD_UNTIL(hk_load_acquire(&started) == 2);
    sighting parent = look_for("parent"), child = look_for("child"), member = look_for("member");
    CHECK(parent.times == 1 && child.times == 1 && member.times == 1);
    CHECK(child.last.above == parent.last.self && child.last.self != parent.last.self);
    CHECK(member.last.above != NULL && member.last.above != parent.last.self); /* the group */
    CHECK(look_for("child").last.self == child.last.self);
    CHECK(hank_cancel(t) == 0);
    CHECK(hank_await(t) == -ECANCELED);
    return 0;
}

Test(visit, tells_whose_child_and_whose_member_a_task_is)
{
    with_each_size(sees_the_family, NULL);
}

/* --- while the program goes on --------------------------------------------------------------- */

static bool wait_a_little(void *context, const hank_task_info *task)
{
    (void)task;
    ++*(int *)context;
    CHECK(hank_await(hank_spawn(yield_once, NULL)) == 0);
    return hank_sleep(HANK_US(10)) == 0;
}

static int waits_in_between(void *arg)
{
    (void)arg;
    int visits = 0;
    CHECK(hank_visit_tasks(wait_a_little, &visits) == visits && visits >= 2);
    return 0;
}

Test(visit, may_take_its_time_and_spawn_and_wait)
{
    with_each_size(waits_in_between, NULL);
}

typedef struct roll_call {
    int seen[SEEN_MAX];
} roll_call;

static int resident(void *arg)
{
    set(arg);
    return hank_sleep(HANK_FOREVER);
}

static bool tick_off(void *context, const hank_task_info *task)
{
    roll_call *r = context;
    if (task->fn == resident) { /* its name is its number */
        int number = (int)strtol(task->name, NULL, 10);
        CHECK(number >= 0 && number < SEEN_MAX);
        r->seen[number]++;
    }
    return true;
}

static int come_and_go(void *arg)
{
    while (!is_set(arg)) {
        hank_task tasks[20];
        for (int i = 0; i < 20; i++)
            tasks[i] = hank_spawn(yield_once, NULL);
        MUST(hank_gather_n(tasks, 20, NULL) == 0);
    }
    return 0;
}

static int everybody_once(void *arg)
{
    (void)arg;
    static char names[SEEN_MAX][12];
    hank_task residents[SEEN_MAX], crowd[4];
    flag started = 0, over = 0;
    for (int i = 0; i < 4; i++)
        crowd[i] = hank_spawn(come_and_go, &over);
    for (int i = 0; i < SEEN_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "%d", i);
        residents[i] = hank_spawn_with(resident, &started, .name = names[i]);
    }
    for (int round = 0; round < 100; round++) {
        roll_call r = {0};
        CHECK(hank_visit_tasks(tick_off, &r) >= SEEN_MAX);
        for (int i = 0; i < SEEN_MAX; i++)
            CHECK(r.seen[i] == 1);
        (void)hank_yield();
    }
    set(&over);
    CHECK(hank_gather_n(crowd, 4, NULL) == 0);
    for (int i = 0; i < SEEN_MAX; i++)
        CHECK(hank_cancel(residents[i]) == 0);
    CHECK(hank_gather_n(residents, SEEN_MAX, NULL) == -ECANCELED);
    return 0;
}

Test(visit, meets_whoever_lives_all_the_time_exactly_once_while_others_come_and_go)
{
    with_each_size(everybody_once, NULL);
}
