/* SPDX-License-Identifier: MIT */
/* fork_calls_test.c - what calls answer in a forked child: every one does, at once and after the
 * child has run a runtime of its own. */
#include "api/fork_support.h"

#include <hank/pool.h>

#include <errno.h>

typedef struct belongings {
    hank_runtime *rt;
    hank_task task, ended;
    hank_chan *chan;
    hank_event event;
    hank_sem sem;
    hank_mutex mutex, taken;
    hank_rwlock rwlock;
    hank_cond cond;
    hank_promise promise;
    hank_barrier barrier;
    hank_once once;
    hank_limiter limiter;
    hank_timer call;
    hank_pool *pool;
    flag locked;
} belongings;

/* What has threads in the parent, and never any here. */
static int call_the_parent(belongings *b)
{
    int n = 1;
    hank_stats stats;
    hank_pool_stats pool_stats;
    WANT(hank_await(b->task) == -ESHUTDOWN);
    WANT(hank_await(b->ended) == -ESHUTDOWN);
    WANT(hank_detach(b->task) == -ESHUTDOWN);
    WANT(hank_await(hank_spawn_into(b->rt, give_back, NULL, NULL)) == -ESHUTDOWN);
    WANT(hank_runtime_stop(b->rt) == -ESHUTDOWN);
    WANT(hank_runtime_wait(b->rt) == -ESHUTDOWN);
    WANT(hank_runtime_free(b->rt) == -ESHUTDOWN);
    WANT(hank_runtime_get_stats(b->rt, &stats) == -ESHUTDOWN);
    WANT(hank_timer_cancel(hank_call_into(b->rt, 0, give_back, NULL)) == -ESHUTDOWN);
    WANT(hank_timer_cancel_wait(b->call) == -ESHUTDOWN); /* the parent is inside of it */
    WANT(hank_cancel(b->task) == 0);                     /* asking costs nothing */
    WANT(hank_pool_call(b->pool, give_back, NULL) == -ESHUTDOWN);
    WANT(hank_pool_call_with(b->pool, give_back, &n, .copy = sizeof n) == -ESHUTDOWN);
    WANT(hank_pool_post(b->pool, give_back, NULL, 0) == -ESHUTDOWN);
    WANT(hank_pool_get_stats(b->pool, &pool_stats) == -ESHUTDOWN);
    hank_pool_free(b->pool);
    return 0;
}

/* What needs a task, which the caller is not. */
static int call_as_a_task(belongings *b)
{
    hank_group g = {0};
    hank_attempt attempt = {give_back, NULL};
    hank_completions completions;
    hank_stats stats;
    int result;
    bool done;
    WANT(hank_await(hank_spawn(give_back, NULL)) == -ESHUTDOWN);
    WANT(hank_gather_n(&b->task, 1, NULL) == -ESHUTDOWN);
    WANT(hank_race_n(&b->task, 1, NULL) == -ESHUTDOWN);
    WANT(hank_wait_n(&b->task, 1, HANK_ALL_DONE, &done) == -ESHUTDOWN);
    WANT(hank_completions_begin(&completions, &b->task, 1) == -ESHUTDOWN);
    WANT(hank_result(b->task, &result) == -ESHUTDOWN);
    WANT(hank_race_staggered(&attempt, 1, NULL, NULL) == -ESHUTDOWN);
    WANT(hank_group_spawn(&g, give_back, NULL) == -ESHUTDOWN);
    WANT(hank_group_start(&g, give_back, NULL, NULL, NULL) == -ESHUTDOWN);
    WANT(hank_started(NULL) == -ESHUTDOWN);
    WANT(hank_group_begin(&g) == -ESHUTDOWN);
    WANT(hank_group_wait(&g) == -ESHUTDOWN);
    WANT(hank_timer_cancel(hank_call_soon(give_back, NULL)) == -ESHUTDOWN);
    WANT(hank_get_stats(&stats) == -ESHUTDOWN);
    WANT(hank_runtime_current() == NULL);
    return 0;
}

/* What waits for another. */
static int call_to_wait(belongings *b)
{
    int n = 1;
    void *value;
    hank_case c = {.chan = b->chan, .recv = &n};
    WANT(hank_sleep(HANK_FOREVER) == -ESHUTDOWN);
    WANT(hank_sleep(1) == -ESHUTDOWN);
    WANT(hank_yield() == -ESHUTDOWN);
    WANT(hank_stopped() == -ESHUTDOWN);
    WANT(hank_chan_recv(b->chan, &n) == -ESHUTDOWN);
    WANT(hank_chan_send(b->chan, &n) == -ESHUTDOWN);
    WANT(hank_chan_join(b->chan) == -ESHUTDOWN);
    WANT(hank_select(&c, 1) == -ESHUTDOWN);
    WANT(hank_event_wait(&b->event) == -ESHUTDOWN);
    WANT(hank_sem_acquire(&b->sem) == -ESHUTDOWN);
    WANT(hank_mutex_lock_stoppable(&b->taken) == -ESHUTDOWN);
    WANT(hank_rwlock_rdlock_stoppable(&b->rwlock) == -ESHUTDOWN);
    WANT(hank_rwlock_wrlock_stoppable(&b->rwlock) == -ESHUTDOWN);
    WANT(hank_promise_await(&b->promise, &value) == -ESHUTDOWN);
    WANT(hank_barrier_wait(&b->barrier) == -ESHUTDOWN);
    WANT(hank_once_run(&b->once, give_back, NULL) == -ESHUTDOWN);
    WANT(hank_limiter_acquire(&b->limiter, 1) == -ESHUTDOWN);
    hank_mutex_lock(&b->mutex); /* nobody has it */
    WANT(hank_cond_wait(&b->cond, &b->mutex) == -ESHUTDOWN);
    hank_mutex_unlock(&b->mutex);
    return 0;
}

static int call_io(void)
{
    hank_pool *p;
    hank_stream *s;
    hank_listener *l;
    WANT(hank_blocking(give_back, NULL) == -ESHUTDOWN);
    WANT(hank_pool_new(NULL, &p) == -ESHUTDOWN);
    WANT(hank_fd_wait(0, HANK_READABLE) == -ESHUTDOWN);
    WANT(hank_connect("tcp://127.0.0.1:1", &s) == -ESHUTDOWN);
    WANT(hank_listen("tcp://127.0.0.1:0", &l) == -ESHUTDOWN);
    return 0;
}

/* What never waits works. */
static int call_what_works(belongings *b)
{
    hank_event_set(&b->event);
    WANT(hank_event_is_set(&b->event));
    hank_cond_signal(&b->cond); /* nobody is there, nor was anybody left there */
    hank_cond_broadcast(&b->cond);
    WANT(hank_promise_set(&b->promise, b) == 0);
    WANT(hank_sem_release(&b->sem) == 0 && hank_sem_tryacquire(&b->sem) == 0);
    WANT(hank_mutex_trylock(&b->mutex));
    hank_mutex_unlock(&b->mutex);
    (void)hank_random();
    WANT(hank_now() > 0);
    return 0;
}

static int call_everything(void *arg)
{
    belongings *b = arg;
    WANT(call_the_parent(b) == 0);
    WANT(call_as_a_task(b) == 0);
    WANT(call_to_wait(b) == 0);
    WANT(call_io() == 0);
    WANT(call_what_works(b) == 0);
    return 0;
}

static int lock_and_sleep(void *arg)
{
    belongings *b = arg;
    hank_mutex_lock(&b->taken);
    hank_rwlock_wrlock(&b->rwlock);
    set(&b->locked);
    int rc = hank_sleep(HANK_FOREVER);
    hank_rwlock_wrunlock(&b->rwlock);
    hank_mutex_unlock(&b->taken);
    return rc;
}

static void own_some(belongings *b, hank_runtime *rt, flag *called)
{
    *b = (belongings){.rt = rt,
                      .chan = hank_chan_new(sizeof(int), 0),
                      .barrier = {.parties = 2},
                      .limiter = {.tokens = 1}};
    b->task = into(rt, lock_and_sleep, b);
    b->ended = into(rt, give_back, number(5));
    b->call = hank_call_into(rt, 0, start_and_wait, called);
    THREAD_UNTIL(is_set(called) && hank_is_done(b->ended) && is_set(&b->locked));
    cr_assert(!hank_mutex_trylock(&b->taken));
    cr_assert_eq(hank_pool_new(NULL, &b->pool), 0);
    cr_assert_eq(hank_pool_call(b->pool, give_back, number(2)), 2); /* it has a thread */
}

static void disown(belongings *b)
{
    (void)hank_cancel(b->task);
    cr_expect_eq(hank_await(b->task), -ECANCELED);
    cr_expect_eq(hank_await(b->ended), 5);
    hank_chan_free(b->chan);
    hank_pool_free(b->pool);
}

/* A child of this thread does that to what the parent owns, in and beside `rt`. */
static void fork_beside(hank_runtime *rt, hank_fn in_it)
{
    belongings b;
    flag called = 0;
    let_start(rt);
    own_some(&b, rt, &called);
    cr_expect_eq(in_child(in_it, &b), 0);
    cr_expect_eq(hank_await(into(rt, give_back, number(3))), 3, "the parent goes on");
    disown(&b);
}

static void fork_in_thread(hank_runtime *rt)
{
    fork_beside(rt, call_everything);
}

Test(fork_calls, all_answer_in_the_child)
{
    beside_each_size(fork_in_thread);
}

static int fork_in_task(void *arg)
{
    CHECK(in_child(call_everything, arg) == 0);
    return hank_sleep(HANK_US(10)); /* here it is a task still */
}

static void fork_inside(hank_runtime *rt)
{
    belongings b;
    flag called = 0;
    let_start(rt);
    own_some(&b, rt, &called);
    cr_expect_eq(hank_await(into(rt, fork_in_task, &b)), 0);
    disown(&b);
}

Test(fork_calls, all_answer_in_the_child_of_a_task_which_is_no_task)
{
    beside_each_size(fork_inside);
}

/* --- after a runtime of its own ------------------------------------------------------------ */

static int call_the_parent_later(void *arg)
{
    belongings *b = arg;
    hank_runtime *own;
    WANT(hank_run_with(yield_once, number(4), .workers = 2) == 4);
    WANT(call_the_parent(b) == 0);
    WANT(hank_runtime_start(&(hank_options){.workers = 2}, &own) == 0);
    WANT(call_the_parent(b) == 0); /* also while one runs */
    WANT(hank_await(into(own, yield_once, number(6))) == 6);
    WANT(hank_runtime_free(own) == 0);
    return 0;
}

static int in_a_grandchild(void *arg)
{
    WANT(call_the_parent_later(arg) == 0);
    WANT(in_child(call_the_parent_later, arg) == 0);
    return 0;
}

static void fork_and_run(hank_runtime *rt)
{
    fork_beside(rt, in_a_grandchild);
}

/* Threads in a forked child of threads are more than qemu-user can do: those are not emulated. */
Test(fork_calls, to_the_parents_runtime_and_pool_answer_when_the_child_has_run_its_own,
     .disabled = HK_EMULATED)
{
    beside_each_size(fork_and_run);
}

static int call_pools(void *arg)
{
    hank_pool *of_parent = arg, *own;
    hank_pool_stats stats;
    WANT(hank_pool_call(of_parent, give_back, NULL) == -ESHUTDOWN);
    WANT(hank_pool_post(of_parent, give_back, NULL, 0) == -ESHUTDOWN);
    WANT(hank_pool_get_stats(of_parent, &stats) == -ESHUTDOWN);
    hank_pool_free(of_parent);
    WANT(hank_pool_new(NULL, &own) == 0);
    WANT(hank_pool_call(own, give_back, number(7)) == 7);
    hank_pool_free(own);
    return 0;
}

Test(fork_calls, to_a_pool_answer_though_there_never_was_a_runtime, .disabled = HK_EMULATED)
{
    hank_pool *pool;
    cr_assert_eq(hank_pool_new(NULL, &pool), 0);
    cr_assert_eq(hank_pool_call(pool, give_back, number(2)), 2);
    cr_expect_eq(in_child(call_pools, pool), 0);
    cr_expect_eq(hank_pool_call(pool, give_back, number(3)), 3, "the parent goes on");
    hank_pool_free(pool);
}

/* --- locks that cannot fail ------------------------------------------------------------------ */

typedef struct locking {
    void (*lock)(belongings *b);
    belongings *b;
    int output;
} locking;

static void lock_mutex(belongings *b)
{
    hank_mutex_lock(&b->taken);
}

static void lock_to_read(belongings *b)
{
    hank_rwlock_rdlock(&b->rwlock);
}

static void lock_to_write(belongings *b)
{
    hank_rwlock_wrlock(&b->rwlock);
}

static int lock_what_is_taken(void *arg)
{
    locking *l = arg;
    (void)dup2(l->output, 2);
    l->lock(l->b);
    return 0;
}

static void lock_in_child(hank_runtime *rt)
{
    static void (*const locks[])(belongings *) = {lock_mutex, lock_to_read, lock_to_write};
    belongings b;
    flag called = 0;
    let_start(rt);
    own_some(&b, rt, &called);
    for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        int pipes[2];
        char text[200] = "";
        cr_assert_eq(pipe(pipes), 0);
        int status = in_child(lock_what_is_taken, &(locking){locks[i], &b, pipes[1]});
        cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "lock %zu", i);
        cr_expect_gt(read(pipes[0], text, sizeof text - 1), 0);
        cr_expect(strstr(text, "a forked child waits"), "%s", text);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
    }
    disown(&b);
}

Test(fork_calls, to_a_lock_that_would_be_waited_for_are_a_panic_and_say_so)
{
    beside_each_size(lock_in_child);
}
