/* SPDX-License-Identifier: MIT */
/* pool_test.c - pools of one's own: how many at once, who waits where, what a stop leaves. */
#include "io/io_support.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/fault.h"
#include "base/os.h"

typedef HK_ATOMIC(int) number;

static int get(number *n)
{
    return hk_load_acquire(n);
}

static void up(number *n)
{
    (void)hk_add_acqrel(n, 1);
}

static hank_pool *new_pool(const hank_pool_options *options)
{
    hank_pool *p = NULL;
    return hank_pool_new(options, &p) == 0 ? p : NULL;
}

static int add_one(void *arg)
{
    return *(int *)arg + 1;
}

static int fail(void *arg)
{
    (void)arg;
    return -EIO;
}

static int thread_name_is_db(void *arg)
{
    char name[16];
    (void)arg;
    return pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcmp(name, "db") == 0;
}

static int is_no_task(void *arg)
{
    (void)arg;
    return hank_runtime_current() == NULL && hank_await(hank_spawn(add_one, arg)) == -EPERM;
}

static int call_app(void *arg)
{
    int n = 41;
    hank_pool *p = new_pool(&(hank_pool_options){.name = "db", .threads = 2});
    (void)arg;
    MUST(p);
    MUST(hank_pool_call(p, add_one, &n) == 42);
    MUST(hank_pool_call(p, fail, NULL) == -EIO);
    MUST(hank_pool_call(p, thread_name_is_db, NULL) == 1);
    MUST(hank_pool_call(p, is_no_task, NULL) == 1);
    MUST(hank_pool_call_with(p, add_one, &n, .copy = sizeof n) == 42);
    MUST(hank_pool_call_with(p, add_one, &n, .copy = sizeof n, .abandon = true) == 42);
    MUST(hank_pool_call_with(p, add_one, &n, .nowait = true) == 42);
    hank_pool_free(p);
    return 0;
}

Test(pool, calls_on_a_thread_of_its_name_and_returns_the_result, .timeout = 60)
{
    run_with_each_size(call_app, NULL);
    cr_expect_eq(call_app(NULL), 0, "from a plain thread, too");
}

Test(pool, refuses_options_and_calls_that_make_no_sense)
{
    hank_pool *p = NULL;
    hank_pool_stats stats;
    int n = 1;
    cr_expect_eq(hank_pool_new(NULL, NULL), -EINVAL);
    cr_expect_eq(hank_pool_new(&(hank_pool_options){.threads = 5000}, &p), -EINVAL);
    cr_expect_eq(hank_pool_new(&(hank_pool_options){.idle = -1}, &p), -EINVAL);
    cr_expect_eq(hank_pool_new(&(hank_pool_options){.linger = -1}, &p), -EINVAL);
    cr_expect_null(p);
    cr_expect_eq(hank_pool_new(NULL, &p), 0);
    cr_expect_eq(hank_pool_call(p, NULL, NULL), -EINVAL);
    cr_expect_eq(hank_pool_call(NULL, add_one, &n), -EINVAL);
    cr_expect_eq(hank_pool_call_with(p, add_one, &n, .copy = 1 << 20), -EINVAL);
    cr_expect_eq(hank_pool_call_with(p, add_one, NULL, .copy = 4), -EINVAL);
    cr_expect_eq(hank_pool_post(p, add_one, NULL, 4), -EINVAL);
    cr_expect_eq(hank_pool_post(p, add_one, &n, 0), -EINVAL);
    cr_expect_eq(hank_pool_post(p, NULL, NULL, 0), -EINVAL);
    cr_expect_eq(hank_pool_get_stats(NULL, &stats), -EINVAL);
    cr_expect_eq(hank_pool_get_stats(p, NULL), -EINVAL);
    hank_pool_free(p);
    hank_pool_free(NULL);
}

/* --- how many ------------------------------------------------------------------------------ */

typedef struct crowd {
    hank_pool *pool;
    number inside, most, done;
} crowd;

static int be_inside(void *arg)
{
    crowd *c = arg;
    int now = hk_add_acqrel(&c->inside, 1) + 1, most = get(&c->most);
    while (now > most && !hk_cas_acqrel(&c->most, &most, now))
        continue;
    for (int i = 0; i < 50; i++)
        hk_os_yield(); /* let others come in too */
    (void)hk_sub_acqrel(&c->inside, 1);
    return hk_add_acqrel(&c->done, 1) < 0;
}

static int call_be_inside(void *arg)
{
    return hank_pool_call(((crowd *)arg)->pool, be_inside, arg);
}

static int cap_app(void *arg)
{
    (void)arg;
    hank_pool_stats stats;
    crowd c = {.pool = new_pool(&(hank_pool_options){.threads = 3, .queue = 5})};
    hank_group g = {0};
    for (int i = 0; i < 150; i++)
        MUST_OK(hank_group_spawn(&g, call_be_inside, &c));
    MUST_OK(hank_group_wait(&g));
    MUST(get(&c.done) == 150 && get(&c.most) <= 3);
    MUST(hank_pool_get_stats(c.pool, &stats) == 0);
    MUST(stats.done == 150 && stats.queued == 0 && stats.running == 0 && stats.threads <= 3);
    hank_pool_free(c.pool);
    return 0;
}

Test(pool, runs_no_more_at_once_than_its_threads_and_forgets_none_of_those_that_wait, .timeout = 60)
{
    run_with_each_size(cap_app, NULL);
}

static int meet(void *arg)
{
    crowd *c = arg;
    up(&c->inside);
    hank_ns give_up = hank_now() + HANK_SEC(20);
    while (get(&c->inside) < 6 && hank_now() < give_up)
        hk_os_yield();
    return get(&c->inside) >= 6 ? 0 : -ETIME;
}

static int call_meet(void *arg)
{
    return hank_pool_call(((crowd *)arg)->pool, meet, arg);
}

static int grow_app(void *arg)
{
    (void)arg;
    crowd c = {.pool = new_pool(&(hank_pool_options){.threads = 6, .queue = 1})};
    hank_group g = {0};
    for (int i = 0; i < 6; i++)
        MUST_OK(hank_group_spawn(&g, call_meet, &c));
    MUST_OK(hank_group_wait(&g));
    hank_pool_free(c.pool);
    return 0;
}

Test(pool, grows_until_calls_that_wait_for_each_other_all_run, .timeout = 60)
{
    run_with_each_size(grow_app, NULL);
}

static int shrink_app(void *arg)
{
    (void)arg;
    int n = 1;
    hank_pool_stats stats;
    hank_pool *p = new_pool(&(hank_pool_options){.threads = 4, .idle = HANK_MS(5)});
    MUST(hank_pool_call(p, add_one, &n) == 2);
    YIELD_UNTIL(hank_pool_get_stats(p, &stats) == 0 && stats.threads == 0);
    MUST(hank_pool_call(p, add_one, &n) == 2);
    hank_pool_free(p);
    return 0;
}

Test(pool, ends_threads_that_have_nothing_to_do_and_starts_them_again, .timeout = 60)
{
    run_with_each_size(shrink_app, NULL);
}

/* --- a full queue -------------------------------------------------------------------------- */

typedef struct gate {
    hank_pool *pool;
    sem_t open;
    number begun, ended;
} gate;

static int wait_at_gate(void *arg)
{
    gate *g = arg;
    up(&g->begun);
    while (sem_wait(&g->open) != 0)
        continue;
    up(&g->ended);
    return 7;
}

static int call_gate(void *arg)
{
    return hank_pool_call(((gate *)arg)->pool, wait_at_gate, arg);
}

static int post_gate(void *arg)
{
    return hank_pool_post(((gate *)arg)->pool, wait_at_gate, arg, 0) == -EINVAL ? 0 : -EPROTO;
}

static uint64_t queued(hank_pool *p)
{
    hank_pool_stats stats = {0};
    (void)hank_pool_get_stats(p, &stats);
    return stats.queued;
}

static void gate_make(gate *g, unsigned queue)
{
    *g = (gate){.pool = new_pool(&(hank_pool_options){.threads = 1, .queue = queue})};
    (void)sem_init(&g->open, 0, 0);
}

static int full_app(void *arg)
{
    (void)arg;
    gate g;
    int n = 1;
    gate_make(&g, 2);
    hank_task t[4];
    for (int i = 0; i < 4; i++) { /* one runs, two are in the queue, one is at the door */
        t[i] = hank_spawn(call_gate, &g);
        YIELD_UNTIL(get(&g.begun) == 1 && queued(g.pool) == (uint64_t)i);
        if (i >= 2)
            MUST(hank_pool_call_with(g.pool, add_one, &n, .nowait = true) == -EAGAIN);
    }
    MUST(hank_pool_call_with(g.pool, add_one, &n, .nowait = true, .copy = sizeof n,
                             .abandon = true) == -EAGAIN);
    MUST(post_gate(&g) == 0);
    for (int i = 0; i < 4; i++)
        (void)sem_post(&g.open);
    for (int i = 0; i < 4; i++)
        MUST(hank_await(t[i]) == 7);
    MUST(hank_pool_call_with(g.pool, add_one, &n, .nowait = true) == 2);
    hank_pool_free(g.pool);
    return 0;
}

Test(pool, that_is_full_lets_callers_wait_at_the_door_or_says_so, .timeout = 60)
{
    run_with_each_size(full_app, NULL);
}

static int stop_at_the_door_app(void *arg)
{
    (void)arg;
    gate g;
    gate_make(&g, 1);
    hank_task t[3];
    for (int i = 0; i < 3; i++) {
        t[i] = hank_spawn(call_gate, &g);
        YIELD_UNTIL(get(&g.begun) == 1 && queued(g.pool) == (uint64_t)i);
    }
    MUST(hank_cancel(t[2]) == 0 && hank_await(t[2]) == -ECANCELED); /* at the door */
    MUST(queued(g.pool) == 1);
    MUST(hank_cancel(t[1]) == 0 && hank_await(t[1]) == -ECANCELED); /* in the queue */
    MUST(queued(g.pool) == 0);
    MUST(hank_cancel(t[0]) == 0); /* it runs: it is waited for, and its result stands */
    (void)sem_post(&g.open);
    MUST(hank_await(t[0]) == 7);
    MUST(get(&g.begun) == 1);
    hank_pool_free(g.pool);
    return 0;
}

Test(pool, takes_back_a_stopped_call_that_has_not_begun_and_waits_for_one_that_has, .timeout = 60)
{
    run_with_each_size(stop_at_the_door_app, NULL);
}

/* --- abandoning ---------------------------------------------------------------------------- */

typedef struct letter {
    gate *gate;
    int pages[50];
} letter;

static int read_letter(void *arg)
{
    letter *l = arg;
    int sum = 0;
    (void)wait_at_gate(l->gate);
    for (int i = 0; i < 50; i++)
        sum += l->pages[i];
    if (sum == 50)
        up(&l->gate->ended);
    return sum;
}

static int call_and_be_stopped(void *arg)
{
    letter l = {.gate = arg};
    for (int i = 0; i < 50; i++)
        l.pages[i] = 1;
    return hank_pool_call_with(l.gate->pool, read_letter, &l, .copy = sizeof l, .abandon = true);
}

static int abandon_app(void *arg)
{
    (void)arg;
    gate g;
    gate_make(&g, 0);
    hank_task t = hank_spawn(call_and_be_stopped, &g);
    YIELD_UNTIL(get(&g.begun) == 1);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED); /* though the call still runs */
    MUST(get(&g.ended) == 0);
    hank_task queued_one = hank_spawn(call_and_be_stopped, &g);
    YIELD_UNTIL(queued(g.pool) == 1);
    MUST(hank_cancel(queued_one) == 0 && hank_await(queued_one) == -ECANCELED);
    (void)sem_post(&g.open);
    YIELD_UNTIL(get(&g.ended) == 2); /* with its own copy of what is gone here */
    MUST(get(&g.begun) == 1);
    hank_pool_free(g.pool);
    return 0;
}

Test(pool, leaves_an_abandoned_call_running_with_its_copy, .timeout = 60)
{
    run_with_each_size(abandon_app, NULL);
}

static int leave_behind_app(void *arg)
{
    (void)arg;
    static gate g;
    g = (gate){.pool = new_pool(&(hank_pool_options){.threads = 1, .linger = HANK_MS(5)})};
    (void)sem_init(&g.open, 0, 0);
    hank_task t = hank_spawn(call_and_be_stopped, &g);
    YIELD_UNTIL(get(&g.begun) == 1);
    MUST(hank_cancel(t) == 0 && hank_await(t) == -ECANCELED);
    letter dropped = {.gate = &g};
    MUST(hank_pool_post(g.pool, read_letter, &dropped, sizeof dropped) == 0);
    hank_pool_free(g.pool); /* does not wait for ever */
    MUST(get(&g.ended) == 0);
    (void)sem_post(&g.open);
    YIELD_UNTIL(get(&g.ended) == 2);
    MUST(get(&g.begun) == 1); /* what was posted behind it was dropped */
    return 0;
}

Test(pool, that_is_freed_leaves_a_thread_in_an_abandoned_call_behind_after_a_while, .timeout = 60)
{
    run_with_each_size(leave_behind_app, NULL);
}

/* --- posting ------------------------------------------------------------------------------- */

typedef struct parcel {
    number *sum;
    int weight;
} parcel;

static int weigh(void *arg)
{
    parcel *p = arg;
    (void)hk_add_acqrel(p->sum, p->weight);
    return -EIO; /* lost */
}

static int post_app(void *arg)
{
    (void)arg;
    number sum = 0;
    hank_pool *p = new_pool(&(hank_pool_options){.threads = 2, .queue = 3});
    for (int i = 1; i <= 100; i++) {
        parcel mine = {&sum, i};
        MUST(hank_pool_post(p, weigh, &mine, sizeof mine) == 0);
    }
    hank_pool_free(p); /* after what was posted */
    MUST(get(&sum) == 5050);
    return 0;
}

Test(pool, makes_every_posted_call_with_its_copy_before_it_is_freed, .timeout = 60)
{
    run_with_each_size(post_app, NULL);
    cr_expect_eq(post_app(NULL), 0, "from a plain thread, too");
}

typedef struct poster {
    gate *gate;
    number *sum;
} poster;

static int post_one(void *arg)
{
    poster *o = arg;
    parcel p = {o->sum, 1};
    return hank_pool_post(o->gate->pool, weigh, &p, sizeof p);
}

static int back_pressure_app(void *arg)
{
    (void)arg;
    gate g;
    number sum = 0;
    gate_make(&g, 1);
    poster o = {&g, &sum};
    hank_task blocker = hank_spawn(call_gate, &g);
    YIELD_UNTIL(get(&g.begun) == 1);
    MUST(post_one(&o) == 0); /* in the queue */
    hank_task second = hank_spawn(post_one, &o), third = hank_spawn(post_one, &o);
    YIELD_UNTIL(queued(g.pool) == 3);
    MUST(hank_within(HANK_MS(2), post_one(&o)) == -ETIMEDOUT);
    MUST(queued(g.pool) == 3);
    MUST(hank_cancel(third) == 0 && hank_await(third) == -ECANCELED);
    MUST(queued(g.pool) == 2 && get(&sum) == 0);
    (void)sem_post(&g.open);
    MUST(hank_await(second) == 0 && hank_await(blocker) == 7);
    YIELD_UNTIL(get(&sum) == 2);
    hank_pool_free(g.pool);
    MUST(get(&sum) == 2);
    return 0;
}

Test(pool, that_is_full_slows_down_who_posts_until_there_is_room_or_a_stop, .timeout = 60)
{
    run_with_each_size(back_pressure_app, NULL);
}

static int post_and_stop_app(void *arg)
{
    (void)arg;
    number sum = 0;
    gate g;
    gate_make(&g, 1);
    int accepted = 0;
    poster o = {&g, &sum};
    for (int i = 0; i < 300; i++)
        (void)sem_post(&g.open);
    for (int i = 0; i < 100; i++) {
        hank_task calls[2] = {hank_spawn(call_gate, &g), hank_spawn(call_gate, &g)};
        hank_task t = hank_spawn(post_one, &o);
        for (int j = 0; j < i % 5; j++)
            (void)hank_yield();
        (void)hank_cancel(t);
        accepted += hank_await(t) == 0;
        MUST_OK(hank_gather_n(calls, 2, NULL));
    }
    hank_pool_free(g.pool);
    MUST(get(&sum) == accepted); /* each is called if and only if it was accepted */
    return 0;
}

Test(pool, makes_a_posted_call_if_and_only_if_it_was_accepted, .timeout = 60)
{
    run_with_each_size(post_and_stop_app, NULL);
}

#if HK_FAULTS
static int no_thread_app(void *arg)
{
    (void)arg;
    int n = 1;
    number sum = 0;
    parcel mine = {&sum, 1};
    hank_pool *p = new_pool(NULL);
    hk_fault_plan(HK_FAULT_THREAD, 1, -EAGAIN);
    int rc = hank_pool_call(p, add_one, &n);
    hk_fault_clear();
    MUST(rc == -EAGAIN);
    hk_fault_plan(HK_FAULT_THREAD, 1, -EAGAIN);
    rc = hank_pool_post(p, weigh, &mine, sizeof mine);
    hk_fault_clear();
    MUST(rc == 0 && get(&sum) == 0); /* it was in the queue when the thread failed: dropped */
    MUST(hank_pool_call(p, add_one, &n) == 2);
    hank_pool_free(p);
    return 0;
}

Test(pool, without_a_thread_to_be_had_says_so_and_tries_again_next_time, .timeout = 60)
{
    run_with_each_size(no_thread_app, NULL);
}
#endif
