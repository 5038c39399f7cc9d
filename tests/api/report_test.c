/* SPDX-License-Identifier: MIT */
/* report_test.c - what the hooks are told: of a stopped task that goes on waiting, and of failures
 * that nobody awaits, at the moment they happen. cancel_test.c has detached tasks. */
#include "api/compose_support.h"

#include <string.h>

enum { LIMIT = 1000 };

/* --- a stopped task that goes on waiting ------------------------------------------------------ */

static HK_ATOMIC(int) reports, last_report;
static HK_ATOMIC(const void *) last_site;

static void note_error(void *context, const char *name, int result)
{
    (void)context;
    (void)hk_add_acqrel(&reports, 1);
    hk_store_release(&last_report, result);
    CHECK(name != NULL && strcmp(name, "deaf") == 0);
}

static void hear_failure(void *context, const hank_failure *f)
{
    (void)context;
    CHECK(f->name != NULL && f->fn != NULL && f->result < 0);
    hk_store_release(&last_site, f->spawned_at);
}

static const hank_hooks hooks = {.on_error = note_error, .on_failure = hear_failure};

typedef struct deaf {
    int waits;
    bool by_event; /* waits that begin by a question, or end in parking */
} deaf;

static int wait_in_spite_of_it(void *arg)
{
    deaf *d = arg;
    hank_event never = {0};
    for (int i = 0; i < d->waits; i++) {
        int rc = d->by_event ? hank_event_wait(&never) : hank_sleep(HANK_FOREVER);
        CHECK(rc == -ECANCELED);
    }
    return 0;
}

static int have_one_deaf(void *arg)
{
    hank_task t = hank_spawn_with(wait_in_spite_of_it, arg, .name = "deaf");
    YIELD_UNTIL(is_parked(t));
    MUST(hank_cancel(t) == 0);
    return hank_await(t);
}

static int count_reports(deaf d, unsigned workers)
{
    hk_store_release(&reports, 0);
    hk_store_release(&failed_checks, 0);
    (void)alarm(60);
    cr_expect_eq(hank_run_with(have_one_deaf, &d, .workers = workers, .hooks = &hooks), 0);
    (void)alarm(0);
    cr_expect_eq(hk_load_acquire(&failed_checks), 0);
    return hk_load_acquire(&reports);
}

Test(ignored_stop, is_reported_once_after_a_thousand_failed_waits)
{
    for (EACH_SIZE(i)) {
        cr_expect_eq(count_reports((deaf){LIMIT + 1, false}, sizes[i]), 1);
        cr_expect_eq(hk_load_acquire(&last_report), -ELOOP);
        cr_expect_eq(count_reports((deaf){5 * LIMIT, true}, sizes[i]), 1);
        cr_expect_eq(hk_load_acquire(&last_report), -ELOOP);
    }
}

Test(ignored_stop, is_not_reported_for_fewer_waits)
{
    for (EACH_SIZE(i)) {
        cr_expect_eq(count_reports((deaf){LIMIT - 1, false}, sizes[i]), 0);
        cr_expect_eq(count_reports((deaf){LIMIT - 1, true}, sizes[i]), 0);
    }
}

static int time_out_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3 * LIMIT; i++)
        MUST(hank_within(0, hank_sleep(1)) == -ETIMEDOUT);
    return 0;
}

Test(ignored_stop, is_not_what_a_task_does_whose_timeouts_expire_and_end)
{
    hk_store_release(&reports, 0);
    for (EACH_SIZE(i))
        cr_expect_eq(hank_run_with(time_out_often, NULL, .workers = sizes[i], .hooks = &hooks), 0);
    cr_expect_eq(hk_load_acquire(&reports), 0);
}

typedef struct beside {
    flag went_on;
} beside;

static int spin_until_the_other_went_on(void *arg)
{
    beside *b = arg;
    (void)hank_sleep(HANK_FOREVER);
    while (!is_set(&b->went_on))
        (void)hank_sleep(HANK_FOREVER); /* it never waits, but the other gets its turns */
    return 0;
}

static int go_on_beside_it(void *arg)
{
    beside b = {0};
    (void)arg;
    hank_task t = hank_spawn_with(spin_until_the_other_went_on, &b, .name = "deaf");
    YIELD_UNTIL(is_parked(t));
    MUST(hank_cancel(t) == 0);
    for (int i = 0; i < 10; i++)
        MUST(hank_yield() == 0);
    set(&b.went_on);
    return hank_await(t);
}

Test(ignored_stop, does_not_keep_others_from_their_turns)
{
    hk_store_release(&reports, 0);
    for (EACH_SIZE(i)) {
        (void)alarm(60);
        cr_expect_eq(hank_run_with(go_on_beside_it, NULL, .workers = sizes[i], .hooks = &hooks), 0);
        (void)alarm(0);
    }
}

Test(ignored_stop, is_a_panic_if_asked_for, .signal = SIGABRT)
{
    deaf d = {LIMIT + 1, false};
    (void)hank_run_with(have_one_deaf, &d, .workers = 2, .panic_on_ignored_stop = true);
}

/* --- failures that nobody awaits -------------------------------------------------------------- */

typedef struct timely {
    HK_ATOMIC(int) * reports;
} timely;

static int wait_for_the_report(void *arg)
{
    timely *t = arg;
    YIELD_UNTIL(hk_load_acquire(t->reports) == 1); /* while its parent waits for it */
    return 0;
}

static int leave_two(void *arg)
{
    timely *t = arg;
    leave(hank_spawn_with(yield_once, number(-EIO), .name = "deaf"));
    leave(hank_spawn(wait_for_the_report, t));
    return 0;
}

static int leave_a_failure(void *arg)
{
    timely t = {.reports = arg};
    return hank_await(hank_spawn(leave_two, &t));
}

Test(on_error, is_called_when_a_child_left_behind_fails_and_not_when_all_have_ended)
{
    for (EACH_SIZE(i)) {
        hk_store_release(&reports, 0);
        hk_store_release(&failed_checks, 0);
        cr_expect_eq(hank_run_with(leave_a_failure, &reports, .workers = sizes[i], .hooks = &hooks),
                     0);
        cr_expect_eq(hk_load_acquire(&reports), 1);
        cr_expect_eq(hk_load_acquire(&failed_checks), 0);
    }
}

static int leave_many_failures(void *arg)
{
    for (int i = 0; i < 100; i++)
        leave(hank_spawn_with(i % 2 ? yield_once : give_back, number(-EIO), .name = "deaf"));
    return (int)(intptr_t)arg;
}

Test(on_error, is_called_once_for_each_of_many_left_behind)
{
    for (EACH_SIZE(i)) {
        hk_store_release(&reports, 0);
        cr_expect_eq(hank_run_with(leave_many_failures, NULL, .workers = sizes[i], .hooks = &hooks),
                     0);
        cr_expect_eq(hk_load_acquire(&reports), 100);
        cr_expect_not_null(hk_load_acquire(&last_site));
    }
}

/* A section of its own, so that it can be told whether an address is in it. */
#define SPAWNS __attribute__((noinline, section("spawns_here")))
extern const char __start_spawns_here[], __stop_spawns_here[];
static flag told;

static void look_at_failure(void *context, const hank_failure *f)
{
    const char *site = f->spawned_at;
    CHECK(site > __start_spawns_here && site <= __stop_spawns_here);
    CHECK(f->fn == (f->result == -ELOOP ? wait_in_spite_of_it : yield_once));
    (void)context;
    (void)hk_add_acqrel(&told, 1);
}

SPAWNS static int spawn_failures_in_every_way(void *arg)
{
    deaf d = {LIMIT + 1, false};
    hank_runtime *here = hank_runtime_current();
    (void)hank_call_soon(yield_once, number(-EIO));
    (void)hank_call_later(HANK_US(1), yield_once, number(-EIO));
    (void)hank_call_at(hank_now() + HANK_US(1), yield_once, number(-EIO));
    (void)hank_call_into(here, hank_now(), yield_once, number(-EIO));
    CHECK(hank_detach(hank_spawn_into(here, yield_once, number(-EIO), NULL)) == 0);
    YIELD_UNTIL(hk_load_acquire(&told) == 5); /* the end would cancel those that have not begun */
    leave(hank_spawn(yield_once, number(-EIO)));
    CHECK(hank_detach(hank_spawn_with(yield_once, number(-EIO), .eager = true)) == 0);
    leave(hank_spawn_with(yield_once, number(-EIO), .stack_size = 256 << 10));
    hank_task t = hank_spawn(wait_in_spite_of_it, &d);
    YIELD_UNTIL(is_parked(t));
    MUST(hank_cancel(t) == 0);
    return hank_await(t) + (int)(intptr_t)arg;
}

Test(on_failure, tells_what_failed_and_where_it_was_spawned)
{
    for (EACH_SIZE(i)) {
        hank_hooks look = {.on_failure = look_at_failure};
        hk_store_release(&told, 0);
        hk_store_release(&failed_checks, 0);
        (void)alarm(60);
        cr_expect_eq(
            hank_run_with(spawn_failures_in_every_way, NULL, .workers = sizes[i], .hooks = &look),
            0);
        (void)alarm(0);
        cr_expect_eq(hk_load_acquire(&told), 9);
        cr_expect_eq(hk_load_acquire(&failed_checks), 0);
    }
}
