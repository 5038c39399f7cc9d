/* SPDX-License-Identifier: MIT */
/* timer_test.c - calls that come soon, later or at a time, and calls that are taken back. */
#include "api/thread_support.h"

#include <string.h>

/* The scenario as a child, until what it has asked for has ended too. */
static int watch_calls(void *arg)
{
    scenario *s = arg;
    hank_stats before, after;
    CHECK(hank_get_stats(&before) == 0);
    int rc = hank_await(hank_spawn(s->app, s->arg));
    YIELD_UNTIL(hank_get_stats(&after) == 0 && after.tasks_live == before.tasks_live);
    return rc;
}

static void calls_with_each_size(hank_fn app)
{
    scenario s = {app, NULL};
    for (EACH_SIZE(i))
        with_workers(sizes[i], watch_calls, &s);
}

static int note(void *arg)
{
    set(arg);
    return 0;
}

static int call_soon(void *arg)
{
    (void)arg;
    flag called = 0;
    hank_timer t = hank_call_soon(note, &called);
    YIELD_UNTIL(is_set(&called));
    CHECK(hank_timer_cancel_wait(t) == -EALREADY);
    CHECK(hk_load_acquire(&called) == 1);
    return 0;
}

Test(call_soon, calls_once)
{
    calls_with_each_size(call_soon);
}

typedef struct record {
    HK_ATOMIC(int) n;
    int order[64];
} record;

typedef struct entry {
    record *r;
    int number;
} entry;

static int write_down(void *arg)
{
    entry *e = arg;
    e->r->order[hk_add_acqrel(&e->r->n, 1)] = e->number;
    return 0;
}

static int soon_in_order(void *arg)
{
    (void)arg;
    record r = {0};
    entry e[30];
    for (int i = 0; i < 30; i++) {
        e[i] = (entry){&r, i};
        if (i % 3 == 0)
            (void)hank_call_soon(write_down, &e[i]);
        else if (i % 3 == 1)
            (void)hank_call_later(-5, write_down, &e[i]);
        else
            (void)hank_call_at(1, write_down, &e[i]);
    }
    CHECK(hk_load_acquire(&r.n) == 0); /* never inside the call that asks */
    YIELD_UNTIL(hk_load_acquire(&r.n) == 30);
    for (int i = 0; i < 30; i++)
        CHECK(r.order[i] == i);
    return 0;
}

Test(call_soon, and_calls_that_are_due_already_begin_in_the_order_in_which_they_were_asked_for)
{
    with_workers(1, soon_in_order, NULL);
}

/* Once more if the first was due before the last was asked for: a busy machine proves nothing. */
static int by_due_time(void *arg)
{
    record r = {0};
    entry e[20];
    hank_ns first = hank_now() + HANK_MS(50);
    for (int i = 0; i < 20; i++) {
        e[i] = (entry){&r, i * 7 % 20};
        (void)hank_call_at(first + HANK_US(100) * e[i].number, write_down, &e[i]);
    }
    bool in_time = hank_now() < first;
    YIELD_UNTIL(hk_load_acquire(&r.n) == 20);
    for (int i = 0; in_time && i < 20; i++)
        CHECK(r.order[i] == i);
    return in_time ? 0 : by_due_time(arg);
}

Test(call_at, calls_in_the_order_of_time_whatever_the_order_of_asking)
{
    with_workers(1, by_due_time, NULL);
}

typedef struct moment {
    hank_ns due;
    flag done;
} moment;

static int not_early(void *arg)
{
    moment *m = arg;
    CHECK(hank_now() >= m->due);
    set(&m->done);
    return 0;
}

static int later_is_not_early(void *arg)
{
    (void)arg;
    moment m[12] = {{0}};
    for (int i = 0; i < 12; i++) {
        m[i].due = hank_now() + HANK_US(300) * i;
        (void)hank_call_later(m[i].due - hank_now(), not_early, &m[i]);
    }
    for (int i = 0; i < 12; i++)
        YIELD_UNTIL(is_set(&m[i].done));
    return 0;
}

Test(call_later, never_calls_early)
{
    calls_with_each_size(later_is_not_early);
}

static int cancel_before(void *arg)
{
    (void)arg;
    flag called = 0;
    hank_stats before, after;
    CHECK(hank_get_stats(&before) == 0);
    for (int i = 0; i < 100; i++) {
        hank_timer t = hank_call_later(HANK_SEC(3600), note, &called);
        CHECK(hank_timer_when(t) > hank_now());
        CHECK(hank_timer_cancel(t) == 0);
        int rc = hank_timer_cancel(t);
        CHECK(rc == 0 || rc == -EALREADY);
        CHECK(hank_timer_when(t) == -ESTALE);
        CHECK(hank_timer_cancel_wait(t) <= 0);
    }
    CHECK(hank_get_stats(&after) == 0 && after.tasks_live == before.tasks_live); /* over at once */
    CHECK(!is_set(&called));
    return 0;
}

Test(timer, that_is_cancelled_is_not_called_and_leaves_nothing)
{
    calls_with_each_size(cancel_before);
}

static int cancel_soon(void *arg)
{
    (void)arg;
    flag called = 0;
    CHECK(hank_timer_cancel(hank_call_soon(note, &called)) == 0);
    for (int i = 0; i < 10; i++)
        (void)hank_yield();
    CHECK(!is_set(&called));
    return 0;
}

Test(timer, of_a_call_that_was_due_soon_may_be_cancelled_too)
{
    with_workers(1, cancel_soon, NULL);
}

static int cancel_at_the_time(void *arg)
{
    (void)arg;
    int cancelled = 0;
    for (int i = 0; i < 300; i++) {
        flag called = 0;
        hank_timer t = hank_call_later(HANK_US(i % 60), note, &called);
        for (int j = 0; j < i % 7; j++)
            (void)hank_yield();
        int rc = hank_timer_cancel_wait(t);
        CHECK(rc == 0 || rc == -EALREADY);
        CHECK(is_set(&called) == (rc == -EALREADY)); /* exactly one of the two */
        cancelled += rc == 0;
    }
    (void)cancelled;
    return 0;
}

Test(timer, cancelled_at_its_time_is_either_called_or_not_and_cancel_says_which)
{
    calls_with_each_size(cancel_at_the_time);
}

typedef struct slow_call {
    flag begun, go, over;
} slow_call;

static int be_slow(void *arg)
{
    slow_call *s = arg;
    set(&s->begun);
    while (!is_set(&s->go))
        (void)hank_yield();
    CHECK(hank_stopped() == 0); /* a late cancel does not touch it */
    set(&s->over);
    return 0;
}

static int wait_for_call(void *arg)
{
    hank_timer t = *(hank_timer *)arg;
    return hank_timer_cancel_wait(t);
}

static int cancel_while_it_runs(void *arg)
{
    (void)arg;
    slow_call s = {0};
    hank_timer t = hank_call_soon(be_slow, &s);
    YIELD_UNTIL(is_set(&s.begun));
    CHECK(hank_timer_cancel(t) == -EALREADY);
    CHECK(hank_timer_when(t) == -ESTALE);
    CHECK(hank_within(HANK_MS(2), hank_timer_cancel_wait(t)) == -ETIMEDOUT);
    hank_task waiters[3];
    for (int i = 0; i < 3; i++)
        waiters[i] = hank_spawn(wait_for_call, &t);
    for (int i = 0; i < 5; i++)
        (void)hank_yield();
    CHECK(!is_set(&s.over));
    set(&s.go);
    for (int i = 0; i < 3; i++)
        CHECK(hank_await(waiters[i]) == -EALREADY);
    CHECK(is_set(&s.over));
    return 0;
}

Test(timer, whose_call_runs_is_not_cancelled_and_may_be_waited_for)
{
    calls_with_each_size(cancel_while_it_runs);
}

typedef struct self_cancel {
    hank_timer t;
    flag ready, done;
} self_cancel;

static int cancel_self(void *arg)
{
    self_cancel *s = arg;
    YIELD_UNTIL(is_set(&s->ready));
    CHECK(hank_timer_cancel(s->t) == -EALREADY);
    CHECK(hank_timer_cancel_wait(s->t) == -EDEADLK);
    set(&s->done);
    return 0;
}

static int call_that_cancels_itself(void *arg)
{
    (void)arg;
    self_cancel s = {0};
    s.t = hank_call_soon(cancel_self, &s);
    set(&s.ready);
    YIELD_UNTIL(is_set(&s.done));
    return 0;
}

Test(timer, cannot_be_waited_for_by_its_own_call)
{
    calls_with_each_size(call_that_cancels_itself);
}

typedef struct chain {
    HK_ATOMIC(int) left;
    flag done;
} chain;

static int call_again(void *arg)
{
    chain *c = arg;
    if (hk_sub_acqrel(&c->left, 1) > 1)
        (void)hank_call_later(HANK_US(50), call_again, c);
    else
        set(&c->done);
    return hank_sleep(HANK_US(10)); /* it may wait: it is a task */
}

static int calls_that_call(void *arg)
{
    (void)arg;
    chain c = {.left = 40};
    (void)hank_call_soon(call_again, &c);
    YIELD_UNTIL(is_set(&c.done));
    return 0;
}

Test(timer, may_ask_for_the_next_call_from_its_own_which_may_wait)
{
    calls_with_each_size(calls_that_call);
}

static int bad_calls(void *arg)
{
    (void)arg;
    hank_timer t = hank_call_soon(NULL, NULL);
    CHECK(hank_timer_cancel(t) == -EINVAL);
    CHECK(hank_timer_cancel_wait(t) == -EINVAL);
    CHECK(hank_timer_when(t) == -EINVAL);
    CHECK(hank_timer_cancel((hank_timer){0}) == -EALREADY);
    CHECK(hank_timer_when((hank_timer){0}) == -ESTALE);
    CHECK(hank_timer_cancel(hank_call_into(NULL, 0, note, NULL)) == -EINVAL);
    return 0;
}

Test(timer, that_could_not_be_made_says_why_each_time)
{
    calls_with_each_size(bad_calls);
    cr_expect_eq(hank_timer_cancel(hank_call_soon(note, NULL)), -EPERM, "outside a task");
    cr_expect_eq(hank_timer_cancel(hank_call_later(5, note, NULL)), -EPERM);
}

/* --- from threads -------------------------------------------------------------------------- */

typedef struct shared_calls {
    hank_runtime *rt;
    flag called;
} shared_calls;

enum { THREADS = 4, CALLS = 100 };

static void *call_from_thread(void *arg)
{
    shared_calls *s = arg;
    for (int i = 0; i < CALLS; i++) {
        (void)hank_call_into(s->rt, i % 2 ? 0 : hank_now() + HANK_US(i), note, &s->called);
        hank_timer t = hank_call_into(s->rt, hank_now() + HANK_SEC(100), note, &s->called);
        CHECK(hank_timer_cancel(t) == 0);
    }
    return NULL;
}

static void call_from_threads(hank_runtime *rt)
{
    shared_calls s = {.rt = rt};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        on_thread(call_from_thread, &s, &threads[i]);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    THREAD_UNTIL(hk_load_acquire(&s.called) == THREADS * CALLS);
    for (int i = 0; i < 20; i++)
        (void)hank_await(into(rt, yield_once, NULL));
    cr_expect_eq(hk_load_acquire(&s.called), THREADS * CALLS);
}

Test(call_into, may_be_used_by_many_threads_at_once)
{
    beside_each_size(call_from_threads);
}

static void call_and_wait_in_thread(hank_runtime *rt)
{
    slow_call s = {0};
    hank_timer t = hank_call_into(rt, 0, be_slow, &s);
    THREAD_UNTIL(is_set(&s.begun));
    cr_expect_eq(hank_within(HANK_MS(2), hank_timer_cancel_wait(t)), -ETIMEDOUT);
    set(&s.go);
    cr_expect_eq(hank_timer_cancel_wait(t), -EALREADY);
    cr_expect(is_set(&s.over));
}

Test(call_into, may_be_waited_for_in_the_thread)
{
    beside_each_size(call_and_wait_in_thread);
}

static void wake_sleeper(hank_runtime *rt)
{
    moment m = {.due = hank_now() + HANK_MS(20)};
    (void)hank_call_into(rt, hank_now() + HANK_SEC(1000), note, NULL); /* later than the next */
    (void)hank_call_into(rt, m.due, not_early, &m);
    THREAD_UNTIL(is_set(&m.done));
}

Test(call_into, is_called_though_all_workers_sleep_towards_a_later_time)
{
    beside_each_size(wake_sleeper);
}

/* --- the end ------------------------------------------------------------------------------- */

static int ask_and_return(void *arg)
{
    for (int i = 0; i < 50; i++) {
        (void)hank_call_later(HANK_SEC(1000 + i), note, arg);
        (void)hank_call_later(HANK_FOREVER, note, arg);
    }
    return 0;
}

Test(timer, is_dropped_when_its_runtime_ends)
{
    for (EACH_SIZE(i)) {
        flag called = 0;
        with_workers(sizes[i], ask_and_return, &called);
        cr_expect(!is_set(&called));
    }
}

static int wait_as_call(void *arg)
{
    set(arg);
    int rc = hank_sleep(HANK_FOREVER);
    CHECK(rc == -ECANCELED);
    set(arg);
    return rc;
}

static int leave_running_call(void *arg)
{
    (void)hank_call_soon(wait_as_call, arg);
    YIELD_UNTIL(is_set(arg));
    return 0;
}

Test(timer, whose_call_runs_when_its_runtime_ends_is_cancelled_and_joined)
{
    for (EACH_SIZE(i)) {
        flag seen = 0;
        with_workers(sizes[i], leave_running_call, &seen);
        cr_expect_eq(hk_load_acquire(&seen), 2);
    }
}

static HK_ATOMIC(int) reports;

static void count_report(void *context, const char *name, int result)
{
    (void)context;
    CHECK(strncmp(name, "fn@0x", 5) == 0);
    CHECK(result == -EIO);
    (void)hk_add_acqrel(&reports, 1);
}

static int fail_call(void *arg)
{
    (void)arg;
    return -EIO;
}

static int ask_for_failure(void *arg)
{
    (void)arg;
    (void)hank_call_soon(fail_call, NULL);
    (void)hank_call_later(HANK_US(20), fail_call, NULL);
    YIELD_UNTIL(hk_load_acquire(&reports) == 2);
    return 0;
}

Test(timer, whose_call_fails_is_reported_at_once)
{
    static const hank_hooks hooks = {.on_error = count_report};
    for (EACH_SIZE(i)) {
        hk_store_relaxed(&reports, 0);
        cr_expect_eq(hank_run_with(ask_for_failure, NULL, .workers = sizes[i], .hooks = &hooks), 0);
        cr_expect_eq(hk_load_relaxed(&reports), 2);
    }
    cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
}

static int churn(void *arg)
{
    (void)arg;
    static hank_timer timers[20000];
    for (int i = 0; i < 20000; i++)
        timers[i] = hank_call_later(HANK_SEC(1000), note, NULL);
    for (int i = 0; i < 20000; i++)
        CHECK(hank_timer_cancel(timers[i]) == 0);
    return 0;
}

Test(timer, leaves_nothing_behind_when_many_are_asked_for_and_cancelled)
{
    calls_with_each_size(churn);
}
