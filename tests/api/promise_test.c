/* SPDX-License-Identifier: MIT */
/* promise_test.c - what <hank/promise.h> says, between tasks and between tasks and threads. */
#include "api/compose_support.h"

enum { CROWD = 6, ROUNDS = 100 };

typedef struct reader {
    hank_promise *p;
    void *value;
    int result;
} reader;

static int await_it(void *arg)
{
    reader *r = arg;
    return r->result = hank_promise_await(r->p, &r->value);
}

static void *await_as_thread(void *arg)
{
    (void)await_it(arg);
    return NULL;
}

static int keep_with_seven(void *p)
{
    return hank_promise_set(p, number(7));
}

/* --- one who gives --------------------------------------------------------------------------- */

static int keep_first(void *arg)
{
    hank_promise p = {0};
    void *value = arg;
    MUST(hank_promise_result(&p, &value) == -EINPROGRESS && value == arg);
    MUST(hank_promise_set(&p, number(7)) == 0);
    MUST(hank_promise_result(&p, &value) == 0 && value == number(7));
    value = NULL;
    MUST(hank_promise_await(&p, &value) == 0 && value == number(7));
    return 0;
}
EACH(promise, that_is_kept_gives_its_value_at_once, keep_first)

static int keep_later(void *arg)
{
    hank_promise p = {0};
    reader r = {.p = &p};
    (void)arg;
    hank_task t = hank_spawn(await_it, &r);
    YIELD_UNTIL(waiting_at(&p) == 1);
    MUST(hank_promise_set(&p, number(7)) == 0);
    MUST(hank_await(t) == 0 && r.value == number(7));
    return 0;
}
EACH(promise, is_waited_for_until_it_is_kept, keep_later)

static int keep_for_many(void *arg)
{
    hank_promise p = {0};
    reader readers[CROWD];
    hank_task tasks[CROWD];
    (void)arg;
    for (int i = 0; i < CROWD; i++) {
        readers[i] = (reader){.p = &p};
        tasks[i] = hank_spawn(await_it, &readers[i]);
    }
    YIELD_UNTIL(waiting_at(&p) == CROWD);
    MUST(hank_promise_set(&p, number(7)) == 0);
    MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
    for (int i = 0; i < CROWD; i++)
        MUST(readers[i].value == number(7));
    return 0;
}
EACH(promise, gives_the_same_value_to_all_who_wait, keep_for_many)

static int read_again(void *arg)
{
    hank_promise p = {0};
    void *value;
    (void)arg;
    MUST(keep_with_seven(&p) == 0);
    for (int i = 0; i < 3; i++)
        MUST(hank_promise_await(&p, &value) == 0 && value == number(7));
    return 0;
}
EACH(promise, can_be_awaited_any_number_of_times, read_again)

static int keep_with_nothing(void *arg)
{
    hank_promise p = {0};
    void *value = &p;
    (void)arg;
    MUST(hank_promise_set(&p, NULL) == 0);
    MUST(hank_promise_await(&p, &value) == 0 && value == NULL);
    MUST(hank_promise_await(&p, NULL) == 0 && hank_promise_result(&p, NULL) == 0);
    return 0;
}
EACH(promise, may_be_kept_with_NULL_and_read_by_who_wants_no_value, keep_with_nothing)

static int decide_twice(void *arg)
{
    hank_promise kept = {0}, broken = {0};
    void *value = NULL;
    (void)arg;
    MUST(hank_promise_set(&kept, number(1)) == 0);
    MUST(hank_promise_set(&kept, number(2)) == -EALREADY);
    MUST(hank_promise_fail(&kept, -EIO) == -EALREADY);
    MUST(hank_promise_result(&kept, &value) == 0 && value == number(1));
    MUST(hank_promise_fail(&broken, -EIO) == 0);
    MUST(hank_promise_fail(&broken, -EPIPE) == -EALREADY);
    MUST(hank_promise_set(&broken, number(2)) == -EALREADY);
    MUST(hank_promise_result(&broken, &value) == -EIO);
    return 0;
}
EACH(promise, is_decided_once_and_the_second_is_told_so, decide_twice)

static int break_later(void *arg)
{
    hank_promise p = {0};
    reader r = {.p = &p, .value = arg};
    hank_task t = hank_spawn(await_it, &r);
    YIELD_UNTIL(waiting_at(&p) == 1);
    MUST(hank_promise_fail(&p, -EPIPE) == 0);
    MUST(hank_await(t) == -EPIPE && r.value == arg); /* not written */
    return 0;
}
EACH(promise, that_is_broken_gives_its_error_and_no_value, break_later)

static int break_with_no_error(void *arg)
{
    hank_promise p = {0};
    (void)arg;
    MUST(hank_promise_fail(&p, 0) == -EINVAL && hank_promise_fail(&p, 3) == -EINVAL);
    MUST(hank_promise_result(&p, NULL) == -EINPROGRESS);
    return keep_with_seven(&p);
}
EACH(promise, cannot_be_broken_with_what_is_no_error, break_with_no_error)

static int cancel_the_promise(void *arg)
{
    hank_promise p = {0};
    reader r = {.p = &p};
    (void)arg;
    hank_task t = hank_spawn(await_it, &r);
    YIELD_UNTIL(waiting_at(&p) == 1);
    MUST(hank_promise_fail(&p, -ECANCELED) == 0);
    MUST(hank_await(t) == -ECANCELED);
    MUST(hank_promise_result(&p, NULL) == -ECANCELED); /* it was the promise, not the task */
    MUST(hank_promise_set(&p, NULL) == -EALREADY);
    MUST(hank_stopped() == 0);
    return 0;
}
EACH(promise, that_is_cancelled_says_so_to_who_waits_without_cancelling_him, cancel_the_promise)

/* --- stops ----------------------------------------------------------------------------------- */

static int cancel_one_of_two(void *arg)
{
    hank_promise p = {0};
    reader a = {.p = &p}, b = {.p = &p};
    (void)arg;
    hank_task leaver = hank_spawn(await_it, &a), stayer = hank_spawn(await_it, &b);
    YIELD_UNTIL(waiting_at(&p) == 2);
    MUST(hank_cancel(leaver) == 0);
    MUST(hank_await(leaver) == -ECANCELED);
    MUST(waiting_at(&p) == 1 && hank_promise_result(&p, NULL) == -EINPROGRESS);
    MUST(keep_with_seven(&p) == 0);
    MUST(hank_await(stayer) == 0 && b.value == number(7));
    return 0;
}
EACH(promise, is_not_poisoned_by_who_is_cancelled_while_waiting, cancel_one_of_two)

static int time_out_and_come_back(void *arg)
{
    hank_promise p = {0};
    void *value = NULL;
    (void)arg;
    MUST(hank_within(HANK_MS(1), hank_promise_await(&p, &value)) == -ETIMEDOUT);
    MUST(waiting_at(&p) == 0);
    MUST(keep_with_seven(&p) == 0);
    MUST(hank_within(HANK_SEC(30), hank_promise_await(&p, &value)) == 0 && value == number(7));
    return 0;
}
EACH(promise, can_be_awaited_again_after_a_timeout, time_out_and_come_back)

static int await_a_kept_one_while_stopped(void *arg)
{
    hank_promise p = {0};
    void *value = NULL;
    (void)arg;
    MUST(keep_with_seven(&p) == 0);
    MUST(hank_within(0, hank_promise_await(&p, &value)) == -ETIMEDOUT && value == NULL);
    MUST(hank_promise_result(&p, &value) == 0 && value == number(7)); /* a look is no wait */
    return 0;
}
EACH(promise, is_not_awaited_by_who_is_stopped_even_if_it_is_kept, await_a_kept_one_while_stopped)

static int decide_while_stopped(void *arg)
{
    hank_promise p = {0};
    hank_scope s;
    (void)arg;
    hank_timeout_begin(&s, 0);
    MUST(hank_yield() == -ETIMEDOUT);
    int rc = hank_promise_set(&p, NULL);
    MUST(hank_timeout_end(&s));
    MUST(rc == 0 && hank_promise_await(&p, NULL) == 0);
    return 0;
}
EACH(promise, can_be_kept_by_a_task_that_is_stopped, decide_while_stopped)

static void fresh(void *state)
{
    *(reader *)state = (reader){.p = ((reader *)state)->p};
    *((reader *)state)->p = (hank_promise){0};
}

static int keep_it(void *state)
{
    (void)hank_yield();
    return keep_with_seven(((reader *)state)->p);
}

static bool has_it_or_was_stopped(void *state, int rc, bool stopped)
{
    reader *r = state;
    return waiting_at(r->p) == 0 && (rc == 0 ? r->value == number(7) : stopped && !r->value);
}

static int walk(void *arg)
{
    hank_promise p;
    reader r = {.p = &p};
    (void)arg;
    MUST(everywhere(&(everywhere_scenario){fresh, await_it, keep_it, has_it_or_was_stopped, &r}) ==
         0);
    MUST(everywhere_stops() > 0);
    return 0;
}
EACH(promise, who_is_stopped_at_any_wait_leaves_nothing_behind, walk)

/* --- threads --------------------------------------------------------------------------------- */

static int task_keeps_for_a_thread(void *arg)
{
    hank_promise p = {0};
    reader r = {.p = &p};
    (void)arg;
    pthread_t thread = start_thread(await_as_thread, &r);
    YIELD_UNTIL(waiting_at(&p) == 1);
    MUST(keep_with_seven(&p) == 0);
    join_thread(thread);
    MUST(r.result == 0 && r.value == number(7));
    return 0;
}
EACH(promise, kept_by_a_task_wakes_a_thread, task_keeps_for_a_thread)

static void *keep_as_thread(void *p)
{
    (void)keep_with_seven(p); /* the reader tells */
    return NULL;
}

static int thread_keeps_for_a_task(void *arg)
{
    hank_promise p = {0};
    void *value = NULL;
    (void)arg;
    pthread_t thread = start_thread(keep_as_thread, &p);
    MUST(hank_promise_await(&p, &value) == 0 && value == number(7));
    join_thread(thread);
    return 0;
}
EACH(promise, kept_by_a_thread_wakes_a_task, thread_keeps_for_a_task)

Test(promise, can_be_awaited_under_a_timeout_outside_of_any_run)
{
    hank_promise p = {0};
    void *value = NULL;
    cr_assert_eq(hank_within(HANK_MS(1), hank_promise_await(&p, &value)), -ETIMEDOUT);
    cr_assert_eq(hank_promise_set(&p, number(7)), 0);
    cr_assert_eq(hank_promise_await(&p, &value), 0);
    cr_assert_eq(value, number(7));
}

/* --- races ----------------------------------------------------------------------------------- */

typedef struct contender {
    hank_promise *p;
    intptr_t value;
    int result;
} contender;

static int contend(void *arg)
{
    contender *c = arg;
    c->result = c->value % 2 ? hank_promise_set(c->p, number(c->value))
                             : hank_promise_fail(c->p, (int)-c->value);
    return 0;
}

static int all_decide_at_once(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        hank_promise p = {0};
        contender them[CROWD];
        hank_task tasks[CROWD];
        for (int i = 0; i < CROWD; i++) {
            them[i] = (contender){.p = &p, .value = i + 1};
            tasks[i] = hank_spawn(contend, &them[i]);
        }
        void *value = NULL;
        int rc = hank_promise_await(&p, &value), winners = 0;
        MUST(hank_gather_n(tasks, CROWD, NULL) == 0);
        for (int i = 0; i < CROWD; i++) {
            winners += them[i].result == 0;
            MUST(them[i].result == 0 || them[i].result == -EALREADY);
            if (them[i].result == 0)
                MUST(rc == 0 ? value == number(them[i].value) : rc == -them[i].value);
        }
        MUST(winners == 1);
    }
    return 0;
}
EACH(promise, has_exactly_one_winner_among_all_who_decide_it, all_decide_at_once)

static int keep_on_the_heap(void *arg)
{
    return hank_promise_set(arg, NULL);
}

static int free_after_the_wait(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        hank_promise *p = calloc(1, sizeof *p);
        hank_task t = hank_spawn(keep_on_the_heap, p);
        (void)hank_yield();
        MUST(hank_promise_await(p, NULL) == 0);
        free(p); /* whoever kept it is out of it */
        MUST(hank_await(t) == 0);
    }
    return 0;
}
EACH(promise, may_be_freed_by_who_has_awaited_it, free_after_the_wait)

typedef struct message {
    hank_promise p;
    int text[16]; /* not atomic */
} message;

static int write_and_keep(void *arg)
{
    message *m = arg;
    for (int i = 0; i < 16; i++)
        m->text[i] = i;
    return hank_promise_set(&m->p, m->text);
}

static int read_what_was_written(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        message m = {.text = {0}};
        hank_task t = hank_spawn(write_and_keep, &m);
        void *value = NULL;
        MUST(hank_promise_await(&m.p, &value) == 0);
        for (int i = 0; i < 16; i++)
            MUST(((int *)value)[i] == i);
        MUST(hank_await(t) == 0);
    }
    return 0;
}
EACH(promise, shows_what_was_written_before_it_was_kept, read_what_was_written)
