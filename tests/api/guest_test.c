/* SPDX-License-Identifier: MIT */
/* guest_test.c - tasks that are started from outside: who may ask for them, and what becomes of
 * those that nobody asks for. */
#include "api/thread_support.h"

#include <stdlib.h>
#include <string.h>

static void await_in_thread(hank_runtime *rt)
{
    int n = 0;
    hank_task t = into(rt, yield_once, number(7));
    cr_expect_eq(hank_await(t), 7);
    cr_expect_eq(hank_await(t), -ESTALE, "used up");
    cr_expect_eq(hank_cancel(t), -ESTALE);
    cr_expect_eq(hank_detach(t), -ESTALE);
    cr_expect_eq(hank_await(into(rt, NULL, &n)), -EINVAL);
    cr_expect_eq(hank_await(into(NULL, give_back, &n)), -EINVAL);
    t = hank_spawn_into(rt, give_back, NULL, &(hank_spawn_options){.copy = 1 << 20});
    cr_expect_eq(hank_await(t), -EINVAL);
    cr_expect_eq(hank_await(t), -EINVAL, "a handle that failed says so each time");
    cr_expect_eq(hank_detach(t), -EINVAL);
    cr_expect_eq(hank_await((hank_task){0}), -ESTALE);
}

Test(guest, is_awaited_once_by_a_plain_thread)
{
    beside_each_size(await_in_thread);
}

static int read_int(void *arg)
{
    return *(int *)arg;
}

static void copy_arguments(hank_runtime *rt)
{
    hank_task tasks[20];
    for (int i = 0; i < 20; i++)
        tasks[i] = hank_spawn_into(
            rt, read_int, &i, &(hank_spawn_options){.copy = sizeof i, .stack_size = 128 * 1024});
    for (int i = 0; i < 20; i++)
        cr_expect_eq(hank_await(tasks[i]), i);
}

Test(guest, may_have_a_copy_of_its_argument_and_a_stack_of_its_size)
{
    beside_each_size(copy_arguments);
}

static void await_what_has_ended(hank_runtime *rt)
{
    flag done = 0;
    hank_task t = into(rt, start_and_wait, &done);
    THREAD_UNTIL(is_set(&done));
    cr_expect_eq(hank_cancel(t), 0);
    hank_task other = into(rt, give_back, number(1)); /* and let the first one end */
    cr_expect_eq(hank_await(other), 1);
    cr_expect_eq(hank_await(t), -ECANCELED);
}

Test(guest, that_has_ended_keeps_its_result_until_it_is_asked)
{
    beside_each_size(await_what_has_ended);
}

static int await_it(void *arg)
{
    return hank_await(*(hank_task *)arg);
}

static int await_foreign(void *arg)
{
    (void)arg;
    hank_runtime *rt = hank_runtime_current();
    hank_task t = into(rt, yield_once, number(4));
    CHECK(hank_await(hank_spawn(await_it, &t)) == 4); /* not by who spawned it */
    CHECK(hank_await(t) == -ESTALE);
    hank_task child = hank_spawn(give_back, number(2));
    CHECK(hank_await(hank_spawn(await_it, &child)) == -EPERM); /* a child is its parent's */
    CHECK(hank_await(child) == 2);
    int results[2] = {1, 1};
    t = into(rt, give_back, number(8));
    CHECK(hank_gather_n(&t, 1, results) == -EPERM); /* gathering is for children */
    CHECK(results[0] == -EPERM && results[1] == 1);
    CHECK(hank_await(t) == 8);
    return 0;
}

Test(guest, may_be_awaited_by_any_task_but_not_gathered)
{
    with_each_size(await_foreign, NULL);
}

static void *await_it_too(void *arg)
{
    return (void *)(intptr_t)hank_await(*(hank_task *)arg);
}

static void await_in_two(hank_runtime *rt)
{
    hank_event go = {0};
    pthread_t others[3];
    int answers = 0;
    hank_task t = into(rt, (hank_fn)(int (*)(void *))hank_event_wait, &go);
    for (int i = 0; i < 3; i++)
        on_thread(await_it_too, &t, &others[i]);
    hank_event_set(&go);
    for (int i = 0; i < 3; i++) {
        void *rc;
        cr_assert_eq(pthread_join(others[i], &rc), 0);
        answers += (intptr_t)rc == 0;
        cr_expect((intptr_t)rc == 0 || (intptr_t)rc == -EBUSY || (intptr_t)rc == -ESTALE);
    }
    cr_expect_eq(answers, 1);
}

Test(guest, gives_its_result_to_exactly_one_of_those_who_ask_at_once)
{
    beside_each_size(await_in_two);
}

/* Counts its beginning and its end. */
static int run_to_stop(void *arg)
{
    set(arg);
    while (hank_sleep(HANK_MS(1)) == 0)
        continue;
    set(arg);
    return 21; /* a result that stands */
}

static void time_out(hank_runtime *rt)
{
    flag seen = 0;
    cr_expect_eq(hank_within(HANK_MS(3), hank_await(into(rt, sleep_forever, NULL))), -ETIMEDOUT);
    hank_scope s;
    hank_task t = into(rt, run_to_stop, &seen);
    THREAD_UNTIL(hk_load_acquire(&seen) == 1); /* one that has not begun is not begun any more */
    hank_timeout_begin(&s, HANK_MS(3));
    cr_expect_eq(hank_await(t), 21, "its own result stands");
    cr_expect_eq(hk_load_acquire(&seen), 2, "it has ended");
    cr_expect(hank_timeout_end(&s));
}

Test(guest, is_cancelled_and_still_joined_when_the_thread_that_awaits_it_times_out)
{
    beside_each_size(time_out);
}

static int cancelled_awaiter(void *arg)
{
    flag started = 0;
    hank_task t = into(hank_runtime_current(), start_and_wait, &started);
    int rc = hank_await(t);
    CHECK(hank_await(t) == -ESTALE);
    (void)arg;
    return rc;
}

static int cancel_awaiter(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        hank_task t = hank_spawn(cancelled_awaiter, NULL);
        for (int j = 0; j < i; j++)
            (void)hank_yield();
        CHECK(hank_cancel(t) == 0);
        CHECK(hank_await(t) == -ECANCELED);
    }
    return 0;
}

Test(guest, is_cancelled_with_the_task_that_awaits_it)
{
    with_each_size(cancel_awaiter, NULL);
}

static void cancel_early(hank_runtime *rt)
{
    for (int i = 0; i < 50; i++) {
        flag ran = 0;
        hank_task t = into(rt, start_and_wait, &ran);
        cr_expect_eq(hank_cancel(t), 0);
        cr_expect_eq(hank_await(t), -ECANCELED);
    }
}

Test(guest, may_be_cancelled_from_a_thread_at_any_moment)
{
    beside_each_size(cancel_early);
}

static int await_self(void *arg)
{
    hank_task *t = arg;
    return hank_await(t[0]) == -EDEADLK ? 1 : 0;
}

static int await_self_later(void *arg)
{
    hank_task *t = arg;
    hank_event *written = (hank_event *)(t + 1);
    return hank_event_wait(written) < 0 ? -1 : await_self(arg);
}

static void await_itself(hank_runtime *rt)
{
    struct {
        hank_task t;
        hank_event written;
    } self = {0};
    self.t = into(rt, await_self_later, &self);
    hank_task t = self.t;
    hank_event_set(&self.written);
    cr_expect_eq(hank_await(t), 1);
}

Test(guest, cannot_await_itself)
{
    beside_each_size(await_itself);
}

static HK_ATOMIC(int) reports;
static HK_ATOMIC(int) last_result;

static void note_error(void *context, const char *name, int result)
{
    CHECK(strcmp(name, context) == 0);
    hk_store_relaxed(&last_result, result);
    (void)hk_add_acqrel(&reports, 1);
}

static HK_ATOMIC(int) failing;

static int fail_with(void *arg)
{
    (void)hk_add_acqrel(&failing, 1);
    (void)hank_yield();
    return -(int)(intptr_t)arg;
}

static hank_runtime *start_with_hooks(const hank_hooks *hooks, unsigned workers)
{
    hank_runtime *rt;
    hk_store_relaxed(&reports, 0);
    hk_store_relaxed(&failed_checks, 0);
    cr_assert_eq(hank_runtime_start(&(hank_options){.workers = workers, .hooks = hooks}, &rt), 0);
    return rt;
}

static hank_task fail_in(hank_runtime *rt, int error)
{
    return hank_spawn_into(rt, fail_with, number(error), &(hank_spawn_options){.name = "loser"});
}

Test(guest, that_failed_and_was_not_asked_is_reported_once_when_its_runtime_ends)
{
    static const hank_hooks hooks = {.on_error = note_error, .context = "loser"};
    for (EACH_SIZE(i)) {
        hank_runtime *rt = start_with_hooks(&hooks, sizes[i]);
        hk_store_relaxed(&failing, 0);
        hank_task t = fail_in(rt, EIO);
        THREAD_UNTIL(hk_load_acquire(&failing) == 1); /* it is not cancelled before it runs */
        hank_task good = into(rt, yield_once, number(1)), cancelled = into(rt, sleep_forever, NULL);
        cr_expect_eq(hank_await(into(rt, fail_with, number(EPIPE))), -EPIPE, "asked: no report");
        cr_expect_eq(hank_runtime_stop(rt), 0);
        cr_expect_eq(hank_runtime_wait(rt), 0);
        cr_expect_eq(hk_load_acquire(&reports), 1);
        cr_expect_eq(hk_load_acquire(&last_result), -EIO);
        cr_expect_eq(hank_await(t), -ESTALE, "too late");
        cr_expect_eq(hank_await(good), -ESTALE);
        cr_expect_eq(hank_detach(cancelled), -ESTALE);
        cr_expect_eq(hank_runtime_free(rt), 0);
        cr_expect_eq(hk_load_relaxed(&failed_checks), 0);
    }
}

Test(guest, that_is_detached_reports_its_failure_when_it_ends_or_at_once_if_it_has)
{
    static const hank_hooks hooks = {.on_error = note_error, .context = "loser"};
    for (EACH_SIZE(i)) {
        hank_runtime *rt = start_with_hooks(&hooks, sizes[i]);
        hank_task t = fail_in(rt, EIO);
        cr_expect_eq(hank_detach(t), 0);
        cr_expect_eq(hank_detach(t), -ESTALE);
        cr_expect_eq(hank_await(t), -ESTALE);
        THREAD_UNTIL(hk_load_acquire(&reports) == 1);
        t = fail_in(rt, ENOSPC);
        for (int j = 0; j < 10; j++) /* let it end */
            cr_expect_eq(hank_await(into(rt, yield_once, NULL)), 0);
        cr_expect_eq(hank_detach(t), 0);
        THREAD_UNTIL(hk_load_acquire(&reports) == 2);
        cr_expect_eq(hk_load_relaxed(&last_result), -ENOSPC);
        cr_expect_eq(hank_runtime_free(rt), 0);
        cr_expect_eq(hk_load_relaxed(&reports), 2);
    }
}

static void *spawn_many(void *rt)
{
    int sum = 0;
    for (int i = 0; i < 200; i++) {
        hank_task t[4];
        for (int j = 0; j < 4; j++)
            t[j] = into(rt, j % 2 ? give_back : yield_once, number(j));
        for (int j = 0; j < 4; j++)
            sum += hank_await(t[j]);
    }
    return number(sum);
}

static void spawn_from_many(hank_runtime *rt)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        on_thread(spawn_many, rt, &threads[i]);
    for (int i = 0; i < 4; i++) {
        void *sum;
        cr_assert_eq(pthread_join(threads[i], &sum), 0);
        cr_expect_eq((intptr_t)sum, 200 * 6);
    }
}

Test(guest, comes_from_many_threads_at_once)
{
    beside_each_size(spawn_from_many);
}

static void *spawn_until_it_ends(void *rt)
{
    int rc;
    while ((rc = hank_await(into(rt, give_back, number(1)))) == 1)
        continue;
    return number(rc);
}

Test(guest, is_refused_once_its_runtime_ends)
{
    for (EACH_SIZE(i)) {
        hank_runtime *rt;
        pthread_t threads[3];
        cr_assert_eq(hank_runtime_start(&(hank_options){.workers = sizes[i]}, &rt), 0);
        for (int j = 0; j < 3; j++)
            on_thread(spawn_until_it_ends, rt, &threads[j]);
        cr_expect_eq(hank_await(into(rt, give_back, number(1))), 1);
        cr_expect_eq(hank_runtime_stop(rt), 0);
        for (int j = 0; j < 3; j++) {
            void *rc;
            cr_assert_eq(pthread_join(threads[j], &rc), 0);
            cr_expect((intptr_t)rc == -ESHUTDOWN || (intptr_t)rc == -ECANCELED ||
                      (intptr_t)rc == -ESTALE);
        }
        cr_expect_eq(hank_runtime_wait(rt), 0);
        cr_expect_eq(hank_await(into(rt, give_back, NULL)), -ESHUTDOWN);
        cr_expect_eq(hank_runtime_free(rt), 0);
    }
}

static void count_guests(hank_runtime *rt)
{
    char path[] = "/tmp/hank-guests-XXXXXX", text[4096];
    flag started = 0;
    hank_task t =
        hank_spawn_into(rt, start_and_wait, &started, &(hank_spawn_options){.name = "visitor"});
    THREAD_UNTIL(is_set(&started));
    int fd = mkstemp(path);
    (void)unlink(path);
    hank_dump(fd);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    cr_expect_not_null(strstr(text, "visitor"));
    cr_expect_eq(hank_cancel(t), 0);
    cr_expect_eq(hank_await(t), -ECANCELED);
}

Test(guest, is_seen_in_dumps)
{
    beside_each_size(count_guests);
}
