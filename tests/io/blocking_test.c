/* SPDX-License-Identifier: MIT */
/* blocking_test.c - calls on threads that may block. */
#include "io/blocking.h"

#include "io/io_support.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/fault.h"
#include "base/os.h"

static int add_one(void *arg)
{
    int *n = arg;
    return ++*n;
}

static int result_app(void *arg)
{
    (void)arg;
    int n = 41; /* on the stack of the task */
    MUST(hank_blocking(add_one, &n) == 42);
    MUST(n == 42);
    MUST(hank_blocking(NULL, NULL) == -EINVAL);
    return 0;
}

Test(blocking, a_call_returns_what_its_function_returns, .timeout = 60)
{
    run_with_each_size(result_app, NULL);
}

static int thread_id_differs(void *arg)
{
    return pthread_equal(*(pthread_t *)arg, pthread_self()) ? -EPROTO : 0;
}

static int other_thread_app(void *arg)
{
    (void)arg;
    pthread_t mine = pthread_self();
    return hank_blocking(thread_id_differs, &mine);
}

Test(blocking, the_function_runs_on_another_thread_in_a_task_and_right_here_outside)
{
    run_with_each_size(other_thread_app, NULL);
    pthread_t mine = pthread_self();
    cr_assert_eq(hank_blocking(thread_id_differs, &mine), -EPROTO);
}

/* --- how many at once ------------------------------------------------------------------------ */

typedef struct crowd {
    HK_ATOMIC(int) inside;
    HK_ATOMIC(int) most;
    HK_ATOMIC(int) done;
} crowd;

static int be_inside(void *arg)
{
    crowd *c = arg;
    int now = hk_add_relaxed(&c->inside, 1) + 1;
    int most = hk_load_relaxed(&c->most);
    while (now > most && !hk_cas_relaxed(&c->most, &most, now))
        ;
    for (int i = 0; i < 100; i++)
        hk_os_yield(); /* let others come in too */
    (void)hk_sub_relaxed(&c->inside, 1);
    return hk_add_relaxed(&c->done, 1);
}

static int call_be_inside(void *arg)
{
    return hank_blocking(be_inside, arg);
}

static int cap_app(void *arg)
{
    crowd c = {0};
    hank_group g = {0};
    for (int i = 0; i < 200; i++)
        MUST_OK(hank_group_spawn(&g, call_be_inside, &c));
    MUST_OK(hank_group_wait(&g));
    MUST(hk_load_relaxed(&c.done) == 200);
    MUST(hk_load_relaxed(&c.most) <= *(int *)arg);
    return 0;
}

Test(blocking, no_more_run_at_once_than_allowed_and_all_run, .timeout = 60)
{
    int cap = 3;
    int before = threads_now();
    for (unsigned workers = 1; workers <= 8; workers *= 2)
        cr_assert_eq(hank_run_with(cap_app, &cap, .workers = workers, .blocking_threads = 3), 0);
    /* A joined thread stays in the kernel's list for a moment; and a tool may have begun one. */
    hank_ns give_up = hank_now() + HANK_SEC(10);
    while (threads_now() > before && hank_now() < give_up)
        hk_os_yield();
    cr_assert_leq(threads_now(), before + HK_TSAN, "the end of the runtime joins them");
}

/* Every function waits until all have begun: only a pool that starts a thread for each gets by. */
static int meet(void *arg)
{
    crowd *c = arg;
    (void)hk_add_relaxed(&c->inside, 1);
    hank_ns give_up = hank_now() + HANK_SEC(10);
    while (hk_load_relaxed(&c->inside) < 8 && hank_now() < give_up)
        hk_os_yield();
    return hk_load_relaxed(&c->inside) >= 8 ? 0 : -ETIME;
}

static int call_meet(void *arg)
{
    return hank_blocking(meet, arg);
}

static int meet_app(void *arg)
{
    (void)arg;
    int n = 0;
    for (int round = 0; round < 20; round++) {
        crowd c = {0};
        hank_group g = {0};
        if (round % 2) /* one thread is idle, or just about to be */
            MUST_OK(hank_blocking(add_one, &n));
        for (int i = 0; i < 8; i++)
            MUST_OK(hank_group_spawn(&g, call_meet, &c));
        MUST_OK(hank_group_wait(&g));
    }
    return 0;
}

Test(blocking, functions_that_wait_for_each_other_all_get_a_thread, .timeout = 60)
{
    run_with_each_size(meet_app, NULL);
}

/* --- stops ----------------------------------------------------------------------------------- */

typedef struct gate {
    sem_t open;
    HK_ATOMIC(int) begun;
    int called; /* of the second job */
} gate;

static int wait_at_gate(void *arg)
{
    gate *g = arg;
    (void)hk_add_relaxed(&g->begun, 1);
    while (sem_wait(&g->open) != 0)
        ;
    return 7;
}

static int call_gate(void *arg)
{
    return hank_blocking(wait_at_gate, arg);
}

static int count_call(void *arg)
{
    ((gate *)arg)->called++;
    return 0;
}

static int call_count(void *arg)
{
    return hank_blocking(count_call, arg);
}

static int stop_queued_app(void *arg)
{
    (void)arg;
    gate g = {0};
    MUST(sem_init(&g.open, 0, 0) == 0);
    hank_task holder = hank_spawn(call_gate, &g);
    YIELD_UNTIL(hk_load_relaxed(&g.begun) == 1);
    hank_task queued = hank_spawn(call_count, &g);
    for (int i = 0; i < 100; i++)
        (void)hank_yield();
    hank_cancel(queued);
    MUST(hank_await(queued) == -ECANCELED);
    MUST(g.called == 0);
    MUST(hank_within(HANK_MS(5), hank_blocking(count_call, &g)) == -ETIMEDOUT);
    MUST(g.called == 0);
    (void)sem_post(&g.open);
    MUST(hank_await(holder) == 7);
    MUST_OK(hank_blocking(count_call, &g));
    MUST(g.called == 1);
    return 0;
}

Test(blocking, a_call_that_is_stopped_before_its_turn_is_not_made, .timeout = 60)
{
    for (unsigned workers = 1; workers <= 8; workers *= 2)
        cr_assert_eq(
            hank_run_with(stop_queued_app, NULL, .workers = workers, .blocking_threads = 1), 0);
}

static void *open_later(void *arg)
{
    for (int i = 0; i < 1000; i++)
        hk_os_yield(); /* most likely the caller is waiting by then; right either way */
    (void)sem_post(&((gate *)arg)->open);
    return NULL;
}

static int stop_running_app(void *arg)
{
    (void)arg;
    gate g = {0};
    pthread_t opener;
    MUST(sem_init(&g.open, 0, 0) == 0);
    hank_task caller = hank_spawn(call_gate, &g);
    YIELD_UNTIL(hk_load_relaxed(&g.begun) == 1);
    hank_cancel(caller);
    MUST(pthread_create(&opener, NULL, open_later, &g) == 0);
    MUST(hank_await(caller) == 7); /* waited for, and its result kept */
    pthread_join(opener, NULL);
    return 0;
}

Test(blocking, a_call_that_runs_is_waited_for_when_stopped, .timeout = 60)
{
    run_with_each_size(stop_running_app, NULL);
}

static int stop_race_app(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        gate g = {0};
        hank_task caller = hank_spawn(call_count, &g);
        for (int j = 0; j < i % 4; j++)
            (void)hank_yield();
        hank_cancel(caller);
        int rc = hank_await(caller);
        MUST((rc == 0 && g.called == 1) || (rc == -ECANCELED && g.called == 0));
    }
    return 0;
}

Test(blocking, a_stop_at_any_moment_agrees_with_what_happened, .timeout = 60)
{
    run_with_each_size(stop_race_app, NULL);
}

/* --- jobs that may be left behind ------------------------------------------------------------ */

typedef struct left_job {
    hk_job job;
    sem_t *open;
    HK_ATOMIC(int) * begun;
    HK_ATOMIC(int) * freed;
} left_job;

static int run_left(hk_job *job)
{
    left_job *l = hk_container_of(job, left_job, job);
    (void)hk_add_relaxed(l->begun, 1);
    while (sem_wait(l->open) != 0)
        ;
    return 0;
}

static void free_left(hk_job *job)
{
    left_job *l = hk_container_of(job, left_job, job);
    HK_ATOMIC(int) *freed = l->freed;
    hk_free(l, sizeof *l);
    (void)hk_add_relaxed(freed, 1);
}

static sem_t left_open;
static HK_ATOMIC(int) left_begun, left_freed;

static int leave_behind(void *arg)
{
    (void)arg;
    left_job *l = hk_alloc_zeroed(sizeof *l);
    if (!l)
        return -ENOMEM;
    *l = (left_job){.job = {.run = run_left, .abandoned = free_left},
                    .open = &left_open,
                    .begun = &left_begun,
                    .freed = &left_freed};
    int rc = hk_blocking_run(&l->job, HK_LANE_NAMES);
    if (rc == 0)
        free_left(&l->job);
    return rc;
}

static int left_behind_app(void *arg)
{
    hank_task caller = hank_spawn(leave_behind, NULL);
    YIELD_UNTIL(hk_load_relaxed(&left_begun) == 1);
    hank_cancel(caller);
    MUST(hank_await(caller) == -ECANCELED); /* although it still runs */
    MUST(hk_load_relaxed(&left_freed) == 0);
    int n = 0;
    MUST_OK(hank_blocking(add_one, &n)); /* the other lane does not notice */
    if (arg)
        (void)sem_post(&left_open);
    return 0;
}

Test(blocking, a_lookup_that_hangs_is_left_behind_and_ends_itself, .timeout = 60)
{
    int now = 1;
    for (unsigned workers = 1; workers <= 8; workers *= 2) {
        for (int when = 0; when < 2; when++) { /* before the runtime's end, and long after */
            cr_assert_eq(sem_init(&left_open, 0, 0), 0);
            hk_store_relaxed(&left_begun, 0);
            hk_store_relaxed(&left_freed, 0);
            int rc = hank_run_with(left_behind_app, when ? NULL : &now, .workers = workers);
            cr_assert_eq(rc, 0);
            if (when)
                (void)sem_post(&left_open);
            hank_ns give_up = hank_now() + HANK_SEC(10);
            while (hk_load_relaxed(&left_freed) == 0 && hank_now() < give_up)
                hk_os_yield();
            cr_assert_eq(hk_load_relaxed(&left_freed), 1);
        }
    }
}

/* More of one lane than it has threads: the other lane does not notice. */
static int names_held_up_app(void *arg)
{
    enum { LOOKUPS = HK_NAME_THREADS_MAX + 4 };
    hank_task lookups[LOOKUPS];
    int n = 0;
    (void)arg;
    for (int i = 0; i < LOOKUPS; i++)
        lookups[i] = hank_spawn(leave_behind, NULL);
    YIELD_UNTIL(hk_load_relaxed(&left_begun) == HK_NAME_THREADS_MAX);
    MUST(hank_within(HANK_SEC(20), hank_blocking(add_one, &n)) == 1);
    MUST(hk_load_relaxed(&left_begun) == HK_NAME_THREADS_MAX); /* and no more than these */
    for (int i = 0; i < LOOKUPS; i++)
        (void)sem_post(&left_open);
    for (int i = 0; i < LOOKUPS; i++)
        MUST_OK(hank_await(lookups[i]));
    return 0;
}

Test(blocking, lookups_that_hang_hold_up_no_other_calls, .timeout = 60)
{
    for (unsigned workers = 1; workers <= 8; workers *= 2) {
        cr_assert_eq(sem_init(&left_open, 0, 0), 0);
        hk_store_relaxed(&left_begun, 0);
        cr_assert_eq(hank_run_with(names_held_up_app, NULL, .workers = workers), 0);
    }
}

static int calls_held_up_app(void *arg)
{
    gate g = {0};
    hank_address list[HANK_RESOLVE_MAX];
    hank_task callers[4];
    (void)arg;
    MUST(sem_init(&g.open, 0, 0) == 0);
    for (int i = 0; i < 4; i++)
        callers[i] = hank_spawn(call_gate, &g);
    YIELD_UNTIL(hk_load_relaxed(&g.begun) == 2);
    MUST(hank_resolve("tcp://localhost:80", list, HANK_RESOLVE_MAX) >= 1);
    MUST(hk_load_relaxed(&g.begun) == 2);
    for (int i = 0; i < 4; i++)
        (void)sem_post(&g.open);
    for (int i = 0; i < 4; i++)
        MUST(hank_await(callers[i]) == 7);
    return 0;
}

Test(blocking, calls_that_hang_hold_up_no_lookups, .timeout = 60)
{
    (void)setenv("HANK_RESOLVER", "system", 1); /* on threads, as no other resolver is */
    for (unsigned workers = 1; workers <= 8; workers *= 2)
        cr_assert_eq(
            hank_run_with(calls_held_up_app, NULL, .workers = workers, .blocking_threads = 2), 0);
}

/* --- no threads ------------------------------------------------------------------------------ */

#if HK_FAULTS
static int no_thread_app(void *arg)
{
    (void)arg;
    gate g = {0};
    hk_fault_plan(HK_FAULT_THREAD, 1, -EAGAIN);
    int rc = hank_blocking(count_call, &g);
    hk_fault_clear();
    MUST(rc == -EAGAIN && g.called == 0);
    MUST_OK(hank_blocking(count_call, &g)); /* the next one tries again */
    hk_fault_plan(HK_FAULT_ALLOC, 1, -ENOMEM);
    rc = hank_blocking(count_call, &g); /* there is a thread: nothing to allocate */
    hk_fault_clear();
    MUST_OK(rc);
    MUST(g.called == 2);
    return 0;
}

Test(blocking, without_any_thread_the_call_fails_and_is_not_made, .timeout = 60)
{
    run_with_each_size(no_thread_app, NULL);
}

static int some_thread_app(void *arg)
{
    (void)arg;
    for (uint64_t n = 1; n < 10; n++) {
        crowd c = {0};
        hank_task calls[10];
        int results[10], done = 0;
        hk_fault_plan(HK_FAULT_THREAD, n, -EAGAIN);
        for (int i = 0; i < 10; i++)
            calls[i] = hank_spawn(call_be_inside, &c);
        for (int i = 0; i < 10; i++) {
            results[i] = hank_await(calls[i]);
            MUST(results[i] >= 0 || results[i] == -EAGAIN);
            done += results[i] >= 0;
        }
        hk_fault_clear();
        MUST(hk_load_relaxed(&c.done) == done);
    }
    return 0;
}

Test(blocking, a_thread_that_cannot_start_strands_no_call, .timeout = 60)
{
    run_with_each_size(some_thread_app, NULL);
}
#endif
