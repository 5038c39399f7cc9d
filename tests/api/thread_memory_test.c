/* SPDX-License-Identifier: MIT */
/* thread_memory_test.c - a thread that waits for the first time while there is no memory.
 *
 * Criterion runs each of these in a process of its own, whose first thread has not waited yet. */
#include "base/fault.h"

#include "api/child_support.h"
#include "api/thread_support.h"

#include <errno.h>

#if HK_FAULTS

/* The next memory that this thread asks for is not there; a runtime's workers may be about to ask
 * for theirs. */
static void starve(void)
{
    hk_fault_plan_here(HK_FAULT_MAP, 1, -ENOMEM);
}

/* Whether it has asked; from here on there is memory. */
static bool was_refused(void)
{
    bool hit = hk_fault_hit();
    hk_fault_clear();
    return hit;
}

static hank_event event;
static hank_sem sem = {.count = 1};
static hank_mutex mutex;
static hank_rwlock rwlock;
static hank_promise promise;
static hank_barrier barrier = {.parties = 1};
static hank_once once;
static hank_limiter limiter = {.tokens = 1000};

static int sleeps(void)
{
    return hank_sleep(1);
}

static int waits_for_an_event(void)
{
    return hank_event_wait(&event);
}

static int takes_a_permit(void)
{
    return hank_sem_acquire(&sem);
}

static int locks(void)
{
    return hank_mutex_lock_stoppable(&mutex);
}

static int locks_to_write(void)
{
    return hank_rwlock_wrlock_stoppable(&rwlock);
}

static int awaits_a_promise(void)
{
    return hank_promise_await(&promise, NULL);
}

static int meets(void)
{
    return hank_barrier_wait(&barrier);
}

static int runs_once(void)
{
    return hank_once_run(&once, give_back, NULL);
}

static int takes_a_token(void)
{
    return hank_limiter_acquire(&limiter, 1);
}

/* Each says so, and does the same again well. */
static void expect_to_say_so(int (*call)(void), const char *name)
{
    starve();
    int rc = call();
    bool refused = was_refused();
    cr_expect_eq(rc, -ENOMEM, "%s: %d", name, rc);
    cr_expect(refused, "%s asked for none", name);
}

Test(thread_memory, is_asked_for_by_the_first_wait_which_says_that_there_is_none)
{
    hank_event_set(&event);
    (void)hank_promise_set(&promise, NULL);
#define TRY(call) expect_to_say_so(call, #call)
    TRY(sleeps);
    TRY(waits_for_an_event);
    TRY(takes_a_permit);
    TRY(locks);
    TRY(locks_to_write);
    TRY(awaits_a_promise);
    TRY(meets);
    TRY(runs_once);
    TRY(takes_a_token);
    cr_expect_eq(sleeps(), 0);
    starve();
    cr_expect_eq(waits_for_an_event(), 0, "it has what it needs");
    cr_expect_eq(takes_a_permit(), 0);
    cr_expect_eq(locks(), 0);
    cr_expect_not(was_refused());
}

Test(thread_memory, is_not_asked_for_by_what_only_looks)
{
    static int initial;
    static const hank_local key = {.initial = &initial};
    starve();
    cr_expect_eq(hank_stopped(), 0);
    cr_expect_eq(hank_yield(), 0);
    cr_expect_eq(hank_deadline(), HANK_FOREVER);
    cr_expect_eq(hank_local_get(&key), &initial);
    cr_expect_not(was_refused());
}

/* The runtime has its memory; the caller has not waited yet. */
Test(thread_memory, is_asked_for_by_who_awaits_a_task_and_keeps_its_handle)
{
    hank_runtime *rt;
    cr_assert_eq(hank_runtime_start(&(hank_options){.workers = 2}, &rt), 0);
    hank_task t = into(rt, give_back, number(3));
    while (hank_is_done(t) == 0)
        continue;
    starve();
    int rc = hank_await(t);
    bool refused = was_refused();
    cr_expect_eq(rc, -ENOMEM, "%d", rc);
    cr_expect(refused);
    cr_expect_eq(hank_await(t), 3);
    cr_expect_eq(hank_runtime_free(rt), 0);
}

Test(thread_memory, is_asked_for_by_who_waits_for_a_runtime_which_goes_on)
{
    static int (*const calls[])(hank_runtime *) = {hank_runtime_wait, hank_runtime_free};
    hank_runtime *rt;
    cr_assert_eq(hank_runtime_start(&(hank_options){.workers = 2}, &rt), 0);
    for (size_t i = 0; i < 2; i++) {
        starve();
        int rc = calls[i](rt);
        bool refused = was_refused();
        cr_expect_eq(rc, -ENOMEM, "%d", rc);
        cr_expect(refused);
    }
    cr_expect_eq(hank_await(into(rt, give_back, number(3))), 3);
    cr_expect_eq(hank_runtime_free(rt), 0);
}

/* --- what cannot say so -------------------------------------------------------------------- */

typedef struct hopeless {
    void (*call)(void);
    int output;
} hopeless;

static void lock(void)
{
    hank_mutex_lock(&mutex);
}

static void lock_to_read(void)
{
    hank_rwlock_rdlock(&rwlock);
    hank_rwlock_wrlock(&rwlock);
}

static void begin_a_timeout(void)
{
    hank_scope scope;
    hank_timeout_begin(&scope, HANK_SEC(1));
}

static int call_and_die(void *arg)
{
    hopeless *h = arg;
    (void)dup2(h->output, 2);
    starve();
    h->call();
    return 0;
}

Test(thread_memory, of_which_there_is_none_is_a_panic_in_calls_that_cannot_fail)
{
    static void (*const calls[])(void) = {lock, lock_to_read, begin_a_timeout};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        int pipes[2];
        char text[200] = "";
        cr_assert_eq(pipe(pipes), 0);
        int status = in_process(call_and_die, &(hopeless){calls[i], pipes[1]});
        cr_expect(died_of(status, SIGABRT), "call %zu", i);
        cr_expect_gt(read(pipes[0], text, sizeof text - 1), 0);
        cr_expect(strstr(text, "no memory for a thread that wants to wait"), "%s", text);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
    }
}

#endif
